//! What comes from the server: rows to merge, and rows that are gone.

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::flow::{Present, TableOutcome, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis};
use cloudsync_shared::id::RowId;
use cloudsync_shared::key::Key;
use cloudsync_shared::port::RowOutcome;
use roaring::RoaringTreemap;
use rusqlite::{Connection, params, params_from_iter};

use crate::error::{Error, Result};
use crate::fold;
use crate::savepoint::in_savepoint;
use crate::sending::born_since;
use crate::store::{Origin, SqliteStore};
use crate::system;
use crate::table::Table;
use crate::time;
use crate::value::Bound;

/// Foreign keys are not enforced while the server's rows are written: a parent may come in a later
/// page, or be hidden from this user, and the server's own cascades come as rows of their own.
/// Restored when dropped.
pub struct ForeignKeysOff<'a> {
    conn: &'a Connection,
    was_on: bool,
}

impl<'a> ForeignKeysOff<'a> {
    /// Turns them off. Must be called outside a transaction, where SQLite heeds it.
    ///
    /// # Errors
    /// A transaction is open.
    pub fn new(conn: &'a Connection) -> Result<ForeignKeysOff<'a>> {
        if !conn.is_autocommit() {
            return Err(Error::state("a sync cannot run inside a transaction: COMMIT first"));
        }
        let was_on: bool = conn.query_row("PRAGMA foreign_keys", [], |row| row.get(0))?;
        conn.execute_batch("PRAGMA foreign_keys = OFF")?;
        Ok(ForeignKeysOff { conn, was_on })
    }
}

impl Drop for ForeignKeysOff<'_> {
    fn drop(&mut self) {
        if self.was_on {
            // Nothing can be done about an error here, and the pragma gives none.
            let _ = self.conn.execute_batch("PRAGMA foreign_keys = ON");
        }
    }
}

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

/// Merges a page, and in the same transaction lets `then` move the cursor.
///
/// # Errors
/// A row cannot be written, or the database is busy or failed; nothing of the page stays.
pub fn apply_page(
    conn: &Connection,
    mut changes: ChangeBatch,
    server_time: Millis,
    then: impl FnOnce(&Connection) -> Result<()>,
) -> Result<Received> {
    let _foreign_keys = ForeignKeysOff::new(conn)?;
    in_savepoint(conn, || {
        system::lock(conn)?;
        fold::fold(conn)?;
        let mut store = SqliteStore::open(conn, Origin::Server)?;
        let received = merge_server_rows(&mut store, &mut changes, server_time)?;
        then(conn)?;
        Ok(received)
    })
}

/// Merges rows that the server gave, inside the caller's transaction.
///
/// # Errors
/// A row cannot be written, or the database failed.
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
    let now = time::now().max(server_time);
    let outcomes = merge_batch(store, changes, Present { now, max_drift: DEFAULT_MAX_DRIFT })?;
    for (table, outcome) in changes.tables.iter().zip(outcomes) {
        let TableOutcome::Rows(rows) = outcome else { continue };
        let refused = rows.iter().find_map(|row| match row {
            RowOutcome::Refused(refusal) => Some(refusal),
            _ => None,
        });
        if let Some(refusal) = refused {
            return Err(Error::state(format!(
                "a row of table {} from the server cannot be written here ({}): {}",
                table.table, refusal.sqlstate, refusal.message
            )));
        }
        received.count(&table.table, rows.len());
    }
    Ok(received)
}

/// The ids of the rows that this device holds, by table.
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
        let ids = ids?;
        if !ids.is_empty() {
            held.push((table.schema.name, ids));
        }
    }
    Ok(held)
}

/// Removes rows that are deleted on the server, or that its policies no longer show to this user. A
/// row that was inserted anew here since it was last sent stays.
///
/// # Errors
/// The database is busy or failed; nothing is removed then.
pub fn remove_gone(conn: &Connection, gone: &[(String, RoaringTreemap)]) -> Result<Received> {
    let _foreign_keys = ForeignKeysOff::new(conn)?;
    in_savepoint(conn, || {
        system::lock(conn)?;
        fold::fold(conn)?;
        let mut received = Received::default();
        let tables = Table::all(conn)?;
        for (name, ids) in gone {
            let Some(table) = tables.iter().find(|table| table.schema.name == *name) else { continue };
            let keys = keys_of(conn, table, ids)?;
            for key in &keys {
                forget_row(conn, table, key)?;
            }
            received.count(name, keys.len());
        }
        Ok(received)
    })
}

/// The keys of held rows by id: one walk over the clocks, as ids have no index of their own here.
fn keys_of(conn: &Connection, table: &Table, ids: &RoaringTreemap) -> Result<Vec<Key>> {
    let clocks = table.clocks();
    let mut query =
        conn.prepare(&format!("SELECT key, clock, row_id, unsent FROM {clocks} WHERE row_id IS NOT NULL"))?;
    let mut rows = query.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(2)?;
        if !ids.contains(RowId(id.unsigned_abs()).0) {
            continue;
        }
        let unsent: Option<i64> = row.get(3)?;
        let clock: Vec<u8> = row.get(1)?;
        if !born_since(&clock, unsent)? {
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
    in_savepoint(conn, || {
        system::lock(conn)?;
        fold::fold(conn)?;
        for table in Table::all(conn)? {
            let sql = format!("UPDATE {} SET row_id = NULL, unsent = ?1", table.clocks());
            conn.execute(&sql, params![fold::UNSENT_WHOLE])?;
        }
        conn.execute("UPDATE main.cloudsync_tables SET base_done = 0, pulled = 0", [])?;
        Ok(())
    })
}

/// Removes a row and its clock, as if it had never been here. Not captured as a local delete.
///
/// # Errors
/// The database failed.
pub fn forget_row(conn: &Connection, table: &Table, key: &Key) -> Result<()> {
    let values = table.key_values(key)?;
    let delete = format!("DELETE FROM {} WHERE {}", table.rows(), table.info.key_condition());
    fold::while_applying(conn, || {
        conn.prepare_cached(&delete)?.execute(params_from_iter(values.iter().map(Bound)))?;
        conn.prepare_cached(&format!("DELETE FROM {} WHERE key = ?1", table.clocks()))?.execute([&key.0])?;
        Ok(())
    })
}
