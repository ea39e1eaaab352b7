//! Texts that are merged by lines, on their way to a server and between devices: what is told of them, of
//! which size, and what is kept when a row is refused, parked, deleted or stamped anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod common;
mod text_support;

use std::time::{Duration, Instant};

use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::RowId;
use cloudsync_shared::message::{Epoch, PushReply, RowResult};
use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;
use common::{device, init, rows, synced};
use rusqlite::Connection;
use sqlite_cloudsync::outbox::{self, Parcel, Pass};
use sqlite_cloudsync::{payload, restamp};
use text_support::{
    BLOCK, DOCUMENTS, T, assert_both, body, by_lines, exchange, fold, pair, pair_of, run, set_body, tell,
    told, write,
};

fn take(conn: &Connection) -> Option<Parcel> {
    outbox::take(conn, &mut Pass::default(), 1 << 20).unwrap()
}

fn answer(conn: &Connection, parcel: &Parcel, result: RowResult) {
    let reply = PushReply {
        epoch: Epoch([1; 16]),
        server_time: Millis(1),
        results: parcel.changes.tables.iter().map(|table| vec![result.clone(); table.rows.len()]).collect(),
        restored: Default::default(),
        lost: Vec::new(),
    };
    outbox::acknowledge(conn, parcel, reply, true).unwrap();
}

#[test]
fn a_push_tells_the_lines_that_the_server_lacks() {
    let conn = by_lines();
    run(&conn, "INSERT INTO t VALUES('x', 'title', 'a' || char(10) || 'b', 1)");
    let first = take(&conn).unwrap();
    assert!(first.changes.tables[0].rows[0].texts.is_empty(), "it was never edited");
    set_body(&conn, Some("a1\nb"));
    let whole = take(&conn).unwrap();
    let delta = whole.changes.tables[0].rows[0].texts[0].delta.as_ref().unwrap();
    assert!(delta.is_complete(), "the row is unsent as a whole");
    answer(&conn, &whole, RowResult::Accepted(RowId(1)));
    assert!(take(&conn).is_none());
    set_body(&conn, Some("a1\nb1"));
    let part = take(&conn).unwrap();
    let row = &part.changes.tables[0].rows[0];
    assert_eq!((row.cells.len(), &row.cells[0].value), (1, &Value::Null));
    let delta = row.texts[0].delta.as_ref().unwrap();
    assert!(!delta.is_complete());
    assert_eq!(delta.line_count(), 1);
    set_body(&conn, Some("a2\nb1"));
    answer(&conn, &part, RowResult::Accepted(RowId(1)));
    let delta = take(&conn).unwrap().changes.tables[0].rows[0].texts[0].delta.clone().unwrap();
    assert_eq!(delta.line_count(), 2, "what was written while the push was under way is still unsent");
}

#[test]
fn a_refused_edit_is_listed_with_its_text() {
    let conn = by_lines();
    run(&conn, "INSERT INTO t VALUES('x', 'title', 'a' || char(10) || 'b', 1)");
    answer(&conn, &take(&conn).unwrap(), RowResult::Accepted(RowId(1)));
    set_body(&conn, Some("a1\nb"));
    let refusal = Refusal { sqlstate: "42501".into(), message: "no".into() };
    answer(&conn, &take(&conn).unwrap(), RowResult::Refused(refusal));
    let listed = "SELECT json_extract(columns, '$.body') FROM cloudsync_rejections";
    assert_eq!(rows(&conn, listed), ["a1\nb"]);
    assert_eq!(rows(&conn, DOCUMENTS), ["0"], "the row was rolled back");
}

