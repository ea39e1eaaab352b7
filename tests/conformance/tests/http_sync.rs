//! Devices that sync over HTTP, through the gateway, under row-level security.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::gateway::{Gateway, token};
use cloudsync_conformance::server::Server;

const ANNA: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const BERT: &str = "bbbbbbbb-0000-4000-8000-000000000002";

const SERVER_DDL: &str = "
CREATE TABLE note (id text PRIMARY KEY, owner uuid, body text);
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON note TO authenticated;
CREATE POLICY own ON note TO authenticated
    USING (owner IS NULL OR owner = (SELECT auth.uid())) WITH CHECK (owner IS NULL OR owner = (SELECT auth.uid()));";
const DEVICE_DDL: &str = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, owner TEXT, body TEXT);";
const DUMP: &str = "SELECT id, body FROM note";

struct World {
    server: Server,
    gateway: Gateway,
    directory: tempfile::TempDir,
}

impl World {
    fn new(settings: &[(&str, &str)]) -> World {
        let server = Server::create_project(SERVER_DDL, &["public.note"]);
        let gateway = Gateway::start(&server, settings);
        World { server, gateway, directory: tempfile::tempdir().expect("a directory") }
    }

    fn device(&self, name: &str, user: &str) -> Device {
        let device = Device::create(self.directory.path(), name, DEVICE_DDL, &["note"]);
        device.connect(&self.gateway.url);
        device.set_token(&token(user, 3600));
        device
    }
}

#[test]
fn two_users_sync_what_each_may_see() {
    let mut world = World::new(&[]);
    let (anna, bert) = (world.device("anna", ANNA), world.device("bert", BERT));
    anna.run(&format!("INSERT INTO note VALUES ('a', '{ANNA}', 'mine'), ('s', NULL, 'ours')"));
    bert.run(&format!("INSERT INTO note VALUES ('b', '{BERT}', 'his')"));
    for device in [&anna, &bert, &anna] {
        let report = device.sync();
        assert!(report.contains("\"synced\""), "{report}");
    }
    assert_eq!(anna.dump(DUMP), [r#""a"|"mine""#, r#""s"|"ours""#]);
    assert_eq!(bert.dump(DUMP), [r#""b"|"his""#, r#""s"|"ours""#]);
    assert_eq!(world.server.dump(DUMP).len(), 3);
    // What is not hers is refused, and says why.
    anna.run(&format!("INSERT INTO note VALUES ('x', '{BERT}', 'smuggled')"));
    anna.sync();
    assert_eq!(anna.text("SELECT sqlstate FROM cloudsync_rejections"), "42501");
}

#[test]
fn a_database_is_named_in_the_path() {
    let world = World::new(&[]);
    let device = world.device("anna", ANNA);
    device.text(&format!("SELECT 'x' || cloudsync_network_init_custom('{}', 'main')", world.gateway.url));
    device.sync();
    device.text(&format!("SELECT 'x' || cloudsync_network_init_custom('{}', 'other')", world.gateway.url));
    let error = device.sync_error();
    assert!(error.contains("PGRST125") && error.contains("cloudsync_network_init"), "{error}");
}

#[test]
fn an_expired_token_is_an_error_that_says_what_to_do() {
    let world = World::new(&[]);
    let device = world.device("anna", ANNA);
    device.sync();
    let expired = token(ANNA, -3600);
    device.set_token(&expired);
    let error = device.sync_error();
    assert!(error.contains("cloudsync_network_set_token") && error.contains("PGRST303"), "{error}");
    assert!(!error.contains(&expired), "{error}");
    device.set_token(&token(ANNA, 3600));
    device.sync();
}
