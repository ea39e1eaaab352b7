//! Every translated default gives the same on both engines, but for time and chance, which give the
//! same form.

use cloudsync_ddl_corpus::{Server, samples, schema, sqlite};
use cloudsync_shared::ddl::{Options, translate};
use rusqlite::types::Value;

/// A type and a default that is always the same.
const CONSTANT: &[(&str, &str)] = &[
    ("INTEGER", "5"),
    ("INTEGER", "-5"),
    ("INTEGER", "+5"),
    ("INTEGER", "'5'"),
    ("INTEGER", "' 7 '"),
    ("INTEGER", "5.0"),
    ("INTEGER", "0x10"),
    ("INTEGER", "TRUE"),
    ("INTEGER", "(1 + 2 * 3)"),
    ("INTEGER", "9223372036854775807"),
    ("INTEGER", "-9223372036854775808"),
    ("INTEGER", "NULL"),
    ("INTEGER", "(3 > 2)"),
    ("REAL", "1.5"),
    ("REAL", "5"),
    ("REAL", "'2.5'"),
    ("REAL", "-1e300"),
    ("REAL", ".5"),
    ("REAL", "(1 / 2.0)"),
    ("TEXT", "'a''b'"),
    ("TEXT", "'back\\slash'"),
    ("TEXT", "5"),
    ("TEXT", "-5"),
    ("TEXT", "\"double\""),
    ("TEXT", "word"),
    ("TEXT", "('a' || 'b' || 1)"),
    ("TEXT", "(lower('ÄB'))"),
    ("TEXT", "TRUE"),
    ("TEXT", "007"),
    ("TEXT", "'007'"),
    ("TEXT", "(hex(x'00ff'))"),
    ("BLOB", "x'00ff'"),
    ("BLOB", "x''"),
    ("BOOLEAN", "0"),
    ("BOOLEAN", "1"),
    ("BOOLEAN", "FALSE"),
    ("BOOLEAN", "(1 = 1)"),
    ("BOOLEAN", "'1'"),
    ("DECIMAL(10,2)", "0.1"),
    ("DECIMAL(10,2)", "'12.50'"),
    ("NUMERIC", "5"),
    ("DATE", "'2024-02-29'"),
    ("DATE", "'20240229'"),
    ("DATETIME", "20240229"),
    ("DATETIME", "'never'"),
    ("JSON", "'{\"a\": [1,  2]}'"),
    ("JSON", "'[]'"),
    ("UUID", "'0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'"),
    ("VARCHAR(3)", "'longer'"),
    ("STRING", "'x'"),
    ("TEXT", "(coalesce(NULL, 'x'))"),
    ("INTEGER", "(CAST('' || 5 = '5' AS INTEGER))"),
    ("TEXT", "(substr('hello', 2, 3))"),
    ("INTEGER", "(-7 / 2)"),
    ("INTEGER", "(-7 % 3)"),
];

/// A type and a default that tells the time or is random.
const CHANGING: &[(&str, &str)] = &[
    ("TEXT", "CURRENT_TIMESTAMP"),
    ("DATETIME", "CURRENT_TIMESTAMP"),
    ("TEXT", "CURRENT_DATE"),
    ("TEXT", "CURRENT_TIME"),
    ("TEXT", "(CURRENT_TIMESTAMP)"),
    ("TEXT", "(datetime('now'))"),
    ("TEXT", "(datetime())"),
    ("TEXT", "(date('now'))"),
    ("TEXT", "(time('now'))"),
    ("TEXT", "(datetime('now', '+7 days'))"),
    ("TEXT", "(datetime('now', '-1 hour', 'start of day'))"),
    ("TEXT", "(date('now', 'start of month'))"),
    ("TEXT", "(date('now', 'start of year'))"),
    ("TEXT", "(strftime('%Y-%m-%dT%H:%M:%fZ','now'))"),
    ("TEXT", "(strftime('%Y-%m-%d %H:%M:%S','now'))"),
    ("TEXT", "(strftime('%Y%m%d%H%M', 'now'))"),
    ("TEXT", "(strftime('%d.%m.%Y um %H Uhr \"x\"\\', 'now'))"),
    ("TEXT", "(strftime('%s','now'))"),
    ("INTEGER", "(strftime('%s','now'))"),
    ("INTEGER", "(CAST(strftime('%s','now') AS INTEGER))"),
    ("INTEGER", "(unixepoch())"),
    ("INTEGER", "(unixepoch('now'))"),
    ("INTEGER", "(unixepoch() * 1000)"),
    ("INTEGER", "(strftime('%s','now') * 1000)"),
    ("REAL", "(unixepoch())"),
    ("DATETIME", "(unixepoch())"),
    ("TEXT", "(lower(hex(randomblob(16))))"),
    ("TEXT", "(hex(randomblob(4)))"),
    ("BLOB", "(randomblob(16))"),
    ("TEXT", "(cloudsync_uuid())"),
    ("UUID", "(cloudsync_uuid())"),
    ("TEXT", "(strftime('%j', 'now') || '/' || strftime('%Y', 'now'))"),
    (
        "TEXT",
        "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)),2) || '-' || substr('89ab', abs(random()) % 4 + 1, 1) || substr(hex(randomblob(2)),2) || '-' || hex(randomblob(6))))",
    ),
];

