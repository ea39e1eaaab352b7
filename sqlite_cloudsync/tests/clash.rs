//! Rows with one unique value, made by devices that exchange payloads without a server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{rows, send, synced};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, code TEXT UNIQUE, note TEXT);";
const ALL: &str = "SELECT id, code, note FROM t ORDER BY id";
const PARKED: &str = "SELECT cloudsync_pk_decode(pk, 1) || ' ' || sqlstate FROM cloudsync_parked ORDER BY 1";

fn devices() -> [Connection; 3] {
    [synced(T), synced(T), synced(T)]
}

/// Writes on one device; what is written next, anywhere, is later.
fn write(conn: &Connection, sql: &str) {
    conn.execute_batch(sql).unwrap();
    conn.query_row("SELECT cloudsync_db_version()", [], |_| Ok(())).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
}

/// Everybody sends to everybody, in this order of pairs, until nothing can change any more.
fn mingle(devices: &[Connection; 3], order: [(usize, usize); 6]) {
    for _ in 0..4 {
        order.iter().for_each(|(from, to)| send(&devices[*from], &devices[*to]));
    }
}

const ORDERS: [[(usize, usize); 6]; 3] = [
    [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)],
    [(2, 1), (1, 0), (0, 2), (2, 0), (1, 2), (0, 1)],
    [(0, 2), (2, 1), (1, 2), (1, 0), (2, 0), (0, 1)],
];

fn assert_all(devices: &[Connection; 3], stands: &[&str], parked: &[&str]) {
    for device in devices {
        assert_eq!((rows(device, ALL), rows(device, PARKED)), (own(stands), own(parked)));
    }
}

fn own(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn of_two_inserts_the_later_loses_everywhere_in_whatever_order_they_meet() {
    for order in ORDERS {
        let devices = devices();
        write(&devices[0], "INSERT INTO t VALUES('first', 'K', 'a')");
        write(&devices[1], "INSERT INTO t VALUES('later', 'K', 'b')");
        write(&devices[2], "INSERT INTO t VALUES('last', 'K', 'c'), ('other', 'L', 'd')");
        mingle(&devices, order);
        assert_all(&devices, &["first|K|a", "other|L|d"], &["last 23505", "later 23505"]);
        // The value is free again: the next in time gets it, with what was written to it meanwhile.
        write(&devices[2], "DELETE FROM t WHERE id = 'first'");
        mingle(&devices, order);
        assert_all(&devices, &["later|K|b", "other|L|d"], &["last 23505"]);
        write(&devices[1], "UPDATE t SET code = 'M' WHERE id = 'later'");
        mingle(&devices, order);
        assert_all(&devices, &["last|K|c", "later|M|b", "other|L|d"], &[]);
    }
}

#[test]
fn an_update_that_takes_anothers_value_loses_everywhere() {
    for order in ORDERS {
        let devices = devices();
        write(&devices[0], "INSERT INTO t VALUES('a', 'A', 'a'), ('b', 'B', 'b')");
        mingle(&devices, order);
        write(&devices[1], "INSERT INTO t VALUES('k', 'K', 'k')");
        write(&devices[0], "UPDATE t SET code = 'K' WHERE id = 'a'");
        write(&devices[2], "UPDATE t SET note = 'edited' WHERE id = 'a'");
        mingle(&devices, order);
        assert_all(&devices, &["b|B|b", "k|K|k"], &["a 23505"]);
        write(&devices[1], "UPDATE t SET code = 'L' WHERE id = 'k'");
        mingle(&devices, order);
        assert_all(&devices, &["a|K|edited", "b|B|b", "k|L|k"], &[]);
    }
}

#[test]
fn rows_that_two_devices_crosswise_give_one_anothers_value_end_the_same() {
    for order in ORDERS {
        let devices = devices();
        write(&devices[0], "INSERT INTO t VALUES('a', 'A', ''), ('b', 'B', '')");
        mingle(&devices, order);
        write(
            &devices[0],
            "UPDATE t SET code = 'x' WHERE id = 'a'; UPDATE t SET code = 'A' WHERE id = 'b'; \
                            UPDATE t SET code = 'B' WHERE id = 'a'",
        );
        write(&devices[1], "UPDATE t SET code = 'C' WHERE id = 'b'");
        mingle(&devices, order);
        assert_all(&devices, &["a|B|", "b|C|"], &[]);
    }
}

#[test]
fn a_partial_index_and_a_collation_tell_rivals_as_they_do() {
    let schema = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, code TEXT COLLATE NOCASE, note TEXT);
                  CREATE UNIQUE INDEX u ON t(code) WHERE note = 'live';";
    let devices = [synced(schema), synced(schema), synced(schema)];
    write(&devices[0], "INSERT INTO t VALUES('first', 'k', 'live'), ('dead', 'K', 'dead')");
    write(&devices[1], "INSERT INTO t VALUES('later', 'K', 'live')");
    mingle(&devices, ORDERS[0]);
    assert_all(&devices, &["dead|K|dead", "first|k|live"], &["later 23505"]);
}

#[test]
fn a_row_that_a_check_refuses_is_parked_and_comes_when_it_is_mended() {
    let strict =
        "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, code TEXT UNIQUE, note TEXT CHECK (note <> 'bad'));";
    let (a, b) = (synced(T), synced(strict));
    write(&a, "INSERT INTO t VALUES('x', 'X', 'bad')");
    send(&a, &b);
    assert_eq!((rows(&b, ALL), rows(&b, PARKED)), (own(&[]), own(&["x 23514"])));
    write(&a, "UPDATE t SET note = 'good'");
    send(&a, &b);
    assert_eq!((rows(&b, ALL), rows(&b, PARKED)), (own(&["x|X|good"]), own(&[])));
}
