//! What the tests share: a device, its rows, and exchange between two of them.
#![allow(dead_code, clippy::unwrap_used)]

use rusqlite::Connection;
use rusqlite::types::Value;

/// An in-memory database with the extension and this schema.
pub fn device(schema: &str) -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    sqlite_cloudsync::register(&conn).unwrap();
    conn.execute_batch(schema).unwrap();
    conn
}

/// A device on which table `t` of this schema is synced.
pub fn synced(schema: &str) -> Connection {
    let conn = device(schema);
    init(&conn, "t", 3);
    conn
}

pub fn init(conn: &Connection, table: &str, flags: i64) {
    conn.query_row("SELECT cloudsync_init(?1, 'cls', ?2)", (table, flags), |row| row.get::<_, String>(0))
        .unwrap();
}

/// The error of a statement.
pub fn refused(conn: &Connection, sql: &str) -> String {
    let mut statement = match conn.prepare(sql) {
        Ok(statement) => statement,
        Err(error) => return error.to_string(),
    };
    let mut rows = statement.raw_query();
    loop {
        match rows.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("{sql} was not refused"),
            Err(error) => return error.to_string(),
        }
    }
}

/// Every row of a query, printed.
pub fn rows(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(sql).unwrap();
    let width = statement.column_count();
    let found = statement.query_map([], |row| {
        (0..width).map(|at| row.get::<_, Value>(at).map(|value| print(&value))).collect::<Result<Vec<_>, _>>()
    });
    found.unwrap().map(|row| row.unwrap().join("|")).collect()
}

fn print(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => {
            format!("x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

/// The lives of the rows by their one key column: `key:causal length`.
pub fn lives(conn: &Connection) -> Vec<String> {
    rows(
        conn,
        "SELECT cloudsync_pk_decode(pk, 1) || ':' || cl FROM cloudsync_changes
         WHERE col_name IN ('__[NEW]__', '__[RIP]__') ORDER BY 1",
    )
}

/// The cells that were written later than their row, by their one key column: `key.column`.
pub fn updated(conn: &Connection) -> Vec<String> {
    rows(
        conn,
        "SELECT cloudsync_pk_decode(c.pk, 1) || '.' || c.col_name
         FROM cloudsync_changes c JOIN cloudsync_changes life
           ON life.tbl = c.tbl AND life.pk = c.pk AND life.col_name = '__[NEW]__'
         WHERE c.db_version > life.db_version ORDER BY 1",
    )
}

/// A payload of everything, `None` if there is nothing.
pub fn payload(conn: &Connection) -> Option<Vec<u8>> {
    let sql = "SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, site_id, cl, seq)
               FROM cloudsync_changes";
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Sends everything from one device to another.
pub fn send(from: &Connection, to: &Connection) {
    if let Some(bytes) = payload(from) {
        to.query_row("SELECT cloudsync_payload_apply(?1)", [bytes], |row| row.get::<_, i64>(0)).unwrap();
    }
}

/// Sends everything both ways.
pub fn exchange(a: &Connection, b: &Connection) {
    send(a, b);
    send(b, a);
}
