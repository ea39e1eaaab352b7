//! The clock of one row: its causal length and who wrote each of its cells when.
//!
//! A fresh row needs one stamp only, that of its insert; a cell that was written later has a stamp
//! of its own. Inside a database a clock names sites by [`SiteOrdinal`]; when clocks of different
//! replicas meet, by [`SiteId`].

use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::{CausalLength, ColumnId, SiteId, SiteOrdinal};
use crate::varint::{self, Reader};
use crate::vector::{Past, Vector};

/// When a cell was written and by whom; the greater stamp wins a merge.
///
/// The order (version first, then site) is the merge rule for cells when `S` is [`SiteId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp<S> {
    /// When.
    pub version: Version,
    /// By whom.
    pub site: S,
}

impl Stamp<SiteId> {
    /// The stamp of a cell that was never written.
    pub const NEVER: Stamp<SiteId> = Stamp { version: Version::NEVER, site: SiteId::NIL };
}

/// Everything that merging needs to know of a row, and nothing of its values.
///
/// Invariant: `cells` is sorted by column, names no column twice, and holds no stamp that follows
/// from `life` alone; `ended` is of deleted rows only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowClock<S> {
    /// Alive or deleted, and how often so far.
    pub length: CausalLength,
    /// The insert or delete that began this length, and the stamp of every cell not listed in `cells`
    /// but those of [late](ColumnId::is_late) columns, which then were never written.
    pub life: Stamp<S>,
    /// Cells whose stamp does not follow from `life`.
    cells: Vec<(ColumnId, Stamp<S>)>,
    /// Of a deleted row the stamp of the last life known here. It is never sent, and merging does not
    /// ask for it: see [`admit`](crate::merge::admit).
    ended: Option<Stamp<S>>,
    /// What is behind the row; empty but for the algorithms `dws` and `aws`.
    pub past: Past<S>,
}

impl<S: Copy + Ord + Default> RowClock<S> {
    /// The clock of a row that was inserted or deleted as a whole.
    pub fn new(length: CausalLength, life: Stamp<S>) -> RowClock<S> {
        RowClock { length, life, cells: Vec::new(), ended: None, past: Past::default() }
    }

    /// The same clock with this behind the row.
    pub fn with_past(self, past: Past<S>) -> RowClock<S> {
        RowClock { past, ..self }
    }

    /// The stamp of one cell.
    pub fn cell(&self, column: ColumnId) -> Stamp<S> {
        let own = self.cells.binary_search_by_key(&column, |(id, _)| *id).ok();
        own.and_then(|at| self.cells.get(at)).map_or(self.implied(column), |(_, stamp)| *stamp)
    }

    /// The stamp of a cell that has none of its own.
    fn implied(&self, column: ColumnId) -> Stamp<S> {
        if column.is_late() { Stamp { version: Version::NEVER, site: S::default() } } else { self.life }
    }

    /// Gives one cell a stamp.
    pub fn set_cell(&mut self, column: ColumnId, stamp: Stamp<S>) {
        let found = self.cells.binary_search_by_key(&column, |(id, _)| *id);
        match (found, stamp == self.implied(column)) {
            (Ok(at), true) => {
                self.cells.remove(at);
            }
            (Ok(at), false) => {
                if let Some(cell) = self.cells.get_mut(at) {
                    cell.1 = stamp;
                }
            }
            (Err(_), true) => {}
            (Err(at), false) => self.cells.insert(at, (column, stamp)),
        }
    }

    /// The cells whose stamp does not follow from `life`, by column.
    pub fn own_cells(&self) -> &[(ColumnId, Stamp<S>)] {
        &self.cells
    }

    /// Of a deleted row the stamp of the life that ended, where this replica remembers it.
    pub fn ended(&self) -> Option<Stamp<S>> {
        self.ended
    }

    /// The same clock; if it is that of a deleted row, with the life remembered that it had `before`.
    pub fn remembering(mut self, before: Option<&RowClock<S>>) -> RowClock<S> {
        self.ended = match before {
            Some(_) if self.length.is_alive() => None,
            Some(before) if before.length.is_alive() => Some(before.life),
            Some(before) => before.ended,
            None => None,
        };
        self
    }

    /// The highest version in the clock.
    pub fn highest(&self) -> Version {
        let past = self.past.stamps().map(|stamp| stamp.version);
        self.cells.iter().map(|(_, stamp)| stamp.version).chain(past).fold(self.life.version, Version::max)
    }

