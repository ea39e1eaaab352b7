//! The extension's own tables: settings, sites, synced tables and their columns.

use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Version};
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::qualified::QualifiedName;
use cloudsync_shared::schema::Algorithm;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{Error, Result};
use crate::texts::documents;
use crate::{bases, conflicts, parked, rejections};

/// What every database with synced tables has.
const SYSTEM_TABLES: &str = include_str!("../../sql/sqlite/system.sql");

/// The tables of [`SYSTEM_TABLES`], for their removal.
const SYSTEM_TABLE_NAMES: [&str; 12] = [
    "cloudsync_settings",
    "cloudsync_site_id",
    "cloudsync_tables",
    "cloudsync_columns",
    "cloudsync_table_settings",
    "cloudsync_guard",
    "cloudsync_groups",
    "cloudsync_rejections",
    "cloudsync_parked",
    "cloudsync_conflicts",
    "cloudsync_bases",
    documents::TABLE,
];

/// Setting: the release that created the tables.
const VERSION: &str = "version";
/// Setting: how many milliseconds the server's clock was ahead of this device's at the last sync.
pub const CLOCK_OFFSET: &str = "clock_offset";
/// Setting: the highest version seen anywhere.
const HIGHEST: &str = "highest";
/// Setting: SQLite's schema version when the triggers were last compared with the tables.
const SCHEMA_SEEN: &str = "schema_seen";

/// A row of `cloudsync_tables`.
#[derive(Clone, Debug)]
pub struct SyncedTable {
    /// Its number.
    pub id: i64,
    /// Its name, as in SQLite's catalog.
    pub name: String,
    /// How its rows merge.
    pub algorithm: Algorithm,
    /// Whether local writes are captured.
    pub enabled: bool,
    /// Whether it may hold rows without a clock, which stood there before.
    pub base: bool,
    /// Whether rows of a bulk write are unsent, which no index lists (see `sent`).
    pub bulk_unsent: bool,
    /// Whether the writes of a transaction are to stand or fall together (see `groups`).
    pub atomic: bool,
    /// Whether values that lose a merge are listed (see `conflicts`).
    pub conflicts: bool,
    /// Which rows take part (see `filter`); `None`: all.
    pub filter: Option<String>,
    /// Which table of the server it is (see `mapping`); `None`: the one of its name.
    pub server_table: Option<QualifiedName>,
}

