//! One small error: a kind with a stable code, and a sentence for people.

use std::fmt;

/// What went wrong, in the few ways that a caller may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Bytes from outside are not what they claim to be. Nothing was changed.
    Malformed,
    /// A well-formed message of a protocol version or feature that this build does not know.
    Unsupported,
    /// A named limit was reached.
    LimitExceeded,
    /// A version lies further ahead of the receiver's clock than it allows.
    ClockAhead,
    /// The two sides disagree on a table: its key, its algorithm, or whether it is synced.
    SchemaMismatch,
    /// The caller asked for something that the present state does not allow.
    InvalidInput,
}

impl ErrorKind {
    /// A code that stays the same between releases, for programs.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::Malformed => "CS001",
            ErrorKind::Unsupported => "CS002",
            ErrorKind::LimitExceeded => "CS003",
            ErrorKind::ClockAhead => "CS004",
            ErrorKind::SchemaMismatch => "CS005",
            ErrorKind::InvalidInput => "CS006",
        }
    }
}

/// An error of the core. It never holds user data beyond the names of tables and columns.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The core's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Bytes that cannot be read, and where.
    pub fn malformed(offset: usize, what: &str) -> Error {
        Error { kind: ErrorKind::Malformed, message: format!("malformed payload at byte {offset}: {what}") }
    }

    /// A protocol version or feature of a newer build.
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Unsupported, message: message.into() }
    }

    /// `what` exceeds the named limit.
    pub fn limit(what: &str, limit: usize) -> Error {
        Error { kind: ErrorKind::LimitExceeded, message: format!("{what} exceeds the limit of {limit}") }
    }

    /// A version from the future.
    pub fn clock_ahead(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::ClockAhead, message: message.into() }
    }

    /// A table on which the two sides disagree.
    pub fn schema_mismatch(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::SchemaMismatch, message: message.into() }
    }

    /// A call that makes no sense now.
    pub fn invalid_input(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::InvalidInput, message: message.into() }
    }

    /// The kind, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
