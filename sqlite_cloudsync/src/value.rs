//! Values between SQLite and the core.

use std::fmt;

use cloudsync_shared::value::Value;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use crate::catalog::{Affinity, ColumnInfo};

/// The SQLSTATE of a number that a type cannot hold.
pub const NOT_REPRESENTABLE: &str = "22003";

/// The SQLSTATE of text that an encoding cannot hold.
pub const NOT_IN_REPERTOIRE: &str = "22021";

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

/// A value that SQLite, or a column, would turn into another one without a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The SQLSTATE of the refusal.
    pub sqlstate: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unfit {}

impl From<Unfit> for rusqlite::Error {
    fn from(unfit: Unfit) -> rusqlite::Error {
        rusqlite::Error::ToSqlConversionFailure(Box::new(unfit))
    }
}

/// Checks that a key column would store this value as it is. As another one it would be another key here
/// than on the server, and the row would be there twice.
///
/// # Errors
/// The column's declared type turns the value into another one.
pub fn check_key(column: &ColumnInfo, value: &Value) -> Result<(), Unfit> {
    let (what, declare) = match (column.affinity, value) {
        (Affinity::Text, Value::Integer(_) | Value::Real(_)) => ("a number into text", "INTEGER"),
        (Affinity::Numeric, Value::Text(text)) if is_like_a_number(text) => ("text into a number", "TEXT"),
        (Affinity::Numeric, Value::Integer(_)) if column.is_real() => ("an integer into a float", "INTEGER"),
        _ => return Ok(()),
    };
    let ColumnInfo { name, declared, .. } = column;
    let message =
        format!("key column {name} is declared {declared}, which turns {what}: declare it {declare} here");
    Err(Unfit { sqlstate: "42804", message })
}

/// Whether a column of numeric affinity takes the text for a number; rather too often than not.
fn is_like_a_number(text: &str) -> bool {
    let text = text.trim();
    let begins = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    text.as_bytes().first().is_some_and(begins) && text.parse::<f64>().is_ok_and(|number| !number.is_nan())
}

/// A value to bind or to return. SQLite has no NaN: it would store NULL.
pub struct Bound<'a>(pub &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) if number.is_nan() => {
                let message = "NaN cannot be stored by SQLite, which makes NULL of it".to_owned();
                return Err(Unfit { sqlstate: NOT_REPRESENTABLE, message }.into());
            }
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(declared: &str, affinity: Affinity, value: Value) -> bool {
        let column = ColumnInfo {
            name: "k".into(),
            declared: declared.into(),
            affinity,
            not_null: true,
            default: None,
            generated: false,
        };
        check_key(&column, &value).is_ok()
    }

    #[test]
    fn a_key_fits_where_the_column_leaves_it_alone() {
        let text = |text: &str| Value::Text(text.into());
        assert!(fits("INTEGER", Affinity::Numeric, Value::Integer(7)));
        assert!(fits("UUID", Affinity::Numeric, text("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")));
        assert!(fits("DATE", Affinity::Numeric, text("2026-02-28")));
        assert!(fits("TEXT", Affinity::Text, text("007")) && fits("", Affinity::None, Value::Integer(7)));
        assert!(!fits("TEXT", Affinity::Text, Value::Integer(7)));
        assert!(!fits("REAL", Affinity::Numeric, Value::Integer(7)));
        for number in ["007", "1.50", " 1e3 ", "-.5", "+1", "12345678901234567890"] {
            assert!(!fits("NUMERIC", Affinity::Numeric, text(number)), "{number}");
        }
    }
}
