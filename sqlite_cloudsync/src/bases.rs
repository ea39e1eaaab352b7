//! What unsent local writes replaced, of tables with the setting `conflicts`: the stamp that a cell had before
//! the first write that the server has not seen. So the server, and this device when it receives the row,
//! can tell a conflict from overwriting.

use std::collections::HashMap;

use cloudsync_shared::capture::{LocalWrite, base_clock};
use cloudsync_shared::change::{RowChange, TableChanges};
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::Bases;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::system;
use crate::table::Table;

/// Creates the table. `column_id` [`INSERTED`]: the row was inserted here. `tried`: the write may have reached
/// the server, though no answer came.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS main.cloudsync_bases (
    table_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    column_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    site INTEGER NOT NULL,
    tried INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (table_id, key, column_id)
) WITHOUT ROWID";

/// In the place of a column: none of the row's cells replaced anything.
const INSERTED: i64 = -1;

/// What the writes of one fold replaced in one row.
#[derive(Debug, Default)]
pub struct Replaced {
    inserted: bool,
    deleted: bool,
    cells: Vec<(ColumnId, Stamp<SiteOrdinal>)>,
}

impl Replaced {
    /// Adds a write of the row with this clock.
    pub fn add(&mut self, table: &Table, before: Option<&RowClock<SiteOrdinal>>, write: &LocalWrite) {
        let all = || table.schema.columns.iter().map(|column| column.id).collect();
        let columns: Vec<ColumnId> = match (write, before) {
            (LocalWrite::Delete, _) => {
                *self = Replaced { deleted: true, ..Replaced::default() };
                return;
            }
            (LocalWrite::Update(columns), _) => columns.clone(),
            (_, Some(before)) if before.length.is_alive() => all(),
            _ => {
                self.inserted = true;
                return;
            }
        };
        if self.inserted {
            return;
        }
        let base = base_clock();
        let before = before.unwrap_or(&base);
        for column in columns {
            if !self.cells.iter().any(|(known, _)| *known == column) {
                self.cells.push((column, before.cell(column)));
            }
        }
    }

    /// Keeps what was replaced first.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn keep(&self, conn: &Connection, table: &Table, key: &Key) -> Result<()> {
        if self.deleted {
            forget(conn, table, key)?;
        }
        if self.inserted {
            insert(conn, table, key, INSERTED, Stamp { version: Version::NEVER, site: SiteOrdinal::SELF })?;
        }
        for (column, stamp) in &self.cells {
            insert(conn, table, key, i64::from(column.0), *stamp)?;
        }
        Ok(())
    }
}

/// What this device wrote after it had inserted the row replaced nothing of others.
fn insert(conn: &Connection, table: &Table, key: &Key, column: i64, stamp: Stamp<SiteOrdinal>) -> Result<()> {
    let sql = "INSERT INTO main.cloudsync_bases(table_id, key, column_id, version, site)
               SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?3 = -1 OR ?5 <> 0 OR NOT EXISTS(
                 SELECT 1 FROM main.cloudsync_bases WHERE table_id = ?1 AND key = ?2 AND column_id = -1)
               ON CONFLICT DO NOTHING";
    let version = i64::try_from(stamp.version.0).unwrap_or(i64::MAX);
    conn.prepare_cached(sql)?.execute(params![table.synced.id, key.0, column, version, stamp.site.0])?;
    Ok(())
}

/// The bases of one row.
#[derive(Debug, Default)]
pub struct RowBases {
    /// Whether the row was inserted here, and whether that may have reached the server.
    inserted: Option<bool>,
    cells: Vec<(ColumnId, Stamp<SiteOrdinal>, bool)>,
}

impl RowBases {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inserted.is_none() && self.cells.is_empty()
    }

    /// What a cell replaced that this device wrote; `None` if nothing follows from it.
    pub fn of(&self, column: ColumnId) -> Option<Stamp<SiteOrdinal>> {
        let never = Stamp { version: Version::NEVER, site: SiteOrdinal::SELF };
        match self.cells.iter().find(|(known, ..)| *known == column) {
            Some((_, stamp, tried)) => (!tried).then_some(*stamp),
            None => self.inserted.filter(|tried| !tried).map(|_| never),
        }
    }
}

/// Whether any bases of a table are kept.
///
/// # Errors
/// The database failed.
pub fn any(conn: &Connection, table: &Table) -> Result<bool> {
    let sql = "SELECT 1 FROM main.cloudsync_bases WHERE table_id = ?1";
    Ok(conn.prepare_cached(sql)?.exists([table.synced.id])?)
}

/// The bases of a row.
///
/// # Errors
/// The database failed.
pub fn of_row(conn: &Connection, table: &Table, key: &Key) -> Result<RowBases> {
    let sql =
        "SELECT column_id, version, site, tried FROM main.cloudsync_bases WHERE table_id = ?1 AND key = ?2";
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query(params![table.synced.id, key.0])?;
    let mut bases = RowBases::default();
    while let Some(row) = rows.next()? {
        let (column, tried): (i64, bool) = (row.get(0)?, row.get(3)?);
        let version = Version(row.get::<_, i64>(1)?.unsigned_abs());
        match u16::try_from(column) {
            Ok(column) => {
                let stamp = Stamp { version, site: SiteOrdinal(row.get(2)?) };
                bases.cells.push((ColumnId(column), stamp, tried));
            }
            Err(_) => bases.inserted = Some(tried),
        }
    }
    Ok(bases)
}

