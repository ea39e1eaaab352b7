//! Init, cleanup, enabling, settings and identity, and other connections.

mod common;

use common::{device, init, lives, payload, refused, rows, send, synced, updated};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT, u INTEGER UNIQUE);";

/// A database file in a directory of its own, which goes with it.
struct File {
    dir: std::path::PathBuf,
}

impl File {
    fn new(name: &str) -> File {
        let dir = std::env::temp_dir().join(format!("cloudsync-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        File { dir }
    }

    fn plain(&self) -> Connection {
        Connection::open(self.dir.join("a.db")).unwrap()
    }

    fn open(&self) -> Connection {
        let conn = self.plain();
        sqlite_cloudsync::register(&conn).unwrap();
        conn
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn init_tells_every_reason_at_once() {
    let conn = device(
        "CREATE TABLE norowkey(a TEXT);
         CREATE TABLE many(id TEXT COLLATE NOCASE PRIMARY KEY, a TEXT NOT NULL, b TEXT NOT NULL);
         CREATE UNIQUE INDEX e ON many(lower(a));
         CREATE TABLE number(id INTEGER PRIMARY KEY);
         CREATE VIEW v AS SELECT 1;",
    );
    assert!(refused(&conn, "SELECT cloudsync_init('norowkey')").contains("no explicit primary key"));
    let many = refused(&conn, "SELECT cloudsync_init('many')");
    for part in ["NOCASE", "column a is NOT NULL", "column b is NOT NULL", "unique index e"] {
        assert!(many.contains(part), "{part} in {many}");
    }
    assert!(refused(&conn, "SELECT cloudsync_init('number')").contains("flag 1"));
    init(&conn, "number", 1);
    assert!(refused(&conn, "SELECT cloudsync_init('v')").contains("view"));
    assert!(refused(&conn, "SELECT cloudsync_init('missing')").contains("does not exist"));
    assert!(refused(&conn, "SELECT cloudsync_init(NULL)").contains("must be a text"));
    assert!(refused(&conn, "SELECT cloudsync_init('number', 'what', 1)").contains("'what'"));
    assert!(refused(&conn, "SELECT cloudsync_init('number', 'lww', 1)").contains("unknown algorithm"));
    assert!(refused(&conn, "SELECT cloudsync_init('number', 'gos', 1)").contains("cloudsync_cleanup"));
    assert!(refused(&conn, "SELECT cloudsync_init('cloudsync_settings')").contains("system table"));
    assert!(refused(&conn, "SELECT cloudsync_enable('v')").contains("cloudsync_init('v')"));
}

#[test]
fn a_refused_init_leaves_nothing_behind() {
    let conn = device("CREATE TABLE t(a TEXT)");
    refused(&conn, "SELECT cloudsync_init('t')");
    assert_eq!(rows(&conn, "SELECT name FROM sqlite_schema"), ["t"]);
}

#[test]
fn init_answers_the_site_id_and_may_be_repeated() {
    let conn = device(T);
    let sites = rows(&conn, "SELECT cloudsync_init('t')");
    assert_eq!(sites, rows(&conn, "SELECT cloudsync_init('T')"));
    assert_eq!(sites, rows(&conn, "SELECT lower(hex(cloudsync_siteid()))"));
    assert_eq!(sites.first().map(String::len), Some(32));
}

#[test]
fn a_star_inits_every_table_that_can_be_synced() {
    let conn =
        device("CREATE TABLE a(id TEXT PRIMARY KEY); CREATE TABLE b(id TEXT PRIMARY KEY); CREATE TABLE c(x)");
    init(&conn, "*", 0);
    init(&conn, "*", 0);
    assert_eq!(rows(&conn, "SELECT name FROM cloudsync_tables ORDER BY 1"), ["a", "b"]);
}

#[test]
fn rows_that_stood_there_before_are_told_without_a_clock_row_each() {
    let a = device(T);
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1), ('y', 'b', 2), ('z', 'c', 3)").unwrap();
    init(&a, "t", 0);
    assert_eq!(rows(&a, "SELECT count(*) FROM t_cloudsync"), ["0"]);
    assert_eq!(lives(&a), ["x:1", "y:1", "z:1"]);
    a.execute_batch("DELETE FROM t WHERE id = 'x'; UPDATE t SET a = 'B' WHERE id = 'y'").unwrap();
    assert_eq!(lives(&a), ["x:2", "y:1", "z:1"]);
    assert_eq!(updated(&a), ["y.a"]);
    assert_eq!(rows(&a, "SELECT count(*) FROM t_cloudsync"), ["2"]);

    let b = device(T);
    b.execute_batch("INSERT INTO t VALUES('x', 'mine', 1), ('y', 'mine', 2)").unwrap();
    init(&b, "t", 0);
    send(&a, &b);
    let z = rows(&b, "SELECT id, a FROM t ORDER BY id");
    assert_eq!(z, ["y|B", "z|c"], "a write wins over what stood there, a delete too");
}

#[test]
fn a_connection_without_the_extension_can_write() {
    let file = File::new("plain");
    let conn = file.open();
    conn.execute_batch(T).unwrap();
    init(&conn, "t", 0);
    let plain = file.plain();
    plain
        .execute_batch("INSERT INTO t VALUES('x', 'a', 1); INSERT OR REPLACE INTO t VALUES('y', 'b', 1)")
        .unwrap();
    assert_eq!(lives(&conn), ["x:2", "y:1"]);
}

#[test]
fn two_connections_never_fold_the_same_writes_twice() {
    let file = File::new("two");
    let (a, b) = (file.open(), file.open());
    a.execute_batch(T).unwrap();
    init(&a, "t", 0);
    for round in 0..20 {
        a.execute("INSERT INTO t VALUES(?1, 'a', NULL)", [format!("a{round}")]).unwrap();
        b.execute("INSERT INTO t VALUES(?1, 'b', NULL)", [format!("b{round}")]).unwrap();
        b.execute("UPDATE t SET a = ?1 WHERE id = ?2", (round, format!("a{round}"))).unwrap();
        let (one, two) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let version = rows(one, "SELECT cloudsync_db_version()");
        assert_eq!(version, rows(two, "SELECT cloudsync_db_version()"));
    }
    let versions = rows(&a, "SELECT count(DISTINCT db_version) FROM cloudsync_changes");
    assert_eq!(versions, ["60"], "every write has a version of its own");
}

#[test]
fn folds_at_the_same_time_wait_for_one_another() {
    let file = File::new("threads");
    let conn = file.open();
    conn.execute_batch(&format!("PRAGMA journal_mode = WAL; {T}")).unwrap();
    init(&conn, "t", 0);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let file = &file;
            scope.spawn(move || {
                let conn = file.open();
                conn.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
                for round in 0..60 {
                    conn.execute("INSERT INTO t VALUES(?1, 'a', NULL)", [format!("{thread}-{round}")])
                        .unwrap();
                    conn.query_row("SELECT cloudsync_db_version()", [], |_| Ok(())).unwrap();
                }
            });
        }
    });
    assert_eq!(rows(&conn, "SELECT count(DISTINCT db_version), max(cl) FROM cloudsync_changes"), ["180|1"]);
}

