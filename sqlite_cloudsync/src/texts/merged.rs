//! Texts that changes from outside are merged into: as they stand, and the documents afterwards.

use cloudsync_shared::change::{RowChange, TextOutcome};
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::{PlannedRow, RowAction, StoredText, TablePlan};
use rusqlite::Connection;

use crate::buried;
use crate::error::Result;
use crate::table::Table;
use crate::texts::{documents, tell};

/// A cell as it stands; `None` if its row is not there.
///
/// # Errors
/// A document is damaged or names an unknown site, or the database failed.
pub fn stored(
    conn: &Connection,
    table: &Table,
    key: &Key,
    column: ColumnId,
    site: impl Fn(SiteOrdinal) -> Result<SiteId>,
) -> Result<Option<StoredText>> {
    let Some(value) = tell::standing(conn, table, key, column)? else { return Ok(None) };
    let document = match table.schema.delimiter(column) {
        Some(delimiter) => documents::fitting(documents::load(conn, table, key, column)?, &value, delimiter),
        None => None,
    };
    let document = document.map(|document| document.map_sites(site)).transpose()?;
    Ok(Some(StoredText { value, document }))
}

/// Keeps or forgets the documents of a row that was written as planned.
///
/// # Errors
/// The database failed.
pub fn keep(
    conn: &Connection,
    table: &Table,
    plan: &TablePlan<'_>,
    row: &PlannedRow,
    mut ordinal: impl FnMut(SiteId) -> Result<SiteOrdinal>,
) -> Result<()> {
    let Some(change) = plan.changes.rows.get(row.index) else { return Ok(()) };
    let keeps_deleted = buried::keeps(table);
    if !row.after.length.is_alive() && !keeps_deleted {
        return documents::forget_row(conn, table, &change.key);
    }
    match &row.action {
        RowAction::Nothing => return Ok(()),
        RowAction::Insert { .. } if !keeps_deleted => documents::forget_row(conn, table, &change.key)?,
        RowAction::Update { reset, .. } => {
            for column in reset.iter().filter(|column| table.schema.delimiter(**column).is_some()) {
                documents::store(conn, table, &change.key.0, *column, None)?;
            }
        }
        _ => {}
    }
    for text in &change.texts {
        let column = plan.columns.get(text.column).copied().flatten();
        let column = column.filter(|column| table.schema.delimiter(*column).is_some());
        let (Some(column), TextOutcome::Resolved { document, .. }) = (column, &text.outcome) else {
            continue;
        };
        let document = document.as_ref().map(|document| document.map_sites(&mut ordinal)).transpose()?;
        documents::store(conn, table, &change.key.0, column, document.as_ref())?;
    }
    Ok(())
}

/// Whether a row as planned lacks a text of which lines were told.
pub fn is_incomplete(change: &RowChange, row: &PlannedRow) -> bool {
    let is_open = change.texts.iter().any(|text| text.outcome == TextOutcome::Incomplete);
    // Of a life that is over nothing is missing.
    is_open && row.after.length.is_alive() && change.length >= row.after.length
}
