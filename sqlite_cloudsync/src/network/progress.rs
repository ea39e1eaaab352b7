//! How far a long sync has come: told to a callback, and stored for other connections to see.

use std::sync::Arc;

use rusqlite::Connection;
use serde_json::json;

use crate::error::Result;
use crate::system::{get_text, set_text};

const SETTING: &str = "sync_progress";

/// What a sync is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Local writes go to the server.
    Sending,
    /// The server's rows come.
    Receiving,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Rows sent or received so far in this call.
    pub rows: u64,
}

/// Called after each request, outside any transaction.
pub type ProgressCallback = Arc<dyn Fn(Progress) + Send + Sync>;

/// Tells the callback, and stores the progress where `cloudsync_status()` of any connection finds it.
///
/// # Errors
/// The database is busy or failed.
pub fn tell(conn: &Connection, callback: Option<&ProgressCallback>, progress: Progress) -> Result<()> {
    let phase = match progress.phase {
        Phase::Sending => "sending",
        Phase::Receiving => "receiving",
    };
    let stored = json!({ "phase": phase, "rows": progress.rows }).to_string();
    set_text(conn, SETTING, Some(&stored))?;
    if get_text(conn, "log")?.as_deref() == Some("stderr") {
        eprintln!("cloudsync: {phase}, {} rows", progress.rows);
    }
    if let Some(callback) = callback {
        callback(progress);
    }
    Ok(())
}

/// No sync is running any more.
///
/// # Errors
/// The database is busy or failed.
pub fn finish(conn: &Connection) -> Result<()> {
    set_text(conn, SETTING, None)
}

/// What is stored, as JSON: `{"phase","rows"}` or null.
///
/// # Errors
/// The database failed.
pub fn stored(conn: &Connection) -> Result<serde_json::Value> {
    let text = get_text(conn, SETTING)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(serde_json::Value::Null))
}
