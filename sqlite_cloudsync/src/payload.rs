//! Payloads: changes from device to device without a server, as a value or a file.

use std::collections::HashMap;
use std::fs;

use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::join_changes;
use cloudsync_shared::message::Message;
use cloudsync_shared::value::Value;
use cloudsync_shared::wire;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context};

use crate::changes::{COLUMN_ALIVE, COLUMN_DEAD};
use crate::error::{Error, Result};
use crate::read::{Filter, collect};
use crate::store::Origin;
use crate::{apply, value};

/// `cloudsync_payload_encode`: rows of `cloudsync_changes` into one payload.
pub struct Encode;

/// The rows seen so far.
#[derive(Default)]
pub struct Encoder {
    tables: Vec<TableEncoder>,
    names: HashMap<String, usize>,
}

#[derive(Default)]
struct TableEncoder {
    changes: TableChanges,
    columns: HashMap<String, usize>,
    rows: HashMap<Key, usize>,
}

/// One row of `cloudsync_changes`.
struct Told {
    key: Key,
    column: String,
    value: Value,
    stamp: Stamp<SiteId>,
    length: CausalLength,
}

impl Aggregate<Encoder, Option<Vec<u8>>> for Encode {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Encoder> {
        Ok(Encoder::default())
    }

    fn step(&self, context: &mut Context<'_>, encoder: &mut Encoder) -> rusqlite::Result<()> {
        let table: String = context.get(0)?;
        let told = read_row(context)?;
        encoder.table(table).add(told);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, encoder: Option<Encoder>) -> rusqlite::Result<Option<Vec<u8>>> {
        let Some(encoder) = encoder else { return Ok(None) };
        let mut batch = ChangeBatch::default();
        for mut table in encoder.tables {
            for row in &mut table.changes.rows {
                row.cells.sort_by_key(|cell| cell.column);
            }
            batch.tables.push(table.changes);
        }
        let bytes = wire::encode(&Message::Payload(batch)).map_err(Error::from)?;
        Ok(Some(bytes))
    }
}

fn read_row(context: &Context<'_>) -> Result<Told> {
    let version = u64::try_from(context.get::<i64>(5)?)
        .map_err(|_| Error::state("cloudsync_payload_encode: db_version must not be negative"))?;
    let site: Vec<u8> = context.get(6)?;
    let site = SiteId::from_slice(&site)
        .ok_or_else(|| Error::state("cloudsync_payload_encode: site_id must be a BLOB of 16 bytes"))?;
    let column: String = context.get(2)?;
    let value = value::from_sql(context.get_raw(3)).map_err(|value::NotUtf8| {
        Error::state(format!("cloudsync_payload_encode: a value of column {column} is not valid UTF-8"))
    })?;
    Ok(Told {
        key: Key::from_bytes(context.get(1)?)?,
        column,
        value,
        stamp: Stamp { version: Version(version), site },
        length: CausalLength(context.get(7)?),
    })
}

impl Encoder {
    fn table(&mut self, name: String) -> &mut TableEncoder {
        let index = *self.names.entry(name.clone()).or_insert_with(|| {
            let changes = TableChanges { table: name, ..TableChanges::default() };
            self.tables.push(TableEncoder { changes, ..TableEncoder::default() });
            self.tables.len() - 1
        });
        &mut self.tables[index]
    }
}

impl TableEncoder {
    fn add(&mut self, told: Told) {
        let mut row = RowChange {
            row_id: None,
            key: told.key,
            length: told.length,
            life: Stamp::NEVER,
            cells: Vec::new(),
        };
        if told.column == COLUMN_ALIVE || told.column == COLUMN_DEAD {
            row.life = told.stamp;
        } else {
            let next = self.columns.len();
            let column = *self.columns.entry(told.column.clone()).or_insert(next);
            if column == next {
                self.changes.columns.push(told.column);
            }
            row.cells.push(CellChange { column, stamp: told.stamp, value: told.value });
        }
        match self.rows.get(&row.key).and_then(|at| self.changes.rows.get_mut(*at)) {
            Some(known) => join_changes(known, row),
            None => {
                self.rows.insert(row.key.clone(), self.changes.rows.len());
                self.changes.rows.push(row);
            }
        }
    }
}

/// Merges a payload; answers the number of rows in it.
///
/// # Errors
/// It is not a payload, or cannot be merged; nothing has changed then.
pub fn apply(conn: &Connection, bytes: &[u8]) -> Result<usize> {
    match wire::decode(bytes)? {
        Message::Payload(mut batch) => {
            let rows = batch.row_count();
            apply::merge(conn, &mut batch, Origin::Peer)?;
            Ok(rows)
        }
        _ => Err(Error::state("this is a message between device and server, not a payload")),
    }
}

/// Writes all changes of this database into a file; answers its size in bytes.
///
/// # Errors
/// The file cannot be written.
pub fn save(conn: &Connection, path: &str) -> Result<usize> {
    let collected = collect(conn, &Filter::default())?;
    let bytes = wire::encode(&Message::Payload(collected.batch))?;
    fs::write(path, &bytes).map_err(|error| Error::File(format!("cannot write {path}: {error}")))?;
    Ok(bytes.len())
}

/// Merges a file that [`save`] wrote; answers the number of rows in it.
///
/// # Errors
/// The file cannot be read, or as [`apply`].
pub fn load(conn: &Connection, path: &str) -> Result<usize> {
    let bytes = fs::read(path).map_err(|error| Error::File(format!("cannot read {path}: {error}")))?;
    apply(conn, &bytes)
}
