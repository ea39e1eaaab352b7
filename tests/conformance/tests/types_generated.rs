//! Generated values of all types through a real server and real devices: what either side wrote is the
//! same everywhere afterwards.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;
use cloudsync_conformance::values::{COLUMNS, device_literal, server_literal};

const ROWS: u64 = 300;

fn ddl(kind: impl Fn(&(&str, &str, &str)) -> String) -> String {
    let columns: Vec<String> =
        COLUMNS.iter().map(|column| format!("{} {}", column.0, kind(column))).collect();
    format!("CREATE TABLE wide (id TEXT PRIMARY KEY NOT NULL, {});", columns.join(", "))
}

struct World {
    server: Server,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().expect("a directory");
        World { server: Server::create(&ddl(|column| column.1.to_owned()), &["wide"]), directory }
    }

    fn device(&self, name: &str) -> Device {
        let ddl = ddl(|column| column.2.to_owned());
        let device = Device::create(self.directory.path(), name, &ddl, &["wide"]);
        device.connect(&self.server.url);
        device
    }
}

fn names() -> String {
    COLUMNS.iter().map(|column| column.0).collect::<Vec<_>>().join(", ")
}

fn content(device: &Device) -> Vec<String> {
    let typed = |column: &(&str, &str, &str)| format!("typeof({0}), {0}", column.0);
    let typed: Vec<String> = COLUMNS.iter().map(typed).collect();
    device.dump(&format!("SELECT id, {} FROM wide", typed.join(", ")))
}

#[test]
fn generated_values_of_the_server_come_back_to_the_bit() {
    let mut world = World::new();
    let mut random = Random::new(20_261_121);
    for row in 0..ROWS {
        let values: Vec<String> =
            COLUMNS.iter().map(|column| server_literal(&mut random, column.0)).collect();
        world.server.run(&format!("INSERT INTO wide VALUES ('{row}', {})", values.join(", ")));
    }
    let device = world.device("one");
    device.sync();
    assert_eq!(device.dump("SELECT * FROM cloudsync_parked"), Vec::<String>::new());
    device.run(&format!("INSERT INTO wide SELECT 'copy ' || id, {0} FROM wide", names()));
    let before = content(&device);
    device.sync();
    assert_eq!(device.dump("SELECT sqlstate, message FROM cloudsync_rejections"), Vec::<String>::new());
    let parts = |alias: &str| -> String {
        COLUMNS.iter().map(|column| format!("{alias}.{}", column.0)).collect::<Vec<_>>().join(", ")
    };
    let sql = format!(
        "SELECT a.id, a::text, b::text FROM wide a JOIN wide b ON b.id = 'copy ' || a.id \
         WHERE NOT record_image_eq(ROW({}), ROW({}))",
        parts("a"),
        parts("b")
    );
    assert_eq!(world.server.dump(&sql), Vec::<String>::new());
    assert_eq!(world.server.dump("SELECT count(*) FROM wide"), [(2 * ROWS).to_string()]);
    assert_eq!(content(&device), before);
}

#[test]
fn generated_values_of_a_device_are_the_same_everywhere_in_the_end() {
    let mut world = World::new();
    let mut random = Random::new(7_112_026);
    let device = world.device("one");
    for row in 0..ROWS {
        let values: Vec<String> =
            COLUMNS.iter().map(|column| device_literal(&mut random, column.0)).collect();
        device.run(&format!("INSERT INTO wide VALUES ('{row}', {})", values.join(", ")));
    }
    let exact = "SELECT id, small, whole, big, double, bytes, words FROM wide";
    let before = device.dump(exact);
    device.sync();
    assert_eq!(device.dump("SELECT sqlstate, message FROM cloudsync_rejections"), Vec::<String>::new());
    assert_eq!(device.dump(exact), before, "these types hold what a device holds");
    let other = world.device("two");
    other.sync();
    assert_eq!(content(&other), content(&device), "the device heard of what the server wrote otherwise");
    // Nothing moves any more.
    let settled = content(&device);
    device.run("UPDATE wide SET id = id");
    let report = device.sync();
    assert!(report.contains(r#""rows":0"#), "{report}");
    assert_eq!(content(&device), settled);
    assert_eq!(world.server.dump("SELECT count(*) FROM wide"), [ROWS.to_string()]);
}
