//! The scalar functions: convert, call, convert back.

use cloudsync_shared::ddl;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::key::Key;
use cloudsync_shared::text::TextDelta;
use cloudsync_shared::value::{Value, parse_canonical_uuid, uuid_text};
use cloudsync_shared::varint::Reader;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, Result as SqlResult};

use crate::error::{Error, Result};
use crate::ffi::with_connection;
use crate::table::Table;
use crate::value;
use crate::{conflicts, filter, fold, groups, init, mapping, payload, system, texts};

/// Pure functions: the same answer for the same arguments, harmless anywhere.
const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8
    .union(FunctionFlags::SQLITE_DETERMINISTIC)
    .union(FunctionFlags::SQLITE_INNOCUOUS);
/// Functions that only look: harmless anywhere, also in a DEFAULT or a trigger.
const READS: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_INNOCUOUS);
/// Functions that change the database: never from a trigger or a view that somebody smuggled in.
const ACTS: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DIRECTONLY);

/// Registers a function under the names that users may call it by.
fn scalar<T: rusqlite::functions::SqlFnOutput + 'static>(
    conn: &Connection,
    name: &str,
    arguments: i32,
    flags: FunctionFlags,
    work: fn(&Context<'_>) -> SqlResult<T>,
) -> SqlResult<()> {
    conn.create_scalar_function(name, arguments, flags, work)
}

/// Setting tables up.
///
/// # Errors
/// SQLite refuses a function.
pub fn register_tables(conn: &Connection) -> SqlResult<()> {
    for arguments in 1..=3 {
        scalar(conn, "cloudsync_init", arguments, ACTS, |context| {
            let table = table_argument(context)?;
            let algorithm: String =
                if context.len() > 1 { text(context, 1, "algorithm")? } else { "cls".to_owned() };
            let flags: i64 = if context.len() > 2 { context.get(2)? } else { 0 };
            with_connection(context, |conn| Ok(init::init(conn, &table, &algorithm, flags)?.to_string()))
        })?;
    }
    on_table(conn, "cloudsync_cleanup", init::cleanup)?;
    on_table(conn, "cloudsync_enable", |conn, table| init::set_enabled(conn, table, true))?;
    on_table(conn, "cloudsync_disable", |conn, table| init::set_enabled(conn, table, false))?;
    on_table(conn, "cloudsync_begin_alter", init::begin_alter)?;
    on_table(conn, "cloudsync_commit_alter", init::commit_alter)?;
    scalar(conn, "cloudsync_is_enabled", 1, READS, |context| {
        let table = table_argument(context)?;
        with_connection(context, |conn| Ok(system::table(conn, &table)?.is_some_and(|table| table.enabled)))
    })?;
    scalar(conn, "cloudsync_translate_ddl", 1, PURE, |context| {
        let script = text(context, 0, "script")?;
        Ok(ddl::translate_to_text(&script).map_err(Error::from)?)
    })?;
    scalar(conn, "cloudsync_terminate", 0, ACTS, |_| Ok(1))
}

/// A function of a table's name that answers nothing.
fn on_table(conn: &Connection, name: &str, work: fn(&Connection, &str) -> Result<()>) -> SqlResult<()> {
    conn.create_scalar_function(name, 1, ACTS, move |context| {
        let table = table_argument(context)?;
        with_connection(context, |conn| work(conn, &table))?;
        Ok(SqlValue::Null)
    })
}

