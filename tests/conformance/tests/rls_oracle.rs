//! Row-level security is the sync rule: random policies, users and histories on a real server, each
//! sync compared with `SELECT`, each message searched for what is hidden.
//!
//! `CLOUDSYNC_RLS_SEEDS` sets how many stories are told, `CLOUDSYNC_RLS_SEED` tells one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use cloudsync_conformance::device::Device;
use cloudsync_conformance::rls::world::Roles;
use cloudsync_conformance::rls::{guide, story};
use cloudsync_conformance::server::Server;

const GUIDE: &str = include_str!("../../../docs/rls.md");

const SEEDS: u64 = 60;
const THREADS: usize = 2;
/// Enough to see whether failures have one cause.
const FAILURES_SHOWN: usize = 4;

#[test]
fn a_device_holds_what_select_shows_and_hears_of_nothing_else() {
    let number = |variable| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, end) = match number("CLOUDSYNC_RLS_SEED") {
        Some(seed) => (seed, seed + 1),
        None => (0, number("CLOUDSYNC_RLS_SEEDS").unwrap_or(SEEDS)),
    };
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    if let Err(story) = story::run(seed) {
                        let mut failures = failures.lock().expect("no panic before");
                        failures.push(story);
                        stop.fetch_or(failures.len() >= FAILURES_SHOWN, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic before");
    assert!(failures.is_empty(), "{} stories failed\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn the_team_of_two_in_the_guide_can_be_typed() {
    // Roles belong to the whole server: under names of their own, two runs do not meet.
    let names = ["anna", "ben"].map(|name| (name, format!("{name}_{}", std::process::id())));
    let guide = names.iter().fold(GUIDE.to_owned(), |guide, (name, own)| guide.replace(name, own));
    let _roles = Roles(names.map(|(_, own)| own).into());
    let mut server = Server::create("", &[]);
    assert_eq!(guide::type_it(&guide, &mut server), 6, "lines of the guide that say what is printed");
}

/// The fold once gave out versions table after table, each above all before: an edit then counted as
/// later than a newer one elsewhere, if its device had written to another table since.
#[test]
fn an_edit_is_not_made_later_by_a_write_to_another_table() {
    let ddl = |kind: &str| {
        format!(
            "CREATE TABLE log (id {kind} PRIMARY KEY NOT NULL, a {kind}); CREATE TABLE note (id {kind} PRIMARY KEY NOT NULL, a {kind});"
        )
    };
    let mut server = Server::create(&ddl("text"), &["log", "note"]);
    server.run("INSERT INTO note VALUES ('n', 'first')");
    let directory = tempfile::tempdir().expect("a directory");
    let [early, late] = ["early", "late"].map(|name| {
        let device = Device::create(directory.path(), name, &ddl("TEXT"), &["log", "note"]);
        device.connect(&server.url);
        device.sync();
        device
    });
    let pause = || thread::sleep(std::time::Duration::from_millis(5));
    early.run("UPDATE note SET a = 'early'");
    pause();
    late.run("UPDATE note SET a = 'late'");
    pause();
    early.run("INSERT INTO log VALUES ('l', 'written last')");
    early.sync();
    late.sync();
    assert_eq!(server.dump("SELECT a FROM note"), ["\"late\""]);
}
