//! Conflicts that show when the server's rows arrive: between them and local writes that were never sent.

use cloudsync_shared::change::{LostPart, RowChange, TextOutcome};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::merge::{LostSide, PlannedRow, TablePlan, lost_to_incoming};
use cloudsync_shared::value::Value;
use rusqlite::Connection;

use crate::bases::{self, RowBases};
use crate::conflicts::{self, Conflict};
use crate::error::Result;
use crate::store::Origin;
use crate::table::Table;
use crate::whole_row::standing;

/// The losses of one planned row, to be listed if it is written.
pub struct Losses<'a> {
    change: &'a RowChange,
    /// What stands in the row.
    standing: Vec<(String, Value)>,
    lost: Vec<cloudsync_shared::merge::LostCell>,
    /// Columns in which what arrives replaces what stands.
    overtaken: Vec<ColumnId>,
    /// Texts that what arrives was merged into, and its stamps: later writes of lines have seen it.
    merged: Vec<(ColumnId, Stamp<SiteId>)>,
}

/// Looks for the losses of a row before it is written; `None` if no unsent write of it is known.
///
/// # Errors
/// The database failed, or a clock names an unknown site.
pub fn look<'a>(
    conn: &Connection,
    table: &Table,
    plan: &TablePlan<'a>,
    row: &PlannedRow,
    origin: Origin,
    site: impl Fn(SiteOrdinal) -> Result<SiteId>,
) -> Result<Option<Losses<'a>>> {
    let (Some(change), Some(before)) = (plan.changes.rows.get(row.index), &row.before) else {
        return Ok(None);
    };
    let bases = bases::of_row(conn, table, &change.key)?;
    if bases.is_empty() || !before.length.is_alive() {
        return Ok(None);
    }
    let own = site(SiteOrdinal::SELF)?;
    let written = table.schema.columns.iter().map(|column| column.id);
    let written: Vec<ColumnId> = written.filter(|column| before.cell(*column).site == own).collect();
    let unsent = with_ids(&bases, &written, &site)?;
    // Another device may have seen the write, by a payload: of that nothing is known.
    let lost = match origin {
        Origin::Server => lost_to_incoming(table.synced.algorithm, &plan.columns, before, change, &unsent),
        Origin::Peer => Vec::new(),
    };
    let merged = merged(plan, change);
    let overtaken = written.into_iter().filter(|column| {
        row.after.cell(*column) != before.cell(*column) && merged.iter().all(|(text, _)| text != column)
    });
    let overtaken = overtaken.collect();
    let standing = match lost.iter().all(|lost| lost.values.is_some()) {
        true => Vec::new(),
        false => standing(conn, table, &table.key_values(&change.key)?)?.unwrap_or_default(),
    };
    Ok(Some(Losses { change, standing, lost, overtaken, merged }))
}

/// The texts of a change whose lines went into those that stand.
fn merged(plan: &TablePlan<'_>, change: &RowChange) -> Vec<(ColumnId, Stamp<SiteId>)> {
    let merged = change.texts.iter().filter_map(|text| match &text.outcome {
        TextOutcome::Resolved { lost, .. }
            if !lost.iter().any(|part| matches!(part, LostPart::Whole { .. })) =>
        {
            let cell = change.cells.iter().find(|cell| cell.column == text.column)?;
            Some((plan.columns.get(text.column).copied().flatten()?, cell.stamp))
        }
        _ => None,
    });
    merged.collect()
}

fn with_ids(
    bases: &RowBases,
    written: &[ColumnId],
    site: impl Fn(SiteOrdinal) -> Result<SiteId>,
) -> Result<Vec<(ColumnId, Stamp<SiteId>)>> {
    let known = written.iter().filter_map(|column| Some((*column, bases.of(*column)?)));
    known
        .map(|(column, base)| Ok((column, Stamp { version: base.version, site: site(base.site)? })))
        .collect()
}

impl Losses<'_> {
    /// Lists them: the row was written.
    ///
    /// # Errors
    /// The database failed.
    pub fn record(
        &self,
        conn: &Connection,
        table: &Table,
        mut ordinal: impl FnMut(SiteId) -> Result<SiteOrdinal>,
    ) -> Result<()> {
        for lost in &self.lost {
            let told = self.change.cells.get(lost.cell).map(|cell| &cell.value);
            let Some(column) = table.column_name(lost.column) else { continue };
            let stands = self.standing.iter().find(|(name, _)| name == column).map(|(_, value)| value);
            let (loser, winner) = match (&lost.values, lost.side, told, stands) {
                (Some((loser, winner)), ..) => (loser, winner),
                (None, LostSide::Incoming, Some(told), Some(stands)) => (told, stands),
                (None, LostSide::Stored, Some(told), Some(stands)) => (stands, told),
                _ => continue,
            };
            let conflict = Conflict {
                table: &table.schema.name,
                key: &self.change.key,
                column,
                lost: (loser, lost.lost),
                won: (winner, lost.won),
                reason: lost.reason,
            };
            conflicts::record(conn, &conflict)?;
        }
        for (column, stamp) in &self.merged {
            let stamp = Stamp { version: stamp.version, site: ordinal(stamp.site)? };
            bases::seen(conn, table, &self.change.key, *column, stamp)?;
        }
        bases::overtaken(conn, table, &self.change.key, &self.overtaken)
    }
}
