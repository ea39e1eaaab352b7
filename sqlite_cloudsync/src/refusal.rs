//! SQLite's errors as refusals of one row, with the nearest SQLSTATE.

use cloudsync_shared::port::Refusal;
use rusqlite::{Error, ErrorCode, ffi};

use crate::value::Unfit;

/// The SQLSTATE of a value that must be unique and is not.
pub const UNIQUE: &str = "23505";

/// The refusal that an error stands for; `None` if the database failed as a whole.
pub fn of(error: &Error) -> Option<Refusal> {
    let (code, message) = match error {
        Error::SqliteFailure(code, message) => (code, message),
        Error::ToSqlConversionFailure(reason) => {
            let Unfit { sqlstate, message } = reason.downcast_ref::<Unfit>()?.clone();
            return Some(Refusal { sqlstate: sqlstate.to_owned(), message });
        }
        _ => return None,
    };
    let sqlstate = match (code.code, code.extended_code) {
        (ErrorCode::ConstraintViolation, extended) => constraint_state(extended),
        (ErrorCode::TypeMismatch, _) => "22P02",
        (ErrorCode::TooBig, _) => "54000",
        _ => return None,
    };
    let message = message.clone().unwrap_or_else(|| code.to_string());
    Some(Refusal { sqlstate: sqlstate.to_owned(), message })
}

fn constraint_state(extended: i32) -> &'static str {
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            UNIQUE
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => "23502",
        ffi::SQLITE_CONSTRAINT_CHECK => "23514",
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => "23503",
        _ => "XX000",
    }
}

/// Whether the primary key is taken: a row stands there of which the clocks know nothing.
pub fn is_key_taken(error: &Error) -> bool {
    let codes = [ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ffi::SQLITE_CONSTRAINT_ROWID];
    matches!(error, Error::SqliteFailure(code, _) if codes.contains(&code.extended_code))
}
