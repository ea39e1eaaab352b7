//! The table setting `atomic`: which rows are told to be of one transaction.

mod common;

use std::collections::BTreeMap;

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::hlc::Millis;
use cloudsync_shared::message::{Epoch, PushReply, RowResult};
use cloudsync_shared::port::Refusal;
use common::{init, refused, rows};
use rusqlite::Connection;
use sqlite_cloudsync::outbox::{self, Parcel, Pass};

const SCHEMA: &str = "
    CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, u TEXT UNIQUE);
    CREATE TABLE line (id TEXT PRIMARY KEY NOT NULL, t TEXT);
    CREATE TABLE plain (id TEXT PRIMARY KEY NOT NULL, a TEXT);";

fn prepare(conn: &Connection) {
    for table in ["t", "line", "plain"] {
        init(conn, table, 3);
    }
    for table in ["t", "line"] {
        conn.query_row("SELECT cloudsync_set_table(?1, 'atomic', '1')", [table], |_| Ok(())).unwrap();
    }
}

fn device() -> Connection {
    let conn = common::device(SCHEMA);
    prepare(&conn);
    conn
}

fn run(conn: &Connection, sql: &str) {
    conn.execute_batch(sql).unwrap();
}

fn take(conn: &Connection) -> Parcel {
    outbox::take(conn, &mut Pass::default(), 1 << 20).unwrap().unwrap()
}

/// The keys of each group, sorted, and of the rows without one.
fn groups(parcel: &Parcel) -> (Vec<String>, String) {
    let mut by_number: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (at, table) in parcel.changes.tables.iter().enumerate() {
        for (row, change) in table.rows.iter().enumerate() {
            let number = parcel.groups.get(at).map_or(0, |numbers| numbers[row]);
            let key = String::from_utf8_lossy(&change.key.0[2..]).into_owned();
            by_number.entry(number).or_default().push(key);
        }
    }
    let joined = |mut keys: Vec<String>| {
        keys.sort();
        keys.join(" ")
    };
    let without = joined(by_number.remove(&0).unwrap_or_default());
    let mut groups: Vec<String> = by_number.into_values().map(joined).collect();
    groups.sort();
    (groups, without)
}

fn told(conn: &Connection) -> (Vec<String>, String) {
    groups(&take(conn))
}

fn of(groups: &[&str], without: &str) -> (Vec<String>, String) {
    (groups.iter().map(|group| (*group).to_owned()).collect(), without.to_owned())
}

#[test]
fn a_transaction_is_a_group_across_tables() {
    let conn = device();
    run(&conn, "BEGIN; INSERT INTO t VALUES ('o1', 'a', 'u1'); INSERT INTO plain VALUES ('p', 'a')");
    run(&conn, "INSERT INTO line VALUES ('l1', 'o1'), ('l2', 'o1'); COMMIT");
    run(&conn, "INSERT INTO line VALUES ('l3', 'o1')");
    run(&conn, "INSERT INTO line VALUES ('l4', 'o1'), ('l5', 'o1')");
    assert_eq!(told(&conn), of(&["l1 l2 o1", "l3", "l4 l5"], "p"));
}

#[test]
fn a_row_of_two_transactions_joins_them() {
    let conn = device();
    run(&conn, "BEGIN; INSERT INTO t VALUES ('a', '', '1'), ('b', '', '2'); COMMIT");
    run(&conn, "BEGIN; INSERT INTO t VALUES ('c', '', '3'), ('d', '', '4'); COMMIT");
    run(&conn, "BEGIN; INSERT INTO t VALUES ('e', '', '5'), ('f', '', '6'); COMMIT");
    assert_eq!(told(&conn), of(&["a b", "c d", "e f"], ""));
    run(&conn, "BEGIN; UPDATE t SET a = 'x' WHERE id IN ('b', 'c'); COMMIT");
    run(&conn, "DELETE FROM t WHERE id = 'a'");
    assert_eq!(told(&conn), of(&["a b c d", "e f"], ""));
}

