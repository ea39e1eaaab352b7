//! One row: its clock and a change in, what to do and the new clock out.

use std::cmp::Ordering;

use crate::change::{CellChange, RowChange, TextChange, TextOutcome};
use crate::clock::{RowClock, Stamp};
use crate::id::{ColumnId, SiteId};
use crate::merge::rule::{Life, cell_wins, compare_life};
use crate::merge::{aws, dws};
use crate::schema::{Algorithm, TableSchema};
use crate::text::TextDelta;

/// What an engine has to do with the row itself.
///
/// Cells are indexes into [`RowChange::cells`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowAction {
    /// Nothing, not even to the clock: the change tells nothing new.
    Nothing,
    /// Only the clock moves.
    ClockOnly,
    /// The row does not exist here: insert it with these cells, over what was buried of it, defaults
    /// elsewhere.
    Insert {
        /// The cells to write.
        cells: Vec<usize>,
    },
    /// The row exists here: set these cells.
    Update {
        /// The cells to write.
        cells: Vec<usize>,
        /// Columns that a new life did not tell of: back to their default.
        reset: Vec<ColumnId>,
    },
    /// The row exists here and is to be removed.
    Delete,
    /// The row is not to exist here, but its cells are to be kept, with these over them: a later write may
    /// bring it back.
    Bury {
        /// The cells to write.
        cells: Vec<usize>,
    },
}

/// A decision about one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowDecision {
    /// What to do with the row.
    pub action: RowAction,
    /// The clock afterwards.
    pub clock: RowClock<SiteId>,
}

/// Decides what a change does to a row whose clock is `local` (`None`: never seen here).
///
/// `columns` maps the change's column indexes to this replica's columns; cells of columns that this
/// replica does not have are left out.
pub fn decide_row(
    schema: &TableSchema,
    columns: &[Option<ColumnId>],
    local: Option<&RowClock<SiteId>>,
    change: &RowChange,
) -> RowDecision {
    match schema.algorithm {
        Algorithm::Cls | Algorithm::Gos => decide_by_length(schema, columns, local, change),
        Algorithm::Dws => dws::decide(schema, columns, local, change),
        Algorithm::Aws => aws::decide(schema, columns, local, change),
    }
}

/// How the life that a change is about stands to the row's.
pub(super) fn life_of(algorithm: Algorithm, change: &RowChange, local: &RowClock<SiteId>) -> Life {
    match algorithm {
        Algorithm::Cls | Algorithm::Gos => compare_life(change.length, local.length),
        Algorithm::Dws => dws::life_of(change, local),
        // Lives are not counted: a row's cells are joined whether it lives or not.
        Algorithm::Aws => Life::Same,
    }
}

fn decide_by_length(
    schema: &TableSchema,
    columns: &[Option<ColumnId>],
    local: Option<&RowClock<SiteId>>,
    change: &RowChange,
) -> RowDecision {
    let Some(local) = local else {
        return begin_life(schema, columns, false, change);
    };
    match compare_life(change.length, local.length) {
        Life::Over => RowDecision { action: RowAction::Nothing, clock: local.clone() },
        Life::Same => same_life(schema, columns, local, change),
        Life::Next => begin_life(schema, columns, local.length.is_alive(), change),
    }
}

/// The change's life in place of whatever there was.
pub(super) fn begin_life(
    schema: &TableSchema,
    columns: &[Option<ColumnId>],
    exists: bool,
    change: &RowChange,
) -> RowDecision {
    let mut clock = RowClock::new(change.length, change.life);
    if !change.length.is_alive() {
        let action = if exists { RowAction::Delete } else { RowAction::ClockOnly };
        return RowDecision { action, clock };
    }
    let mut cells = Vec::with_capacity(change.cells.len());
    let mut reset = Vec::new();
    for column in &schema.columns {
        let told = change.cells.iter().position(|cell| column_of(columns, cell.column) == Some(column.id));
        match told.and_then(|at| change.cells.get(at).map(|cell| (at, cell))) {
            Some((at, cell)) => {
                clock.set_cell(column.id, cell.stamp);
                cells.push(at);
            }
            None => {
                clock.set_cell(column.id, Stamp::NEVER);
                reset.push(column.id);
            }
        }
    }
    let action = if exists { RowAction::Update { cells, reset } } else { RowAction::Insert { cells } };
    RowDecision { action, clock }
}

