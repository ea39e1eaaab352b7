//! What comes from the server: rows to merge, and rows that are gone.

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::clock::RowClock;
use cloudsync_shared::flow::{Present, TableOutcome, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis, Version};
use cloudsync_shared::key::Key;
use cloudsync_shared::port::RowOutcome;
use roaring::RoaringTreemap;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::apply;
use crate::bases;
use crate::buried;
use crate::clash;
use crate::error::Result;
use crate::filter::judge::Presence;
use crate::filter::{self, Look};
use crate::fold;
use crate::groups;
use crate::horizon;
use crate::parked;
use crate::sent::UNSENT_BULK;
use crate::store::{Origin, SqliteStore};
use crate::table::Table;
use crate::texts::documents;
use crate::twin;
use crate::value::Bound;

/// What a page changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Rows written or removed.
    pub rows: usize,
    /// The tables they belong to.
    pub tables: Vec<String>,
}

impl Received {
    /// Adds what another page changed.
    pub fn add(&mut self, other: Received) {
        self.rows += other.rows;
        for table in other.tables {
            if !self.tables.contains(&table) {
                self.tables.push(table);
            }
        }
    }

    fn count(&mut self, table: &str, rows: usize) {
        self.add(Received { rows, tables: if rows > 0 { vec![table.to_owned()] } else { Vec::new() } });
    }
}

/// Merges a page, and in the same transaction lets `then` move the cursor. Deletes below `collected` are
/// forgotten before: the server knew of none when it wrote the page.
///
/// A row that this device's constraints refuse is [parked].
///
/// # Errors
/// The database is busy or failed; nothing of the page stays.
pub fn apply_page(
    conn: &Connection,
    mut changes: ChangeBatch,
    server_time: Millis,
    collected: Version,
    then: impl FnOnce(&Connection) -> Result<()>,
) -> Result<Received> {
    apply::in_transaction(conn, || {
        horizon::follow(conn, collected)?;
        if horizon::is_starting_anew(conn)? {
            horizon::yield_texts(conn, &changes)?;
        }
        let mut store = SqliteStore::open(conn, Origin::Server)?;
        let received = merge_server_rows(&mut store, &mut changes, server_time)?;
        then(conn)?;
        if store.has_twin() {
            twin::start_anew(conn)?;
        }
        Ok(received)
    })
}

/// Tries the parked rows again.
///
/// # Errors
/// The database is busy or failed; nothing has changed then.
pub fn retry_parked(conn: &Connection, server_time: Millis) -> Result<Received> {
    if !parked::any(conn)? {
        return Ok(Received::default());
    }
    apply::in_transaction(conn, || {
        let mut store = SqliteStore::open(conn, Origin::Server)?;
        let received = merge_server_rows(&mut store, &mut parked::of_server(conn)?, server_time)?;
        // Rows that came from devices are still to be sent.
        let mut store = SqliteStore::open(conn, Origin::Peer)?;
        let present = Present { now: apply::now().max(server_time), max_drift: DEFAULT_MAX_DRIFT };
        clash::retry(&mut store, present)?;
        Ok(received)
    })
}

/// Merges rows that the server gave, inside the caller's transaction. A row that cannot be written is
/// parked; one that can is not parked any more.
///
/// # Errors
/// The database failed.
pub fn merge_server_rows(
    store: &mut SqliteStore<'_>,
    changes: &mut ChangeBatch,
    server_time: Millis,
) -> Result<Received> {
    let mut received = Received::default();
    if changes.tables.is_empty() {
        return Ok(received);
    }
    // The server has checked versions against its own clock; this device's may be wrong.
    let now = apply::now().max(server_time);
    let outcomes = merge_batch(store, changes, Present { now, max_drift: DEFAULT_MAX_DRIFT })?;
    let conn = store.connection();
    let any_parked = parked::any(conn)?;
    for (table, outcome) in changes.tables.iter().zip(outcomes) {
        let TableOutcome::Rows(rows) = outcome else { continue };
        let mut written = 0;
        for (row, outcome) in table.rows.iter().zip(&rows) {
            match outcome {
                RowOutcome::Refused(refusal) => parked::park(conn, table, row, refusal)?,
                RowOutcome::Kept(_) | RowOutcome::Dead => {
                    written += 1;
                    if any_parked {
                        parked::release_server_row(conn, &table.table, &row.key)?;
                    }
                }
            }
        }
        received.count(&table.table, written);
    }
    Ok(received)
}

/// The ids of the rows that this device holds, by table, parked ones included.
///
/// # Errors
/// The database failed.
pub fn held(conn: &Connection) -> Result<Vec<(String, RoaringTreemap)>> {
    let mut held = Vec::new();
    for table in Table::all(conn)? {
        let clocks = table.clocks();
        let mut query = conn.prepare(&format!("SELECT row_id FROM {clocks} WHERE row_id IS NOT NULL"))?;
        let ids: std::result::Result<RoaringTreemap, rusqlite::Error> =
            query.query_map([], |row| row.get::<_, i64>(0))?.map(|id| Ok(id?.unsigned_abs())).collect();
        let ids = ids? | parked::ids(conn, &table.schema.name)?;
        if !ids.is_empty() {
            held.push((table.schema.name, ids));
        }
    }
    Ok(held)
}

