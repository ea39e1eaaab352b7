//! What a device remembers of its server, stored with the data so that it can never disagree with it.

use cloudsync_shared::id::RowId;
use cloudsync_shared::message::{Epoch, Progress, Snapshot};
use rusqlite::Connection;

use crate::error::Result;
use crate::system::{get_text, set_text};

const EPOCH: &str = "server_epoch";
const CURSOR: &str = "server_cursor";
const PROGRESS: &str = "server_progress";
const VERSION: &str = "server_version";
const LAST_SYNC: &str = "last_sync";
const CLOCK_OFFSET: &str = "clock_offset";

/// Where the next download begins, and where an unfinished one goes on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerState {
    /// The server's life; `None`: never spoken to.
    pub epoch: Option<Epoch>,
    /// The end of the last complete download; `None`: there was none.
    pub cursor: Option<Snapshot>,
    /// An unfinished download.
    pub progress: Option<Progress>,
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
        let epoch = self.epoch.map(|epoch| epoch.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        set_text(conn, EPOCH, epoch.as_deref())?;
        set_text(conn, CURSOR, self.cursor.as_ref().map(|cursor| cursor.0.as_str()))?;
        let progress = self.progress.as_ref();
        let progress = progress.map(|at| format!("{} {} {}", at.until.0, at.after.0, at.table));
        set_text(conn, PROGRESS, progress.as_deref())
    }
}

/// The highest local version that the server has acknowledged.
///
/// # Errors
/// The database failed.
pub fn server_version(conn: &Connection) -> Result<i64> {
    Ok(get_text(conn, VERSION)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Notes that the server has everything up to this version.
///
/// # Errors
/// The database failed.
pub fn set_server_version(conn: &Connection, version: i64) -> Result<()> {
    set_text(conn, VERSION, Some(&version.to_string()))
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

/// The tables that were never downloaded as a whole.
///
/// # Errors
/// The database failed.
pub fn never_pulled(conn: &Connection) -> Result<Vec<String>> {
    let mut query = conn.prepare_cached("SELECT name FROM main.cloudsync_tables WHERE NOT pulled ORDER BY id")?;
    let names = query.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Notes that these tables were downloaded as a whole.
///
/// # Errors
/// The database failed.
pub fn mark_pulled(conn: &Connection, tables: &[String]) -> Result<()> {
    let mut update = conn.prepare_cached("UPDATE main.cloudsync_tables SET pulled = 1 WHERE name = ?1")?;
    for table in tables {
        update.execute([table])?;
    }
    Ok(())
}

fn parse_progress(text: &str) -> Option<Progress> {
    let mut parts = text.splitn(3, ' ');
    let until = Snapshot(parts.next()?.to_owned());
    let after = RowId(parts.next()?.parse().ok()?);
    Some(Progress { until, after, table: parts.next()?.to_owned() })
}

fn parse_hex(hex: &str) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse(hex).ok().map(|id| *id.as_bytes())
}
