//! The rows that are measured with: made up once, before any clock runs.

use std::fmt::Write;

use crate::generate::Numbers;

/// Rows of the bulk workloads.
pub const BULK: usize = 100_000;
/// Transactions of one row each.
pub const SINGLE: usize = 2_000;

const FIRST_MILLISECOND: u64 = 1_760_000_000_000;
const WORDS: &[&str] = &[
    "review",
    "invoice",
    "Zürich",
    "order",
    "meeting",
    "draft",
    "customer",
    "shipment",
    "urgent",
    "notes",
    "budget",
    "follow-up",
    "contract",
    "delivery",
    "sketch",
    "travel",
];
const STATES: &[&str] = &["open", "waiting", "done", "archived"];

/// One row: eight columns of the usual kinds.
pub struct Row {
    /// A UUID that grows with time, or a random one.
    pub id: String,
    title: String,
    body: String,
    state: &'static str,
    priority: u64,
    score: f64,
    done: bool,
    due: String,
}

/// How keys are made.
#[derive(Clone, Copy)]
pub enum Keys {
    /// Version 7: in the order of insertion.
    Ascending,
    /// Version 4.
    Random,
}

/// `count` rows that depend on the seed only.
pub fn generate(seed: u64, count: usize, keys: Keys) -> impl Iterator<Item = Row> {
    let mut numbers = Numbers::from_seed(seed);
    (0..count as u64).map(move |index| Row {
        id: match keys {
            Keys::Ascending => numbers.uuid_v7(FIRST_MILLISECOND + index),
            Keys::Random => numbers.uuid_v4(),
        },
        title: words(&mut numbers, 3),
        body: words(&mut numbers, 10),
        state: STATES[numbers.below(STATES.len() as u64) as usize],
        priority: numbers.below(10),
        score: numbers.below(1_000_000) as f64 / 1_000.0,
        done: numbers.below(2) == 1,
        due: format!("2026-{:02}-{:02}", 1 + numbers.below(12), 1 + numbers.below(28)),
    })
}

impl Row {
    /// As the values of an INSERT statement. The truth value is quoted: so SQLite takes it for its
    /// integer column, and PostgreSQL for its boolean one.
    pub fn values(&self) -> String {
        let Row { id, title, body, state, priority, score, done, due } = self;
        format!("('{id}','{title}','{body}','{state}',{priority},{score},'{}','{due}')", u8::from(*done))
    }

    /// As a line of COPY's text format.
    pub fn copy_line(&self) -> String {
        let Row { id, title, body, state, priority, score, done, due } = self;
        format!("{id}\t{title}\t{body}\t{state}\t{priority}\t{score}\t{}\t{due}\n", u8::from(*done))
    }
}

/// INSERT statements of many rows each.
pub fn insert_statements(table: &str, rows: impl Iterator<Item = Row>) -> String {
    let mut sql = String::new();
    for (index, row) in rows.enumerate() {
        let before = match (index, index % 500) {
            (0, _) => format!("INSERT INTO {table} VALUES\n"),
            (_, 0) => format!(";\nINSERT INTO {table} VALUES\n"),
            _ => ",\n".to_owned(),
        };
        sql.push_str(&before);
        sql.push_str(&row.values());
    }
    sql.push_str(";\n");
    sql
}

/// An INSERT statement, and so a transaction, for each row.
pub fn single_inserts(table: &str, rows: impl Iterator<Item = Row>) -> String {
    let mut sql = String::new();
    for row in rows {
        // Writing to a string cannot fail.
        writeln!(sql, "INSERT INTO {table} VALUES {};", row.values()).ok();
    }
    sql
}

fn words(numbers: &mut Numbers, count: usize) -> String {
    let chosen: Vec<&str> = (0..count).map(|_| WORDS[numbers.below(WORDS.len() as u64) as usize]).collect();
    chosen.join(" ")
}
