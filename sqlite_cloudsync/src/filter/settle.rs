//! What a new filter makes of the rows that are there.

use cloudsync_shared::clock::RowClock;
use cloudsync_shared::id::SiteOrdinal;
use cloudsync_shared::key::Key;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::error::{Error, Result};
use crate::filter::forget_clock;
use crate::quote;
use crate::sent::UNSENT_WHOLE;
use crate::table::Table;
use crate::trigger;
use crate::value::Bound;

/// A row's entry in the table of clocks.
struct Entry {
    clock: RowClock<SiteOrdinal>,
    has_id: bool,
    is_unsent: bool,
}

/// Tells the rows that a filter has let in, if there was another one before, and forgets what was to be
/// sent of the rows that it shuts out.
///
/// # Errors
/// The database failed.
pub fn settle(conn: &Connection, table: &Table, had_filter: bool) -> Result<()> {
    let keys = quote::list(table.info.key.iter().map(|column| column.name.as_str()));
    let sql = format!("SELECT {}, {keys} FROM {}", table.filter_value(), table.rows());
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query([])?;
    // Read before anything is written: the journal's triggers are not, but clocks are, under the walk.
    let mut found: Vec<(bool, Key)> = Vec::new();
    while let Some(row) = rows.next()? {
        // A key that cannot be synced is reported by the fold.
        if let Ok(key) = table.key_of(row, 1)? {
            found.push((row.get(0)?, key));
        }
    }
    for (is_shared, key) in found {
        let entry = read(conn, table, &key)?;
        match (is_shared, entry) {
            (true, entry) if had_filter => let_in(conn, table, &key, entry)?,
            (false, Some(entry)) if entry.clock.length.is_alive() && entry.is_unsent => {
                forget_clock(conn, table, &key)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn read(conn: &Connection, table: &Table, key: &Key) -> Result<Option<Entry>> {
    let sql = format!(
        "SELECT clock, row_id IS NOT NULL, unsent IS NOT NULL FROM {} WHERE key = ?1",
        table.clocks()
    );
    let found: Option<(Vec<u8>, bool, bool)> = conn
        .prepare_cached(&sql)?
        .query_row([&key.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let entry = found.map(|(clock, has_id, is_unsent)| {
        Ok::<_, Error>(Entry { clock: RowClock::from_bytes(&clock)?, has_id, is_unsent })
    });
    entry.transpose()
}

fn let_in(conn: &Connection, table: &Table, key: &Key, entry: Option<Entry>) -> Result<()> {
    match entry {
        Some(entry) if entry.clock.length.is_alive() && (entry.has_id || entry.is_unsent) => Ok(()),
        // From another device, and held back when it came.
        Some(entry) if entry.clock.length.is_alive() => {
            let sql = format!("UPDATE {} SET unsent = ?1 WHERE key = ?2", table.clocks());
            conn.prepare_cached(&sql)?.execute((UNSENT_WHOLE, &key.0))?;
            Ok(())
        }
        _ => {
            let values = table.key_values(key)?;
            let values = values.iter().map(Bound);
            conn.prepare_cached(&trigger::note_insert(table))?.execute(params_from_iter(values))?;
            Ok(())
        }
    }
}
