//! Constraints do not stop a sync: what cannot stand is listed with its reason, the rest arrives.

use std::collections::BTreeSet;

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;

/// A server and devices, each with its own idea of the tables.
struct World {
    server: Server,
    directory: tempfile::TempDir,
    tables: &'static [&'static str],
}

impl World {
    fn new(ddl: &str, tables: &'static [&'static str]) -> World {
        let server = Server::create(ddl, &[]);
        let directory = tempfile::tempdir().expect("a directory");
        let mut world = World { server, directory, tables };
        for table in tables {
            world.server.run(&format!("SELECT cloudsync_init('{table}', 'cls', 2)"));
        }
        world
    }

    fn device(&self, name: &str, ddl: &str) -> Device {
        let device = Device::create(self.directory.path(), name, ddl, &[]);
        for table in self.tables {
            device.text(&format!("SELECT cloudsync_init('{table}', 'cls', 2)"));
        }
        device.connect(&self.server.url);
        device
    }

    /// The rows of the server but for those that are parked on the device.
    fn assert_equal_but_for_parked(&mut self, device: &Device, keys: &[(&str, &str)]) {
        for (table, columns) in keys {
            let parked: BTreeSet<String> = device
                .dump(&format!(
                    "SELECT cloudsync_pk_decode(pk, 1) FROM cloudsync_parked WHERE tbl = '{table}'"
                ))
                .into_iter()
                .collect();
            let sql = format!("SELECT {columns} FROM {table}");
            let is_parked = |row: &String| row.split('|').next().is_some_and(|id| parked.contains(id));
            let (listed, expected): (Vec<String>, Vec<String>) =
                self.server.dump(&sql).into_iter().partition(is_parked);
            assert_eq!(device.dump(&sql), expected, "{table}");
            assert_eq!(listed.len(), parked.len(), "{table}: what is parked is the server's");
        }
    }
}

const PARKED: &str = "SELECT tbl, cloudsync_pk_decode(pk, 1), sqlstate FROM cloudsync_parked";
const REJECTED: &str = "SELECT tbl, cloudsync_pk_decode(pk, 1), sqlstate FROM cloudsync_rejections";

const CYCLE_SERVER: &str = "
    CREATE TABLE team (id text PRIMARY KEY, name text, lead text);
    CREATE TABLE person (id text PRIMARY KEY, email text UNIQUE, age bigint CHECK (age >= 0),
        team text REFERENCES team, boss text REFERENCES person);
    ALTER TABLE team ADD CONSTRAINT lead_is_person FOREIGN KEY (lead) REFERENCES person";
