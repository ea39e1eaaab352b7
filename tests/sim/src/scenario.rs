//! A scenario: which replicas there are, and everything that happens to them, in order.
//!
//! A scenario holds no randomness: replaying it gives the same result each time, on the in-memory
//! store, on SQLite and on PostgreSQL. Every action makes sense in every state (what is not there is
//! not touched), so any of them may be left out, which is how a failure is made small.

use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::value::Value;

/// A run from empty replicas to quiet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What it was generated from; site ids follow from it, nothing else.
    pub seed: u64,
    /// How many replicas there are; they are named by their index.
    pub replicas: usize,
    /// The tables that each replica syncs.
    pub tables: Vec<TableSpec>,
    /// What happens.
    pub actions: Vec<Action>,
}

/// A table, the same on each replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// How its rows merge.
    pub algorithm: Algorithm,
    /// How many columns the primary key has: `k0`, `k1` …
    pub key_columns: usize,
    /// How many other columns it has: `c0`, `c1` … Their default is NULL.
    pub columns: usize,
    /// Rows that stand in it before it is synced.
    pub base: Vec<BaseRow>,
}

impl TableSpec {
    /// The names of the key columns, in key order.
    pub fn key_names(&self) -> Vec<String> {
        (0..self.key_columns).map(|at| format!("k{at}")).collect()
    }

    /// The names of the other columns.
    pub fn column_names(&self) -> Vec<String> {
        (0..self.columns).map(|at| format!("c{at}")).collect()
    }
}

/// A row that stands in one replica's table before it is synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseRow {
    /// The replica.
    pub replica: usize,
    /// The primary key.
    pub key: Vec<Value>,
    /// A value for each other column.
    pub values: Vec<Value>,
}

/// One step. Replicas, tables and columns are named by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `INSERT`; nothing if the row exists.
    Insert {
        /// Where.
        replica: usize,
        /// Into which table.
        table: usize,
        /// The primary key.
        key: Vec<Value>,
        /// A value for each other column.
        values: Vec<Value>,
    },
    /// `INSERT OR REPLACE`: the whole row is written, whether it exists or not. A grow-only table
    /// refuses it for a row that exists.
    Replace {
        /// Where.
        replica: usize,
        /// Into which table.
        table: usize,
        /// The primary key.
        key: Vec<Value>,
        /// A value for each other column.
        values: Vec<Value>,
    },
    /// `UPDATE` of some columns; nothing if the row does not exist. A grow-only table refuses it.
    Update {
        /// Where.
        replica: usize,
        /// In which table.
        table: usize,
        /// The primary key.
        key: Vec<Value>,
        /// Columns and their new values, no column twice.
        values: Vec<(usize, Value)>,
    },
    /// `DELETE`; nothing if the row does not exist. A grow-only table refuses it.
    Delete {
        /// Where.
        replica: usize,
        /// From which table.
        table: usize,
        /// The primary key.
        key: Vec<Value>,
    },
    /// The write in it (one of the four above) happens in the middle of the next delivery to its
    /// replica, after clocks were read and before rows are written. An engine that shuts writers out
    /// for that time carries it out before the delivery.
    During(Box<Action>),
    /// The next delivery to this replica fails after so many calls of the store, everything of it is
    /// undone, and the message is still on its way.
    Crash {
        /// Where.
        replica: usize,
        /// After how many calls.
        calls: u32,
    },
    /// True time goes on.
    Wait {
        /// By so many milliseconds.
        millis: u64,
    },
    /// The replica's wall clock is set to differ from true time by this.
    SetClock {
        /// Whose.
        replica: usize,
        /// By so many milliseconds; negative: it is slow.
        offset: i64,
    },
    /// The sender puts a message on its way.
    Send {
        /// From.
        from: usize,
        /// To.
        to: usize,
        /// What it tells.
        tells: Tells,
    },
    /// A message on its way arrives. Nothing if none is on its way.
    Deliver {
        /// Which: the index among those on their way, modulo their number.
        message: usize,
        /// It stays on its way and arrives again later.
        again: bool,
    },
    /// A message on its way is lost. Nothing if none is on its way.
    Drop {
        /// As in `Deliver`.
        message: usize,
    },
    /// The one tells the other everything, and it arrives at once.
    Sync {
        /// From.
        from: usize,
        /// To.
        to: usize,
    },
}

/// What a message tells of its sender's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tells {
    /// Everything.
    Everything,
    /// Of each replica's writes (by index) those later than this, in milliseconds since
    /// [`START_MILLIS`]; of a replica that is not listed, none.
    Since(Vec<i64>),
}

/// The true time at which every scenario starts, in milliseconds since 1970.
pub const START_MILLIS: u64 = 1_760_000_000_000;

/// How far a replica's clock may differ from true time. Two replicas then differ by no more than the
/// bound beyond which versions are refused.
pub const MAX_OFFSET_MILLIS: i64 = 150_000;
