//! Columns that become, or cease to be, ones whose text is merged by lines.

use pgrx::Spi;
use pgrx::datum::DatumWithOid;

use super::{run, triggers};
use crate::catalog::SyncedTable;
use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::AsOwner;
use crate::texts::forget_column;

/// Whether a column holds text that any text of any length fits in, or `varchar` with a bound.
///
/// # Errors
/// The catalog cannot be read.
pub fn is_text(table: &SyncedTable, column: &str) -> Result<bool> {
    let Some(column) = table.columns.iter().find(|known| known.name == column) else { return Ok(false) };
    let _owner = AsOwner::enter()?;
    let sql = "WITH RECURSIVE d(type) AS ( \
            SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = $2 \
            UNION ALL SELECT t.typbasetype FROM d JOIN pg_type t ON t.oid = d.type AND t.typtype = 'd') \
        SELECT bool_or(d.type IN ('text'::regtype, 'varchar'::regtype)) FROM d";
    let args: [DatumWithOid<'_>; 2] = [table.relation.into(), column.attnum.into()];
    Ok(Spi::connect(|client| client.select(sql, Some(1), &args)?.first().get_one::<bool>())?.unwrap_or(false))
}

/// Takes in that a column is cut into lines otherwise than before, or not at all: what is known of its lines is
/// forgotten, and no statement is captured by the plan of before.
///
/// # Errors
/// The table cannot be locked, or the metadata not be written.
pub fn lines_changed(table: &SyncedTable, column: &str) -> Result<()> {
    run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.qualified))?;
    if let Some(column) = table.columns.iter().find(|known| known.name == column) {
        forget_column(table.id, column.attnum)?;
    }
    triggers::install(table)
}

/// Checks that a column of a synced table is merged by lines, and that its key has so many columns.
///
/// # Errors
/// Something of that is not so.
pub fn check_lines(table: Option<&str>, column: Option<&str>, key_columns: usize) -> Result<()> {
    let invalid = |message: String| PgError::new(SqlState::INVALID_PARAMETER, message);
    let (Some(name), Some(column)) = (table, column) else {
        return Err(invalid("table and column must be given".to_owned()));
    };
    let table = super::synced(super::names::resolve_owned(name)?)?;
    let known = table.schema.column(column).filter(|column| table.schema.delimiter(column.id).is_some());
    if known.is_none() {
        return Err(invalid(format!("column {column} of table {name} is not merged by lines")));
    }
    if key_columns != table.key.len() {
        return Err(invalid(format!(
            "the key of table {name} has {} columns, not {key_columns}",
            table.key.len()
        )));
    }
    Ok(())
}
