//! Every construct of SQLite's CREATE TABLE and CREATE INDEX: what it becomes, or by which name it is
//! refused.

use cloudsync_shared::ddl::{Moments, NoCase, Options, Problem, Translation, translate, translate_to_text};
use cloudsync_shared::qualified::QualifiedName;

fn lenient() -> Options {
    Options { allow_integer_key: true, allow_not_null: true, ..Options::default() }
}

fn translated(script: &str, options: &Options) -> Translation {
    translate(script, options).unwrap_or_else(|problems| panic!("{script}: {problems:?}"))
}

fn problems(script: &str) -> Vec<Problem> {
    match translate(script, &Options::default()) {
        Ok(translation) => panic!("{script} became {}", translation.sql()),
        Err(problems) => problems,
    }
}

/// The lines within the parentheses of the only table, whose first column is a key.
fn lines(columns: &str) -> Vec<String> {
    let script = format!("CREATE TABLE t(id TEXT PRIMARY KEY, {columns})");
    let translation = translated(&script, &lenient());
    let create = &translation.tables[0].create;
    create
        .lines()
        .map(|line| line.trim().trim_end_matches(',').to_owned())
        .filter(|line| !["CREATE TABLE t (", ");", "id text", "PRIMARY KEY (id)"].contains(&line.as_str()))
        .collect()
}

#[test]
fn columns_and_constraints_become_their_equals() {
    let pairs = [
        ("a INT", "a bigint"),
        ("a UNSIGNED BIG INT", "a bigint"),
        ("a VARCHAR(10)", "a text"),
        ("a CHARACTER VARYING(10)", "a text"),
        ("a DOUBLE PRECISION", "a double precision"),
        ("a \"BLOB\"", "a bytea"),
        ("a DECIMAL(10, 2)", "a numeric"),
        ("a UUID", "a uuid"),
        ("a JSONB", "a json"),
        ("a DATETIME", "a text"),
        ("a MY TYPE", "a text"),
        ("A INT", "\"A\" bigint"),
        ("\"order\" INT", "\"order\" bigint"),
        ("[a b] INT", "\"a b\" bigint"),
        ("`a\"b` INT", "\"a\"\"b\" bigint"),
        ("'a' INT", "a bigint"),
        ("a TEXT NULL", "a text"),
        ("a TEXT NOT NULL", "a text NOT NULL"),
        ("a TEXT COLLATE BINARY", "a text COLLATE \"C\""),
        ("a TEXT DEFAULT 'it''s'", "a text DEFAULT 'it''s'"),
        ("a INT AS (length(id)) STORED", "a bigint GENERATED ALWAYS AS (length(id)) STORED"),
        ("a INT GENERATED ALWAYS AS (1 + 1)", "a bigint GENERATED ALWAYS AS (CAST(1 AS bigint) + 1) STORED"),
    ];
    for (sqlite, postgres) in pairs {
        assert_eq!(lines(sqlite), [postgres], "{sqlite}");
    }
}

#[test]
fn keys_and_checks_become_their_equals() {
    let second = |columns: &str| lines(columns).pop().unwrap_or_default();
    let pairs = [
        ("a TEXT UNIQUE", "UNIQUE (a)"),
        ("a TEXT, UNIQUE (A, \"id\")", "UNIQUE (a, id)"),
        ("a TEXT, CONSTRAINT \"My\" UNIQUE ('a')", "CONSTRAINT \"My\" UNIQUE (a)"),
        ("a INT CONSTRAINT c CHECK (a > 0)", "CONSTRAINT c CHECK (a > 0)"),
        ("a INT, CHECK (t.a > 0)", "CHECK (a > 0)"),
        ("a INT CHECK (a || id = id)", "CHECK ((CAST(a AS text) || id) = id)"),
        ("a INT CHECK (a | 1 & 2)", "CHECK (((a | 1) & 2) <> 0)"),
        ("a TEXT CHECK (a LIKE 'x%')", "CHECK (a COLLATE \"C\" ILIKE 'x%' ESCAPE '')"),
        ("a TEXT CHECK (a < id)", "CHECK (a COLLATE \"C\" < id)"),
        ("a TEXT REFERENCES t", "FOREIGN KEY (a) REFERENCES t (id) DEFERRABLE"),
        (
            "a TEXT, FOREIGN KEY (a) REFERENCES T(ID) ON DELETE SET NULL ON UPDATE CASCADE",
            "FOREIGN KEY (a) REFERENCES t (id) ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE",
        ),
        (
            "a TEXT REFERENCES t(id) MATCH FULL DEFERRABLE INITIALLY DEFERRED",
            "FOREIGN KEY (a) REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED",
        ),
        (
            "a TEXT REFERENCES t(id) NOT DEFERRABLE INITIALLY DEFERRED",
            "FOREIGN KEY (a) REFERENCES t (id) DEFERRABLE",
        ),
        ("a TEXT REFERENCES elsewhere(x)", "FOREIGN KEY (a) REFERENCES elsewhere (x) DEFERRABLE"),
    ];
    for (sqlite, postgres) in pairs {
        assert_eq!(second(sqlite), postgres, "{sqlite}");
    }
}

