//! Row filters, on a device and on the server, with a device beside that has none.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};

use cloudsync_conformance::device::Device;
use cloudsync_conformance::random::Random;
use cloudsync_conformance::rls::canary::{self, Canaries};
use cloudsync_conformance::rls::tap::Tap;
use cloudsync_conformance::server::Server;
use cloudsync_shared::wire;

const DDL: &str = "CREATE TABLE task (id text PRIMARY KEY NOT NULL, body text, private int DEFAULT 0)";
const ALL: &str = "SELECT id, body, private FROM task";
const FILTER: &str = "SELECT cloudsync_set_filter('task', 'private = 0')";
const CLEAR: &str = "SELECT cloudsync_clear_filter('task')";

struct World {
    server: Server,
    device: Device,
    other: Device,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().expect("a directory");
        let server = Server::create(DDL, &["task"]);
        let [device, other] = ["device", "other"].map(|name| {
            let device = Device::create(directory.path(), name, DDL, &["task"]);
            device.connect(&server.url);
            device
        });
        World { server, device, other, _directory: directory }
    }

    /// The device first, then the other one.
    fn sync(&self) {
        self.device.sync();
        self.other.sync();
    }

    /// What server and other device have alike.
    fn shared(&mut self) -> Vec<String> {
        let rows = self.server.dump(ALL);
        assert_eq!(self.other.dump(ALL), rows);
        rows
    }

    fn rejected(&self) -> Vec<String> {
        self.device.dump("SELECT operation, columns, sqlstate FROM cloudsync_rejections")
    }
}