#[test]
fn a_busy_database_is_told_as_busy() {
    let file = File::new("busy");
    let (a, b) = (file.open(), file.open());
    a.execute_batch(T).unwrap();
    init(&a, "t", 0);
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1); BEGIN IMMEDIATE").unwrap();
    b.busy_timeout(std::time::Duration::ZERO).unwrap();
    let error = b.query_row("SELECT cloudsync_db_version()", [], |_| Ok(())).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy), "{error}");
    a.execute_batch("COMMIT").unwrap();
    assert_eq!(lives(&b), ["x:1"]);
}

#[test]
fn disabled_stays_disabled_for_all_connections() {
    let file = File::new("disabled");
    let conn = file.open();
    conn.execute_batch(T).unwrap();
    init(&conn, "t", 0);
    conn.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    rows(&conn, "SELECT cloudsync_disable('t')");
    let other = file.open();
    assert_eq!(rows(&other, "SELECT cloudsync_is_enabled('t'), cloudsync_is_enabled('no')"), ["0|0"]);
    other.execute_batch("INSERT INTO t VALUES('y', 'b', 2); UPDATE t SET a = 'c'").unwrap();
    assert_eq!(lives(&other), ["x:1"]);
    rows(&other, "SELECT cloudsync_enable('t')");
    conn.execute_batch("INSERT INTO t VALUES('z', 'd', 3)").unwrap();
    assert_eq!(
        lives(&conn),
        ["x:1", "y:1", "z:1"],
        "what was written meanwhile counts as having stood there"
    );
}

