//! Random expressions, of which those that are translated give the same on both engines.

use cloudsync_ddl_corpus::schema::{Column, insert_sqlite, rows_sqlite, server_types, through_server};
use cloudsync_ddl_corpus::{Server, samples, schema, sqlite};
use cloudsync_shared::ddl::{Options, translate};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::types::Value;

/// Expressions that go into one table.
const BATCH: usize = 40;
/// Tables that are tried for each hundred of `PROPTEST_CASES`.
const BATCHES_PER_HUNDRED: u32 = 5;

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a", "b", "d", "s", "k", "r", "0", "1", "2", "-3", "7", "1.5", "'x'", "'B'", "''", "NULL", "TRUE",
        "b", "a", "s",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 24, 3, |inner| {
        let operators = vec![
            "+", "-", "*", "/", "%", "||", "&", "|", "=", "==", "<>", "<", "<=", ">", ">=", "AND", "OR", "IS", "IS NOT",
            "LIKE", "IN_PAIR", "BETWEEN", "=", "AND", "OR", "+", "||",
        ];
        prop_oneof![
            // Without parentheses: the precedence is what is tried.
            6 => (inner.clone(), prop::sample::select(operators), inner.clone()).prop_map(|(left, operator, right)| {
                match operator {
                    "IN_PAIR" => format!("{left} IN ({right}, 1)"),
                    "BETWEEN" => format!("{left} BETWEEN 0 AND {right}"),
                    _ => format!("{left} {operator} {right}"),
                }
            }),
            2 => (prop::sample::select(vec!["-", "NOT ", "~", "+", "- "]), inner.clone())
                .prop_map(|(operator, operand)| if operand.starts_with('-') { format!("{operator}({operand})") } else { format!("{operator}{operand}") }),
            2 => inner.clone().prop_map(|operand| format!("({operand})")),
            1 => (inner.clone(), prop::sample::select(vec!["ISNULL", "NOT NULL", "IS NULL", "COLLATE NOCASE"]))
                .prop_map(|(operand, suffix)| format!("{operand} {suffix}")),
            2 => (prop::sample::select(vec!["length", "abs", "upper", "trim", "typeof"]), inner.clone())
                .prop_map(|(name, operand)| format!("{name}({operand})")),
            1 => (prop::sample::select(vec!["coalesce", "nullif", "max", "ifnull", "instr"]), inner.clone(), inner.clone())
                .prop_map(|(name, left, right)| format!("{name}({left}, {right})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(when, then, other)| format!("CASE WHEN {when} THEN {then} ELSE {other} END")),
        ]
    })
}

fn rows() -> Vec<Vec<Value>> {
    let integers = [Value::Null, Value::Integer(0), Value::Integer(1), Value::Integer(-3), Value::Integer(7)];
    let texts = [Value::Null, Value::Text(String::new()), Value::Text("x".into()), Value::Text("B".into())];
    let reals = [Value::Null, Value::Real(1.5), Value::Real(-2.0), Value::Real(0.0)];
    (0..40)
        .map(|at| {
            vec![
                Value::Text(format!("{at:02}")),
                integers[at % 5].clone(),
                integers[(at * 2 + at / 5) % 5].clone(),
                reals[(at + at / 4) % 4].clone(),
                texts[(at / 2) % 4].clone(),
                texts[at % 4].clone(),
                [Value::Null, Value::Integer(0), Value::Integer(1)][at % 3].clone(),
            ]
        })
        .collect()
}

const COLUMNS: &str = "id TEXT PRIMARY KEY, a INTEGER, b INTEGER, r REAL, s TEXT, k TEXT, d BOOLEAN";

/// Those of the expressions that both SQLite and the translation accept.
fn accepted(expressions: Vec<String>) -> Vec<String> {
    let is_accepted = |expression: &String| {
        let script = format!("CREATE TABLE t({COLUMNS}, g AS ({expression}) STORED)");
        let translated = translate(&script, &Options::default());
        let known = sqlite().execute_batch(&script);
        if let (Ok(_), Err(error)) = (&translated, &known) {
            panic!("SQLite refuses what is translated: {expression}: {error}");
        }
        translated.is_ok()
    };
    expressions.into_iter().filter(is_accepted).collect()
}

