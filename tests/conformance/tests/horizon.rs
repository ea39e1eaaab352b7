//! What was deleted long ago is forgotten by the server; a device that was away for longer starts anew, and
//! brings nothing back.
//!
//! `CLOUDSYNC_HORIZON_SEEDS` sets how many random histories are run for each algorithm,
//! `CLOUDSYNC_HORIZON_SEED` runs one.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::notes::{DUMP, Notes};
use cloudsync_conformance::random::Random;

const STEPS: u64 = 60;

const TOMBSTONES: &str = "SELECT count(*) FROM cloudsync.clock_1 WHERE NOT cloudsync.clock_is_alive(clock)";
const LOG: &str = "SELECT count(*) FROM cloudsync.log";

/// Whether the server will say that this device was away for too long.
fn is_beyond_horizon(world: &mut Notes, device: &Device) -> bool {
    let cursor = device.text("SELECT value FROM cloudsync_settings WHERE key = 'server_cursor'");
    let sql = "SELECT xid >= pg_snapshot_xmin($1::text::pg_snapshot) FROM cloudsync.horizon";
    world.server.client.query_one(sql, &[&cursor]).expect("the horizon").get(0)
}

/// All replicas end equal, one that has just come among them, with these rows.
fn expect(world: &mut Notes, devices: &[&Device], rows: &[&str]) {
    for device in devices.iter().chain(devices) {
        device.sync();
    }
    let fresh = world.device("fresh");
    fresh.sync();
    assert_eq!(world.server.dump(DUMP), rows, "{}: the server", world.algorithm);
    for (at, device) in devices.iter().chain([&&fresh]).enumerate() {
        assert_eq!(device.dump(DUMP), rows, "{}: device {at}", world.algorithm);
    }
}

/// Two devices that know the notes `a` to `d`, of which the second goes away; the first deletes `a` and `b`
/// meanwhile, and that is forgotten.
fn one_stays_and_one_goes(algorithm: &'static str, writes: &str) -> (Notes, Device, Device) {
    let mut world = Notes::new(algorithm, "");
    let (stays, goes) = (world.device("stays"), world.device("goes"));
    stays.run("INSERT INTO note VALUES ('a', 'a', 'a'), ('b', 'b', 'b'), ('c', 'c', 'c'), ('d', 'd', 'd')");
    stays.sync();
    goes.sync();
    goes.run(writes);
    stays.run("DELETE FROM note WHERE id IN ('a', 'b'); UPDATE note SET title = 'later' WHERE id = 'c'");
    stays.sync();
    world.collect(&[LOG, TOMBSTONES]);
    assert!(is_beyond_horizon(&mut world, &goes));
    (world, stays, goes)
}