#[test]
fn what_is_rolled_back_is_in_no_group() {
    let conn = device();
    run(
        &conn,
        "BEGIN; INSERT INTO t VALUES ('a', '', '1'); SAVEPOINT s; INSERT INTO t VALUES ('b', '', '2')",
    );
    run(&conn, "ROLLBACK TO s; INSERT INTO t VALUES ('c', '', '3'); RELEASE s; COMMIT");
    run(&conn, "BEGIN; INSERT INTO t VALUES ('d', '', '4'); ROLLBACK");
    run(&conn, "BEGIN; INSERT INTO t VALUES ('e', '', '5')");
    assert!(!refused(&conn, "INSERT INTO t VALUES ('f', '', '5')").is_empty());
    run(&conn, "INSERT INTO t VALUES ('g', '', '6'); COMMIT");
    assert!(!refused(&conn, "INSERT INTO t VALUES ('h', '', '6')").is_empty());
    run(&conn, "INSERT INTO t VALUES ('i', '', '7')");
    run(
        &conn,
        "SAVEPOINT s; INSERT INTO t VALUES ('j', '', '8'); INSERT INTO t VALUES ('k', '', '9'); RELEASE s",
    );
    assert_eq!(told(&conn), of(&["a c", "e g", "i", "j k"], ""));
}

#[test]
fn a_fold_within_a_transaction_does_not_split_it() {
    let conn = device();
    run(&conn, "BEGIN; INSERT INTO t VALUES ('a', '', '1')");
    assert_eq!(rows(&conn, "SELECT cloudsync_db_version() > 0"), ["1"]);
    run(&conn, "INSERT INTO line VALUES ('b', 'a'); COMMIT");
    assert_eq!(told(&conn), of(&["a b"], ""));
}

#[test]
fn what_replace_removes_and_triggers_write_belongs_to_it() {
    let conn = device();
    run(
        &conn,
        "CREATE TRIGGER log AFTER INSERT ON t BEGIN INSERT INTO line VALUES ('l' || NEW.id, NEW.id); END",
    );
    run(&conn, "INSERT INTO t VALUES ('a', '', '1')");
    run(&conn, "PRAGMA trusted_schema = OFF; INSERT OR REPLACE INTO t VALUES ('b', '', '1')");
    run(&conn, "INSERT INTO t VALUES ('c', '', '3')");
    assert_eq!(told(&conn), of(&["a b la lb", "c lc"], ""));
}

