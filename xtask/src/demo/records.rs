//! Reading the fields of a record: what is there in another kind than expected is an error.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::tables::{Cell, Kind};

/// One record of a data file.
pub type Record = Map<String, Value>;

/// A field as a cell. Comma-separated files have text only, so a number may also be written as text.
pub fn cell(record: &Record, field: &str, kind: Kind) -> Result<Cell> {
    let value = record.get(field).with_context(|| format!("no field `{field}`"))?;
    let cell = match (kind, value) {
        (_, Value::Null) => Some(Cell::Null),
        (Kind::Text, Value::String(text)) => Some(Cell::Text(text.clone())),
        // A few films have a number for a title.
        (Kind::Text, Value::Number(number)) => Some(Cell::Text(number.to_string())),
        (Kind::Integer, Value::Number(number)) => number.as_i64().map(Cell::Integer),
        (Kind::Integer, Value::String(text)) => text.parse().ok().map(Cell::Integer),
        (Kind::Real, Value::Number(number)) => number.as_f64().map(Cell::Real),
        (Kind::Real, Value::String(text)) => text.parse().ok().map(Cell::Real),
        _ => None,
    };
    cell.with_context(|| format!("field `{field}` holds {value}"))
}

/// A field that is absent or null where a record has none; otherwise as [`cell`].
pub fn optional(record: Option<&Record>, field: &str, kind: Kind) -> Result<Cell> {
    match record {
        Some(record) if record.contains_key(field) => cell(record, field, kind),
        _ => Ok(Cell::Null),
    }
}

/// A field that names something, and so must be text.
pub fn name<'a>(record: &'a Record, field: &str) -> Result<&'a str> {
    match record.get(field) {
        Some(Value::String(text)) => Ok(text),
        other => bail!("field `{field}` holds {other:?}, not text"),
    }
}

/// The record whose `field` holds `text`.
pub fn find<'a>(records: &'a [Record], field: &str, text: &str) -> Option<&'a Record> {
    records.iter().find(|record| record.get(field).and_then(Value::as_str) == Some(text))
}

/// The record whose `field` holds `number`, be it written as a number or as text.
pub fn find_number<'a>(records: &'a [Record], field: &str, number: i64) -> Option<&'a Record> {
    records
        .iter()
        .find(|record| matches!(cell(record, field, Kind::Integer), Ok(Cell::Integer(n)) if n == number))
}
