//! Random histories of inserts, updates, deletes and re-inserts on two devices and the server, synced in
//! random order, end equal on all three.
//!
//! `CLOUDSYNC_HISTORY_SEEDS` sets how many are run, `CLOUDSYNC_HISTORY_SEED` runs one.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;

const DEVICE_DDL: &str = "
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT DEFAULT 'none', stars INTEGER DEFAULT 0, weight REAL);
CREATE TABLE tag (note TEXT NOT NULL, name TEXT NOT NULL, colour TEXT, PRIMARY KEY (note, name)) WITHOUT ROWID;
CREATE TABLE mark (id TEXT PRIMARY KEY NOT NULL, data BLOB);";

const SERVER_DDL: &str = "
CREATE TABLE note (id text PRIMARY KEY, title text, body text DEFAULT 'none', stars bigint DEFAULT 0, weight double precision);
CREATE TABLE tag (note text NOT NULL, name text NOT NULL, colour text, PRIMARY KEY (note, name));
CREATE TABLE mark (id text PRIMARY KEY, data bytea);";

const TABLES: [&str; 3] = ["note", "tag", "mark"];
const DUMPS: [&str; 3] = [
    "SELECT id, title, body, stars, weight FROM note",
    "SELECT note, name, colour FROM tag",
    "SELECT id, data FROM mark",
];
const STEPS: u64 = 60;

#[test]
fn two_devices_and_the_server_end_equal() {
    run_all("cls", 40);
}

#[test]
fn they_end_equal_where_deletes_win() {
    run_all("dws", 10);
}

#[test]
fn they_end_equal_where_adds_win() {
    run_all("aws", 10);
}

fn run_all(algorithm: &'static str, usually: u64) {
    let one = std::env::var("CLOUDSYNC_HISTORY_SEED").ok().and_then(|seed| seed.parse().ok());
    let count = std::env::var("CLOUDSYNC_HISTORY_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let seeds = match one {
        Some(seed) => seed..seed + 1,
        None => 0..count.unwrap_or(usually),
    };
    for seed in seeds {
        History::new(algorithm, seed).run();
    }
}

struct History {
    algorithm: &'static str,
    seed: u64,
    random: Random,
    devices: Vec<Device>,
    server: Server,
    log: Vec<String>,
    _directory: tempfile::TempDir,
}

impl History {
    fn new(algorithm: &'static str, seed: u64) -> History {
        let directory = tempfile::tempdir().expect("a directory");
        let mut server = Server::create(SERVER_DDL, &[]);
        let init = TABLES.map(|table| format!("SELECT cloudsync_init('{table}', '{algorithm}')"));
        init.iter().for_each(|init| server.run(init));
        let devices = ["a", "b"].map(|name| {
            let device = Device::create(directory.path(), name, DEVICE_DDL, &[]);
            init.iter().for_each(|init| drop(device.text(init)));
            device.connect(&server.url);
            device
        });
        History {
            algorithm,
            seed,
            random: Random::new(seed),
            devices: devices.into(),
            server,
            log: Vec::new(),
            _directory: directory,
        }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            let actor = self.random.below(3) as usize;
            if actor < 2 && self.random.below(5) == 0 {
                self.sync(actor);
            } else {
                let statement = self.statement(actor == 2);
                self.log.push(format!("{}: {statement}", ["a", "b", "server"][actor]));
                match self.devices.get(actor) {
                    Some(device) => device.run(&statement),
                    None => self.server.run(&statement),
                }
            }
        }
        for actor in [0, 1, 0, 1] {
            self.sync(actor);
        }
        self.compare();
    }

    fn sync(&mut self, actor: usize) {
        let report = self.devices[actor].sync();
        self.log.push(format!("{}: sync {report}", ["a", "b"][actor]));
    }

    fn compare(&mut self) {
        for dump in DUMPS {
            let expected = self.server.dump(dump);
            for (name, device) in ["a", "b"].iter().zip(&self.devices) {
                let found = device.dump(dump);
                assert!(
                    found == expected,
                    "{} seed {}: device {name} differs from the server in {dump}\ndevice: {found:#?}\nserver: {expected:#?}\n{}",
                    self.algorithm,
                    self.seed,
                    self.log.join("\n")
                );
            }
        }
    }

    /// One statement on few keys, so that histories meet.
    fn statement(&mut self, on_server: bool) -> String {
        let random = &mut self.random;
        let key = format!("k{}", random.below(4));
        let text = format!("v{}", random.below(1000));
        let number = random.below(100);
        match random.below(13) {
            0 | 1 => format!(
                "INSERT INTO note VALUES ('{key}', '{text}', NULL, {number}, {number}.5) ON CONFLICT DO NOTHING"
            ),
            2 => format!("UPDATE note SET title = '{text}' WHERE id = '{key}'"),
            3 => format!("UPDATE note SET stars = stars + {number}, body = '{text}' WHERE id = '{key}'"),
            4 => format!("DELETE FROM note WHERE id = '{key}'"),
            5 => format!(
                "INSERT INTO note (id, title) VALUES ('{key}', '{text}') \
                 ON CONFLICT (id) DO UPDATE SET title = excluded.title, weight = {number}"
            ),
            6 if on_server => format!(
                "UPDATE note SET id = id || 'x' WHERE id = '{key}'
                 AND NOT EXISTS (SELECT FROM note WHERE id = '{key}x')"
            ),
            6 => format!("INSERT OR REPLACE INTO note (id, title) VALUES ('{key}', '{text}')"),
            7 | 8 => format!(
                "INSERT INTO tag VALUES ('{key}', 'n{}', '{text}') ON CONFLICT DO NOTHING",
                number % 2
            ),
            9 => format!("UPDATE tag SET colour = NULL WHERE note = '{key}'"),
            10 => format!("DELETE FROM tag WHERE note = '{key}' AND name = 'n{}'", number % 2),
            11 if on_server => format!("INSERT INTO mark VALUES ('{key}', '\\x00ff') ON CONFLICT DO NOTHING"),
            11 => format!("INSERT INTO mark VALUES ('{key}', x'00ff') ON CONFLICT DO NOTHING"),
            _ => format!("DELETE FROM mark WHERE id = '{key}'; DELETE FROM note WHERE id = '{key}x'"),
        }
    }
}