/// Whether the system tables exist.
///
/// # Errors
/// The catalog cannot be read.
pub fn exists(conn: &Connection) -> Result<bool> {
    let sql =
        "SELECT EXISTS(SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'cloudsync_tables')";
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Creates the system tables and the site id where they are missing.
///
/// # Errors
/// The database cannot be written.
pub fn create(conn: &Connection) -> Result<()> {
    if exists(conn)? {
        return Ok(());
    }
    conn.execute_batch(SYSTEM_TABLES)?;
    conn.execute_batch(rejections::CREATE)?;
    conn.execute_batch(parked::CREATE)?;
    conn.execute_batch(conflicts::CREATE)?;
    conn.execute_batch(bases::CREATE)?;
    set_setting(conn, VERSION, &SqlValue::Text(crate::VERSION.to_owned()))?;
    set_setting(conn, HIGHEST, &SqlValue::Integer(0))?;
    let site = uuid::Uuid::now_v7().into_bytes();
    conn.execute(
        "INSERT INTO main.cloudsync_site_id(id, site_id) VALUES(0, ?1) ON CONFLICT DO NOTHING",
        params![site],
    )?;
    Ok(())
}

/// Removes the system tables, with the site id.
///
/// # Errors
/// The database cannot be written.
pub fn drop(conn: &Connection) -> Result<()> {
    for table in SYSTEM_TABLE_NAMES {
        conn.execute_batch(&format!("DROP TABLE IF EXISTS main.{table}"))?;
    }
    Ok(())
}

/// Reads a setting.
///
/// # Errors
/// The database cannot be read.
pub fn setting(conn: &Connection, key: &str) -> Result<Option<SqlValue>> {
    let mut statement = conn.prepare_cached("SELECT value FROM main.cloudsync_settings WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Writes a setting; NULL removes it.
///
/// # Errors
/// The database cannot be written.
pub fn set_setting(conn: &Connection, key: &str, value: &SqlValue) -> Result<()> {
    if *value == SqlValue::Null {
        conn.execute("DELETE FROM main.cloudsync_settings WHERE key = ?1", [key])?;
        return Ok(());
    }
    let sql = "INSERT INTO main.cloudsync_settings(key, value) VALUES(?1, ?2)
               ON CONFLICT(key) DO UPDATE SET value = excluded.value";
    conn.prepare_cached(sql)?.execute(params![key, value])?;
    Ok(())
}

/// Reads a setting that is text.
///
/// # Errors
/// The database cannot be read.
pub fn get_text(conn: &Connection, key: &str) -> Result<Option<String>> {
    Ok(match setting(conn, key)? {
        Some(SqlValue::Text(text)) => Some(text),
        Some(SqlValue::Integer(number)) => Some(number.to_string()),
        _ => None,
    })
}

/// Writes a setting that is text; `None` removes it.
///
/// # Errors
/// The database cannot be written.
pub fn set_text(conn: &Connection, key: &str, value: Option<&str>) -> Result<()> {
    let value = value.map_or(SqlValue::Null, |text| SqlValue::Text(text.to_owned()));
    set_setting(conn, key, &value)
}

/// The highest version seen anywhere.
///
/// # Errors
/// The database cannot be read.
pub fn highest(conn: &Connection) -> Result<Version> {
    version_setting(conn, HIGHEST)
}

/// Reads a setting that is a version; [`Version::NEVER`] if it is not set.
///
/// # Errors
/// The database cannot be read.
pub fn version_setting(conn: &Connection, key: &str) -> Result<Version> {
    Ok(match setting(conn, key)? {
        Some(SqlValue::Integer(number)) => Version(u64::try_from(number).unwrap_or(0)),
        _ => Version::NEVER,
    })
}

/// Remembers the highest version seen; a lower one than before changes nothing.
///
/// # Errors
/// The database cannot be written.
pub fn observe(conn: &Connection, version: Version) -> Result<()> {
    raise(conn, HIGHEST, version)
}

/// Sets a setting that is a version, unless it is a higher one already.
///
/// # Errors
/// The database cannot be written.
pub fn raise(conn: &Connection, key: &str, version: Version) -> Result<()> {
    let number = i64::try_from(version.0).unwrap_or(i64::MAX);
    let sql = "INSERT INTO main.cloudsync_settings(key, value) VALUES(?1, ?2)
               ON CONFLICT(key) DO UPDATE SET value = max(value, excluded.value)";
    conn.prepare_cached(sql)?.execute(params![key, number])?;
    Ok(())
}

/// Sets the highest version seen, also to a lower one than it was.
///
/// # Errors
/// The database cannot be written.
pub fn set_highest(conn: &Connection, version: Version) -> Result<()> {
    set_setting(conn, HIGHEST, &SqlValue::Integer(i64::try_from(version.0).unwrap_or(i64::MAX)))
}

/// By how many milliseconds times of this device's clock are to be set back: as much as it ran ahead of the
/// server's at the last sync, if that was more than the server puts up with.
///
/// # Errors
/// The database cannot be read.
pub fn runs_ahead(conn: &Connection) -> Result<u64> {
    let offset = get_text(conn, CLOCK_OFFSET)?.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let ahead = if offset < 0 { offset.unsigned_abs() } else { 0 };
    Ok(if ahead > DEFAULT_MAX_DRIFT.0 { ahead } else { 0 })
}

/// Takes the write lock, so that what is read from here on cannot be changed by another connection.
/// To be called first in a savepoint.
///
/// # Errors
/// Another connection holds the lock.
pub fn lock(conn: &Connection) -> Result<()> {
    conn.prepare_cached("UPDATE main.cloudsync_settings SET value = value WHERE key = ?1")?
        .execute([HIGHEST])?;
    Ok(())
}

/// SQLite's counter of schema changes.
///
/// # Errors
/// The database cannot be read.
pub fn schema_version(conn: &Connection) -> Result<i64> {
    Ok(conn.prepare_cached("PRAGMA main.schema_version")?.query_row([], |row| row.get(0))?)
}

/// Whether the schema changed since [`remember_schema`].
///
/// # Errors
/// The database cannot be read.
pub fn schema_changed(conn: &Connection) -> Result<bool> {
    Ok(setting(conn, SCHEMA_SEEN)? != Some(SqlValue::Integer(schema_version(conn)?)))
}

/// Notes that the triggers fit the schema as it is now.
///
/// # Errors
/// The database cannot be written.
pub fn remember_schema(conn: &Connection) -> Result<()> {
    let seen = SqlValue::Integer(schema_version(conn)?);
    if setting(conn, SCHEMA_SEEN)?.as_ref() != Some(&seen) {
        set_setting(conn, SCHEMA_SEEN, &seen)?;
    }
    Ok(())
}

/// The site id of this database; `None` before the first `cloudsync_init`.
///
/// # Errors
/// The database cannot be read.
pub fn site_id(conn: &Connection) -> Result<Option<SiteId>> {
    if !exists(conn)? {
        return Ok(None);
    }
    let mut statement = conn.prepare_cached("SELECT site_id FROM main.cloudsync_site_id WHERE id = 0")?;
    let bytes: Option<Vec<u8>> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| SiteId::from_slice(&bytes)))
}

/// All sites met, by ordinal.
///
/// # Errors
/// The database cannot be read.
pub fn sites(conn: &Connection) -> Result<Vec<(SiteOrdinal, SiteId)>> {
    let mut statement = conn.prepare_cached("SELECT id, site_id FROM main.cloudsync_site_id ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let mut sites = Vec::new();
    for row in rows {
        let (ordinal, bytes) = row?;
        let Some(site) = SiteId::from_slice(&bytes) else {
            return Err(Error::state("table cloudsync_site_id holds an id that is not 16 bytes long"));
        };
        sites.push((SiteOrdinal(ordinal), site));
    }
    Ok(sites)
}

/// Gives a site met for the first time its ordinal.
///
/// # Errors
/// The database cannot be written.
pub fn add_site(conn: &Connection, site: SiteId) -> Result<SiteOrdinal> {
    let sql = "INSERT INTO main.cloudsync_site_id(id, site_id)
               SELECT max(id) + 1, ?1 FROM main.cloudsync_site_id RETURNING id";
    Ok(SiteOrdinal(conn.prepare_cached(sql)?.query_row(params![site.0], |row| row.get(0))?))
}

/// The ordinal of a site, a new one if it was never met.
///
/// # Errors
/// The database cannot be written.
pub fn ordinal(conn: &Connection, site: SiteId) -> Result<SiteOrdinal> {
    let mut known = conn.prepare_cached("SELECT id FROM main.cloudsync_site_id WHERE site_id = ?1")?;
    match known.query_row(params![site.0], |row| row.get(0)).optional()? {
        Some(id) => Ok(SiteOrdinal(id)),
        None => add_site(conn, site),
    }
}

/// All synced tables, in the order of their init.
///
/// # Errors
/// The database cannot be read.
pub fn tables(conn: &Connection) -> Result<Vec<SyncedTable>> {
    if !exists(conn)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT id, name, algorithm, enabled, base, bulk_unsent, EXISTS(
                 SELECT 1 FROM main.cloudsync_table_settings
                 WHERE tbl_name = name AND col_name = '*' AND key = 'atomic' AND value IN (1, '1')),
               EXISTS(
                 SELECT 1 FROM main.cloudsync_table_settings
                 WHERE tbl_name = name AND col_name = '*' AND key = 'conflicts' AND value = 'on'),
               (SELECT value FROM main.cloudsync_table_settings
                 WHERE tbl_name = name AND col_name = '*' AND key = 'filter'),
               (SELECT value FROM main.cloudsync_table_settings
                 WHERE tbl_name = name AND col_name = '*' AND key = 'server_table')
               FROM main.cloudsync_tables ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([], synced_table)?;
    let mut tables = Vec::new();
    for row in rows {
        let (mut table, algorithm, server_table) = row?;
        table.algorithm = Algorithm::from_name(&algorithm)?;
        table.server_table = server_table.map(|text| read_mapping(&table.name, &text)).transpose()?;
        tables.push(table);
    }
    Ok(tables)
}

fn read_mapping(table: &str, text: &str) -> Result<QualifiedName> {
    QualifiedName::from_wire(text).ok_or_else(|| {
        Error::state(format!(
            "the setting server_table of table {table} is not one that cloudsync_set_schema wrote: delete it from \
             cloudsync_table_settings, and call that again"
        ))
    })
}

fn synced_table(row: &Row<'_>) -> rusqlite::Result<(SyncedTable, String, Option<String>)> {
    let table = SyncedTable {
        id: row.get(0)?,
        name: row.get(1)?,
        algorithm: Algorithm::default(),
        enabled: row.get(3)?,
        base: row.get(4)?,
        bulk_unsent: row.get(5)?,
        atomic: row.get(6)?,
        conflicts: row.get(7)?,
        filter: row.get(8)?,
        server_table: None,
    };
    Ok((table, row.get(2)?, row.get(9)?))
}

/// The synced table of that name, by SQLite's rule for names: case does not count.
///
/// # Errors
/// The database cannot be read.
pub fn table(conn: &Connection, name: &str) -> Result<Option<SyncedTable>> {
    Ok(tables(conn)?.into_iter().find(|table| table.name.eq_ignore_ascii_case(name)))
}

/// As [`table`], but a table that is not synced is an error.
///
/// # Errors
/// The table is not synced.
pub fn require_table(conn: &Connection, name: &str) -> Result<SyncedTable> {
    table(conn, name)?.ok_or_else(|| Error::not_synced(name))
}

/// Writes a setting of a table, or of one of its columns (`*`: of the table); NULL removes it.
///
/// # Errors
/// The database cannot be written.
pub fn set_table_setting(
    conn: &Connection,
    table: &str,
    column: &str,
    key: &str,
    value: &SqlValue,
) -> Result<()> {
    let sql = match value {
        SqlValue::Null => {
            "DELETE FROM main.cloudsync_table_settings
             WHERE tbl_name = ?1 AND col_name = ?2 AND key = ?3 AND ?4 IS NULL"
        }
        _ => {
            "INSERT INTO main.cloudsync_table_settings(tbl_name, col_name, key, value) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT(tbl_name, col_name, key) DO UPDATE SET value = excluded.value"
        }
    };
    conn.execute(sql, params![table, column, key, value])?;
    Ok(())
}

/// Reads a setting of a table, or of one of its columns, as text.
///
/// # Errors
/// The database cannot be read.
pub fn table_setting(conn: &Connection, table: &str, column: &str, key: &str) -> Result<Option<String>> {
    let sql = "SELECT CAST(value AS TEXT) FROM main.cloudsync_table_settings
               WHERE tbl_name = ?1 AND col_name = ?2 AND key = ?3";
    Ok(conn.prepare_cached(sql)?.query_row([table, column, key], |row| row.get(0)).optional()?)
}

/// Lets the next sync download a table as a whole.
///
/// # Errors
/// The database cannot be written.
pub fn download_again(conn: &Connection, table_id: i64) -> Result<()> {
    conn.execute("UPDATE main.cloudsync_tables SET pulled = 0 WHERE id = ?1", [table_id])?;
    Ok(())
}

/// The ids of a table's columns, of dropped ones too.
///
/// # Errors
/// The database cannot be read.
pub fn column_ids(conn: &Connection, table_id: i64) -> Result<Vec<(String, ColumnId)>> {
    let mut statement =
        conn.prepare_cached("SELECT name, id FROM main.cloudsync_columns WHERE table_id = ?1")?;
    let rows = statement.query_map([table_id], |row| Ok((row.get(0)?, ColumnId(row.get(1)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Gives a column the next id of its table, with the mark `late` (0 or [`ColumnId::LATE`]).
///
/// # Errors
/// The database cannot be written.
pub fn add_column(conn: &Connection, table_id: i64, name: &str, late: u16) -> Result<ColumnId> {
    let sql = "INSERT INTO main.cloudsync_columns(table_id, name, id)
               SELECT ?1, ?2, ?3 | coalesce(max(id & ~?4) + 1, 0) FROM main.cloudsync_columns WHERE table_id = ?1
               RETURNING id";
    let bound = params![table_id, name, late, ColumnId::LATE];
    Ok(ColumnId(conn.query_row(sql, bound, |row| row.get(0))?))
}