#[test]
fn indexes_become_their_equals() {
    let pairs = [
        ("CREATE INDEX i ON t(a)", "CREATE INDEX i ON t (a);"),
        (
            "CREATE UNIQUE INDEX IF NOT EXISTS main.I ON T(A DESC)",
            "CREATE UNIQUE INDEX IF NOT EXISTS \"I\" ON t (a DESC);",
        ),
        ("CREATE INDEX i ON t('a' COLLATE BINARY)", "CREATE INDEX i ON t (a COLLATE \"C\");"),
        ("CREATE INDEX i ON t(lower(a), id)", "CREATE INDEX i ON t ((lower(a COLLATE \"C\")), id);"),
        ("CREATE INDEX i ON t(a) WHERE a IS NOT NULL", "CREATE INDEX i ON t (a) WHERE a IS NOT NULL;"),
    ];
    for (sqlite, postgres) in pairs {
        let translation =
            translated(&format!("CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT); {sqlite}"), &lenient());
        assert_eq!(translation.tables[0].indexes, [postgres]);
    }
}

#[test]
fn what_has_no_equal_is_refused_by_name() {
    let t = |columns: &str| format!("CREATE TABLE t(id TEXT PRIMARY KEY, {columns})");
    let refused = [
        (t("a"), "column without a type"),
        ("CREATE TABLE t(id TEXT PRIMARY KEY, a ANY) STRICT".to_owned(), "type"),
        ("CREATE TABLE t(id TEXT PRIMARY KEY, a VARCHAR(5)) STRICT".to_owned(), "type"),
        (t("a TEXT COLLATE NOCASE"), "COLLATE NOCASE"),
        (t("a TEXT COLLATE RTRIM"), "COLLATE"),
        (t("a TEXT UNIQUE ON CONFLICT REPLACE"), "ON CONFLICT"),
        (t("a TEXT NOT NULL ON CONFLICT IGNORE DEFAULT ''"), "ON CONFLICT"),
        (t("a TEXT NOT NULL"), "NOT NULL without DEFAULT"),
        (t("a TEXT NOT NULL DEFAULT NULL"), "NOT NULL without DEFAULT"),
        (t("a INT DEFAULT 'x'"), "value of another type"),
        (t("a INT DEFAULT 1.5"), "value of another type"),
        (t("a BOOLEAN DEFAULT 2"), "value of another type"),
        (t("a BLOB DEFAULT 'x'"), "value of another type"),
        (t("a JSON DEFAULT 'x'"), "JSON"),
        (t("a UUID DEFAULT 'X'"), "UUID"),
        (t("a TEXT DEFAULT (id)"), "DEFAULT"),
        (t("a REAL DEFAULT (julianday('now'))"), "date function"),
        (t("a TEXT DEFAULT (datetime('now', 'localtime'))"), "time zone"),
        (t("a TEXT DEFAULT (datetime('now', '+1 month'))"), "date modifier"),
        (t("a TEXT DEFAULT (datetime('2024-01-01'))"), "date function"),
        (t("a TEXT CHECK (date(a) IS a)"), "date function"),
        (t("a TEXT CHECK (a > random())"), "non-deterministic function"),
        (t("a TEXT CHECK (a = 5)"), "comparison"),
        (t("a INT, r REAL CHECK (a < r)"), "comparison"),
        (t("a DATE CHECK (a > 5)"), "comparison"),
        (t("a DATE CHECK (a > '5')"), "comparison"),
        (t("a TEXT CHECK (a)"), "condition"),
        (t("a TEXT CHECK (a + 1)"), "arithmetic"),
        (t("a DECIMAL CHECK (a * 2 > 1)"), "arithmetic"),
        (t("a REAL CHECK (a % 2 = 0)"), "arithmetic"),
        (t("a INT CHECK (1 << a)"), "shift"),
        (t("a TEXT CHECK (a = (SELECT 1))"), "subquery"),
        (t("a TEXT CHECK (EXISTS (SELECT 1))"), "subquery"),
        (t("a TEXT CHECK (a IN other)"), "IN table"),
        (t("a TEXT CHECK ((a, id) = (1, 2))"), "row value"),
        (t("a TEXT CHECK (a MATCH 'x')"), "MATCH"),
        (t("a TEXT CHECK (a REGEXP 'x')"), "REGEXP"),
        (t("a TEXT CHECK (a -> 'x')"), "-> operator"),
        (t("a TEXT CHECK (a ->> 'x' = 1)"), "-> operator"),
        (t("a TEXT CHECK (a = ?1)"), "parameter"),
        (t("a TEXT CHECK (RAISE(ABORT, 'x'))"), "RAISE"),
        (t("a TEXT CHECK (count(*) > 1)"), "aggregate"),
        (t("a TEXT CHECK (b = 1)"), "unknown column"),
        (t("a TEXT CHECK (\"text\" = a)"), "unknown column"),
        (t("a TEXT CHECK (rowid > 1)"), "unknown column"),
        (t("a TEXT CHECK (unicode(a) > 1)"), "function"),
        (t("a TEXT CHECK (json_valid(a))"), "json_valid"),
        (t("a TEXT CHECK (CAST(a AS INTEGER) > 1)"), "CAST"),
        (t("a TEXT CHECK (CASE WHEN 1 THEN 1 ELSE 'x' END = 1)"), "mixed types"),
        (t("a TEXT CHECK (a LIKE 'x!' ESCAPE '!')"), "ESCAPE"),
        (t("a TEXT CHECK (a GLOB '[x')"), "GLOB"),
        (t("a TEXT CHECK (substr(a, -1) = 'x')"), "substr"),
        (t("a TEXT CHECK (a = 'x' COLLATE RTRIM)"), "COLLATE"),
        (t("a INT AS (length(id)), b INT AS (a)"), "generated column"),
        (t("a INT, UNIQUE (a + 1)"), "expression in a constraint"),
        (t("a INT REFERENCES t(id)"), "FOREIGN KEY"),
        (t("a TEXT, b TEXT REFERENCES t(a)"), "FOREIGN KEY"),
        (t("a TEXT, FOREIGN KEY (a, id) REFERENCES t(id)"), "FOREIGN KEY"),
        (t("xmin INT"), "system column"),
        (t("a INT, A INT"), "duplicate name"),
        (t(&format!("{} INT", "a".repeat(64))), "long name"),
        (t("\"\" INT"), "empty name"),
        (t("a TEXT DEFAULT 'x\0y'"), "NUL in text"),
        ("CREATE TABLE t(a INT)".to_owned(), "no PRIMARY KEY"),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY)".to_owned(), "INTEGER PRIMARY KEY"),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)".to_owned(), "AUTOINCREMENT"),
        ("CREATE TABLE t(id REAL PRIMARY KEY)".to_owned(), "type of a key"),
        ("CREATE TABLE t(id DATETIME PRIMARY KEY)".to_owned(), "type of a key"),
        ("CREATE TABLE t(id JSON PRIMARY KEY)".to_owned(), "type of a key"),
        ("CREATE TABLE sqlite_t(id TEXT PRIMARY KEY)".to_owned(), "system table"),
        ("CREATE TABLE t_cloudsync(id TEXT PRIMARY KEY)".to_owned(), "system table"),
        ("CREATE TEMP TABLE t(id TEXT PRIMARY KEY)".to_owned(), "TEMP"),
        ("CREATE TABLE temp.t(id TEXT PRIMARY KEY)".to_owned(), "TEMP"),
        ("CREATE TABLE other.t(id TEXT PRIMARY KEY)".to_owned(), "attached database"),
        ("CREATE TABLE t AS SELECT 1".to_owned(), "CREATE TABLE AS"),
        ("CREATE VIRTUAL TABLE t USING fts5(a)".to_owned(), "CREATE VIRTUAL TABLE"),
        ("CREATE VIEW v AS SELECT 1".to_owned(), "CREATE VIEW"),
        ("PRAGMA foreign_keys = ON".to_owned(), "PRAGMA"),
        ("INSERT INTO t VALUES (1)".to_owned(), "INSERT"),
        ("CREATE INDEX i ON nowhere(a)".to_owned(), "CREATE INDEX"),
        (format!("{}; CREATE UNIQUE INDEX i ON t(lower(a))", t("a TEXT")), "unique index on an expression"),
        (format!("{}; CREATE INDEX i ON t(a COLLATE NOCASE)", t("a TEXT")), "COLLATE"),
        (format!("{}; CREATE INDEX t ON t(a)", t("a TEXT")), "duplicate name"),
        (format!("{}; CREATE INDEX i ON t(a NULLS FIRST)", t("a TEXT")), "NULLS"),
        (String::new(), "empty script"),
        (t(&format!("a INT CHECK ({}a{})", "(".repeat(500), ")".repeat(500))), "nested expression"),
        (t(&format!("a INT CHECK (a{})", " AND a".repeat(500))), "nested expression"),
    ];
    for (script, construct) in refused {
        let found = problems(&script);
        assert!(
            found.iter().any(|problem| problem.construct == construct),
            "{script}: {found:?}, not {construct}"
        );
    }
}

