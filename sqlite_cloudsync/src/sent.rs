//! Which local writes the server has not acknowledged: the column `unsent` of the clocks.
//!
//! It holds the lowest version in the row that is unsent. Rows with a value above zero are listed by
//! a partial index. The rows of a bulk write would fill that index only to empty it again, so they
//! hold [`UNSENT_BULK`], which the index leaves out, and their table is marked: while it is, a
//! reader walks all its clocks.

use cloudsync_shared::clock::RowClock;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::RowId;
use cloudsync_shared::key::Key;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::filter::Look;
use crate::filter::judge::Presence;
use crate::groups;
use crate::quote;
use crate::system;
use crate::table::{Table, clock_table};

/// `unsent` of a row that has to be sent as a whole.
pub const UNSENT_WHOLE: i64 = 1;
/// The same for a row of a bulk write.
pub const UNSENT_BULK: i64 = 0;
/// From how many rows folded at once a write counts as a bulk write: walking the clocks of a table
/// that received as many is cheaper than indexing them.
pub const BULK_ROWS: usize = 5_000;
/// Setting: the highest version given here when the server had last taken everything.
const ACKNOWLEDGED: &str = "server_version";
/// Setting: the highest version given here when all that can be sent had been.
const TOLD: &str = "told_version";
/// Setting: the server has taken something since the last complete download.
const SINCE_DOWNLOAD: &str = "sent_since_download";

/// The highest version given here when the server had last taken everything.
///
/// # Errors
/// The database failed.
pub fn acknowledged(conn: &Connection) -> Result<Version> {
    let number = system::get_text(conn, ACKNOWLEDGED)?.and_then(|text| text.parse().ok());
    Ok(Version(number.unwrap_or(0)))
}

/// Notes that the server has everything up to this version.
///
/// # Errors
/// The database failed.
pub fn set_acknowledged(conn: &Connection, version: Version) -> Result<()> {
    system::set_text(conn, ACKNOWLEDGED, Some(&version.0.to_string()))
}

/// The highest version given here when all that can be sent had last been: of later ones the server cannot know.
///
/// # Errors
/// The database failed.
pub fn told(conn: &Connection) -> Result<Version> {
    let number = system::get_text(conn, TOLD)?.and_then(|text| text.parse().ok());
    Ok(Version(number.unwrap_or(0)))
}

/// Notes it.
///
/// # Errors
/// The database failed.
pub fn set_told(conn: &Connection, version: Version) -> Result<()> {
    match told(conn)? == version {
        true => Ok(()),
        false => system::set_text(conn, TOLD, Some(&version.0.to_string())),
    }
}

/// Whether the server has taken something from this database since the last complete download.
///
/// # Errors
/// The database failed.
pub fn since_download(conn: &Connection) -> Result<bool> {
    Ok(system::get_text(conn, SINCE_DOWNLOAD)?.is_some())
}

/// Notes it.
///
/// # Errors
/// The database failed.
pub fn set_since_download(conn: &Connection, sent: bool) -> Result<()> {
    if since_download(conn)? == sent {
        Ok(())
    } else {
        system::set_text(conn, SINCE_DOWNLOAD, sent.then_some("1"))
    }
}

/// Whether a table has anything unsent. Fold first.
///
/// # Errors
/// The database cannot be read.
pub fn has_unsent(conn: &Connection) -> Result<bool> {
    for table in system::tables(conn)? {
        if table.filter.is_some() {
            match Table::load(conn, table)? {
                Some(table) if count_told(conn, &table)? > 0 => return Ok(true),
                _ => continue,
            }
        }
        let condition = if table.bulk_unsent { "unsent IS NOT NULL" } else { "unsent > 0" };
        let clocks = quote::main(&clock_table(&table.name));
        let sql = format!("SELECT EXISTS(SELECT 1 FROM {clocks} WHERE {condition})");
        if conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many unsent rows of a table with a filter are to be sent: not those that have come under the filter
/// since they were written.
///
/// # Errors
/// The database cannot be read.
pub fn count_told(conn: &Connection, table: &Table) -> Result<u64> {
    let Some(mut look) = Look::new(conn, table)? else { return Ok(0) };
    let sql = format!("SELECT key, clock FROM {} WHERE unsent IS NOT NULL", table.clocks());
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let clock = RowClock::from_bytes(&row.get::<_, Vec<u8>>(1)?)?;
        let key = Key::from_bytes(row.get(0)?)?;
        if !clock.length.is_alive() || look.at(&key)? == Presence::Shared {
            count += 1;
        }
    }
    Ok(count)
}

/// Notes that the server has a row up to a version, under this id.
///
/// # Errors
/// The database cannot be written.
pub fn acknowledge(
    conn: &Connection,
    table: &Table,
    key: &Key,
    up_to: Version,
    row_id: Option<RowId>,
) -> Result<()> {
    let clocks = table.clocks();
    let sql = format!("SELECT clock FROM {clocks} WHERE key = ?1");
    let stored: Option<Vec<u8>> =
        conn.prepare_cached(&sql)?.query_row([&key.0], |row| row.get(0)).optional()?;
    let Some(stored) = stored else { return Ok(()) };
    let left = match RowClock::from_bytes(&stored)?.highest() > up_to {
        true => Some(i64::try_from(up_to.next().0).unwrap_or(i64::MAX)),
        false => None,
    };
    let sql = format!("UPDATE {clocks} SET unsent = ?2, row_id = coalesce(?3, row_id) WHERE key = ?1");
    let row_id = row_id.and_then(|id| i64::try_from(id.0).ok());
    conn.prepare_cached(&sql)?.execute(params![key.0, left, row_id])?;
    if left.is_none() { groups::leave(conn, table, key) } else { Ok(()) }
}

/// Marks a table: rows of a bulk write are unsent.
///
/// # Errors
/// The database cannot be written.
pub fn expect_bulk(conn: &Connection, table_id: i64) -> Result<()> {
    let sql = "UPDATE main.cloudsync_tables SET bulk_unsent = 1 WHERE id = ?1 AND NOT bulk_unsent";
    conn.prepare_cached(sql)?.execute([table_id])?;
    Ok(())
}

/// Takes the mark from tables whose bulk writes have all been acknowledged. To be called after a push.
///
/// # Errors
/// The database cannot be written.
pub fn settle_bulk(conn: &Connection) -> Result<()> {
    for table in system::tables(conn)?.into_iter().filter(|table| table.bulk_unsent) {
        let clocks = quote::main(&clock_table(&table.name));
        let sql = format!(
            "UPDATE main.cloudsync_tables SET bulk_unsent = EXISTS(SELECT 1 FROM {clocks} WHERE unsent = {UNSENT_BULK})
             WHERE id = ?1"
        );
        conn.execute(&sql, [table.id])?;
    }
    Ok(())
}