    /// The clock of a deleted row of which no cell is kept, so that whatever is told of it counts.
    #[must_use]
    pub fn without_cells(&self) -> RowClock<S> {
        let never = Stamp { version: Version::NEVER, site: S::default() };
        RowClock::new(self.length, never).with_past(self.past.clone())
    }

    /// Of each site the latest write of the row, whether something of it is left or not.
    pub fn writes(&self) -> Vector<S> {
        self.visible_writes().join(&self.past.writes)
    }

    fn visible_writes(&self) -> Vector<S> {
        Vector::of(self.cells.iter().map(|(_, stamp)| *stamp).chain([self.life]))
    }

    /// Keeps of these writes those that a delete has to know of: that none had seen, and that the cells do not
    /// tell of.
    pub fn remember_writes(&mut self, writes: &Vector<S>) {
        self.past.writes = writes.beyond(&self.visible_writes(), &self.past.seen);
    }

    /// Gives the row another life of the same length, every one of `columns` keeping the stamp it has.
    pub fn set_life(&mut self, life: Stamp<S>, columns: impl IntoIterator<Item = ColumnId>) {
        let before = self.clone();
        self.life = life;
        self.cells.clear();
        for column in columns {
            self.set_cell(column, before.cell(column));
        }
    }

    /// The same clock with other stamps. `renew` keeps their order; NEVER is never asked for.
    pub fn map_stamps(&self, renew: impl Fn(Stamp<S>) -> Stamp<S>) -> RowClock<S> {
        let mut clock = RowClock { life: renew(self.life), cells: Vec::new(), ..self.clone() };
        for (column, stamp) in &self.cells {
            let stamp = if stamp.version == Version::NEVER { *stamp } else { renew(*stamp) };
            clock.set_cell(*column, stamp);
        }
        let renewed = |vector: &Vector<S>| Vector::of(vector.stamps().iter().map(|stamp| renew(*stamp)));
        clock.past = Past { seen: renewed(&self.past.seen), writes: renewed(&self.past.writes) };
        clock
    }

    /// The same clock with its sites named otherwise.
    ///
    /// # Errors
    /// Whatever `rename` answers for a site that it does not know.
    pub fn map_sites<T: Copy + Ord, E>(
        &self,
        mut rename: impl FnMut(S) -> std::result::Result<T, E>,
    ) -> std::result::Result<RowClock<T>, E> {
        let mut map =
            |stamp: Stamp<S>| Ok::<_, E>(Stamp { version: stamp.version, site: rename(stamp.site)? });
        Ok(RowClock {
            length: self.length,
            life: map(self.life)?,
            cells: self
                .cells
                .iter()
                .map(|(id, stamp)| Ok((*id, map(*stamp)?)))
                .collect::<std::result::Result<_, E>>()?,
            ended: self.ended.map(&mut map).transpose()?,
            past: self.past.map_sites(rename)?,
        })
    }
}

/// The stored form's first byte: its version.
const STORED_FORMAT: u8 = 1;

/// In the place of a column's distance: what follows is the stamp of the life that ended.
const ENDED: u64 = 1 << 16;

/// The same, of an entry of what is behind the row.
const SEEN: u64 = ENDED + 1;

/// See [`SEEN`].
const WRITES: u64 = SEEN + 1;

