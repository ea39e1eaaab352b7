//! Tables mapped to others of the server: what is asked, what is answered, and a mapping that changes meanwhile.

mod common;
mod http_server;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use cloudsync_shared::message::Message;
use cloudsync_shared::wire;
use common::{init, refused, rows};
use http_server::{Act, Seen, Server};
use rusqlite::Connection;

fn device(path: &std::path::Path, server: &Server) -> Connection {
    let conn = open(path);
    conn.execute_batch("CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT)").unwrap();
    init(&conn, "t", 0);
    map(&conn, "sales");
    conn.query_row("SELECT cloudsync_network_init(?1)", [&server.url], |row| row.get::<_, i64>(0)).unwrap();
    conn
}

fn open(path: &std::path::Path) -> Connection {
    let conn = Connection::open(path).unwrap();
    sqlite_cloudsync::register(&conn).unwrap();
    conn
}

fn map(conn: &Connection, place: &str) {
    conn.query_row("SELECT cloudsync_set_schema('t', ?1)", [place], |row| row.get::<_, i64>(0)).unwrap();
}

fn sync(conn: &Connection) -> Result<String, String> {
    conn.query_row("SELECT cloudsync_network_sync(0, 0)", [], |row| row.get(0))
        .map_err(|error| error.to_string())
}

/// The tables that a request names.
fn named(seen: &Seen) -> Vec<String> {
    match wire::decode(&seen.body).unwrap() {
        Message::PushRequest(push) => push.changes.tables.into_iter().map(|table| table.table).collect(),
        Message::PullRequest(pull) => pull.tables,
        Message::GoneRequest(gone) => gone.held.into_iter().map(|(table, _)| table).collect(),
        other => panic!("not a request: {other:?}"),
    }
}

#[test]
fn every_request_names_the_server_s_table() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start([]);
    let conn = device(&directory.path().join("a.db"), &server);
    conn.execute_batch("INSERT INTO t VALUES ('a', 'b')").unwrap();
    sync(&conn).unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 3, "a pull, a push, a pull");
    for seen in &seen {
        assert_eq!(named(seen), [r#""sales"."t""#]);
    }
}

#[test]
fn a_mapping_that_changes_while_the_server_is_asked_ends_the_sync() {
    let directory = tempfile::tempdir().unwrap();
    // Of a first sync, the download before the push, the push, and the download after it.
    for request in 0..3 {
        let (here, is_here) = channel();
        let (go_on, may_go_on) = channel();
        let hold = Act::Hold(here, Arc::new(Mutex::new(may_go_on)));
        let server = Server::start(vec![Act::Serve; request].into_iter().chain([hold]));
        let path = directory.path().join(format!("{request}.db"));
        let conn = device(&path, &server);
        conn.execute_batch("INSERT INTO t VALUES ('a', 'b')").unwrap();
        let other = open(&path);
        let syncing = std::thread::spawn(move || {
            let outcome = sync(&conn);
            (conn, outcome)
        });
        is_here.recv().unwrap();
        map(&other, "other");
        go_on.send(()).unwrap();
        let (conn, outcome) = syncing.join().unwrap();
        let error = outcome.unwrap_err();
        assert!(
            error.contains("was mapped to another") && error.contains("sync again"),
            "{request}: {error}"
        );
        assert_eq!(rows(&conn, "SELECT row_id FROM t_cloudsync WHERE row_id IS NOT NULL"), [""; 0]);
        let before = server.seen().len();
        sync(&conn).unwrap();
        let seen = server.seen();
        let after = &seen[before..];
        assert!(after.iter().any(|seen| seen.rows() == Some(1)), "the row goes to the other table");
        assert!(after.iter().all(|seen| named(seen) == [r#""other"."t""#]));
    }
}

#[test]
fn a_setting_that_is_no_name_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start([]);
    let conn = device(&directory.path().join("a.db"), &server);
    conn.execute_batch("UPDATE cloudsync_table_settings SET value = 'sales' WHERE key = 'server_table'")
        .unwrap();
    assert!(refused(&conn, "SELECT cloudsync_table_schema('t')").contains("delete it from"));
}
