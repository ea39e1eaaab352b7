//! All or nothing, inside the user's transaction or alone.

use rusqlite::Connection;

use crate::error::Result;

/// Runs `work` in a savepoint, which is undone if it fails.
///
/// # Errors
/// Whatever `work` answers, or SQLite's error at the end of it.
pub fn in_savepoint<T>(conn: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    conn.execute_batch("SAVEPOINT cloudsync")?;
    let result = work().and_then(|value| {
        conn.execute_batch("RELEASE cloudsync")?;
        Ok(value)
    });
    if result.is_err() {
        // If this fails too, SQLite has rolled back already; the first error is the one to tell.
        let _ = conn.execute_batch("ROLLBACK TO cloudsync; RELEASE cloudsync");
    }
    result
}
