//! Clocks that are wrong in every way, versions that were forged, and files that are copied or restored:
//! nothing wins for ever, nothing is lost, and no version stands for two values.

use std::collections::BTreeSet;
use std::fs;

use cloudsync_conformance::device::Device;
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;
use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::{Message, PushRequest};
use cloudsync_shared::value::Value;
use cloudsync_shared::wire;

const DDL: &str = "CREATE TABLE note (id text PRIMARY KEY NOT NULL, a text, b text)";
const ALL: &str = "SELECT id, a, b FROM note";

struct World {
    server: Server,
    device: Device,
    other: Device,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().expect("a directory");
        let server = Server::create(DDL, &["note"]);
        let [device, other] = ["device", "other"].map(|name| {
            let device = Device::create(directory.path(), name, DDL, &["note"]);
            device.connect(&server.url);
            device
        });
        World { server, device, other, directory }
    }

    /// Syncs until everybody has everything, and checks that they agree.
    fn settle(&mut self) -> Vec<String> {
        for _ in 0..2 {
            self.device.sync();
            self.other.sync();
        }
        let rows = self.server.dump(ALL);
        assert_eq!(self.device.dump(ALL), rows);
        assert_eq!(self.other.dump(ALL), rows);
        for device in [&self.device, &self.other] {
            assert_eq!(device.dump("SELECT tbl, message FROM cloudsync_rejections"), [""; 0]);
        }
        rows
    }

    /// All that a change could move on the server.
    fn server_state(&mut self) -> Vec<String> {
        let state = "SELECT concat((SELECT string_agg(n::text, ';' ORDER BY id) FROM note n),
            (SELECT string_agg(c::text, ';' ORDER BY row_id) FROM cloudsync.clock_1 c),
            (SELECT string_agg(s::text, ';' ORDER BY ordinal) FROM cloudsync.sites s),
            (SELECT count(*) FROM cloudsync.log), (SELECT version FROM cloudsync.highest))";
        self.server.dump(state)
    }
}

/// All that a change could move on a device.
fn state(device: &Device) -> Vec<String> {
    let tables = [
        "SELECT * FROM note",
        "SELECT * FROM note_cloudsync",
        "SELECT * FROM cloudsync_settings",
        "SELECT * FROM cloudsync_site_id",
    ];
    tables.iter().flat_map(|sql| device.dump(sql)).collect()
}

/// Runs statements as if the clock had shown that difference, or the very time, when they ran.
fn at(device: &Device, expression: &str, sql: &str) {
    device.run(sql);
    device.run(&format!("UPDATE note_cloudsync_journal SET at = {expression}"));
    device.run("SELECT cloudsync_db_version()");
}

fn ahead(device: &Device, milliseconds: i64, sql: &str) {
    at(device, &format!("at + {milliseconds}"), sql);
}

/// A row of one life and two cells whose stamps have these versions.
fn forged(life: u64, cell: u64) -> ChangeBatch {
    let stamp = |version| Stamp { version: Version(version), site: SiteId([7; 16]) };
    let cells = ["x", "y"].iter().enumerate().map(|(column, text)| CellChange {
        column,
        stamp: stamp(cell),
        value: Value::Text((*text).to_owned()),
    });
    let row = RowChange {
        row_id: None,
        key: Key::encode(&[Value::Text("forged".to_owned())]).expect("a key"),
        length: CausalLength::FIRST,
        life: stamp(life),
        cells: cells.collect(),
        texts: Vec::new(),
        past: Default::default(),
    };
    let columns = vec!["a".to_owned(), "b".to_owned()];
    ChangeBatch {
        tables: vec![TableChanges { table: "note".to_owned(), algorithm: None, columns, rows: vec![row] }],
    }
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Version::from_millis(Millis(u64::try_from(since.as_millis()).expect("before the year 500,000,000"))).0
}

const MINUTE: u64 = 60_000 << 16;

