//! Devices whose clocks are wrong.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;

const DDL: &str = "CREATE TABLE note (id text PRIMARY KEY NOT NULL, a text, b text)";
const ALL: &str = "SELECT id, a, b FROM note";
const HOUR: i64 = 3_600_000;

struct World {
    server: Server,
    device: Device,
    other: Device,
    _directory: tempfile::TempDir,
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
        World { server, device, other, _directory: directory }
    }

    /// Runs a statement on the device as if its clock were that much ahead.
    fn run_ahead(&self, milliseconds: i64, sql: &str) {
        self.device.run(sql);
        self.device.run(&format!("UPDATE note_cloudsync_journal SET at = at + {milliseconds}"));
        // Folded: the versions are given.
        self.device.run("SELECT cloudsync_db_version()");
    }

    fn assert_equal(&mut self) {
        let expected = self.server.dump(ALL);
        assert_eq!(self.device.dump(ALL), expected);
        assert_eq!(self.other.dump(ALL), expected);
        assert_eq!(self.device.dump("SELECT tbl FROM cloudsync_rejections"), Vec::<String>::new());
    }
}

/// A device whose clock ran ahead was once refused at every sync, for ever.
#[test]
fn what_a_clock_that_runs_ahead_wrote_is_not_lost_and_does_not_win_for_ever() {
    let mut world = World::new();
    world.device.run("INSERT INTO note VALUES ('old', 'a', 'b')");
    world.device.sync();
    world.other.sync();
    world.run_ahead(HOUR, "INSERT INTO note VALUES ('new', 'first', 'b')");
    world.run_ahead(HOUR, "UPDATE note SET a = 'second' WHERE id = 'new'");
    world.run_ahead(2 * HOUR, "UPDATE note SET a = 'third' WHERE id IN ('new', 'old')");
    world.run_ahead(2 * HOUR, "INSERT INTO note VALUES ('gone', 'a', 'b')");
    world.run_ahead(2 * HOUR, "DELETE FROM note WHERE id = 'gone'");
    let report = world.device.sync();
    assert!(report.contains(r#""status":"synced""#), "{report}");
    world.other.sync();
    world.assert_equal();
    assert_eq!(world.other.dump(ALL), [r#""new"|"third"|"b""#, r#""old"|"third"|"b""#]);
    // The future has not been taken: a later write elsewhere wins.
    world.other.run("UPDATE note SET a = 'later'");
    world.other.sync();
    world.device.sync();
    world.assert_equal();
    assert_eq!(world.device.dump(ALL), [r#""new"|"later"|"b""#, r#""old"|"later"|"b""#]);
    // Nor does what the device writes from here on count as of the future.
    world.device.run("UPDATE note SET a = 'last' WHERE id = 'old'");
    world.device.sync();
    world.other.sync();
    world.assert_equal();
}

#[test]
fn once_the_server_has_told_the_time_a_clock_that_runs_ahead_is_set_right() {
    let mut world = World::new();
    world.device.sync();
    world
        .device
        .run(&format!("UPDATE cloudsync_settings SET value = '{}' WHERE key = 'clock_offset'", -HOUR));
    world.run_ahead(HOUR, "INSERT INTO note VALUES ('new', 'a', 'b')");
    let version = "SELECT (max(db_version) >> 16) / 1000 - unixepoch() < 60 FROM cloudsync_changes";
    assert_eq!(world.device.dump(version), ["1"]);
    world.device.sync();
    world.other.sync();
    world.assert_equal();
}

#[test]
fn a_clock_that_stands_still_or_goes_back_still_orders_writes() {
    let mut world = World::new();
    world.run_ahead(0, "INSERT INTO note VALUES ('k', '1', '1')");
    world.device.sync();
    for (back, value) in [(-HOUR, 2), (-2 * HOUR, 3), (-30 * 24 * HOUR, 4)] {
        world.run_ahead(back, &format!("UPDATE note SET a = '{value}' WHERE id = 'k'"));
        world.device.sync();
    }
    world.other.sync();
    world.assert_equal();
    assert_eq!(world.other.dump(ALL), [r#""k"|"4"|"1""#]);
}
