//! What a server that trusts no client means for honest devices: site ids that belong to users, fresh rows
//! on old tombstones, and pushes that give up waiting.

use std::thread;
use std::time::Duration;

use cloudsync_conformance::device::Device;
use cloudsync_conformance::rls::world::Roles;
use cloudsync_conformance::server::Server;

const DEVICE_DDL: &str = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, a TEXT, b TEXT);";
const SERVER_DDL: &str = "CREATE TABLE note (id text PRIMARY KEY, a text, b text);";
const DUMP: &str = "SELECT id, a, b FROM note";

fn devices<const N: usize>(server: &Server, directory: &tempfile::TempDir, names: [&str; N]) -> [Device; N] {
    names.map(|name| {
        let device = Device::create(directory.path(), name, DEVICE_DDL, &["note"]);
        device.connect(&server.url);
        device.sync();
        device
    })
}

#[test]
fn a_fresh_row_on_an_old_tombstone_is_not_lost_in_silence() {
    let mut server = Server::create(SERVER_DDL, &["note"]);
    server.run("INSERT INTO note VALUES ('n', 'old', 'old'); DELETE FROM note");
    let directory = tempfile::tempdir().expect("a directory");
    let [one, two] = devices(&server, &directory, ["one", "two"]);
    one.run("INSERT INTO note VALUES ('n', 'fresh', 'fresh')");
    one.sync();
    assert_eq!(server.dump(DUMP), ["\"n\"|\"fresh\"|\"fresh\""]);
    // It is one row from now on: edits on both sides meet in it, and a delete ends it.
    one.run("UPDATE note SET a = 'edited'");
    two.run("INSERT INTO note VALUES ('n', 'two', 'two')");
    one.sync();
    two.sync();
    server.run("UPDATE note SET b = 'server'");
    one.sync();
    two.sync();
    one.sync();
    assert_eq!(server.dump(DUMP), ["\"n\"|\"two\"|\"server\""]);
    for device in [&one, &two] {
        assert_eq!(device.dump(DUMP), server.dump(DUMP));
    }
    two.run("DELETE FROM note");
    two.sync();
    one.run("UPDATE note SET a = 'too late'");
    one.sync();
    assert_eq!((server.dump(DUMP), one.dump(DUMP)), (Vec::new(), Vec::new()));
    // And again, on the device that has deleted it itself.
    two.run("INSERT INTO note VALUES ('n', 'third', 'life')");
    two.sync();
    one.sync();
    for device in [&one, &two] {
        assert_eq!(device.dump(DUMP), ["\"n\"|\"third\"|\"life\""]);
    }
}

#[test]
fn another_user_of_the_device_has_to_log_out_first() {
    let names = ["anna", "ben"].map(|name| format!("trust_{name}_{}", std::process::id()));
    let _roles = Roles(names.to_vec());
    let mut server = Server::create(SERVER_DDL, &["note"]);
    for name in &names {
        server.run(&format!(
            "CREATE ROLE {name} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON note TO {name}"
        ));
    }
    let urls = names.map(|name| server.url.replace("postgres://postgres@", &format!("postgres://{name}@")));
    let directory = tempfile::tempdir().expect("a directory");
    let device = Device::create(directory.path(), "shared", DEVICE_DDL, &["note"]);
    device.connect(&urls[0]);
    device.run("INSERT INTO note VALUES ('anna', 'a', 'b')");
    device.sync();
    device.connect(&urls[1]);
    device.run("INSERT INTO note VALUES ('ben', 'a', 'b')");
    let refused = device.conn.query_row("SELECT cloudsync_network_sync()", [], |row| row.get::<_, String>(0));
    let refused = refused.expect_err("the site id is Anna's").to_string();
    assert!(refused.contains("cloudsync_network_logout()"), "{refused}");
    assert_eq!(server.dump("SELECT id FROM note"), ["\"anna\""]);
    device.run("SELECT cloudsync_network_logout()");
    device.connect(&urls[1]);
    device.run("INSERT INTO note VALUES ('ben', 'a', 'b')");
    device.sync();
    assert_eq!(server.dump("SELECT id FROM note"), ["\"anna\"", "\"ben\""]);
    assert_eq!(device.dump(DUMP), server.dump(DUMP));
}

