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
    /// The server cannot be reached, or does not speak as it should.
    Network(String),
    /// A request is larger than the server, or something before it, takes.
    TooLarge(String),
    /// The server refused a call as a whole.
    Server {
        /// Its SQLSTATE.
        sqlstate: String,
        /// Its message.
        message: String,
    },
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

    /// A failure of the way to the server.
    pub fn network(message: impl Into<String>) -> Error {
        Error::Network(message.into())
    }

    /// A refusal by the server, with its SQLSTATE.
    pub fn server(sqlstate: &str, message: impl Into<String>) -> Error {
        Error::Server { sqlstate: sqlstate.to_owned(), message: message.into() }
    }

    /// The same error, with what it was about before its message.
    pub fn about(self, what: &str) -> Error {
        let with = |message: String| format!("{what}: {message}");
        match self {
            Error::State(message) => Error::State(with(message)),
            Error::File(message) => Error::File(with(message)),
            Error::Network(message) => Error::Network(with(message)),
            Error::TooLarge(message) => Error::TooLarge(with(message)),
            Error::Server { sqlstate, message } => Error::Server { sqlstate, message: with(message) },
            Error::Core(error) => Error::State(with(error.to_string())),
            Error::Sqlite(error) => Error::Sqlite(error),
        }
    }

    /// Whether asking for less in one request may help.
    pub fn is_too_much(&self) -> bool {
        match self {
            // A statement that was cancelled: most often by its time limit.
            Error::Server { sqlstate, .. } => sqlstate == "57014",
            _ => self.is_too_large(),
        }
    }

    /// Whether a request was too large as such, whatever the server's load.
    pub fn is_too_large(&self) -> bool {
        match self {
            Error::TooLarge(_) => true,
            Error::Core(error) => error.kind() == core::ErrorKind::LimitExceeded,
            _ => false,
        }
    }

    /// Whether the server refused versions as of a time that has not come yet.
    pub fn is_clock_ahead(&self) -> bool {
        matches!(self, Error::Server { sqlstate, .. } if sqlstate == "22008")
    }

    /// Whether the same call may succeed later: the network, a lock, a deadlock, a timeout.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Network(_) => true,
            // Serialization failure, deadlock, lock not available, query cancelled; the server shuts
            // down or is out of resources.
            Error::Server { sqlstate, .. } => {
                matches!(sqlstate.as_str(), "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P03")
                    || sqlstate.starts_with("PGRST00")
                    || sqlstate.starts_with("53")
                    || sqlstate.starts_with("08")
            }
            _ => self.is_busy(),
        }
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
            Error::State(message)
            | Error::File(message)
            | Error::Network(message)
            | Error::TooLarge(message) => f.write_str(message),
            Error::Server { sqlstate, message } => write!(f, "the server refused ({sqlstate}): {message}"),
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
            // Without a message of its own SQLite keeps the result code, which callers look at.
            Error::Sqlite(rusqlite::Error::SqliteFailure(code, _)) if keeps_code(code) => {
                rusqlite::Error::SqliteFailure(code, None)
            }
            Error::Sqlite(error) => error,
            other => rusqlite::Error::UserFunctionError(Box::new(other)),
        }
    }
}

/// Busy, and interrupted.
fn keeps_code(code: rusqlite::ffi::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, OperationInterrupted};
    matches!(code.code, DatabaseBusy | DatabaseLocked | OperationInterrupted)
}
