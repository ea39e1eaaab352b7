//! What the server has forgotten: deletes from before its horizon, and, for a device that was away for longer,
//! what changed since.

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteOrdinal;
use cloudsync_shared::key::Key;
use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::text::Document;
use cloudsync_shared::value::Value;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use crate::error::Result;
use crate::filter::Look;
use crate::filter::judge::Presence;
use crate::sent::{self, UNSENT_WHOLE};
use crate::system;
use crate::table::Table;
use crate::texts::{documents, tell};
use crate::{bases, buried, inbox, twin};

/// Setting: deletes with a lower version have been forgotten here, as on the server.
const COLLECTED: &str = "collected_version";
/// Setting: what is not unsent counts as a cache until everything has been downloaded.
const STARTS_ANEW: &str = "starts_anew";

/// Forgets the deletes with a lower version than this, which the server has forgotten too. One that stayed
/// would stand against whatever is inserted under its key from now on. What is unsent stays.
///
/// # Errors
/// The database cannot be written.
pub fn follow(conn: &Connection, collected: Version) -> Result<()> {
    let before = system::get_text(conn, COLLECTED)?.and_then(|text| text.parse().ok()).unwrap_or_default();
    if collected <= Version(before) {
        return Ok(());
    }
    for table in Table::all(conn)? {
        forget_deleted(conn, &table, Some(collected))?;
    }
    system::set_text(conn, COLLECTED, Some(&collected.0.to_string()))
}

/// Forgets every delete that the server was told of. What is unsent stays.
///
/// # Errors
/// The database cannot be written.
pub fn forget_told(conn: &Connection) -> Result<()> {
    Table::all(conn)?.iter().try_for_each(|table| forget_deleted(conn, table, None))
}

/// Forgets the clocks of rows that are deleted, and told to the server, with whatever belongs to them: all
/// (`None`), or those below a version.
fn forget_deleted(conn: &Connection, table: &Table, below: Option<Version>) -> Result<()> {
    let sql = format!("SELECT key, clock FROM {} WHERE unsent IS NULL", table.clocks());
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut look = Look::new(conn, table)?;
    // Read before anything is written: a DELETE may move rows under a walk.
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let clock = RowClock::from_bytes(&row.get::<_, Vec<u8>>(1)?)?;
        if clock.length.is_alive() || below.is_some_and(|below| clock.highest() >= below) {
            continue;
        }
        let key = Key::from_bytes(row.get(0)?)?;
        // A private row stands under the key: its clock says that the others know of no life of it.
        let is_private = match look.as_mut() {
            Some(look) => look.at(&key)? == Presence::Private,
            None => false,
        };
        if !is_private {
            keys.push(key);
        }
    }
    let mut delete = conn.prepare_cached(&format!("DELETE FROM {} WHERE key = ?1", table.clocks()))?;
    for key in &keys {
        delete.execute([&key.0])?;
        if buried::keeps(table) {
            buried::store(conn, table, key, None)?;
        }
        if table.synced.conflicts {
            bases::forget(conn, table, key)?;
        }
        documents::forget_row(conn, table, key)?;
    }
    Ok(())
}

/// Whether the device is starting anew: the whole download that follows has not come to its end.
///
/// # Errors
/// The database cannot be read.
pub fn is_starting_anew(conn: &Connection) -> Result<bool> {
    Ok(system::get_text(conn, STARTS_ANEW)?.is_some())
}

/// Notes it.
///
/// # Errors
/// The database cannot be written.
pub fn set_starting_anew(conn: &Connection, starts: bool) -> Result<()> {
    if is_starting_anew(conn)? == starts {
        return Ok(());
    }
    system::set_text(conn, STARTS_ANEW, starts.then_some("1"))
}

/// Lets the texts of these rows give way to the server's, which may have forgotten that lines of them were
/// deleted. Of a row with unsent writes the text stays, and is sent with all its lines: the server makes one
/// text of both.
///
/// # Errors
/// The database cannot be written, or what it holds is damaged.
pub fn yield_texts(conn: &Connection, changes: &ChangeBatch) -> Result<()> {
    for told in &changes.tables {
        let synced = system::table(conn, &told.table)?;
        let Some(table) = synced.map(|synced| Table::load(conn, synced)).transpose()?.flatten() else {
            continue;
        };
        if table.schema.texts.is_empty() {
            continue;
        }
        let nobody = twin::ordinal_of_nobody(conn)?;
        for row in &told.rows {
            yield_row(conn, &table, &told.columns, &row.key, nobody)?;
        }
    }
    Ok(())
}

