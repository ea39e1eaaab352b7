//! What a new device needs to make its tables: the synced tables that the caller may read.
//!
//! Read as the caller but for the settings. Types are named by what SQLite keeps of the values as they
//! travel, and defaults are values, so that a device never runs SQL that came from elsewhere.

use serde_json::{Map, Value as Json, json};

use super::printed::Moment;
use super::spi::{Arg, Mode, Row, query};
use super::table::{Table, TableColumn, find_tables};
use super::types::Kind;
use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::AsOwner;

/// The most bytes of a request.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Table settings that hold on devices as on the server.
const TABLE_SETTINGS: [&str; 4] = ["atomic", "conflicts", "conflicts_days", "conflicts_rows"];

/// Column settings that hold on devices as on the server.
const COLUMN_SETTINGS: [&str; 3] = ["algo", "delimiter", "merge"];

/// Answers `cloudsync_pull_schema`.
///
/// # Errors
/// The request is no JSON object, or the catalog cannot be read.
pub(super) fn describe(request: &[u8]) -> Result<Vec<u8>> {
    check_request(request)?;
    let tables = find_tables(Mode::Read, None)?;
    let closed = closed_tables(&tables)?;
    let settings = AsOwner::run(read_settings)?;
    let mut described = Vec::new();
    for table in &tables {
        if table.can_select() && !closed.contains(&table.oid) {
            described.push(describe_table(table, &settings)?);
        }
    }
    Ok(json!({ "version": 1, "tables": described }).to_string().into_bytes())
}

fn check_request(request: &[u8]) -> Result<()> {
    let wrong = || PgError::new(SqlState::INVALID_PARAMETER, "cloudsync_pull_schema takes a JSON object");
    if request.len() > MAX_REQUEST_BYTES {
        return Err(wrong());
    }
    let request: Json = serde_json::from_slice(request).map_err(|_| wrong())?;
    if request.is_object() { Ok(()) } else { Err(wrong()) }
}

struct Setting {
    table: i64,
    column: String,
    key: String,
    value: String,
}

fn read_settings() -> Result<Vec<Setting>> {
    let sql = "SELECT CAST(table_id AS pg_catalog.int8), col_name, key, value FROM cloudsync.table_settings";
    query(Mode::Read, sql, Vec::new(), |row| {
        Ok(Setting {
            table: row.known_long(1)?,
            column: row.known_text(2)?,
            key: row.known_text(3)?.to_ascii_lowercase(),
            value: row.known_text(4)?,
        })
    })
}

/// Tables that the caller may read by right, but of which no policy ever shows a row.
fn closed_tables(tables: &[Table]) -> Result<Vec<i64>> {
    let secured: Vec<i64> =
        tables.iter().filter(|table| table.has_row_security).map(|table| table.oid).collect();
    query(Mode::Read, CLOSED, vec![Arg::Longs(secured)], |row| row.known_long(1))
}

/// Role 0 of a policy is PUBLIC.
const CLOSED: &str = r#"
SELECT o.oid FROM pg_catalog.unnest($1) o(oid)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_policy p
    WHERE p.polrelid OPERATOR(pg_catalog.=) CAST(o.oid AS pg_catalog.oid) AND p.polpermissive
        AND p.polcmd OPERATOR(pg_catalog.=) ANY (CAST('{r,*}' AS pg_catalog."char"[]))
        AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) r(role)
            WHERE r.role OPERATOR(pg_catalog.=) 0 OR pg_catalog.pg_has_role(r.role, 'USAGE')))"#;

fn describe_table(table: &Table, settings: &[Setting]) -> Result<Json> {
    let facts = read_columns(table.oid)?;
    let shown = table.keys.iter().chain(table.readable());
    let columns: Vec<Json> = shown
        .map(|column| {
            let fact = facts.iter().find(|fact| fact.number == i64::from(column.id.0));
            describe_column(table, column, fact, settings)
        })
        .collect();
    let mut on_table = Map::new();
    for setting in settings.iter().filter(|setting| setting.table == table.id && setting.column == "*") {
        if TABLE_SETTINGS.contains(&setting.key.as_str()) {
            on_table.insert(setting.key.clone(), json!(setting.value));
        }
    }
    let (schema, name) = schema_and_name(table.oid)?;
    Ok(json!({
        "name": table.schema.name,
        "schema": schema,
        "table": name,
        "algorithm": table.schema.algorithm.name(),
        "key": table.schema.key,
        "columns": columns,
        "settings": on_table,
    }))
}

fn schema_and_name(oid: i64) -> Result<(String, String)> {
    let sql = "SELECT CAST(n.nspname AS pg_catalog.text), CAST(c.relname AS pg_catalog.text) \
        FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
        WHERE c.oid OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.oid)";
    let read = |row: &Row<'_, '_>| Ok((row.known_text(1)?, row.known_text(2)?));
    Ok(query(Mode::Read, sql, vec![Arg::Long(oid)], read)?.into_iter().next().unwrap_or_default())
}

