//! Add-wins: a delete takes away the writes that it had seen, and no other.
//!
//! A row's clock tells of each site its latest write: by the cells, or else by
//! [`Past::writes`](crate::vector::Past::writes). The writes that deletes had seen are a version vector,
//! [`Past::seen`](crate::vector::Past::seen). The row lives as long as it has a write beyond that. Its cells
//! are joined by themselves, whether it lives or not, so that it comes back whole, each cell with its last
//! value.
//! Source: M. Shapiro et al., *A Comprehensive Study of Convergent and Commutative Replicated Data Types*,
//! INRIA RR-7506, 2011 (observed-remove set); A. Bieniusa et al., *An Optimized Conflict-free Replicated
//! Set*, 2012 (deletes as a version vector).

use crate::change::RowChange;
use crate::clock::{RowClock, Stamp};
use crate::id::{CausalLength, ColumnId, SiteId};
use crate::merge::row::{RowAction, RowDecision, column_of, join_cells, written};
use crate::schema::TableSchema;
use crate::vector::Vector;

/// The length of a row that lives.
const ALIVE: CausalLength = CausalLength::FIRST;
/// The length of a row that does not: it tells nothing else, as lives are not counted.
const DEAD: CausalLength = CausalLength(2);

/// Decides what a change does, see [`decide_row`](crate::merge::decide_row).
pub(super) fn decide(
    schema: &TableSchema,
    columns: &[Option<ColumnId>],
    local: Option<&RowClock<SiteId>>,
    change: &RowChange,
) -> RowDecision {
    let exists = local.is_some_and(|clock| clock.length.is_alive());
    let mut clock = local.cloned().unwrap_or(RowClock::new(CausalLength::NEVER, Stamp::NEVER));
    let writes = clock.writes().join(&writes_of(change));
    clock.past = clock.past.join(&change.past);
    if change.life > clock.life {
        clock.set_life(change.life, schema.columns.iter().map(|column| column.id));
    }
    let mut cells = Vec::new();
    for (at, cell) in change.cells.iter().enumerate() {
        let Some(column) = column_of(columns, cell.column) else { continue };
        if let Some(stamp) = written(change, cell, clock.cell(column)) {
            clock.set_cell(column, stamp);
            cells.push(at);
        }
    }
    clock.remember_writes(&writes);
    let lives = writes.stamps().iter().any(|write| !clock.past.seen.covers(*write));
    clock.length = if lives { ALIVE } else { DEAD };
    let action = match (exists, lives) {
        (false, true) => RowAction::Insert { cells },
        (true, true) if !cells.is_empty() => RowAction::Update { cells, reset: Vec::new() },
        (true, false) => RowAction::Bury { cells },
        (false, false) if !cells.is_empty() => RowAction::Bury { cells },
        _ if local != Some(&clock) => RowAction::ClockOnly,
        _ => RowAction::Nothing,
    };
    RowDecision { action, clock }
}

/// Of each site the latest write that a change tells of.
fn writes_of(change: &RowChange) -> Vector<SiteId> {
    let cells = change.cells.iter().map(|cell| cell.stamp);
    Vector::of(cells.chain([change.life])).join(&change.past.writes)
}

/// Joins a second change of a row into the first. Whether the row lives is for the receiver to find.
pub(super) fn join(first: &mut RowChange, second: RowChange) {
    let writes = writes_of(first).join(&writes_of(&second));
    first.life = first.life.max(second.life);
    first.past = first.past.join(&second.past);
    first.past.writes = writes;
    first.length = first.length.min(second.length);
    join_cells(first, second);
}
