//! `sqlite3_interrupt` while the network is waited for.
//!
//! SQLite can be asked directly only from 3.41 on. Every version looks at its flag when a statement
//! begins to run, so a statement that does nothing asks as well. The flag lasts as long as a statement
//! of the connection is running, which the one that called the sync is; where Rust code calls
//! [`crate::network::sync`] by itself there is none, and nothing to interrupt.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::error::{Error, Result};

/// How often it is looked at.
pub const TICK: Duration = Duration::from_millis(50);

/// Asks a connection whether it was interrupted.
pub struct Interrupt<'a>(&'a Connection);

impl<'a> Interrupt<'a> {
    /// Asks this one.
    pub fn of(conn: &'a Connection) -> Interrupt<'a> {
        Interrupt(conn)
    }

    /// Goes on unless it was.
    ///
    /// # Errors
    /// The connection was interrupted: SQLite's own error for that.
    pub fn check(&self) -> Result<()> {
        let asked = self.0.prepare_cached("SELECT 1").and_then(|mut probe| probe.exists([]));
        match asked {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Err(Error::Sqlite(error))
            }
            _ => Ok(()),
        }
    }

    /// Waits.
    ///
    /// # Errors
    /// As [`Interrupt::check`], within a [`TICK`].
    pub fn sleep(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }
}