#[test]
fn the_last_cleanup_removes_everything() {
    let conn = device(&format!("{T} CREATE TABLE s(id TEXT PRIMARY KEY);"));
    init(&conn, "t", 0);
    init(&conn, "s", 0);
    rows(&conn, "SELECT cloudsync_cleanup('t')");
    conn.execute_batch("INSERT INTO t VALUES('x', 'a', 1); INSERT INTO s VALUES('y')").unwrap();
    assert_eq!(lives(&conn), ["y:1"]);
    rows(&conn, "SELECT cloudsync_cleanup('s')");
    assert_eq!(
        rows(&conn, "SELECT name FROM sqlite_schema WHERE name LIKE '%cloudsync%'"),
        Vec::<String>::new()
    );
    assert_eq!(rows(&conn, "SELECT cloudsync_db_version(), cloudsync_siteid()"), ["0|NULL"]);
    assert_eq!(payload(&conn), None);
    assert!(refused(&conn, "SELECT cloudsync_cleanup('s')").contains("not synced"));
}

#[test]
fn a_plain_add_column_is_noticed() {
    let (a, b) = (synced(T), synced(T));
    a.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    assert_eq!(lives(&a), ["x:1"]);
    a.execute_batch("ALTER TABLE t ADD COLUMN n TEXT DEFAULT 'd'; UPDATE t SET n = 'set'").unwrap();
    assert_eq!(updated(&a), ["x.n"]);
    b.execute_batch("ALTER TABLE t ADD COLUMN n TEXT DEFAULT 'd'").unwrap();
    send(&a, &b);
    assert_eq!(rows(&b, "SELECT id, n FROM t"), ["x|set"]);
    a.execute_batch("UPDATE t SET a = 'b'").unwrap();
    assert_eq!(updated(&a), ["x.a", "x.n"]);
}

#[test]
fn a_column_is_dropped_between_begin_and_commit() {
    let conn = synced(T);
    conn.execute_batch("INSERT INTO t VALUES('x', 'a', 1)").unwrap();
    rows(&conn, "SELECT cloudsync_begin_alter('t')");
    conn.execute_batch("ALTER TABLE t DROP COLUMN a").unwrap();
    rows(&conn, "SELECT cloudsync_commit_alter('t')");
    conn.execute_batch("UPDATE t SET u = 2; INSERT INTO t VALUES('y', 3)").unwrap();
    assert_eq!(lives(&conn), ["x:1", "y:1"]);
    assert_eq!(updated(&conn), ["x.u"]);
}

#[test]
fn a_table_rebuilt_under_its_name_gets_its_triggers_back() {
    let conn = synced(T);
    conn.execute_batch(
        "INSERT INTO t VALUES('x', 'a', 1);
         CREATE TABLE t2(id TEXT PRIMARY KEY NOT NULL, a TEXT DEFAULT 'z', u INTEGER UNIQUE);
         INSERT INTO t2 SELECT * FROM t; DROP TABLE t; ALTER TABLE t2 RENAME TO t;",
    )
    .unwrap();
    assert_eq!(lives(&conn), ["x:1"]);
    conn.execute_batch("UPDATE t SET a = 'b'").unwrap();
    assert_eq!(updated(&conn), ["x.a"]);
}

#[test]
fn a_temporary_table_of_the_same_name_shadows_nothing() {
    let conn = device(&format!("{T} CREATE TEMP TABLE t(id INTEGER, other);"));
    init(&conn, "t", 0);
    conn.execute_batch("INSERT INTO main.t VALUES('x', 'a', 1); INSERT INTO temp.t VALUES(1, 2)").unwrap();
    assert_eq!(lives(&conn), ["x:1"]);
}

