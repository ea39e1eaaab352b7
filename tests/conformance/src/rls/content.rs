//! What a table holds, in a form that both engines write alike.

use std::collections::BTreeMap;

use postgres::Client;
use postgres::error::SqlState;
use rusqlite::Connection;

/// The columns of every table, the key first.
pub const COLUMNS: [&str; 8] = ["id", "owner", "team", "published", "a", "b", "n", "parent"];

/// Rows by key; the cells of a row in the order of [`COLUMNS`], without the key.
pub type Rows = BTreeMap<String, Vec<Option<String>>>;

/// Rows by table.
pub type Content = BTreeMap<String, Rows>;

/// What the user of this connection may read; nothing of a table that it has no right to read.
///
/// # Errors
/// The server says no in another way; the error in words.
pub fn on_server(client: &mut Client, tables: &[String]) -> Result<Content, String> {
    let mut content = Content::new();
    for table in tables {
        let sql = format!(
            "SELECT id::text, owner, team, published::int::text, a, b, n::text, parent::text FROM {table}"
        );
        let rows = match client.query(&sql, &[]) {
            Ok(rows) => rows,
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Vec::new(),
            Err(error) => return Err(format!("{sql}: {error:?}")),
        };
        let rows = rows.iter().map(|row| (row.get(0), (1..COLUMNS.len()).map(|at| row.get(at)).collect()));
        content.insert(table.clone(), rows.collect());
    }
    Ok(content)
}

/// What a device holds.
///
/// # Panics
/// A table cannot be read.
pub fn on_device(conn: &Connection, tables: &[String]) -> Content {
    let casts: Vec<String> = COLUMNS.iter().map(|name| format!("CAST({name} AS TEXT)")).collect();
    let read = |table: &String| {
        let sql = format!("SELECT {} FROM {table}", casts.join(", "));
        let mut statement = conn.prepare(&sql).expect("the device's table");
        let rows = statement.query_map([], |row| {
            let cells: Result<Vec<Option<String>>, _> = (1..COLUMNS.len()).map(|at| row.get(at)).collect();
            Ok((row.get::<_, String>(0)?, cells?))
        });
        let rows: Result<Rows, _> = rows.expect("the device's rows").collect();
        (table.clone(), rows.expect("a row"))
    };
    tables.iter().map(read).collect()
}

/// The cell of that column.
pub fn cell<'a>(row: &'a [Option<String>], column: &str) -> Option<&'a str> {
    let at = COLUMNS.iter().position(|name| *name == column)?.checked_sub(1)?;
    row.get(at)?.as_deref()
}

/// How two contents differ, a line each; empty if they do not.
pub fn differences(expected: &Content, found: &Content) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, rows) in expected {
        let none = Rows::new();
        let others = found.get(table).unwrap_or(&none);
        for (key, row) in rows {
            match others.get(key) {
                None => lines.push(format!("{table} {key}: missing, expected {}", print(row))),
                Some(other) if other != row => lines.push(format!(
                    "{table} {key}: holds    {}\n{:>width$}expected {}",
                    print(other),
                    "",
                    print(row),
                    width = table.len() + key.len() + 3
                )),
                Some(_) => {}
            }
        }
        for (key, row) in others.iter().filter(|(key, _)| !rows.contains_key(*key)) {
            lines.push(format!("{table} {key}: should not be there: {}", print(row)));
        }
    }
    lines
}

fn print(row: &[Option<String>]) -> String {
    row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" | ")
}