#[test]
fn an_edit_under_a_clock_that_ran_ahead_is_stamped_anew_with_its_lines() {
    let devices = pair("a\nb\nc");
    set_body(&devices[0], Some("a1\nb\nc"));
    answer(&devices[0], &take(&devices[0]).unwrap(), RowResult::Accepted(RowId(1)));
    let sent = fold(&devices[0]);
    for body in ["a1\nb1\nc", "a1\nb1\nc1"] {
        set_body(&devices[0], Some(body));
    }
    // The server's clock stands where the last push was: both edits are from the future.
    restamp::restamp(&devices[0], sent.millis()).unwrap();
    let delta = take(&devices[0]).unwrap().changes.tables[0].rows[0].texts[0].delta.clone().unwrap();
    assert_eq!(delta.line_count(), 2);
    assert!(delta.highest().millis().0 <= sent.millis().0 + 1, "{delta:?}");
    assert_eq!(delta.highest(), fold(&devices[0]), "they are above everything that remains");
    set_body(&devices[1], Some("a\nb\nc\nd"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb1\nc1\nd"));
}

fn unique() -> Connection {
    let conn = synced("CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, code TEXT UNIQUE, body TEXT);");
    run(&conn, BLOCK);
    conn
}

#[test]
fn a_row_parked_with_one_line_of_its_text_comes_back_with_all() {
    let devices = [unique(), unique()];
    write(&devices[0], "INSERT INTO t VALUES('b', 'B', 'x' || char(10) || 'y')");
    exchange(&devices[0], &devices[1]);
    write(&devices[1], "INSERT INTO t VALUES('k', 'K', '')");
    let seen = fold(&devices[0]);
    write(&devices[0], "UPDATE t SET code = 'K', body = 'x1' || char(10) || 'y' WHERE id = 'b'");
    payload::apply(&devices[1], &told(&devices[0], seen)).unwrap();
    assert_eq!(rows(&devices[1], "SELECT id FROM t"), ["k"]);
    write(&devices[1], "UPDATE t SET code = 'L'");
    let seen = fold(&devices[0]);
    write(&devices[0], "INSERT INTO t VALUES('other', 'O', '')");
    payload::apply(&devices[1], &told(&devices[0], seen)).unwrap();
    assert_eq!(rows(&devices[1], "SELECT code, body FROM t WHERE id = 'b'"), ["K|x1\ny"]);
}

#[test]
fn a_row_that_loses_its_unique_value_keeps_its_lines() {
    let devices = [unique(), unique()];
    write(&devices[0], "INSERT INTO t VALUES('a', 'K', 'kept')");
    write(&devices[1], "INSERT INTO t VALUES('b', 'K', 'x' || char(10) || 'y')");
    write(&devices[1], "UPDATE t SET body = 'x1' || char(10) || 'y' WHERE id = 'b'");
    exchange(&devices[0], &devices[1]);
    tell(&devices[0], &devices[1]);
    let all = "SELECT id, body FROM t ORDER BY id";
    devices.iter().for_each(|device| assert_eq!(rows(device, all), ["a|kept"]));
    write(&devices[0], "UPDATE t SET code = 'L' WHERE id = 'a'");
    exchange(&devices[0], &devices[1]);
    devices.iter().for_each(|device| assert_eq!(rows(device, all), ["a|kept", "b|x1\ny"]));
    write(&devices[0], "UPDATE t SET body = 'x2' || char(10) || 'y' WHERE id = 'b'");
    write(&devices[1], "UPDATE t SET body = 'x1' || char(10) || 'y2' WHERE id = 'b'");
    exchange(&devices[0], &devices[1]);
    devices.iter().for_each(|device| assert_eq!(rows(device, all), ["a|kept", "b|x2\ny2"]));
}

fn that_keeps_deleted_rows() -> Connection {
    let conn = device(T);
    conn.query_row("SELECT cloudsync_init('t', 'aws', 3)", [], |_| Ok(())).unwrap();
    run(&conn, BLOCK);
    conn
}

#[test]
fn what_is_kept_of_a_deleted_row_is_not_replaced_by_an_older_text() {
    let devices = pair_of([that_keeps_deleted_rows(), that_keeps_deleted_rows()], "a\nb");
    let old = told(&devices[1], Version::NEVER);
    set_body(&devices[0], Some("a1\nb"));
    write(&devices[0], "DELETE FROM t");
    payload::apply(&devices[0], &old).unwrap();
    write(&devices[1], "UPDATE t SET title = 'late'");
    exchange(&devices[1], &devices[0]);
    assert_both(&devices, Some("a1\nb"));
}

#[test]
fn a_table_that_keeps_deleted_rows_tells_texts_whole() {
    let devices = pair_of([that_keeps_deleted_rows(), that_keeps_deleted_rows()], "a\nb");
    set_body(&devices[0], Some("a1\nb"));
    set_body(&devices[1], Some("a\nb1"));
    exchange(&devices[0], &devices[1]);
    assert_both(&devices, Some("a1\nb1"));
    write(&devices[0], "DELETE FROM t");
    set_body(&devices[1], Some("a1\nb2"));
    exchange(&devices[0], &devices[1]);
    exchange(&devices[1], &devices[0]);
    assert_both(&devices, Some("a1\nb2"));
}

fn long(lines: usize) -> String {
    (0..lines).map(|line| format!("line {line}, with as many words as lines have on average\n")).collect()
}

#[test]
fn one_line_of_many_is_told_in_few_bytes() {
    let text = long(20_000);
    let devices = pair(&text);
    let seen = fold(&devices[0]);
    set_body(&devices[0], Some(&text.replace("line 9999,", "line 9,999,")));
    let bytes = told(&devices[0], seen);
    assert!(bytes.len() < 400, "{} bytes", bytes.len());
    payload::apply(&devices[1], &bytes).unwrap();
    assert_eq!(body(&devices[0]), body(&devices[1]));
    let stored = "SELECT max(length(document)) < 200 FROM cloudsync_texts";
    devices.iter().for_each(|device| assert_eq!(rows(device, stored), ["1"]));
}

/// Run by hand in a release build: `cargo test --release … --test texts_sent -- --ignored --nocapture`.
#[test]
#[ignore = "it only measures"]
fn how_long_one_line_of_many_takes() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let conn = Connection::open(directory.path().join(name)).unwrap();
        sqlite_cloudsync::register(&conn).unwrap();
        run(&conn, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
        run(&conn, T);
        init(&conn, "t", 3);
        run(&conn, BLOCK);
        conn
    };
    let (a, b, plain) =
        (open("a.db"), open("b.db"), Connection::open(directory.path().join("p.db")).unwrap());
    run(&plain, T);
    run(&plain, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    let mut text = long(20_000);
    for conn in [&a, &plain] {
        conn.execute("INSERT INTO t VALUES('x', 'title', ?1, 1)", [&text]).unwrap();
    }
    set_body(&a, Some(&text.replace("line 5,", "line 5:")));
    text = text.replace("line 5,", "line 5:");
    let (bytes, took) = timed(|| told(&a, Version::NEVER));
    println!("text {} bytes; encode whole {took:?}, {} bytes", text.len(), bytes.len());
    println!("first apply of the whole {:?}", timed(|| payload::apply(&b, &bytes).unwrap()).1);
    for round in 0..6 {
        let seen = fold(&a);
        text = text.replace(&format!("line {}", 7_000 + round), &format!("edited {}", 7_000 + round));
        let update = |conn: &Connection| timed(|| conn.execute("UPDATE t SET body = ?1", [&text]).unwrap()).1;
        let (on_plain, on_a) = (update(&plain), update(&a));
        let folded = timed(|| fold(&a)).1;
        let (bytes, encoded) = timed(|| told(&a, seen));
        let applied = timed(|| payload::apply(&b, &bytes).unwrap()).1;
        println!(
            "update {on_a:?} (plain {on_plain:?}), fold {folded:?}, encode {encoded:?} ({} bytes), apply {applied:?}",
            bytes.len()
        );
    }
    assert_eq!(body(&a), body(&b));
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let done = work();
    (done, begin.elapsed())
}
