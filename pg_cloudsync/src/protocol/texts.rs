//! Texts that are merged by lines, in a push: what stands, and what is kept.

use std::collections::HashMap;

use cloudsync_shared::change::{RowChange, TextOutcome};
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::merge::{RowAction, StoredText};
use cloudsync_shared::text::{Document, digest};
use cloudsync_shared::value::Value;

use super::item::{Item, Work};
use super::known::Known;
use super::rows::visible_values;
use super::sites::SiteNames;
use super::spi::{Arg, Mode, query};
use super::table::{Table, TableColumn};
use crate::error::PgError;
use crate::ffi::owner::AsOwner;
use crate::texts::{CellWrite, Change, Stored, keep, sites_in, sites_of_document};

/// The texts of one row as they stand.
pub(super) type Standing = Vec<(ColumnId, StoredText)>;

/// Documents of some rows, by row and column.
pub(super) type Documents = HashMap<(i64, ColumnId), Stored>;

/// Reads the texts of rows of which a push tells some. Their clocks were read before: a text that has changed
/// since belongs to a clock that has, too.
///
/// What the caller may not see is answered as an unknown value: there nothing is merged, and the later write
/// wins.
///
/// # Errors
/// A policy failed, or the metadata cannot be read.
pub(super) fn read_standing(
    table: &Table,
    sites: &mut SiteNames,
    rows: &[(&[Value], Option<&Known>, bool)],
) -> Result<Vec<Standing>, PgError> {
    let mut standing: Vec<Standing> = rows.iter().map(|_| Standing::new()).collect();
    let is_there = |known: &&Known| known.clock.length.is_alive();
    let wanted: Vec<(usize, &[Value], &Known)> = rows
        .iter()
        .enumerate()
        .filter_map(|(at, (keys, known, tells))| {
            Some((at, *keys, known.filter(is_there).filter(|_| *tells)?))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(standing);
    }
    for (at, ..) in &wanted {
        if let Some(place) = standing.get_mut(*at) {
            let unknown = || StoredText { value: Value::Null, document: None };
            place.extend(table.columns.iter().map(|column| (column.id, unknown())));
        }
    }
    let columns: Vec<&TableColumn> =
        table.columns.iter().filter(|column| table.schema.delimiter(column.id).is_some()).collect();
    if columns.is_empty() || !table.can_select() {
        return Ok(standing);
    }
    let keys: Vec<&[Value]> = wanted.iter().map(|(_, keys, _)| *keys).collect();
    let documents =
        documents_of(Mode::Write, table, wanted.iter().map(|(.., known)| known.row_id).collect())?;
    for (index, values) in visible_values(Mode::Write, table, &keys, &columns)? {
        let Some((at, _, known)) = wanted.get(index) else { continue };
        for (column, value) in columns.iter().zip(values) {
            let document = match (&value, documents.get(&(known.row_id, column.id))) {
                (Value::Text(text), Some(stored)) => named(sites, Mode::Write, stored, text)?,
                _ => None,
            };
            let place = standing.get_mut(*at).and_then(|row| row.iter_mut().find(|(id, _)| *id == column.id));
            if let Some((_, stored)) = place {
                *stored = StoredText { value, document };
            }
        }
    }
    Ok(standing)
}

/// Whether a change tells of cells that are merged by lines here or there.
pub(super) fn tells_lines(table: &Table, columns: &[Option<ColumnId>], change: &RowChange) -> bool {
    let is_text = |id: &ColumnId| table.schema.delimiter(*id).is_some();
    !change.texts.is_empty()
        || change
            .cells
            .iter()
            .any(|cell| columns.get(cell.column).copied().flatten().is_some_and(|id| is_text(&id)))
}

/// The documents of these rows, as far as they have any.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn documents_of(mode: Mode, table: &Table, rows: Vec<i64>) -> Result<Documents, PgError> {
    let sql = "SELECT x.row_id, CAST(x.attnum AS pg_catalog.int8), x.document, x.digest FROM cloudsync.texts AS x \
        WHERE x.table_id OPERATOR(pg_catalog.=) $1 AND x.row_id OPERATOR(pg_catalog.=) ANY ($2)";
    let found = AsOwner::run(|| {
        query(mode, sql, vec![Arg::Long(table.id), Arg::Longs(rows)], |row| {
            let cell = (row.known_long(1)?, column_id(row.known_long(2)?));
            Ok((cell, Stored::new(row.bytes(3)?.unwrap_or_default(), row.known_long(4)?)))
        })
    })?;
    Ok(found.into_iter().collect())
}