#[test]
fn a_device_keeps_private_rows_to_itself() {
    let mut world = World::new();
    world.device.run(FILTER);
    world.device.run("INSERT INTO task VALUES ('a', 'open', 0), ('b', 'secret', 1), ('c', 'secret', NULL)");
    world.sync();
    assert_eq!(world.shared(), [r#""a"|"open"|0"#]);
    world.device.run("UPDATE task SET body = 'secret', private = 1 WHERE id = 'a'");
    world.sync();
    assert_eq!(world.shared(), [""; 0], "it has left");
    world.device.run("UPDATE task SET private = 0 WHERE id IN ('a', 'b')");
    world.sync();
    assert_eq!(world.shared(), [r#""a"|"secret"|0"#, r#""b"|"secret"|0"#], "it is back, whole");
    world.other.run("UPDATE task SET body = 'seen' WHERE id = 'a'");
    world.other.sync();
    world.device.sync();
    let expected = [r#""a"|"seen"|0"#, r#""b"|"secret"|0"#, r#""c"|"secret"|NULL"#];
    assert_eq!(world.device.dump(ALL), expected);
    world.device.run(CLEAR);
    world.sync();
    assert_eq!(world.shared(), expected);
    assert_eq!(world.rejected(), [""; 0]);
}

#[test]
fn the_others_row_of_the_same_key_waits_for_the_private_one_to_go() {
    let mut world = World::new();
    world.device.run(FILTER);
    world.device.run("INSERT INTO task VALUES ('a', 'mine', 1), ('b', 'mine', 1)");
    world.other.run("INSERT INTO task VALUES ('a', 'theirs', 0), ('b', 'theirs', 0), ('c', 'theirs', 1)");
    world.other.sync();
    world.device.sync();
    let rows = [r#""a"|"mine"|1"#, r#""b"|"mine"|1"#, r#""c"|"theirs"|1"#];
    assert_eq!(world.device.dump(ALL), rows, "what comes under the filter is stored all the same");
    let parked = "SELECT cloudsync_pk_decode(pk, 1), sqlstate FROM cloudsync_parked";
    assert_eq!(world.device.dump(parked), [r#""a"|"CSF01""#, r#""b"|"CSF01""#]);
    world.device.run("DELETE FROM task WHERE id = 'a'; UPDATE task SET private = 0 WHERE id = 'b'");
    world.sync();
    world.device.sync();
    let rows = [r#""a"|"theirs"|0"#, r#""b"|"mine"|0"#, r#""c"|"theirs"|1"#];
    assert_eq!(world.shared(), rows, "the private row entered: the last write");
    assert_eq!(world.device.dump(ALL), rows);
    assert_eq!(world.device.dump(parked), [""; 0]);
    // The others' row that the filter shuts out: deleted for this device alone.
    world.device.run("DELETE FROM task WHERE id = 'c'");
    world.sync();
    assert_eq!(world.shared(), rows);
}

#[test]
fn rows_outside_the_servers_filter_are_hidden_from_every_sync() {
    let mut world = World::new();
    world.server.run("INSERT INTO task VALUES ('a', 'open', 0), ('b', 'secret', 1), ('c', 'open', 0)");
    world.sync();
    assert_eq!(world.device.dump(ALL).len(), 3);
    world.server.run(FILTER);
    world.sync();
    assert_eq!(world.device.dump(ALL), [r#""a"|"open"|0"#, r#""c"|"open"|0"#], "all was compared anew");
    world.server.run("UPDATE task SET private = 1, body = 'secret' WHERE id = 'a'");
    world.server.run("UPDATE task SET private = 0 WHERE id = 'b'");
    world.server.run("INSERT INTO task VALUES ('d', 'secret', 1)");
    world.sync();
    let shared = [r#""b"|"secret"|0"#, r#""c"|"open"|0"#];
    assert_eq!(world.device.dump(ALL), shared, "one left, one entered");
    assert_eq!(world.other.dump(ALL), shared);
    world.server.run(CLEAR);
    world.sync();
    assert_eq!(world.shared().len(), 4);
    assert_eq!(world.device.dump(ALL).len(), 4);
}

#[test]
fn what_is_pushed_outside_the_servers_filter_is_refused_and_told() {
    let mut world = World::new();
    world.server.run(FILTER);
    world
        .device
        .run("INSERT INTO task VALUES ('a', 'open', 0), ('b', 'open', 0), ('c', 'open', 0), ('x', 'out', 1)");
    world.sync();
    assert_eq!(world.rejected(), [r#""write"|"{\"body\":\"out\",\"id\":\"x\",\"private\":1}"|"44000""#]);
    assert_eq!(world.device.dump(ALL).len(), 3, "the refused row is taken back");
    world.device.run("DELETE FROM cloudsync_rejections");
    // An update that leaves, and writes of rows that left meanwhile.
    world.server.run("UPDATE task SET private = 1 WHERE id IN ('b', 'c')");
    world
        .device
        .run("UPDATE task SET private = 1 WHERE id = 'a'; UPDATE task SET body = 'late' WHERE id = 'b'");
    world.device.run("DELETE FROM task WHERE id = 'c'");
    world.sync();
    let refused = [
        r#""delete"|"{\"id\":\"c\"}"|"44000""#,
        r#""write"|"{\"body\":\"late\",\"id\":\"b\"}"|"44000""#,
        r#""write"|"{\"id\":\"a\",\"private\":1}"|"44000""#,
    ];
    assert_eq!(world.rejected(), refused);
    assert_eq!(world.device.dump(ALL), [r#""a"|"open"|0"#], "the server's row again");
    assert_eq!(world.server.dump(ALL), [r#""a"|"open"|0"#, r#""b"|"open"|1"#, r#""c"|"open"|1"#]);
    // As behind a policy: the key is taken.
    world.other.run("INSERT INTO task VALUES ('b', 'blind', 0)");
    world.other.sync();
    assert_eq!(world.other.dump("SELECT sqlstate FROM cloudsync_rejections"), [r#""23505""#]);
    assert_eq!(world.server.dump("SELECT body FROM task WHERE id = 'b'"), [r#""open""#]);
}

#[test]
fn only_the_owner_sets_the_servers_filter_and_it_runs_with_the_callers_rights() {
    let mut world = World::new();
    let role = format!("filter_user_{}", std::process::id());
    world.server.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT (id, body), INSERT, UPDATE, DELETE ON task TO {role}"
    ));
    world.server.run(&format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}"));
    world.server.run("INSERT INTO task VALUES ('a', 'open', 0)");
    let mut user = postgres::Client::connect(&world.server.url_as(&role), postgres::NoTls).expect("the user");
    let error =
        user.batch_execute(FILTER).expect_err("a refusal").as_db_error().map(|error| error.code().clone());
    assert_eq!(error, Some(postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
    world.device.connect(&world.server.url_as(&role));
    world.device.sync();
    assert_eq!(world.device.dump(ALL), [r#""a"|"open"|0"#]);
    // Who may not read what the filter reads is shown nothing.
    world.server.run(FILTER);
    world.device.sync();
    assert_eq!(world.device.dump(ALL), [""; 0]);
    world.server.run(&format!("GRANT SELECT ON task TO {role}"));
    world.device.sync();
    assert_eq!(world.device.dump(ALL), [r#""a"|"open"|0"#]);
    // A function of the user's own that is called as one of the filter's takes no part.
    world
        .server
        .run(&format!("CREATE SCHEMA own AUTHORIZATION {role}; INSERT INTO task VALUES ('b', 'secret', 1)"));
    user.batch_execute(&format!(
        "CREATE FUNCTION own.yes(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
         CREATE OPERATOR own.= (LEFTARG = int, RIGHTARG = int, FUNCTION = own.yes);
         ALTER ROLE {role} SET search_path = own, pg_catalog, public"
    ))
    .expect("an operator");
    world.device.run("SELECT cloudsync_network_cleanup()");
    world.device.connect(&world.server.url_as(&role));
    world.device.sync();
    assert_eq!(world.device.dump(ALL), [r#""a"|"open"|0"#]);
    drop(user);
    world.server.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_filter_that_does_not_fit_its_table_any_more_stops_the_sync_with_the_reason() {
    let mut world = World::new();
    world.server.run(FILTER);
    world.server.run("INSERT INTO task VALUES ('a', 'open', 0), ('b', 'secret', 1)");
    world.server.run("ALTER TABLE task RENAME COLUMN private TO hidden");
    world.device.sync();
    assert_eq!(world.device.dump("SELECT id FROM task"), [r#""a""#], "a new name does no harm");
    world.server.run("ALTER TABLE task DROP COLUMN hidden");
    let error = world.device.sync_error();
    assert!(error.contains("its row filter does not fit it any more"), "{error}");
    world.server.run(CLEAR);
    world.device.sync();
}

fn address(url: &str) -> SocketAddr {
    let host = url.rsplit_once('@').map_or(url, |(_, rest)| rest).trim_start_matches("postgres://");
    let host = host.split('/').next().unwrap_or_default();
    host.to_socket_addrs().expect("the server's address").next().expect("one address")
}

/// The canaries in what a device sent: in its messages after decoding, and in all else as it is.
fn sent_canaries(tap: &Tap) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut messages = 0;
    for stream in tap.take_sent() {
        found.extend(canary::find(&stream));
        let starts = stream.windows(wire::MAGIC.len()).enumerate().filter(|(_, at)| *at == wire::MAGIC);
        for (start, _) in starts {
            let length = start.checked_sub(4).and_then(|at| stream[at..].first_chunk::<4>());
            let Some(length) = length.map(|length| i32::from_be_bytes(*length)) else { continue };
            let end = start + usize::try_from(length).unwrap_or_default();
            let Some(message) = stream.get(start..end).and_then(|bytes| wire::decode(bytes).ok()) else {
                continue;
            };
            messages += 1;
            // Keys are bytes, and print as numbers.
            found.extend(canary::find(format!("{message:?}").as_bytes()));
            if let cloudsync_shared::message::Message::PushRequest(request) = &message {
                let rows = request.changes.tables.iter().flat_map(|table| &table.rows);
                rows.for_each(|row| found.extend(canary::find(&row.key.0)));
            }
        }
    }
    assert!(messages > 0, "the tap hears what the device says");
    found
}

/// Random writes on a device with a filter: nothing that was never part of a shared row at a sync leaves it.
#[test]
fn no_value_of_a_private_row_is_on_the_wire() {
    let mut world = World::new();
    let tap = Tap::start(address(&world.server.url));
    let name = world.server.url.rsplit_once('/').expect("a database").1;
    world.device.connect(&format!("postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable", tap.port()));
    world.device.run(FILTER);
    let mut random = Random::new(7);
    let mut canaries = Canaries::default();
    let keys: Vec<String> = (0..12).map(|_| canaries.text()).collect();
    let mut allowed: BTreeSet<String> = BTreeSet::new();
    let mut leaves = 0;
    for _ in 0..60 {
        for _ in 0..=random.below(5) {
            let key = &keys[random.below(keys.len() as u64) as usize];
            let (body, private) = (canaries.text(), ["0", "1", "NULL"][random.below(3) as usize]);
            let sql = match random.below(6) {
                0 | 1 => format!("INSERT OR REPLACE INTO task VALUES ('{key}', '{body}', {private})"),
                2 => format!("UPDATE task SET body = '{body}' WHERE id = '{key}'"),
                3 => format!("UPDATE task SET private = {private}, body = '{body}' WHERE id = '{key}'"),
                4 => format!("UPDATE task SET private = {private} WHERE id = '{key}'"),
                _ => format!("DELETE FROM task WHERE id = '{key}'"),
            };
            world.device.run(&sql);
        }
        for line in world.device.dump("SELECT id || body FROM task WHERE private = 0") {
            allowed.extend(canary::find(line.as_bytes()));
        }
        world.sync();
        let sent = sent_canaries(&tap);
        let leaked: Vec<&String> = sent.difference(&allowed).collect();
        assert!(leaked.is_empty(), "{leaked:?} left the device");
        let shared = world.device.dump("SELECT id, body, private FROM task WHERE private = 0");
        assert_eq!(world.shared(), shared);
        leaves += world.device.dump("SELECT id FROM task WHERE private IS NOT 0").len();
    }
    assert!(leaves > 60, "rows were private");
    assert_eq!(world.rejected(), [""; 0]);
}
