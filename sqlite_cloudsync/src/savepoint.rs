//! All or nothing, inside the user's transaction or alone.

use rusqlite::{Connection, ErrorCode, Statement};

use crate::error::Result;

/// Runs `work` in a savepoint, which is undone if it fails.
///
/// # Errors
/// Whatever `work` answers, or SQLite's error at the end of it.
pub fn in_savepoint<T>(conn: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut last_resort = conn.prepare(HARMLESS_WRITE)?;
    conn.execute_batch("SAVEPOINT cloudsync")?;
    let result = work().and_then(|value| {
        conn.execute_batch("RELEASE cloudsync")?;
        Ok(value)
    });
    if result.is_err() {
        undo(conn, &mut last_resort);
    }
    result
}

/// Counts as a statement that may write, and only answers.
const HARMLESS_WRITE: &str = "PRAGMA main.journal_mode";

/// If undoing fails, SQLite has rolled back already, or it was interrupted; the first error is the one
/// to tell.
fn undo(conn: &Connection, last_resort: &mut Statement<'_>) {
    let undone = conn.execute_batch("ROLLBACK TO cloudsync; RELEASE cloudsync");
    let code = undone.err().and_then(|error| error.sqlite_error_code());
    if code == Some(ErrorCode::OperationInterrupted) && !conn.is_autocommit() {
        // Until the interrupted call is over no statement runs, not even a rollback, and the write lock
        // would outlive the call. But when a statement that may write is interrupted, SQLite rolls the
        // whole transaction back (its documentation, "sqlite3_interrupt"). It must have been prepared
        // before, as the parser is interrupted too.
        let _ = last_resort.exists([]);
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::InterruptHandle;
    use rusqlite::functions::FunctionFlags;

    use super::*;
    use crate::error::Error;
    use crate::{apply, ffi, system};

    /// `SELECT attempt()` writes a row, is interrupted, and fails.
    fn interrupted(conn: &Connection, work: fn(&Connection, &InterruptHandle) -> Result<()>) {
        let handle = conn.get_interrupt_handle();
        system::create(conn).unwrap();
        conn.execute_batch("CREATE TABLE t(a)").unwrap();
        conn.create_scalar_function("attempt", 0, FunctionFlags::SQLITE_UTF8, move |context| {
            ffi::with_connection(context, |conn| work(conn, &handle))?;
            Ok(1)
        })
        .unwrap();
        let error = conn.query_row("SELECT attempt()", [], |_| Ok(())).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::OperationInterrupted), "{error}");
    }

    fn write_and_interrupt(conn: &Connection, handle: &InterruptHandle) -> Result<()> {
        conn.execute_batch("INSERT INTO t VALUES (1)")?;
        handle.interrupt();
        conn.query_row("SELECT 1", [], |_| Ok(())).map_err(Error::from)
    }

    #[test]
    fn an_interrupted_savepoint_is_not_left_open() {
        let conn = Connection::open_in_memory().unwrap();
        interrupted(&conn, |conn, handle| in_savepoint(conn, || write_and_interrupt(conn, handle)));
        assert!(conn.is_autocommit());
        assert_eq!(conn.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    #[test]
    fn foreign_keys_are_enforced_again_after_an_interrupted_merge() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        interrupted(&conn, |conn, handle| apply::in_transaction(conn, || write_and_interrupt(conn, handle)));
        assert!(conn.is_autocommit());
        assert!(conn.query_row("PRAGMA foreign_keys", [], |row| row.get::<_, bool>(0)).unwrap());
    }
}