/// The number of a column as it is stored.
pub(super) fn column_id(attnum: i64) -> ColumnId {
    ColumnId(u16::try_from(attnum).unwrap_or_default())
}

/// A document with its sites by id, if it is that of the text.
///
/// # Errors
/// It is damaged.
pub(super) fn named(
    sites: &mut SiteNames,
    mode: Mode,
    stored: &Stored,
    text: &str,
) -> Result<Option<Document<SiteId>>, PgError> {
    let Some(document) = stored.of(text)? else { return Ok(None) };
    sites.learn_sites(mode, sites_of_document(&document).into_iter())?;
    document.map_sites(|site| sites.name(site)).map(Some)
}

/// Keeps the documents of rows that were written, and forgets those of values that were written whole.
///
/// `differing` are the columns in which the database stored something else than was merged: a write of the
/// server's own, of the whole value.
///
/// # Errors
/// The metadata cannot be written.
pub(super) fn keep_documents(
    work: &Work<'_>,
    sites: &SiteNames,
    rows: &[(&Item<'_>, i64, &[ColumnId])],
) -> Result<(), PgError> {
    let mut writes = Vec::new();
    for (item, row_id, differing) in rows {
        let begins = match &item.action {
            RowAction::Update { reset, .. } => !reset.is_empty() || item.has_new_life(),
            RowAction::Nothing | RowAction::ClockOnly => false,
            _ => true,
        };
        let cells = item.cells(work);
        for column in &work.table.lines {
            let written = cells.iter().find(|(id, _)| id == column).map(|(_, value)| *value);
            let differs = differing.contains(column);
            let change = match written {
                Some(value) if !differs => kept(work, sites, item, *column, value)?,
                None if !differs && !begins => continue,
                _ => Change::Forget,
            };
            // A row that was never seen has nothing to forget.
            if item.known.is_some() || !matches!(change, Change::Forget) {
                let attnum = i16::try_from(column.0).unwrap_or_default();
                writes.push(CellWrite { row_id: *row_id, attnum, change });
            }
        }
    }
    if writes.is_empty() {
        return Ok(());
    }
    keep(i32::try_from(work.table.id).unwrap_or_default(), &writes)
}

fn kept(
    work: &Work<'_>,
    sites: &SiteNames,
    item: &Item<'_>,
    column: ColumnId,
    value: &Value,
) -> Result<Change, PgError> {
    let told = item
        .change
        .texts
        .iter()
        .find(|text| work.columns.get(text.column).copied().flatten() == Some(column));
    let (Some(told), Value::Text(text)) = (told, value) else { return Ok(Change::Forget) };
    let TextOutcome::Resolved { document: Some(document), .. } = &told.outcome else {
        return Ok(Change::Forget);
    };
    let ordinal = |site| -> Result<SiteOrdinal, PgError> { sites.ordinal(site) };
    let (document, digest) = (document.map_sites(ordinal)?.to_bytes(), digest(text));
    Ok(match &told.delta {
        Some(delta) if !delta.is_complete() => Change::Edit {
            document,
            digest,
            length: text.len(),
            delta: delta.map_sites(ordinal)?.to_bytes(),
            since: item.known.as_ref().map_or(0, |known| known.xmin),
        },
        _ => Change::Replace { document, digest },
    })
}

/// Whether the lines told are no later than the cell that they belong to.
pub(super) fn lines_fit(change: &RowChange) -> bool {
    change.texts.iter().all(|text| {
        let cell = change.cells.iter().find(|cell| cell.column == text.column);
        let (Some(cell), Some(delta)) = (cell, &text.delta) else { return text.delta.is_none() };
        delta.highest() <= cell.stamp.version && !sites_in(delta).contains(&SiteId::NIL)
    })
}
