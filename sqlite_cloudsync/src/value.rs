//! Values between SQLite and the core.

use cloudsync_shared::value::Value;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

/// Text that is not UTF-8: SQLite stores it, no other replica could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

/// Reads a value.
///
/// # Errors
/// It is text that is not UTF-8.
pub fn from_sql(value: ValueRef<'_>) -> Result<Value, NotUtf8> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(std::str::from_utf8(bytes).map_err(|_| NotUtf8)?.to_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
    })
}

/// Reads a value of a key column. In a column without affinity SQLite takes `1` and `1.0` for one
/// key, so the whole number stands for both.
///
/// # Errors
/// It is text that is not UTF-8.
pub fn key_from_sql(value: ValueRef<'_>, has_affinity: bool) -> Result<Value, NotUtf8> {
    /// Beyond this a float no longer names one whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        ValueRef::Real(number) if !has_affinity && number.fract() == 0.0 && number.abs() <= EXACT => {
            Ok(Value::Integer(number as i64))
        }
        other => from_sql(other),
    }
}

/// A value to bind or to return.
pub struct Bound<'a>(pub &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