#[test]
fn a_connection_without_the_extension_is_refused() {
    let path = std::env::temp_dir().join(format!("cloudsync_atomic_{}.db", std::process::id()));
    let [one, two] = [(); 2].map(|()| {
        let conn = Connection::open(&path).unwrap();
        sqlite_cloudsync::register(&conn).unwrap();
        conn
    });
    one.execute_batch(SCHEMA).unwrap();
    prepare(&one);
    let plain = Connection::open(&path).unwrap();
    assert!(refused(&plain, "INSERT INTO t VALUES ('x', '', '0')").contains("cloudsync_transaction"));
    run(&plain, "INSERT INTO plain VALUES ('p', '')");
    for (number, conn) in [&one, &two, &one, &two].into_iter().enumerate() {
        run(conn, &format!("BEGIN; INSERT INTO t VALUES ('a{number}', '', 'a{number}')"));
        run(conn, &format!("INSERT INTO t VALUES ('b{number}', '', 'b{number}'); COMMIT"));
    }
    assert_eq!(told(&two), of(&["a0 b0", "a1 b1", "a2 b2", "a3 b3"], "p"));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_setting_is_turned_off_and_survives_alters_and_logouts() {
    let conn = device();
    run(&conn, "BEGIN; INSERT INTO t VALUES ('a', '', '1'); INSERT INTO line VALUES ('b', 'a'); COMMIT");
    assert!(refused(&conn, "SELECT cloudsync_set_table('t', 'atomic', 'maybe')").contains("1 or 0"));
    run(&conn, "SELECT cloudsync_set_table('t', 'ATOMIC', NULL)");
    run(&conn, "BEGIN; INSERT INTO t VALUES ('c', '', '2'); INSERT INTO line VALUES ('d', 'a'); COMMIT");
    assert_eq!(told(&conn), of(&["b", "d"], "a c"));
    run(&conn, "SELECT cloudsync_set_table('t', 'atomic', 1)");
    run(&conn, "ALTER TABLE t ADD COLUMN late TEXT; ALTER TABLE line RENAME COLUMN t TO of_t");
    run(&conn, "BEGIN; UPDATE t SET late = 'x'; INSERT INTO line VALUES ('e', 'a'); COMMIT");
    assert_eq!(told(&conn), of(&["a c e", "b", "d"], ""));
    run(&conn, "SELECT cloudsync_network_logout()");
    run(&conn, "BEGIN; INSERT INTO t VALUES ('a', '', '1', ''); INSERT INTO line VALUES ('b', 'a'); COMMIT");
    assert_eq!(told(&conn), of(&["a b"], ""));
    run(&conn, "SELECT cloudsync_cleanup('t'); SELECT cloudsync_init('t', 'cls', 3)");
    run(&conn, "BEGIN; INSERT INTO t VALUES ('z', '', '9', ''); INSERT INTO line VALUES ('y', 'a'); COMMIT");
    assert_eq!(told(&conn).0, of(&["b", "y"], "").0);
}

#[test]
fn a_parcel_has_all_of_a_group_or_nothing() {
    let conn = device();
    for group in 0..40 {
        run(
            &conn,
            &format!(
                "BEGIN; INSERT INTO t SELECT '{group}-' || value, 'some text', NULL FROM json_each('[1,2,3]')"
            ),
        );
        run(
            &conn,
            &format!(
                "INSERT INTO line VALUES ('l{group}', 'x'); COMMIT; INSERT INTO plain VALUES ('p{group}', 'x')"
            ),
        );
    }
    run(&conn, "DELETE FROM plain WHERE id IN ('p3', 'p4')");
    let mut pass = Pass::default();
    let (mut grouped, mut without, mut parcels) = (Vec::new(), 0, 0);
    while let Some(parcel) = outbox::take(&conn, &mut pass, 700).unwrap() {
        let lengths = parcel.changes.tables.iter().map(|table| table.rows.len());
        assert!(parcel.groups.is_empty() || lengths.eq(parcel.groups.iter().map(Vec::len)));
        let (groups, rest) = groups(&parcel);
        assert!(groups.iter().all(|group| group.split(' ').count() == 4), "{groups:?}");
        grouped.extend(groups);
        without += rest.split_whitespace().count();
        parcels += 1;
    }
    assert!(parcels > 10, "{parcels} parcels");
    grouped.sort();
    grouped.dedup();
    assert_eq!((grouped.len(), without), (40, 40));
}

/// Everything of the parcel is refused.
fn refuse(conn: &Connection, parcel: &Parcel, last: bool) -> outbox::Acknowledged {
    let refusal = Refusal { sqlstate: "40000".into(), message: "another row".into() };
    let of_table = |rows: usize| vec![RowResult::Refused(refusal.clone()); rows];
    let reply = PushReply {
        epoch: Epoch([1; 16]),
        server_time: Millis(0),
        results: parcel.changes.tables.iter().map(|table| of_table(table.rows.len())).collect(),
        restored: ChangeBatch::default(),
        lost: Vec::new(),
    };
    outbox::acknowledge(conn, parcel, reply, last).unwrap()
}

#[test]
fn a_refused_group_leaves_nothing_behind() {
    let conn = device();
    run(&conn, "BEGIN; INSERT INTO t VALUES ('a', '', '1'); INSERT INTO line VALUES ('b', 'a'); COMMIT");
    assert_eq!(refuse(&conn, &take(&conn), false).postponed, 2);
    assert_eq!(refuse(&conn, &take(&conn), true).rejected, 2);
    assert!(outbox::take(&conn, &mut Pass::default(), 1 << 20).unwrap().is_none());
    assert_eq!(rows(&conn, "SELECT id FROM t UNION ALL SELECT id FROM line"), [""; 0]);
    assert_eq!(rows(&conn, "SELECT count(*) FROM cloudsync_groups"), ["0"]);
    assert_eq!(rows(&conn, "SELECT tbl FROM cloudsync_rejections"), ["t", "line"]);
}

/// Rolling back only what has not changed since would leave, and send, a part of the transaction.
#[test]
fn a_group_that_grew_while_it_was_refused_stays_whole() {
    let conn = device();
    run(&conn, "BEGIN; INSERT INTO t VALUES ('a', '', '1'); INSERT INTO line VALUES ('b', 'a'); COMMIT");
    let parcel = take(&conn);
    run(&conn, "BEGIN; UPDATE t SET a = 'later'; INSERT INTO line VALUES ('c', 'a'); COMMIT");
    let done = refuse(&conn, &parcel, true);
    assert_eq!((done.rejected, done.postponed), (0, 0));
    assert_eq!(told(&conn), of(&["a b c"], ""));
}
