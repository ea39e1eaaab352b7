//! The same scenario on memory, SQLite and PostgreSQL, compared cell by cell after every step.
//!
//! A scenario mixes local writes with changes of other sites whose versions lie in the past or a little in
//! the future, so that on every engine the same ones win. `CLOUDSYNC_ENGINE_SEEDS` sets how many are run.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use cloudsync_conformance::device::Device;
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;
use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::flow::{Present, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis, Version};
use cloudsync_shared::id::{CausalLength, ColumnId, RowId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::mem::{MemStore, RowWrite, WriteCall};
use cloudsync_shared::message::{Epoch, Message, PullRequest, PushRequest};
use cloudsync_shared::schema::{Algorithm, Column, TableSchema};
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::Past;
use cloudsync_shared::wire;

const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];
const DUMP: &str = "SELECT id, a, b, c, d FROM item";
const STEPS: usize = 50;
const HOUR: u64 = 3_600_000;
const TWO_MINUTES: u64 = 120_000;
const APART: u64 = 1_000;

#[test]
fn memory_sqlite_and_postgresql_agree() {
    let seeds = std::env::var("CLOUDSYNC_ENGINE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let directory = tempfile::tempdir().expect("a directory");
    for seed in 0..seeds.unwrap_or(30) {
        let mut engines = Engines::new(directory.path(), seed);
        let mut random = Random::new(seed);
        let mut log = Vec::new();
        for _ in 0..STEPS {
            let step = Step::any(&mut random);
            log.push(format!("{step:?}"));
            engines.take(&step);
            engines.compare(seed, &log);
        }
    }
}

#[derive(Debug)]
enum Step {
    Insert(String, Vec<Value>),
    Update(String, usize, Value),
    Delete(String),
    Remote(SiteId, ChangeBatch),
}

impl Step {
    fn any(random: &mut Random) -> Step {
        let key = format!("k{}", random.below(4));
        match random.below(8) {
            0 | 1 => Step::Insert(key, (0..COLUMNS.len()).map(|column| value(random, column)).collect()),
            2 | 3 => {
                let column = random.below(4) as usize;
                Step::Update(key, column, value(random, column))
            }
            4 => Step::Delete(key),
            _ => {
                let site = SiteId([1 + random.below(3) as u8; 16]);
                let keys = 1 + random.below(3);
                let mut rows: Vec<RowChange> = (0..keys).map(|_| remote_row(random, site)).collect();
                let highest = rows.iter().map(RowChange::highest).max().unwrap_or_default();
                rows.push(heard(Stamp { version: highest, site }));
                let columns = COLUMNS.map(str::to_owned).into();
                Step::Remote(
                    site,
                    ChangeBatch {
                        tables: vec![TableChanges { table: "item".into(), algorithm: None, columns, rows }],
                    },
                )
            }
        }
    }
}

fn remote_row(random: &mut Random, site: SiteId) -> RowChange {
    let key = Key::encode(&[Value::Text(format!("k{}", random.below(4)))]).expect("a key");
    let length = CausalLength(1 + random.below(4) as u32);
    let life = stamp(random, site);
    let told = |random: &mut Random| random.below(3) > 0;
    let mut cells = Vec::new();
    for column in (0..COLUMNS.len()).filter(|_| length.is_alive()) {
        if told(random) {
            cells.push(CellChange { column, stamp: stamp(random, site), value: value(random, column) });
        }
    }
    RowChange { row_id: None, key, length, life, cells, texts: Vec::new(), past: Past::default() }
}

/// A row that everybody accepts: PostgreSQL counts no version of which it took nothing, and its next local write
/// would have another place among those of the future than on the other engines.
fn heard(life: Stamp<SiteId>) -> RowChange {
    let key = Key::encode(&[Value::Text("heard".to_owned())]).expect("a key");
    let (length, past) = (CausalLength::FIRST, Past::default());
    RowChange { row_id: None, key, length, life, cells: Vec::new(), texts: Vec::new(), past }
}

/// An hour ago or in two minutes, never near the present, where local writes are. The versions of the
/// future lie apart by more than a scenario has writes: a local write that follows one of them stays below
/// the next on every engine, however the engine counts.
fn stamp(random: &mut Random, site: SiteId) -> Stamp<SiteId> {
    let time = if random.below(3) == 0 { start() + TWO_MINUTES } else { start() - HOUR };
    let version = Version(Version::from_millis(Millis(time)).0 + random.below(50) * APART);
    Stamp { version, site }
}

fn start() -> u64 {
    static START: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *START.get_or_init(now)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

fn value(random: &mut Random, column: usize) -> Value {
    if random.below(6) == 0 {
        return Value::Null;
    }
    let number = random.below(1000);
    match column {
        0 => Value::Text(format!("t{number}'\"\\ ü")),
        1 => Value::Integer(number as i64 - 500),
        2 => Value::Real(number as f64 / 8.0),
        _ => Value::Blob(vec![0, number as u8, 255]),
    }
}

/// How an engine writes bytes in SQL.
type BlobLiteral = dyn Fn(&[u8]) -> String;

struct Engines {
    memory: MemStore,
    device: Device,
    server: Server,
}

impl Engines {
    fn new(directory: &std::path::Path, seed: u64) -> Engines {
        let mut memory = MemStore::new(SiteId([9; 16]));
        let columns =
            COLUMNS.iter().zip(1..).map(|(name, id)| Column { name: (*name).into(), id: ColumnId(id) });
        memory.create_table(
            TableSchema {
                name: "item".into(),
                algorithm: Algorithm::Cls,
                key: vec!["id".into()],
                columns: columns.collect(),
                texts: Vec::new(),
            },
            Vec::new(),
        );
        let device = Device::create(
            directory,
            &format!("engine{seed}"),
            "CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER, c REAL, d BLOB)",
            &["item"],
        );
        let server = Server::create(
            "CREATE TABLE item (id text PRIMARY KEY, a text, b bigint, c double precision, d bytea)",
            &["item"],
        );
        Engines { memory, device, server }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Insert(key, values) => {
                let named = COLUMNS.iter().map(|name| (*name).to_owned()).zip(values.iter().cloned());
                self.remember(key, RowWrite::Insert(named.collect()));
                self.run(&|blob| {
                    let values: Vec<String> = values.iter().map(|value| literal(value, blob)).collect();
                    format!("INSERT INTO item VALUES ('{key}', {}) ON CONFLICT DO NOTHING", values.join(", "))
                });
            }
            Step::Update(key, column, value) => {
                let name = COLUMNS[*column];
                self.remember(key, RowWrite::Update(vec![(name.to_owned(), value.clone())]));
                self.run(&|blob| {
                    format!("UPDATE item SET {name} = {} WHERE id = '{key}'", literal(value, blob))
                });
            }
            Step::Delete(key) => {
                self.remember(key, RowWrite::Delete);
                self.run(&|_| format!("DELETE FROM item WHERE id = '{key}'"));
            }
            Step::Remote(site, batch) => self.receive(*site, batch),
        }
    }

    fn remember(&mut self, key: &str, write: RowWrite) {
        let key = Key::encode(&[Value::Text(key.to_owned())]).expect("a key");
        // An update that changes nothing is no write on the engines.
        if let RowWrite::Update(values) = &write {
            let dump = self.memory.dump();
            let row = dump["item"].rows.get(&key);
            if row.is_some_and(|row| values.iter().all(|(name, value)| row.get(name) == Some(value))) {
                return;
            }
        }
        let call = WriteCall { now: Millis(now()), table: "item".into(), key, write };
        self.memory.write(&call).expect("a local write");
    }

    fn run(&mut self, statement: &dyn Fn(&BlobLiteral) -> String) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.device.run(&statement(&move |bytes| format!("x'{}'", hex(bytes))));
        self.server.run(&statement(&move |bytes| format!("'\\x{}'::bytea", hex(bytes))));
    }

    fn receive(&mut self, site: SiteId, batch: &ChangeBatch) {
        let present = Present { now: Millis(now()), max_drift: DEFAULT_MAX_DRIFT };
        merge_batch(&mut self.memory, &mut batch.clone(), present).expect("memory merges");
        // On the wire a key occurs once a table; merging folds by the same rule.
        let mut changes = batch.clone();
        changes.tables.iter_mut().for_each(TableChanges::fold);
        let payload = wire::encode(&Message::Payload(changes.clone())).expect("a payload");
        self.device
            .conn
            .query_row("SELECT cloudsync_payload_apply(?1)", [payload], |_| Ok(()))
            .expect("SQLite merges");
        self.name_rows(&mut changes);
        let request =
            PushRequest { site, epoch: Some(self.epoch()), changes, groups: Vec::new(), bases: Vec::new() };
        let request = wire::encode(&Message::PushRequest(request)).expect("a request");
        self.server.client.query_one("SELECT cloudsync_push($1)", &[&request]).expect("PostgreSQL merges");
    }

    /// Names the server's ids of rows: a change of one who does not know the row is taken for another
    /// (see `merge::admit`), and here it is the merge alone that is compared.
    fn name_rows(&mut self, changes: &mut ChangeBatch) {
        let known = self.server.client.query("SELECT k1, row_id FROM cloudsync.clock_1", &[]);
        let known: HashMap<String, i64> =
            known.expect("the clocks").iter().map(|row| (row.get(0), row.get(1))).collect();
        for row in changes.tables.iter_mut().flat_map(|table| &mut table.rows) {
            let key = row.key.decode(1).expect("a key");
            let Some(Value::Text(id)) = key.first() else { continue };
            row.row_id = known.get(id).map(|row_id| RowId(row_id.unsigned_abs()));
        }
    }

    fn epoch(&mut self) -> Epoch {
        let request = PullRequest {
            site: SiteId([8; 16]),
            epoch: None,
            tables: Vec::new(),
            from: None,
            progress: None,
            max_bytes: 0,
            held: Vec::new(),
        };
        let request = wire::encode(&Message::PullRequest(request)).expect("a request");
        let reply = self.server.client.query_one("SELECT cloudsync_pull($1)", &[&request]);
        match wire::decode(reply.expect("a pull").get(0)) {
            Ok(Message::PullReply(reply)) => reply.epoch,
            other => panic!("not a pull reply: {other:?}"),
        }
    }

    fn compare(&mut self, seed: u64, log: &[String]) {
        let memory = self.memory_dump();
        for (engine, found) in [("SQLite", self.device.dump(DUMP)), ("PostgreSQL", self.server.dump(DUMP))] {
            assert!(
                found == memory,
                "seed {seed}: {engine} differs\nmemory: {memory:#?}\n{engine}: {found:#?}\n{}",
                log.join("\n")
            );
        }
    }

    fn memory_dump(&self) -> Vec<String> {
        let dump = self.memory.dump();
        let mut lines: Vec<String> = dump["item"]
            .rows
            .iter()
            .map(|(key, row)| {
                let mut cells = key.decode(1).expect("a key");
                cells.extend(COLUMNS.iter().map(|name| row.get(*name).cloned().unwrap_or(Value::Null)));
                cells.iter().map(print).collect::<Vec<_>>().join("|")
            })
            .collect();
        lines.sort();
        lines
    }
}

fn print(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::Blob(bytes) => format!("x{bytes:02x?}"),
    }
}

fn literal(value: &Value, blob: &BlobLiteral) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => blob(bytes),
    }
}
