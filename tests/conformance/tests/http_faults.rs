//! Devices of three users sync through a proxy that fails at random, while all of them and the server
//! write. In the end each device holds what its user may see, and nothing that anyone wrote is lost.
//!
//! `CLOUDSYNC_FAULT_SYNCS` sets how many syncs, `CLOUDSYNC_FAULT_SEED` the seed.

use std::collections::{BTreeMap, BTreeSet};

use cloudsync_conformance::device::Device;
use cloudsync_conformance::faults::FaultProxy;
use cloudsync_conformance::gateway::{Gateway, token};
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;

/// Rows without an owner belong to everyone; a diary's entry is written by one device only.
const SERVER_DDL: &str = "
CREATE TABLE note (id text PRIMARY KEY, owner uuid, title text, stars bigint DEFAULT 0);
CREATE TABLE diary (id text PRIMARY KEY, owner uuid, entry text);
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
ALTER TABLE diary ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON note, diary TO authenticated;
CREATE POLICY seen ON note TO authenticated USING (owner IS NULL OR owner = (SELECT auth.uid()));
CREATE POLICY own ON diary TO authenticated USING (owner = (SELECT auth.uid()));";
const DEVICE_DDL: &str = "
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, owner TEXT, title TEXT, stars INTEGER DEFAULT 0);
CREATE TABLE diary (id TEXT PRIMARY KEY NOT NULL, owner TEXT, entry TEXT);";
const DUMPS: [&str; 2] = [
    "SELECT id, CAST(owner AS text), title, stars FROM note",
    "SELECT id, CAST(owner AS text), entry FROM diary",
];

const ANNA: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const BERT: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const CARL: &str = "cccccccc-0000-4000-8000-000000000003";
/// Anna has two devices.
const USERS: [&str; 4] = [ANNA, ANNA, BERT, CARL];

#[test]
fn nothing_is_lost_to_a_bad_network() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = number("CLOUDSYNC_FAULT_SEED").unwrap_or(1);
    let mut story = Story::new(seed);
    let mut failed = 0;
    for _ in 0..number("CLOUDSYNC_FAULT_SYNCS").unwrap_or(300) {
        story.write();
        failed += u64::from(!story.sync());
    }
    let faults = story.proxy.faults();
    println!("seed {seed}: {faults} requests went wrong, {failed} syncs failed");
    assert!(faults > 50 && failed > 0, "the proxy did too little");
    story.proxy.heal();
    story.check();
}

struct Story {
    random: Random,
    server: Server,
    devices: Vec<Device>,
    proxy: FaultProxy,
    made: u64,
    /// Notes that were inserted, and those that anyone deleted.
    inserted: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// What each entry of a diary must hold.
    diary: BTreeMap<String, String>,
    _gateway: Gateway,
    _directory: tempfile::TempDir,
}

impl Story {
    fn new(seed: u64) -> Story {
        let directory = tempfile::tempdir().expect("a directory");
        let server = Server::create_project(SERVER_DDL, &["public.note", "public.diary"]);
        let gateway = Gateway::start(&server, &[]);
        let proxy = FaultProxy::start(&gateway.address, seed);
        let devices = USERS.iter().enumerate().map(|(number, user)| {
            let name = number.to_string();
            let device = Device::create(directory.path(), &name, DEVICE_DDL, &["note", "diary"]);
            device.connect(&proxy.url);
            device.set_token(&token(user, 3600));
            // Two of them ask for little at a time, so that everything comes in pieces.
            if number % 2 == 1 {
                device.run("SELECT cloudsync_set('network_chunk_bytes', 400)");
            }
            device
        });
        Story {
            random: Random::new(seed ^ 0x5eed),
            devices: devices.collect(),
            server,
            proxy,
            made: 0,
            inserted: BTreeSet::new(),
            deleted: BTreeSet::new(),
            diary: BTreeMap::new(),
            _gateway: gateway,
            _directory: directory,
        }
    }

    /// A few writes by a device or by the server.
    fn write(&mut self) {
        for _ in 0..self.random.below(6) {
            let at = self.random.below(USERS.len() as u64 + 1) as usize;
            if at == USERS.len() {
                self.write_on_server();
            } else {
                self.write_on_device(at);
            }
        }
    }

