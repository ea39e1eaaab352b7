//! Devices that exchange payloads.

mod common;

use common::{device, exchange, init, lives, payload, refused, rows, send, synced};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER);";

#[test]
fn an_applied_change_is_not_captured_as_a_local_write() {
    let (a, b) = (synced(T), synced(T));
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    send(&a, &b);
    assert_eq!(rows(&b, "SELECT count(*) FROM t_cloudsync_journal"), ["0"]);
    let author = rows(&b, "SELECT DISTINCT hex(site_id) FROM cloudsync_changes");
    assert_eq!(author, rows(&a, "SELECT hex(cloudsync_siteid())"));
    assert_eq!(rows(&b, "SELECT count(*) FROM cloudsync_guard"), ["0"]);
}

#[test]
fn cells_of_one_row_merge_one_by_one() {
    let (a, b) = (synced(T), synced(T));
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    exchange(&a, &b);
    a.execute_batch("UPDATE t SET a = 'from a'").unwrap();
    b.execute_batch("UPDATE t SET b = 2").unwrap();
    exchange(&a, &b);
    for conn in [&a, &b] {
        assert_eq!(rows(conn, "SELECT * FROM t"), ["x|from a|2"]);
    }
}

#[test]
fn a_new_local_write_wins_over_everything_received() {
    let (a, b) = (synced(T), synced(T));
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1); UPDATE t SET a = 'b'; UPDATE t SET a = 'c'").unwrap();
    send(&a, &b);
    b.execute_batch("UPDATE t SET a = 'last'").unwrap();
    exchange(&a, &b);
    assert_eq!(rows(&a, "SELECT a FROM t"), ["last"]);
}

#[test]
fn a_refused_row_stops_no_other() {
    let strict = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER UNIQUE ON CONFLICT REPLACE CHECK(b < 10));";
    let (a, b) = (synced(T), synced(strict));
    b.execute_batch("INSERT INTO t VALUES('mine', 'm', 1)").unwrap();
    // Of two rows with one unique value the later loses.
    std::thread::sleep(std::time::Duration::from_millis(5));
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1), ('y', 'a', 20), ('z', 'a', 3)").unwrap();
    send(&a, &b);
    assert_eq!(rows(&b, "SELECT id FROM t ORDER BY 1"), ["mine", "z"], "the other row is never touched");
    assert_eq!(rows(&b, "SELECT cloudsync_pk_decode(pk, 1) FROM cloudsync_parked ORDER BY 1"), ["x", "y"]);
    assert_eq!(lives(&b), ["mine:1", "x:1", "y:1", "z:1"], "what is parked is told on");
}

#[test]
fn a_child_may_come_before_its_parent() {
    let schema = "PRAGMA foreign_keys = ON;
                  CREATE TABLE p(id TEXT PRIMARY KEY NOT NULL);
                  CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, p TEXT REFERENCES p);";
    let (a, b) = (synced(schema), synced(schema));
    for conn in [&a, &b] {
        init(conn, "p", 0);
    }
    a.execute_batch("INSERT INTO p VALUES('p1'); INSERT INTO t VALUES('c1', 'p1')").unwrap();
    let child = "SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, site_id, cl, seq)
                 FROM cloudsync_changes WHERE tbl = 't'";
    let child: Vec<u8> = a.query_row(child, [], |row| row.get(0)).unwrap();
    b.query_row("SELECT cloudsync_payload_apply(?1)", [child], |_| Ok(())).unwrap();
    assert_eq!(rows(&b, "SELECT * FROM t"), ["c1|p1"]);
    assert_eq!(rows(&b, "PRAGMA foreign_keys"), ["1"], "switched on again");
    b.execute_batch("BEGIN").unwrap();
    send(&a, &b);
    b.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&b, "SELECT * FROM p"), ["p1"]);
}

#[test]
fn a_damaged_payload_changes_nothing() {
    let (a, b) = (synced(T), synced(T));
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    let bytes = payload(&a).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        assert!(
            b.query_row("SELECT cloudsync_payload_apply(?1)", [damaged], |_| Ok(())).is_err(),
            "byte {at}"
        );
    }
    assert!(rows(&b, "SELECT * FROM t").is_empty());
    assert!(refused(&b, "SELECT cloudsync_payload_apply('text')").contains("BLOB"));
    assert!(refused(&b, "SELECT cloudsync_payload_load('/nowhere/at/all')").contains("/nowhere/at/all"));
}

#[test]
fn what_a_rollback_undoes_was_never_received() {
    let (a, b) = (synced(T), synced(T));
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    b.execute_batch("BEGIN").unwrap();
    send(&a, &b);
    b.execute_batch("ROLLBACK").unwrap();
    assert!(lives(&b).is_empty());
    send(&a, &b);
    assert_eq!(lives(&b), ["x:1"]);
}

