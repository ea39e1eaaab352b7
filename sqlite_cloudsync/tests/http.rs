//! Sync over HTTP against a server that fails by script.

mod common;
mod http_server;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{init, rows};
use http_server::{Act, Server, refusal};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT);";
const UNAVAILABLE: Act = Act::Answer(503, "", "text/html", "<h1>503</h1>");

/// A device with these many rows of about a hundred bytes, that knows the server.
fn device(server: &Server, count: usize) -> Connection {
    let conn = common::device(T);
    init(&conn, "t", 0);
    let sql = format!(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO t SELECT printf('%06d', i), hex(randomblob(50)) FROM n WHERE i <= {count}"
    );
    conn.execute_batch(&sql).unwrap();
    connect(&conn, server);
    conn
}

fn connect(conn: &Connection, server: &Server) {
    call(conn, "cloudsync_network_init", &server.url);
}

fn call(conn: &Connection, function: &str, argument: &str) {
    conn.query_row(&format!("SELECT {function}(?1)"), [argument], |row| row.get::<_, i64>(0)).unwrap();
}

fn set(conn: &Connection, key: &str, value: i64) {
    conn.query_row("SELECT cloudsync_set(?1, ?2)", (key, value), |_| Ok(())).unwrap();
}

/// One sync, without the outer retry.
fn sync(conn: &Connection) -> Result<serde_json::Value, String> {
    let text: String = conn
        .query_row("SELECT cloudsync_network_sync(0, 0)", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&text).unwrap())
}

#[test]
fn requests_are_binary_and_carry_each_secret_in_its_header() {
    let server = Server::start([]);
    let conn = device(&server, 3);
    call(&conn, "cloudsync_network_set_apikey", "sb_publishable_x");
    sync(&conn).unwrap();
    call(&conn, "cloudsync_network_set_token", "a.b.c");
    sync(&conn).unwrap();
    let seen = server.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    let (push, pull) = ("/rpc/cloudsync_push", "/rpc/cloudsync_pull");
    assert_eq!(paths[..3], [pull, push, pull]);
    for seen in &seen {
        assert_eq!(seen.header("content-type"), Some("application/octet-stream"));
        assert_eq!(seen.header("accept"), Some("application/octet-stream"));
        assert_eq!(seen.header("apikey"), Some("sb_publishable_x"));
        assert_eq!(seen.header("content-profile"), None);
    }
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen.last().unwrap().header("authorization"), Some("Bearer a.b.c"));
    assert_eq!(server.rows(), 3);
}

#[test]
fn one_connection_serves_many_requests() {
    let server = Server::start([UNAVAILABLE]);
    let conn = device(&server, 3);
    for _ in 0..3 {
        sync(&conn).unwrap();
    }
    assert!(server.seen().iter().all(|seen| seen.connection == 0), "{:?}", server.seen().len());
}

#[test]
fn the_report_counts_the_writes_that_were_just_sent() {
    let server = Server::start([]);
    let conn = device(&server, 3);
    for _ in 0..2 {
        let send = &sync(&conn).unwrap()["send"];
        assert_eq!(send["serverVersion"], send["localVersion"], "{send}");
        conn.execute_batch("UPDATE t SET a = a || '!'").unwrap();
    }
}

