//! Two rows with one unique value: the one that the server has first stays untouched, the other is listed and
//! ends the same on every replica.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;

const TABLES: [&str; 1] = ["t"];
const SERVER_DDL: &str = "CREATE TABLE t (id text PRIMARY KEY, code text UNIQUE, note text)";
const DEVICE_DDL: &str = "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, code TEXT UNIQUE, note TEXT);";
const ALL: &str = "SELECT id, code, note FROM t";
const REJECTED: &str = "SELECT cloudsync_pk_decode(pk, 1), operation, sqlstate FROM cloudsync_rejections";
const PAYLOAD: &str = "SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, \
    site_id, cl, seq) FROM cloudsync_changes";

struct World {
    server: Server,
    devices: [Device; 3],
    _directory: tempfile::TempDir,
}

impl World {
    fn new(server_ddl: &str, rows: &str) -> World {
        let directory = tempfile::tempdir().expect("a directory");
        let mut server = Server::create(server_ddl, &TABLES);
        server.run(rows);
        let device = |name: &str| Device::create(directory.path(), name, DEVICE_DDL, &TABLES);
        let devices = [device("a"), device("b"), device("c")];
        for device in &devices {
            device.connect(&server.url);
            device.sync();
        }
        World { server, devices, _directory: directory }
    }

    fn run(&self, device: usize, sql: &str) {
        self.devices[device].run(sql);
    }

    fn sync(&self, device: usize) {
        self.devices[device].sync();
    }

    /// All hold exactly these rows, and nothing waits.
    fn assert_all(&mut self, rows: &[&str]) {
        for _ in 0..2 {
            self.devices.iter().for_each(|device| drop(device.sync()));
        }
        assert_eq!(self.server.dump(ALL), rows);
        for device in &self.devices {
            assert_eq!(device.dump(ALL), rows);
            assert_eq!(device.dump("SELECT * FROM cloudsync_parked"), Vec::<String>::new());
            assert_eq!(device.dump("SELECT cloudsync_network_has_unsent_changes()"), ["0"]);
        }
    }

    fn rejected(&self, device: usize) -> Vec<String> {
        self.devices[device].dump(REJECTED)
    }
}

