//! Rows that stand in one another's way: SQLite checks UNIQUE row by row, so of two rows that swapped a
//! value on the server neither can be written before the other. Taken out together, they can.

use cloudsync_shared::merge::{PlannedRow, TablePlan};
use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::savepoint::in_savepoint;
use crate::table::Table;
use crate::whole_row::WholeRow;

/// Writes rows that were each refused for uniqueness, all of them or none; `false`: none, as something
/// else stands in their way.
///
/// # Errors
/// The database failed as a whole.
pub fn write_together(
    conn: &Connection,
    table: &Table,
    plan: &TablePlan<'_>,
    rows: &[&PlannedRow],
) -> Result<bool> {
    if rows.len() < 2 {
        return Ok(false);
    }
    let written = in_savepoint(conn, || {
        let planned = rows.iter().map(|row| WholeRow::planned(conn, table, plan, row));
        let merged = planned.collect::<Result<Vec<_>>>()?;
        for row in &merged {
            row.delete(conn, table)?;
        }
        for row in &merged {
            row.insert(conn, table)?;
        }
        Ok(())
    });
    match written {
        Ok(()) => Ok(true),
        Err(Error::Sqlite(error)) if crate::refusal::of(&error).is_some() => Ok(false),
        Err(error) => Err(error),
    }
}