/// Removes rows that are deleted on the server, or that its policies no longer show to this user. A
/// row with unsent writes stays: sending it brings the server's word on them, so that none is lost in
/// silence.
///
/// # Errors
/// The database is busy or failed; nothing is removed then.
pub fn remove_gone(conn: &Connection, gone: &[(String, RoaringTreemap)]) -> Result<Received> {
    apply::in_transaction(conn, || {
        let mut received = Received::default();
        let tables = Table::all(conn)?;
        for (name, ids) in gone {
            let Some(table) = tables.iter().find(|table| table.schema.name == *name) else { continue };
            let keys = keys_of(conn, table, ids)?;
            for key in &keys {
                forget_row(conn, table, key)?;
            }
            parked::forget(conn, name, Some(ids))?;
            received.count(name, keys.len());
        }
        Ok(received)
    })
}

/// The keys of held rows by id: one walk over the clocks, as ids have no index of their own here.
fn keys_of(conn: &Connection, table: &Table, ids: &RoaringTreemap) -> Result<Vec<Key>> {
    let clocks = table.clocks();
    let sql = format!("SELECT key, row_id FROM {clocks} WHERE row_id IS NOT NULL AND unsent IS NULL");
    let mut query = conn.prepare(&sql)?;
    let mut rows = query.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(1)?;
        if ids.contains(id.unsigned_abs()) {
            keys.push(Key::from_bytes(row.get(0)?)?);
        }
    }
    Ok(keys)
}

/// Forgets everything that belonged to another life of the server: row ids, and what it had. Every row
/// is unsent again; merging makes that harmless.
///
/// # Errors
/// The database is busy or failed.
pub fn forget_server(conn: &Connection) -> Result<()> {
    apply::in_transaction(conn, || {
        Table::all(conn)?.iter().try_for_each(|table| forget_rows(conn, table))?;
        conn.execute("UPDATE main.cloudsync_tables SET base_done = 0, bulk_unsent = 1, pulled = 0", [])?;
        conn.execute("DELETE FROM main.cloudsync_parked WHERE row_id IS NOT NULL", [])?;
        Ok(())
    })
}

/// The same of one table, which is another one on the server from now on. To be called in a transaction.
///
/// # Errors
/// The database is busy or failed.
pub fn forget_table(conn: &Connection, table: &Table) -> Result<()> {
    forget_rows(conn, table)?;
    let sql = "UPDATE main.cloudsync_tables SET base_done = 0, bulk_unsent = 1, pulled = 0 WHERE id = ?1";
    conn.execute(sql, [table.synced.id])?;
    let sql = "DELETE FROM main.cloudsync_parked WHERE row_id IS NOT NULL AND tbl = ?1";
    conn.execute(sql, [&table.schema.name])?;
    Ok(())
}

fn forget_rows(conn: &Connection, table: &Table) -> Result<()> {
    let sql = format!("UPDATE {} SET row_id = NULL, unsent = ?1", table.clocks());
    conn.execute(&sql, params![UNSENT_BULK])?;
    if table.synced.conflicts { bases::forget_table(conn, table.synced.id) } else { Ok(()) }
}

/// Whether a row is this device's own, and no clock of a living row is its.
fn is_private(conn: &Connection, table: &Table, key: &Key) -> Result<bool> {
    let Some(mut look) = Look::new(conn, table)? else { return Ok(false) };
    let sql = format!("SELECT clock FROM {} WHERE key = ?1", table.clocks());
    let clock: Option<Vec<u8>> =
        conn.prepare_cached(&sql)?.query_row([&key.0], |row| row.get(0)).optional()?;
    let is_known = match clock {
        Some(clock) => RowClock::from_bytes(&clock)?.length.is_alive(),
        None => false,
    };
    Ok(!is_known && look.at(key)? == Presence::Private)
}

/// Removes a row and its clock, as if it had never been here. Not captured as a local delete. Of a row that
/// the filter made this device's own, only the clock goes.
///
/// # Errors
/// The database failed.
pub fn forget_row(conn: &Connection, table: &Table, key: &Key) -> Result<()> {
    if is_private(conn, table, key)? {
        return filter::forget_clock(conn, table, key);
    }
    let values = table.key_values(key)?;
    let delete = format!("DELETE FROM {} WHERE {}", table.rows(), table.info.key_condition());
    fold::while_applying(conn, || {
        conn.prepare_cached(&delete)?.execute(params_from_iter(values.iter().map(Bound)))?;
        conn.prepare_cached(&format!("DELETE FROM {} WHERE key = ?1", table.clocks()))?.execute([&key.0])?;
        if buried::keeps(table) {
            buried::store(conn, table, key, None)?;
        }
        if table.synced.conflicts {
            bases::forget(conn, table, key)?;
        }
        documents::forget_row(conn, table, key)?;
        groups::leave(conn, table, key)
    })
}
