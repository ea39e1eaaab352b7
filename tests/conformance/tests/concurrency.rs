//! On a real server, all at once: four writers that commit in another order than they began, two devices
//! that push to the same rows, and one that only polls. Nothing committed is missed, and no newer cell is
//! overwritten.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cloudsync_conformance::device::Device;
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;

const WRITERS: usize = 4;
const ROUNDS: u64 = 40;
const SHARED_ROWS: u64 = 5;

const DUMP: &str = "SELECT id, w0, w1, w2, w3, d0, d1 FROM shared";
const EVENTS: &str = "SELECT id, writer FROM event";

#[test]
fn nothing_is_missed_and_nothing_newer_is_overwritten() {
    let columns = |kind: &str| {
        ["w0", "w1", "w2", "w3", "d0", "d1"].map(|name| format!("{name} {kind} DEFAULT 0")).join(", ")
    };
    let mut server = Server::create(
        &format!(
            "CREATE TABLE shared (id text PRIMARY KEY, {}); CREATE TABLE event (id text PRIMARY KEY, writer bigint);",
            columns("bigint")
        ),
        &["shared", "event"],
    );
    for row in 0..SHARED_ROWS {
        server.run(&format!("INSERT INTO shared (id) VALUES ('s{row}')"));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let ddl = format!(
        "CREATE TABLE shared (id TEXT PRIMARY KEY NOT NULL, {}); CREATE TABLE event (id TEXT PRIMARY KEY NOT NULL, writer INTEGER);",
        columns("INTEGER")
    );
    let device = |name: &str| {
        let device = Device::create(directory.path(), name, &ddl, &["shared", "event"]);
        device.connect(&server.url);
        device.sync();
        device
    };
    let (pushers, poller) = ([device("d0"), device("d1")], device("poller"));
    let done = AtomicBool::new(false);
    let pushers = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let client = server.second_connection();
                scope.spawn(move || write(client, writer))
            })
            .collect();
        let pushers =
            pushers.into_iter().enumerate().map(|(number, device)| scope.spawn(move || push(device, number)));
        let pushers: Vec<_> = pushers.collect();
        let (poller, done) = (&poller, &done);
        // `Device` may move to another thread but not be shared: the poller stays on this one.
        let watch = scope.spawn(move || {
            for writer in writers {
                writer.join().expect("a writer");
            }
            let devices: Vec<Device> =
                pushers.into_iter().map(|pusher| pusher.join().expect("a pusher")).collect();
            done.store(true, Ordering::SeqCst);
            devices
        });
        while !done.load(Ordering::SeqCst) {
            poller.sync();
            thread::sleep(Duration::from_millis(5));
        }
        watch.join().expect("the watcher")
    });
    poller.sync();
    check_last_values(&mut server);
    for dump in [DUMP, EVENTS] {
        let expected = server.dump(dump);
        assert_eq!(poller.dump(dump), expected, "the polling device missed a change");
        for pusher in &pushers {
            pusher.sync();
            assert_eq!(pusher.dump(dump), expected, "a pushing device missed a change");
        }
    }
    let events = server.dump(EVENTS).len() as u64;
    assert_eq!(events, WRITERS as u64 * ROUNDS + 2 * ROUNDS);
}

/// Each column has one writer, whose last value must stand.
fn check_last_values(server: &mut Server) {
    let last = ROUNDS;
    for line in server.dump(DUMP) {
        let cells: Vec<&str> = line.split('|').skip(1).collect();
        assert_eq!(cells, vec![last.to_string(); 6], "a newer cell was overwritten: {line}");
    }
}

/// Writes its own column of every shared row and a row of its own, in transactions of random length.
fn write(mut client: postgres::Client, writer: usize) {
    let mut random = Random::new(writer as u64);
    for round in 1..=ROUNDS {
        loop {
            let mut transaction = client.transaction().expect("a transaction");
            let event = format!("INSERT INTO event VALUES ('w{writer}-{round}', {writer})");
            let update = format!("UPDATE shared SET w{writer} = {round}");
            let result = transaction.batch_execute(&event).and_then(|()| {
                thread::sleep(Duration::from_millis(random.below(15)));
                transaction.batch_execute(&update)
            });
            thread::sleep(Duration::from_millis(random.below(5)));
            // Four writers of the same rows in no fixed order deadlock now and then, as anywhere.
            if result.is_ok() && transaction.commit().is_ok() {
                break;
            }
        }
    }
}

/// Writes its own column of every shared row on a device, and syncs.
fn push(device: Device, number: usize) -> Device {
    for round in 1..=ROUNDS {
        device.run(&format!("UPDATE shared SET d{number} = {round}"));
        device.run(&format!("INSERT INTO event VALUES ('d{number}-{round}', {number})"));
        sync_with_patience(&device);
    }
    device
}

/// The server may ask to try again (a deadlock, a serialization failure): a device does.
fn sync_with_patience(device: &Device) {
    let patient = "SELECT cloudsync_network_sync(20, 20)";
    device.text(patient);
}
