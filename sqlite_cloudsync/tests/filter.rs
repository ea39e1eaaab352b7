//! Row filters on a device: what is told of rows that come under one, and what reaches them.

mod common;

use cloudsync_shared::change::{ChangeBatch, RowChange};
use cloudsync_shared::hlc::Millis;
use cloudsync_shared::id::RowId;
use cloudsync_shared::message::{Epoch, PushReply, RowResult};
use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;
use common::{lives, refused, rows, send};
use rusqlite::Connection;
use sqlite_cloudsync::outbox::{self, Parcel, Pass};
use sqlite_cloudsync::{inbox, sent};

const TASKS: &str = "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, body TEXT, private INTEGER DEFAULT 0)";

fn filtered(schema: &str, filter: &str) -> Connection {
    let conn = common::synced(schema);
    set_filter(&conn, filter);
    conn
}

fn set_filter(conn: &Connection, filter: &str) {
    let done: i64 =
        conn.query_row("SELECT cloudsync_set_filter('t', ?1)", [filter], |row| row.get(0)).unwrap();
    assert_eq!(done, 1);
}

fn clear_filter(conn: &Connection) {
    assert_eq!(rows(conn, "SELECT cloudsync_clear_filter('t')"), ["1"]);
}

fn run(conn: &Connection, sql: &str) {
    conn.execute_batch(sql).unwrap();
}

fn take(conn: &Connection) -> Option<Parcel> {
    outbox::take(conn, &mut Pass::default(), 1 << 20).unwrap()
}

/// What the next request tells: `key:length[:values]`.
fn told(parcel: &Parcel) -> Vec<String> {
    let rows = parcel.changes.tables.iter().flat_map(|table| &table.rows);
    let mut lines: Vec<String> = rows.map(print).collect();
    lines.sort();
    lines
}

fn print(row: &RowChange) -> String {
    let Value::Text(key) = row.key.decode(1).unwrap().remove(0) else { panic!("a text key") };
    let values = row.cells.iter().map(|cell| match &cell.value {
        Value::Text(text) => format!(":{text}"),
        Value::Integer(number) => format!(":{number}"),
        other => format!(":{other:?}"),
    });
    format!("{key}:{}{}", row.length.0, values.collect::<String>())
}

/// Sends everything to a server that takes it, under ids of its own; answers what was told.
fn sync(conn: &Connection) -> Vec<String> {
    let mut all = Vec::new();
    let mut pass = Pass::default();
    while let Some(parcel) = outbox::take(conn, &mut pass, 1 << 20).unwrap() {
        all.extend(told(&parcel));
        let result = |row: &RowChange| match row.length.is_alive() {
            true => RowResult::Accepted(row.row_id.unwrap_or(RowId(u64::from(row.key.0[2])))),
            false => RowResult::Dead,
        };
        answer(conn, &parcel, result);
    }
    outbox::all_sent(conn).unwrap();
    assert!(!sent::has_unsent(conn).unwrap());
    all.sort();
    all
}

fn answer(conn: &Connection, parcel: &Parcel, result: impl Fn(&RowChange) -> RowResult) {
    let results =
        parcel.changes.tables.iter().map(|table| table.rows.iter().map(&result).collect()).collect();
    let reply = PushReply {
        epoch: Epoch([1; 16]),
        server_time: Millis(0),
        results,
        restored: ChangeBatch::default(),
        lost: Vec::new(),
    };
    outbox::acknowledge(conn, parcel, reply, true).unwrap();
}

fn parked(conn: &Connection) -> Vec<String> {
    rows(
        conn,
        "SELECT cloudsync_pk_decode(pk, 1) || ' ' || sqlstate || ' ' || substr(message, 1, 6) FROM cloudsync_parked",
    )
}

#[test]
fn private_rows_are_told_to_nobody() {
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'open', 0), ('b', 'secret', 1), ('c', 'unknown', NULL)");
    run(&conn, "UPDATE t SET body = 'more secret' WHERE id = 'b'");
    assert_eq!(lives(&conn), ["a:1"]);
    assert_eq!(sync(&conn), ["a:1:open:0"]);
    run(&conn, "UPDATE t SET body = body || '!'; DELETE FROM t WHERE id <> 'a'");
    assert_eq!(sync(&conn), ["a:1:open!"]);
}