#[test]
fn what_came_from_another_device_is_to_be_passed_on() {
    let (a, b) = (synced(T), synced(T));
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    let part = "SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, site_id, cl, seq)
                FROM cloudsync_changes WHERE col_name = 'a'";
    let part: Vec<u8> = a.query_row(part, [], |row| row.get(0)).unwrap();
    assert!(!sqlite_cloudsync::sent::has_unsent(&b).unwrap());
    b.query_row("SELECT cloudsync_payload_apply(?1)", [part], |_| Ok(())).unwrap();
    assert!(sqlite_cloudsync::sent::has_unsent(&b).unwrap());
}

#[test]
fn a_bulk_write_is_unsent_until_each_row_is_acknowledged() {
    use sqlite_cloudsync::read::{Filter, collect};
    use sqlite_cloudsync::{sent, table::Table};
    let conn = synced(T);
    conn.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
         INSERT INTO t SELECT 'k' || i, 'a', i FROM n",
    )
    .unwrap();
    let unsent = || collect(&conn, &Filter { unsent: true, ..Filter::default() }).unwrap().batch;
    let batch = unsent();
    assert_eq!(batch.row_count(), 6000);
    let table = Table::require(&conn, "t").unwrap();
    for row in batch.tables.iter().flat_map(|changes| &changes.rows) {
        sent::acknowledge(&conn, &table, &row.key, batch.highest(), None).unwrap();
    }
    assert!(!sent::has_unsent(&conn).unwrap());
    sent::settle_bulk(&conn).unwrap();
    assert_eq!(rows(&conn, "SELECT bulk_unsent FROM cloudsync_tables"), ["0"]);
    conn.execute_batch("UPDATE t SET a = 'b' WHERE id = 'k7'").unwrap();
    let batch = unsent();
    assert_eq!(
        (batch.row_count(), batch.tables[0].rows[0].cells.len()),
        (1, 1),
        "only what is new of the row"
    );
}

#[test]
fn a_payload_for_a_device_without_the_table_is_taken() {
    let a = synced(T);
    let b = device("CREATE TABLE other(id TEXT PRIMARY KEY)");
    init(&b, "other", 0);
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    send(&a, &b);
}

/// A small generator of numbers, so that a seed tells the whole history.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn random_write(random: &mut Random, conn: &Connection) {
    let (key, other, value) = (random.below(6), random.below(6), random.below(4));
    let sql = match random.below(9) {
        0 | 1 => format!("INSERT OR IGNORE INTO t VALUES('k{key}', 'v{value}', {value})"),
        2 => format!("INSERT OR REPLACE INTO t VALUES('k{key}', 'r{value}', {value})"),
        3 => format!("UPDATE t SET a = 'u{value}' WHERE id = 'k{key}'"),
        4 => format!("UPDATE t SET b = {value} WHERE id >= 'k{key}'"),
        5 => format!("DELETE FROM t WHERE id = 'k{key}'"),
        6 => format!("UPDATE OR REPLACE t SET id = 'k{other}' WHERE id = 'k{key}'"),
        7 => format!("INSERT INTO t VALUES('k{key}', 's', 1) ON CONFLICT DO UPDATE SET b = b + 1"),
        _ => format!(
            "SAVEPOINT s; DELETE FROM t; INSERT INTO t VALUES('k{key}', '-', 0); ROLLBACK TO s; RELEASE s"
        ),
    };
    conn.execute_batch(&sql).unwrap();
}

fn clocks(conn: &Connection) -> Vec<String> {
    rows(
        conn,
        "SELECT hex(pk), col_name, col_value, db_version, hex(site_id), cl FROM cloudsync_changes ORDER BY 1, 2",
    )
}

#[test]
fn any_history_converges() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let devices = [synced(T), synced(T), synced(T)];
        for _ in 0..30 {
            let at = usize::try_from(random.below(3)).unwrap();
            if random.below(5) == 0 {
                send(&devices[at], &devices[(at + 1) % 3]);
            } else {
                random_write(&mut random, &devices[at]);
            }
        }
        for _ in 0..2 {
            exchange(&devices[0], &devices[1]);
            exchange(&devices[1], &devices[2]);
            exchange(&devices[2], &devices[0]);
        }
        let all = "SELECT * FROM t ORDER BY id";
        for other in &devices[1..] {
            assert_eq!(rows(&devices[0], all), rows(other, all), "seed {seed}");
            assert_eq!(clocks(&devices[0]), clocks(other), "seed {seed}");
        }
        let living = rows(&devices[0], "SELECT count(*) FROM cloudsync_changes WHERE col_name = '__[NEW]__'");
        assert_eq!(living, rows(&devices[0], "SELECT count(*) FROM t"), "seed {seed}: clocks know the rows");
    }
}