/// Settings.
///
/// # Errors
/// SQLite refuses a function.
pub fn register_settings(conn: &Connection) -> SqlResult<()> {
    scalar(conn, "cloudsync_set", 2, ACTS, |context| {
        let key = text(context, 0, "key")?;
        let value: SqlValue = context.get(1)?;
        with_connection(context, |conn| {
            system::create(conn)?;
            system::set_setting(conn, &key, &value)
        })?;
        Ok(SqlValue::Null)
    })?;
    scalar(conn, "cloudsync_set_table", 3, ACTS, |context| set_table_setting(context, "*".to_owned(), 1))?;
    scalar(conn, "cloudsync_set_column", 4, ACTS, |context| {
        let column = text(context, 1, "column")?;
        set_table_setting(context, column, 2)
    })?;
    scalar(conn, "cloudsync_set_filter", 2, ACTS, |context| {
        let (table, expression) = (table_argument(context)?, text(context, 1, "filter")?);
        with_connection(context, |conn| filter::set(conn, &table, Some(&expression)))?;
        Ok(1)
    })?;
    scalar(conn, "cloudsync_clear_filter", 1, ACTS, |context| {
        let table = table_argument(context)?;
        with_connection(context, |conn| filter::set(conn, &table, None))?;
        Ok(1)
    })?;
    scalar(conn, "cloudsync_text_materialize", -1, ACTS, |context| {
        if context.len() < 3 {
            return Err(Error::state("cloudsync_text_materialize takes a table, a column and the key").into());
        }
        let (table, column) = (table_argument(context)?, text(context, 1, "column")?);
        with_connection(context, |conn| texts::materialize(conn, &table, &column))?;
        Ok(1)
    })?;
    scalar(conn, "cloudsync_set_schema", 1, ACTS, |_| Ok(SqlValue::Null))?;
    scalar(conn, "cloudsync_set_schema", 2, ACTS, |context| {
        let table = table_argument(context)?;
        let place = match context.get_raw(1) {
            ValueRef::Null => None,
            _ => Some(text(context, 1, "schema")?),
        };
        with_connection(context, |conn| mapping::set(conn, &table, place.as_deref()))?;
        Ok(1)
    })?;
    scalar(conn, "cloudsync_schema", 0, READS, |_| Ok(SqlValue::Null))?;
    scalar(conn, "cloudsync_table_schema", 1, READS, |context| {
        let table = table_argument(context)?;
        with_connection(context, |conn| mapping::schema_of(conn, &table))
    })
}

fn set_table_setting(context: &Context<'_>, column: String, first: usize) -> SqlResult<SqlValue> {
    let table = table_argument(context)?;
    let key = text(context, first, "key")?;
    let value: SqlValue = context.get(first + 1)?;
    with_connection(context, |conn| set_setting(conn, &table, &column, &key, &value))?;
    Ok(SqlValue::Null)
}

/// Sets something of a table (column `*`) or of one of its columns.
///
/// # Errors
/// The table is not synced, there is no such column, or the value is none of the setting's.
pub fn set_setting(conn: &Connection, table: &str, column: &str, key: &str, value: &SqlValue) -> Result<()> {
    let found = Table::require(conn, table)?;
    let known = found.info.columns.iter().any(|known| known.name.eq_ignore_ascii_case(column));
    if column != "*" && !known {
        return Err(Error::state(format!("table {table} has no column {column} beside its key")));
    }
    let name = &found.synced.name;
    match column {
        "*" if key.eq_ignore_ascii_case(filter::SETTING) => {
            Err(Error::state("a filter is set by cloudsync_set_filter and cloudsync_clear_filter"))
        }
        "*" if key.eq_ignore_ascii_case(mapping::SETTING) => {
            Err(Error::state("the server's table is set by cloudsync_set_schema"))
        }
        "*" if key.eq_ignore_ascii_case(groups::SETTING) => groups::set_atomic(conn, name, value),
        "*" if conflicts::is_setting(key) => conflicts::set(conn, name, key, value),
        column if column != "*" && texts::is_setting(key) => texts::set(conn, name, column, key, value),
        _ => system::set_table_setting(conn, name, column, key, value),
    }
}

/// Versions and identity.
///
/// # Errors
/// SQLite refuses a function.
pub fn register_identity(conn: &Connection) -> SqlResult<()> {
    scalar(conn, "cloudsync_version", 0, PURE, |_| Ok(crate::VERSION))?;
    scalar(conn, "cloudsync_siteid", 0, READS, |context| {
        with_connection(context, |conn| Ok(system::site_id(conn)?.map(|site| site.0.to_vec())))
    })?;
    scalar(conn, "cloudsync_db_version", 0, ACTS, |context| {
        with_connection(context, |conn| {
            fold::fold(conn)?;
            match system::exists(conn)? {
                true => Ok(i64::try_from(system::highest(conn)?.0).unwrap_or(i64::MAX)),
                false => Ok(0),
            }
        })
    })
}

