//! Tables and columns that one side has before the other.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;

const DEVICE_DDL: &str = "CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, a TEXT)";
const SERVER_DDL: &str = "CREATE TABLE item (id text PRIMARY KEY, a text)";
const ALL: &str = "SELECT id, a, c FROM item";

#[test]
fn a_table_that_the_server_syncs_later_comes_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Server::create(SERVER_DDL, &[]);
    server.run("INSERT INTO item VALUES ('old', 'written before')");
    let device = Device::create(directory.path(), "device", DEVICE_DDL, &["item"]);
    device.connect(&server.url);
    device.run("INSERT INTO item VALUES ('mine', 'written here')");
    device.sync();
    device.sync();
    server.run("SELECT cloudsync_init('item')");
    device.sync();
    device.sync();
    let dump = "SELECT id, a FROM item";
    assert_eq!(server.dump(dump).len(), 2);
    assert_eq!(device.dump(dump), server.dump(dump));
}

/// Once the values that came before the device had the column were lost to it for good.
#[test]
fn a_column_that_the_device_gets_later_is_filled() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Server::create(SERVER_DDL, &["item"]);
    let [early, late] = ["early", "late"].map(|name| {
        let device = Device::create(directory.path(), name, DEVICE_DDL, &["item"]);
        device.connect(&server.url);
        device
    });
    early.run("INSERT INTO item VALUES ('k1', 'a'), ('k2', 'a'), ('k3', 'a')");
    early.sync();
    late.sync();
    server.run("ALTER TABLE item ADD COLUMN c bigint DEFAULT 7; UPDATE item SET c = 8 WHERE id = 'k1'");
    server.run("INSERT INTO item VALUES ('k4', 'a', 9), ('k5', 'a', DEFAULT)");
    late.sync();
    late.run("UPDATE item SET a = 'b' WHERE id = 'k2'");
    late.sync();
    for device in [&early, &late] {
        device.run("ALTER TABLE item ADD COLUMN c INTEGER DEFAULT 7");
        device.run("INSERT INTO item VALUES (cloudsync_uuid(), 'new', 3)");
        device.sync();
    }
    early.sync();
    assert_eq!(server.dump(ALL).len(), 7);
    assert_eq!(early.dump(ALL), server.dump(ALL));
    assert_eq!(late.dump(ALL), server.dump(ALL));
    late.run("UPDATE item SET c = 1 WHERE id = 'k3'");
    late.sync();
    early.sync();
    assert_eq!(early.dump(ALL), server.dump(ALL));
    assert_eq!(early.dump("SELECT c FROM item WHERE id = 'k3'"), ["1"]);
}