#[test]
fn who_was_away_beyond_the_horizon_ends_as_a_fresh_device() {
    for algorithm in ["cls", "dws", "aws"] {
        let (mut world, stays, goes) = one_stays_and_one_goes(algorithm, "");
        let rows = [r#""c"|"later"|"c""#, r#""d"|"d"|"d""#];
        goes.sync();
        assert_eq!(goes.dump(DUMP), rows);
        assert!(!is_beyond_horizon(&mut world, &goes));
        expect(&mut world, &[&stays, &goes], &rows);
    }
}

/// What was written to rows that are deleted and forgotten, to one that lives, and to one that is new.
const WRITES: &str = "UPDATE note SET title = 'mine' WHERE id = 'a';
    DELETE FROM note WHERE id = 'b'; INSERT INTO note VALUES ('b', 'again', 'again');
    UPDATE note SET body = 'mine' WHERE id = 'c';
    INSERT INTO note VALUES ('e', 'new', 'new')";

#[test]
fn an_update_does_not_bring_a_forgotten_row_back_and_an_insert_does() {
    let (mut world, stays, goes) = one_stays_and_one_goes("cls", WRITES);
    let rows = [r#""b"|"again"|"again""#, r#""c"|"later"|"mine""#, r#""d"|"d"|"d""#, r#""e"|"new"|"new""#];
    expect(&mut world, &[&goes, &stays], &rows);
}

#[test]
fn where_deletes_win_nothing_brings_a_forgotten_row_back() {
    let (mut world, stays, goes) = one_stays_and_one_goes("dws", WRITES);
    let rows = [r#""c"|"later"|"mine""#, r#""d"|"d"|"d""#, r#""e"|"new"|"new""#];
    expect(&mut world, &[&goes, &stays], &rows);
}

#[test]
fn where_adds_win_an_update_brings_a_forgotten_row_back_whole() {
    let (mut world, stays, goes) = one_stays_and_one_goes("aws", WRITES);
    let rows = [
        r#""a"|"mine"|"a""#,
        r#""b"|"again"|"again""#,
        r#""c"|"later"|"mine""#,
        r#""d"|"d"|"d""#,
        r#""e"|"new"|"new""#,
    ];
    expect(&mut world, &[&goes, &stays], &rows);
}

#[test]
fn a_process_that_begins_with_unsent_writes_sends_them_before_it_starts_anew() {
    let (mut world, stays, goes) = one_stays_and_one_goes("cls", WRITES);
    drop(goes);
    let goes = Device::open(world.files(), "goes");
    goes.connect(&world.server.url);
    let rows = [r#""b"|"again"|"again""#, r#""c"|"later"|"mine""#, r#""d"|"d"|"d""#, r#""e"|"new"|"new""#];
    expect(&mut world, &[&goes, &stays], &rows);
}

#[test]
fn what_stands_under_a_forgotten_key_by_now_is_another_row() {
    for writes in [
        "",
        "UPDATE note SET title = 'mine' WHERE id = 'a'",
        "DELETE FROM note WHERE id = 'a'",
        "UPDATE note SET id = 'z' WHERE id = 'd'; UPDATE note SET id = 'd' WHERE id = 'z'; DELETE FROM note WHERE id = 'a'",
    ] {
        for algorithm in ["cls", "dws", "aws"] {
            let (mut world, stays, goes) = one_stays_and_one_goes(algorithm, writes);
            // A device that never heard of the row.
            let late = world.device("late");
            late.run("INSERT INTO note VALUES ('a', 'another', 'another')");
            late.sync();
            // A process that begins with unsent writes, and so asks before it sends.
            drop(goes);
            let goes = Device::open(world.files(), "goes");
            goes.connect(&world.server.url);
            for device in [&goes, &stays, &late, &goes, &stays] {
                device.sync();
            }
            let expected = world.server.dump(DUMP);
            let row = expected.iter().find(|row| row.starts_with("\"a\"")).expect("the row lives");
            // Where adds win, the update is one of the row whatever happened to it before.
            let mine = algorithm == "aws" && writes.starts_with("UPDATE note SET title");
            assert!(mine || row == r#""a"|"another"|"another""#, "{algorithm}, {writes}: {row}");
            let rows: Vec<&str> = expected.iter().map(String::as_str).collect();
            expect(&mut world, &[&goes, &stays, &late], &rows);
        }
    }
}

#[test]
fn two_inserts_under_a_forgotten_key_end_as_their_algorithm_has_it() {
    let again = "DELETE FROM note WHERE id = 'a'; INSERT INTO note VALUES ('a', 'again', 'again')";
    for (algorithm, row) in [
        ("cls", r#""a"|"again"|"again""#),
        ("dws", r#""a"|"another"|"another""#),
        ("aws", r#""a"|"another"|"another""#),
    ] {
        let (mut world, stays, goes) = one_stays_and_one_goes(algorithm, again);
        let late = world.device("late");
        late.run("INSERT INTO note VALUES ('a', 'another', 'another')");
        late.sync();
        let rows = [row, r#""c"|"later"|"c""#, r#""d"|"d"|"d""#];
        expect(&mut world, &[&goes, &stays, &late], &rows);
    }
}

/// The row that is known here has a higher causal length than the one that stands under its key now.
#[test]
fn a_forgotten_row_that_was_inserted_twice_gives_way_to_one_that_was_inserted_once() {
    for algorithm in ["cls", "dws", "aws"] {
        let mut world = Notes::new(algorithm, "");
        let (stays, goes) = (world.device("stays"), world.device("goes"));
        stays.run("INSERT INTO note VALUES ('a', 'a', 'a'); DELETE FROM note");
        stays.sync();
        stays.run("INSERT INTO note VALUES ('a', 'again', 'again')");
        stays.sync();
        goes.sync();
        stays.run("DELETE FROM note");
        stays.sync();
        world.collect(&[LOG, TOMBSTONES]);
        let late = world.device("late");
        late.run("INSERT INTO note VALUES ('a', 'another', 'another')");
        late.sync();
        assert!(is_beyond_horizon(&mut world, &goes));
        expect(&mut world, &[&goes, &stays, &late], &[r#""a"|"another"|"another""#]);
    }
}

#[test]
fn who_deleted_a_row_forgets_that_when_the_server_does() {
    for algorithm in ["cls", "dws", "aws"] {
        let mut world = Notes::new(algorithm, "");
        let deleter = world.device("deleter");
        deleter.run("INSERT INTO note VALUES ('a', 'a', 'a')");
        deleter.sync();
        deleter.run(
            "DELETE FROM note WHERE id = 'a'; INSERT INTO note VALUES ('a', 'b', 'b'); DELETE FROM note",
        );
        deleter.sync();
        world.collect(&[LOG, TOMBSTONES]);
        let late = world.device("late");
        late.run("INSERT INTO note VALUES ('a', 'another', 'another')");
        late.sync();
        expect(&mut world, &[&deleter, &late], &[r#""a"|"another"|"another""#]);
        let buried = "SELECT count(*) FROM sqlite_schema WHERE name = 'note_cloudsync_buried'";
        if deleter.dump(buried) == ["1"] {
            assert_eq!(deleter.dump("SELECT count(*) FROM note_cloudsync_buried"), ["0"]);
        }
    }
}

#[test]
fn what_is_younger_than_the_horizon_stays() {
    let mut world = Notes::new("cls", "");
    let device = world.device("device");
    device.run("INSERT INTO note VALUES ('a', 'a', 'a')");
    device.sync();
    device.run("DELETE FROM note");
    device.sync();
    let log = world.count(LOG);
    world.server.run("SELECT cloudsync_collect(1); SELECT cloudsync_collect()");
    assert_eq!(world.count(LOG), log);
    assert_eq!(world.count(TOMBSTONES), 1);
    assert!(!is_beyond_horizon(&mut world, &device));
    // A day later, as far as the log can tell.
    world.server.run("UPDATE cloudsync.log SET noted_at = noted_at - interval '25 hours'");
    world.server.run("SELECT cloudsync_collect(1)");
    assert_eq!(world.count(TOMBSTONES), 1, "its delete is of today by its own stamp");
}

#[test]
fn only_who_was_granted_it_may_collect() {
    let mut world = Notes::new("cls", "");
    let role = format!("collector_{}", std::process::id());
    world.server.run(&format!("CREATE ROLE {role}; SET ROLE {role}"));
    let refused = world.server.client.batch_execute("SELECT cloudsync_collect(0)").expect_err("no right");
    assert_eq!(refused.code().map(|code| code.code().to_owned()).as_deref(), Some("42501"));
    world
        .server
        .run(&format!("RESET ROLE; GRANT EXECUTE ON FUNCTION cloudsync_collect TO {role}; SET ROLE {role}"));
    world.server.run("SELECT cloudsync_collect(0)");
    let refused =
        world.server.client.batch_execute("SELECT cloudsync_collect(-1)").expect_err("no number of days");
    assert_eq!(refused.code().map(|code| code.code().to_owned()).as_deref(), Some("22023"));
    world.server.run(&format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn random_histories_with_collections_end_equal() {
    run_all("cls", 6);
}

#[test]
fn random_histories_with_collections_end_equal_where_deletes_win() {
    run_all("dws", 4);
}

#[test]
fn random_histories_with_collections_end_equal_where_adds_win() {
    run_all("aws", 4);
}

fn run_all(algorithm: &'static str, usually: u64) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("CLOUDSYNC_HORIZON_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CLOUDSYNC_HORIZON_SEEDS").unwrap_or(usually),
    };
    for seed in seeds {
        History { random: Random::new(seed), seed, log: Vec::new() }.run(algorithm);
    }
}

struct History {
    random: Random,
    seed: u64,
    log: Vec<String>,
}

impl History {
    fn run(mut self, algorithm: &'static str) {
        let mut world = Notes::new(algorithm, "");
        let names = ["a", "b", "away"];
        let devices = names.map(|name| world.device(name));
        for _ in 0..STEPS {
            let actor = self.random.below(4) as usize;
            match self.random.below(12) {
                // One of them syncs seldom.
                0 | 1 if actor < 2 => self.sync(names[actor], &devices[actor]),
                2 if actor == 2 => self.sync(names[actor], &devices[actor]),
                3 if actor == 3 => {
                    self.log.push("collect".to_owned());
                    world.server.run("SELECT cloudsync_collect(0)");
                }
                _ => {
                    let statement = self.statement();
                    self.log.push(format!("{}: {statement}", names.get(actor).unwrap_or(&"server")));
                    match devices.get(actor) {
                        Some(device) => device.run(&statement),
                        None => world.server.run(&statement),
                    }
                }
            }
        }
        for actor in [0, 1, 2, 0, 1, 2] {
            self.sync(names[actor], &devices[actor]);
        }
        world.collect(&[LOG, TOMBSTONES]);
        let fresh = world.device("fresh");
        self.sync("fresh", &fresh);
        for actor in [0, 1, 2] {
            self.sync(names[actor], &devices[actor]);
        }
        let expected = world.server.dump(DUMP);
        for (name, device) in names.iter().zip(&devices).chain([(&"fresh", &fresh)]) {
            let found = device.dump(DUMP);
            let log = self.log.join("\n");
            let seed = self.seed;
            assert!(
                found == expected,
                "{algorithm} seed {seed}: {name} {found:#?}\nserver {expected:#?}\n{log}"
            );
        }
    }

    fn sync(&mut self, name: &str, device: &Device) {
        let report = device.sync();
        self.log.push(format!("{name}: sync {report}"));
    }

    /// One statement on few keys, so that histories meet.
    fn statement(&mut self) -> String {
        let random = &mut self.random;
        let key = format!("k{}", random.below(4));
        let text = format!("v{}", random.below(1000));
        match random.below(6) {
            0 | 1 => format!("INSERT INTO note VALUES ('{key}', '{text}', '{text}') ON CONFLICT DO NOTHING"),
            2 => format!("UPDATE note SET title = '{text}' WHERE id = '{key}'"),
            3 => format!("UPDATE note SET body = '{text}' WHERE id = '{key}'"),
            4 => format!("DELETE FROM note WHERE id = '{key}'"),
            _ => format!(
                "DELETE FROM note WHERE id = '{key}'; INSERT INTO note VALUES ('{key}', '{text}', NULL) ON CONFLICT DO NOTHING"
            ),
        }
    }
}