#[test]
fn a_row_that_leaves_is_deleted_for_the_others_and_stays_here() {
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'open', 0)");
    sync(&conn);
    run(&conn, "UPDATE t SET body = 'secret', private = 1");
    run(&conn, "UPDATE t SET body = 'more secret'");
    assert_eq!(sync(&conn), ["a:2"]);
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["a|more secret|1"]);
    run(&conn, "UPDATE t SET body = 'still'");
    run(&conn, "INSERT OR REPLACE INTO t VALUES ('a', 'again', 1)");
    assert_eq!(sync(&conn), [""; 0]);
    run(&conn, "UPDATE t SET private = 0");
    assert_eq!(sync(&conn), ["a:3:again:0"], "it enters whole");
    run(&conn, "UPDATE t SET private = 1; UPDATE t SET private = 0, body = 'seen by nobody between'");
    assert_eq!(sync(&conn), ["a:3:seen by nobody between:0"]);
}

#[test]
fn a_row_that_was_shared_for_a_moment_nobody_saw_is_not_told() {
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'open', 0); UPDATE t SET private = 1");
    run(&conn, "INSERT INTO t VALUES ('b', 'open', 0); DELETE FROM t WHERE id = 'b'");
    assert_eq!(sync(&conn), [""; 0]);
}

#[test]
fn replace_and_new_keys_are_seen() {
    let schema = "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, body TEXT UNIQUE, private INTEGER DEFAULT 0)";
    let conn = filtered(schema, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'x', 0), ('b', 'y', 0), ('c', 'z', 0), ('p', 'w', 1)");
    sync(&conn);
    // Over its own key, and over another row's unique value.
    run(&conn, "INSERT OR REPLACE INTO t VALUES ('a', 'secret', 1)");
    run(&conn, "INSERT OR REPLACE INTO t VALUES ('p', 'y', 1)");
    assert_eq!(sync(&conn), ["a:2", "b:2"]);
    run(&conn, "UPDATE t SET id = 'd', private = 1 WHERE id = 'c'");
    assert_eq!(sync(&conn), ["c:2"]);
    run(&conn, "UPDATE t SET id = 'e', private = 0 WHERE id = 'd'");
    assert_eq!(sync(&conn), ["e:1:z:0"]);
    run(&conn, "UPDATE OR REPLACE t SET id = 'e' WHERE id = 'p'");
    assert_eq!(sync(&conn), ["e:2"], "a private row took the key of a shared one");
}

/// OLD and NEW have no affinity: asked of them, this filter was once false for every row.
#[test]
fn affinity_and_collation_count_in_a_filter() {
    let schema = "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, body TEXT COLLATE NOCASE, private INTEGER)";
    let conn = filtered(schema, "private = '0' AND body <> 'DRAFT'");
    run(&conn, "INSERT INTO t VALUES ('a', 'open', 0), ('b', 'draft', 0)");
    assert_eq!(sync(&conn), ["a:1:open:0"]);
    run(&conn, "UPDATE t SET body = 'draft' WHERE id = 'a'; UPDATE t SET body = 'done' WHERE id = 'b'");
    assert_eq!(sync(&conn), ["a:2", "b:1:done:0"]);
}

#[test]
fn the_others_row_waits_while_a_private_one_has_its_key() {
    let other = common::synced(TASKS);
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'mine', 1)");
    run(&other, "INSERT INTO t VALUES ('a', 'theirs', 0)");
    send(&other, &conn);
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["a|mine|1"]);
    assert_eq!(parked(&conn), ["a CSF01 filter"]);
    run(&conn, "DELETE FROM t");
    inbox::retry_parked(&conn, Millis(0)).unwrap();
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["a|theirs|0"]);
    assert_eq!(parked(&conn), [""; 0]);
    assert_eq!(sync(&conn), ["a:1:theirs:0"], "it is passed on; deleting the private row told nobody");
}