/// Identifiers and keys.
///
/// # Errors
/// SQLite refuses a function.
pub fn register_values(conn: &Connection) -> SqlResult<()> {
    scalar(conn, "cloudsync_uuid", 0, READS, |_| Ok(uuid::Uuid::now_v7().hyphenated().to_string()))?;
    for arguments in 1..=2 {
        scalar(conn, "cloudsync_uuid_text", arguments, PURE, to_uuid_text)?;
    }
    scalar(conn, "cloudsync_uuid_blob", 1, PURE, |context| {
        let text = match context.get_raw(0) {
            ValueRef::Null => return Ok(None),
            ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => return Err(Error::state("malformed UUID string").into()),
        };
        let known = parse_canonical_uuid(&text)
            .or_else(|| uuid::Uuid::parse_str(&text).ok().map(uuid::Uuid::into_bytes));
        Ok(Some(known.ok_or_else(|| Error::state("malformed UUID string"))?.to_vec()))
    })?;
    scalar(conn, "cloudsync_pk_encode", -1, PURE, |context| {
        let mut values = Vec::with_capacity(context.len());
        for at in 0..context.len() {
            let value = value::from_sql(context.get_raw(at))
                .map_err(|value::NotUtf8| Error::state("cloudsync_pk_encode: text is not valid UTF-8"))?;
            if value == Value::Null {
                return Ok(None);
            }
            values.push(value);
        }
        Ok(Some(Key::encode(&values).map_err(Error::from)?.0))
    })?;
    scalar(conn, "cloudsync_pk_decode", 2, PURE, |context| {
        let bytes = match context.get_raw(0) {
            ValueRef::Blob(bytes) => bytes,
            ValueRef::Null => return Ok(ToSqlOutput::Owned(SqlValue::Null)),
            _ => return Err(Error::state("cloudsync_pk_decode: the key must be a BLOB").into()),
        };
        let mut reader = Reader::new(bytes);
        let mut at = 1i64;
        let wanted: i64 = context.get(1)?;
        while !reader.is_empty() {
            let value = Value::decode(&mut reader).map_err(Error::from)?;
            if at == wanted {
                return Ok(owned(value));
            }
            at += 1;
        }
        Ok(ToSqlOutput::Owned(SqlValue::Null))
    })?;
    scalar(conn, "cloudsync_text_lines", 1, PURE, |context| {
        let lines = match context.get_raw(0) {
            ValueRef::Blob(bytes) => TextDelta::<SiteId>::from_bytes(bytes).map_err(Error::from)?,
            ValueRef::Null => return Ok(SqlValue::Null),
            _ => {
                return Err(Error::state("cloudsync_text_lines: expected a BLOB of cloudsync_changes").into());
            }
        };
        Ok(SqlValue::Text(lines.to_json().to_string()))
    })
}

fn owned(value: Value) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(match value {
        Value::Null => SqlValue::Null,
        Value::Integer(number) => SqlValue::Integer(number),
        Value::Real(number) => SqlValue::Real(number),
        Value::Text(text) => SqlValue::Text(text),
        Value::Blob(bytes) => SqlValue::Blob(bytes),
    })
}

fn to_uuid_text(context: &Context<'_>) -> SqlResult<Option<String>> {
    let bytes = match context.get_raw(0) {
        ValueRef::Null => return Ok(None),
        ValueRef::Blob(bytes) => <[u8; 16]>::try_from(bytes).ok(),
        _ => None,
    };
    let text = uuid_text(bytes.ok_or_else(|| Error::state("expected a 16-byte BLOB"))?);
    let dashes = context.len() < 2 || context.get::<bool>(1)?;
    Ok(Some(if dashes { text } else { text.replace('-', "") }))
}

/// Payloads.
///
/// # Errors
/// SQLite refuses a function.
pub fn register_payloads(conn: &Connection) -> SqlResult<()> {
    conn.create_aggregate_function("cloudsync_payload_encode", 9, ACTS, payload::Encode)?;
    for name in ["cloudsync_payload_apply", "cloudsync_payload_decode"] {
        scalar(conn, name, 1, ACTS, |context| match context.get_raw(0) {
            ValueRef::Blob(bytes) => with_connection(context, |conn| count(payload::apply(conn, bytes)?)),
            _ => Err(Error::state("a payload must be a BLOB").into()),
        })?;
    }
    scalar(conn, "cloudsync_payload_save", 1, ACTS, |context| {
        let path = text(context, 0, "path")?;
        with_connection(context, |conn| count(payload::save(conn, &path)?))
    })?;
    scalar(conn, "cloudsync_payload_load", 1, ACTS, |context| {
        let path = text(context, 0, "path")?;
        with_connection(context, |conn| count(payload::load(conn, &path)?))
    })
}

fn count(number: usize) -> Result<i64> {
    Ok(i64::try_from(number).unwrap_or(i64::MAX))
}

fn table_argument(context: &Context<'_>) -> SqlResult<String> {
    text(context, 0, "table")
}

fn text(context: &Context<'_>, at: usize, what: &str) -> SqlResult<String> {
    match context.get_raw(at) {
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Error::state(format!("the {what} is not valid UTF-8")).into()),
        },
        _ => Err(Error::state(format!("the {what} must be a text")).into()),
    }
}
