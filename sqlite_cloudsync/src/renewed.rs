//! Rows that the server has with another causal length than this device, which could not know of an
//! older life of theirs: they are one row, and the device follows.

use std::collections::HashMap;

use cloudsync_shared::change::{ChangeBatch, RowChange};
use cloudsync_shared::clock::RowClock;
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::is_after_deletes;
use cloudsync_shared::vector::Past;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::system;
use crate::table::Table;

/// The causal lengths of the living rows in a reply and what is behind them, by table and key.
pub struct Renewed(HashMap<(String, Key), (CausalLength, Past<SiteId>)>);

impl Renewed {
    /// Those of the rows that the server gave back.
    pub fn of(restored: &ChangeBatch) -> Renewed {
        let rows = restored.tables.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)));
        let living = rows.filter(|(_, row)| row.length.is_alive());
        let lives = living
            .map(|(table, row)| ((table.table.clone(), row.key.clone()), (row.length, row.past.clone())));
        Renewed(lives.collect())
    }

    /// Lifts the clock of a row that was accepted to the length that the server has given it, so that what
    /// was written here since it was sent is about the same life. A row that was sent with its id is another
    /// matter: its device knew of the life that is over.
    ///
    /// # Errors
    /// The database failed.
    pub fn follow(&self, conn: &Connection, table: &Table, sent: &RowChange) -> Result<()> {
        if self.0.is_empty() || sent.row_id.is_some() || !sent.length.is_alive() {
            return Ok(());
        }
        let renewed = self.0.get(&(table.schema.name.clone(), sent.key.clone()));
        let Some((length, past)) = renewed else { return Ok(()) };
        if !is_after_deletes(sent, &past.seen) {
            // Where deletes win, one that came later has ended this row's life: the server's is another.
            return Ok(());
        }
        match length.0.checked_sub(sent.length.0) {
            Some(by) if by > 0 => lift(conn, table, &sent.key, by, past),
            _ => Ok(()),
        }
    }
}

fn lift(conn: &Connection, table: &Table, key: &Key, by: u32, past: &Past<SiteId>) -> Result<()> {
    let clocks = table.clocks();
    let stored: Option<Vec<u8>> = conn
        .prepare_cached(&format!("SELECT clock FROM {clocks} WHERE key = ?1"))?
        .query_row([&key.0], |row| row.get(0))
        .optional()?;
    let Some(stored) = stored else { return Ok(()) };
    let mut clock = RowClock::from_bytes(&stored)?;
    clock.length = CausalLength(clock.length.0.saturating_add(by));
    let ordinals = past.map_sites(|site| system::ordinal(conn, site))?;
    clock.past = clock.past.join(&ordinals);
    conn.prepare_cached(&format!("UPDATE {clocks} SET clock = ?1 WHERE key = ?2"))?
        .execute(params![clock.to_bytes(), key.0])?;
    Ok(())
}
