//! What a device tells of the values that its unsent cells replaced.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use cloudsync_shared::hlc::Millis;
use cloudsync_shared::id::RowId;
use cloudsync_shared::message::{Epoch, PushReply, RowResult};
use common::{rows, synced};
use rusqlite::Connection;
use sqlite_cloudsync::outbox::{self, Parcel, Pass};

const T: &str = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT, b TEXT);";

fn device() -> Connection {
    let conn = synced(T);
    conn.execute_batch("SELECT cloudsync_set_table('t', 'conflicts', 'on')").unwrap();
    conn
}

fn take(conn: &Connection) -> Parcel {
    outbox::take(conn, &mut Pass::default(), 1 << 20).unwrap().unwrap()
}

/// Whether each cell that is taken has a base.
fn has_bases(parcel: &Parcel) -> Vec<bool> {
    parcel.bases.iter().flatten().map(Option::is_some).collect()
}

fn answer(conn: &Connection, parcel: &Parcel, result: RowResult) {
    let reply = PushReply {
        epoch: Epoch([1; 16]),
        server_time: Millis(1),
        results: vec![vec![result]],
        restored: Default::default(),
        lost: Vec::new(),
    };
    outbox::acknowledge(conn, parcel, reply, false).unwrap();
}

#[test]
fn a_repeated_push_tells_of_no_bases() {
    let conn = device();
    conn.execute_batch("INSERT INTO t VALUES('x', 'a', 'b')").unwrap();
    assert_eq!(has_bases(&take(&conn)), [true, true]);
    let again = take(&conn);
    assert!(has_bases(&again).is_empty(), "the server may have had them");
    answer(&conn, &again, RowResult::Accepted(RowId(1)));
    conn.execute_batch("UPDATE t SET a = 'c'").unwrap();
    let update = take(&conn);
    assert_eq!(has_bases(&update), [true]);
    conn.execute_batch("UPDATE t SET b = 'd'").unwrap();
    assert_eq!(has_bases(&take(&conn)), [false, true], "one is repeated, one is new");
}

#[test]
fn what_is_written_while_a_push_is_under_way_replaces_what_was_sent() {
    let conn = device();
    conn.execute_batch("INSERT INTO t VALUES('x', 'a', 'b')").unwrap();
    let first = take(&conn);
    let sent = first.changes.tables[0].rows[0].cells[0].stamp;
    conn.execute_batch("UPDATE t SET a = 'c'; SELECT cloudsync_db_version()").unwrap();
    answer(&conn, &first, RowResult::Accepted(RowId(1)));
    let second = take(&conn);
    assert_eq!(second.bases, [[Some(sent), None]], "the other cell is only repeated");
    answer(&conn, &second, RowResult::Accepted(RowId(1)));
    assert_eq!(rows(&conn, "SELECT count(*) FROM cloudsync_bases"), ["0"]);
}

#[test]
fn a_refused_write_keeps_its_base_and_a_table_without_the_list_has_none() {
    let conn = device();
    conn.execute_batch("INSERT INTO t VALUES('x', 'a', 'b')").unwrap();
    let refusal = cloudsync_shared::port::Refusal { sqlstate: "23503".into(), message: "no parent".into() };
    answer(&conn, &take(&conn), RowResult::Refused(refusal));
    assert_eq!(has_bases(&take(&conn)), [true, true]);
    conn.execute_batch("SELECT cloudsync_set_table('t', 'conflicts', 'off')").unwrap();
    assert_eq!(take(&conn).bases.len(), 0);
    assert_eq!(rows(&conn, "SELECT count(*) FROM cloudsync_bases"), ["0"]);
}