#[test]
fn an_insert_that_comes_second_is_rolled_back_and_listed() {
    let mut world = World::new(SERVER_DDL, "");
    world.run(0, "INSERT INTO t VALUES ('a', 'K', 'first')");
    world.run(1, "INSERT INTO t VALUES ('b', 'K', 'second')");
    world.run(2, "INSERT INTO t VALUES ('c', 'K', 'third'), ('c2', 'L', 'free')");
    // One has the winner before it sends its own, the other not.
    world.sync(1);
    world.devices[0].text("SELECT cloudsync_network_check_changes()");
    assert_eq!(world.devices[0].dump("SELECT count(*) FROM cloudsync_parked"), ["1"]);
    world.assert_all(&[r#""b"|"K"|"second""#, r#""c2"|"L"|"free""#]);
    assert_eq!(world.rejected(0), [r#""a"|"write"|"23505""#]);
    assert_eq!(world.rejected(1), Vec::<String>::new());
    assert_eq!(world.rejected(2), [r#""c"|"write"|"23505""#]);
    // The winner goes: the value is free for whoever writes next.
    world.run(1, "DELETE FROM t WHERE id = 'b'");
    world.sync(1);
    world.sync(0);
    world.run(0, "INSERT INTO t VALUES ('a', 'K', 'again')");
    world.assert_all(&[r#""a"|"K"|"again""#, r#""c2"|"L"|"free""#]);
}

#[test]
fn an_update_that_takes_anothers_value_is_undone_and_listed() {
    let mut world = World::new(SERVER_DDL, "INSERT INTO t VALUES ('a', 'A', 'a'), ('b', 'B', 'b')");
    world.run(0, "UPDATE t SET code = 'K' WHERE id = 'a'");
    world.run(1, "UPDATE t SET code = 'K', note = 'and more' WHERE id = 'b'");
    world.run(2, "UPDATE t SET note = 'edited' WHERE id = 'b'");
    world.assert_all(&[r#""a"|"K"|"a""#, r#""b"|"B"|"edited""#]);
    assert_eq!(world.rejected(1), [r#""b"|"write"|"23505""#]);
    // Later edits of the row whose write was refused are writes like any other.
    world.run(1, "UPDATE t SET note = 'later' WHERE id = 'b'");
    world.assert_all(&[r#""a"|"K"|"a""#, r#""b"|"B"|"later""#]);
}

#[test]
fn two_devices_that_give_a_row_the_others_value_both_keep_what_the_server_has() {
    let mut world = World::new(SERVER_DDL, "INSERT INTO t VALUES ('a', 'A', ''), ('b', 'B', '')");
    world.run(0, "UPDATE t SET code = NULL WHERE id = 'b'; UPDATE t SET code = 'B' WHERE id = 'a'");
    world.run(1, "UPDATE t SET code = NULL WHERE id = 'a'; UPDATE t SET code = 'A' WHERE id = 'b'");
    world.sync(0);
    world.sync(1);
    world.assert_all(&[r#""a"|NULL|"""#, r#""b"|"A"|"""#]);
}

const SWAP: &str = "UPDATE t SET code = 'x' WHERE id = 'a'; UPDATE t SET code = 'A' WHERE id = 'b';
    UPDATE t SET code = 'B' WHERE id = 'a'";

/// A constraint that is checked row by row cannot see that another row is about to give the value up.
#[test]
fn values_swapped_on_a_device_need_a_constraint_that_can_be_deferred() {
    let rows = "INSERT INTO t VALUES ('a', 'A', ''), ('b', 'B', '')";
    let mut world = World::new(&SERVER_DDL.replace("UNIQUE", "UNIQUE DEFERRABLE"), rows);
    world.run(0, SWAP);
    world.assert_all(&[r#""a"|"B"|"""#, r#""b"|"A"|"""#]);
    assert_eq!(world.rejected(0), Vec::<String>::new());
    let mut world = World::new(SERVER_DDL, rows);
    world.run(0, SWAP);
    world.assert_all(&[r#""a"|"A"|"""#, r#""b"|"B"|"""#]);
    assert_eq!(world.rejected(0).len(), 2);
}

#[test]
fn values_passed_on_along_a_chain_are_taken_in_whatever_order_they_come() {
    let rows = "INSERT INTO t SELECT 'r' || n, 'c' || n, '' FROM generate_series(1, 9) n";
    let mut world = World::new(SERVER_DDL, rows);
    for at in (1..=9).rev() {
        world.run(0, &format!("UPDATE t SET code = 'c{}' WHERE id = 'r{at}'", at + 1));
    }
    for at in 1..=9 {
        world.run(0, &format!("INSERT INTO t VALUES ('n{at}', 'n{at}', '')"));
    }
    let expected: Vec<String> = (1..=9)
        .map(|at| format!(r#""n{at}"|"n{at}"|"""#))
        .chain((1..=9).map(|at| format!(r#""r{at}"|"c{}"|"""#, at + 1)))
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    world.assert_all(&expected);
    assert_eq!(world.rejected(0), Vec::<String>::new());
}

/// What devices settled among themselves the server may decide otherwise: what it accepted stays.
#[test]
fn the_server_decides_over_what_devices_settled_among_themselves() {
    let mut world = World::new(SERVER_DDL, "");
    world.run(0, "INSERT INTO t VALUES ('a', 'K', 'earlier')");
    world.run(0, "SELECT cloudsync_db_version()");
    std::thread::sleep(std::time::Duration::from_millis(5));
    world.run(1, "INSERT INTO t VALUES ('b', 'K', 'later')");
    let give = |world: &World, from: usize, to: usize| {
        let payload: Vec<u8> =
            world.devices[from].conn.query_row(PAYLOAD, [], |row| row.get(0)).expect("a payload");
        let apply = "SELECT cloudsync_payload_apply(?1)";
        world.devices[to].conn.query_row(apply, [payload], |_| Ok(())).expect("applied");
    };
    give(&world, 1, 0);
    give(&world, 0, 1);
    assert_eq!(world.devices[1].dump(ALL), [r#""a"|"K"|"earlier""#]);
    assert_eq!(world.devices[1].dump("SELECT cloudsync_pk_decode(pk, 1) FROM cloudsync_parked"), [r#""b""#]);
    // A third device brought another row to the server first.
    world.run(2, "INSERT INTO t VALUES ('c', 'K', 'on the server')");
    world.sync(2);
    world.sync(0);
    world.sync(1);
    for device in &world.devices {
        assert_eq!(device.dump(ALL), [r#""c"|"K"|"on the server""#]);
    }
    // What waits comes when the value is free, and is sent then.
    world.server.run("DELETE FROM t");
    world.sync(1);
    world.sync(1);
    world.run(1, "SELECT cloudsync_db_version()");
    world.assert_all(&[r#""b"|"K"|"later""#]);
}
