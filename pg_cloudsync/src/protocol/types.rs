//! PostgreSQL types and the five kinds of value, both ways.

use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::{Value, parse_canonical_uuid};

use super::spi::Row;
use crate::error::PgError;

/// Floats from here on are written with an exponent.
const LONGEST_PLAIN_FLOAT: f64 = 1e18;

/// How values of a type travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `smallint`, `integer`, `bigint` with the bounds of the type: as integer.
    Integer { least: i64, most: i64 },
    /// `boolean`: as 0 or 1.
    Boolean,
    /// `real`: as float, not every float fits.
    Single,
    /// `double precision`: as float.
    Double,
    /// `bytea`: as blob.
    Blob,
    /// `uuid`: as text in canonical form.
    Uuid,
    /// Text that is stored to the letter.
    Text,
    /// Everything else: as the text that the type prints; other texts may mean the same value.
    Printed,
    /// As [`Kind::Printed`], of a type whose cast to text differs from what it prints.
    Formatted,
}

/// A type as the protocol needs it, domains resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnType {
    /// How its values travel.
    pub(super) kind: Kind,
    /// Its schema-qualified, quoted name, without length or precision.
    pub(super) name: String,
}

impl Kind {
    /// Finds the kind of a base type by its name in `pg_catalog` (`None`: of another schema).
    /// `bounded`: the column has a length or precision, so a value may be stored shortened.
    pub(super) fn of(system_name: Option<&str>, is_enum: bool, bounded: bool) -> Kind {
        match system_name {
            _ if is_enum => Kind::Text,
            Some("int2") => Kind::Integer { least: i16::MIN.into(), most: i16::MAX.into() },
            Some("int4") => Kind::Integer { least: i32::MIN.into(), most: i32::MAX.into() },
            Some("int8") => Kind::Integer { least: i64::MIN, most: i64::MAX },
            Some("bool") => Kind::Boolean,
            Some("float4") => Kind::Single,
            Some("float8") => Kind::Double,
            Some("bytea") => Kind::Blob,
            Some("uuid") => Kind::Uuid,
            Some("inet") => Kind::Formatted,
            Some("text" | "json") => Kind::Text,
            Some("varchar") if !bounded => Kind::Text,
            _ => Kind::Printed,
        }
    }
}

/// A value ready to be an array element of a statement's argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    /// An element of `text[]`, to be cast to the column's type.
    Text(Option<String>),
    /// An element of `bytea[]`.
    Blob(Option<Vec<u8>>),
}

impl ColumnType {
    /// Whether its values are given as `bytea[]` instead of `text[]`.
    pub(super) fn is_blob(&self) -> bool {
        self.kind == Kind::Blob
    }

    /// SQL that reads a column so that [`ColumnType::read`] understands it.
    pub(super) fn output(&self, column: &str) -> String {
        match self.kind {
            Kind::Integer { .. } => format!("CAST({column} AS pg_catalog.int8)"),
            Kind::Boolean => format!("CAST(CAST({column} AS pg_catalog.int4) AS pg_catalog.int8)"),
            Kind::Single | Kind::Double => format!("CAST({column} AS pg_catalog.float8)"),
            Kind::Blob => format!("CAST({column} AS pg_catalog.bytea)"),
            Kind::Uuid | Kind::Text | Kind::Printed => format!("CAST({column} AS pg_catalog.text)"),
            Kind::Formatted => {
                format!("CASE WHEN {column} IS NOT NULL THEN pg_catalog.format('%s', {column}) END")
            }
        }
    }

    /// SQL that turns an element of the argument into a value of the type. Length and precision are
    /// left to the assignment, which refuses what an explicit cast would cut off.
    pub(super) fn input(&self, element: &str) -> String {
        format!("CAST({element} AS {})", self.name)
    }

    /// Reads a column selected by [`ColumnType::output`].
    pub(super) fn read(&self, row: &Row<'_, '_>, column: usize) -> Result<Value, PgError> {
        Ok(match self.kind {
            Kind::Integer { .. } | Kind::Boolean => row.long(column)?.map_or(Value::Null, Value::Integer),
            Kind::Single | Kind::Double => row.real(column)?.map_or(Value::Null, Value::Real),
            Kind::Blob => row.bytes(column)?.map_or(Value::Null, Value::Blob),
            _ => row.text(column)?.map_or(Value::Null, Value::Text),
        })
    }

