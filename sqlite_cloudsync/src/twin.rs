//! Two writers of one site id: a file that was copied to another device, or put back from a backup.
//!
//! Versions of one site are to be different writes. What the server sends back under this database's own
//! site id, and this database does not know, was written by a twin, or by itself before it was put back.
//! Then it goes on under a new site id, and takes everything that is not its own news from the server.

use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{SiteId, SiteOrdinal};
use cloudsync_shared::merge::{RowAction, TablePlan};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::system;
use crate::table::Table;

/// Whether a plan brings writes of this database's own site that it does not know.
///
/// A row of which nothing is known here may be one that was sent and forgotten: such a one has no version above
/// those that the server was `told`.
pub fn is_told_of(plan: &TablePlan<'_>, own: SiteId, told: Version) -> bool {
    plan.rows.iter().any(|row| {
        let Some(change) = plan.changes.rows.get(row.index) else { return false };
        let is_own_news = |stamp: Stamp<SiteId>| stamp.site == own && stamp.version > told;
        match (&row.before, &row.action) {
            (Some(before), RowAction::Update { cells, .. })
                if before.length == change.length && before.length.is_alive() =>
            {
                cells.iter().filter_map(|at| change.cells.get(*at)).any(|cell| {
                    let column = plan.columns.get(cell.column).copied().flatten();
                    // A stamp of the same version is another's that this database passed on.
                    let known = column.map(|column| before.cell(column).version);
                    cell.stamp.site == own && known.is_some_and(|known| cell.stamp.version > known)
                })
            }
            (Some(_), RowAction::Nothing | RowAction::ClockOnly) => false,
            _ => is_own_news(change.life) || change.cells.iter().any(|cell| is_own_news(cell.stamp)),
        }
    })
}

/// Goes on under a new site id. What is unsent is from now on written by it; of everything else the server
/// has the last word, and it is downloaded again.
///
/// # Errors
/// The database cannot be written.
pub fn start_anew(conn: &Connection) -> Result<()> {
    let Some(old) = system::site_id(conn)? else { return Ok(()) };
    let new = uuid::Uuid::now_v7().into_bytes();
    conn.execute("UPDATE main.cloudsync_site_id SET site_id = ?1 WHERE id = 0", params![new])?;
    system::add_site(conn, old)?;
    let nobody = ordinal_of_nobody(conn)?;
    for table in Table::all(conn)? {
        yield_sent(conn, &table, nobody)?;
        system::download_again(conn, table.synced.id)?;
    }
    Ok(())
}

/// The ordinal of the site that is nobody's, whose stamps lose to any other of the same version.
///
/// # Errors
/// The database cannot be written.
pub fn ordinal_of_nobody(conn: &Connection) -> Result<SiteOrdinal> {
    let sql = "SELECT id FROM main.cloudsync_site_id WHERE site_id = ?1";
    let known = conn.query_row(sql, params![SiteId::NIL.0], |row| row.get(0)).optional()?;
    known.map_or_else(|| system::add_site(conn, SiteId::NIL), |ordinal| Ok(SiteOrdinal(ordinal)))
}

/// Takes this database's name from stamps that the server has: they lose to whatever it has under the same
/// version.
fn yield_sent(conn: &Connection, table: &Table, nobody: SiteOrdinal) -> Result<()> {
    let mut statement = conn.prepare(&format!("SELECT key, clock, unsent FROM {}", table.clocks()))?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Option<i64>>(2)?))
    })?;
    // Read before anything is written: an UPDATE may move rows under a walk.
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let sql = format!("UPDATE {} SET clock = ?1 WHERE key = ?2", table.clocks());
    let mut update = conn.prepare(&sql)?;
    for (key, stored, unsent) in rows {
        let clock = RowClock::from_bytes(&stored)?;
        let is_unsent = |version: Version| unsent.is_some_and(|from| version.0 >= from.unsigned_abs());
        let yielded =
            clock.map_stamps(|stamp| match stamp.site == SiteOrdinal::SELF && !is_unsent(stamp.version) {
                true => Stamp { site: nobody, ..stamp },
                false => stamp,
            });
        if yielded != clock {
            update.execute(params![yielded.to_bytes(), key])?;
        }
    }
    Ok(())
}
