//! How texts that are merged by lines are told: the edits that a device has not seen, or the whole.

use std::collections::{HashMap, HashSet};

use cloudsync_shared::change::{RowChange, TextChange, TextOutcome};
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::merge::told_text;
use cloudsync_shared::message::Snapshot;
use cloudsync_shared::text::{Document, TextDelta};
use cloudsync_shared::value::Value;

use super::rows::ClockRow;
use super::sites::SiteNames;
use super::spi::{Arg, Mode, query};
use super::table::{Table, TableColumn};
use super::texts::{Documents, column_id, documents_of, named};
use crate::error::PgError;
use crate::ffi::owner::AsOwner;
use crate::texts::sites_in;

/// How texts with a document are told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Telling<'a> {
    /// With all their lines.
    Whole,
    /// With the lines that were edited since, where those are known.
    Since(&'a Snapshot),
}

/// What is to be told of the texts of some rows.
#[derive(Default)]
pub(super) struct Lines {
    documents: Documents,
    edits: HashMap<(i64, ColumnId), Vec<TextDelta<SiteOrdinal>>>,
    /// Texts of which edits are missing.
    whole: HashSet<(i64, ColumnId)>,
    tells_whole: bool,
}

impl Lines {
    /// Reads it.
    ///
    /// # Errors
    /// The metadata cannot be read, or is damaged.
    pub(super) fn read(
        mode: Mode,
        table: &Table,
        rows: &[(usize, &ClockRow)],
        telling: Telling<'_>,
    ) -> Result<Lines, PgError> {
        let ids: Vec<i64> = rows.iter().filter_map(|(_, row)| i64::try_from(row.row_id).ok()).collect();
        if table.schema.texts.is_empty() {
            return Ok(Lines::default());
        }
        let mut lines = Lines { tells_whole: true, ..Lines::default() };
        lines.documents = documents_of(mode, table, ids)?;
        let Telling::Since(from) = telling else { return Ok(lines) };
        lines.tells_whole = false;
        let edited: Vec<i64> = lines.documents.keys().map(|(row, _)| *row).collect();
        for (cell, delta) in edits_since(mode, table, edited, from)? {
            match delta {
                Some(delta) => {
                    lines.edits.entry(cell).or_default().push(TextDelta::<SiteOrdinal>::from_bytes(&delta)?);
                }
                None => drop(lines.whole.insert(cell)),
            }
        }
        Ok(lines)
    }

    /// Puts the lines of a row's texts in the place of their values.
    ///
    /// # Errors
    /// The metadata is damaged.
    pub(super) fn tell(
        &self,
        mode: Mode,
        table: &Table,
        sites: &mut SiteNames,
        columns: &[&TableColumn],
        change: &mut RowChange,
    ) -> Result<(), PgError> {
        let row = change.row_id.and_then(|id| i64::try_from(id.0).ok()).unwrap_or_default();
        for cell in &mut change.cells {
            let Some(column) = columns.get(cell.column) else { continue };
            let place = (row, column.id);
            let (Some(delimiter), Some(stored)) =
                (table.schema.delimiter(column.id), self.documents.get(&place))
            else {
                continue;
            };
            let Value::Text(text) = &cell.value else { continue };
            let Some(document) = named(sites, mode, stored, text)? else { continue };
            let delta = match self.edits(mode, sites, place, &document)? {
                Some(delta) => Some(delta),
                None if self.tells_whole || self.whole.contains(&place) => {
                    Some(document.whole(text, delimiter)?)
                }
                None => told_text(Some(&document), &cell.value, delimiter, |_| false)?,
            };
            if delta.is_some() {
                cell.value = Value::Null;
                change.texts.push(TextChange { column: cell.column, delta, outcome: TextOutcome::Open });
            }
        }
        Ok(())
    }

    /// The edits of one text joined; `None` if there are none, or not all are known.
    fn edits(
        &self,
        mode: Mode,
        sites: &mut SiteNames,
        place: (i64, ColumnId),
        document: &Document<SiteId>,
    ) -> Result<Option<TextDelta<SiteId>>, PgError> {
        let Some(edits) = self.edits.get(&place).filter(|_| !self.whole.contains(&place)) else {
            return Ok(None);
        };
        sites.learn_sites(mode, edits.iter().flat_map(sites_in))?;
        let mut deltas: Vec<TextDelta<SiteId>> = edits
            .iter()
            .map(|edit| edit.map_sites(|site| sites.name(site)))
            .collect::<Result<_, PgError>>()?;
        deltas.retain(|delta| delta.epoch() == document.epoch());
        // Two and two, so that each is copied as often as their number doubles.
        while deltas.len() > 1 {
            let mut joined = Vec::with_capacity(deltas.len().div_ceil(2));
            for pair in deltas.chunks(2) {
                if let [first, rest @ ..] = pair {
                    let mut first = first.clone();
                    rest.iter().try_for_each(|delta| first.join(delta))?;
                    joined.push(first);
                }
            }
            deltas = joined;
        }
        Ok(deltas.pop())
    }
}

type Edit = ((i64, ColumnId), Option<Vec<u8>>);

fn edits_since(mode: Mode, table: &Table, rows: Vec<i64>, from: &Snapshot) -> Result<Vec<Edit>, PgError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT l.row_id, CAST(l.attnum AS pg_catalog.int8), l.delta FROM cloudsync.text_log AS l \
        WHERE l.table_id OPERATOR(pg_catalog.=) $1 AND l.row_id OPERATOR(pg_catalog.=) ANY ($2) \
            AND NOT pg_catalog.pg_visible_in_snapshot(l.xid, CAST($3 AS pg_catalog.pg_snapshot)) ORDER BY l.id";
    let args = vec![Arg::Long(table.id), Arg::Longs(rows), Arg::Text(from.0.clone())];
    AsOwner::run(|| {
        query(mode, sql, args, |row| Ok(((row.known_long(1)?, column_id(row.known_long(2)?)), row.bytes(3)?)))
    })
}
