//! Which value lost a merge: of two writes of one cell that did not see one another, the lesser.
//!
//! Ordinary overwriting is no conflict. What tells the two apart is the *base* of a write, the stamp of the
//! value that it replaced where it was made.

use crate::change::{LostPart, LostReason, RowChange, TextOutcome};
use crate::clock::{RowClock, Stamp};
use crate::id::{ColumnId, SiteId};
use crate::merge::row::life_of;
use crate::merge::rule::Life;
use crate::schema::Algorithm;
use crate::value::Value;

/// What is known of the value that a write replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// It had this stamp; [`Stamp::NEVER`] if there was none.
    Saw(Stamp<SiteId>),
    /// Nothing: its author keeps no bases.
    Unknown,
    /// The write may be a repetition, or is not its teller's own: nothing follows from it.
    Repeated,
}

/// Whose value lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostSide {
    /// What was told.
    Incoming,
    /// What stood here.
    Stored,
}

/// One cell that lost, or one line of a text. That the two values differ is for the caller to check.
#[derive(Clone, Debug, PartialEq)]
pub struct LostCell {
    /// The index of its change in [`RowChange::cells`].
    pub cell: usize,
    /// Its column here.
    pub column: ColumnId,
    /// Whose value lost.
    pub side: LostSide,
    /// Why.
    pub reason: LostReason,
    /// The stamp of the value that lost.
    pub lost: Stamp<SiteId>,
    /// The stamp of what won: of the other write, or of the row's present length.
    pub won: Stamp<SiteId>,
    /// Of a text that is merged by lines what lost and what won, NULL if that was deleted since; of others the two
    /// values are where the cells are.
    pub values: Option<(Value, Value)>,
}

/// The cells that lose when a replica whose clock of the row is `stored` takes `change`, written by
/// `author`. `columns` maps the change's column indexes to the replica's columns; `base` answers for each of
/// the change's cells.
pub fn lost_to_stored(
    algorithm: Algorithm,
    columns: &[Option<ColumnId>],
    stored: &RowClock<SiteId>,
    change: &RowChange,
    author: SiteId,
    base: impl Fn(usize) -> Base,
) -> Vec<LostCell> {
    let life = life_of(algorithm, change, stored);
    let mut lost = Vec::new();
    for (at, cell) in change.cells.iter().enumerate() {
        let Some(column) = columns.get(cell.column).copied().flatten() else { continue };
        let is_own = |stamp: Stamp<SiteId>| stamp.site == author;
        let given = base(at);
        let base = |stamp| if is_own(stamp) { given } else { Base::Repeated };
        let place = Place { cell: at, column };
        match life {
            Life::Next => {}
            // A write into a life that is over lost, unless it may have been taken before that life ended.
            Life::Over if matches!(base(cell.stamp), Base::Saw(_)) => {
                let stamps = (cell.stamp, stored.life);
                let lines = change.text(cell.column).and_then(|text| text.delta.as_ref()?.shown().ok());
                let values = lines.map(|lines| (Value::Text(lines), Value::Null));
                lost.push(place.lost(LostSide::Incoming, LostReason::RowDeleted, stamps, values));
            }
            Life::Same if stored.length.is_alive() => {
                let is_lost = |side, incoming, stored| match side {
                    // What its author wrote before or after is no conflict with it.
                    _ if incoming == stored || is_own(stored) || stored == Stamp::NEVER => false,
                    side => match base(incoming) {
                        Base::Repeated => false,
                        Base::Saw(base) => stored > base,
                        Base::Unknown => side == LostSide::Incoming,
                    },
                };
                competed(place, change, stored.cell(column), is_lost, &mut lost);
            }
            Life::Over | Life::Same => {}
        }
    }
    lost
}

/// Where a value lost.
#[derive(Clone, Copy)]
struct Place {
    cell: usize,
    column: ColumnId,
}

impl Place {
    /// A value lost here: `stamps` are its own and that of what won.
    fn lost(
        self,
        side: LostSide,
        reason: LostReason,
        (lost, won): (Stamp<SiteId>, Stamp<SiteId>),
        values: Option<(Value, Value)>,
    ) -> LostCell {
        LostCell { cell: self.cell, column: self.column, side, reason, lost, won, values }
    }
}

