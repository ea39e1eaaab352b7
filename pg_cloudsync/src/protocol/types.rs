//! PostgreSQL types and the five kinds of value, both ways.

use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::{Value, parse_canonical_uuid};

use super::printed::{Moment, is_printed_numeric};
use super::spi::Row;
use crate::error::PgError;

/// Floats from here on are written with an exponent.
const LONGEST_PLAIN_FLOAT: f64 = 1e18;

/// The most bytes of a `name`.
const MAX_NAME: usize = 63;

/// How values of a type travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `smallint`, `integer`, `bigint` with the bounds of the type: as integer.
    Integer { least: i64, most: i64 },
    /// `oid`, `regclass` and the like: as the number, for the name depends on the session's search path.
    Object,
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
    /// `name`: text that is cut off when it is longer than [`MAX_NAME`].
    Name,
    /// `numeric`, with the digits after the point where the column says how many.
    Numeric { scale: Option<usize> },
    /// `numeric` of any scale in a key, where 1.0 and 1.00 are one value: without zeros at the end.
    NumericKey,
    /// `date`, `time`, `timestamp` and `timestamptz`, without a precision of their own.
    Moment(Moment),
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
    /// The length or precision of its values, as written behind the name; empty if there is none.
    pub(super) length: String,
}

impl Kind {
    /// Finds the kind of a base type by its name in `pg_catalog` (`None`: of another schema) and the
    /// column's type modifier: negative if it has no length or precision.
    pub(super) fn of(system_name: Option<&str>, is_enum: bool, modifier: i64) -> Kind {
        let is_bounded = modifier >= 0;
        match system_name {
            _ if is_enum => Kind::Text,
            Some("int2") => Kind::Integer { least: i16::MIN.into(), most: i16::MAX.into() },
            Some("int4") => Kind::Integer { least: i32::MIN.into(), most: i32::MAX.into() },
            Some("int8") => Kind::Integer { least: i64::MIN, most: i64::MAX },
            Some(name) if is_object_number(name) => Kind::Object,
            Some("bool") => Kind::Boolean,
            Some("float4") => Kind::Single,
            Some("float8") => Kind::Double,
            Some("bytea") => Kind::Blob,
            Some("uuid") => Kind::Uuid,
            // Casts to text that do something else than print may be anybody's.
            Some("inet") | None => Kind::Formatted,
            Some("name") => Kind::Name,
            Some("text" | "json") => Kind::Text,
            Some("varchar") if !is_bounded => Kind::Text,
            Some("numeric") if !is_bounded => Kind::Numeric { scale: None },
            Some("numeric") => {
                numeric_scale(modifier).map_or(Kind::Printed, |scale| Kind::Numeric { scale: Some(scale) })
            }
            Some("date") => Kind::Moment(Moment::Date),
            Some("time") if !is_bounded => Kind::Moment(Moment::Time),
            Some("timestamp") if !is_bounded => Kind::Moment(Moment::Timestamp),
            Some("timestamptz") if !is_bounded => Kind::Moment(Moment::TimestampTz),
            _ => Kind::Printed,
        }
    }

    /// The kind of the same type in a key, where equal values must have one form.
    pub(super) fn in_key(self) -> Kind {
        if self == (Kind::Numeric { scale: None }) { Kind::NumericKey } else { self }
    }

    /// Whether other texts than the one printed may mean the same value.
    pub(super) fn is_printed(self) -> bool {
        matches!(self, Kind::Printed | Kind::Formatted | Kind::Moment(_) | Kind::Name)
            || matches!(self, Kind::Numeric { .. } | Kind::NumericKey)
    }
}

/// Whether a type of `pg_catalog` is the number of an object: `oid` and what shows it as a name.
fn is_object_number(name: &str) -> bool {
    name == "oid"
        || matches!(
            name.strip_prefix("reg"),
            Some("class" | "collation" | "config" | "dictionary" | "namespace")
        )
        || matches!(
            name.strip_prefix("reg"),
            Some("oper" | "operator" | "proc" | "procedure" | "role" | "type")
        )
}