/// The bases of rows about to be sent, which from now on may have reached the server.
///
/// # Errors
/// The database failed.
pub fn take(conn: &Connection, table: &Table, changes: &TableChanges) -> Result<Bases> {
    if !table.synced.conflicts {
        return Ok(Bases::new());
    }
    let sites: HashMap<SiteOrdinal, SiteId> = system::sites(conn)?.into_iter().collect();
    let own = sites.get(&SiteOrdinal::SELF).copied();
    let id_of = |index: usize| {
        let name = changes.columns.get(index)?;
        table.schema.column(name).map(|column| column.id)
    };
    let mut all = Bases::new();
    for row in &changes.rows {
        let bases = of_row(conn, table, &row.key)?;
        all.extend(row.cells.iter().map(|cell| {
            let base = bases.of(id_of(cell.column)?).filter(|_| Some(cell.stamp.site) == own)?;
            let site = match base.version {
                Version::NEVER => SiteId::NIL,
                _ => sites.get(&base.site).copied()?,
            };
            Some(Stamp { version: base.version, site })
        }));
        if !bases.is_empty() {
            set_tried(conn, table, &row.key, true)?;
        }
    }
    Ok(all)
}

/// Notes whether the writes of a row may have reached the server.
///
/// # Errors
/// The database failed.
pub fn set_tried(conn: &Connection, table: &Table, key: &Key, tried: bool) -> Result<()> {
    let sql = "UPDATE main.cloudsync_bases SET tried = ?3 WHERE table_id = ?1 AND key = ?2";
    conn.prepare_cached(sql)?.execute(params![table.synced.id, key.0, tried])?;
    Ok(())
}

/// The server has a row as it was sent: what was written since has replaced that.
///
/// # Errors
/// The database failed.
pub fn sent(conn: &Connection, table: &Table, sent: &RowChange, columns: &[String]) -> Result<()> {
    let bases = of_row(conn, table, &sent.key)?;
    if bases.is_empty() {
        return Ok(());
    }
    let sql = format!("SELECT clock FROM {} WHERE key = ?1", table.clocks());
    let stored: Option<Vec<u8>> =
        conn.prepare_cached(&sql)?.query_row([&sent.key.0], |row| row.get(0)).optional()?;
    let clock = stored.map(|bytes| RowClock::from_bytes(&bytes)).transpose()?;
    remove(conn, table, &sent.key, INSERTED)?;
    let own = system::site_id(conn)?;
    for cell in sent.cells.iter().filter(|cell| Some(cell.stamp.site) == own) {
        let name = columns.get(cell.column);
        let column = name.and_then(|name| table.schema.column(name)).map(|column| column.id);
        let (Some(column), Some(clock)) = (column, &clock) else { continue };
        remove(conn, table, &sent.key, i64::from(column.0))?;
        let now = clock.cell(column);
        if now.version > cell.stamp.version && now.site == SiteOrdinal::SELF {
            let stamp = Stamp { version: cell.stamp.version, site: SiteOrdinal::SELF };
            insert(conn, table, &sent.key, i64::from(column.0), stamp)?;
        }
    }
    Ok(())
}

/// The row has received other values in these columns: writes of this device that they replaced are over.
///
/// # Errors
/// The database failed.
pub fn overtaken(conn: &Connection, table: &Table, key: &Key, columns: &[ColumnId]) -> Result<()> {
    columns.iter().try_for_each(|column| remove(conn, table, key, i64::from(column.0)))
}

/// A text has taken in the lines of a change with this stamp: writes that follow replace what they say.
///
/// # Errors
/// The database failed.
pub fn seen(
    conn: &Connection,
    table: &Table,
    key: &Key,
    column: ColumnId,
    stamp: Stamp<SiteOrdinal>,
) -> Result<()> {
    let sql = "UPDATE main.cloudsync_bases SET version = ?4, site = ?5
               WHERE table_id = ?1 AND key = ?2 AND column_id = ?3 AND version < ?4";
    let version = i64::try_from(stamp.version.0).unwrap_or(i64::MAX);
    conn.prepare_cached(sql)?.execute(params![table.synced.id, key.0, column.0, version, stamp.site.0])?;
    Ok(())
}

fn remove(conn: &Connection, table: &Table, key: &Key, column: i64) -> Result<()> {
    let sql = "DELETE FROM main.cloudsync_bases WHERE table_id = ?1 AND key = ?2 AND column_id = ?3";
    conn.prepare_cached(sql)?.execute(params![table.synced.id, key.0, column])?;
    Ok(())
}

/// Forgets the bases of a row.
///
/// # Errors
/// The database failed.
pub fn forget(conn: &Connection, table: &Table, key: &Key) -> Result<()> {
    let sql = "DELETE FROM main.cloudsync_bases WHERE table_id = ?1 AND key = ?2";
    conn.prepare_cached(sql)?.execute(params![table.synced.id, key.0])?;
    Ok(())
}

/// Forgets all bases of a table.
///
/// # Errors
/// The database failed.
pub fn forget_table(conn: &Connection, table_id: i64) -> Result<()> {
    conn.execute("DELETE FROM main.cloudsync_bases WHERE table_id = ?1", [table_id])?;
    Ok(())
}