#[test]
fn a_sync_that_met_a_stuck_transaction_can_be_repeated() {
    let mut server = Server::create(SERVER_DDL, &["note"]);
    server.run("INSERT INTO note VALUES ('n', 'a', 'b')");
    let directory = tempfile::tempdir().expect("a directory");
    let [device] = devices(&server, &directory, ["device"]);
    let mut stuck = server.second_connection();
    stuck.batch_execute("BEGIN").expect("a transaction");
    stuck.batch_execute("UPDATE note SET a = 'stuck'").expect("an update");
    device.run("UPDATE note SET b = 'device'; INSERT INTO note VALUES ('m', 'a', 'b')");
    let (sender, receiver) = std::sync::mpsc::channel();
    let conn = device.second_connection();
    let syncing = thread::spawn(move || {
        // A connection of its own has to be told the server anew.
        let result =
            conn.query_row("SELECT cloudsync_network_init(?1)", [receiver.recv().expect("a URL")], |row| {
                row.get::<_, i64>(0)
            });
        result.expect("cloudsync_network_init");
        conn.query_row("SELECT cloudsync_network_sync()", [], |row| row.get::<_, String>(0))
            .map_err(|error| error.to_string())
    });
    sender.send(server.url.clone()).expect("the thread listens");
    let mut waited = Duration::ZERO;
    while !syncing.is_finished() && waited < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(100));
        waited += Duration::from_millis(100);
    }
    assert!(syncing.is_finished(), "the sync waits for ever");
    let error = syncing.join().expect("no panic").expect_err("the row is locked");
    assert!(error.contains("lock timeout"), "{error}");
    stuck.batch_execute("COMMIT").expect("it ends");
    device.sync();
    assert_eq!(server.dump(DUMP), ["\"m\"|\"a\"|\"b\"", "\"n\"|\"stuck\"|\"device\""]);
    assert_eq!(device.dump(DUMP), server.dump(DUMP));
}

#[test]
fn rows_that_another_users_device_passes_on_stay_one_row() {
    let names = ["anna", "ben"].map(|name| format!("relay_{name}_{}", std::process::id()));
    let _roles = Roles(names.to_vec());
    let mut server = Server::create(SERVER_DDL, &["note"]);
    for name in &names {
        server.run(&format!(
            "CREATE ROLE {name} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON note TO {name}"
        ));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let [anna, ben] = names.map(|name| {
        let device = Device::create(directory.path(), &name, DEVICE_DDL, &["note"]);
        device.connect(&server.url.replace("postgres://postgres@", &format!("postgres://{name}@")));
        device
    });
    let file = directory.path().join("changes.bin").display().to_string();
    let pass = |from: &Device, to: &Device| {
        from.run(&format!("SELECT cloudsync_payload_save('{file}')"));
        to.run(&format!("SELECT cloudsync_payload_load('{file}')"));
    };
    // Her site is unknown at first: her stamps stay. After her first push they are hers alone.
    for (id, a) in [("early", "unknown site"), ("late", "known site")] {
        anna.run(&format!("INSERT INTO note VALUES ('{id}', '{a}', 'b')"));
        pass(&anna, &ben);
        ben.sync();
        anna.run(&format!("UPDATE note SET b = 'anna' WHERE id = '{id}'"));
        ben.run(&format!("UPDATE note SET a = 'ben' WHERE id = '{id}'"));
        pass(&ben, &anna);
        for device in [&anna, &ben, &anna, &ben] {
            device.sync();
        }
        assert_eq!(server.dump(&format!("SELECT a, b FROM note WHERE id = '{id}'")), ["\"ben\"|\"anna\""]);
        assert_eq!((anna.dump(DUMP), ben.dump(DUMP)), (server.dump(DUMP), server.dump(DUMP)));
    }
    anna.run("DELETE FROM note");
    pass(&anna, &ben);
    ben.sync();
    anna.sync();
    ben.sync();
    assert_eq!((anna.dump(DUMP), ben.dump(DUMP), server.dump(DUMP)), (Vec::new(), Vec::new(), Vec::new()));
}
