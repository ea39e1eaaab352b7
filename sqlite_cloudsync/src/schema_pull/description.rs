//! The server's answer to `cloudsync_pull_schema`, read with suspicion: names are only ever quoted, types
//! are words of a short list, defaults are values. Nothing of it is run as SQL.

use cloudsync_shared::qualified::QualifiedName;
use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};
use crate::quote;

/// The version of the answer that is understood.
const VERSION: u64 = 1;
/// More tables are not made.
const MAX_TABLES: usize = 1_000;
/// SQLite's own limit of columns in a table.
const MAX_COLUMNS: usize = 2_000;
/// The declared types that may come.
const TYPES: [&str; 5] = ["INTEGER", "BIGINT", "REAL", "TEXT", "BLOB"];

/// A table that the server syncs and the user may read.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDescription {
    /// The name under which it is synced.
    pub name: String,
    /// Its schema and name.
    pub place: QualifiedName,
    /// How its rows merge.
    pub algorithm: String,
    /// The key columns, in key order.
    pub key: Vec<String>,
    /// All columns.
    pub columns: Vec<ColumnDescription>,
    /// Settings of the table: keys and values.
    pub settings: Vec<(String, String)>,
}

/// A column of such a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDescription {
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub declared: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// What follows `DEFAULT`.
    pub default: Option<Default>,
    /// Settings of the column: keys and values.
    pub settings: Vec<(String, String)>,
}

/// A default as SQL, made here.
#[derive(Clone, Debug, PartialEq)]
pub struct Default {
    /// What follows the word DEFAULT.
    pub sql: String,
    /// Whether it is a constant, which `ALTER TABLE ADD COLUMN` demands.
    pub is_constant: bool,
}

/// Reads an answer.
///
/// # Errors
/// It is not what this version understands.
pub fn read(answer: &[u8]) -> Result<Vec<TableDescription>> {
    let json: Json = serde_json::from_slice(answer).map_err(|_| wrong("is no JSON"))?;
    if json.get("version").and_then(Json::as_u64) != Some(VERSION) {
        return Err(wrong("is of another version: update the extension"));
    }
    let tables = json.get("tables").and_then(Json::as_array).ok_or_else(|| wrong("has no tables"))?;
    if tables.len() > MAX_TABLES {
        return Err(wrong(&format!("has more than {MAX_TABLES} tables")));
    }
    tables.iter().map(read_table).collect()
}

fn read_table(json: &Json) -> Result<TableDescription> {
    let columns = list(json, "columns")?;
    if columns.len() > MAX_COLUMNS {
        return Err(wrong(&format!("has a table of more than {MAX_COLUMNS} columns")));
    }
    let key = list(json, "key")?.iter().map(|name| name.as_str().map(str::to_owned));
    let place = QualifiedName::new(&text(json, "schema")?, &text(json, "table")?);
    let table = TableDescription {
        name: text(json, "name")?,
        place: place.map_err(|_| wrong("has a table whose name PostgreSQL does not take"))?,
        algorithm: text(json, "algorithm")?,
        key: key.collect::<Option<_>>().ok_or_else(|| wrong("has a key column without a name"))?,
        columns: columns.iter().map(read_column).collect::<Result<_>>()?,
        settings: settings(json)?,
    };
    let has = |name: &String| table.columns.iter().any(|column| column.name == *name);
    if table.key.is_empty() || !table.key.iter().all(has) {
        return Err(wrong(&format!("has a table {} without its key", table.name)));
    }
    Ok(table)
}

fn read_column(json: &Json) -> Result<ColumnDescription> {
    let (name, declared) = (text(json, "name")?, text(json, "type")?);
    if !TYPES.contains(&declared.as_str()) {
        return Err(wrong(&format!("has a column {name} of an unknown type")));
    }
    let default = json.get("default").and_then(Json::as_object).map(read_default).transpose()?;
    let not_null = json.get("notNull").and_then(Json::as_bool).unwrap_or(false);
    Ok(ColumnDescription { name, declared, not_null, default, settings: settings(json)? })
}

fn read_default(json: &Map<String, Json>) -> Result<Default> {
    let constant = |sql| Ok(Default { sql, is_constant: true });
    let computed = |sql: &str| Ok(Default { sql: sql.to_owned(), is_constant: false });
    match json.iter().next() {
        Some((kind, Json::String(name))) if kind == "function" => match name.as_str() {
            "uuid" => computed("(cloudsync_uuid())"),
            "now" => computed("CURRENT_TIMESTAMP"),
            _ => Err(wrong("has a default that is not known here: update the extension")),
        },
        Some((kind, Json::String(value))) if kind == "text" => constant(quote::text(value)),
        Some((kind, Json::String(digits))) if kind == "blob" => {
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(wrong("has a default that is no blob"));
            }
            constant(format!("x'{digits}'"))
        }
        Some((kind, value)) if kind == "integer" => match value.as_i64() {
            Some(number) => constant(number.to_string()),
            None => Err(wrong("has a default that is no integer")),
        },
        Some((kind, value)) if kind == "real" => match value.as_f64() {
            Some(number) => constant(format!("{number:?}")),
            None => Err(wrong("has a default that is no number")),
        },
        _ => Err(wrong("has a default that is not known here: update the extension")),
    }
}

fn settings(json: &Json) -> Result<Vec<(String, String)>> {
    let Some(settings) = json.get("settings").and_then(Json::as_object) else { return Ok(Vec::new()) };
    let read = |(key, value): (&String, &Json)| value.as_str().map(|value| (key.clone(), value.to_owned()));
    let read: Option<Vec<_>> = settings.iter().map(read).collect();
    read.ok_or_else(|| wrong("has a setting that is no text"))
}

fn list<'a>(json: &'a Json, name: &str) -> Result<&'a [Json]> {
    let list = json.get(name).and_then(Json::as_array).map(Vec::as_slice);
    list.ok_or_else(|| wrong(&format!("has a table without {name}")))
}

fn text(json: &Json, name: &str) -> Result<String> {
    let text = json.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| wrong(&format!("has an entry without {name}")))
}

fn wrong(what: &str) -> Error {
    Error::state(format!("the server's description of its tables {what}"))
}
