//! Every translated expression gives the same on both engines, for rows with the values that hurt.

use cloudsync_ddl_corpus::schema::{Column, insert_sqlite, rows_sqlite, server_types, through_server};
use cloudsync_ddl_corpus::{Server, samples, schema, sqlite};
use cloudsync_shared::ddl::{Options, translate};
use rusqlite::types::Value;

const COLUMNS: &str = "id TEXT PRIMARY KEY, a INTEGER, b INTEGER, r REAL, s TEXT, k TEXT, d BOOLEAN, x BLOB, \
                       m DECIMAL(9,2), j JSON, u UUID, w DATE";

/// What a generated column holds.
const VALUES: &[&str] = &[
    "a + b * 2 - 3",
    "a / b",
    "a % b",
    "a / 0",
    "-a + ~b",
    "a & b | 3",
    "b | 1 & 2",
    "b & 1 + 2",
    "a << 3 >> 1",
    "2000000 * 3000",
    "r * 2 + a",
    "r / b",
    "r / 0",
    "a * 1.5",
    "-r",
    "+a",
    "1.5 + 1",
    "abs(b)",
    "abs(r)",
    "s || k",
    "s || a || k",
    "'x' || s || '\\'",
    "length(s)",
    "length(x)",
    "length(a)",
    "octet_length(s)",
    "lower(s)",
    "upper(s)",
    "trim(s)",
    "ltrim(s)",
    "rtrim(s, 'b ')",
    "trim(s, 'aÄ')",
    "substr(s, 2)",
    "substr(s, 1, 2)",
    "instr(s, 'b')",
    "instr(s, '')",
    "replace(s, 'b', 'cc')",
    "replace(s, '', 'x')",
    "coalesce(a, b, 0)",
    "ifnull(s, k)",
    "ifnull(s, 'none')",
    "nullif(a, b)",
    "nullif(s, '')",
    "~nullif(a, 1.5)",
    "nullif(a, 1.5) / 2",
    "nullif(a, 3.0)",
    "nullif(7, r) / 2",
    "iif(a > b, 'more', 'less')",
    "iif(d, a, b)",
    "iif(a > 0, 1)",
    "min(a, b)",
    "max(a, b, 5)",
    "hex(x)",
    "typeof(a)",
    "typeof(r)",
    "typeof(s)",
    "typeof(x)",
    "typeof(d)",
    "typeof(u)",
    "CASE WHEN a > b THEN a WHEN a IS NULL THEN -1 ELSE b END",
    "CASE a WHEN 1 THEN 'one' WHEN 2 THEN 'two' END",
    "CASE s WHEN 'abc' THEN 1.5 ELSE r END",
    "CAST(a AS TEXT)",
    "CAST(r AS INTEGER)",
    "CAST(a AS REAL)",
    "CAST(2.7 AS INTEGER)",
    "CAST(d AS TEXT)",
    "(a > b) + 1",
    "(s = k) || 'x'",
    "d + d",
    "NOT d",
    "-9223372036854775808 + a * 0",
    "0xFF + a",
    "likely(a)",
    "length(s) * 1000000000",
    "CAST(x AS BLOB)",
    "u || ''",
    "lower(w)",
    "a - -5",
    "a - - b",
];