#[test]
fn all_problems_are_told_with_their_places() {
    let script = "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT,\n  x TEXT COLLATE NOCASE,\n\
                  \ty INT CHECK (y MATCH 1) CHECK (unicode(y) = round(y)));\nDROP TABLE b;\n\
                  CREATE TRIGGER r AFTER INSERT ON a BEGIN SELECT 1; DELETE FROM a; END;\nCREATE TABLE c (x TEXT)";
    let error = translate_to_text(script).unwrap_err().to_string();
    let found: Vec<&str> =
        error.lines().skip(1).map(|line| line.splitn(3, ": ").take(2).last().unwrap_or("")).collect();
    assert_eq!(
        found,
        [
            "INTEGER PRIMARY KEY",
            "AUTOINCREMENT",
            "COLLATE NOCASE",
            "MATCH",
            "function",
            "function",
            "DROP",
            "CREATE TRIGGER",
            "no PRIMARY KEY"
        ],
        "{error}"
    );
    assert!(error.contains("line 2, column 18: COLLATE NOCASE"), "{error}");
    assert!(error.contains("line 4, column 1: DROP"), "{error}");
}

#[test]
fn parents_come_first_and_circles_are_closed_at_the_end() {
    let script = "CREATE TABLE child(id TEXT PRIMARY KEY, p TEXT REFERENCES parent(code));\
                  CREATE TABLE parent(id TEXT PRIMARY KEY, code TEXT);\
                  CREATE UNIQUE INDEX parent_code ON parent(code);\
                  CREATE TABLE x(id TEXT PRIMARY KEY, y TEXT REFERENCES y);\
                  CREATE TABLE y(id TEXT PRIMARY KEY, x TEXT REFERENCES x, k TEXT, own TEXT REFERENCES y(k));\
                  CREATE UNIQUE INDEX y_k ON y(k);";
    let translation = translated(script, &Options::default());
    let names: Vec<&str> = translation.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["parent", "child", "x", "y"]);
    assert_eq!(
        translation.foreign_keys,
        [
            "ALTER TABLE x ADD FOREIGN KEY (y) REFERENCES y (id) DEFERRABLE;",
            "ALTER TABLE y ADD FOREIGN KEY (own) REFERENCES y (k) DEFERRABLE;"
        ]
    );
}

