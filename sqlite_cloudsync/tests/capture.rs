//! What local statements do to clocks: the traps of triggers.

mod common;

use common::{device, init, lives, refused, rows, synced, updated};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT, u INTEGER UNIQUE);";

fn run(conn: &Connection, sql: &str) {
    conn.execute_batch(sql).unwrap();
}

#[test]
fn replace_on_a_second_unique_index_deletes_the_row_it_evicts() {
    for recursive in ["OFF", "ON"] {
        let conn = synced(T);
        run(&conn, &format!("PRAGMA recursive_triggers = {recursive}"));
        run(&conn, "INSERT INTO t VALUES('x', 'old', 1); INSERT OR REPLACE INTO t VALUES('y', 'new', 1);");
        assert_eq!(lives(&conn), ["x:2", "y:1"], "recursive_triggers {recursive}");
        run(&conn, "INSERT INTO t VALUES('z', 'third', 3); UPDATE OR REPLACE t SET u = 1 WHERE id = 'z';");
        assert_eq!(lives(&conn), ["x:2", "y:2", "z:1"], "recursive_triggers {recursive}");
        run(&conn, "INSERT OR REPLACE INTO t VALUES('x', 'again', 1)");
        assert_eq!(lives(&conn), ["x:3", "y:2", "z:2"], "recursive_triggers {recursive}");
    }
}

#[test]
fn a_replace_that_evicts_between_two_folds_is_seen() {
    let conn = synced(T);
    run(&conn, "INSERT INTO t VALUES('x', 'old', 1)");
    assert_eq!(lives(&conn), ["x:1"]);
    run(&conn, "INSERT OR REPLACE INTO t VALUES('y', 'new', 1)");
    assert_eq!(lives(&conn), ["x:2", "y:1"]);
}

#[test]
fn replace_on_a_partial_index_and_on_nocase_finds_the_same_row_as_sqlite() {
    let conn = synced(
        "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, name TEXT, live INTEGER);
         CREATE UNIQUE INDEX \"od\"\"d\" ON t(name COLLATE NOCASE) WHERE live = 1;",
    );
    run(
        &conn,
        "INSERT INTO t VALUES('x', 'Ann', 1), ('w', 'ANN', 0); INSERT OR REPLACE INTO t VALUES('y', 'ann', 1);",
    );
    assert_eq!(rows(&conn, "SELECT id FROM t ORDER BY 1"), ["w", "y"]);
    assert_eq!(lives(&conn), ["w:1", "x:2", "y:1"]);
}

#[test]
fn an_ignored_insert_evicts_nothing() {
    let conn = synced(T);
    run(&conn, "INSERT INTO t VALUES('x', 'old', 1); INSERT OR IGNORE INTO t VALUES('y', 'new', 1);");
    run(&conn, "INSERT OR IGNORE INTO t VALUES('x', 'no', 5)");
    assert_eq!(lives(&conn), ["x:1"]);
    assert!(updated(&conn).is_empty());
}

#[test]
fn update_or_replace_onto_an_existing_key_moves_the_row_there() {
    let conn = synced(T);
    run(&conn, "INSERT INTO t VALUES('x', 'a', 1), ('y', 'b', 2)");
    assert_eq!(lives(&conn), ["x:1", "y:1"]);
    run(&conn, "UPDATE OR REPLACE t SET id = 'y' WHERE id = 'x'");
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["y|a|1"]);
    assert_eq!(lives(&conn), ["x:2", "y:1"]);
}

#[test]
fn an_upsert_touches_the_columns_that_it_sets() {
    let conn = synced(T);
    run(&conn, "INSERT INTO t VALUES('x', 'old', 1)");
    assert_eq!(lives(&conn), ["x:1"]);
    run(&conn, "INSERT INTO t VALUES('x', 'new', 9) ON CONFLICT(id) DO UPDATE SET a = excluded.a");
    assert_eq!(lives(&conn), ["x:1"]);
    assert_eq!(updated(&conn), ["x.a"]);
}

#[test]
fn delete_without_where_is_seen_row_by_row() {
    let conn = synced(T);
    run(&conn, "INSERT INTO t VALUES('x', 'a', 1), ('y', 'b', 2); DELETE FROM t;");
    assert_eq!(lives(&conn), ["x:2", "y:2"]);
}

#[test]
fn a_change_of_key_is_a_delete_and_an_insert() {
    let conn = synced(T);
    run(&conn, "INSERT INTO t VALUES('x', 'a', 1); UPDATE t SET id = 'y', a = 'b';");
    assert_eq!(lives(&conn), ["x:2", "y:1"]);
}

