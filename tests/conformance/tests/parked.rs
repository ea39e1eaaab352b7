//! Rows of the server that a device's own constraints refuse: they stop no other row, and come when they
//! fit.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;

struct Pair {
    server: Server,
    device: Device,
    _directory: tempfile::TempDir,
}

impl Pair {
    fn new(server_ddl: &str, device_ddl: &str, tables: &[&str]) -> Pair {
        let directory = tempfile::tempdir().expect("a directory");
        let server = Server::create(server_ddl, tables);
        let device = Device::create(directory.path(), "device", device_ddl, tables);
        device.connect(&server.url);
        Pair { server, device, _directory: directory }
    }

    fn sync(&mut self) -> String {
        self.device.sync()
    }

    fn parked(&self) -> Vec<String> {
        self.device.dump("SELECT tbl, sqlstate, message FROM cloudsync_parked")
    }

    fn assert_equal(&mut self, sql: &str) {
        assert_eq!(self.device.dump(sql), self.server.dump(sql));
        assert_eq!(self.parked(), Vec::<String>::new());
    }
}

const ROWS: &str = "SELECT id, n FROM item";

#[test]
fn a_row_that_the_devices_check_refuses_waits_and_stops_no_other() {
    let mut pair = Pair::new(
        "CREATE TABLE item (id text PRIMARY KEY, n bigint)",
        "CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, n INTEGER CHECK (n < 10))",
        &["item"],
    );
    pair.server.run("INSERT INTO item VALUES ('a', 1), ('b', 99), ('c', 3)");
    assert!(pair.sync().contains(r#""rows":2"#));
    assert_eq!(pair.device.dump(ROWS), [r#""a"|1"#, r#""c"|3"#]);
    assert_eq!(pair.parked(), [r#""item"|"23514"|"CHECK constraint failed: n < 10""#]);
    pair.server.run("INSERT INTO item VALUES ('d', 4); UPDATE item SET n = 50 WHERE id = 'a'");
    pair.sync();
    assert_eq!(pair.device.dump(ROWS), [r#""a"|1"#, r#""c"|3"#, r#""d"|4"#], "what stood stands");
    assert_eq!(pair.parked().len(), 2);
    // One is overtaken, the other goes.
    pair.server.run("UPDATE item SET n = 5 WHERE id = 'b'; DELETE FROM item WHERE id = 'a'");
    pair.sync();
    pair.assert_equal(ROWS);
}

#[test]
fn values_that_rows_swapped_on_the_server_are_swapped_on_the_device() {
    let mut pair = Pair::new(
        "CREATE TABLE item (id text PRIMARY KEY, n bigint UNIQUE DEFERRABLE, note text)",
        "CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, n INTEGER UNIQUE, note TEXT)",
        &["item"],
    );
    pair.server.run("INSERT INTO item VALUES ('a', 1, 'A'), ('b', 2, 'B'), ('c', 3, 'C')");
    pair.sync();
    pair.device.run("UPDATE item SET note = 'edited here' WHERE id = 'b'");
    pair.server.run("UPDATE item SET n = n % 3 + 1; INSERT INTO item VALUES ('d', 4, 'D')");
    pair.sync();
    pair.assert_equal("SELECT id, n, note FROM item");
    // A chain: a new row takes the value that an old one gave up, and is told before it.
    pair.server.run(
        "BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE item SET n = 9 WHERE id = 'd'; UPDATE item SET n = 4 WHERE id = 'a'; COMMIT",
    );
    pair.sync();
    pair.assert_equal("SELECT id, n, note FROM item");
}

#[test]
fn a_parked_row_comes_when_the_local_row_in_its_way_has_gone() {
    let mut pair = Pair::new(
        "CREATE TABLE item (id text PRIMARY KEY, n bigint)",
        "CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, n INTEGER UNIQUE)",
        &["item"],
    );
    pair.device.run("INSERT INTO item VALUES ('mine', 1)");
    pair.server.run("INSERT INTO item VALUES ('theirs', 1)");
    pair.sync();
    assert_eq!(pair.device.dump(ROWS), [r#""mine"|1"#]);
    assert_eq!(pair.parked(), [r#""item"|"23505"|"UNIQUE constraint failed: item.n""#]);
    pair.device.run("UPDATE item SET n = 2 WHERE id = 'mine'");
    pair.sync();
    pair.assert_equal(ROWS);
}
