//! A device from beyond the horizon starts anew through a network that cuts it off at any place.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::faults::FaultProxy;
use cloudsync_conformance::gateway::{Gateway, token};
use cloudsync_conformance::server::Server;

const SERVER_DDL: &str = "
CREATE TABLE note (id text PRIMARY KEY, title text, body text);
GRANT SELECT, INSERT, UPDATE, DELETE ON note TO authenticated;";
const DEVICE_DDL: &str = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT);";
const LINES: &str = "SELECT cloudsync_set_column('note', 'body', 'algo', 'block')";
const DUMP: &str = "SELECT id, title, body FROM note";
const ANNA: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const NOTES: usize = 60;
/// More requests than a sync of this device needs.
const MAX_REQUESTS: u64 = 200;

#[test]
fn starting_anew_is_cut_anywhere_and_ends_well() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Server::create_project(SERVER_DDL, &["public.note"]);
    server.run("SELECT extensions.cloudsync_set_column('public.note', 'body', 'algo', 'block')");
    let gateway = Gateway::start(&server, &[]);
    let proxy = FaultProxy::start(&gateway.address, 1);
    let [stays, goes] = ["stays", "goes"].map(|name| {
        let device = Device::create(directory.path(), name, DEVICE_DDL, &["note"]);
        device.run(LINES);
        device.connect(&gateway.url);
        device.set_token(&token(ANNA, 3600));
        device.run("SELECT cloudsync_set('network_chunk_bytes', 400)");
        device
    });
    for number in 0..NOTES {
        stays.run(&format!("INSERT INTO note VALUES ('n{number}', 'title', 'a\nb\nc\n')"));
    }
    stays.sync();
    goes.sync();
    goes.run("UPDATE note SET title = 'mine' WHERE id LIKE '%5'; UPDATE note SET body = 'a\nb\nC\n' WHERE id LIKE '%7'");
    goes.run("INSERT INTO note VALUES ('new', 'mine', 'new\n')");
    stays.run("DELETE FROM note WHERE id LIKE '%5' OR id LIKE '%6'; UPDATE note SET body = 'a\nc\n'");
    stays.sync();
    server.run("SELECT extensions.cloudsync_collect(0)");
    goes.connect(&proxy.url);
    // Each sync gets one request further than the one before.
    let is_done = |requests: &u64| {
        proxy.allow(*requests);
        goes.try_sync().is_ok()
    };
    let cuts = (0..MAX_REQUESTS).find(is_done).expect("a sync that has not been cut");
    assert!(cuts > 4, "{cuts}");
    proxy.heal();
    for device in [&goes, &stays, &goes] {
        device.sync();
    }
    let expected = server.dump(DUMP);
    assert_eq!(goes.dump(DUMP), expected);
    assert_eq!(stays.dump(DUMP), expected);
    let back = "SELECT id FROM note WHERE id LIKE '%5' OR id LIKE '%6'";
    assert!(server.dump(back).is_empty(), "nothing came back");
    let kept = "SELECT body FROM note WHERE id LIKE '%7' OR id = 'new'";
    assert!(server.dump(kept).iter().all(|body| body.contains("C") || body.contains("new")));
}