/// The digits after the point that a `numeric` column keeps, from its type modifier: precision in the
/// upper half, scale in the lower eleven bits, plus four. `None` for a negative scale.
fn numeric_scale(modifier: i64) -> Option<usize> {
    let scale = modifier.checked_sub(4).filter(|packed| *packed >= 1 << 16)? & 0x7ff;
    usize::try_from(scale).ok().filter(|scale| *scale < 1024)
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
            Kind::Integer { .. } | Kind::Object => format!("CAST({column} AS pg_catalog.int8)"),
            Kind::Boolean => format!("CAST(CAST({column} AS pg_catalog.int4) AS pg_catalog.int8)"),
            Kind::Single | Kind::Double => format!("CAST({column} AS pg_catalog.float8)"),
            Kind::Blob => format!("CAST({column} AS pg_catalog.bytea)"),
            Kind::Uuid | Kind::Text | Kind::Name | Kind::Numeric { .. } | Kind::Moment(_) | Kind::Printed => {
                format!("CAST({column} AS pg_catalog.text)")
            }
            Kind::NumericKey => format!("CAST(pg_catalog.trim_scale({column}) AS pg_catalog.text)"),
            Kind::Formatted => format!(
                // A composite value with a field that is NULL would be neither NULL nor NOT NULL.
                "CASE WHEN pg_catalog.num_nonnulls({column}) OPERATOR(pg_catalog.=) 1 \
                    THEN pg_catalog.format('%s', {column}) END"
            ),
        }
    }

    /// SQL that turns an element of the argument into a value of the type. Length and precision are
    /// left to the assignment, which refuses what an explicit cast would cut off.
    pub(super) fn input(&self, element: &str) -> String {
        let name = &self.name;
        match self.kind {
            // From text these would be looked up by name.
            Kind::Object => format!("CAST(CAST({element} AS pg_catalog.oid) AS {name})"),
            _ => format!("CAST({element} AS {name})"),
        }
    }

    /// As [`ColumnType::input`], but cut to the column's length or precision.
    pub(super) fn fitted_input(&self, element: &str) -> String {
        format!("CAST({element} AS {}{})", self.name, self.length)
    }

    /// Reads a column selected by [`ColumnType::output`].
    pub(super) fn read(&self, row: &Row<'_, '_>, column: usize) -> Result<Value, PgError> {
        Ok(match self.kind {
            Kind::Integer { .. } | Kind::Object | Kind::Boolean => {
                row.long(column)?.map_or(Value::Null, Value::Integer)
            }
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
                return Err(refusal(
                    "22021",
                    format!("column {column}: PostgreSQL cannot store NUL in text"),
                ));
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

    /// Whether the type, or the length that a column gives it, may refuse a value.
    pub(super) fn may_refuse(&self, value: &Value) -> bool {
        let takes_any_text = self.name == "pg_catalog.text" && self.length.is_empty();
        match (self.kind, value) {
            (_, Value::Null) | (Kind::Double, Value::Real(_)) | (Kind::Blob, _) => false,
            (Kind::Text, Value::Text(_)) => !takes_any_text,
            _ => true,
        }
    }

    /// Whether the cast of a text that has the type's own form may fail: a day that no month has, a label
    /// that no enum has.
    pub(super) fn cast_may_fail(&self) -> bool {
        let is_plain = matches!(self.name.as_str(), "pg_catalog.text" | "pg_catalog.varchar");
        matches!(self.kind, Kind::Moment(_)) || (self.kind == Kind::Text && !is_plain)
    }

    /// Whether it is one of the two types of JSON.
    pub(super) fn is_json(&self) -> bool {
        matches!(self.name.as_str(), "pg_catalog.json" | "pg_catalog.jsonb")
    }

    /// Whether the value is stored exactly as it came, whatever it is. `false` means: look.
    pub(super) fn keeps(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (_, Value::Null) => true,
            (Kind::Integer { least, most }, Value::Integer(number)) => (least..=most).contains(number),
            (Kind::Object, Value::Integer(number)) => u32::try_from(*number).is_ok(),
            (Kind::Boolean, Value::Integer(number)) => matches!(number, 0 | 1),
            (Kind::Double, Value::Real(_)) => true,
            (Kind::Blob, Value::Blob(_)) => true,
            (Kind::Uuid, Value::Text(text)) => parse_canonical_uuid(text).is_some(),
            (Kind::Text, Value::Text(text)) => !text.contains('\0'),
            (Kind::Name, Value::Text(text)) => !text.contains('\0') && text.len() <= MAX_NAME,
            (Kind::Numeric { scale }, Value::Text(text)) => is_printed_numeric(text, scale),
            (Kind::NumericKey, Value::Text(text)) => {
                is_printed_numeric(text, None) && !(text.contains('.') && text.ends_with('0'))
            }
            (Kind::Moment(moment), Value::Text(text)) => moment.prints(text),
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
        let kind = Kind::of(Some(name), false, -1);
        ColumnType { kind, name: format!("pg_catalog.{name}"), length: String::new() }
    }

    #[test]
    fn what_a_type_keeps_is_not_read_back() {
        assert!(of("int4").keeps(&Value::Integer(7)));
        assert!(!of("int4").keeps(&Value::Integer(1 << 40)));
        assert!(of("numeric").keeps(&Value::Text("1.50".into())));
        assert!(!of("numeric").keeps(&Value::Text("1e3".into())));
        assert!(!of("uuid").keeps(&Value::Text("0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B".into())));
        assert!(!of("float4").keeps(&Value::Real(0.1)));
    }

    #[test]
    fn one_number_has_one_form_in_a_key() {
        let numeric = ColumnType { kind: of("numeric").kind.in_key(), ..of("numeric") };
        for (text, is_kept) in [("1", true), ("10", true), ("1.5", true), ("1.0", false), ("1.50", false)] {
            assert_eq!(numeric.keeps(&Value::Text(text.into())), is_kept, "{text}");
        }
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
