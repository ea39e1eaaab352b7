//! A connection from what SQLite hands to a callback. Allowed to be unsafe.
#![allow(unsafe_code)]

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::vtab::VTabConnection;

use crate::error::{Error, Result};

/// Runs `work` on the connection that calls an SQL function.
///
/// # Errors
/// Whatever `work` answers.
pub fn with_connection<T>(
    context: &Context<'_>,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> rusqlite::Result<T> {
    // SAFETY: the borrowed connection does not outlive this call, during which SQLite keeps the
    // connection open and on this thread; it does not own the handle, so it does not close it.
    let connection = unsafe { context.get_connection() }?;
    work(&connection).map_err(rusqlite::Error::from)
}

/// The handle of the connection that a virtual table belongs to.
#[derive(Clone, Copy)]
pub struct Handle(*mut rusqlite::ffi::sqlite3);

impl Handle {
    /// Remembers the connection of a virtual table that is being connected.
    pub fn of(db: &mut VTabConnection) -> Handle {
        // SAFETY: the pointer is only kept; a virtual table is disconnected before its connection closes.
        Handle(unsafe { db.handle() })
    }

    /// Runs `work` on the connection.
    ///
    /// # Errors
    /// Whatever `work` answers.
    pub fn run<T>(self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        // SAFETY: called from a cursor's method only, while the connection is open and on this
        // thread; the borrowed connection does not own the handle.
        let connection = unsafe { Connection::from_handle(self.0) }.map_err(Error::from)?;
        work(&connection)
    }
}
