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
