//! The table setting `atomic`: the rows of one transaction are taken together or refused together.

use std::process::Command;

use cloudsync_conformance::device::Device;
use cloudsync_conformance::required;
use cloudsync_conformance::rls::world::Roles;
use cloudsync_conformance::server::Server;

const DEVICE_DDL: &str = "
    CREATE TABLE orders (id TEXT PRIMARY KEY NOT NULL, owner TEXT);
    CREATE TABLE line (id TEXT PRIMARY KEY NOT NULL, orders TEXT, amount INTEGER);
    CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT);";
const SERVER_DDL: &str = "
    CREATE TABLE orders (id text PRIMARY KEY, owner text);
    CREATE TABLE line (id text PRIMARY KEY, orders text REFERENCES orders, amount bigint CHECK (amount > 0));
    CREATE TABLE note (id text PRIMARY KEY, body text);";
const TABLES: [&str; 3] = ["orders", "line", "note"];
const ALL: &str = "SELECT id FROM orders UNION ALL SELECT id FROM line UNION ALL SELECT id FROM note";
const REJECTED: &str = "SELECT tbl, sqlstate FROM cloudsync_rejections";

fn device(server: &Server, directory: &tempfile::TempDir, name: &str) -> Device {
    let device = Device::create(directory.path(), name, DEVICE_DDL, &TABLES);
    for table in ["orders", "line"] {
        device.run(&format!("SELECT cloudsync_set_table('{table}', 'atomic', '1')"));
    }
    device.connect(&server.url);
    device
}

fn world() -> (Server, tempfile::TempDir, Device) {
    let server = Server::create(SERVER_DDL, &TABLES);
    let directory = tempfile::tempdir().expect("a directory");
    let device = device(&server, &directory, "device");
    (server, directory, device)
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| format!("\"{id}\"")).collect()
}

#[test]
fn a_line_that_a_check_refuses_takes_its_order_along() {
    let (mut server, directory, device) = world();
    device.run("BEGIN; INSERT INTO orders VALUES ('bad', 'a'); INSERT INTO note VALUES ('n', 'free')");
    device.run("INSERT INTO line VALUES ('bad1', 'bad', 1), ('bad2', 'bad', -1); COMMIT");
    device.run("BEGIN; INSERT INTO orders VALUES ('good', 'a'); INSERT INTO line VALUES ('good1', 'good', 2); COMMIT");
    let report = device.sync();
    assert!(report.contains("\"rejected\":3"), "{report}");
    assert_eq!(server.dump(ALL), ids(&["good", "good1", "n"]));
    assert_eq!(device.dump(ALL), server.dump(ALL));
    assert_eq!(device.dump(REJECTED), ["\"line\"|\"23514\"", "\"line\"|\"40000\"", "\"orders\"|\"40000\""]);
    // Later transactions are on their own, and other devices see whole ones only.
    device.run("BEGIN; UPDATE orders SET owner = 'b'; DELETE FROM line; COMMIT");
    device.sync();
    let other = self::device(&server, &directory, "other");
    other.sync();
    assert_eq!(other.dump(ALL), ids(&["good", "n"]));
    assert_eq!(other.dump("SELECT owner FROM orders"), ["\"b\""]);
}

#[test]
fn updates_and_deletes_of_a_refused_transaction_are_undone() {
    let (mut server, _directory, device) = world();
    device.run("INSERT INTO orders VALUES ('o', 'a'), ('p', 'a'); INSERT INTO line VALUES ('l', 'o', 1), ('m', 'o', 1)");
    device.sync();
    let before = "SELECT id, owner FROM orders UNION ALL SELECT id, CAST(amount AS text) FROM line";
    let stood = server.dump(before);
    device.run("BEGIN; UPDATE orders SET owner = 'x' WHERE id = 'o'; DELETE FROM orders WHERE id = 'p'");
    device.run("DELETE FROM line WHERE id = 'm'; UPDATE line SET amount = 0; COMMIT");
    device.sync();
    device.sync();
    assert_eq!(server.dump(before), stood);
    assert_eq!(device.dump(before), stood);
    assert_eq!(device.dump(REJECTED).len(), 4);
}

#[test]
fn transactions_that_share_a_row_stand_or_fall_together() {
    let (mut server, _directory, device) = world();
    device.run("BEGIN; INSERT INTO orders VALUES ('o', 'a'); INSERT INTO line VALUES ('l', 'o', 1); COMMIT");
    device.run("BEGIN; UPDATE line SET amount = 2; INSERT INTO line VALUES ('m', 'o', -1); COMMIT");
    device.run("INSERT INTO orders VALUES ('alone', 'a')");
    device.sync();
    assert_eq!(server.dump(ALL), ids(&["alone"]));
    assert_eq!(device.dump(ALL), ids(&["alone"]));
    assert_eq!(device.dump(REJECTED).len(), 3);
}

