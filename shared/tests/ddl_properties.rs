//! Whatever the script, the translation does not panic; and what it writes is SQL to another's parser.

use cloudsync_shared::ddl::{Options, translate, translate_to_text};
use proptest::prelude::*;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

const WORDS: &[&str] = &[
    "CREATE",
    "TABLE",
    "INDEX",
    "UNIQUE",
    "IF",
    "NOT",
    "EXISTS",
    "t",
    "a",
    "b",
    "id",
    "main",
    ".",
    "(",
    ")",
    "(",
    ")",
    ",",
    ",",
    ";",
    "TEXT",
    "INTEGER",
    "REAL",
    "BLOB",
    "PRIMARY",
    "KEY",
    "NULL",
    "DEFAULT",
    "CHECK",
    "REFERENCES",
    "FOREIGN",
    "ON",
    "DELETE",
    "CASCADE",
    "SET",
    "CONFLICT",
    "COLLATE",
    "NOCASE",
    "GENERATED",
    "ALWAYS",
    "AS",
    "STORED",
    "CONSTRAINT",
    "STRICT",
    "WITHOUT",
    "ROWID",
    "WHERE",
    "DESC",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "BETWEEN",
    "AND",
    "OR",
    "IN",
    "LIKE",
    "GLOB",
    "IS",
    "ESCAPE",
    "+",
    "-",
    "*",
    "/",
    "||",
    "=",
    "<",
    "<<",
    "~",
    "'x'",
    "\"q\"",
    "[q]",
    "`q`",
    "x'00'",
    "1",
    "1.5",
    "0x1F",
    "9223372036854775808",
    "CURRENT_TIMESTAMP",
    "datetime",
    "'now'",
    "lower",
    "length",
    "coalesce",
    "randomblob",
    "TRIGGER",
    "BEGIN",
    "TEMP",
    "VIRTUAL",
    "VIEW",
    "DEFERRABLE",
    "INITIALLY",
    "DEFERRED",
    "MATCH",
    "--",
    "/*",
    "*/",
    "'",
    "\"",
    "é",
    "\n",
    "?1",
    "->",
    "->>",
    "AUTOINCREMENT",
    "json_valid",
    "substr",
    "abs",
    "random",
    "typeof",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS), 0..60).prop_map(|words| words.join(" "))
}

/// Soup within a table, so that more of it gets through.
fn table_of_soup() -> impl Strategy<Value = String> {
    let column = (
        prop::sample::select(vec!["a", "b", "\"C d\""]),
        prop::sample::select(vec!["TEXT", "INT", "REAL", "DATE", "JSON", "BOOLEAN", "BLOB"]),
    );
    let clause = prop::sample::select(vec![
        "",
        "NOT NULL",
        "UNIQUE",
        "DEFAULT 5",
        "DEFAULT 'x'",
        "DEFAULT (lower('X'))",
        "DEFAULT (lower(hex(randomblob(4))))",
        "DEFAULT CURRENT_TIMESTAMP",
        "CHECK (a > 1)",
        "CHECK (a || 'x' LIKE 'y%')",
        "CHECK (length(a) BETWEEN 1 AND 5)",
        "CHECK (a IS NOT NULL OR NOT a IN (1, 2))",
        "REFERENCES t(id)",
        "COLLATE BINARY",
        "AS (id || 'x') STORED",
        "CHECK (CASE a WHEN 1 THEN 2 ELSE 3 END)",
        "DEFAULT (-1)",
        "DEFAULT (strftime('%s', 'now'))",
        "CHECK (a GLOB '[a-z]*')",
        "DEFAULT x'00'",
    ]);
    prop::collection::vec((column, prop::collection::vec(clause, 0..3)), 1..4).prop_map(|columns| {
        let list: Vec<String> = columns
            .iter()
            .map(|((name, declared), clauses)| format!("{name} {declared} {}", clauses.join(" ")))
            .collect();
        format!("CREATE TABLE t (id TEXT PRIMARY KEY, {});", list.join(", "))
    })
}

fn check(script: &str) -> Result<(), TestCaseError> {
    let options = Options {
        allow_integer_key: true,
        allow_not_null: true,
        untyped_as_text: true,
        ..Options::default()
    };
    let _ = translate_to_text(script);
    if let Ok(translation) = translate(script, &options) {
        for statement in translation.statements() {
            let parsed = Parser::parse_sql(&PostgreSqlDialect {}, statement);
            prop_assert!(parsed.is_ok(), "{script}\n{statement}\n{parsed:?}");
        }
    }
    Ok(())
}

proptest! {
    // A failing case is printed, and belongs into a test with a name.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn token_soup_never_panics(script in soup()) {
        check(&script)?;
    }

    #[test]
    fn any_text_never_panics(script in "\\PC{0,80}") {
        check(&script)?;
        check(&format!("CREATE TABLE t (id TEXT PRIMARY KEY, a INT CHECK ({script}))"))?;
    }

    #[test]
    fn what_is_translated_is_sql_to_another_parser(script in table_of_soup()) {
        check(&script)?;
    }
}