    fn write_on_device(&mut self, at: usize) {
        let user = USERS[at];
        match self.random.below(10) {
            0..4 => {
                let owner = if self.random.below(2) == 0 { format!("'{user}'") } else { "NULL".to_owned() };
                let count = if self.random.below(20) == 0 { 200 } else { 1 };
                for _ in 0..count {
                    let id = self.new_id(at);
                    self.devices[at].run(&format!("INSERT INTO note VALUES ('{id}', {owner}, 'new', 0)"));
                    self.inserted.insert(id);
                }
            }
            4..6 => {
                let (id, stars) = (self.some_note(at), self.random.below(100));
                self.devices[at].run(&format!("UPDATE note SET stars = {stars} WHERE id = '{id}'"));
            }
            6 => {
                let id = self.some_note(at);
                self.devices[at].run(&format!("DELETE FROM note WHERE id = '{id}'"));
                self.deleted.insert(id);
            }
            _ => {
                let id = format!("{at}-{}", self.random.below(5));
                let entry = format!("entry {}", self.new_id(at));
                self.devices[at].run(&format!(
                    "INSERT INTO diary VALUES ('{id}', '{user}', '{entry}')
                     ON CONFLICT (id) DO UPDATE SET entry = excluded.entry"
                ));
                self.diary.insert(id, entry);
            }
        }
    }

    fn write_on_server(&mut self) {
        if self.random.below(2) == 0 {
            let (id, owner) = (self.new_id(9), *self.random.pick(&USERS));
            self.server.run(&format!("INSERT INTO note VALUES ('{id}', '{owner}', 'by the server', 0)"));
            self.inserted.insert(id);
        } else {
            self.server.run("UPDATE note SET title = title || '!' WHERE id = (SELECT max(id) FROM note)");
        }
    }

    fn new_id(&mut self, at: usize) -> String {
        self.made += 1;
        format!("{:08x}-{at}-{}", self.random.next_number() as u32, self.made)
    }

    fn some_note(&mut self, at: usize) -> String {
        let notes = self.devices[at].dump("SELECT id FROM note");
        let none = String::new();
        let id = if notes.is_empty() { &none } else { self.random.pick(&notes) };
        id.trim_matches('"').to_owned()
    }

    /// One sync of some device; `false` if it failed, which must not harm.
    fn sync(&mut self) -> bool {
        let at = self.random.below(USERS.len() as u64) as usize;
        self.devices[at].try_sync().is_ok()
    }

    fn check(&mut self) {
        for _ in 0..2 {
            for device in &self.devices {
                let report = device.sync();
                assert!(report.contains("\"synced\""), "{report}");
            }
        }
        for (device, user) in self.devices.iter().zip(USERS) {
            for sql in DUMPS {
                assert_eq!(device.dump(sql), seen_by(&mut self.server, user, sql), "{user}: {sql}");
            }
            assert_eq!(device.dump("SELECT sqlstate, message FROM cloudsync_rejections"), [""; 0]);
        }
        let there: BTreeSet<String> = self
            .server
            .dump("SELECT id FROM note")
            .iter()
            .map(|id| id.trim_matches('"').to_owned())
            .collect();
        let lost: Vec<&String> =
            self.inserted.difference(&self.deleted).filter(|id| !there.contains(*id)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let diary: Vec<String> = self.diary.iter().map(|(id, entry)| format!("{id:?}|{entry:?}")).collect();
        assert_eq!(self.server.dump("SELECT id, entry FROM diary"), diary);
    }
}

/// What a SELECT as this user answers.
fn seen_by(server: &mut Server, user: &str, sql: &str) -> Vec<String> {
    server.run(&format!(
        "BEGIN; SET LOCAL ROLE authenticated;
         SELECT set_config('request.jwt.claims', '{{\"sub\":\"{user}\",\"role\":\"authenticated\"}}', true)"
    ));
    let rows = server.dump(sql);
    server.run("ROLLBACK");
    rows
}
