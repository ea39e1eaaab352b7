//! A batch of changes into the user's tables, as one step.

use std::time::{SystemTime, UNIX_EPOCH};

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::flow::{Present, TableOutcome, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis};
use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use crate::error::{Error, Result};
use crate::fold::fold;
use crate::savepoint::in_savepoint;
use crate::store::{Origin, SqliteStore};
use crate::system;

/// Setting: how many milliseconds ahead of this device's clock a received version may be.
pub const MAX_DRIFT_SETTING: &str = "max_clock_drift_ms";

/// Folds local writes, then merges a batch; one outcome for each of its tables, in order.
/// Constraints between tables are not enforced meanwhile.
///
/// # Errors
/// Another connection is writing, or the batch as a whole cannot be merged; nothing has changed then.
pub fn merge(conn: &Connection, batch: &mut ChangeBatch, origin: Origin) -> Result<Vec<TableOutcome>> {
    if !system::exists(conn)? {
        return Err(Error::state("no table of this database is synced: call cloudsync_init first"));
    }
    with_relaxed_foreign_keys(conn, || {
        in_savepoint(conn, || {
            system::lock(conn)?;
            fold(conn)?;
            let mut store = SqliteStore::open(conn, origin)?;
            merge_batch(&mut store, batch, present(conn)?)
        })
    })
}

/// Now, and how far ahead of it a version may be.
///
/// # Errors
/// The database cannot be read.
pub fn present(conn: &Connection) -> Result<Present> {
    let max_drift = match system::setting(conn, MAX_DRIFT_SETTING)? {
        Some(SqlValue::Integer(number)) => Millis(u64::try_from(number).unwrap_or(0)),
        _ => DEFAULT_MAX_DRIFT,
    };
    Ok(Present { now: now(), max_drift })
}

/// This device's clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Runs `work` with foreign keys unenforced outside a transaction, and deferred to its end inside
/// one, where SQLite cannot switch them. Afterwards they are as before.
///
/// # Errors
/// Whatever `work` answers.
pub fn with_relaxed_foreign_keys<T>(conn: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let pragma = if conn.is_autocommit() { "foreign_keys" } else { "defer_foreign_keys" };
    let before: bool = conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
    let enforced_now = if pragma == "foreign_keys" { before } else { !before };
    if !enforced_now {
        return work();
    }
    let (relaxed, strict) = if pragma == "foreign_keys" { ("OFF", "ON") } else { ("ON", "OFF") };
    conn.execute_batch(&format!("PRAGMA {pragma} = {relaxed}"))?;
    let result = work();
    // Switching deferral off again would check at once: what is deferred stays so until the commit.
    if pragma == "foreign_keys" {
        conn.execute_batch(&format!("PRAGMA {pragma} = {strict}"))?;
    }
    result
}