fn describe_column(
    table: &Table,
    column: &TableColumn,
    fact: Option<&ColumnFact>,
    settings: &[Setting],
) -> Json {
    let mut described = Map::new();
    described.insert("name".into(), json!(column.name));
    described.insert("type".into(), json!(declared(table, column)));
    described.insert("notNull".into(), json!(fact.is_some_and(|fact| fact.not_null)));
    let default = fact.and_then(|fact| fact.default.as_deref());
    if let Some(default) = default.and_then(|sql| default_of(column.kind.kind, sql)) {
        described.insert("default".into(), default);
    }
    for setting in settings.iter().filter(|setting| setting.table == table.id) {
        if setting.column == column.name && COLUMN_SETTINGS.contains(&setting.key.as_str()) {
            let on_column = described.entry("settings").or_insert_with(|| json!({}));
            if let Some(on_column) = on_column.as_object_mut() {
                on_column.insert(setting.key.clone(), json!(setting.value));
            }
        }
    }
    Json::Object(described)
}

/// The declared type in SQLite. A key of one INTEGER column would be numbered by SQLite itself, the same
/// on every device: BIGINT is not.
fn declared(table: &Table, column: &TableColumn) -> &'static str {
    let is_only_key = table.keys.len() == 1 && column.equals.is_some();
    match column.kind.kind {
        Kind::Integer { .. } | Kind::Boolean if is_only_key => "BIGINT",
        Kind::Integer { .. } | Kind::Boolean => "INTEGER",
        Kind::Single | Kind::Double => "REAL",
        Kind::Blob => "BLOB",
        _ => "TEXT",
    }
}

struct ColumnFact {
    number: i64,
    not_null: bool,
    default: Option<String>,
}

fn read_columns(oid: i64) -> Result<Vec<ColumnFact>> {
    let sql = "SELECT CAST(a.attnum AS pg_catalog.int8), a.attnotnull, \
            pg_catalog.pg_get_expr(d.adbin, d.adrelid) \
        FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d \
            ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid AND d.adnum OPERATOR(pg_catalog.=) a.attnum \
        WHERE a.attrelid OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.oid) \
            AND a.attnum OPERATOR(pg_catalog.>) 0";
    query(Mode::Read, sql, vec![Arg::Long(oid)], |row| {
        Ok(ColumnFact { number: row.known_long(1)?, not_null: row.flag(2)?, default: row.text(3)? })
    })
}

/// A default that a device can have too: a constant, a new UUID, or the present time.
fn default_of(kind: Kind, sql: &str) -> Option<Json> {
    let sql = without_casts(sql);
    let bare = sql.to_ascii_lowercase();
    let function = bare.rsplit('.').next().unwrap_or_default();
    if matches!(function, "gen_random_uuid()" | "cloudsync_uuid()" | "uuidv7()" | "uuid_generate_v4()") {
        return matches!(kind, Kind::Uuid | Kind::Text).then(|| json!({ "function": "uuid" }));
    }
    if matches!(function, "now()" | "current_timestamp") {
        return matches!(kind, Kind::Moment(Moment::Timestamp | Moment::TimestampTz))
            .then(|| json!({ "function": "now" }));
    }
    let constant = match sql.strip_prefix('\'') {
        Some(quoted) => quoted_text(quoted)?,
        None if matches!(bare.as_str(), "true" | "false") => bare,
        None => sql.parse::<f64>().ok().map(|_| sql.to_owned())?,
    };
    match kind {
        Kind::Integer { .. } => constant.parse::<i64>().ok().map(|number| json!({ "integer": number })),
        Kind::Boolean => match constant.as_str() {
            "true" | "t" => Some(json!({ "integer": 1 })),
            "false" | "f" => Some(json!({ "integer": 0 })),
            _ => None,
        },
        Kind::Single | Kind::Double => {
            let number = constant.parse::<f64>().ok().filter(|number| number.is_finite())?;
            Some(json!({ "real": number }))
        }
        Kind::Blob => {
            let digits = constant.strip_prefix("\\x")?;
            let is_hex = digits.len() % 2 == 0 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| json!({ "blob": digits }))
        }
        _ => Some(json!({ "text": constant })),
    }
}

/// The expression without the casts that PostgreSQL prints after it, and the parentheses around it.
fn without_casts(sql: &str) -> &str {
    let mut rest = sql.trim();
    loop {
        let before = rest;
        if let Some((value, type_name)) = rest.rsplit_once("::")
            && is_type_name(type_name)
        {
            rest = value.trim_end();
        }
        if let Some(inner) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
            && is_balanced(inner)
        {
            rest = inner;
        }
        if rest == before {
            return rest;
        }
    }
}

/// Whether this is a type and nothing behind it, as of `5::bigint + 1`.
fn is_type_name(text: &str) -> bool {
    const OF_WORDS: [&str; 7] = [
        "character varying",
        "bit varying",
        "double precision",
        "timestamp without time zone",
        "timestamp with time zone",
        "time without time zone",
        "time with time zone",
    ];
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '"');
    let bare =
        text.trim_end_matches(|letter: char| matches!(letter, '(' | ')' | ',') || letter.is_ascii_digit());
    OF_WORDS.contains(&bare) || bare.chars().all(is_letter)
}

/// Whether the parentheses around this text belong together. A quoted one only makes it say no more often.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0usize;
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return false,
            ')' => depth -= 1,
            _ => {}
        }
    }
    depth == 0
}

/// The text of a literal after its opening quote, which must end with the expression.
fn quoted_text(rest: &str) -> Option<String> {
    let inner = rest.strip_suffix('\'')?;
    let text = inner.replace("''", "\u{0}");
    (!text.contains('\'')).then(|| text.replace('\u{0}', "'"))
}