#[test]
fn a_private_row_that_enters_over_a_parked_one_is_its_next_state() {
    let other = common::synced(TASKS);
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'mine', 1)");
    run(&other, "INSERT INTO t VALUES ('a', 'x', 0); SELECT cloudsync_db_version(); DELETE FROM t");
    run(&other, "SELECT cloudsync_db_version(); INSERT INTO t VALUES ('a', 'theirs', 0)");
    send(&other, &conn);
    assert_eq!(parked(&conn), ["a CSF01 filter"]);
    run(&conn, "UPDATE t SET private = 0");
    assert_eq!(lives(&conn), ["a:3"]);
    common::exchange(&conn, &other);
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["a|mine|0"]);
    assert_eq!(rows(&other, "SELECT * FROM t"), ["a|mine|0"]);
}

#[test]
fn a_row_of_the_others_that_the_filter_shuts_out_is_kept_up_until_it_is_written_here() {
    let other = common::synced(TASKS);
    let conn = filtered(TASKS, "private = 0");
    run(&other, "INSERT INTO t VALUES ('a', 'one', 1), ('b', 'one', 1)");
    send(&other, &conn);
    run(&other, "UPDATE t SET body = 'two'");
    send(&other, &conn);
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["a|two|1", "b|two|1"]);
    assert_eq!((sync(&conn), lives(&conn)), (vec![], vec![]), "it is not passed on");
    run(&conn, "UPDATE t SET body = 'mine' WHERE id = 'a'; DELETE FROM t WHERE id = 'b'");
    assert_eq!(sync(&conn), [""; 0]);
    run(&other, "UPDATE t SET body = 'three'");
    send(&other, &conn);
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["a|mine|1", "b|three|1"]);
    assert_eq!(parked(&conn), ["a CSF01 filter"]);
}

#[test]
fn what_was_unsent_when_another_device_shut_the_row_out_is_kept_back() {
    let other = common::synced(TASKS);
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'one', 0)");
    sync(&conn);
    send(&conn, &other);
    run(&conn, "UPDATE t SET body = 'canary'");
    run(&other, "UPDATE t SET private = 1");
    send(&other, &conn);
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["a|canary|1"]);
    assert!(take(&conn).is_none());
    assert!(!sent::has_unsent(&conn).unwrap(), "nothing that could be sent");
    assert_eq!(outbox::unsent(&conn).unwrap(), (0, false));
}

#[test]
fn a_filter_on_a_table_with_rows_takes_nothing_from_the_others() {
    let conn = common::synced(TASKS);
    run(&conn, "INSERT INTO t VALUES ('a', 'sent', 1), ('b', 'sent', 0)");
    sync(&conn);
    run(&conn, "UPDATE t SET body = 'unsent'; INSERT INTO t VALUES ('c', 'unsent', 1)");
    set_filter(&conn, "private = 0");
    assert_eq!(sync(&conn), ["b:1:unsent"]);
    run(&conn, "UPDATE t SET body = 'canary' WHERE id = 'a'; DELETE FROM t WHERE id = 'c'");
    assert_eq!(sync(&conn), [""; 0]);
    set_filter(&conn, "private = 0 OR id = 'a'");
    assert_eq!(sync(&conn), ["a:1:canary:1"], "another filter lets it in");
    run(&conn, "INSERT INTO t VALUES ('d', 'hidden', 1); UPDATE t SET private = 1 WHERE id = 'b'");
    assert_eq!(sync(&conn), ["b:2"]);
    clear_filter(&conn);
    assert_eq!(sync(&conn), ["b:3:unsent:1", "d:1:hidden:1"]);
    run(&conn, "UPDATE t SET body = 'free' WHERE id = 'd'");
    assert_eq!(sync(&conn), ["d:1:free"]);
}

#[test]
fn rows_that_stood_there_before_are_filtered_too() {
    let conn = common::device(TASKS);
    run(&conn, "INSERT INTO t VALUES ('a', 'open', 0), ('b', 'secret', 1), ('c', 'secret', 1)");
    common::init(&conn, "t", 3);
    set_filter(&conn, "private = 0");
    assert_eq!(lives(&conn), ["a:1"]);
    run(&conn, "DELETE FROM t WHERE id = 'c'");
    assert_eq!(sync(&conn), ["a:1:open:0"]);
    run(&conn, "UPDATE t SET private = 0 WHERE id = 'b'");
    assert_eq!(sync(&conn), ["b:1:secret:0"]);
}

