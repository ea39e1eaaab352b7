//! `cloudsync_conflicts`: values that lost a merge, of tables with the setting `conflicts`.

use cloudsync_shared::change::{LostReason, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::keeping;
use cloudsync_shared::key::Key;
use cloudsync_shared::message::LostValue;
use cloudsync_shared::text::digest;
use cloudsync_shared::value::Value;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, Result};
use crate::savepoint::in_savepoint;
use crate::table::Table;
use crate::texts::tell;
use crate::value::Bound;
use crate::{apply, bases, fold, system};

/// Creates the table. The application reads it and deletes from it as it likes. Times are milliseconds since
/// 1970. `line` tells lines of a text that one write lost from one another; else it is 0.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS main.cloudsync_conflicts (
    id INTEGER PRIMARY KEY,
    tbl TEXT NOT NULL,
    pk BLOB NOT NULL,
    col_name TEXT NOT NULL,
    lost_value,
    lost_version INTEGER NOT NULL,
    lost_at INTEGER NOT NULL,
    lost_site BLOB NOT NULL,
    won_value,
    won_version INTEGER NOT NULL,
    won_at INTEGER NOT NULL,
    won_site BLOB NOT NULL,
    reason TEXT NOT NULL,
    noted_at INTEGER NOT NULL,
    line INTEGER NOT NULL,
    UNIQUE (tbl, pk, col_name, lost_version, lost_site, line)
)";

const MILLIS_OF_A_DAY: i64 = 24 * 60 * 60 * 1000;

/// A value that lost, and the one that won.
pub struct Conflict<'a> {
    /// The table.
    pub table: &'a str,
    /// The row.
    pub key: &'a Key,
    /// The column.
    pub column: &'a str,
    /// What lost.
    pub lost: (&'a Value, Stamp<SiteId>),
    /// What won at that time; of a row that is gone NULL, and the stamp of its end.
    pub won: (&'a Value, Stamp<SiteId>),
    /// Why.
    pub reason: LostReason,
}

/// Whether a table setting is one of the list's.
pub fn is_setting(key: &str) -> bool {
    [keeping::CONFLICTS, keeping::DAYS, keeping::ROWS].iter().any(|name| key.eq_ignore_ascii_case(name))
}

/// Sets one of the list's settings; NULL removes it. What was written before the list was turned on is not
/// looked at; when it is turned off, what is listed stays.
///
/// # Errors
/// The value is none of the setting's, or the table is not synced.
pub fn set(conn: &Connection, name: &str, key: &str, value: &SqlValue) -> Result<()> {
    match value {
        SqlValue::Null => {}
        SqlValue::Text(text) => keeping::check(key, text)?,
        SqlValue::Integer(number) => keeping::check(key, &number.to_string())?,
        _ => keeping::check(key, "")?,
    }
    in_savepoint(conn, || {
        conn.execute_batch(CREATE)?;
        conn.execute_batch(bases::CREATE)?;
        fold::fold(conn)?;
        system::set_table_setting(conn, name, "*", &key.to_ascii_lowercase(), value)?;
        let table = Table::require(conn, name)?;
        if table.synced.conflicts { Ok(()) } else { bases::forget_table(conn, table.synced.id) }
    })
}

/// Notes a conflict, unless the two values are the same or this loss is listed already.
///
/// # Errors
/// The database failed.
pub fn record(conn: &Connection, conflict: &Conflict<'_>) -> Result<()> {
    let (lost, won) = (conflict.lost, conflict.won);
    if lost.0 == won.0 && conflict.reason != LostReason::RowDeleted {
        return Ok(());
    }
    let line = match (conflict.reason, lost.0) {
        (LostReason::NewerLine, Value::Text(line)) => digest(line),
        _ => 0,
    };
    let number = |version: Version| i64::try_from(version.0).unwrap_or(i64::MAX);
    let millis = |version: Version| i64::try_from(version.millis().0).unwrap_or(i64::MAX);
    let now = apply::now().0 as i64;
    let noted = conn
        .prepare_cached(
            "INSERT INTO main.cloudsync_conflicts (tbl, pk, col_name, lost_value, lost_version, lost_at, lost_site,
                 won_value, won_version, won_at, won_site, reason, noted_at, line)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            conflict.table,
            conflict.key.0,
            conflict.column,
            Bound(lost.0),
            number(lost.1.version),
            millis(lost.1.version),
            lost.1.site.0,
            Bound(won.0),
            number(won.1.version),
            millis(won.1.version),
            won.1.site.0,
            conflict.reason.text(),
            now,
            line
        ])?;
    if noted > 0 { let_go(conn, conflict.table, now) } else { Ok(()) }
}

/// Removes what is too old or too much.
fn let_go(conn: &Connection, table: &str, now: i64) -> Result<()> {
    let days = number(conn, table, keeping::DAYS)?.unwrap_or(keeping::DEFAULT_DAYS);
    let rows = number(conn, table, keeping::ROWS)?.unwrap_or(keeping::DEFAULT_ROWS);
    conn.prepare_cached(
        "DELETE FROM main.cloudsync_conflicts WHERE tbl = ?1 AND (noted_at < ?2
             OR id <= (SELECT id FROM main.cloudsync_conflicts WHERE tbl = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?3))",
    )?
    .execute(params![table, now.saturating_sub(days.saturating_mul(MILLIS_OF_A_DAY)), rows])?;
    Ok(())
}

fn number(conn: &Connection, table: &str, key: &str) -> Result<Option<i64>> {
    let sql = "SELECT CAST(value AS INTEGER) FROM main.cloudsync_table_settings
               WHERE tbl_name = ?1 AND col_name = '*' AND key = ?2";
    Ok(conn.prepare_cached(sql)?.query_row([table, key], |row| row.get(0)).optional()?)
}

/// Notes what the server tells of a cell that was sent.
///
/// # Errors
/// The database failed, or the answer names a cell that was not sent.
pub fn record_told(conn: &Connection, table: &Table, sent: &TableChanges, told: &LostValue) -> Result<()> {
    let column = told.column as usize;
    let row = sent.rows.get(told.row as usize);
    let row = row.map(|row| tell::with_standing(conn, table, row)).transpose()?;
    let cell = row.as_ref().and_then(|row| Some((row, row.cells.iter().find(|cell| cell.column == column)?)));
    let (Some((row, cell)), Some(name)) = (cell, sent.columns.get(column)) else {
        return Err(Error::network("the server's answer tells of a cell that was not sent"));
    };
    let line = told
        .line
        .as_ref()
        .map(|line| (Value::Text(line.text.clone()), Stamp { version: line.version, site: cell.stamp.site }));
    record(
        conn,
        &Conflict {
            table: &sent.table,
            key: &row.key,
            column: name,
            lost: line.as_ref().map_or((&cell.value, cell.stamp), |(text, stamp)| (text, *stamp)),
            won: (&told.value, told.won),
            reason: told.reason,
        },
    )
}