/// The cells of one life compete one by one.
pub(super) fn same_life(
    schema: &TableSchema,
    columns: &[Option<ColumnId>],
    local: &RowClock<SiteId>,
    change: &RowChange,
) -> RowDecision {
    let mut clock = local.clone();
    if change.life > local.life {
        let kept = schema.columns.iter().filter(|_| local.length.is_alive()).map(|column| column.id);
        clock.set_life(change.life, kept);
    }
    let mut cells = Vec::new();
    if local.length.is_alive() {
        for (at, cell) in change.cells.iter().enumerate() {
            let Some(column) = column_of(columns, cell.column) else { continue };
            if let Some(stamp) = written(change, cell, local.cell(column)) {
                clock.set_cell(column, stamp);
                cells.push(at);
            }
        }
    }
    let action = if !cells.is_empty() {
        RowAction::Update { cells, reset: Vec::new() }
    } else if clock != *local {
        RowAction::ClockOnly
    } else {
        RowAction::Nothing
    };
    RowDecision { action, clock }
}

/// The stamp of a cell that is to be written over one with the stamp `local`; `None` if it is not to be.
pub(super) fn written(change: &RowChange, cell: &CellChange, local: Stamp<SiteId>) -> Option<Stamp<SiteId>> {
    match change.text(cell.column).map(|text| &text.outcome) {
        Some(TextOutcome::Resolved { stamp, changed, .. }) => changed.then_some(*stamp),
        _ => cell_wins(cell.stamp, local).then_some(cell.stamp),
    }
}

/// This replica's column for a column of the change.
pub(super) fn column_of(columns: &[Option<ColumnId>], index: usize) -> Option<ColumnId> {
    columns.get(index).copied().flatten()
}

/// Joins a second change of the same row into the first, by the same rule as a replica would. Without an
/// algorithm they are parts of what one replica told.
pub fn join_changes(algorithm: Option<Algorithm>, first: &mut RowChange, second: RowChange) {
    match algorithm {
        None | Some(Algorithm::Cls | Algorithm::Gos) => join_by_length(first, second),
        Some(Algorithm::Dws) => dws::join(first, second),
        Some(Algorithm::Aws) => aws::join(first, second),
    }
}

fn join_by_length(first: &mut RowChange, second: RowChange) {
    match compare_life(second.length, first.length) {
        Life::Over => {}
        Life::Next => {
            let row_id = second.row_id.or(first.row_id);
            *first = second;
            first.row_id = row_id;
        }
        Life::Same => {
            first.row_id = first.row_id.or(second.row_id);
            first.life = first.life.max(second.life);
            first.past = first.past.join(&second.past);
            join_cells(first, second);
        }
    }
}

/// Takes over the cells that are newer. The lines of a text go with its cell, and there the epoch decides;
/// that of a value told whole is its stamp.
pub(super) fn join_cells(first: &mut RowChange, second: RowChange) {
    let RowChange { cells, mut texts, .. } = second;
    for cell in cells {
        let at = texts.iter().position(|text| text.column == cell.column);
        let text = at.map(|at| texts.swap_remove(at));
        let known = first.texts.iter_mut().find(|known| known.column == cell.column);
        let epoch = |stamp, text: Option<&TextChange>| {
            text.and_then(|text| text.delta.as_ref()).map_or(stamp, TextDelta::epoch)
        };
        let place = first.cells.binary_search_by_key(&cell.column, |known| known.column);
        let present = place.ok().and_then(|at| first.cells.get_mut(at));
        let Some(present) = present else {
            first.cells.insert(place.unwrap_or_else(|at| at), cell);
            first.texts.extend(text);
            continue;
        };
        let order = epoch(cell.stamp, text.as_ref()).cmp(&epoch(present.stamp, known.as_deref()));
        match (order, known, text) {
            (Ordering::Less, ..) => {}
            (Ordering::Greater, _, text) => {
                first.texts.retain(|known| known.column != cell.column);
                first.texts.extend(text);
                *present = cell;
            }
            (Ordering::Equal, Some(known), Some(text)) => {
                if let (Some(known), Some(delta)) = (&mut known.delta, &text.delta) {
                    // Two that do not fit are of no replica's making: then the first stays.
                    drop(known.join(delta));
                }
                present.stamp = present.stamp.max(cell.stamp);
            }
            (Ordering::Equal, None, Some(text)) => {
                first.texts.push(text);
                *present = cell;
            }
            (Ordering::Equal, _, None) => {}
        }
    }
}
