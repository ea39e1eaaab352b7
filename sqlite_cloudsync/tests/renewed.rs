//! A fresh row that meets a tombstone on the server, of which this device could not know.

mod common;

use cloudsync_shared::change::{ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::hlc::Millis;
use cloudsync_shared::id::{CausalLength, RowId};
use cloudsync_shared::message::{Epoch, PushReply, RowResult};
use cloudsync_shared::value::Value;
use rusqlite::Connection;
use sqlite_cloudsync::outbox::{self, Parcel, Pass};

fn take(conn: &Connection) -> Option<Parcel> {
    outbox::take(conn, &mut Pass::default(), 1 << 20).unwrap()
}

fn row(parcel: &Parcel) -> &RowChange {
    &parcel.changes.tables[0].rows[0]
}

/// The server took the row, as the second life of its key.
fn acknowledge(conn: &Connection, parcel: &Parcel) {
    let sent = &parcel.changes.tables[0];
    let rows = vec![RowChange { row_id: Some(RowId(9)), length: CausalLength(3), ..sent.rows[0].clone() }];
    let restored = ChangeBatch { tables: vec![TableChanges { rows, ..sent.clone() }] };
    let reply = PushReply {
        epoch: Epoch([1; 16]),
        server_time: Millis(0),
        results: vec![vec![RowResult::Accepted(RowId(9))]],
        restored,
        lost: Vec::new(),
    };
    outbox::acknowledge(conn, parcel, reply, true).unwrap();
}

fn sent(conn: &Connection) -> Parcel {
    conn.execute_batch("INSERT INTO t VALUES ('k', 'a', 'b')").unwrap();
    let parcel = take(conn).unwrap();
    assert_eq!((row(&parcel).row_id, row(&parcel).length), (None, CausalLength(1)));
    parcel
}

fn device() -> Connection {
    common::synced("CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b TEXT)")
}

#[test]
fn a_row_of_a_new_life_is_sent_with_its_id_from_then_on() {
    let conn = device();
    let parcel = sent(&conn);
    acknowledge(&conn, &parcel);
    assert!(take(&conn).is_none(), "nothing is left to be sent");
    conn.execute_batch("UPDATE t SET a = 'later'").unwrap();
    let next = take(&conn).unwrap();
    assert_eq!((row(&next).row_id, row(&next).length), (Some(RowId(9)), CausalLength(3)));
    conn.execute_batch("DELETE FROM t").unwrap();
    assert_eq!(row(&take(&conn).unwrap()).length, CausalLength(4));
}

#[test]
fn an_edit_made_while_the_row_was_on_its_way_is_kept() {
    let conn = device();
    let parcel = sent(&conn);
    conn.execute_batch("UPDATE t SET a = 'meanwhile'").unwrap();
    acknowledge(&conn, &parcel);
    let a: String = conn.query_row("SELECT a FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(a, "meanwhile");
    let next = take(&conn).unwrap();
    assert_eq!((row(&next).row_id, row(&next).length), (Some(RowId(9)), CausalLength(3)));
    assert_eq!(row(&next).cells[0].value, Value::Text("meanwhile".into()));
}

#[test]
fn a_delete_made_while_the_row_was_on_its_way_is_kept() {
    let conn = device();
    let parcel = sent(&conn);
    conn.execute_batch("DELETE FROM t").unwrap();
    acknowledge(&conn, &parcel);
    let count: i64 = conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0);
    assert_eq!(row(&take(&conn).unwrap()).length, CausalLength(4));
}
