//! Deleted lines are forgotten by the server; whoever was away for longer makes the same text of it as all others.
//!
//! `CLOUDSYNC_HORIZON_SEEDS` sets how many random histories are run for each algorithm,
//! `CLOUDSYNC_HORIZON_SEED` runs one.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::notes::{BY_LINES, DUMP, Notes, set_body};
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;

const STEPS: u64 = 50;

/// What a collection leaves nothing of.
const LEFT: [&str; 3] = [
    "SELECT count(*) FROM cloudsync.texts WHERE cloudsync.collect_lines(document, 9223372036854775807) IS NOT NULL",
    "SELECT (SELECT count(*) FROM cloudsync.log) + (SELECT count(*) FROM cloudsync.text_log)",
    "SELECT count(*) FROM cloudsync.clock_1 WHERE NOT cloudsync.clock_is_alive(clock)",
];

/// All replicas are equal after a few rounds, a fresh one among them; the body of the note.
fn settle(world: &mut Notes, devices: &[&Device]) -> String {
    for _ in 0..3 {
        devices.iter().for_each(|device| drop(device.sync()));
    }
    let fresh = world.device("fresh");
    fresh.sync();
    let rows = world.server.dump(DUMP);
    for (at, device) in devices.iter().chain([&&fresh]).enumerate() {
        assert_eq!(device.dump(DUMP), rows, "{}: device {at}", world.algorithm);
    }
    fresh.text("SELECT body FROM note WHERE id = 'n'")
}

/// Three devices with the lines `a` to `e`. One deletes `b` and `d`, another one hears of it, and a third one, which
/// writes something, does not before that is forgotten.
fn one_goes(algorithm: &'static str, writes: impl Fn(&Device)) -> (Notes, [Device; 3]) {
    let mut world = Notes::new(algorithm, BY_LINES);
    let devices = ["stays", "hears", "goes"].map(|name| world.device(name));
    let [stays, hears, goes] = &devices;
    stays.run("INSERT INTO note VALUES ('n', 'title', 'a\nb\nc\nd\n')");
    for device in [stays, hears, goes] {
        device.sync();
    }
    // So that the text has more behind it than its value.
    set_body(goes, "a\nb\nc\nd\ne\n");
    for device in [goes, stays, hears] {
        device.sync();
    }
    writes(goes);
    set_body(stays, "a\nc\ne\n");
    stays.sync();
    hears.sync();
    world.collect(&LEFT);
    (world, devices)
}

#[test]
fn who_comes_back_without_writes_has_no_deleted_line() {
    for algorithm in ["cls", "dws", "aws"] {
        let (mut world, [stays, hears, goes]) = one_goes(algorithm, |_| ());
        goes.sync();
        assert_eq!(goes.text("SELECT body FROM note"), "a\nc\ne\n", "{algorithm}");
        // It writes on, from what it has now.
        set_body(&goes, "a\nc\nnew\ne\n");
        set_body(&hears, "a\nC\ne\n");
        assert_eq!(settle(&mut world, &[&goes, &hears, &stays]), "a\nC\nnew\ne\n", "{algorithm}");
    }
}

#[test]
fn edits_of_lines_from_beyond_the_horizon_are_merged() {
    for algorithm in ["cls", "dws"] {
        let (mut world, [stays, hears, goes]) =
            one_goes(algorithm, |device| set_body(device, "A\nb\nc\nD\nnew\ne\n"));
        // An edit beats a delete that it had not seen, remembered or not; a line that was not touched stays away.
        assert_eq!(settle(&mut world, &[&goes, &stays, &hears]), "A\nc\nD\nnew\ne\n", "{algorithm}");
    }
}

#[test]
fn a_text_that_is_told_whole_brings_lines_back_for_all_or_for_none() {
    let (mut world, [stays, hears, goes]) =
        one_goes("aws", |device| device.run("UPDATE note SET title = 'later'"));
    assert_eq!(settle(&mut world, &[&goes, &stays, &hears]), "a\nb\nc\nd\ne\n");
    assert_eq!(stays.text("SELECT title FROM note"), "later");
}

#[test]
fn random_histories_of_texts_with_collections_end_equal() {
    run_all("cls", 6);
}

#[test]
fn they_end_equal_where_deletes_win() {
    run_all("dws", 4);
}

#[test]
fn they_end_equal_where_adds_win() {
    run_all("aws", 4);
}

fn run_all(algorithm: &'static str, usually: u64) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("CLOUDSYNC_HORIZON_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CLOUDSYNC_HORIZON_SEEDS").unwrap_or(usually),
    };
    for seed in seeds {
        history(algorithm, seed);
    }
}

fn history(algorithm: &'static str, seed: u64) {
    let mut world = Notes::new(algorithm, BY_LINES);
    let devices = ["a", "b", "away"].map(|name| world.device(name));
    let mut random = Random::new(seed);
    let mut log = Vec::new();
    for step in 0..STEPS {
        let actor = random.below(4) as usize;
        match (random.below(10), devices.get(actor)) {
            (0..=2, Some(device)) if actor < 2 || random.below(3) == 0 => {
                log.push(format!("{actor} syncs: {}", device.sync()));
            }
            (0, None) => {
                log.push("collect".to_owned());
                world.server.run("SELECT cloudsync_collect(0)");
            }
            (_, device) => {
                let now = match device {
                    Some(device) => body_on(device),
                    None => body_on_server(&mut world.server),
                };
                let statement = statement(&mut random, now.as_deref(), step);
                log.push(format!("{actor}: {statement}"));
                match device {
                    Some(device) => device.run(&statement),
                    None => world.server.run(&statement),
                }
            }
        }
    }
    for actor in [0, 1, 2, 0, 1, 2] {
        log.push(format!("{actor} syncs: {}", devices[actor].sync()));
    }
    world.collect(&LEFT);
    for actor in [0, 1, 2] {
        log.push(format!("{actor} syncs: {}", devices[actor].sync()));
    }
    let expected = world.server.dump(DUMP);
    for (actor, device) in devices.iter().enumerate() {
        let found = device.dump(DUMP);
        let log = log.join("\n");
        assert!(
            found == expected,
            "{algorithm}, seed {seed}, {actor}\n{found:#?}\nserver: {expected:#?}\n{log}"
        );
    }
}

fn body_on(device: &Device) -> Option<String> {
    device.conn.query_row("SELECT body FROM note", [], |row| row.get(0)).unwrap_or(None)
}

fn body_on_server(server: &mut Server) -> Option<String> {
    server.client.query_opt("SELECT body FROM note", &[]).expect("a query").and_then(|row| row.get(0))
}

fn statement(random: &mut Random, now: Option<&str>, step: u64) -> String {
    let mut lines: Vec<String> =
        now.map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default();
    let at = random.below(lines.len() as u64 + 1) as usize;
    match (random.below(12), now) {
        (0..=7, Some(_)) => {
            match random.below(3) {
                0 if at < lines.len() => lines[at] = format!("edited at {step}"),
                1 if at < lines.len() => drop(lines.remove(at)),
                _ => lines.insert(at, format!("line of {step}")),
            }
            let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
            format!("UPDATE note SET body = '{body}'")
        }
        (8, _) if random.below(3) == 0 => "DELETE FROM note".to_owned(),
        (9, _) => format!("UPDATE note SET title = 't{step}'"),
        _ => "INSERT INTO note VALUES ('n', 'new', 'one\ntwo\nthree\nfour\n') ON CONFLICT (id) DO NOTHING"
            .to_owned(),
    }
}