/// What a CHECK asks; compared by its value, 0 or 1 or NULL.
const CONDITIONS: &[&str] = &[
    "a = b",
    "a == b",
    "a <> b",
    "a != b",
    "a < b",
    "a <= 1",
    "a >= -1.5",
    "r > 0",
    "r = 1.5",
    "r < 2",
    "s = k",
    "s < k",
    "s > 'B'",
    "s >= k",
    "s <> ''",
    "s IS k",
    "s IS NOT k",
    "a IS b",
    "a IS NOT 1",
    "a IS NULL",
    "a ISNULL",
    "a NOTNULL",
    "a NOT NULL",
    "s IS NOT DISTINCT FROM k",
    "s IS DISTINCT FROM k",
    "a IN (1, 2, 3)",
    "a NOT IN (1, NULL)",
    "a IN ()",
    "a NOT IN ()",
    "s IN ('abc', k)",
    "a BETWEEN 0 AND b",
    "a NOT BETWEEN 0 AND 10",
    "s BETWEEN 'a' AND 'b'",
    "1 < 2 = a",
    "1 = 2 < a",
    "a = 1 = 1",
    "NOT a = 1",
    "NOT a IS NULL AND b > 0",
    "a OR b",
    "a AND s IS NULL",
    "r AND a",
    "d",
    "NOT d OR a",
    "d = 1",
    "d IN (0, 1)",
    "d IS TRUE",
    "d IS NOT FALSE",
    "a IS TRUE",
    "r IS FALSE",
    "d = TRUE",
    "d = (a > b)",
    "d <> 0",
    "s LIKE 'a%'",
    "s LIKE 'A_C'",
    "s LIKE '%ä%'",
    "s NOT LIKE '%b%'",
    "s LIKE 'a\\%'",
    "s LIKE '100!%' ESCAPE '!'",
    "s LIKE k",
    "s LIKE '%' || k",
    "s GLOB 'a*'",
    "s GLOB '[a-c]?c'",
    "s GLOB '*[^0-9]*'",
    "s NOT GLOB '*[^a-zA-Z]*'",
    "s GLOB '[]]*'",
    "s GLOB 'a.c'",
    "s GLOB '*\n*'",
    "a LIKE '1%'",
    "s = 'ABC' COLLATE NOCASE",
    "s COLLATE NOCASE < k",
    "s COLLATE NOCASE IN ('ABC', 'Ä')",
    "s COLLATE BINARY = 'abc'",
    "x = x'00ff'",
    "x < x'01'",
    "x IS NULL",
    "m > 0",
    "m >= 0.1",
    "m = 12.34",
    "m BETWEEN 0 AND 100",
    "m IN (5, 0.1)",
    "m > a",
    "m < r",
    "json_valid(j)",
    "j IS NOT NULL",
    "j <> 'x'",
    "u = '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a00'",
    "u > k",
    "u IS NULL",
    "length(u) = 36",
    "w > '2024-01-01'",
    "w IS NOT NULL",
    "w = 'x'",
    "length(s) > 2 AND length(s) < 5",
    "length(trim(s)) > 0",
    "typeof(a) = 'integer'",
    "typeof(s) IN ('text', 'null')",
    "a % 2 = 0",
    "(a & 1) = 1",
    "a || b = '12'",
    "a = NULL",
    "s IS NULL || k",
    "b IS NOT TRUE COLLATE NOCASE",
    "nullif(NULL, a) = s",
    "nullif(1.5, a)",
    "NULL IN (a, 1)",
    "a IS NOT NULL = 1",
    "a IS NOT DISTINCT FROM NULL",
    "NULL = a",
    "1",
    "0.0",
    "s < 'B'",
    "'B' < s",
    "coalesce(s, '') <> ''",
    "CASE WHEN a THEN d ELSE b > 1 END",
    "a > b AND b > 0 OR a IS NULL",
    "a BETWEEN 1 AND 2 = 1",
    "~a = b",
    "- a = b",
    "s = k = d",
    "instr(s, 'b') > 0",
    "substr(s, 1, 1) = 'a'",
    "substr(s, 1, 1) BETWEEN 'A' AND 'Z'",
    "upper(s) = s",
    "a = 1.0",
    "a < 0.5",
    "1.0 = 1",
];