/// What lost in a cell that competed with the one that stood, whose stamp was `stored`: one of the two values, or
/// lines of a text. `is_lost` judges two writes, the incoming one first, of which the one on that side gave way.
fn competed(
    place: Place,
    change: &RowChange,
    stored: Stamp<SiteId>,
    is_lost: impl Fn(LostSide, Stamp<SiteId>, Stamp<SiteId>) -> bool,
    lost: &mut Vec<LostCell>,
) {
    let Some(cell) = change.cells.get(place.cell) else { return };
    let mut note = |side, reason, incoming, stored, values| {
        if is_lost(side, incoming, stored) {
            let stamps = if side == LostSide::Incoming { (incoming, stored) } else { (stored, incoming) };
            lost.push(place.lost(side, reason, stamps, values));
        }
    };
    let Some(TextOutcome::Resolved { lost: parts, .. }) = change.text(cell.column).map(|text| &text.outcome)
    else {
        let side = if cell.stamp > stored { LostSide::Stored } else { LostSide::Incoming };
        return note(side, LostReason::NewerWrite, cell.stamp, stored, None);
    };
    for part in parts {
        match part {
            LostPart::Whole { side, value } => {
                let values = Some((value.clone(), cell.value.clone()));
                note(*side, LostReason::NewerWrite, cell.stamp, stored, values);
            }
            LostPart::Line(line) => {
                let kept = line.kept_text.clone().map_or(Value::Null, Value::Text);
                let values = Some((Value::Text(line.lost_text.clone()), kept));
                let (side, incoming, stored) = match line.incoming {
                    true => (LostSide::Incoming, line.lost, line.kept),
                    false => (LostSide::Stored, line.kept, line.lost),
                };
                note(side, LostReason::NewerLine, incoming, stored, values);
            }
        }
    }
}

