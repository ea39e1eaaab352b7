//! `cloudsync_rejections`: writes that the server refused, kept until the application clears them.

use cloudsync_shared::change::RowChange;
use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;
use rusqlite::{Connection, params};
use serde_json::json;

use crate::apply;
use crate::error::Result;
use crate::table::Table;

/// Creates the table. The application reads it and deletes from it as it likes.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS main.cloudsync_rejections (
    id INTEGER PRIMARY KEY,
    tbl TEXT NOT NULL,
    pk BLOB NOT NULL,
    operation TEXT NOT NULL,
    columns TEXT NOT NULL,
    sqlstate TEXT NOT NULL,
    message TEXT NOT NULL,
    rejected_at INTEGER NOT NULL
)";

/// One refused write.
pub struct Rejection<'a> {
    /// The table.
    pub table: &'a Table,
    /// The names of the columns that the change's cells refer to.
    pub columns: &'a [String],
    /// What was written.
    pub change: &'a RowChange,
    /// Why it was refused.
    pub refusal: &'a Refusal,
}

/// Keeps a rejection: its values as JSON by column name (key columns included), its time in
/// milliseconds since 1970.
///
/// # Errors
/// The database failed.
pub fn record(conn: &Connection, rejection: &Rejection<'_>) -> Result<()> {
    insert(conn, rejection, false)
}

/// As [`record`], but not if the same is listed already.
///
/// # Errors
/// As [`record`].
pub fn record_once(conn: &Connection, rejection: &Rejection<'_>) -> Result<()> {
    insert(conn, rejection, true)
}

fn insert(conn: &Connection, rejection: &Rejection<'_>, once: bool) -> Result<()> {
    let Rejection { table, columns, change, refusal } = rejection;
    let mut values = serde_json::Map::new();
    for (name, value) in table.schema.key.iter().zip(change.key.decode(table.schema.key.len())?) {
        values.insert(name.clone(), to_json(&value));
    }
    for cell in &change.cells {
        if let Some(name) = columns.get(cell.column) {
            values.insert(name.clone(), to_json(&cell.value));
        }
    }
    let operation = if change.length.is_alive() { "write" } else { "delete" };
    conn.prepare_cached(
        "INSERT INTO main.cloudsync_rejections (tbl, pk, operation, columns, sqlstate, message, rejected_at) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT (?8 AND EXISTS (
             SELECT 1 FROM main.cloudsync_rejections WHERE (tbl, pk, operation, columns, sqlstate, message) \
                 = (?1, ?2, ?3, ?4, ?5, ?6)))",
    )?
    .execute(params![
        table.schema.name,
        change.key.0,
        operation,
        serde_json::Value::Object(values).to_string(),
        refusal.sqlstate,
        refusal.message,
        apply::now().0 as i64,
        once
    ])?;
    Ok(())
}

/// JSON has no bytes: a blob is shown as `{"blob": "hex"}`. Nor has it infinities: they are shown as text.
fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => json!(number),
        Value::Real(number) if number.is_infinite() => {
            json!(if *number > 0.0 { "Infinity" } else { "-Infinity" })
        }
        Value::Real(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "blob": hex })
        }
    }
}