const CYCLE_DEVICE: &str = "
    PRAGMA foreign_keys = ON;
    CREATE TABLE team (id TEXT PRIMARY KEY NOT NULL, name TEXT UNIQUE, lead TEXT REFERENCES person DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE person (id TEXT PRIMARY KEY NOT NULL, email TEXT UNIQUE COLLATE NOCASE, age INTEGER CHECK (age < 150),
        team TEXT REFERENCES team, boss TEXT REFERENCES person DEFERRABLE INITIALLY DEFERRED);";
const CYCLE: [(&str, &str); 2] = [("team", "id, name, lead"), ("person", "id, email, age, team, boss")];
const CYCLE_TABLES: [&str; 2] = ["team", "person"];

/// The measure of all this: whatever the constraints, a fresh device syncs to the end, and what it does not
/// have is listed.
#[test]
fn a_fresh_device_gets_everything_but_what_is_listed() {
    let mut world = World::new(CYCLE_SERVER, &CYCLE_TABLES);
    world.server.run(
        "INSERT INTO team SELECT 't' || n, 'team ' || (n % 400), NULL FROM generate_series(1, 401) n;
         INSERT INTO person SELECT 'p' || n, 'p' || n || '@x', n % 151, 't' || (n % 401 + 1), NULL
             FROM generate_series(1, 3000) n;
         UPDATE person SET boss = 'p' || (3001 - substr(id, 2)::int);
         UPDATE team SET lead = 'p' || (substr(id, 2)::int * 7);
         INSERT INTO person VALUES ('upper', 'P5@X', 1, 't1', 'upper')",
    );
    let device = world.device("fresh", CYCLE_DEVICE);
    device.sync();
    let parked = device.dump(PARKED);
    assert_eq!(parked.iter().filter(|row| row.ends_with("\"23514\"")).count(), 3000 / 151, "{parked:?}");
    assert_eq!(parked.iter().filter(|row| row.ends_with("\"23505\"")).count(), 2, "{parked:?}");
    world.assert_equal_but_for_parked(&device, &CYCLE);
    assert_eq!(device.dump("SELECT count(*) FROM cloudsync_rejections"), ["0"]);
    // What stood in the way goes, one by one, on the server and here; nothing stays listed.
    world.server.run("UPDATE person SET age = 9 WHERE age >= 150; DELETE FROM person WHERE id = 'upper'");
    device.run("UPDATE team SET name = id");
    device.sync();
    assert_eq!(device.dump(PARKED), Vec::<String>::new());
    world.assert_equal_but_for_parked(&device, &CYCLE);
    device.sync();
    assert_eq!(device.dump("SELECT * FROM pragma_foreign_key_check"), Vec::<String>::new());
    // A second one, from where the first left it.
    let second = world.device("second", CYCLE_DEVICE);
    second.sync();
    world.assert_equal_but_for_parked(&second, &CYCLE);
}

const SMALL_CYCLE: &str = "
    BEGIN;
    INSERT INTO team VALUES ('t', 'T', 'p');
    INSERT INTO person VALUES ('p', 'p@x', 1, 't', 'q'), ('q', 'q@x', 2, 't', 'p');
    COMMIT";

#[test]
fn a_cycle_of_foreign_keys_that_are_checked_at_once_is_sent() {
    let mut world = World::new(CYCLE_SERVER, &CYCLE_TABLES);
    let device = world.device("device", CYCLE_DEVICE);
    device.run(SMALL_CYCLE);
    device.sync();
    assert_eq!(device.dump(REJECTED), Vec::<String>::new());
    world.assert_equal_but_for_parked(&device, &CYCLE);
    assert_eq!(world.server.dump("SELECT id, lead FROM team"), [r#""t"|"p""#]);
}

#[test]
fn a_row_at_fault_does_not_break_the_cycles_of_others() {
    for deferrable in ["", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"] {
        let ddl = CYCLE_SERVER.replace("REFERENCES team", &format!("REFERENCES team{deferrable}"));
        let ddl = format!("{}{deferrable}", ddl);
        let mut world = World::new(&ddl, &CYCLE_TABLES);
        let device = world.device("device", CYCLE_DEVICE);
        device.run(SMALL_CYCLE);
        device.run(
            "INSERT INTO person VALUES ('bad', 'bad@x', -1, 't', NULL), ('worse', 'w@x', 1, 't', 'bad')",
        );
        device.run("INSERT INTO team VALUES ('bad', 'B', 'worse')");
        device
            .run("PRAGMA foreign_keys = OFF; INSERT INTO person VALUES ('lost', 'l@x', 1, 'nowhere', NULL)");
        device.sync();
        world.assert_equal_but_for_parked(&device, &CYCLE);
        assert_eq!(world.server.dump("SELECT id, lead FROM team"), [r#""t"|"p""#], "{deferrable}");
        assert_eq!(
            device.dump(REJECTED),
            [
                r#""person"|"bad"|"23514""#,
                r#""person"|"lost"|"23503""#,
                r#""person"|"worse"|"23503""#,
                r#""team"|"bad"|"23503""#
            ],
            "{deferrable}"
        );
    }
}

#[test]
fn a_long_chain_of_self_references_is_sent_whatever_else_is_refused() {
    let mut world = World::new(CYCLE_SERVER, &CYCLE_TABLES);
    let device = world.device("device", CYCLE_DEVICE);
    device.run(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO person SELECT printf('p%03d', i), i, CASE i WHEN 150 THEN -1 ELSE i % 90 END, NULL,
             CASE i WHEN 150 THEN NULL WHEN 300 THEN NULL WHEN 149 THEN NULL ELSE printf('p%03d', i + 1) END FROM n",
    );
    device.sync();
    assert_eq!(device.dump(REJECTED), [r#""person"|"p150"|"23514""#]);
    world.assert_equal_but_for_parked(&device, &CYCLE[1..]);
}

const TREE_SERVER: &str = "
    CREATE TABLE folder (id text PRIMARY KEY, name text);
    CREATE TABLE file (id text PRIMARY KEY, name text, folder text REFERENCES folder ON DELETE CASCADE);
    CREATE TABLE link (id text PRIMARY KEY, name text, file text REFERENCES file ON DELETE SET NULL)";
const TREE_DEVICE: &str = "
    PRAGMA foreign_keys = ON;
    CREATE TABLE folder (id TEXT PRIMARY KEY NOT NULL, name TEXT);
    CREATE TABLE file (id TEXT PRIMARY KEY NOT NULL, name TEXT, folder TEXT REFERENCES folder ON DELETE CASCADE);
    CREATE TABLE link (id TEXT PRIMARY KEY NOT NULL, name TEXT, file TEXT REFERENCES file ON DELETE SET NULL);";
const TREE_TABLES: [&str; 3] = ["folder", "file", "link"];
const TREE: [(&str, &str); 3] =
    [("folder", "id, name"), ("file", "id, name, folder"), ("link", "id, name, file")];
const TREE_ROWS: &str = "
    INSERT INTO folder VALUES ('a', 'A'), ('b', 'B');
    INSERT INTO file VALUES ('a1', 'a1', 'a'), ('a2', 'a2', 'a'), ('b1', 'b1', 'b');
    INSERT INTO link VALUES ('to-a1', 'l', 'a1'), ('to-b1', 'm', 'b1')";

/// A world in which two devices have the same tree.
fn tree() -> (World, Device, Device) {
    let mut world = World::new(TREE_SERVER, &TREE_TABLES);
    world.server.run(TREE_ROWS);
    let (one, two) = (world.device("one", TREE_DEVICE), world.device("two", TREE_DEVICE));
    one.sync();
    two.sync();
    world.assert_equal_but_for_parked(&two, &TREE);
    (world, one, two)
}

impl World {
    /// After these syncs all have the same, and nothing is unsent.
    fn assert_settled(&mut self, devices: &[&Device], keys: &[(&str, &str)]) {
        for _ in 0..2 {
            devices.iter().for_each(|device| drop(device.sync()));
        }
        for device in devices {
            assert_eq!(device.dump(PARKED), Vec::<String>::new());
            assert_eq!(device.dump("SELECT cloudsync_network_has_unsent_changes()"), ["0"]);
            self.assert_equal_but_for_parked(device, keys);
        }
    }
}

#[test]
fn a_parent_deleted_on_the_server_takes_its_children_everywhere() {
    let (mut world, one, two) = tree();
    world.server.run("DELETE FROM folder WHERE id = 'a'");
    one.sync();
    assert_eq!(
        one.dump("SELECT cloudsync_network_has_unsent_changes()"),
        ["0"],
        "a cascade is no local write"
    );
    world.assert_settled(&[&one, &two], &TREE);
    assert_eq!(two.dump("SELECT id FROM file"), [r#""b1""#]);
    assert_eq!(two.dump("SELECT id, file FROM link"), [r#""to-a1"|NULL"#, r#""to-b1"|"b1""#]);
}

#[test]
fn a_parent_deleted_on_a_device_takes_its_children_everywhere() {
    let (mut world, one, two) = tree();
    one.run("DELETE FROM folder WHERE id = 'a'");
    two.run("UPDATE link SET name = 'edited' WHERE id = 'to-a1'");
    world.assert_settled(&[&one, &two, &one], &TREE);
    assert_eq!(two.dump("SELECT id FROM file"), [r#""b1""#]);
    assert_eq!(two.dump("SELECT id, name, file FROM link WHERE id = 'to-a1'"), [r#""to-a1"|"edited"|NULL"#]);
}

/// What the cascade of one replica does not reach, another's later move has saved.
#[test]
fn a_cascade_does_not_reach_a_child_that_was_moved_away() {
    let (mut world, one, two) = tree();
    two.run("UPDATE file SET folder = 'b' WHERE id = 'a1'");
    two.sync();
    world.server.run("DELETE FROM folder WHERE id = 'a'");
    // The device has the child still under the parent that is gone: its own cascade must not count.
    world.assert_settled(&[&one, &two], &TREE);
    assert_eq!(one.dump("SELECT id, folder FROM file"), [r#""a1"|"b""#, r#""b1"|"b""#]);
    assert_eq!(one.dump("SELECT file FROM link WHERE id = 'to-a1'"), [r#""a1""#]);
}

#[test]
fn a_child_added_where_its_parent_was_deleted_elsewhere_is_listed() {
    let (mut world, one, two) = tree();
    two.run("INSERT INTO file VALUES ('a3', 'a3', 'a'); INSERT INTO link VALUES ('to-a3', 'n', 'a3')");
    one.run("DELETE FROM folder WHERE id = 'a'");
    one.sync();
    world.assert_settled(&[&one, &two], &TREE);
    assert_eq!(two.dump(REJECTED), [r#""file"|"a3"|"23503""#, r#""link"|"to-a3"|"23503""#]);
}

#[test]
fn a_child_sent_before_its_parent_is_deleted_goes_with_it() {
    let (mut world, one, two) = tree();
    two.run("INSERT INTO file VALUES ('a3', 'a3', 'a')");
    two.sync();
    one.run("DELETE FROM folder WHERE id = 'a'");
    world.assert_settled(&[&one, &two], &TREE);
    assert_eq!(two.dump("SELECT id FROM file"), [r#""b1""#]);
}

/// Foreign keys cannot be switched off inside the application's own transaction: a row that was written here
/// alone would go with its parent, and nobody would hear of it.
#[test]
fn a_payload_that_would_cascade_is_refused_inside_a_transaction() {
    let (_world, one, two) = tree();
    two.run("INSERT INTO file VALUES ('a3', 'local', 'a')");
    one.run("DELETE FROM folder WHERE id = 'a'");
    let payload: Vec<u8> = one
        .conn
        .query_row(
            "SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, site_id, cl, seq)
             FROM cloudsync_changes",
            [],
            |row| row.get(0),
        )
        .expect("a payload");
    let apply =
        || two.conn.query_row("SELECT cloudsync_payload_apply(?1)", [&payload], |row| row.get::<_, i64>(0));
    two.run("BEGIN");
    let error = apply().expect_err("a refusal").to_string();
    assert!(error.contains("COMMIT first"), "{error}");
    two.run("COMMIT");
    apply().expect("outside it can be applied");
    assert_eq!(two.dump("SELECT id FROM file"), [r#""a3""#, r#""b1""#]);
    two.run("BEGIN");
    apply().expect_err("the same again");
    two.run("COMMIT; PRAGMA foreign_keys = OFF; BEGIN");
    apply().expect("without foreign keys there is nothing to fear");
    two.run("COMMIT");
}

const RULES_SERVER: &str = "
    CREATE TABLE item (id text PRIMARY KEY, n bigint CHECK (n < 100), code text NOT NULL,
        twice bigint GENERATED ALWAYS AS (n * 2) STORED, note text)";
const RULES_DEVICE: &str = "
    CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, n INTEGER CHECK (n > 0), code TEXT,
        twice INTEGER GENERATED ALWAYS AS (n * 2) STORED, note TEXT NOT NULL);";
const RULES: [(&str, &str); 1] = [("item", "id, n, code, twice, note")];

#[test]
fn rules_of_one_side_only_list_what_they_refuse() {
    let mut world = World::new(RULES_SERVER, &["item"]);
    let device = world.device("device", RULES_DEVICE);
    world.server.run(
        "INSERT INTO item (id, n, code, note) VALUES ('s-ok', 1, 'c', 'x'), ('s-zero', 0, 'c', 'x'), ('s-null', 2, 'c', NULL)",
    );
    device.run("INSERT INTO item (id, n, code, note) VALUES ('d-ok', 50, 'c', 'x'), ('d-large', 100, 'c', 'x'), ('d-null', 3, NULL, 'x')");
    device.sync();
    assert_eq!(device.dump(PARKED), [r#""item"|"s-null"|"23502""#, r#""item"|"s-zero"|"23514""#]);
    assert_eq!(device.dump(REJECTED), [r#""item"|"d-large"|"23514""#, r#""item"|"d-null"|"23502""#]);
    world.assert_equal_but_for_parked(&device, &RULES);
    // A parked row that changes and still does not fit is listed once, as it is now.
    world.server.run("UPDATE item SET n = -5 WHERE id = 's-zero'");
    device.sync();
    assert_eq!(device.dump(PARKED), [r#""item"|"s-null"|"23502""#, r#""item"|"s-zero"|"23514""#]);
    // One is mended on the server, the other because the device's own rule goes.
    world.server.run("UPDATE item SET note = 'y' WHERE id = 's-null'");
    device.run("SELECT cloudsync_begin_alter('item')");
    device.run(
        "CREATE TABLE new (id TEXT PRIMARY KEY NOT NULL, n INTEGER, code TEXT,
             twice INTEGER GENERATED ALWAYS AS (n * 2) STORED, note TEXT NOT NULL);
         INSERT INTO new (id, n, code, note) SELECT id, n, code, note FROM item;
         DROP TABLE item; ALTER TABLE new RENAME TO item;
         SELECT cloudsync_commit_alter('item')",
    );
    world.assert_settled(&[&device], &RULES);
    // What is generated is never sent, and is computed on either side.
    device.run("UPDATE item SET n = 7 WHERE id = 'd-ok'");
    device.sync();
    assert_eq!(world.server.dump("SELECT twice FROM item WHERE id = 'd-ok'"), ["14"]);
}

#[test]
fn a_parked_row_is_dropped_when_it_is_gone_on_the_server() {
    let mut world = World::new(RULES_SERVER, &["item"]);
    let device = world.device("device", RULES_DEVICE);
    world.server.run("INSERT INTO item (id, n, code, note) VALUES ('s', 0, 'c', 'x')");
    device.sync();
    assert_eq!(device.dump(PARKED).len(), 1);
    // An insert of the same key on the device, which could not know of it, is about the same row.
    device.run("INSERT INTO item (id, n, code, note) VALUES ('s', 5, 'd', 'mine')");
    world.assert_settled(&[&device], &RULES);
    assert_eq!(world.server.dump("SELECT id, n FROM item"), [r#""s"|5"#]);
    world.server.run("UPDATE item SET n = -1");
    device.sync();
    assert_eq!((device.dump(PARKED).len(), device.dump("SELECT n FROM item")), (1, vec!["5".to_owned()]));
    world.server.run("DELETE FROM item");
    world.assert_settled(&[&device], &RULES);
    assert_eq!(device.dump("SELECT id FROM item"), Vec::<String>::new());
}

const AUDIT_SERVER: &str = "
    CREATE TABLE doc (id text PRIMARY KEY, body text);
    CREATE TABLE audit (id text PRIMARY KEY, what text);
    CREATE TABLE seen (body text);
    CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO seen VALUES (NEW.body); INSERT INTO audit VALUES ('server ' || NEW.body, 'server'); RETURN NULL;
    END $$;
    CREATE TRIGGER see AFTER INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION see()";

fn audit_device(name: &str) -> String {
    format!(
        "CREATE TABLE doc (id TEXT PRIMARY KEY NOT NULL, body TEXT);
         CREATE TABLE audit (id TEXT PRIMARY KEY NOT NULL, what TEXT);
         CREATE TABLE seen (body TEXT);
         CREATE TRIGGER inserted AFTER INSERT ON doc BEGIN
             INSERT INTO seen VALUES (NEW.body); INSERT INTO audit VALUES ('{name} ' || NEW.body, '{name}'); END;
         CREATE TRIGGER updated AFTER UPDATE ON doc BEGIN
             INSERT INTO seen VALUES (NEW.body); INSERT INTO audit VALUES ('{name} ' || NEW.body, '{name}'); END;"
    )
}

/// What a trigger writes to a synced table counts as a write where the change was made, and on the server
/// whoever made it. What it writes on a device that only receives the change stays there: see
/// `docs/constraints.md`, also for the condition by which a trigger tells.
#[test]
fn triggers_of_the_user_run_once_for_each_change() {
    let mut world = World::new(AUDIT_SERVER, &["doc", "audit"]);
    let received = audit_device("two")
        .replace("ON doc BEGIN", "ON doc WHEN NOT EXISTS (SELECT 1 FROM cloudsync_guard) BEGIN");
    let (one, two) = (world.device("one", &audit_device("one")), world.device("two", &received));
    let sync = |first: &Device, second: &Device| {
        for _ in 0..2 {
            first.sync();
            second.sync();
        }
    };
    one.run("INSERT INTO doc VALUES ('d', 'first')");
    sync(&one, &two);
    two.run("UPDATE doc SET body = 'second'");
    sync(&two, &one);
    world.server.run("UPDATE doc SET body = 'third'");
    sync(&one, &two);
    let seen = [r#""first""#, r#""second""#, r#""third""#];
    assert_eq!(world.server.dump("SELECT * FROM seen"), seen);
    assert_eq!(one.dump("SELECT * FROM seen"), seen);
    assert_eq!(two.dump("SELECT * FROM seen"), [r#""second""#], "its triggers run for its own writes only");
    let audit = [
        r#""one first"|"one""#,
        r#""server first"|"server""#,
        r#""server second"|"server""#,
        r#""server third"|"server""#,
        r#""two second"|"two""#,
    ];
    assert_eq!(world.server.dump("SELECT * FROM audit"), audit);
    assert_eq!(two.dump("SELECT * FROM audit"), audit);
    let own = r#"SELECT * FROM audit WHERE what <> 'one' OR id = 'one first'"#;
    assert_eq!(one.dump(own), audit);
    let stays = [r#""one second""#, r#""one third""#];
    assert_eq!(one.dump("SELECT id FROM audit WHERE id <> 'one first' AND what = 'one'"), stays);
    assert_eq!(one.dump("SELECT cloudsync_network_has_unsent_changes()"), ["0"]);
}
