//! The one error of this crate: a SQLSTATE and a sentence for people, raised as a clean `ERROR`.

use std::fmt;

use cloudsync_shared::error::{Error, ErrorKind};
use pgrx::PgLogLevel;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;

/// The five characters of a SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// A statement's input is not what it claims to be.
    pub const INVALID_BINARY: SqlState = SqlState(*b"22P03");
    /// Text that the database's encoding does not have.
    pub const INVALID_TEXT: SqlState = SqlState(*b"22021");
    /// A value that makes no sense.
    pub const INVALID_PARAMETER: SqlState = SqlState(*b"22023");
    /// Something this build does not know.
    pub const NOT_SUPPORTED: SqlState = SqlState(*b"0A000");
    /// A named limit was reached.
    pub const LIMIT_EXCEEDED: SqlState = SqlState(*b"54000");
    /// A time too far in the future.
    pub const DATETIME_OVERFLOW: SqlState = SqlState(*b"22008");
    /// The object is not in the state that the call needs.
    pub const NOT_IN_STATE: SqlState = SqlState(*b"55000");
    /// A row with the same unique key is there.
    pub const UNIQUE_VIOLATION: SqlState = SqlState(*b"23505");
    /// The caller lacks a right.
    pub const INSUFFICIENT_PRIVILEGE: SqlState = SqlState(*b"42501");
    /// There is no such table.
    pub const UNDEFINED_TABLE: SqlState = SqlState(*b"42P01");
    /// A table of that name is there.
    pub const DUPLICATE_TABLE: SqlState = SqlState(*b"42P07");
    /// Nothing failed, but what was done is to be undone; never reported.
    pub const UNDO: SqlState = SqlState(*b"CSUND");
    /// There is no such column.
    pub const UNDEFINED_COLUMN: SqlState = SqlState(*b"42703");
    /// The table's definition is not one that can be synced.
    pub const INVALID_TABLE: SqlState = SqlState(*b"42P16");
    /// The object is of the wrong kind.
    pub const WRONG_OBJECT: SqlState = SqlState(*b"42809");
    /// A fault of ours.
    pub const INTERNAL: SqlState = SqlState(*b"XX000");

    /// Reads the form in which PostgreSQL carries a SQLSTATE: six bits a character.
    pub fn from_code(code: i32) -> SqlState {
        let mut letters = [0u8; 5];
        for (at, letter) in letters.iter_mut().enumerate() {
            *letter = ((code >> (6 * at)) & 0x3f) as u8 + b'0';
        }
        SqlState(letters)
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    fn code(self) -> PgSqlErrorCode {
        let sixbit = |letter: u8| i32::from(letter.wrapping_sub(b'0') & 0x3f);
        let code = self.0.iter().rev().fold(0, |code, letter| (code << 6) | sixbit(*letter));
        PgSqlErrorCode::from(code)
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong, in the form in which PostgreSQL reports it.
#[derive(Clone, Debug)]
pub struct PgError {
    /// The SQLSTATE.
    pub sqlstate: SqlState,
    /// The sentence.
    pub message: String,
    /// More about it, where there is more.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// This crate's result.
pub type Result<T> = std::result::Result<T, PgError>;

impl PgError {
    /// An error with its SQLSTATE and sentence.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> PgError {
        PgError { sqlstate, message: message.into(), detail: None, hint: None }
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> PgError {
        PgError::new(SqlState::INTERNAL, message)
    }

    /// The same with a detail line.
    pub fn with_detail(mut self, detail: impl Into<String>) -> PgError {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> PgError {
        self.hint = Some(hint.into());
        self
    }

    /// Raises it. No Rust file name, backtrace or panic text goes with it.
    pub fn report(self) -> ! {
        let mut report = ErrorReport::new(self.sqlstate.code(), self.message, "cloudsync");
        if let Some(detail) = self.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint {
            report = report.set_hint(hint);
        }
        report.report(PgLogLevel::ERROR);
        unreachable!("an ERROR does not return")
    }
}

/// The end of every SQL function: its value, or its error raised.
pub fn or_report<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| error.report())
}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.sqlstate)
    }
}

impl std::error::Error for PgError {}

impl From<Error> for PgError {
    fn from(error: Error) -> PgError {
        let sqlstate = match error.kind() {
            ErrorKind::Malformed => SqlState::INVALID_BINARY,
            ErrorKind::Unsupported => SqlState::NOT_SUPPORTED,
            ErrorKind::LimitExceeded => SqlState::LIMIT_EXCEEDED,
            ErrorKind::ClockAhead => SqlState::DATETIME_OVERFLOW,
            ErrorKind::SchemaMismatch => SqlState::NOT_IN_STATE,
            ErrorKind::InvalidInput => SqlState::INVALID_PARAMETER,
        };
        PgError::new(sqlstate, error.to_string()).with_detail(format!("code {}", error.kind().code()))
    }
}

impl From<pgrx::spi::Error> for PgError {
    fn from(error: pgrx::spi::Error) -> PgError {
        PgError::internal(format!("cloudsync: a query of its own failed: {error}"))
    }
}
