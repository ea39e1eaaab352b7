//! What a device remembers of its server, stored with the data so that it can never disagree with it.

use cloudsync_shared::id::RowId;
use cloudsync_shared::message::{Epoch, Progress, Snapshot, View};
use rusqlite::{Connection, params};

use crate::error::Result;
use crate::system::{CLOCK_OFFSET, get_text, set_text};

const EPOCH: &str = "server_epoch";
const CURSOR: &str = "server_cursor";
const PROGRESS: &str = "server_progress";
const LAST_SYNC: &str = "last_sync";

/// What a download is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// All rows of tables that were never downloaded.
    Whole,
    /// What changed since the cursor.
    News,
    /// The rows that came into sight without having been written.
    Sight,
}

impl Purpose {
    const ALL: [(Purpose, &'static str); 3] =
        [(Purpose::Whole, "whole"), (Purpose::News, "news"), (Purpose::Sight, "sight")];

    fn name(self) -> &'static str {
        Purpose::ALL.iter().find(|(purpose, _)| *purpose == self).map_or("news", |(_, name)| name)
    }

    fn from_name(name: &str) -> Option<Purpose> {
        Purpose::ALL.iter().find(|(_, own)| *own == name).map(|(purpose, _)| *purpose)
    }
}

/// Where the next download begins, and where an unfinished one goes on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerState {
    /// The server's life; `None`: never spoken to.
    pub epoch: Option<Epoch>,
    /// The end of the last complete download; `None`: there was none.
    pub cursor: Option<Snapshot>,
    /// An unfinished download.
    pub progress: Option<(Purpose, Progress)>,
}

impl ServerState {
    /// Reads it.
    ///
    /// # Errors
    /// The database failed.
    pub fn load(conn: &Connection) -> Result<ServerState> {
        let epoch = get_text(conn, EPOCH)?.and_then(|hex| parse_hex(&hex)).map(Epoch);
        let cursor = get_text(conn, CURSOR)?.map(Snapshot);
        let progress = get_text(conn, PROGRESS)?.and_then(|text| parse_progress(&text));
        Ok(ServerState { epoch, cursor, progress })
    }

    /// Writes it, within the caller's transaction.
    ///
    /// # Errors
    /// The database failed.
    pub fn store(&self, conn: &Connection) -> Result<()> {
        let epoch =
            self.epoch.map(|epoch| epoch.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        set_text(conn, EPOCH, epoch.as_deref())?;
        set_text(conn, CURSOR, self.cursor.as_ref().map(|cursor| cursor.0.as_str()))?;
        let progress = self.progress.as_ref();
        let progress = progress
            .map(|(purpose, at)| format!("{} {} {} {}", purpose.name(), at.until.0, at.after.0, at.table));
        set_text(conn, PROGRESS, progress.as_deref())
    }
}

/// Notes a finished sync: when, and how far the server's clock is ahead of ours, in milliseconds.
///
/// # Errors
/// The database failed.
pub fn set_last_sync(conn: &Connection, now: u64, clock_offset: i64) -> Result<()> {
    set_text(conn, LAST_SYNC, Some(&now.to_string()))?;
    set_text(conn, CLOCK_OFFSET, Some(&clock_offset.to_string()))
}

/// When the last sync ended (milliseconds since 1970), and the clock offset it found.
///
/// # Errors
/// The database failed.
pub fn last_sync(conn: &Connection) -> Result<(Option<i64>, Option<i64>)> {
    let number = |key| Ok::<_, crate::error::Error>(get_text(conn, key)?.and_then(|text| text.parse().ok()));
    Ok((number(LAST_SYNC)?, number(CLOCK_OFFSET)?))
}

/// How a table's rows on the device stand to the server's, as `cloudsync_tables.pulled` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// They must be downloaded as a whole.
    Never = 0,
    /// They are there.
    All = 1,
    /// They are there, but what the user may see has changed: all must be compared.
    Stale = 2,
}

/// The tables in a state.
///
/// # Errors
/// The database failed.
pub fn tables_pulled(conn: &Connection, pulled: Pulled) -> Result<Vec<String>> {
    let mut query =
        conn.prepare_cached("SELECT name FROM main.cloudsync_tables WHERE pulled = ?1 ORDER BY id")?;
    let names = query.query_map([pulled as i64], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// The tables that the server may not sync: those that were never downloaded, and those of which it knew no
/// view when they were.
///
/// # Errors
/// The database failed.
pub fn tables_unseen(conn: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT name FROM main.cloudsync_tables
               WHERE pulled = 0 OR (view_columns IS 0 AND view_rows IS 0) ORDER BY id";
    let mut query = conn.prepare_cached(sql)?;
    let names = query.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Notes the state of some tables.
///
/// # Errors
/// The database failed.
pub fn set_pulled(conn: &Connection, tables: &[String], pulled: Pulled) -> Result<()> {
    let mut update = conn.prepare_cached("UPDATE main.cloudsync_tables SET pulled = ?2 WHERE name = ?1")?;
    for table in tables {
        update.execute(params![table, pulled as i64])?;
    }
    Ok(())
}

/// Notes the views under which tables are about to be downloaded or compared.
///
/// # Errors
/// The database failed.
pub fn keep_views(conn: &Connection, tables: &[String], views: &[View]) -> Result<()> {
    let sql = "UPDATE main.cloudsync_tables SET view_columns = ?2, view_rows = ?3 WHERE name = ?1";
    let mut update = conn.prepare_cached(sql)?;
    for (table, view) in tables.iter().zip(views) {
        update.execute(params![table, view.columns as i64, view.rows as i64])?;
    }
    Ok(())
}

/// Marks the tables whose views are not those kept: with other columns all must be downloaded again,
/// with other rows all must be compared.
///
/// # Errors
/// The database failed.
pub fn mark_stale(conn: &Connection, tables: &[String], views: &[View]) -> Result<()> {
    let sql = "UPDATE main.cloudsync_tables
               SET pulled = CASE WHEN view_columns IS NOT ?2 THEN 0 WHEN pulled = 1 THEN 2 ELSE pulled END
               WHERE name = ?1 AND (view_columns IS NOT ?2 OR view_rows IS NOT ?3)";
    let mut update = conn.prepare_cached(sql)?;
    for (table, view) in tables.iter().zip(views) {
        update.execute(params![table, view.columns as i64, view.rows as i64])?;
    }
    Ok(())
}

fn parse_progress(text: &str) -> Option<(Purpose, Progress)> {
    let mut parts = text.splitn(4, ' ');
    let purpose = Purpose::from_name(parts.next()?)?;
    let until = Snapshot(parts.next()?.to_owned());
    let after = RowId(parts.next()?.parse().ok()?);
    Some((purpose, Progress { until, after, table: parts.next()?.to_owned() }))
}

fn parse_hex(hex: &str) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse(hex).ok().map(|id| *id.as_bytes())
}