/// The cells that lose when a row with local writes that nobody has seen takes `change`. `unsent` holds the
/// column of each such write and the stamp that it replaced.
pub fn lost_to_incoming(
    algorithm: Algorithm,
    columns: &[Option<ColumnId>],
    stored: &RowClock<SiteId>,
    change: &RowChange,
    unsent: &[(ColumnId, Stamp<SiteId>)],
) -> Vec<LostCell> {
    let life = life_of(algorithm, change, stored);
    let mut lost = Vec::new();
    for (column, base) in unsent {
        let own = stored.cell(*column);
        let told = change.cells.iter().enumerate();
        let mut told = told.filter(|(_, cell)| columns.get(cell.column).copied().flatten() == Some(*column));
        let Some((at, _)) = told.next() else { continue };
        let place = Place { cell: at, column: *column };
        match life {
            Life::Over => {}
            Life::Next => {
                lost.push(place.lost(LostSide::Stored, LostReason::RowDeleted, (own, change.life), None));
            }
            Life::Same => {
                // What was there already when the local write was made, or is that very write, is none; nor is
                // what a line was before the first unsent one.
                let is_lost = |_, incoming: Stamp<SiteId>, stored: Stamp<SiteId>| {
                    incoming > *base && incoming.site != own.site && stored.site == own.site && stored > *base
                };
                competed(place, change, own, is_lost, &mut lost);
            }
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::CellChange;
    use crate::hlc::Version;
    use crate::id::CausalLength;
    use crate::key::Key;

    const ME: SiteId = SiteId([1; 16]);
    const OTHER: SiteId = SiteId([2; 16]);
    const COLUMN: ColumnId = ColumnId(4);
    const COLUMNS: [Option<ColumnId>; 1] = [Some(COLUMN)];

    fn stamp(version: u64, site: SiteId) -> Stamp<SiteId> {
        Stamp { version: Version(version), site }
    }

    fn stored(length: u32, cell: Stamp<SiteId>) -> RowClock<SiteId> {
        let mut clock = RowClock::new(CausalLength(length), stamp(1, OTHER));
        clock.set_cell(COLUMN, cell);
        clock
    }

    fn told(length: u32, cell: Stamp<SiteId>) -> RowChange {
        let cells = vec![CellChange { column: 0, stamp: cell, value: Value::Null }];
        RowChange {
            row_id: None,
            key: Key(vec![5]),
            length: CausalLength(length),
            life: stamp(1, OTHER),
            cells,
            texts: Vec::new(),
            past: Default::default(),
        }
    }

    fn at_server(stored: &RowClock<SiteId>, cell: Stamp<SiteId>, base: Base) -> Vec<(LostSide, LostReason)> {
        let lost = lost_to_stored(Algorithm::Cls, &COLUMNS, stored, &told(1, cell), ME, |_| base);
        lost.into_iter().map(|lost| (lost.side, lost.reason)).collect()
    }

    #[test]
    fn overwriting_what_was_seen_is_no_conflict() {
        let seen = stamp(5, OTHER);
        assert_eq!(at_server(&stored(1, seen), stamp(9, ME), Base::Saw(seen)), []);
        assert_eq!(at_server(&stored(1, seen), stamp(9, ME), Base::Unknown), []);
        assert_eq!(at_server(&stored(1, stamp(6, ME)), stamp(9, ME), Base::Saw(seen)), [], "its own");
        assert_eq!(at_server(&stored(1, stamp(9, ME)), stamp(9, ME), Base::Saw(seen)), [], "repeated");
        assert_eq!(at_server(&stored(1, stamp(3, OTHER)), stamp(9, ME), Base::Saw(seen)), [], "an older one");
    }

    #[test]
    fn of_two_writes_that_did_not_see_one_another_the_older_lost() {
        let (base, newer) = (stamp(5, OTHER), (LostReason::NewerWrite,));
        let other = stored(1, stamp(7, OTHER));
        assert_eq!(at_server(&other, stamp(9, ME), Base::Saw(base)), [(LostSide::Stored, newer.0)]);
        assert_eq!(at_server(&other, stamp(6, ME), Base::Saw(base)), [(LostSide::Incoming, newer.0)]);
        assert_eq!(at_server(&other, stamp(6, ME), Base::Unknown), [(LostSide::Incoming, newer.0)]);
        assert_eq!(at_server(&other, stamp(6, ME), Base::Repeated), []);
        assert_eq!(at_server(&other, stamp(6, SiteId([3; 16])), Base::Saw(base)), [], "only passed on");
    }

    #[test]
    fn what_was_written_into_a_life_that_is_over_lost() {
        let dead = RowClock::new(CausalLength(2), stamp(8, OTHER));
        let deleted = [(LostSide::Incoming, LostReason::RowDeleted)];
        assert_eq!(at_server(&dead, stamp(9, ME), Base::Saw(stamp(5, OTHER))), deleted);
        assert_eq!(at_server(&dead, stamp(9, ME), Base::Repeated), []);
        assert_eq!(at_server(&dead, stamp(9, ME), Base::Unknown), []);
    }

    #[test]
    fn a_write_that_brings_its_row_back_did_not_lose() {
        let mut dead = RowClock::new(CausalLength(2), stamp(5, OTHER));
        dead.past.seen.add(stamp(8, OTHER));
        let base = |_| Base::Saw(stamp(5, OTHER));
        let lost =
            |algorithm| lost_to_stored(algorithm, &COLUMNS, &dead, &told(1, stamp(9, ME)), ME, base).len();
        assert_eq!((lost(Algorithm::Aws), lost(Algorithm::Dws), lost(Algorithm::Cls)), (0, 1, 1));
    }

    #[test]
    fn an_unsent_write_conflicts_with_what_came_after_its_base() {
        let (base, own) = (stamp(5, OTHER), stamp(7, ME));
        let lost = |length, cell| {
            let lost = lost_to_incoming(
                Algorithm::Cls,
                &COLUMNS,
                &stored(1, own),
                &told(length, cell),
                &[(COLUMN, base)],
            );
            lost.into_iter().map(|lost| (lost.side, lost.reason)).collect::<Vec<_>>()
        };
        assert_eq!(lost(1, base), []);
        assert_eq!(lost(1, own), [], "it had been sent after all");
        assert_eq!(lost(1, stamp(6, OTHER)), [(LostSide::Incoming, LostReason::NewerWrite)]);
        assert_eq!(lost(1, stamp(8, OTHER)), [(LostSide::Stored, LostReason::NewerWrite)]);
        assert_eq!(lost(3, stamp(8, OTHER)), [(LostSide::Stored, LostReason::RowDeleted)]);
    }
}
