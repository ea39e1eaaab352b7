//! A clock that runs ahead must not cost its owner anything: what was written under it and never sent
//! exists nowhere else, so it can be given other versions.

use std::collections::{BTreeMap, BTreeSet};

use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis, Version};
use cloudsync_shared::id::{ColumnId, SiteOrdinal};
use cloudsync_shared::text::Document;
use rusqlite::{Connection, params};

use crate::apply;
use crate::error::Result;
use crate::given;
use crate::sent::UNSENT_WHOLE;
use crate::standing;
use crate::system;
use crate::table::Table;
use crate::texts::documents;

/// Gives all versions of unsent local writes that are later than `now`, the server's time, new ones from
/// there on, in their order, above everything that remains and all that the server has; answers how many there
/// were.
///
/// # Errors
/// The database is busy or failed; nothing has changed then.
pub fn restamp(conn: &Connection, now: Millis) -> Result<usize> {
    let latest = Version::from_millis(now);
    apply::in_transaction(conn, || {
        let mut early = BTreeSet::new();
        let allowed = Version::from_millis(Millis(now.0.saturating_add(DEFAULT_MAX_DRIFT.0)));
        let mut highest = standing::floor(conn, allowed)?;
        each_clock(conn, |_, row| {
            for stamp in row.stamps() {
                match row.is_early(stamp, latest) {
                    true => early.insert(stamp.version),
                    false => {
                        highest = highest.max(stamp.version);
                        false
                    }
                };
            }
            Ok(())
        })?;
        let mut renewed = BTreeMap::new();
        for version in &early {
            highest = Version::tick(now, highest);
            renewed.insert(*version, highest);
        }
        each_clock(conn, |table, row| row.renew(conn, table, latest, &renewed))?;
        system::set_highest(conn, highest)?;
        given::set_highest(conn, highest)?;
        Ok(early.len())
    })
}

/// A row's entry in the table of clocks.
struct Entry {
    key: Vec<u8>,
    clock: RowClock<SiteOrdinal>,
    unsent: Option<i64>,
    /// The documents of its texts: of lines edited twice the clock knows the last edit only.
    texts: Vec<(ColumnId, Document<SiteOrdinal>)>,
}

impl Entry {
    fn stamps(&self) -> impl Iterator<Item = Stamp<SiteOrdinal>> {
        let cells = self.clock.own_cells().iter().map(|(_, stamp)| *stamp);
        let lines = self.texts.iter().flat_map(|(_, document)| document.stamps());
        cells.chain([self.clock.life]).chain(self.clock.past.stamps()).chain(lines)
    }

    /// Whether a stamp is of a local write that was never sent, from a time that has not come yet.
    fn is_early(&self, stamp: Stamp<SiteOrdinal>, latest: Version) -> bool {
        let is_unsent = self.unsent.is_some_and(|unsent| stamp.version.0 >= unsent.unsigned_abs());
        is_unsent && stamp.site == SiteOrdinal::SELF && stamp.version > latest
    }

    fn renew(
        &self,
        conn: &Connection,
        table: &Table,
        latest: Version,
        renewed: &BTreeMap<Version, Version>,
    ) -> Result<()> {
        let other = |stamp: Stamp<SiteOrdinal>| match renewed.get(&stamp.version) {
            Some(version) if self.is_early(stamp, latest) => Stamp { version: *version, ..stamp },
            _ => stamp,
        };
        for (column, document) in &self.texts {
            let renewed = document.map_stamps(other);
            if renewed != *document {
                documents::store(conn, table, &self.key, *column, Some(&renewed))?;
            }
        }
        let clock = self.clock.map_stamps(other);
        if clock == self.clock {
            return Ok(());
        }
        let sql = format!("UPDATE {} SET clock = ?1, unsent = ?2 WHERE key = ?3", table.clocks());
        conn.prepare_cached(&sql)?.execute(params![clock.to_bytes(), self.lowest_unsent(other), self.key])?;
        Ok(())
    }

    /// The lowest unsent version under other stamps; a row that is unsent as a whole stays so.
    fn lowest_unsent(&self, other: impl Fn(Stamp<SiteOrdinal>) -> Stamp<SiteOrdinal>) -> Option<i64> {
        let unsent = self.unsent?;
        if unsent <= UNSENT_WHOLE {
            return Some(unsent);
        }
        let among = self.stamps().filter(|stamp| stamp.version.0 >= unsent.unsigned_abs());
        let lowest = among.map(|stamp| other(stamp).version).min();
        lowest.map_or(Some(unsent), |version| i64::try_from(version.0).ok())
    }
}

fn each_clock(conn: &Connection, mut look: impl FnMut(&Table, Entry) -> Result<()>) -> Result<()> {
    for table in Table::all(conn)? {
        let sql = format!("SELECT key, clock, unsent FROM {}", table.clocks());
        let mut statement = conn.prepare(&sql)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?)))?;
        // Read before anything is written: an UPDATE may move rows under a walk.
        for (key, clock, unsent) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
            let texts = documents::of_row(conn, &table, &key)?;
            look(&table, Entry { key, clock: RowClock::from_bytes(&clock)?, unsent, texts })?;
        }
    }
    Ok(())
}