#[test]
fn a_leave_that_the_server_refuses_costs_nothing() {
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'open', 0)");
    sync(&conn);
    run(&conn, "UPDATE t SET body = 'secret', private = 1");
    let parcel = take(&conn).unwrap();
    let refusal = Refusal { sqlstate: "42501".to_owned(), message: "no".to_owned() };
    answer(&conn, &parcel, |_| RowResult::Refused(refusal.clone()));
    assert_eq!(rows(&conn, "SELECT * FROM t"), ["a|secret|1"]);
    let rejected = rows(&conn, "SELECT operation || columns FROM cloudsync_rejections");
    assert_eq!(rejected, [r#"delete{"id":"a"}"#]);
}

#[test]
fn gone_on_the_server_means_gone_here_but_for_private_rows() {
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'open', 0), ('b', 'open', 0)");
    sync(&conn);
    run(&conn, "UPDATE t SET private = 1 WHERE id = 'a'");
    let gone = [("t".to_owned(), (0..256u64).collect())];
    inbox::remove_gone(&conn, &gone).unwrap();
    assert_eq!(rows(&conn, "SELECT id FROM t"), ["a"]);
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let conn = common::synced(TASKS);
    let wrong = [
        "privat = 0",
        "\"privat\" = 0",
        "private = 0 AND EXISTS (SELECT 1 FROM t)",
        "private = ?1",
        "random() > 0",
        "body > datetime('now')",
        "private = 0); DROP TABLE t; --",
        "private = 0) OR (1",
        "private =",
        "count(*) > 1",
        "",
    ];
    for filter in wrong {
        let sql = format!("SELECT cloudsync_set_filter('t', '{}')", filter.replace('\'', "''"));
        let error = refused(&conn, &sql);
        assert!(error.contains("the filter of table t must be one SQL expression"), "{filter}: {error}");
    }
    let long = format!("SELECT cloudsync_set_filter('t', 'private = 0{}')", " ".repeat(2048));
    assert!(refused(&conn, &long).contains("longer than 2048 bytes"));
    assert!(refused(&conn, "SELECT cloudsync_set_filter('u', '1')").contains("not synced"));
    assert!(refused(&conn, "SELECT cloudsync_set_filter('t', NULL)").contains("must be a text"));
    assert!(
        refused(&conn, "SELECT cloudsync_set_table('t', 'filter', '1')").contains("cloudsync_set_filter")
    );
    assert_eq!(rows(&conn, "SELECT count(*) FROM cloudsync_table_settings"), ["0"]);
}

#[test]
fn a_renamed_column_stops_the_sync_until_the_filter_is_set_anew() {
    let conn = filtered(TASKS, "private = 0");
    run(&conn, "INSERT INTO t VALUES ('a', 'open', 0), ('b', 'secret', 1)");
    run(&conn, "ALTER TABLE t RENAME COLUMN private TO hidden");
    run(&conn, "UPDATE t SET body = body || '!'");
    let error = refused(&conn, "SELECT count(*) FROM cloudsync_changes");
    assert!(error.contains("does not fit it any more: call cloudsync_set_filter('t', …)"), "{error}");
    set_filter(&conn, "hidden = 0");
    assert_eq!(sync(&conn), ["a:1:open!:0"]);
    run(&conn, "UPDATE t SET hidden = 1");
    assert_eq!(sync(&conn), ["a:2"]);
}

#[test]
fn a_connection_without_the_extension_is_filtered_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let conn = Connection::open(&path).unwrap();
    sqlite_cloudsync::register(&conn).unwrap();
    run(&conn, TASKS);
    common::init(&conn, "t", 3);
    set_filter(&conn, "private = 0");
    let plain = Connection::open(&path).unwrap();
    run(&plain, "INSERT INTO t VALUES ('a', 'open', 0), ('b', 'secret', 1)");
    assert_eq!(sync(&conn), ["a:1:open:0"]);
    run(&plain, "UPDATE t SET private = 1 - private");
    assert_eq!(sync(&conn), ["a:2", "b:1:secret:0"]);
}
