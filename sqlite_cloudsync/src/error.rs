//! What can go wrong here: the core, SQLite, or the state of the database.

use std::fmt;

use cloudsync_shared::error as core;

/// An error of the extension.
#[derive(Debug)]
pub enum Error {
    /// The core refused.
    Core(core::Error),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// The call does not fit the database as it is; the sentence says what to do.
    State(String),
    /// A file cannot be read or written.
    File(String),
}

/// The extension's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A call that does not fit the present state.
    pub fn state(message: impl Into<String>) -> Error {
        Error::State(message.into())
    }

    /// A table that is not synced.
    pub fn not_synced(table: &str) -> Error {
        Error::State(format!("table {table} is not synced: call cloudsync_init('{table}') first"))
    }

    /// Whether another connection holds the lock: the same call may succeed later.
    pub fn is_busy(&self) -> bool {
        match self {
            Error::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
            ),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Core(error) => error.fmt(f),
            Error::Sqlite(error) => error.fmt(f),
            Error::State(message) | Error::File(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl From<core::Error> for Error {
    fn from(error: core::Error) -> Error {
        Error::Core(error)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        Error::Sqlite(error)
    }
}

impl From<Error> for rusqlite::Error {
    fn from(error: Error) -> rusqlite::Error {
        match error {
            // Without a message of its own SQLite keeps the result code, which callers retry on.
            Error::Sqlite(rusqlite::Error::SqliteFailure(code, _)) if is_busy_code(code) => {
                rusqlite::Error::SqliteFailure(code, None)
            }
            Error::Sqlite(error) => error,
            other => rusqlite::Error::UserFunctionError(Box::new(other)),
        }
    }
}

fn is_busy_code(code: rusqlite::ffi::Error) -> bool {
    matches!(code.code, rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
}
