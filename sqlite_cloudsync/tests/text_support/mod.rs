//! Devices with a column of text that is merged by lines.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use cloudsync_shared::hlc::Version;
use cloudsync_shared::message::Message;
use cloudsync_shared::wire;
use rusqlite::Connection;
use sqlite_cloudsync::payload;
use sqlite_cloudsync::read::{Filter, collect};

use crate::common::{rows, synced};

pub const T: &str = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT, pages INTEGER);";
pub const BLOCK: &str = "SELECT cloudsync_set_column('t', 'body', 'algo', 'block')";
pub const DOCUMENTS: &str = "SELECT count(*) FROM cloudsync_texts";

pub fn by_lines() -> Connection {
    let conn = synced(T);
    run(&conn, BLOCK);
    conn
}

pub fn run(conn: &Connection, sql: &str) {
    conn.execute_batch(sql).unwrap();
}

/// Writes on one device; what is written next, anywhere, is later.
pub fn write(conn: &Connection, sql: &str) {
    run(conn, sql);
    fold(conn);
    std::thread::sleep(Duration::from_millis(3));
}

pub fn fold(conn: &Connection) -> Version {
    let highest = conn.query_row("SELECT cloudsync_db_version()", [], |row| row.get::<_, i64>(0)).unwrap();
    Version(highest.unsigned_abs())
}

pub fn set_body(conn: &Connection, body: Option<&str>) {
    conn.execute("UPDATE t SET body = ?1", [body]).unwrap();
    write(conn, "");
}

pub fn body(conn: &Connection) -> Option<String> {
    conn.query_row("SELECT body FROM t", [], |row| row.get(0)).unwrap()
}

pub fn told(from: &Connection, since: Version) -> Vec<u8> {
    let filter = Filter { since, ..Filter::default() };
    wire::encode(&Message::Payload(collect(from, &filter).unwrap().batch)).unwrap()
}

pub fn tell(from: &Connection, to: &Connection) {
    payload::apply(to, &told(from, Version::NEVER)).unwrap();
}

pub fn exchange(a: &Connection, b: &Connection) {
    tell(a, b);
    tell(b, a);
}

/// Two devices with a row of this text.
pub fn pair(text: &str) -> [Connection; 2] {
    pair_of([by_lines(), by_lines()], text)
}

pub fn pair_of(devices: [Connection; 2], text: &str) -> [Connection; 2] {
    devices[0].execute("INSERT INTO t VALUES('x', 'title', ?1, 1)", [text]).unwrap();
    write(&devices[0], "");
    exchange(&devices[0], &devices[1]);
    devices
}

pub fn assert_both(devices: &[Connection; 2], expected: Option<&str>) {
    for device in devices {
        assert_eq!(body(device).as_deref(), expected);
    }
    let clocks = |conn: &Connection| {
        rows(
            conn,
            "SELECT tbl, pk, col_name, db_version, site_id, cl FROM cloudsync_changes ORDER BY 1, 2, 3",
        )
    };
    assert_eq!(clocks(&devices[0]), clocks(&devices[1]));
}
