//! `cloudsync_parked`: rows of the server, or of other devices, that this device's own constraints refuse. They stop no other
//! row, and are tried again at each sync until they fit, are overtaken, or are gone on the server.

use cloudsync_shared::change::{ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::id::SiteOrdinal;
use cloudsync_shared::key::Key;
use cloudsync_shared::message::Message;
use cloudsync_shared::port::Refusal;
use cloudsync_shared::wire;
use roaring::RoaringTreemap;
use rusqlite::{Connection, OptionalExtension, Params, params};

use crate::apply;
use crate::error::{Error, Result};

/// Creates the table: the application may read it. `change` is the row as a payload.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS main.cloudsync_parked (
    tbl TEXT NOT NULL,
    pk BLOB NOT NULL,
    sqlstate TEXT NOT NULL,
    message TEXT NOT NULL,
    parked_at INTEGER NOT NULL,
    row_id INTEGER,
    change BLOB NOT NULL,
    PRIMARY KEY (tbl, pk)
) WITHOUT ROWID";

/// Parks a row, over an earlier state of it.
///
/// # Errors
/// The database failed.
pub fn park(conn: &Connection, told: &TableChanges, row: &RowChange, refusal: &Refusal) -> Result<()> {
    let mut row = row.clone();
    // Lines that could not be placed have lost their cell.
    row.texts.retain(|text| row.cells.iter().any(|cell| cell.column == text.column));
    let alone = TableChanges {
        rows: vec![row.clone()],
        columns: told.columns.clone(),
        table: told.table.clone(),
        ..*told
    };
    let change = wire::encode(&Message::Payload(ChangeBatch { tables: vec![alone] }))?;
    let row_id = row.row_id.and_then(|id| i64::try_from(id.0).ok());
    conn.prepare_cached(
        "INSERT INTO main.cloudsync_parked (tbl, pk, sqlstate, message, parked_at, row_id, change)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (tbl, pk) DO UPDATE SET sqlstate = excluded.sqlstate, message = excluded.message,
             row_id = excluded.row_id, change = excluded.change",
    )?
    .execute(params![
        told.table,
        row.key.0,
        refusal.sqlstate,
        refusal.message,
        apply::now().0 as i64,
        row_id,
        change
    ])?;
    Ok(())
}

/// Whether anything is parked.
///
/// # Errors
/// The database failed.
pub fn any(conn: &Connection) -> Result<bool> {
    let mut any = conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM main.cloudsync_parked)")?;
    Ok(any.query_row([], |row| row.get(0))?)
}

/// Forgets a parked row: it fits now, or another state of it does. Answers whether there was one.
///
/// # Errors
/// The database failed.
pub fn release(conn: &Connection, table: &str, key: &Key) -> Result<bool> {
    let mut delete = conn.prepare_cached("DELETE FROM main.cloudsync_parked WHERE tbl = ?1 AND pk = ?2")?;
    Ok(delete.execute(params![table, key.0])? > 0)
}

/// As [`release`], unless it is a row of another device: that is tried again in its own turn.
///
/// # Errors
/// The database failed.
pub fn release_server_row(conn: &Connection, table: &str, key: &Key) -> Result<()> {
    let sql = "DELETE FROM main.cloudsync_parked WHERE tbl = ?1 AND pk = ?2 AND row_id IS NOT NULL";
    conn.prepare_cached(sql)?.execute(params![table, key.0])?;
    Ok(())
}

/// Forgets the parked rows of these ids, or of all (`None`), of a table.
///
/// # Errors
/// The database failed.
pub fn forget(conn: &Connection, table: &str, ids: Option<&RoaringTreemap>) -> Result<()> {
    let mut query = conn.prepare_cached("SELECT pk, row_id FROM main.cloudsync_parked WHERE tbl = ?1")?;
    let rows = query.query_map([table], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?)))?;
    for row in rows.collect::<rusqlite::Result<Vec<(Vec<u8>, Option<i64>)>>>()? {
        let is_among = |ids: &RoaringTreemap| row.1.is_some_and(|id| ids.contains(id.unsigned_abs()));
        if ids.is_none_or(is_among) {
            release(conn, table, &Key::from_bytes(row.0)?)?;
        }
    }
    Ok(())
}

/// The clock of a living row that is parked, as far as a later write of the row has to be above it.
///
/// # Errors
/// The database failed.
pub fn clock_of(conn: &Connection, table: &str, key: &Key) -> Result<Option<RowClock<SiteOrdinal>>> {
    let sql = "SELECT change FROM main.cloudsync_parked WHERE tbl = ?1 AND pk = ?2";
    let mut query = conn.prepare_cached(sql)?;
    let change: Option<Vec<u8>> = query.query_row(params![table, key.0], |row| row.get(0)).optional()?;
    let Some(change) = change else { return Ok(None) };
    let row =
        decode(&change)?.tables.into_iter().flat_map(|told| told.rows).find(|row| row.length.is_alive());
    Ok(row.map(|row| RowClock::new(row.length, Stamp { version: row.highest(), site: SiteOrdinal::SELF })))
}

fn decode(change: &[u8]) -> Result<ChangeBatch> {
    match wire::decode(change)? {
        Message::Payload(changes) => Ok(changes),
        _ => Err(Error::state("a row of cloudsync_parked is damaged: delete it and sync again")),
    }
}

/// The ids of a table's parked rows.
///
/// # Errors
/// The database failed.
pub fn ids(conn: &Connection, table: &str) -> Result<RoaringTreemap> {
    let mut query = conn
        .prepare_cached("SELECT row_id FROM main.cloudsync_parked WHERE tbl = ?1 AND row_id IS NOT NULL")?;
    let ids = query.query_map([table], |row| row.get::<_, i64>(0))?;
    Ok(ids.map(|id| id.map(i64::unsigned_abs)).collect::<rusqlite::Result<_>>()?)
}

/// All parked rows of the server, as one batch.
///
/// # Errors
/// A parked row is damaged, or the database failed.
pub fn of_server(conn: &Connection) -> Result<ChangeBatch> {
    read(conn, "row_id IS NOT NULL", [])
}

/// All parked rows that only devices have, as one batch.
///
/// # Errors
/// A parked row is damaged, or the database failed.
pub fn of_peers(conn: &Connection) -> Result<ChangeBatch> {
    read(conn, "row_id IS NULL", [])
}

/// One parked row, alone in its table.
///
/// # Errors
/// It is damaged, or the database failed.
pub fn row(conn: &Connection, table: &str, key: &Key) -> Result<Option<TableChanges>> {
    Ok(read(conn, "tbl = ?1 AND pk = ?2", params![table, key.0])?.tables.pop())
}

fn read(conn: &Connection, condition: &str, bound: impl Params) -> Result<ChangeBatch> {
    let sql = format!("SELECT change FROM main.cloudsync_parked WHERE {condition} ORDER BY tbl, pk");
    let mut query = conn.prepare_cached(&sql)?;
    let mut rows = query.query(bound)?;
    let mut batch = ChangeBatch::default();
    while let Some(row) = rows.next()? {
        let changes = decode(row.get_ref(0)?.as_blob().unwrap_or_default())?;
        for told in changes.tables {
            let fits = |other: &&mut TableChanges| other.table == told.table && other.columns == told.columns;
            match batch.tables.iter_mut().find(fits) {
                Some(other) => other.rows.extend(told.rows),
                None => batch.tables.push(told),
            }
        }
    }
    Ok(batch)
}
