//! The cells of deleted rows, in tables whose algorithm keeps them: a later write brings the row back.
//!
//! Each such table has a table of its own for them. A local delete leaves them in the journal first, by
//! plain SQL; the fold moves them.

use cloudsync_shared::change::CellChange;
use cloudsync_shared::clock::RowClock;
use cloudsync_shared::id::{ColumnId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::{PlannedRow, RowAction, TablePlan};
use cloudsync_shared::value::Value;
use cloudsync_shared::varint::{self, Reader};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{Error, Result};
use crate::savepoint::in_savepoint;
use crate::table::{Table, journal_table};
use crate::value;
use crate::whole_row::WholeRow;
use crate::{catalog, quote};

/// The name of a table's table of buried rows.
pub fn buried_table(table: &str) -> String {
    format!("{table}_cloudsync_buried")
}

fn rows(table: &Table) -> String {
    quote::main(&buried_table(&table.synced.name))
}

/// The column of the journal that takes what stood in a column of a deleted row.
pub fn journal_column(id: ColumnId) -> String {
    format!("v{}", id.number())
}

/// Whether deleted rows of the table keep their cells.
pub fn keeps(table: &Table) -> bool {
    table.synced.algorithm.keeps_deleted()
}

/// Gives a table whose algorithm needs it the place for buried rows, and its journal the columns.
///
/// # Errors
/// The database cannot be written.
pub fn prepare(conn: &Connection, table: &Table) -> Result<()> {
    if !keeps(table) {
        return Ok(());
    }
    conn.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {}(key BLOB NOT NULL PRIMARY KEY, cells BLOB NOT NULL) WITHOUT ROWID",
        rows(table)
    ))?;
    for column in &table.schema.columns {
        let name = journal_column(column.id);
        if !catalog::has_column(conn, &journal_table(&table.synced.name), &name)? {
            conn.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {name}", table.journal()))?;
        }
    }
    Ok(())
}

/// The cells that a journal entry of a delete holds, from column `first` on, in the order of the table's.
///
/// # Errors
/// The row cannot be read.
pub fn of_journal(table: &Table, row: &Row<'_>, first: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (at, column) in table.schema.columns.iter().enumerate() {
        // Text that is not UTF-8 was never synced either.
        if let Ok(value) = value::from_sql(row.get_ref(first + at)?) {
            put(&mut bytes, column.id, &value);
        }
    }
    Ok(bytes)
}

fn put(bytes: &mut Vec<u8>, column: ColumnId, value: &Value) {
    varint::put_u64(bytes, u64::from(column.0));
    value.encode(bytes);
}

/// Keeps the cells of a row that is deleted, or forgets them (`None`): it lives again.
///
/// # Errors
/// The database cannot be written.
pub fn store(conn: &Connection, table: &Table, key: &Key, cells: Option<&[u8]>) -> Result<()> {
    match cells {
        Some(cells) => conn
            .prepare_cached(&format!(
                "INSERT INTO {}(key, cells) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET cells = excluded.cells",
                rows(table)
            ))?
            .execute(params![key.0, cells])?,
        None => {
            conn.prepare_cached(&format!("DELETE FROM {} WHERE key = ?1", rows(table)))?.execute([&key.0])?
        }
    };
    Ok(())
}

/// The cells of a buried row by column name, those of columns that are gone left out; `None` if the row is
/// not buried.
///
/// # Errors
/// The database failed, or what it holds is damaged.
pub fn read(conn: &Connection, table: &Table, key: &Key) -> Result<Option<Vec<(String, Value)>>> {
    if !keeps(table) {
        return Ok(None);
    }
    let sql = format!("SELECT cells FROM {} WHERE key = ?1", rows(table));
    let stored: Option<Vec<u8>> =
        conn.prepare_cached(&sql)?.query_row([&key.0], |row| row.get(0)).optional()?;
    let Some(stored) = stored else { return Ok(None) };
    let mut input = Reader::new(&stored);
    let mut cells = Vec::new();
    while !input.is_empty() {
        let number = u16::try_from(input.u64()?);
        let column = number.map_err(|_| Error::state("a buried row names an impossible column"))?;
        let value = Value::decode(&mut input)?;
        if let Some(name) = table.column_name(ColumnId(column)) {
            cells.push((name.to_owned(), value));
        }
    }
    Ok(Some(cells))
}

/// Carries out a planned insert or burial of a row of such a table.
///
/// # Errors
/// The table refuses the row, or the database failed.
pub fn write(conn: &Connection, table: &Table, plan: &TablePlan<'_>, row: &PlannedRow) -> Result<usize> {
    let Some(change) = plan.changes.rows.get(row.index) else {
        return Err(Error::state("a plan names a row that its changes do not have"));
    };
    let whole = WholeRow::planned(conn, table, plan, row)?;
    in_savepoint(conn, || {
        let deleted = whole.delete(conn, table)?;
        if matches!(row.action, RowAction::Insert { .. }) {
            let inserted = whole.insert(conn, table)?;
            store(conn, table, &change.key, None)?;
            return Ok(inserted);
        }
        let mut bytes = Vec::new();
        for (name, value) in whole.columns() {
            if let Some(column) = table.schema.column(name) {
                put(&mut bytes, column.id, value);
            }
        }
        store(conn, table, &change.key, Some(&bytes))?;
        Ok(deleted)
    })
}

/// The cells of a buried row as they are told: none if it is not buried.
///
/// # Errors
/// The database failed, or what it holds is damaged.
pub fn cells(
    conn: &Connection,
    table: &Table,
    key: &Key,
    clock: &RowClock<SiteId>,
) -> Result<Vec<CellChange>> {
    let kept = read(conn, table, key)?.unwrap_or_default();
    let mut cells: Vec<CellChange> = kept
        .into_iter()
        .filter_map(|(name, value)| {
            let column = table.schema.columns.iter().position(|column| column.name == name)?;
            let stamp = clock.cell(table.schema.columns.get(column)?.id);
            Some(CellChange { column, stamp, value })
        })
        .collect();
    cells.sort_by_key(|cell| cell.column);
    Ok(cells)
}
