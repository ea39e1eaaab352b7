//! What a sane application stores in a column of each declared type comes back as it was.

use cloudsync_ddl_corpus::schema::{self, insert_sqlite, rows_sqlite, server_types, through_server};
use cloudsync_ddl_corpus::{Server, samples, sqlite};
use cloudsync_shared::ddl::{Options, translate};
use rusqlite::types::Value;

const TYPES: &[&str] = &[
    "INTEGER",
    "INT",
    "TINYINT",
    "BIGINT",
    "INT8",
    "UNSIGNED BIG INT",
    "LONG",
    "REAL",
    "DOUBLE PRECISION",
    "FLOAT",
    "TEXT",
    "VARCHAR(3)",
    "NATIVE CHARACTER(70)",
    "CLOB",
    "BLOB",
    "VARBINARY(2)",
    "BOOLEAN",
    "NUMERIC",
    "DECIMAL(4,1)",
    "UUID",
    "JSON",
    "JSONB",
    "DATE",
    "TIME",
    "DATETIME",
    "TIMESTAMP",
    "STRING",
    "MY TYPE",
    "POINT",
];

/// Rows that are tried for each type.
const ROWS: usize = 5;

#[test]
fn values_of_every_declared_type_come_back_as_they_were() {
    let columns: Vec<String> =
        TYPES.iter().enumerate().map(|(at, declared)| format!("c{at} {declared}")).collect();
    let script = format!("CREATE TABLE t(id TEXT PRIMARY KEY, {})", columns.join(", "));
    let here = sqlite();
    here.execute_batch(&script).expect("SQLite knows all types");
    let mut server = Server::fresh();
    let translation = translate(&script, &Options::default()).expect("all types are translated");
    server.run(&translation).expect("the server knows all types");
    let columns = schema::columns(&here, "t");
    let types = server_types(&mut server, "t", &columns);
    for number in 0..ROWS {
        let mut row: Vec<Value> =
            columns.iter().map(|column| samples::candidates(&column.declared, number)).collect();
        row[0] = Value::Text(format!("row {number}"));
        assert!(insert_sqlite(&here, "t", &columns, &row), "SQLite refuses {row:?}");
        let stored = rows_sqlite(&here, "t", &columns).pop().expect("a row was written");
        let returned =
            through_server(&mut server, "t", &columns, &types, &stored).expect("the server takes the row");
        let empty = "DELETE FROM t";
        here.execute(empty, []).expect("the table can be emptied");
        assert!(insert_sqlite(&here, "t", &columns, &returned), "SQLite refuses {returned:?}");
        let again = rows_sqlite(&here, "t", &columns).pop().expect("a row was written");
        for ((column, before), after) in columns.iter().zip(&stored).zip(&again) {
            assert_eq!(before, after, "{}", column.declared);
        }
        here.execute(empty, []).expect("the table can be emptied");
    }
}