#[test]
fn identifiers_and_keys_are_converted() {
    let conn = device("");
    let uuid = rows(
        &conn,
        "SELECT cloudsync_uuid_text(cloudsync_uuid_blob('0190A1B2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'))",
    );
    assert_eq!(uuid, ["0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"]);
    assert_eq!(rows(&conn, "SELECT cloudsync_uuid_text(zeroblob(16), 0)"), ["0".repeat(32)]);
    assert!(refused(&conn, "SELECT cloudsync_uuid_text(x'00')").contains("expected a 16-byte BLOB"));
    assert!(refused(&conn, "SELECT cloudsync_uuid_blob('no')").contains("malformed UUID string"));
    let key = "cloudsync_pk_encode('a', 7, 1.5)";
    let parts = format!(
        "SELECT cloudsync_pk_decode({key}, 1), cloudsync_pk_decode({key}, 2), cloudsync_pk_decode({key}, 3), cloudsync_pk_decode({key}, 4)"
    );
    assert_eq!(rows(&conn, &parts), ["a|7|1.5|NULL"]);
    assert_eq!(rows(&conn, "SELECT cloudsync_pk_encode('a', NULL)"), ["NULL"]);
    assert!(refused(&conn, "SELECT cloudsync_pk_decode(x'ff', 1)").contains("malformed"));
    assert_eq!(rows(&conn, "SELECT length(cloudsync_uuid()), cloudsync_terminate()"), ["36|1"]);
    assert_eq!(rows(&conn, "SELECT * FROM cloudsync_changes"), Vec::<String>::new());
}

#[test]
fn settings_are_stored_and_removed() {
    let conn = synced(T);
    rows(
        &conn,
        "SELECT cloudsync_set('k', 5), cloudsync_set_table('t', 'a', 'b'), cloudsync_set_column('T', 'A', 'algo', 'lww')",
    );
    assert_eq!(rows(&conn, "SELECT value FROM cloudsync_settings WHERE key = 'k'"), ["5"]);
    assert_eq!(rows(&conn, "SELECT * FROM cloudsync_table_settings"), ["t|*|a|b", "t|a|algo|lww"]);
    rows(&conn, "SELECT cloudsync_set('k', NULL), cloudsync_set_table('t', 'a', NULL)");
    assert_eq!(rows(&conn, "SELECT value FROM cloudsync_settings WHERE key = 'k'"), Vec::<String>::new());
    assert_eq!(rows(&conn, "SELECT count(*) FROM cloudsync_table_settings"), ["1"]);
    assert!(refused(&conn, "SELECT cloudsync_set_column('t', 'nope', 'a', 'b')").contains("no column nope"));
}

#[test]
fn constraints_on_changes_narrow_and_keep_the_order() {
    let conn = synced(T);
    conn.execute_batch(
        "INSERT INTO t VALUES('x', 'a', 1), ('y', 'b', 2); UPDATE t SET a = 'c' WHERE id = 'x'",
    )
    .unwrap();
    let all = rows(&conn, "SELECT db_version, seq FROM cloudsync_changes");
    let mut sorted = all.clone();
    sorted.sort_by_key(|line| {
        let mut parts = line.split('|').map(|part| part.parse::<i64>().unwrap());
        (parts.next(), parts.next())
    });
    assert_eq!(all, sorted);
    let count =
        |condition: &str| rows(&conn, &format!("SELECT count(*) FROM cloudsync_changes WHERE {condition}"));
    let middle = rows(&conn, "SELECT max(db_version) FROM cloudsync_changes WHERE col_name = 'u'").concat();
    assert_eq!(count("1"), ["6"]);
    assert_eq!(count(&format!("db_version > {middle}")), ["1"]);
    assert_eq!(count(&format!("db_version >= {middle}")), ["4"]);
    assert_eq!(count(&format!("db_version = {middle}")), ["3"]);
    assert_eq!(count(&format!("db_version < {middle}")), ["2"]);
    assert_eq!(count(&format!("db_version <= {middle}")), ["5"]);
    assert_eq!(count("site_id = cloudsync_siteid()"), ["6"]);
    assert_eq!(count("site_id = zeroblob(16)"), ["0"]);
    assert_eq!(count("tbl = 't' AND pk = cloudsync_pk_encode('y')"), ["3"]);
    assert_eq!(count("tbl = 'other'"), ["0"]);
    assert_eq!(count("pk IS NULL OR db_version > 1.5"), ["6"]);
}