#[test]
fn two_keys_swapped_through_a_third_are_both_alive() {
    let conn = synced(T);
    run(&conn, "INSERT INTO t VALUES('x', 'a', 1), ('y', 'b', 2)");
    assert_eq!(lives(&conn), ["x:1", "y:1"]);
    run(
        &conn,
        "UPDATE t SET id = '-' WHERE id = 'x'; UPDATE t SET id = 'x' WHERE id = 'y'; UPDATE t SET id = 'y' WHERE id = '-'",
    );
    assert_eq!(lives(&conn), ["-:2", "x:3", "y:3"]);
    assert_eq!(rows(&conn, "SELECT id, a FROM t ORDER BY id"), ["x|b", "y|a"]);
}

#[test]
fn an_integer_key_changed_by_its_rowid_name_is_a_change_of_key() {
    let conn = synced("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);");
    run(&conn, "INSERT INTO t(a) VALUES('one'); UPDATE t SET rowid = 7;");
    assert_eq!(lives(&conn), ["1:2", "7:1"]);
}

#[test]
fn what_a_savepoint_undoes_leaves_no_trace() {
    let conn = synced(T);
    run(
        &conn,
        "BEGIN; INSERT INTO t VALUES('x', 'a', 1); SAVEPOINT s; UPDATE t SET a = 'b'; INSERT INTO t VALUES('y', 'c', 2);",
    );
    run(&conn, "ROLLBACK TO s; COMMIT;");
    assert_eq!(lives(&conn), ["x:1"]);
    assert!(updated(&conn).is_empty());
    run(&conn, "BEGIN; DELETE FROM t;");
    assert_eq!(lives(&conn), ["x:2"], "folded inside the transaction");
    run(&conn, "ROLLBACK");
    assert_eq!(lives(&conn), ["x:1"]);
}

#[test]
fn an_update_that_changes_nothing_moves_no_clock() {
    let conn = synced(T);
    run(&conn, "INSERT INTO t VALUES('x', 'a', 1); SELECT cloudsync_db_version();");
    let before = rows(&conn, "SELECT cloudsync_db_version()");
    run(&conn, "UPDATE t SET a = a, u = u");
    assert_eq!(rows(&conn, "SELECT cloudsync_db_version()"), before);
}

#[test]
fn a_change_of_case_in_a_nocase_column_is_a_change() {
    let conn = synced("CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT COLLATE NOCASE, b TEXT);");
    run(&conn, "INSERT INTO t VALUES('x', 'a', 'b')");
    assert_eq!(lives(&conn), ["x:1"]);
    run(&conn, "UPDATE t SET a = 'A'");
    assert_eq!(updated(&conn), ["x.a"]);
}

#[test]
fn a_change_of_kind_or_of_zeros_sign_is_a_change() {
    let conn = synced("CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a, b);");
    run(&conn, "INSERT INTO t VALUES('x', 1, 0.0)");
    assert_eq!(lives(&conn), ["x:1"]);
    run(&conn, "UPDATE t SET a = 1.0");
    run(&conn, "UPDATE t SET b = -0.0");
    assert_eq!(updated(&conn), ["x.a", "x.b"]);
}

#[test]
fn a_null_key_is_refused_when_written_and_at_init() {
    let conn = device(
        "CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT); CREATE TABLE n(id TEXT PRIMARY KEY);
                       INSERT INTO n VALUES(NULL)",
    );
    init(&conn, "t", 0);
    let insert = refused(&conn, "INSERT INTO t VALUES(NULL, 'a')");
    assert_eq!(insert, "Insert aborted because primary key in table t contains NULL values.");
    run(&conn, "INSERT INTO t VALUES('x', 'a')");
    let update = refused(&conn, "UPDATE t SET id = NULL");
    assert_eq!(update, "Update aborted because primary key in table t contains NULL values.");
    assert!(refused(&conn, "SELECT cloudsync_init('n')").contains("contains NULL"));
}

#[test]
fn cascades_of_foreign_keys_are_captured() {
    let conn = synced(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE p(id TEXT PRIMARY KEY NOT NULL);
         CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, p TEXT REFERENCES p ON DELETE CASCADE);",
    );
    init(&conn, "p", 0);
    run(&conn, "INSERT INTO p VALUES('p1'); INSERT INTO t VALUES('c1', 'p1'); DELETE FROM p;");
    assert_eq!(lives(&conn), ["c1:2", "p1:2"]);
}

#[test]
fn a_grow_only_table_refuses_update_and_delete() {
    let conn = device(T);
    conn.query_row("SELECT cloudsync_init('t', 'gos')", [], |_| Ok(())).unwrap();
    run(&conn, "INSERT INTO t VALUES('x', 'a', 1)");
    assert_eq!(refused(&conn, "UPDATE t SET a = 'b'"), "Error: UPDATE operation is not allowed on table t.");
    assert_eq!(refused(&conn, "DELETE FROM t"), "Error: DELETE operation is not allowed on table t.");
    assert_eq!(lives(&conn), ["x:1"]);
}
