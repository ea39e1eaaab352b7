//! The JSON that the SQL functions answer with.

use rusqlite::Connection;
use serde_json::json;

use crate::error::Result;
use crate::inbox::Received;
use crate::network::progress;
use crate::network::session::SendReport;
use crate::network::state::{self, ServerState};
use crate::{inbox, outbox, sent, system};

/// The contract's JSON. Status: `synced` if the server has everything, else `out-of-sync`.
///
/// # Errors
/// The database failed.
pub fn of_sync(
    conn: &Connection,
    sent: Option<SendReport>,
    received: Option<Received>,
) -> Result<serde_json::Value> {
    let mut report = serde_json::Map::new();
    if let Some(sent) = sent {
        let (unsent, base) = outbox::unsent(conn)?;
        let status = if unsent > 0 || base { "out-of-sync" } else { "synced" };
        let mut entry = json!({
            "status": status,
            "localVersion": system::highest(conn)?.0,
            "serverVersion": sent::acknowledged(conn)?.0,
            "rejected": sent.rejected,
        });
        if let (Some(entry), Some(failure)) = (entry.as_object_mut(), failure(&sent)) {
            entry.insert("lastFailure".into(), json!(failure));
        }
        report.insert("send".into(), entry);
    }
    if let Some(received) = received {
        report.insert("receive".into(), json!({ "rows": received.rows, "tables": received.tables }));
    }
    Ok(serde_json::Value::Object(report))
}

/// What a device knows of itself and its server.
///
/// # Errors
/// The database failed.
pub fn status(conn: &Connection) -> Result<serde_json::Value> {
    if !system::exists(conn)? {
        return Ok(json!({ "tables": 0 }));
    }
    let (unsent, base) = outbox::unsent(conn)?;
    let state = ServerState::load(conn)?;
    let (last_sync, clock_offset) = state::last_sync(conn)?;
    let held: u64 = inbox::held(conn)?.iter().map(|(_, ids)| ids.len()).sum();
    Ok(json!({
        "unsent": unsent,
        "unsentTables": base,
        "held": held,
        "lastSync": last_sync,
        "clockOffset": clock_offset,
        "cursor": state.cursor.map(|cursor| cursor.0),
        "localVersion": system::highest(conn)?.0,
        "serverVersion": sent::acknowledged(conn)?.0,
        "progress": progress::stored(conn)?,
    }))
}

/// Why rows stayed unsent.
fn failure(sent: &SendReport) -> Option<String> {
    let mut failures = sent.too_large.clone();
    if !sent.unknown_tables.is_empty() {
        let tables = sent.unknown_tables.join(", ");
        failures.push(format!(
            "not synced on the server: {tables}; there run cloudsync_init where the table is there, or \
             cloudsync_create_table with the device's CREATE TABLE where it is not"
        ));
    }
    if let Some(reason) = &sent.not_created {
        failures.push(format!("they cannot be made there: {reason}"));
    }
    if failures.is_empty() { None } else { Some(failures.join("; ")) }
}