fn rows() -> Vec<Vec<Value>> {
    let text = |text: &str| Value::Text(text.to_owned());
    let integers = [
        Value::Null,
        Value::Integer(0),
        Value::Integer(1),
        Value::Integer(-7),
        Value::Integer(12),
        Value::Integer(1 << 33),
    ];
    let texts = [
        Value::Null,
        text(""),
        text("abc"),
        text("ABC"),
        text("äÄ"),
        text("  b "),
        text("a\nc"),
        text("a\\%"),
        text("100%"),
        text("a.c"),
        text("]"),
        text("Ä"),
        text("B"),
    ];
    let reals = [Value::Null, Value::Real(1.5), Value::Real(0.0), Value::Real(-2.75), Value::Real(1e15)];
    let blobs = [Value::Null, Value::Blob(vec![]), Value::Blob(vec![0, 255])];
    let decimals = [Value::Null, Value::Real(12.34), Value::Integer(5), Value::Real(0.1), Value::Integer(-1)];
    let jsons = [Value::Null, text("{\"a\": 1}"), text("[1,  2]")];
    let uuids = [
        Value::Null,
        text("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a00"),
        text("f190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a00"),
    ];
    let dates = [Value::Null, text("2024-02-29"), text("1999-12-31")];
    let booleans = [Value::Null, Value::Integer(0), Value::Integer(1)];
    (0..78)
        .map(|at| {
            let pick = |values: &[Value], step: usize| {
                values[(at * step + at / values.len()) % values.len()].clone()
            };
            vec![
                text(&format!("row {at:02}")),
                pick(&integers, 1),
                pick(&integers, 5),
                pick(&reals, 1),
                pick(&texts, 1),
                pick(&texts, 3),
                pick(&booleans, 1),
                pick(&blobs, 1),
                pick(&decimals, 1),
                pick(&jsons, 1),
                pick(&uuids, 1),
                pick(&dates, 1),
            ]
        })
        .collect()
}

/// The values of an expression on both engines; `None`: it is refused.
fn both(expression: &str) -> Option<Result<(), String>> {
    let script = format!("CREATE TABLE t({COLUMNS}, g AS ({expression}) STORED)");
    let sqlite = sqlite();
    if let Err(error) = sqlite.execute_batch(&script) {
        return Some(Err(format!("SQLite refuses {expression}: {error}")));
    }
    let translation = match translate(&script, &Options::default()) {
        Ok(translation) => translation,
        Err(_) => return None,
    };
    let mut server = Server::fresh();
    if let Err(error) = server.run(&translation) {
        return Some(Err(error));
    }
    let columns = schema::columns(&sqlite, "t");
    let types = server_types(&mut server, "t", &columns);
    for row in rows() {
        assert!(insert_sqlite(&sqlite, "t", &columns, &row), "{expression}: SQLite refuses {row:?}");
        if let Err(error) = through_server(&mut server, "t", &columns, &types, &row) {
            return Some(Err(format!("{expression}: {error} for {row:?}")));
        }
    }
    Some(compare(expression, &sqlite, &mut server))
}

fn compare(expression: &str, sqlite: &rusqlite::Connection, server: &mut Server) -> Result<(), String> {
    let generated = [
        Column { name: "id".to_owned(), declared: String::new() },
        Column { name: "g".to_owned(), declared: String::new() },
    ];
    let types = server_types(server, "t", &generated);
    let here = rows_sqlite(sqlite, "t", &generated);
    let there = server
        .client
        .query("SELECT CAST(g AS text) FROM t ORDER BY id COLLATE \"C\"", &[])
        .expect("g can be read");
    for (here, there) in here.iter().zip(&there) {
        let there = samples::from_server(there.get::<_, Option<&str>>(0), &types[1]);
        let equal = match (&here[1], &there) {
            (Value::Integer(whole), Value::Real(real)) => *whole as f64 == *real,
            (here, there) => here == there,
        };
        if !equal {
            return Err(format!(
                "{expression}: SQLite says {:?}, PostgreSQL {there:?}, in {:?}",
                here[1], here[0]
            ));
        }
    }
    Ok(())
}

fn check_all(expressions: &[&str]) {
    let mut faults = Vec::new();
    for expression in expressions {
        match both(expression) {
            None => faults.push(format!("{expression}: refused")),
            Some(Err(fault)) => faults.push(fault),
            Some(Ok(())) => {}
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), expressions.len(), faults.join("\n"));
}

#[test]
fn values_are_the_same_on_both_engines() {
    check_all(VALUES);
}

#[test]
fn conditions_are_the_same_on_both_engines() {
    check_all(CONDITIONS);
}
