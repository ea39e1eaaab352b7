//! Local writes: how they move a row's clock.
//!
//! On both engines a local write is noted first and folded into the clock by [`touch`]. Wherever
//! the fold runs (a PostgreSQL trigger, SQLite's fold of its journal), this is the only rule.

use crate::clock::{RowClock, Stamp};
use crate::hlc::{Millis, Version};
use crate::id::{CausalLength, ColumnId, SiteOrdinal};
use crate::schema::Algorithm;
use crate::vector::Vector;

/// One noted local write of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalWrite {
    /// The row was inserted, or replaced as a whole; its table has no [late](ColumnId::is_late)
    /// columns.
    Insert,
    /// As `Insert`, in a table with these late columns.
    InsertLate(Vec<ColumnId>),
    /// These columns were set.
    Update(Vec<ColumnId>),
    /// The row was deleted.
    Delete,
}

/// The clock after a local write at `now`. `highest` is the highest version that this replica has
/// seen anywhere; the new version is above it and above everything in the row.
///
/// A row without a clock is taken to have stood there before it was synced.
pub fn touch(
    algorithm: Algorithm,
    clock: Option<&RowClock<SiteOrdinal>>,
    write: &LocalWrite,
    now: Millis,
    highest: Version,
) -> RowClock<SiteOrdinal> {
    let seen = clock.map_or(highest, |clock| clock.highest().max(highest));
    let stamp = Stamp { version: Version::tick(now, seen), site: SiteOrdinal::SELF };
    let past = clock.map(|clock| clock.past.clone()).unwrap_or_default();
    let mut after = match write {
        LocalWrite::Insert => inserted(clock, stamp, &[]).with_past(past),
        LocalWrite::InsertLate(late) => inserted(clock, stamp, late).with_past(past),
        LocalWrite::Delete => match clock {
            // Deleted already: nothing happened.
            Some(clock) if !clock.length.is_alive() => clock.clone(),
            _ => deleted(algorithm, clock.unwrap_or(&base_clock()), stamp),
        },
        LocalWrite::Update(columns) => {
            let mut after = match clock {
                Some(clock) if clock.length.is_alive() => clock.clone(),
                // A row that is written is alive: its insert went unnoticed.
                Some(clock) => RowClock::new(clock.length.inserted(), stamp).with_past(past),
                None => base_clock(),
            };
            for column in columns {
                after.set_cell(*column, stamp);
            }
            after
        }
    };
    if algorithm == Algorithm::Aws && after.length.is_alive() {
        // Lives are not counted there: the row has writes that no delete has seen, or it has none.
        after.length = CausalLength::FIRST;
        let before = clock.map(RowClock::writes).unwrap_or_default();
        after.remember_writes(&before.join(&after.writes()));
    }
    after
}

fn inserted(
    clock: Option<&RowClock<SiteOrdinal>>,
    stamp: Stamp<SiteOrdinal>,
    late: &[ColumnId],
) -> RowClock<SiteOrdinal> {
    let length = clock.map_or(CausalLength::NEVER, |clock| clock.length);
    let mut after = RowClock::new(length.inserted(), stamp);
    for column in late {
        after.set_cell(*column, stamp);
    }
    after
}

fn deleted(
    algorithm: Algorithm,
    clock: &RowClock<SiteOrdinal>,
    stamp: Stamp<SiteOrdinal>,
) -> RowClock<SiteOrdinal> {
    let length = clock.length.deleted();
    match algorithm {
        Algorithm::Cls | Algorithm::Gos => RowClock::new(length, stamp),
        Algorithm::Dws => {
            let mut past = clock.past.clone();
            past.seen.add(stamp);
            RowClock::new(length, stamp).with_past(past)
        }
        Algorithm::Aws => {
            let mut after = clock.clone();
            after.length = length;
            after.past.seen = after.past.seen.join(&clock.writes());
            after.past.seen.add(stamp);
            after.remember_writes(&Vector::default());
            after
        }
    }
}

/// The clock of a row that stood in its table before the table was synced.
pub fn base_clock() -> RowClock<SiteOrdinal> {
    RowClock::new(CausalLength::FIRST, Stamp { version: Version::BASE, site: SiteOrdinal::SELF })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000);

    #[test]
    fn a_row_lives_dies_and_lives_again() {
        let born = touch(Algorithm::Cls, None, &LocalWrite::Insert, NOW, Version::NEVER);
        assert_eq!(born.length, CausalLength(1));
        let dead = touch(Algorithm::Cls, Some(&born), &LocalWrite::Delete, NOW, Version::NEVER);
        assert_eq!(dead.length, CausalLength(2));
        assert!(dead.life > born.life, "the same millisecond still moves the version");
        let again = touch(Algorithm::Cls, Some(&dead), &LocalWrite::Insert, Millis(0), Version::NEVER);
        assert_eq!(again.length, CausalLength(3));
        assert!(again.life > dead.life, "a clock set back does not undo a re-insert");
    }

    #[test]
    fn an_update_touches_its_columns_only() {
        let born = touch(Algorithm::Cls, None, &LocalWrite::Insert, NOW, Version::NEVER);
        let after =
            touch(Algorithm::Cls, Some(&born), &LocalWrite::Update(vec![ColumnId(2)]), NOW, Version::NEVER);
        assert_eq!(after.cell(ColumnId(1)), born.life);
        assert!(after.cell(ColumnId(2)) > born.life);
        assert_eq!(after.length, born.length);
    }

    #[test]
    fn a_replace_of_a_living_row_renews_every_cell() {
        let born = touch(Algorithm::Cls, None, &LocalWrite::Insert, NOW, Version::NEVER);
        let updated =
            touch(Algorithm::Cls, Some(&born), &LocalWrite::Update(vec![ColumnId(2)]), NOW, Version::NEVER);
        let replaced = touch(Algorithm::Cls, Some(&updated), &LocalWrite::Insert, NOW, Version::NEVER);
        assert_eq!(replaced.length, CausalLength(1));
        assert!(replaced.own_cells().is_empty());
        assert!(replaced.life.version > updated.highest());
    }

    #[test]
    fn the_highest_version_seen_is_exceeded() {
        let ahead = Version::from_millis(Millis(9_000));
        assert!(touch(Algorithm::Cls, None, &LocalWrite::Insert, NOW, ahead).life.version > ahead);
    }
}
