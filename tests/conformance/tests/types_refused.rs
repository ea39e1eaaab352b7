//! Values and keys that one side cannot hold: that one row is refused, with its SQLSTATE and column, and
//! the others stand.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;

struct Pair {
    server: Server,
    device: Device,
    directory: tempfile::TempDir,
}

impl Pair {
    fn new(server_ddl: &str, device_ddl: &str, tables: &[&str]) -> Pair {
        let directory = tempfile::tempdir().expect("a directory");
        let server = Server::create(server_ddl, tables);
        let device = Device::create(directory.path(), "device", device_ddl, tables);
        device.connect(&server.url);
        Pair { server, device, directory }
    }

    fn rejections(&self) -> Vec<String> {
        self.device.dump("SELECT sqlstate, message, columns FROM cloudsync_rejections")
    }

    fn parked(&self) -> Vec<String> {
        self.device.dump("SELECT tbl, sqlstate, message FROM cloudsync_parked")
    }
}

const PREPARATION: &str = "
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(3);
CREATE TABLE item (id text PRIMARY KEY, other text, i integer, s smallint, f real NOT NULL DEFAULT 0,
    b boolean, t text, v varchar(3), n numeric(4,2), d date, z timestamptz, u uuid, m mood, p positive, c code,
    j jsonb, a integer[], x bytea);";
const DEVICE: &str =
    "CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, other TEXT, i, s, f DEFAULT 0, b, t, v, n, d,
    z, u, m, p, c, j, a, x);";

/// Column, value of the device, SQLSTATE.
const BAD: &[(&str, &str, &str)] = &[
    ("i", "'abc'", "22P02"),
    ("i", "1.5", "22P02"),
    ("i", "2147483648", "22003"),
    ("s", "40000", "22003"),
    ("f", "NULL", "23502"),
    ("f", "1e300", "22003"),
    ("b", "2", "22P02"),
    ("t", "'a' || char(0) || 'b'", "22021"),
    ("t", "x'00'", "42804"),
    ("v", "'abcd'", "22001"),
    ("n", "123.45", "22003"),
    ("n", "'x'", "22P02"),
    ("d", "'2026-02-30'", "22008"),
    ("d", "'01/02/2026'", "22008"),
    ("z", "'yesterday at noon'", "22007"),
    ("u", "'not-a-uuid'", "22P02"),
    ("m", "'angry'", "22P02"),
    ("p", "-1", "23514"),
    ("c", "'abcd'", "22001"),
    ("j", "'{'", "22P02"),
    ("j", "'\"\\u0000\"'", "22P05"),
    ("a", "'{1,x}'", "22P02"),
    ("x", "12", "42804"),
];

#[test]
fn a_value_that_its_column_cannot_hold_is_refused_alone_and_the_column_is_named() {
    let mut pair = Pair::new(PREPARATION, DEVICE, &["item"]);
    for (at, (column, value, _)) in BAD.iter().enumerate() {
        pair.device
            .run(&format!("INSERT INTO item (id, other, {column}) VALUES ('bad {at:02}', 'o', {value})"));
        pair.device.run(&format!("INSERT INTO item (id, other, i) VALUES ('good {at:02}', 'o', {at})"));
    }
    pair.device.sync();
    let good = pair.server.dump("SELECT count(*) FROM item WHERE id LIKE 'good%'");
    assert_eq!(good, [BAD.len().to_string()]);
    assert_eq!(pair.server.dump("SELECT id FROM item WHERE id LIKE 'bad%'"), Vec::<String>::new());
    let told = pair
        .device
        .dump("SELECT json_extract(columns, '$.id'), sqlstate, message FROM cloudsync_rejections ORDER BY 1");
    assert_eq!(told.len(), BAD.len(), "{told:#?}");
    for (at, ((column, value, sqlstate), told)) in BAD.iter().zip(&told).enumerate() {
        let named = [format!("column {column}"), format!("column \\\"{column}\\\"")];
        assert!(told.starts_with(&format!("\"bad {at:02}\"|\"{sqlstate}\"")), "{column} {value}: {told}");
        assert!(named.iter().any(|name| told.contains(name)), "{column} {value}: {told}");
    }
}

const TEXTS: &str = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT, rank INTEGER);";

