//! Settings of the database, of a table, of a column.

use cloudsync_shared::keeping;
use cloudsync_shared::text::Delimiter;
use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_extern};

use crate::catalog::{self, SyncedTable};
use crate::error::{PgError, Result, SqlState, or_report};
use crate::ffi::owner::AsOwner;
use crate::setup::{self, names};

/// The column name under which a setting of the whole table is kept.
const WHOLE_TABLE: &str = "*";
/// Settings that the extension itself made and that nobody may change.
const FIXED: [&str; 2] = ["site_id", "epoch"];

/// `cloudsync_set(key text, value text) RETURNS boolean`; a NULL value removes the setting.
#[pg_extern(sql = false)]
fn cloudsync_set(key: Option<&str>, value: Option<&str>) -> bool {
    or_report(set(key, value));
    true
}

/// `cloudsync_set_table(table text, key text, value text) RETURNS boolean`.
#[pg_extern(sql = false)]
fn cloudsync_set_table(table: Option<&str>, key: Option<&str>, value: Option<&str>) -> bool {
    or_report(set_column(table, Some(WHOLE_TABLE), key, value));
    true
}

/// `cloudsync_set_column(table text, column text, key text, value text) RETURNS boolean`.
#[pg_extern(sql = false)]
fn cloudsync_set_column(
    table: Option<&str>,
    column: Option<&str>,
    key: Option<&str>,
    value: Option<&str>,
) -> bool {
    or_report(set_column(table, column, key, value));
    true
}

fn set(key: Option<&str>, value: Option<&str>) -> Result<()> {
    let key = required(key, "key")?;
    if FIXED.contains(&key) {
        let message = format!("setting '{key}' cannot be changed");
        return Err(PgError::new(SqlState::INVALID_PARAMETER, message));
    }
    let _owner = AsOwner::enter()?;
    match value {
        Some(value) => run(
            "INSERT INTO cloudsync.settings (key, value) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            &[key.into(), value.into()],
        ),
        None => run("DELETE FROM cloudsync.settings WHERE key = $1", &[key.into()]),
    }
}

fn set_column(
    table: Option<&str>,
    column: Option<&str>,
    key: Option<&str>,
    value: Option<&str>,
) -> Result<()> {
    let name = required(table, "table")?;
    let column = required(column, "column")?;
    let key = required(key, "key")?;
    let table = setup::synced(names::resolve_owned(name)?)?;
    if column == WHOLE_TABLE && key == "filter" {
        let message = "a filter is set by cloudsync_set_filter and cloudsync_clear_filter";
        return Err(PgError::new(SqlState::INVALID_PARAMETER, message));
    }
    if column != WHOLE_TABLE && table.schema.column(column).is_none() {
        let message = format!("table {name} has no column {column} outside its key");
        return Err(PgError::new(SqlState::UNDEFINED_COLUMN, message));
    }
    if let (WHOLE_TABLE, Some(value)) = (column, value) {
        keeping::check(key, value)?;
    }
    let is_about_lines = column != WHOLE_TABLE && matches!(key, "algo" | "delimiter" | "merge");
    if is_about_lines {
        check_lines(&table, column, key, value)?;
    }
    let _owner = AsOwner::enter()?;
    store_setting(&table, column, key, value)?;
    let now = setup::synced(table.relation)?;
    if now.schema.texts != table.schema.texts { setup::lines_changed(&now, column) } else { Ok(()) }
}

/// Refuses what cannot be meant by the settings that make a column one that is merged by lines.
fn check_lines(table: &SyncedTable, column: &str, key: &str, value: Option<&str>) -> Result<()> {
    let refused = |message: String| Err(PgError::new(SqlState::INVALID_PARAMETER, message));
    match (key, value) {
        ("delimiter", Some(delimiter)) => Ok(Delimiter::new(delimiter).map(|_| ())?),
        ("merge", Some(unit)) => Ok(Delimiter::of_settings(Some(unit), None).map(|_| ())?),
        ("algo", Some("block")) if !setup::is_text(table, column)? => {
            refused(format!("column {column} is not of type text or varchar: it cannot be merged by lines"))
        }
        ("algo", Some(value)) if !matches!(value, "block" | "cls") => {
            refused(format!("the column setting 'algo' is 'block' or 'cls', not '{value}'"))
        }
        _ => Ok(()),
    }
}