#[test]
fn options_choose_among_types() {
    let script = "CREATE TABLE t(id TEXT PRIMARY KEY, a DATETIME DEFAULT CURRENT_TIMESTAMP, b DATE DEFAULT '2024-02-29', \
                  c VARCHAR(5), d DECIMAL(5,2), e TEXT COLLATE NOCASE, f, g INT AS (length(id)))";
    let options = Options {
        moments: Moments::Native,
        no_case: NoCase::Citext,
        declared_limits: true,
        untyped_as_text: true,
        postgres: 18,
        schema: Some("App".to_owned()),
        ..Options::default()
    };
    assert_eq!(
        translated(script, &options).sql(),
        "CREATE TABLE \"App\".t (\n    id text,\n    a timestamptz DEFAULT CAST(to_char(statement_timestamp() AT TIME \
         ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00' AS timestamptz),\n    b date DEFAULT CAST('2024-02-29' AS date),\n    \
         c varchar(5),\n    d numeric(5, 2),\n    e citext,\n    f text,\n    g bigint GENERATED ALWAYS AS (length(id)) \
         VIRTUAL,\n    PRIMARY KEY (id)\n);\n"
    );
}

#[test]
fn nothing_is_dropped_without_a_note() {
    let script = "CREATE TABLE t(id INTEGER PRIMARY KEY DESC AUTOINCREMENT, a TEXT CONSTRAINT n NOT NULL, \
                  b TEXT REFERENCES u MATCH PARTIAL, c INT COLLATE NOCASE, d JSON UNIQUE, e AS (1) VIRTUAL, \
                  CONSTRAINT x CHECK (1), CONSTRAINT x UNIQUE (a), UNIQUE (b, b), CONSTRAINT z) WITHOUT ROWID";
    let notes = translated(script, &lenient()).notes;
    let told =
        |part: &str| assert!(notes.iter().any(|note| note.message.contains(part)), "{part}: {notes:?}");
    for part in [
        "DESC",
        "AUTOINCREMENT",
        "name n",
        "MATCH PARTIAL",
        "u is not in the script",
        "COLLATE NOCASE",
        "cannot be compared",
        "STORED",
        "name x",
        "twice",
        "CONSTRAINT name",
        "WITHOUT ROWID",
        "gives out no numbers",
    ] {
        told(part);
    }
}