#[test]
fn forged_versions_are_refused_everywhere_and_change_nothing() {
    let mut world = World::new();
    world.device.run("INSERT INTO note VALUES ('k', 'a', 'b')");
    world.settle();
    let (early, late) = (now(), now() + 6 * MINUTE);
    for (life, cell) in
        [(Version::MAX.0, early), (early, Version::MAX.0), (late, late), (early, late), (1, late)]
    {
        let payload = wire::encode(&Message::Payload(forged(life, cell))).expect("a payload");
        let before = state(&world.device);
        let applied =
            world.device.conn.query_row("SELECT cloudsync_payload_apply(?1)", [&payload], |_| Ok(()));
        let error = applied.expect_err("a refusal").to_string();
        assert!(error.contains("ahead of this replica's clock"), "{error}");
        assert_eq!(state(&world.device), before);

        let before = world.server_state();
        let site = SiteId([7; 16]);
        let request = PushRequest {
            site,
            epoch: None,
            changes: forged(life, cell),
            groups: Vec::new(),
            bases: Default::default(),
        };
        let push = wire::encode(&Message::PushRequest(request)).expect("a push");
        for (sql, bytes) in
            [("SELECT cloudsync_push($1)", &push), ("SELECT cloudsync_payload_apply($1)", &payload)]
        {
            let error = world.server.client.query_one(sql, &[bytes]).expect_err("a refusal");
            assert_eq!(error.code().map(|code| code.code()), Some("22008"), "{sql}: {error:?}");
        }
        assert_eq!(world.server_state(), before);
    }
    // What is told at all is read as changes, which nobody writes by hand.
    let line = "(tbl, pk, col_name, col_value, col_version, db_version, site_id, cl, seq) VALUES \
        ('note', 'k', 'a', 'x', 9223372036854775807, 9223372036854775807, 's', 1, 1)";
    let before = state(&world.device);
    world.device.conn.execute_batch(&format!("INSERT INTO cloudsync_changes {line}")).expect_err("a refusal");
    assert_eq!(state(&world.device), before);
    let before = world.server_state();
    world
        .server
        .client
        .batch_execute(&format!("INSERT INTO cloudsync_changes {line}"))
        .expect_err("a refusal");
    assert_eq!(world.server_state(), before);
    let negative = "SELECT cloudsync_payload_encode('note', x'05', 'a', 'x', -1, -1, zeroblob(16), 1, 1)";
    world.device.conn.query_row(negative, [], |_| Ok(())).expect_err("a refusal");
}

/// A payload with version 0 once left a device with a value that nobody else ever got.
#[test]
fn a_payload_with_version_zero_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let payload = wire::encode(&Message::Payload(forged(0, 0))).expect("a payload");
    let before = state(&world.device);
    let applied = world.device.conn.query_row("SELECT cloudsync_payload_apply(?1)", [&payload], |_| Ok(()));
    let error = applied.expect_err("a refusal").to_string();
    assert!(error.contains("version 0, which no write has"), "{error}");
    assert_eq!(state(&world.device), before);
    let before = world.server_state();
    let error = world.server.client.query_one("SELECT cloudsync_payload_apply($1)", &[&payload]);
    assert_eq!(error.expect_err("a refusal").code().map(|code| code.code()), Some("22023"));
    assert_eq!(world.server_state(), before);
}

