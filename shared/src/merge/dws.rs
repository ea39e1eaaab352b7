//! Delete-wins: a life of a row stands only if it had seen every delete of the row.
//!
//! Behind a row ([`RowClock::past`]) are the deletes that it has had, as a version vector: a re-insert had
//! seen those behind it. Of two states the one with more deletes behind it counts; where each has one that
//! the other lacks, both lives are over. This is a remove-wins set whose deletes are kept as a vector.
//! Source: A. Bieniusa et al., *An Optimized Conflict-free Replicated Set*, 2012; M. Zawirski et al.,
//! *Write Fast, Read in the Past*, Middleware 2015, for the semantics of remove-wins.

use crate::change::RowChange;
use crate::clock::{RowClock, Stamp};
use crate::id::{CausalLength, ColumnId, SiteId};
use crate::merge::row::{RowAction, RowDecision, begin_life, join_cells, same_life};
use crate::merge::rule::{Life, Order, compare_deletes};
use crate::schema::TableSchema;
use crate::vector::Vector;

/// Decides what a change does, see [`decide_row`](crate::merge::decide_row).
pub(super) fn decide(
    schema: &TableSchema,
    columns: &[Option<ColumnId>],
    local: Option<&RowClock<SiteId>>,
    change: &RowChange,
) -> RowDecision {
    let never = RowClock::new(CausalLength::NEVER, Stamp::NEVER);
    let local = local.unwrap_or(&never);
    let told = deletes_of(change);
    let exists = local.length.is_alive();
    let lives = change.length.is_alive();
    let mut decision = match compare_deletes(&told, &local.past.seen) {
        Order::Less => unchanged(local),
        Order::Same if lives && exists => same_life(schema, columns, local, change),
        Order::Same if !lives => unchanged(local),
        Order::Same | Order::More if lives => begin_life(schema, columns, exists, change),
        Order::Same | Order::More | Order::Apart => die(exists),
    };
    let clock = &mut decision.clock;
    clock.past.seen = local.past.seen.join(&told);
    clock.length = length(clock.length.is_alive(), local.length, change.length);
    if !clock.length.is_alive() {
        clock.life = clock.past.seen.latest().unwrap_or(Stamp::NEVER);
    }
    if decision.action == RowAction::Nothing && decision.clock != *local {
        decision.action = RowAction::ClockOnly;
    }
    decision
}

/// How the life that a change is about stands to the row's: where each has had a delete that the other has
/// not, the change's is over, as the row's is.
pub(super) fn life_of(change: &RowChange, local: &RowClock<SiteId>) -> Life {
    match compare_deletes(&deletes_of(change), &local.past.seen) {
        Order::Less | Order::Apart => Life::Over,
        Order::More => Life::Next,
        Order::Same => match (change.length.is_alive(), local.length.is_alive()) {
            (true, false) => Life::Next,
            (false, true) => Life::Over,
            _ => Life::Same,
        },
    }
}

fn unchanged(local: &RowClock<SiteId>) -> RowDecision {
    RowDecision { action: RowAction::Nothing, clock: local.clone() }
}

fn die(exists: bool) -> RowDecision {
    let action = if exists { RowAction::Delete } else { RowAction::ClockOnly };
    RowDecision { action, clock: RowClock::new(CausalLength::FIRST.deleted(), Stamp::NEVER) }
}

/// The deletes behind a change. The stamp of a dead row's life is its delete.
fn deletes_of(change: &RowChange) -> Vector<SiteId> {
    let mut deletes = change.past.seen.clone();
    if !change.length.is_alive() {
        deletes.add(change.life);
    }
    deletes
}

/// The causal length of the joined state: it counts for people only, but must be the same everywhere, so it
/// follows from the longest history of deletes.
fn length(is_alive: bool, left: CausalLength, right: CausalLength) -> CausalLength {
    let dead = |length: CausalLength| CausalLength(length.0 & !1);
    let longest = dead(left).max(dead(right));
    if is_alive { longest.inserted() } else { longest }
}

/// Joins a second change of a row into the first.
pub(super) fn join(first: &mut RowChange, mut second: RowChange) {
    let (left, right) = (deletes_of(first), deletes_of(&second));
    let longest = length(false, first.length, second.length);
    match compare_deletes(&right, &left) {
        Order::Less => {}
        Order::Same if second.length.is_alive() && first.length.is_alive() => {
            first.life = first.life.max(second.life);
            join_cells(first, second);
        }
        Order::Same if !second.length.is_alive() => {}
        Order::Same | Order::More => {
            second.row_id = second.row_id.or(first.row_id);
            *first = second;
        }
        Order::Apart => {
            first.length = longest;
            first.cells.clear();
            first.texts.clear();
        }
    }
    first.past.seen = left.join(&right);
    first.length = if first.length.is_alive() { longest.inserted() } else { longest };
    if !first.length.is_alive() {
        first.life = first.past.seen.latest().unwrap_or(first.life);
    }
}

/// Whether a change is later than all of these deletes that it had not seen.
pub fn is_after_deletes(change: &RowChange, deletes: &Vector<SiteId>) -> bool {
    let unseen = deletes.stamps().iter().filter(|delete| !change.past.seen.covers(**delete));
    unseen.into_iter().all(|delete| delete.version < change.life.version)
}

/// What a receiver takes an insert for whose sender was never told of the row, and so could not know of its
/// deletes: it comes after those that are older than it is.
pub(super) fn after_older_deletes(change: &RowChange, stored: &RowClock<SiteId>) -> Option<RowChange> {
    let is_news = !change.past.seen.contains(&stored.past.seen);
    (is_news && is_after_deletes(change, &stored.past.seen)).then(|| RowChange {
        past: change.past.join(&stored.past),
        length: stored.length.inserted(),
        ..change.clone()
    })
}
