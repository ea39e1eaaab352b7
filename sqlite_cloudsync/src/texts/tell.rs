//! Cells of text on their way to others: as the lines that changed, where the text was edited by line.

use cloudsync_shared::change::{RowChange, TextChange, TextOutcome};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::told_text;
use cloudsync_shared::value::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::buried;
use crate::error::Result;
use crate::quote;
use crate::table::Table;
use crate::texts::documents;
use crate::value::{self, Bound};

/// Tells cells of a row by their lines, those of them that are `wanted`, where their texts were edited by line;
/// their values only if those are asked for too. The cells' columns are the table's.
///
/// # Errors
/// A document is damaged or names an unknown site, or the database failed.
pub fn by_lines(
    conn: &Connection,
    table: &Table,
    change: &mut RowChange,
    site: impl Fn(SiteOrdinal) -> Result<SiteId>,
    wanted: impl Fn(Stamp<SiteId>) -> bool,
    with_values: bool,
) -> Result<()> {
    if table.schema.texts.is_empty() {
        return Ok(());
    }
    for cell in &mut change.cells {
        let Some(column) = table.schema.columns.get(cell.column) else { continue };
        let Some(delimiter) = table.schema.delimiter(column.id) else { continue };
        let Some(document) = documents::load(conn, table, &change.key, column.id)? else { continue };
        let document = document.map_sites(&site)?;
        // A value that was changed while nothing was captured may not fit: it is told whole.
        if let Ok(Some(delta)) = told_text(Some(&document), &cell.value, delimiter, &wanted) {
            if !with_values {
                cell.value = Value::Null;
            }
            let text = TextChange { column: cell.column, delta: Some(delta), outcome: TextOutcome::Open };
            change.texts.push(text);
        }
    }
    Ok(())
}

/// The row as it was resolved here: with all that is known of its texts, and not only the lines that came, so
/// that it can be kept apart from the table. The cells' columns are the table's.
///
/// # Errors
/// A document does not fit its text.
pub fn settled(table: &Table, row: &mut RowChange) -> Result<()> {
    for text in &mut row.texts {
        let TextOutcome::Resolved { document, stamp, .. } = &text.outcome else { continue };
        let column = table.schema.columns.get(text.column).map(|column| column.id);
        let delimiter = column.and_then(|column| table.schema.delimiter(column));
        let Some(cell) = row.cells.iter_mut().find(|cell| cell.column == text.column) else { continue };
        cell.stamp = *stamp;
        text.delta = match (delimiter, &cell.value) {
            (Some(delimiter), value) => told_text(document.as_ref(), value, delimiter, |_| true)?,
            (None, _) => None,
        };
        if text.delta.is_some() {
            cell.value = Value::Null;
        }
    }
    row.texts.retain(|text| text.delta.is_some());
    Ok(())
}

/// About how many bytes the lines of a row take on the wire.
pub fn bytes(change: &RowChange) -> usize {
    change.texts.iter().filter_map(|text| Some(text.delta.as_ref()?.to_bytes().len())).sum()
}

/// The row with the values in place of lines that hold all of a text; cells of which lines alone are told are
/// left out.
pub fn rendered(row: &RowChange) -> RowChange {
    let mut plain = row.clone();
    fill(&mut plain);
    for text in plain.texts.drain(..) {
        if text.delta.is_some_and(|delta| !delta.is_complete()) {
            plain.cells.retain(|cell| cell.column != text.column);
        }
    }
    plain
}

/// Puts the values beside lines that hold all of a text.
pub fn fill(row: &mut RowChange) {
    for text in &row.texts {
        let delta = text.delta.as_ref().filter(|delta| delta.is_complete());
        let whole = delta.and_then(|delta| delta.rendered().ok());
        let cell = row.cells.iter_mut().find(|cell| cell.column == text.column);
        if let (Some((_, whole)), Some(cell)) = (whole, cell) {
            cell.value = Value::Text(whole);
        }
    }
}

/// The row with what stands in the table in place of lines, or if it is gone, with the lines told.
///
/// # Errors
/// The database failed.
pub fn with_standing(conn: &Connection, table: &Table, row: &RowChange) -> Result<RowChange> {
    let mut plain = row.clone();
    for text in plain.texts.drain(..) {
        let (Some(delta), Some(column)) = (text.delta, table.schema.columns.get(text.column)) else {
            continue;
        };
        let standing = match standing(conn, table, &row.key, column.id)? {
            Some(standing) => Some(standing),
            None => delta.shown().ok().map(Value::Text),
        };
        let cell = plain.cells.iter_mut().find(|cell| cell.column == text.column);
        if let (Some(cell), Some(standing)) = (cell, standing) {
            cell.value = standing;
        }
    }
    Ok(plain)
}

/// What stands in a cell, or is buried of it, NULL in place of text that is not UTF-8; `None` if the row is not
/// there.
///
/// # Errors
/// The database failed.
pub fn standing(conn: &Connection, table: &Table, key: &Key, column: ColumnId) -> Result<Option<Value>> {
    let Some(name) = table.column_name(column) else { return Ok(None) };
    let condition = table.info.key_condition();
    let sql = format!("SELECT {} FROM {} WHERE {condition}", quote::ident(name), table.rows());
    let values = table.key_values(key)?;
    let read = |row: &rusqlite::Row<'_>| Ok(value::from_sql(row.get_ref(0)?).unwrap_or(Value::Null));
    let mut query = conn.prepare_cached(&sql)?;
    let found = query.query_row(params_from_iter(values.iter().map(Bound)), read).optional()?;
    if found.is_some() {
        return Ok(found);
    }
    let buried = buried::read(conn, table, key)?.unwrap_or_default();
    Ok(buried.into_iter().find(|(known, _)| known == name).map(|(_, value)| value))
}