/// The default's value on both engines, and how the server's comes back to the device.
fn both(declared: &str, default: &str) -> Result<(Value, Value), String> {
    let script = format!("CREATE TABLE t(id TEXT PRIMARY KEY, v {declared} DEFAULT {default})");
    let sqlite = sqlite();
    sqlite.execute_batch(&script).map_err(|error| format!("SQLite: {error}"))?;
    let translation = translate(&script, &Options::default()).map_err(|problems| format!("{problems:?}"))?;
    let mut server = Server::fresh();
    server.run(&translation)?;
    let insert = "INSERT INTO t(id) VALUES ('1')";
    sqlite.execute(insert, []).map_err(|error| error.to_string())?;
    server.client.execute(insert, &[]).map_err(|error| error.to_string())?;
    let columns = [schema::Column { name: "v".to_owned(), declared: declared.to_owned() }];
    let pg_type = schema::server_types(&mut server, "t", &columns).remove(0);
    let row =
        server.client.query_one("SELECT CAST(v AS text) FROM t", &[]).map_err(|error| error.to_string())?;
    let there = samples::from_server(row.get::<_, Option<&str>>(0), &pg_type);
    sqlite.execute("INSERT INTO t(id, v) VALUES ('2', ?1)", [there]).map_err(|error| error.to_string())?;
    let mut read = sqlite.prepare("SELECT v FROM t ORDER BY id").map_err(|error| error.to_string())?;
    let values: Vec<Value> = read
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(|error| error.to_string())?;
    Ok((values[0].clone(), values[1].clone()))
}

fn check_all(defaults: &[(&str, &str)], equal: impl Fn(&Value, &Value) -> bool) {
    let mut faults = Vec::new();
    for (declared, default) in defaults {
        match both(declared, default) {
            Ok((here, there)) if equal(&here, &there) => {}
            Ok((here, there)) => faults.push(format!("{declared} {default}: {here:?} and {there:?}")),
            Err(error) => faults.push(format!("{declared} {default}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), defaults.len(), faults.join("\n"));
}

#[test]
fn constant_defaults_are_the_same_on_both_engines() {
    check_all(CONSTANT, |here, there| here == there);
}

#[test]
fn changing_defaults_have_the_same_form_on_both_engines() {
    check_all(CHANGING, |here, there| match (here, there) {
        (Value::Text(here), Value::Text(there)) => form(here) == form(there) && is_near(here, there),
        // A server in another time zone would be off by half an hour at least.
        (Value::Integer(here), Value::Integer(there)) => {
            here.abs_diff(*there) <= here.unsigned_abs() / 1_000_000
        }
        (Value::Real(here), Value::Real(there)) => (here - there).abs() <= here / 1e6,
        (Value::Blob(here), Value::Blob(there)) => here.len() == there.len(),
        _ => false,
    });
}

/// Digits as 0; in what is random, small and capital letters up to F, too.
fn form(text: &str) -> String {
    let is_random = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    text.chars()
        .map(|character| match character {
            '0'..='9' => '0',
            'a'..='f' if is_random => '0',
            'A'..='F' if is_random => '0',
            other => other,
        })
        .collect()
}

/// Moments with a date are told by SQLite itself to be close.
fn is_near(here: &str, there: &str) -> bool {
    let sql = "SELECT abs(julianday(?1) - julianday(?2)) < 0.01";
    let near: Option<bool> = sqlite().query_row(sql, [here, there], |row| row.get(0)).expect("a difference");
    near.unwrap_or(true)
}