#[test]
fn what_builds_on_a_refused_transaction_falls_and_the_rest_stands() {
    let (mut server, _directory, device) = world();
    device.run("BEGIN; INSERT INTO orders VALUES ('o', 'a'); INSERT INTO line VALUES ('l', 'o', -1); COMMIT");
    device.run("BEGIN; INSERT INTO orders VALUES ('p', 'a'); INSERT INTO line VALUES ('m', 'o', 1); COMMIT");
    device.run("BEGIN; INSERT INTO orders VALUES ('q', 'a'); INSERT INTO line VALUES ('n', 'p', 1); COMMIT");
    device.run("BEGIN; INSERT INTO orders VALUES ('r', 'a'); INSERT INTO line VALUES ('k', 'r', 1); COMMIT");
    device.sync();
    assert_eq!(server.dump(ALL), ids(&["k", "r"]));
    assert_eq!(device.dump(ALL), ids(&["k", "r"]));
}

#[test]
fn a_policy_refuses_the_whole_and_a_savepoint_takes_its_part_out() {
    let name = format!("atomic_{}", std::process::id());
    let _roles = Roles(vec![name.clone()]);
    let mut server = Server::create(SERVER_DDL, &TABLES);
    server.run(&format!(
        "CREATE ROLE {name} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON orders, line TO {name};
         ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON orders USING (owner = current_user)"
    ));
    server.url = server.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let directory = tempfile::tempdir().expect("a directory");
    let device = device(&server, &directory, "device");
    let order = |id: &str, owner: &str| format!("INSERT INTO orders VALUES ('{id}', '{owner}')");
    let foreign = order("foreign", "somebody");
    device.run(&format!(
        "BEGIN; {}; {foreign}; INSERT INTO line VALUES ('l1', 'o1', 1); COMMIT",
        order("o1", &name)
    ));
    device.run(
        &format!("BEGIN; {}; SAVEPOINT s; {foreign}x", order("o2", &name))
            .replace(")x", ") ON CONFLICT DO NOTHING"),
    );
    device.run("INSERT INTO line VALUES ('l3', 'o2', -1); ROLLBACK TO s; INSERT INTO line VALUES ('l2', 'o2', 1); COMMIT");
    device.sync();
    assert_eq!(server.dump(ALL), ids(&["l2", "o2"]));
    assert_eq!(device.dump(ALL), ids(&["l2", "o2"]));
    // No right at all on a table is a reason like any other, and a table that the server lacks is waited for.
    server.run(&format!("REVOKE ALL ON line FROM {name}"));
    device.run(&format!("BEGIN; {}; INSERT INTO line VALUES ('l4', 'o4', 1); COMMIT", order("o4", &name)));
    device.sync();
    assert_eq!(server.dump(ALL), ids(&["l2", "o2"]));
    assert!(device.dump(REJECTED).contains(&"\"line\"|\"42501\"".to_owned()), "{:?}", device.dump(REJECTED));
}

#[test]
fn a_table_that_the_server_lacks_is_waited_for() {
    let (mut server, _directory, device) = world();
    server.run("SELECT cloudsync_cleanup('line')");
    device.run("BEGIN; INSERT INTO orders VALUES ('o', 'a'); INSERT INTO line VALUES ('l', 'o', 1); COMMIT");
    device.run("INSERT INTO orders VALUES ('p', 'a')");
    device.sync();
    assert_eq!(server.dump(ALL), ids(&["p"]));
    assert_eq!((device.dump(ALL), device.dump(REJECTED)), (ids(&["l", "o", "p"]), Vec::new()));
    server.run("SELECT cloudsync_init('line')");
    device.sync();
    assert_eq!(server.dump(ALL), ids(&["l", "o", "p"]));
}

/// The program that everybody has, in a process of its own, beside a connection of ours.
#[test]
fn the_sqlite3_shell_writes_transactions_too() {
    let (mut server, directory, device) = world();
    let file = required("CLOUDSYNC_SQLITE_EXTENSION");
    device.run("BEGIN; INSERT INTO orders VALUES ('o', 'a'); INSERT INTO line VALUES ('l', 'o', 1); COMMIT");
    let script = format!(
        "PRAGMA trusted_schema = OFF;\nSELECT load_extension('{file}', 'sqlite3_cloudsync_init') IS NULL;\n\
         BEGIN; INSERT INTO orders VALUES ('bad', 'a'); INSERT OR REPLACE INTO line VALUES ('bad1', 'bad', -1); COMMIT;\n\
         BEGIN; INSERT INTO orders VALUES ('p', 'a'); INSERT INTO line VALUES ('m', 'p', 1); COMMIT;"
    );
    let run = |script: &str| {
        let path = directory.path().join("device.db");
        let output = Command::new("sqlite3").arg("-bail").arg(path).arg(script).output();
        let output = output.expect("the sqlite3 program is installed");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&script), (true, String::new()));
    let (done, said) = run("INSERT INTO orders VALUES ('unseen', 'a')");
    assert!(!done && said.contains("cloudsync_transaction"), "without the extension: {said}");
    device.sync();
    assert_eq!(server.dump(ALL), ids(&["l", "m", "o", "p"]));
    assert_eq!(device.dump(ALL), server.dump(ALL));
}