#[test]
fn a_line_end_in_a_name_does_not_end_its_comment() {
    let script = "CREATE TABLE t(id TEXT PRIMARY KEY, \"a\nDROP TABLE x; --\" VARCHAR(5))";
    let text = translate_to_text(script).unwrap();
    assert!(text.lines().next().unwrap_or("").contains("DROP"), "{text}");
    assert!(text.lines().nth(1).unwrap_or("").starts_with("CREATE TABLE"), "{text}");
}

#[test]
fn limits_are_errors_and_take_no_time() {
    let columns: String = (0..1601).map(|at| format!(", c{at} INT")).collect();
    let found = problems(&format!("CREATE TABLE t(id TEXT PRIMARY KEY{columns})"));
    assert!(found.iter().any(|problem| problem.construct == "limit"), "{found:?}");
    let tables: String = (0..1001).map(|at| format!("CREATE TABLE t{at}(id TEXT PRIMARY KEY);")).collect();
    assert!(problems(&tables).iter().any(|problem| problem.construct == "limit"));
    assert!(problems(&" ".repeat(1 << 21)).iter().any(|problem| problem.construct == "limit"));
    // A search for the closing parenthesis to the end of the script, from each of these, would not end.
    let open = "CREATE TABLE t(a INT CHECK((;".repeat(30_000);
    assert_eq!(problems(&open).len(), 30_000);
}

#[test]
fn tables_are_put_where_they_are_wanted_and_references_follow() {
    let script =
        "CREATE TABLE Mine (id TEXT PRIMARY KEY, up TEXT REFERENCES mine, other TEXT REFERENCES OTHERS);
        CREATE INDEX i ON mine(up); CREATE TABLE plain (id TEXT PRIMARY KEY REFERENCES mine(id))";
    let place = |name: &str, schema: &str, table: &str| {
        (name.to_owned(), QualifiedName::new(schema, table).expect("a name"))
    };
    let options = Options {
        schema: Some("app".to_owned()),
        places: [place("mine", "sales", "orders"), place("others", "x.y", "Others")].into(),
        ..lenient()
    };
    let translation = translated(script, &options);
    let sql = translation.sql();
    for part in [
        "CREATE TABLE sales.orders (",
        "REFERENCES sales.orders",
        "REFERENCES \"x.y\".\"Others\"",
        "INDEX i ON sales.orders",
        "CREATE TABLE app.plain",
    ] {
        assert!(sql.contains(part), "{part}: {sql}");
    }
    assert!(!sql.to_ascii_lowercase().contains("mine"), "{sql}");
    let names: Vec<_> = translation
        .tables
        .iter()
        .map(|table| (table.declared_name.as_str(), table.schema.as_deref(), table.name.as_str()))
        .collect();
    assert_eq!(names, [("Mine", Some("sales"), "orders"), ("plain", Some("app"), "plain")]);
}