fn store_setting(table: &SyncedTable, column: &str, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => run(
            "INSERT INTO cloudsync.table_settings (table_id, col_name, key, value) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (table_id, col_name, key) DO UPDATE SET value = excluded.value",
            &[table.id.into(), column.into(), key.into(), value.into()],
        ),
        None => run(
            "DELETE FROM cloudsync.table_settings WHERE table_id = $1 AND col_name = $2 AND key = $3",
            &[table.id.into(), column.into(), key.into()],
        ),
    }
}

/// `cloudsync_set_filter(table text, filter text) RETURNS boolean`: only rows for which the expression is
/// true take part in sync.
#[pg_extern(sql = false)]
fn cloudsync_set_filter(table: Option<&str>, filter: Option<&str>) -> bool {
    or_report(
        required(table, "table")
            .and_then(names::resolve_owned)
            .and_then(|table| setup::filter::set(table, required(filter, "filter")?)),
    );
    true
}

/// `cloudsync_clear_filter(table text) RETURNS boolean`: all rows take part again.
#[pg_extern(sql = false)]
fn cloudsync_clear_filter(table: Option<&str>) -> bool {
    or_report(required(table, "table").and_then(names::resolve_owned).and_then(setup::filter::clear));
    true
}

/// `cloudsync_table_schema(table text) RETURNS text`: the schema of a synced table, NULL if there is
/// no synced table of that name.
#[pg_extern(sql = false)]
fn cloudsync_table_schema(table: Option<&str>) -> Option<String> {
    or_report(table_schema(table))
}

fn table_schema(table: Option<&str>) -> Result<Option<String>> {
    let name = required(table, "table")?;
    let synced = match names::resolve(name)? {
        Some(relation) => catalog::by_relation(relation)?,
        None => None,
    };
    let Some(table) = synced.map_or_else(|| catalog::by_name(name), |table| Ok(Some(table)))? else {
        return Ok(None);
    };
    let sql = "SELECT n.nspname::pg_catalog.text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
               WHERE c.oid OPERATOR(pg_catalog.=) $1";
    Ok(Spi::connect(|client| client.select(sql, Some(1), &[table.relation.into()])?.first().get_one())?)
}

/// `cloudsync_begin_alter(table text) RETURNS boolean`. Plain `ALTER TABLE` is noticed by itself, so
/// there is nothing to do but to check that the table is synced.
#[pg_extern(sql = false)]
fn cloudsync_begin_alter(table: Option<&str>) -> bool {
    or_report(required(table, "table").and_then(names::resolve_owned).and_then(setup::synced));
    true
}

/// `cloudsync_commit_alter(table text) RETURNS boolean`: as `cloudsync_begin_alter`, and new
/// partitions get their triggers.
#[pg_extern(sql = false)]
fn cloudsync_commit_alter(table: Option<&str>) -> bool {
    or_report(required(table, "table").and_then(names::resolve_owned).and_then(setup::refresh));
    true
}

/// `cloudsync_terminate() RETURNS boolean`. A backend holds nothing that must be given back.
#[pg_extern(sql = false)]
fn cloudsync_terminate() -> bool {
    true
}

fn required<'a>(value: Option<&'a str>, what: &str) -> Result<&'a str> {
    value.ok_or_else(|| PgError::new(SqlState::INVALID_PARAMETER, format!("the {what} argument is NULL")))
}

fn run(sql: &str, args: &[DatumWithOid<'_>]) -> Result<()> {
    Ok(Spi::connect_mut(|client| client.update(sql, None, args).map(|_| ()))?)
}
