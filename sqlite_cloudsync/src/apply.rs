//! A batch of changes into the user's tables, as one step.

use std::time::{SystemTime, UNIX_EPOCH};

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::flow::{Present, TableOutcome, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis};
use cloudsync_shared::port::RowOutcome;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::Value as SqlValue;

use crate::catalog;
use crate::clash;
use crate::error::{Error, Result};
use crate::fold::fold;
use crate::savepoint::in_savepoint;
use crate::store::{Origin, SqliteStore};
use crate::system;
use crate::{filter, parked};

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
    refuse_cascades(conn, batch)?;
    in_transaction(conn, || {
        let mut store = SqliteStore::open(conn, origin)?;
        let present = present(conn)?;
        let outcomes = merge_batch(&mut store, batch, present)?;
        if origin == Origin::Peer {
            clash::settle(&mut store, batch, &outcomes, present)?;
        }
        park_behind_private_rows(conn, batch, &outcomes)?;
        Ok(outcomes)
    })
}

/// Foreign keys cannot be switched off inside a transaction. There the delete of a parent would take rows
/// along that nobody has told of, and that no trigger would note either, as it is not a local write.
fn refuse_cascades(conn: &Connection, batch: &ChangeBatch) -> Result<()> {
    if conn.is_autocommit() || !conn.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY)? {
        return Ok(());
    }
    for changes in &batch.tables {
        let deletes = changes.rows.iter().any(|row| !row.length.is_alive());
        if catalog::has_actions(conn, &changes.table, deletes)? {
            return Err(Error::state(format!(
                "rows of table {} cannot be applied inside a transaction, as foreign keys refer to it whose ON DELETE \
                 or ON UPDATE would change other rows: COMMIT first, or set PRAGMA foreign_keys = OFF before BEGIN",
                changes.table
            )));
        }
    }
    Ok(())
}

/// Keeps what cannot be written while a private row of this device is there.
fn park_behind_private_rows(conn: &Connection, batch: &ChangeBatch, outcomes: &[TableOutcome]) -> Result<()> {
    for (told, outcome) in batch.tables.iter().zip(outcomes) {
        let TableOutcome::Rows(rows) = outcome else { continue };
        for (row, outcome) in told.rows.iter().zip(rows) {
            match outcome {
                RowOutcome::Refused(refusal) if refusal.sqlstate == filter::PRIVATE_ROW => {
                    parked::park(conn, told, row, refusal)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Runs `work` as one step that holds the write lock, after local writes were folded, and without
/// constraints between tables: a parent may come later, or never, and the cascades of other replicas
/// come as changes of their own.
///
/// # Errors
/// Another connection is writing, or whatever `work` answers; nothing has changed then.
pub fn in_transaction<T>(conn: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    with_relaxed_foreign_keys(conn, || {
        in_savepoint(conn, || {
            system::lock(conn)?;
            fold(conn)?;
            work()
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
    if !conn.is_autocommit() {
        // Switching deferral off again would check at once: what is deferred stays so until the commit.
        conn.execute_batch("PRAGMA defer_foreign_keys = ON")?;
        return work();
    }
    // Not by PRAGMA: after an interrupt none would run, and they would stay unenforced.
    let enforced = DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY;
    if !conn.db_config(enforced)? {
        return work();
    }
    conn.set_db_config(enforced, false)?;
    let result = work();
    conn.set_db_config(enforced, true)?;
    result
}
