//! Rates and sizes of the wire format. Not a check: run it in release mode to see the figures.
//!
//! `cargo test --release -p cloudsync_shared --test wire_measure -- --ignored --nocapture`

use std::time::{Duration, Instant};

use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{CausalLength, RowId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::Message;
use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::value::{Value, uuid_text};
use cloudsync_shared::vector::Past;
use cloudsync_shared::wire::{decode, encode};

const COLUMNS: [&str; 8] =
    ["title", "status", "priority", "quantity", "price", "score", "owner_id", "updated_at"];
const WORDS: [&str; 32] = [
    "buy", "call", "fix", "draft", "review", "milk", "report", "invoice", "client", "garden", "server",
    "paint", "fence", "tickets", "order", "train", "weekly", "urgent", "old", "new", "small", "blue", "team",
    "budget", "photo", "backup", "letter", "meeting", "kitchen", "project", "tax", "lamp",
];

/// SplitMix64: enough for values that look real, and the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn uuid(&mut self) -> [u8; 16] {
        (u128::from(self.roll()) << 64 | u128::from(self.roll())).to_be_bytes()
    }

    fn words(&mut self) -> String {
        let count = 2 + self.below(3);
        (0..count).map(|_| WORDS[self.below(32) as usize]).collect::<Vec<_>>().join(" ")
    }
}

fn uuid_v7(millis: u64, dice: &mut Dice) -> [u8; 16] {
    let mut uuid = dice.uuid();
    uuid[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    uuid[6] = 0x70 | (uuid[6] & 0x0f);
    uuid[8] = 0x80 | (uuid[8] & 0x3f);
    uuid
}

fn values(millis: u64, owners: &[[u8; 16]], dice: &mut Dice) -> [Value; 8] {
    let second = millis / 1000 % 86_400;
    [
        Value::Text(dice.words()),
        Value::Text(["open", "in progress", "done", "dropped"][dice.below(4) as usize].into()),
        Value::Integer(dice.below(5) as i64),
        if dice.below(4) == 0 { Value::Null } else { Value::Integer(dice.below(10_000) as i64) },
        Value::Real(dice.below(100_000) as f64 / 100.0),
        Value::Real(dice.roll() as f64 / u64::MAX as f64),
        Value::Text(uuid_text(owners[dice.below(1000) as usize])),
        Value::Text(format!("2026-08-22T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)),
    ]
}

/// Rows inserted over some minutes by one device; with `updated`, two columns of each were written
/// later, and only those are told.
fn batch(rows: usize, updated: bool) -> ChangeBatch {
    let mut dice = Dice(7);
    let site = SiteId(dice.uuid());
    let owners: Vec<[u8; 16]> = (0..1000).map(|_| dice.uuid()).collect();
    let start = 1_787_000_000_000u64;
    let rows = (0..rows as u64).map(|index| {
        let millis = start + index / 4;
        let life = Stamp { version: Version(Version::from_millis(Millis(millis)).0 + index % 4), site };
        let mut stamp = life;
        if updated {
            stamp.version = Version::from_millis(Millis(start + 90_000_000 + index * 7));
        }
        let cells = values(millis, &owners, &mut dice).into_iter().enumerate();
        let cells = cells.filter(|(column, _)| !updated || matches!(column, 1 | 7));
        RowChange {
            row_id: Some(RowId(5000 + index)),
            key: Key::encode(&[Value::Text(uuid_text(uuid_v7(millis, &mut dice)))]).unwrap(),
            length: CausalLength::FIRST,
            life,
            cells: cells.map(|(column, value)| CellChange { column, stamp, value }).collect(),
            texts: Vec::new(),
            past: Past::default(),
        }
    });
    let columns = COLUMNS.map(String::from).to_vec();
    ChangeBatch {
        tables: vec![TableChanges {
            table: "tasks".into(),
            algorithm: Some(Algorithm::Cls),
            columns,
            rows: rows.collect(),
        }],
    }
}

fn best<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut result = None;
    let mut best = Duration::MAX;
    for _ in 0..7 {
        drop(result.take());
        let start = Instant::now();
        let made = work();
        best = best.min(start.elapsed());
        result = Some(made);
    }
    (best, result.unwrap())
}

fn measure(name: &str, batch: ChangeBatch) {
    let cells: usize = batch.tables[0].rows.iter().map(|row| row.cells.len()).sum();
    let message = Message::Payload(batch);
    let (encoding, bytes) = best(|| encode(&message).unwrap());
    let (decoding, back) = best(|| decode(&bytes).unwrap());
    assert_eq!(back, message);
    let rate = |time: Duration| cells as f64 / time.as_secs_f64() / 1e6;
    println!(
        "{name}: {cells} cells, {:.2} bytes a cell, encode {:.1} M cells/s, decode {:.1} M cells/s",
        bytes.len() as f64 / cells as f64,
        rate(encoding),
        rate(decoding),
    );
}

#[test]
#[ignore = "prints figures, in release mode"]
fn rates_and_sizes() {
    measure("100,000 inserted rows of 8 columns", batch(100_000, false));
    measure("1,000 inserted rows of 8 columns", batch(1000, false));
    measure("10 inserted rows of 8 columns", batch(10, false));
    measure("100,000 rows with 2 updated columns", batch(100_000, true));
}