impl RowClock<SiteOrdinal> {
    /// The form in which an engine stores the clock: about ten bytes for a fresh row.
    ///
    /// A format byte, the causal length, the life's version and site, then for each own cell the
    /// column's distance from the one before, the version's distance from the life's, and the site. The life
    /// that ended and what is behind the row have the form of cells that no column can have.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12 + 8 * self.cells.len());
        out.push(STORED_FORMAT);
        varint::put_u64(&mut out, u64::from(self.length.0));
        varint::put_u64(&mut out, self.life.version.0);
        varint::put_u64(&mut out, u64::from(self.life.site.0));
        let mut put = |place: u64, stamp: &Stamp<SiteOrdinal>| {
            varint::put_u64(&mut out, place);
            varint::put_i64(&mut out, (stamp.version.0 as i64).wrapping_sub(self.life.version.0 as i64));
            varint::put_u64(&mut out, u64::from(stamp.site.0));
        };
        let mut before = 0u16;
        for (column, stamp) in &self.cells {
            put(u64::from(column.0 - before), stamp);
            before = column.0;
        }
        self.ended.iter().for_each(|stamp| put(ENDED, stamp));
        self.past.seen.stamps().iter().for_each(|stamp| put(SEEN, stamp));
        self.past.writes.stamps().iter().for_each(|stamp| put(WRITES, stamp));
        out
    }

    /// Reads what [`RowClock::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are not a stored clock.
    pub fn from_bytes(bytes: &[u8]) -> Result<RowClock<SiteOrdinal>> {
        let mut input = Reader::new(bytes);
        if input.byte()? != STORED_FORMAT {
            return Err(Error::unsupported("a row clock was stored by a newer version of cloudsync"));
        }
        let length = CausalLength(input.u32()?);
        let life = Stamp { version: Version(input.u64()?), site: SiteOrdinal(input.u32()?) };
        let mut clock = RowClock::new(length, life);
        let mut before = 0u16;
        while !input.is_empty() {
            let offset = input.offset();
            let step = input.u64()?;
            let version = Version((life.version.0 as i64).wrapping_add(input.i64()?) as u64);
            let stamp = Stamp { version, site: SiteOrdinal(input.u32()?) };
            match step {
                ENDED => clock.ended = Some(stamp),
                SEEN => clock.past.seen.add(stamp),
                WRITES => clock.past.writes.add(stamp),
                _ => {
                    let column = u16::try_from(step).ok().and_then(|step| before.checked_add(step));
                    before = column
                        .ok_or_else(|| Error::malformed(offset, "a row clock names an impossible column"))?;
                    clock.set_cell(ColumnId(before), stamp);
                }
            }
        }
        Ok(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(version: u64, site: u32) -> Stamp<SiteOrdinal> {
        Stamp { version: Version(version), site: SiteOrdinal(site) }
    }

    proptest! {
        #[test]
        fn stored_form_is_lossless(
            length in 0u32..9, version in 0..Version::MAX.0, site: u32,
            cells in proptest::collection::vec((any::<u16>(), 0..Version::MAX.0, any::<u32>()), 0..20),
            ended in proptest::option::of((0..Version::MAX.0, any::<u32>())),
            past in proptest::collection::vec((1..Version::MAX.0, any::<u32>()), 0..4),
        ) {
            let mut clock = RowClock::new(CausalLength(length), stamp(version, site));
            for (column, version, site) in cells {
                clock.set_cell(ColumnId(column), stamp(version, site));
            }
            clock.ended = ended.map(|(version, site)| stamp(version, site));
            clock.past.seen = Vector::of(past.iter().map(|(version, site)| stamp(*version, *site)));
            clock.past.writes = Vector::of(past.iter().skip(1).map(|(version, site)| stamp(*site as u64, *version as u32)));
            prop_assert_eq!(RowClock::from_bytes(&clock.to_bytes()).unwrap(), clock);
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = RowClock::from_bytes(&bytes);
        }
    }

    #[test]
    fn a_cell_equal_to_the_life_takes_no_room() {
        let mut clock = RowClock::new(CausalLength::FIRST, stamp(10, 0));
        clock.set_cell(ColumnId(3), stamp(11, 2));
        assert_eq!(clock.cell(ColumnId(3)), stamp(11, 2));
        clock.set_cell(ColumnId(3), stamp(10, 0));
        assert!(clock.own_cells().is_empty());
        assert_eq!(clock.cell(ColumnId(3)), stamp(10, 0));
    }

    #[test]
    fn a_late_column_was_not_written_by_the_insert_of_its_row() {
        let late = ColumnId(ColumnId::LATE | 3);
        let mut clock = RowClock::new(CausalLength::FIRST, stamp(10, 0));
        assert_eq!(clock.cell(late).version, Version::NEVER);
        clock.set_cell(late, stamp(10, 0));
        assert_eq!(clock.cell(late), stamp(10, 0));
        assert_eq!(RowClock::from_bytes(&clock.to_bytes()).unwrap(), clock);
        clock.set_cell(late, stamp(0, 0));
        assert!(clock.own_cells().is_empty());
    }

    #[test]
    fn a_tombstone_remembers_the_last_life_until_the_row_lives_again() {
        let born = RowClock::new(CausalLength(1), stamp(10, 1));
        let dead = RowClock::new(CausalLength(2), stamp(11, 2)).remembering(Some(&born));
        assert_eq!(dead.ended(), Some(born.life));
        let later = RowClock::new(CausalLength(4), stamp(12, 3)).remembering(Some(&dead));
        assert_eq!(later.ended(), Some(born.life), "what came in between was never seen");
        let again = RowClock::new(CausalLength(5), stamp(13, 1)).remembering(Some(&later));
        assert_eq!(again.ended(), None);
        assert_eq!(RowClock::new(CausalLength(2), stamp(11, 2)).remembering(None).ended(), None);
    }
}