    /// Prepares a value for the statement.
    ///
    /// # Errors
    /// The type can never hold such a value; the message names `column`.
    pub(super) fn write(&self, value: &Value, column: &str) -> Result<Input, Refusal> {
        if self.is_blob() {
            return match value {
                Value::Null => Ok(Input::Blob(None)),
                Value::Blob(bytes) => Ok(Input::Blob(Some(bytes.clone()))),
                Value::Text(text) => Ok(Input::Blob(Some(text.as_bytes().to_owned()))),
                Value::Integer(_) | Value::Real(_) => Err(mismatch(column, "a number", &self.name)),
            };
        }
        Ok(Input::Text(match value {
            Value::Null => None,
            Value::Integer(number) => Some(self.integer_text(*number)),
            Value::Real(number) => Some(self.real_text(*number)),
            Value::Text(text) if text.contains('\0') => {
                return Err(refusal("22021", format!("column {column}: PostgreSQL cannot store NUL in text")));
            }
            Value::Text(text) => Some(text.clone()),
            Value::Blob(_) => return Err(mismatch(column, "a blob", &self.name)),
        }))
    }

    fn integer_text(&self, number: i64) -> String {
        match (self.kind, number) {
            (Kind::Boolean, 0) => "false".to_owned(),
            (Kind::Boolean, 1) => "true".to_owned(),
            _ => number.to_string(),
        }
    }

    fn real_text(&self, number: f64) -> String {
        if number.is_infinite() {
            return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
        }
        // The shortest text that reads back to the same bits; a whole number is written as one, so
        // that an integer column takes it.
        if number.abs() < LONGEST_PLAIN_FLOAT { number.to_string() } else { format!("{number:e}") }
    }

    /// Whether the value is stored exactly as it came, whatever it is. `false` means: look.
    pub(super) fn keeps(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (_, Value::Null) => true,
            (Kind::Integer { least, most }, Value::Integer(number)) => (least..=most).contains(number),
            (Kind::Boolean, Value::Integer(number)) => matches!(number, 0 | 1),
            (Kind::Double, Value::Real(_)) => true,
            (Kind::Blob, Value::Blob(_)) => true,
            (Kind::Uuid, Value::Text(text)) => parse_canonical_uuid(text).is_some(),
            (Kind::Text, Value::Text(text)) => !text.contains('\0'),
            _ => false,
        }
    }
}

/// A refusal of one row.
pub(super) fn refusal(sqlstate: &str, message: impl Into<String>) -> Refusal {
    Refusal { sqlstate: sqlstate.to_owned(), message: message.into() }
}

fn mismatch(column: &str, what: &str, type_name: &str) -> Refusal {
    refusal("42804", format!("column {column} is of type {type_name} and cannot hold {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> ColumnType {
        ColumnType { kind: Kind::of(Some(name), false, false), name: format!("pg_catalog.{name}") }
    }

    #[test]
    fn what_a_type_keeps_is_not_read_back() {
        assert!(of("int4").keeps(&Value::Integer(7)));
        assert!(!of("int4").keeps(&Value::Integer(1 << 40)));
        assert!(!of("numeric").keeps(&Value::Text("1.50".into())));
        assert!(!of("uuid").keeps(&Value::Text("0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B".into())));
        assert!(!of("float4").keeps(&Value::Real(0.1)));
    }

    #[test]
    fn nul_and_blobs_are_refused_for_text() {
        assert_eq!(of("text").write(&Value::Text("a\0b".into()), "c").unwrap_err().sqlstate, "22021");
        assert_eq!(of("text").write(&Value::Blob(vec![1]), "c").unwrap_err().sqlstate, "42804");
    }

    #[test]
    fn floats_travel_as_text_that_reads_back() {
        let double = of("float8");
        let text = |number| double.write(&Value::Real(number), "c").unwrap();
        assert_eq!(text(f64::NAN), Input::Text(Some("NaN".into())));
        assert_eq!(text(f64::NEG_INFINITY), Input::Text(Some("-Infinity".into())));
        assert_eq!(text(-0.0), Input::Text(Some("-0".into())));
        assert_eq!(text(3.0), Input::Text(Some("3".into())));
    }
}