/// Whether PostgreSQL gives up on the table for want of a collation: when it folds a part of a generated
/// column that is constant, it has not read the COLLATE yet. A CHECK or an index knows no such trouble.
fn is_folded(server: &mut Server, expression: &str) -> bool {
    let script = format!("CREATE TABLE alone({COLUMNS}, g AS ({expression}) STORED)");
    let translation = translate(&script, &Options::default()).expect("the expression was translated before");
    let refused = server.run(&translation).err();
    server.client.batch_execute("DROP TABLE IF EXISTS alone").expect("the table can go");
    refused.is_some_and(|error| error.contains("could not determine which collation"))
}

fn compare(expressions: &[String]) {
    let generated: Vec<String> = expressions
        .iter()
        .enumerate()
        .map(|(at, expression)| format!("g{at} AS ({expression}) STORED"))
        .collect();
    let script = format!("CREATE TABLE t({COLUMNS}, {})", generated.join(", "));
    let sqlite = sqlite();
    sqlite.execute_batch(&script).expect("SQLite accepts the table");
    let mut server = Server::fresh();
    let translation = translate(&script, &Options::default()).expect("each expression was translated alone");
    if let Err(error) = server.run(&translation) {
        let alone = |expression: &&String| {
            let script = format!("CREATE TABLE t({COLUMNS}, g AS ({expression}) STORED)");
            let translation = translate(&script, &Options::default()).expect("it was translated before");
            Server::fresh().run(&translation).is_err()
        };
        panic!("{:?}: {}", expressions.iter().find(alone), error.lines().next().unwrap_or_default());
    }
    let columns = schema::columns(&sqlite, "t");
    let types = server_types(&mut server, "t", &columns);
    let mut written = 0;
    for row in rows() {
        assert!(insert_sqlite(&sqlite, "t", &columns, &row));
        through_server(&mut server, "t", &columns, &types, &row)
            .unwrap_or_else(|error| panic!("{error} for {row:?}:\n{script}"));
        written += 1;
    }
    assert_eq!(written, rows().len());
    let computed: Vec<Column> =
        (0..expressions.len()).map(|at| Column { name: format!("g{at}"), declared: String::new() }).collect();
    let types = server_types(&mut server, "t", &computed);
    let here = rows_sqlite(&sqlite, "t", &computed);
    let list: Vec<String> = (0..expressions.len()).map(|at| format!("CAST(g{at} AS text)")).collect();
    let there = server
        .client
        .query(&format!("SELECT {} FROM t ORDER BY id", list.join(", ")), &[])
        .expect("readable");
    for (number, (here, there)) in here.iter().zip(&there).enumerate() {
        for (at, (here, pg_type)) in here.iter().zip(&types).enumerate() {
            let there = samples::from_server(there.get::<_, Option<&str>>(at), pg_type);
            let equal = match (here, &there) {
                (Value::Integer(whole), Value::Real(real)) => *whole as f64 == *real,
                (here, there) => here == there,
            };
            let row = &rows()[number];
            assert!(equal, "{}: SQLite says {here:?}, PostgreSQL {there:?}, for {row:?}", expressions[at]);
        }
    }
}

#[test]
fn random_expressions_are_the_same_on_both_engines() {
    let config = Config::default();
    let count = config.cases.div_ceil(100) * BATCHES_PER_HUNDRED;
    let mut runner = TestRunner::new(config);
    let (mut translated, mut folded) = (0, 0);
    let batches = prop::collection::vec(expression(), BATCH * 4);
    for _ in 0..count {
        let batch = batches.new_tree(&mut runner).expect("expressions can be made").current();
        let mut server = Server::fresh();
        let mut expressions = accepted(batch);
        let before = expressions.len();
        expressions.retain(|expression| !is_folded(&mut server, expression));
        folded += before - expressions.len();
        expressions.truncate(BATCH);
        compare(&expressions);
        translated += expressions.len();
    }
    println!("{translated} random expressions compared, {folded} left out");
    assert!(folded * 20 < translated, "{folded} of {translated} are refused by the server");
    assert!(translated > 100, "hardly any expression was translated: {translated}");
}