#[test]
fn text_that_is_not_utf8_stays_on_the_device_and_holds_up_no_other_row() {
    let mut pair = Pair::new(&TEXTS.replace("INTEGER", "bigint"), TEXTS, &["note"]);
    pair.device
        .run("INSERT INTO note VALUES ('a', 'fine', 1), ('b', CAST(x'61ff62' AS TEXT), 2), ('c', 'fine', 3)");
    pair.device.sync();
    let rows = "SELECT id, body, rank FROM note";
    assert_eq!(pair.server.dump(rows), [r#""a"|"fine"|1"#, r#""c"|"fine"|3"#]);
    assert_eq!(pair.device.dump("SELECT hex(body) FROM note WHERE id = 'b'"), [r#""61FF62""#]);
    let rejections = pair.rejections();
    assert!(
        matches!(rejections.as_slice(), [one] if one.contains("22021") && one.contains("column body")),
        "{rejections:?}"
    );
    pair.device.sync();
    assert_eq!(pair.rejections(), rejections, "told once");
    pair.device.run("UPDATE note SET body = 'mended' WHERE id = 'b'");
    pair.device.sync();
    assert_eq!(pair.server.dump(rows), pair.device.dump(rows));
}

#[test]
fn a_row_that_stood_there_before_init_with_text_that_is_not_utf8_is_sent_whole_when_it_is_mended() {
    let mut pair = Pair::new(&TEXTS.replace("INTEGER", "bigint"), "", &[]);
    pair.device.run(TEXTS);
    pair.device.run(
        "INSERT INTO note VALUES ('a', 'fine', 1), ('b', CAST(x'61ff62' AS TEXT), 2), (CAST(x'ff' AS TEXT), 'key', 3)",
    );
    pair.device.text("SELECT cloudsync_init('note')");
    pair.server.run("SELECT cloudsync_init('note')");
    pair.device.sync();
    let rows = "SELECT id, body, rank FROM note";
    assert_eq!(pair.server.dump(rows), [r#""a"|"fine"|1"#]);
    assert_eq!(pair.rejections().len(), 2, "{:?}", pair.rejections());
    pair.device.run("UPDATE note SET body = 'mended' WHERE id = 'b'");
    pair.device.run("INSERT INTO note VALUES (CAST(x'fe' AS TEXT), 'another', 4)");
    pair.device.run("UPDATE note SET id = 'mended' WHERE id = CAST(x'ff' AS TEXT)");
    pair.device.sync();
    assert_eq!(pair.server.dump(rows), [r#""a"|"fine"|1"#, r#""b"|"mended"|2"#, r#""mended"|"key"|3"#]);
    assert_eq!(pair.rejections().len(), 3, "{:?}", pair.rejections());
}

#[test]
fn a_transaction_with_text_that_is_not_utf8_waits_as_a_whole() {
    let mut pair = Pair::new(&TEXTS.replace("INTEGER", "bigint"), TEXTS, &["note"]);
    pair.device.run("SELECT cloudsync_set_table('note', 'atomic', '1')");
    pair.device.run(
        "BEGIN; INSERT INTO note VALUES ('a', 'fine', 1); INSERT INTO note VALUES ('b', CAST(x'ff' AS TEXT), 2); COMMIT;
         BEGIN; INSERT INTO note VALUES ('c', 'fine', 3); INSERT INTO note VALUES ('d', 'fine', 4); COMMIT;",
    );
    pair.device.sync();
    assert_eq!(pair.server.dump("SELECT id FROM note"), [r#""c""#, r#""d""#]);
    assert_eq!(pair.rejections().len(), 1);
    pair.device.run("UPDATE note SET body = 'mended' WHERE id = 'b'");
    pair.device.sync();
    assert_eq!(pair.server.dump("SELECT id FROM note"), [r#""a""#, r#""b""#, r#""c""#, r#""d""#]);
}

#[test]
fn nan_of_the_server_is_parked_and_not_made_null() {
    let table = "CREATE TABLE item (id text PRIMARY KEY, f double precision);";
    let mut pair = Pair::new(table, "CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, f REAL);", &["item"]);
    pair.server.run("INSERT INTO item VALUES ('a', 'NaN'), ('b', 1.5)");
    pair.device.sync();
    assert_eq!(pair.device.dump("SELECT id, f FROM item"), [r#""b"|1.5"#]);
    let reason = "column f: NaN cannot be stored by SQLite, which makes NULL of it";
    assert_eq!(pair.parked(), [format!(r#""item"|"22003"|"{reason}""#)]);
    pair.server.run("UPDATE item SET f = 2 WHERE id = 'a'");
    pair.device.sync();
    assert_eq!(pair.device.dump("SELECT id, f FROM item"), [r#""a"|2.0"#, r#""b"|1.5"#]);
    assert_eq!(pair.parked(), Vec::<String>::new());
}

#[test]
fn a_key_that_is_not_one_of_the_tables_does_not_fail_the_push() {
    let mut pair = Pair::new(
        "CREATE TABLE wide (a text, b text, v text, PRIMARY KEY (a, b)); CREATE TABLE good (id text PRIMARY KEY, v text);",
        "CREATE TABLE wide (a TEXT PRIMARY KEY NOT NULL, b TEXT, v TEXT);
         CREATE TABLE good (id TEXT PRIMARY KEY NOT NULL, v TEXT);",
        &["wide", "good"],
    );
    pair.device.run("INSERT INTO wide VALUES ('a', 'b', 'v'); INSERT INTO good VALUES ('a', 'v')");
    pair.device.sync();
    assert_eq!(pair.server.dump("SELECT id, v FROM good"), [r#""a"|"v""#]);
    let rejections = pair.rejections();
    assert!(
        matches!(rejections.as_slice(), [one] if one.contains("primary key is (a, b)")),
        "{rejections:?}"
    );
    pair.server.run("INSERT INTO wide VALUES ('1', '2', 'theirs'); INSERT INTO good VALUES ('b', 'theirs')");
    pair.device.sync();
    assert_eq!(pair.device.dump("SELECT id FROM good"), [r#""a""#, r#""b""#]);
    assert_eq!(pair.parked().len(), 1, "{:?}", pair.parked());
}

/// Type of the server's key, type of the device's, keys that are refused on their way up, and the one form.
const KEYS: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "uuid",
        "TEXT",
        &["'0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B'", "'{0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c}'", "'x'"],
        &["'0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'"],
    ),
    ("text", "TEXT", &["'nul' || char(0)"], &["'a'", "'a '", "'A'", "'1'", "'é'", "'e\u{301}'"]),
    ("varchar(3)", "TEXT", &["'abcd'", "'abc '"], &["'a'", "'a '"]),
    ("char(3)", "TEXT", &["'a '", "'abcd'"], &["'a'"]),
    ("numeric", "TEXT", &["'1.0'", "'01'", "'1e3'"], &["'1'", "'10'", "'1.5'", "'NaN'"]),
    ("numeric(6,2)", "TEXT", &["'1.0'", "'1'", "'1.005'"], &["'1.00'", "'-0.50'"]),
    ("bigint", "", &["'1'", "2.5", "'x'"], &["1", "-9223372036854775808"]),
    ("boolean", "", &["'true'", "2"], &["0", "1"]),
    ("bytea", "", &["'text'"], &["x''", "x'00ff'"]),
    ("date", "TEXT", &["'2026-1-2'", "'20260102'", "'2026-02-30'"], &["'2026-01-02'", "'infinity'"]),
    (
        "timestamptz(3)",
        "TEXT",
        &["'2026-01-02 00:00:00.1234+00'", "'2026-01-02T00:00:00Z'"],
        &["'2026-01-02 00:00:00.123+00'"],
    ),
    ("time", "TEXT", &["'12:00'"], &["'12:00:00'", "'24:00:00'"]),
    ("mood", "TEXT", &["'angry'"], &["'glad'"]),
];

#[test]
fn a_key_has_one_identity_on_both_sides() {
    let tables: Vec<String> = (0..KEYS.len()).map(|at| format!("k{at}")).collect();
    let names: Vec<&str> = tables.iter().map(String::as_str).collect();
    let zip = || names.iter().zip(KEYS);
    let server = "CREATE TYPE mood AS ENUM ('sad', 'glad');".to_owned();
    let server: String = std::iter::once(server)
        .chain(zip().map(|(name, (kind, ..))| {
            format!("CREATE TABLE {name} (k {kind}, part int, v text, PRIMARY KEY (k, part));")
        }))
        .collect();
    let device: String = zip()
        .map(|(name, (_, kind, ..))| format!("CREATE TABLE {name} (k {kind} NOT NULL, part INTEGER NOT NULL, v TEXT, PRIMARY KEY (k, part));"))
        .collect();
    let mut pair = Pair::new(&server, &device, &names);
    let mut refused = 0;
    for (name, (_, _, bad, good)) in zip() {
        for key in good.iter().chain(*bad) {
            pair.device.run(&format!("INSERT INTO {name} VALUES ({key}, 1, 'device')"));
        }
        refused += bad.len();
    }
    pair.device.sync();
    let told = pair.device.dump("SELECT tbl, pk, sqlstate, message, columns FROM cloudsync_rejections");
    assert_eq!(told.len(), refused, "{told:#?}");
    let other = Device::create(pair.directory.path(), "other", &device, &names);
    other.connect(&pair.server.url);
    // Both sides write every row once more: no key becomes a second row.
    for name in &names {
        pair.server.run(&format!("UPDATE {name} SET v = v || ' server'"));
    }
    other.sync();
    for name in &names {
        other.run(&format!("UPDATE {name} SET v = v || ' other'"));
    }
    other.sync();
    pair.device.sync();
    for (name, (kind, _, _, good)) in zip() {
        let all = format!("SELECT hex(k), typeof(k), v FROM {name}");
        assert_eq!(pair.device.dump(&all), other.dump(&all), "{kind}");
        let mended = format!("SELECT count(*) FROM {name} WHERE v = 'device server other'");
        assert_eq!(pair.device.dump(&mended), [good.len().to_string()], "{kind}");
        assert_eq!(pair.server.dump(&mended), [good.len().to_string()], "{kind}");
    }
    assert_eq!(pair.parked(), Vec::<String>::new());
}

#[test]
fn equal_numbers_that_the_server_writes_differently_are_one_key() {
    let mut pair = Pair::new(
        "CREATE TABLE price (k numeric PRIMARY KEY, v text);",
        "CREATE TABLE price (k TEXT PRIMARY KEY NOT NULL, v TEXT);",
        &["price"],
    );
    pair.server.run("INSERT INTO price VALUES (1.00, 'server'), (100, 'server')");
    pair.device.run("INSERT INTO price VALUES ('1', 'device'), ('100', 'device')");
    pair.device.sync();
    pair.device.sync();
    let rows = "SELECT k, v FROM price";
    assert_eq!(pair.device.dump("SELECT k FROM price"), [r#""1""#, r#""100""#]);
    assert_eq!(
        pair.device.dump("SELECT v FROM price"),
        pair.server.dump("SELECT v FROM price"),
        "{:?}",
        pair.device.dump(rows)
    );
}

#[test]
fn a_key_that_the_devices_column_would_turn_into_another_is_parked() {
    let mut pair = Pair::new(
        "CREATE TABLE item (id text PRIMARY KEY, v text);",
        "CREATE TABLE item (id NUMERIC PRIMARY KEY NOT NULL, v TEXT);",
        &["item"],
    );
    pair.server.run("INSERT INTO item VALUES ('007', 'a'), ('x7', 'b')");
    pair.device.sync();
    assert_eq!(pair.device.dump("SELECT id, v FROM item"), [r#""x7"|"b""#]);
    assert!(
        matches!(pair.parked().as_slice(), [one] if one.contains("declare it TEXT")),
        "{:?}",
        pair.parked()
    );
}

#[test]
fn a_key_of_the_server_that_is_too_long_to_travel_holds_up_no_other_row() {
    let mut pair = Pair::new(
        "CREATE TABLE item (id text PRIMARY KEY, v text);",
        "CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL, v TEXT);",
        &["item"],
    );
    pair.server.run("INSERT INTO item VALUES (repeat('x', 20000), 'long'), ('a', 'short')");
    pair.device.sync();
    assert_eq!(pair.device.dump("SELECT id, v FROM item"), [r#""a"|"short""#]);
    pair.server.run("UPDATE item SET v = v || ' again'");
    pair.device.sync();
    assert_eq!(pair.device.dump("SELECT id, v FROM item"), [r#""a"|"short again""#]);
}
