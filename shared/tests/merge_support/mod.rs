//! What the tests of the rule share: small names, and a replica with one table.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use cloudsync_shared::change::{ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::flow::{Present, TableOutcome, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis};
use cloudsync_shared::id::{ColumnId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::mem::{Dump, MemError, MemStore};
use cloudsync_shared::schema::{Algorithm, Column, TableSchema};
use cloudsync_shared::value::Value;

/// The one table.
pub const TABLE: &str = "notes";
/// Its columns beside the key.
pub const COLUMNS: [&str; 3] = ["title", "body", "done"];

pub fn site(number: u8) -> SiteId {
    SiteId([number + 1; 16])
}

pub fn key(number: u8) -> Key {
    Key::encode(&[Value::Integer(i64::from(number))]).expect("a short key")
}

/// The table with these columns, numbered from `first`.
pub fn schema(columns: &[&str], first: u16) -> TableSchema {
    let columns =
        columns.iter().zip(first..).map(|(name, id)| Column { name: (*name).into(), id: ColumnId(id) });
    TableSchema {
        name: TABLE.into(),
        algorithm: Algorithm::Cls,
        key: vec!["id".into()],
        columns: columns.collect(),
        texts: Vec::new(),
    }
}

pub fn grow_only(schema: TableSchema) -> TableSchema {
    TableSchema { algorithm: Algorithm::Gos, ..schema }
}

pub fn replica(number: u8, schema: TableSchema) -> MemStore {
    let mut store = MemStore::new(site(number));
    store.create_table(schema, Vec::new());
    store
}

pub fn batch(columns: &[&str], rows: Vec<RowChange>) -> ChangeBatch {
    let columns = columns.iter().map(|name| (*name).to_owned()).collect();
    ChangeBatch { tables: vec![TableChanges { table: TABLE.into(), algorithm: None, columns, rows }] }
}

pub fn merge_at(
    store: &mut MemStore,
    mut batch: ChangeBatch,
    now: Millis,
) -> Result<Vec<TableOutcome>, MemError> {
    merge_batch(store, &mut batch, Present { now, max_drift: DEFAULT_MAX_DRIFT })
}

pub fn merge_all(store: &mut MemStore, columns: &[&str], batches: &[Vec<RowChange>]) {
    for rows in batches {
        merge_at(store, batch(columns, rows.clone()), Millis(1_000)).expect("it merges");
    }
}

/// Lengths, and within one length lives and cells, only grow.
pub fn assert_not_back(before: &Dump, after: &Dump) {
    for (table, dump) in before {
        for (key, old) in &dump.clocks {
            let new = &after[table].clocks[key];
            assert!(new.length >= old.length, "the length of {key:?} went back");
            if new.length == old.length {
                assert!(new.life >= old.life, "the life of {key:?} went back");
                for (column, stamp) in &old.cells {
                    assert!(new.cells[column] >= *stamp, "cell {column} of {key:?} went back");
                }
            }
        }
    }
}
