//! The tables of a SQLite database, their rows, and what the server makes of them.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::{Server, samples};

/// A column that holds values of its own.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as declared.
    pub declared: String,
}

/// The columns of a table without the generated ones.
pub fn columns(sqlite: &Connection, table: &str) -> Vec<Column> {
    let mut statement = sqlite
        .prepare("SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid")
        .expect("the pragma is known");
    let rows = statement
        .query_map([table], |row| Ok(Column { name: row.get(0)?, declared: row.get(1)? }))
        .expect("the table is described");
    rows.collect::<Result<_, _>>().expect("the columns are read")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(columns: &[Column]) -> String {
    columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

/// Inserts a row; `false`: SQLite refuses it.
pub fn insert_sqlite(sqlite: &Connection, table: &str, columns: &[Column], row: &[Value]) -> bool {
    let marks = vec!["?"; row.len()].join(", ");
    let sql = format!("INSERT INTO {}({}) VALUES ({marks})", quoted(table), list(columns));
    sqlite.execute(&sql, params_from_iter(row)).is_ok()
}

/// All rows in the order in which they were written, or in that of the key.
pub fn rows_sqlite(sqlite: &Connection, table: &str, columns: &[Column]) -> Vec<Vec<Value>> {
    let sql = format!("SELECT {} FROM {}", list(columns), quoted(table));
    let mut statement = sqlite.prepare(&sql).expect("the table can be read");
    let rows = statement
        .query_map([], |row| {
            (0..columns.len()).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>()
        })
        .expect("the rows can be read");
    rows.collect::<Result<_, _>>().expect("the values can be read")
}

/// The server's types of these columns.
pub fn server_types(server: &mut Server, table: &str, columns: &[Column]) -> Vec<String> {
    let sql = "SELECT format_type(atttypid, NULL) FROM pg_attribute \
               WHERE attrelid = CAST(CAST($1 AS text) AS regclass) AND attname = CAST($2 AS text)";
    columns
        .iter()
        .map(|column| server.client.query_one(sql, &[&quoted(table), &column.name]).expect("a column").get(0))
        .collect()
}

/// Writes a row to the server and reads it back, as a sync would.
///
/// # Errors
/// The server refuses the row.
pub fn through_server(
    server: &mut Server,
    table: &str,
    columns: &[Column],
    types: &[String],
    row: &[Value],
) -> Result<Vec<Value>, String> {
    let inputs: Vec<Option<String>> =
        row.iter().zip(types).map(|(value, pg_type)| samples::to_server(value, pg_type)).collect();
    let marks: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(at, pg_type)| format!("CAST(CAST(${} AS text) AS {pg_type})", at + 1))
        .collect();
    let outputs: Vec<String> =
        columns.iter().map(|column| format!("CAST({} AS text)", quoted(&column.name))).collect();
    let sql = format!(
        "INSERT INTO {}({}) VALUES ({}) RETURNING {}",
        quoted(table),
        list(columns),
        marks.join(", "),
        outputs.join(", ")
    );
    let arguments: Vec<&(dyn postgres::types::ToSql + Sync)> =
        inputs.iter().map(|input| input as &(dyn postgres::types::ToSql + Sync)).collect();
    let returned = server.client.query_one(&sql, &arguments).map_err(|error| {
        error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
    })?;
    Ok(types
        .iter()
        .enumerate()
        .map(|(at, pg_type)| samples::from_server(returned.get::<_, Option<&str>>(at), pg_type))
        .collect())
}