/// Whole rows may have cells that were never written, so a push may tell version 0: it loses to every write.
#[test]
fn a_push_with_version_zero_loses_to_every_write_and_is_the_same_everywhere() {
    let mut world = World::new();
    let changes = forged(0, 0);
    let request = PushRequest {
        site: SiteId([7; 16]),
        epoch: None,
        changes,
        groups: Vec::new(),
        bases: Default::default(),
    };
    let push = wire::encode(&Message::PushRequest(request)).expect("a push");
    world.device.run("INSERT INTO note VALUES ('k', 'a', 'b')");
    world.server.client.query_one("SELECT cloudsync_push($1)", &[&push]).expect("it is taken");
    assert_eq!(world.settle(), [r#""forged"|"x"|"y""#, r#""k"|"a"|"b""#]);
    world.other.run("UPDATE note SET a = 'later' WHERE id = 'forged'");
    assert_eq!(world.settle(), [r#""forged"|"later"|"y""#, r#""k"|"a"|"b""#]);
    world.server.client.query_one("SELECT cloudsync_push($1)", &[&push]).expect("it is taken");
    assert_eq!(world.settle(), [r#""forged"|"later"|"y""#, r#""k"|"a"|"b""#]);
}

/// Fast, slow, jumping, standing still, before 1970: whatever the clocks say, all agree in the end, and who
/// has seen a value and writes another one has the last word.
#[test]
fn whatever_the_clocks_say_all_agree_and_the_last_word_is_heard() {
    let clocks = ["at + 7200000", "at - 7200000", "1000000", "-5", "at + (random() % 7200000)", "at"];
    for (seed, pair) in clocks.iter().zip(clocks.iter().rev().skip(1)).enumerate() {
        let mut world = World::new();
        let mut random = Random::new(seed as u64);
        for step in 0..40 {
            let (device, clock) = match random.below(2) {
                0 => (&world.device, pair.0),
                _ => (&world.other, pair.1),
            };
            let key = random.below(4);
            let sql = match random.below(5) {
                0 => format!("DELETE FROM note WHERE id = 'k{key}'"),
                1 | 2 => format!("INSERT OR REPLACE INTO note VALUES ('k{key}', 'a{step}', 'b{step}')"),
                3 => format!("UPDATE note SET a = 'a{step}' WHERE id = 'k{key}'"),
                _ => format!("UPDATE note SET b = 'b{step}' WHERE id >= 'k{key}'"),
            };
            at(device, clock, &sql);
            if random.below(3) == 0 {
                device.sync();
            }
        }
        world.settle();
        for (device, clock, word) in
            [(&world.device, pair.0, "one"), (&world.other, pair.1, "two"), (&world.device, pair.0, "three")]
        {
            device.sync();
            at(
                device,
                clock,
                &format!(
                    "INSERT INTO note VALUES ('last', '{word}', 'b') ON CONFLICT(id) DO UPDATE SET a = excluded.a"
                ),
            );
            device.sync();
        }
        let rows = world.settle();
        assert!(rows.contains(&r#""last"|"three"|"b""#.to_owned()), "{pair:?}: {rows:?}");
    }
}

/// A write under a fast clock hid the stamp that it replaced. Given another version it was then below what the
/// server has, which kept the older value, and the device the newer one.
#[test]
fn a_write_of_a_fast_clock_still_counts_as_later_than_what_it_replaced() {
    for is_own in [false, true] {
        let mut world = World::new();
        world.device.run("INSERT INTO note VALUES ('k', 'one', 'b')");
        world.settle();
        let first = if is_own { &world.device } else { &world.other };
        ahead(first, 3 * 60_000, "UPDATE note SET a = 'two'");
        first.sync();
        world.device.sync();
        ahead(&world.device, 2 * 3_600_000, "UPDATE note SET a = 'three'");
        assert_eq!(world.settle(), [r#""k"|"three"|"b""#]);
    }
}

/// The counter has 16 bits: what does not fit goes into the next milliseconds.
#[test]
fn more_writes_than_a_millisecond_has_versions_carry_into_the_next() {
    const ROWS: i64 = 140_000;
    let mut world = World::new();
    at(
        &world.device,
        "1700000000000",
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
             INSERT INTO note SELECT 'k' || i, 'a', 'b' FROM n"
        ),
    );
    at(&world.device, "1700000000000", "UPDATE note SET a = 'second' WHERE id = 'k1'");
    let versions = "SELECT count(DISTINCT db_version), min(db_version) >> 16, max(db_version) >> 16 FROM cloudsync_changes";
    assert_eq!(world.device.dump(versions), [format!("{}|1700000000000|1700000000002", ROWS + 1)]);
    world.device.sync();
    let stored = world.server.dump("SELECT count(*), count(*) FILTER (WHERE a = 'second') FROM note");
    assert_eq!(stored, [format!("{ROWS}|1")]);
}

fn versions(device: &Device) -> BTreeSet<(i64, String)> {
    let mut query = device
        .conn
        .prepare(
            "SELECT db_version, tbl || hex(pk) || col_name || coalesce(col_value, '') FROM cloudsync_changes",
        )
        .expect("changes");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("changes");
    rows.map(|row| row.expect("a change")).collect()
}

/// Whatever a version was given to, and somebody may have been told: not to be given to another value.
fn assert_no_version_twice(all: &[BTreeSet<(i64, String)>]) {
    let mut seen: std::collections::BTreeMap<(i64, String), String> = std::collections::BTreeMap::new();
    for (version, told) in all.iter().flatten() {
        let place = (*version, told.split('_').next().unwrap_or_default().to_owned());
        let first = seen.entry(place).or_insert_with(|| told.clone());
        assert_eq!(first, told, "version {version} twice");
    }
}

/// Read inside a transaction, versions can leave the database before they are rolled back. With a clock that
/// stands still they were once given again, to other values.
#[test]
fn a_version_told_before_a_rollback_is_not_given_again() {
    let world = World::new();
    at(&world.device, "1000", "INSERT INTO note VALUES ('k', 'a', 'b')");
    world.device.run("BEGIN");
    at(&world.device, "1000", "UPDATE note SET a = 'undone'");
    let told = versions(&world.device);
    world.device.run("ROLLBACK");
    at(&world.device, "1000", "UPDATE note SET a = 'done'");
    let then = versions(&world.device);
    let of_a = |all: &BTreeSet<(i64, String)>| {
        all.iter().find(|(_, told)| told.contains("done")).map(|(version, _)| *version)
    };
    assert!(of_a(&then) > of_a(&told), "{told:?} {then:?}");
    assert_no_version_twice(&[told, then]);
}

#[test]
fn the_highest_version_outlives_the_connection() {
    let mut world = World::new();
    ahead(&world.device, 4 * 60_000, "INSERT INTO note VALUES ('k', 'fast', 'b')");
    let before = versions(&world.device);
    world.device = Device::open(world.directory.path(), "device");
    world.device.connect(&world.server.url);
    world.device.run("UPDATE note SET a = 'right'");
    let after = versions(&world.device);
    assert!(after.last() > before.last(), "{after:?} {before:?}");
    assert_eq!(world.settle(), [r#""k"|"right"|"b""#]);
}

fn copy(world: &World, from: &str, to: &str) {
    let path = |name: &str| world.directory.path().join(format!("{name}.db"));
    fs::copy(path(from), path(to)).expect("a copy");
}

/// A backup of the file is put back after later writes were sent: they come back, and what is written from
/// there on is heard.
#[test]
fn a_restored_file_gets_back_what_it_had_sent_since() {
    let mut world = World::new();
    world.device.run("INSERT INTO note VALUES ('old', 'a', 'b')");
    world.settle();
    copy(&world, "device", "backup");
    at(
        &world.device,
        "1000",
        "INSERT INTO note VALUES ('since', 'a', 'b'); UPDATE note SET a = 'since' WHERE id = 'old'",
    );
    world.device.sync();
    world.device = Device::open(world.directory.path(), "backup");
    world.device.connect(&world.server.url);
    at(&world.device, "1000", "UPDATE note SET b = 'restored' WHERE id = 'old'");
    let rows = world.settle();
    assert_eq!(rows, [r#""old"|"since"|"restored""#, r#""since"|"a"|"b""#]);
}

/// A file is copied to a second device: two write under one site id, with clocks that stand still, so that they
/// give the same versions.
#[test]
fn two_devices_with_one_site_id_find_out_and_agree() {
    let mut world = World::new();
    world.device.run("INSERT INTO note VALUES ('k', 'a', 'b')");
    world.settle();
    copy(&world, "device", "twin");
    let twin = Device::open(world.directory.path(), "twin");
    twin.connect(&world.server.url);
    for step in 0..3 {
        at(
            &world.device,
            "1000",
            &format!("UPDATE note SET a = 'device {step}'; INSERT INTO note VALUES ('d{step}', 'a', 'b')"),
        );
        at(
            &twin,
            "1000",
            &format!("UPDATE note SET a = 'twin {step}'; INSERT INTO note VALUES ('t{step}', 'a', 'b')"),
        );
        world.device.sync();
        twin.sync();
    }
    for _ in 0..2 {
        world.device.sync();
        twin.sync();
    }
    let rows = world.settle();
    assert_eq!(twin.dump(ALL), rows);
    assert_eq!(rows.len(), 7);
    let site = "SELECT hex(cloudsync_siteid())";
    assert_ne!(twin.dump(site), world.device.dump(site), "each has a site id of its own now");
}
