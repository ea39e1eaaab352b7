//! Tables of every shape, there and back.

mod common;

use common::{device, exchange, init, lives, rows, send, synced, updated};

/// Both devices hold the same rows after an exchange.
fn travels(schema: &str, write: &str) {
    let (a, b) = (synced(schema), synced(schema));
    a.execute_batch(write).unwrap();
    exchange(&a, &b);
    let all = "SELECT * FROM t ORDER BY 1, 2";
    assert!(!rows(&a, all).is_empty());
    assert_eq!(rows(&a, all), rows(&b, all));
    a.execute_batch("DELETE FROM t").unwrap();
    exchange(&a, &b);
    assert!(rows(&b, all).is_empty());
}

#[test]
fn a_table_without_rowid() {
    travels(
        "CREATE TABLE t(a TEXT NOT NULL, b INTEGER NOT NULL, v TEXT, PRIMARY KEY(b, a)) WITHOUT ROWID",
        "INSERT INTO t VALUES('x', 1, 'v'), ('x', 2, 'w'); UPDATE t SET v = 'z' WHERE b = 2;
         INSERT OR REPLACE INTO t VALUES('x', 1, 'again');",
    );
}

#[test]
fn a_table_whose_names_need_quotes() {
    let schema = "CREATE TABLE \"we\"\"ird t\"(\"sel ect\" TEXT PRIMARY KEY NOT NULL, \"order\" TEXT, \"it's\" TEXT UNIQUE)";
    let (a, b) = (device(schema), device(schema));
    for conn in [&a, &b] {
        init(conn, "we\"ird t", 0);
    }
    a.execute_batch(
        "INSERT INTO \"we\"\"ird t\" VALUES('k', 'o', 'i'); UPDATE \"we\"\"ird t\" SET \"order\" = 'p'",
    )
    .unwrap();
    exchange(&a, &b);
    assert_eq!(rows(&b, "SELECT * FROM \"we\"\"ird t\""), ["k|p|i"]);
    b.query_row("SELECT cloudsync_cleanup('we\"ird t')", [], |_| Ok(())).unwrap();
    assert_eq!(
        rows(&b, "SELECT name FROM sqlite_schema WHERE name LIKE '%cloudsync%'"),
        Vec::<String>::new()
    );
}

#[test]
fn a_key_of_three_kinds() {
    travels(
        "CREATE TABLE t(a BLOB NOT NULL, b REAL NOT NULL, c, v TEXT, PRIMARY KEY(a, b, c))",
        "INSERT INTO t VALUES(x'00ff', 1, 2.0, 'v'), (x'', -2.5, 'c', NULL); UPDATE t SET c = 2 WHERE c = 2.0;",
    );
}

#[test]
fn a_table_of_keys_alone() {
    travels(
        "CREATE TABLE t(a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY(a, b))",
        "INSERT INTO t VALUES('x', 'y')",
    );
}

#[test]
fn a_table_with_generated_columns() {
    travels(
        "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a INTEGER, twice INTEGER AS (a * 2) STORED UNIQUE, v AS (a + 1))",
        "INSERT INTO t(id, a) VALUES('x', 1), ('y', 2); UPDATE t SET a = 5 WHERE id = 'x';
         INSERT OR REPLACE INTO t(id, a) VALUES('z', 5);",
    );
}

#[test]
fn an_eviction_by_a_generated_column_is_seen() {
    let conn = synced(
        "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a INTEGER, twice INTEGER AS (a * 2) STORED UNIQUE)",
    );
    conn.execute_batch("INSERT INTO t(id, a) VALUES('x', 1); INSERT OR REPLACE INTO t(id, a) VALUES('y', 1)")
        .unwrap();
    assert_eq!(lives(&conn), ["x:2", "y:1"]);
}

#[test]
fn a_table_of_130_columns_knows_each_of_them() {
    let columns: String = (0..130).map(|at| format!(", c{at} INTEGER")).collect();
    let conn = synced(&format!("CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL{columns})"));
    conn.execute_batch("INSERT INTO t(id) VALUES('x')").unwrap();
    assert_eq!(lives(&conn), ["x:1"]);
    for at in [0, 59, 60, 61, 119, 120, 129] {
        conn.execute_batch(&format!("UPDATE t SET c{at} = 1")).unwrap();
    }
    assert_eq!(updated(&conn), ["x.c0", "x.c119", "x.c120", "x.c129", "x.c59", "x.c60", "x.c61"]);
}

#[test]
fn values_keep_every_bit() {
    let schema = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, v)";
    let (a, b) = (synced(schema), synced(schema));
    a.execute_batch(
        "INSERT INTO t VALUES('a', 9223372036854775807), ('b', -0.0), ('c', 9e999), ('d', x'00'), ('e', NULL),
         ('f', 'a' || char(0) || 'b'), ('g', '1'), ('h', 1.0), ('i', ''), ('j', 1e-320)",
    )
    .unwrap();
    send(&a, &b);
    assert_eq!(rows(&a, "SELECT * FROM t ORDER BY 1"), rows(&b, "SELECT * FROM t ORDER BY 1"));
    assert_eq!(rows(&b, "SELECT v FROM t WHERE id = 'b'"), ["-0.0"]);
}

#[test]
fn text_that_is_not_utf8_stays_behind_alone() {
    let schema = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, v TEXT, w TEXT)";
    let (a, b) = (synced(schema), synced(schema));
    a.execute_batch("INSERT INTO t VALUES('x', CAST(x'ff' AS TEXT), 'w'), (CAST(x'fe' AS TEXT), 'v', 'w'), ('y', 'v', 'w')")
        .unwrap();
    send(&a, &b);
    assert_eq!(rows(&b, "SELECT * FROM t ORDER BY 1"), ["x|NULL|w", "y|v|w"]);
}