fn yield_row(
    conn: &Connection,
    table: &Table,
    told: &[String],
    key: &Key,
    nobody: SiteOrdinal,
) -> Result<()> {
    let sql = format!("SELECT clock, unsent FROM {} WHERE key = ?1", table.clocks());
    let known: Option<(Vec<u8>, Option<i64>)> =
        conn.prepare_cached(&sql)?.query_row([&key.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((clock, unsent)) = known else { return Ok(()) };
    let mut clock = RowClock::from_bytes(&clock)?;
    if !clock.length.is_alive() {
        return Ok(());
    }
    let update = |column: &str, value: &dyn ToSql| -> Result<()> {
        let sql = format!("UPDATE {} SET {column} = ?1 WHERE key = ?2", table.clocks());
        conn.prepare_cached(&sql)?.execute(params![value, key.0])?;
        Ok(())
    };
    if unsent.is_some() {
        return match documents::of_row(conn, table, &key.0)?.is_empty() {
            true => Ok(()),
            false => update("unsent", &UNSENT_WHOLE),
        };
    }
    let oldest = Stamp { version: Version::NEVER, site: nobody };
    let is_told = |column| table.column_name(column).is_some_and(|name| told.iter().any(|told| told == name));
    for (column, delimiter) in table.schema.texts.iter().filter(|(column, _)| is_told(*column)) {
        // The stamp keeps its version, by which a twin is known, and loses its name: the server's has one.
        let stamp = clock.cell(*column);
        clock.set_cell(*column, Stamp { site: nobody, ..stamp });
        let document = match tell::standing(conn, table, key, *column)? {
            Some(Value::Text(text)) => Document::implied(oldest, &text, delimiter).ok(),
            _ => None,
        };
        documents::store(conn, table, &key.0, *column, document.as_ref())?;
    }
    update("clock", &clock.to_bytes())
}

/// What became of a row whose id the server has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collected {
    /// It is gone from here, too.
    Gone,
    /// It was inserted anew here, which the server has not heard of: it is a new row, and still unsent.
    Anew,
    /// It was written again since it was sent: the next answer decides.
    Open,
}

/// Settles such a row. `sent` is its clock as it was sent.
///
/// # Errors
/// The database failed.
pub fn settle_collected(
    conn: &Connection,
    table: &Table,
    key: &Key,
    sent: Option<&[u8]>,
) -> Result<Collected> {
    let sql = format!("SELECT clock, unsent FROM {} WHERE key = ?1", table.clocks());
    let now: Option<(Vec<u8>, Option<i64>)> =
        conn.prepare_cached(&sql)?.query_row([&key.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if let Some((clock, Some(unsent))) = &now
        && lives_anew(conn, table, &RowClock::from_bytes(clock)?, *unsent)?
    {
        let sql = format!("UPDATE {} SET row_id = NULL WHERE key = ?1", table.clocks());
        conn.prepare_cached(&sql)?.execute(params![key.0])?;
        return Ok(Collected::Anew);
    }
    if now.as_ref().map(|(clock, _)| clock.as_slice()) != sent {
        return Ok(Collected::Open);
    }
    inbox::forget_row(conn, table, key)?;
    Ok(Collected::Gone)
}

/// Whether the row began a life here of which the server has not heard. Where deletes win, that life is over as
/// any other: it did not know of the delete.
fn lives_anew(conn: &Connection, table: &Table, clock: &RowClock<SiteOrdinal>, unsent: i64) -> Result<bool> {
    if !matches!(table.synced.algorithm, Algorithm::Cls | Algorithm::Gos) {
        return Ok(false);
    }
    // Of a row that is unsent as a whole the column does not say since when.
    let from = match unsent {
        ..=UNSENT_WHOLE => sent::told(conn)?.next(),
        _ => Version(unsent.unsigned_abs()),
    };
    Ok(clock.length.is_alive() && clock.life.site == SiteOrdinal::SELF && clock.life.version >= from)
}