#[test]
fn what_may_pass_is_tried_again() {
    let deadlock = refusal(500, r#"{"code":"40P01","message":"deadlock detected"}"#);
    let no_pool = refusal(504, r#"{"code":"PGRST003","message":"Timed out acquiring connection"}"#);
    for fault in [UNAVAILABLE, Act::Cut, Act::CutAnswer, deadlock, no_pool] {
        // The first pull, the push, and the last pull each fail twice.
        let acts =
            [fault.clone(), fault.clone(), Act::Serve, fault.clone(), fault.clone(), Act::Serve, fault];
        let server = Server::start(acts);
        let conn = device(&server, 3);
        assert_eq!(sync(&conn).unwrap()["send"]["status"], "synced");
        assert_eq!(server.left(), 0);
    }
}

#[test]
fn what_does_not_pass_is_not_tried_again() {
    for (fault, part) in [
        (refusal(404, r#"{"code":"PGRST202","message":"no such function"}"#), "migration"),
        (refusal(401, r#"{"code":"PGRST303","message":"JWT expired"}"#), "cloudsync_network_set_token"),
        (refusal(403, r#"{"code":"42501","message":"permission denied for table t"}"#), "permission denied"),
        (refusal(400, r#"{"code":"22P02","message":"invalid input"}"#), "22P02"),
        (refusal(200, "\"\\\\x00\""), "migration"),
        (Act::Answer(200, "", "text/html", "<h1>Log in to the hotel</h1>"), "text/html"),
        (Act::Answer(302, "location: /login\r\n", "text/html", ""), "redirects"),
    ] {
        let server = Server::start([fault]);
        let conn = device(&server, 1);
        let error = sync(&conn).unwrap_err();
        assert!(error.contains(part), "{error}");
        assert_eq!(server.seen().len(), 1);
        // It is an error of this call, not of the device.
        sync(&conn).unwrap();
    }
}

#[test]
fn attempts_are_bounded() {
    let server = Server::start(std::iter::repeat_n(Act::Cut, 100));
    let conn = device(&server, 1);
    let error = sync(&conn).unwrap_err();
    assert!(error.contains("127.0.0.1"), "{error}");
    assert_eq!(server.seen().len(), 6);
}

#[test]
fn the_server_chooses_the_pause_if_it_is_short() {
    let after =
        |seconds| Act::Answer(503, seconds, "application/json", r#"{"code":"PGRST001","message":"m"}"#);
    let server = Server::start([after("retry-after: 1\r\n"), Act::Serve]);
    let conn = device(&server, 1);
    sync(&conn).unwrap();
    server.next([after("retry-after: 3600\r\n")]);
    let error = sync(&conn).unwrap_err();
    assert!(error.contains("3600 seconds"), "{error}");
}

#[test]
fn a_request_that_is_too_large_is_halved_until_it_fits() {
    let server = Server::start([]);
    server.limit_bodies(20_000);
    let conn = device(&server, 5_000);
    let report = sync(&conn).unwrap();
    assert_eq!(report["send"]["status"], "synced", "{report}");
    assert_eq!(server.rows(), 5_000);
    let refused = server.seen().iter().filter(|seen| seen.body.len() > 20_000).count();
    assert!((1..60).contains(&refused), "{refused} of {}", server.seen().len());
}

#[test]
fn a_request_that_takes_too_long_is_halved() {
    let server = Server::start([]);
    server.limit_rows(3);
    let conn = device(&server, 40);
    assert_eq!(sync(&conn).unwrap()["send"]["status"], "synced");
    assert_eq!(server.rows(), 40);
    // Not even one row: an error that names the table, not a loop.
    server.limit_rows(0);
    conn.execute_batch("INSERT INTO t VALUES ('x', 'y')").unwrap();
    let error = sync(&conn).unwrap_err();
    assert!(error.contains("57014") && error.contains("table t"), "{error}");
}

#[test]
fn a_row_that_is_too_large_holds_up_no_other() {
    let server = Server::start([]);
    server.limit_bodies(20_000);
    let conn = device(&server, 100);
    conn.execute_batch("INSERT INTO t VALUES ('0000005x', hex(randomblob(50000)))").unwrap();
    let report = sync(&conn).unwrap();
    assert_eq!(report["send"]["status"], "out-of-sync");
    let failure = report["send"]["lastFailure"].as_str().unwrap();
    assert!(failure.contains("table t") && failure.contains("too large"), "{failure}");
    assert_eq!(server.rows(), 100);
    assert_eq!(rows(&conn, "SELECT count(*) FROM t"), ["101"]);
    // With a larger limit it goes.
    server.limit_bodies(1 << 20);
    assert_eq!(sync(&conn).unwrap()["send"]["status"], "synced");
    assert_eq!(server.rows(), 101);
}

/// The rows of a transaction that stay together cannot be sent in smaller pieces.
#[test]
fn a_transaction_that_is_too_large_holds_up_no_other() {
    let server = Server::start([]);
    server.limit_bodies(20_000);
    let conn = device(&server, 100);
    sync(&conn).unwrap();
    conn.execute_batch(
        "SELECT cloudsync_set_table('t', 'atomic', '1');
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 50)
             INSERT INTO t SELECT 'large' || n, hex(randomblob(1000)) FROM n;
         INSERT INTO t VALUES ('small', 'y')",
    )
    .unwrap();
    let report = sync(&conn).unwrap();
    let failure = report["send"]["lastFailure"].as_str().unwrap();
    assert!(failure.contains("a transaction on table t is too large"), "{failure}");
    assert_eq!(server.rows(), 101);
    assert_eq!(rows(&conn, "SELECT count(*) FROM t"), ["151"]);
    server.limit_bodies(1 << 20);
    assert_eq!(sync(&conn).unwrap()["send"]["status"], "synced");
    assert_eq!(server.rows(), 151);
}

#[test]
fn a_row_of_before_the_sync_that_is_too_large_is_not_forgotten() {
    let server = Server::start([]);
    server.limit_bodies(20_000);
    let conn = common::device(T);
    conn.execute_batch("INSERT INTO t VALUES ('a', hex(randomblob(50000))), ('b', 'small')").unwrap();
    init(&conn, "t", 0);
    connect(&conn, &server);
    assert_eq!(sync(&conn).unwrap()["send"]["status"], "out-of-sync");
    assert_eq!(server.rows(), 1);
    server.limit_bodies(1 << 20);
    assert_eq!(sync(&conn).unwrap()["send"]["status"], "synced");
    assert_eq!(server.rows(), 2);
}

#[test]
fn a_slow_answer_is_waited_for_while_bytes_come() {
    let server = Server::start([Act::Drip(Duration::from_millis(2))]);
    sync(&device(&server, 1)).unwrap();
}

#[test]
fn a_silent_server_is_given_up() {
    let server = Server::start(std::iter::repeat_n(Act::Stall(Duration::from_secs(5)), 6));
    let conn = device(&server, 1);
    set(&conn, "network_silence_timeout_ms", 100);
    let error = sync(&conn).unwrap_err();
    assert!(error.contains("too long to answer"), "{error}");
}

#[test]
fn a_redirect_never_carries_the_token_to_another_host() {
    let thief = Server::start([]);
    let location: &'static str = format!("location: {}/rpc/cloudsync_pull\r\n", thief.url).leak();
    for status in [301, 302, 307, 308] {
        let server = Server::start([Act::Answer(status, location, "text/html", "")]);
        let conn = device(&server, 1);
        call(&conn, "cloudsync_network_set_token", "a.b.c");
        let error = sync(&conn).unwrap_err();
        assert!(error.contains(&thief.url), "{error}");
    }
    assert!(thief.seen().is_empty());
}

#[test]
fn secrets_are_in_no_error() {
    let echo =
        refusal(400, r#"{"code":"22P02","message":"bad token eyJsecret.b.c","hint":"sb_secret_hush?"}"#);
    let server = Server::start([echo]);
    let conn = device(&server, 1);
    call(&conn, "cloudsync_network_set_apikey", "sb_secret_hush");
    call(&conn, "cloudsync_network_set_token", "eyJsecret.b.c");
    let error = sync(&conn).unwrap_err();
    assert!(error.contains("bad token ***") && !error.contains("secret_hush"), "{error}");
}

#[test]
fn who_is_not_there_is_named() {
    let conn = common::device(T);
    init(&conn, "t", 0);
    call(&conn, "cloudsync_network_init", "https://nowhere.invalid");
    let error = sync(&conn).unwrap_err();
    assert!(error.contains("nowhere.invalid cannot be found"), "{error}");
}

#[test]
fn an_application_is_asked_for_a_new_token_once() {
    let expired = refusal(401, r#"{"code":"PGRST303","message":"JWT expired"}"#);
    let server = Server::start([expired.clone()]);
    let conn = Connection::open_in_memory().unwrap();
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    let provider: sqlite_cloudsync::network::TokenProvider = Arc::new(move || {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(format!("token.number.{number}"))
    });
    let callbacks = sqlite_cloudsync::network::Callbacks { token: Some(provider), ..Default::default() };
    sqlite_cloudsync::register_with(&conn, callbacks).unwrap();
    conn.execute_batch(T).unwrap();
    init(&conn, "t", 0);
    connect(&conn, &server);
    sync(&conn).unwrap();
    let tokens: Vec<_> =
        server.seen().iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(tokens[..2], ["Bearer token.number.0", "Bearer token.number.1"]);
    assert!(tokens[2..].iter().all(|token| token == "Bearer token.number.1"));
    server.next([expired.clone(), expired]);
    assert!(sync(&conn).unwrap_err().contains("PGRST303"));
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[test]
fn an_interrupt_ends_a_wait_for_the_server() {
    let (here, is_here) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let server = Server::start([Act::Hold(here, Arc::new(Mutex::new(may_go_on)))]);
    let conn = device(&server, 1);
    let handle = conn.get_interrupt_handle();
    let waiter = std::thread::spawn(move || {
        is_here.recv().unwrap();
        handle.interrupt();
    });
    let error = sync(&conn).unwrap_err();
    waiter.join().unwrap();
    assert!(error.contains("interrupted"), "{error}");
    assert!(conn.is_autocommit());
    drop(go_on);
    // The next call is another one.
    sync(&conn).unwrap();
}

#[test]
fn an_interrupt_ends_a_pause_between_attempts() {
    let server = Server::start([Act::Answer(503, "retry-after: 30\r\n", "text/html", "")]);
    let conn = device(&server, 1);
    let handle = conn.get_interrupt_handle();
    let seen = server.url.clone();
    let watched = Arc::new(server);
    let watching = watched.clone();
    let waiter = std::thread::spawn(move || {
        while watching.seen().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Between the answer and the pause lies no time that could be waited for: more than once.
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(20));
            handle.interrupt();
        }
    });
    let error = sync(&conn).unwrap_err();
    waiter.join().unwrap();
    assert!(error.contains("interrupted"), "{error} {seen}");
    assert_eq!(watched.seen().len(), 1);
}

#[test]
fn others_write_while_the_server_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    for journal in ["DELETE", "WAL"] {
        let (here, is_here) = channel();
        let (go_on, may_go_on) = channel();
        let hold = Act::Hold(here, Arc::new(Mutex::new(may_go_on)));
        let server = Server::start([hold.clone(), hold.clone(), hold]);
        let path = directory.path().join(journal);
        let conn = Connection::open(&path).unwrap();
        sqlite_cloudsync::register(&conn).unwrap();
        conn.execute_batch(&format!("PRAGMA journal_mode = {journal}; {T}")).unwrap();
        init(&conn, "t", 0);
        conn.execute_batch("INSERT INTO t VALUES ('a', 'b')").unwrap();
        connect(&conn, &server);
        let other = Connection::open(&path).unwrap();
        other.busy_timeout(Duration::ZERO).unwrap();
        let syncing = std::thread::spawn(move || sync(&conn).map(drop));
        for row in 0..3 {
            is_here.recv().unwrap();
            other.execute("INSERT INTO t VALUES (?1, 'written meanwhile')", [row.to_string()]).unwrap();
            go_on.send(()).unwrap();
        }
        syncing.join().unwrap().unwrap();
        assert_eq!(server.left(), 0);
    }
}
