//! The core's [`Store`] on SQLite, inside one write transaction that the caller holds.

use std::collections::HashMap;

use cloudsync_shared::capture::base_clock;
use cloudsync_shared::clock::RowClock;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::{PlannedRow, RowAction, StoredText, TablePlan};
use cloudsync_shared::port::{RowOutcome, Store};
use cloudsync_shared::schema::TableSchema;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::bases;
use crate::error::{Error, Result};
use crate::filter::judge::Presence;
use crate::filter::{self, Look};
use crate::fold;
use crate::losses::{self, Losses};
use crate::refusal;
use crate::row_write::{RowWriter, Written};
use crate::sent::{self, UNSENT_WHOLE};
use crate::standing;
use crate::swap;
use crate::system;
use crate::table::Table;
use crate::texts::merged;
use crate::twin;
use crate::value::Bound;

/// How many statements a connection keeps prepared while a batch is merged.
const STATEMENT_CACHE: usize = 128;

/// Where a batch came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the server, which has it.
    Server,
    /// From another device: the server may not have it, so it is passed on at the next sync.
    Peer,
}

/// The synced tables of one connection.
pub struct SqliteStore<'c> {
    conn: &'c Connection,
    origin: Origin,
    tables: HashMap<String, Option<Table>>,
    sites: HashMap<SiteOrdinal, SiteId>,
    ordinals: HashMap<SiteId, SiteOrdinal>,
    /// The highest version given here that the server may have.
    told: Version,
    /// Whether the server told of writes under this database's site id that it does not know (see `twin`).
    has_twin: bool,
}

impl<'c> SqliteStore<'c> {
    /// Opens the store. The caller holds a savepoint and in it the write lock, has folded the
    /// journals, and rolls back to the savepoint if the store answers an error. The store opens none
    /// of its own: inside a nested savepoint SQLite copies the pages of each statement to a file.
    ///
    /// # Errors
    /// The database has no synced table.
    pub fn open(conn: &'c Connection, origin: Origin) -> Result<SqliteStore<'c>> {
        if !system::exists(conn)? {
            return Err(Error::state("no table of this database is synced: call cloudsync_init first"));
        }
        conn.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        let mut store = SqliteStore {
            conn,
            origin,
            tables: HashMap::new(),
            sites: HashMap::new(),
            ordinals: HashMap::new(),
            told: sent::told(conn)?,
            has_twin: false,
        };
        for (ordinal, site) in system::sites(conn)? {
            store.sites.insert(ordinal, site);
            store.ordinals.insert(site, ordinal);
        }
        Ok(store)
    }

    /// Whether what was merged tells of another writer under this database's site id.
    pub fn has_twin(&self) -> bool {
        self.has_twin
    }

    /// The connection that the store writes through.
    pub fn connection(&self) -> &'c Connection {
        self.conn
    }

    /// The table as loaded, by the name under which it is synced.
    fn table(&mut self, name: &str) -> Result<Option<&Table>> {
        if !self.tables.contains_key(name) {
            let table = match system::table(self.conn, name)? {
                Some(synced) => Table::load(self.conn, synced)?,
                None => None,
            };
            self.tables.insert(name.to_owned(), table);
        }
        Ok(self.tables.get(name).and_then(Option::as_ref))
    }

    fn require(&mut self, name: &str) -> Result<Table> {
        self.table(name)?.cloned().ok_or_else(|| Error::not_synced(name))
    }

    fn site(&self, ordinal: SiteOrdinal) -> Result<SiteId> {
        let unknown =
            || Error::state(format!("a row clock names site {}, which cloudsync_site_id lacks", ordinal.0));
        self.sites.get(&ordinal).copied().ok_or_else(unknown)
    }

    fn ordinal(&mut self, site: SiteId) -> Result<SiteOrdinal> {
        if let Some(ordinal) = self.ordinals.get(&site) {
            return Ok(*ordinal);
        }
        let ordinal = system::add_site(self.conn, site)?;
        self.sites.insert(ordinal, site);
        self.ordinals.insert(site, ordinal);
        Ok(ordinal)
    }

    fn apply_rows(&mut self, plan: &TablePlan<'_>, table: &Table) -> Result<Vec<RowOutcome>> {
        let writer = RowWriter::new(self.conn, table, plan)?;
        let mut outcomes = Vec::with_capacity(plan.rows.len());
        let mut kept: Vec<&PlannedRow> = Vec::with_capacity(plan.rows.len());
        let looks = table.synced.conflicts && bases::any(self.conn, table)?;
        let mut losses: HashMap<usize, Losses<'_>> = HashMap::new();
        let mut look = Look::new(self.conn, table)?;
        for row in &plan.rows {
            if is_private(look.as_mut(), plan, row)? {
                outcomes.push(RowOutcome::Refused(filter::in_the_way(table)));
                continue;
            }
            if looks
                && let Some(found) =
                    losses::look(self.conn, table, plan, row, self.origin, |site| self.site(site))?
            {
                losses.insert(row.index, found);
            }
            match writer.write(row)? {
                Written::Done => {
                    outcomes.push(self.outcome(plan, row));
                    kept.push(row);
                }
                Written::Refused(refusal) => outcomes.push(RowOutcome::Refused(refusal)),
            }
        }
        drop(writer);
        let in_the_way: Vec<usize> =
            outcomes.iter().enumerate().filter(|(_, outcome)| is_clash(outcome)).map(|(at, _)| at).collect();
        let rows: Vec<&PlannedRow> = in_the_way.iter().filter_map(|at| plan.rows.get(*at)).collect();
        if swap::write_together(self.conn, table, plan, &rows)? {
            for (at, row) in in_the_way.into_iter().zip(rows) {
                if let Some(outcome) = outcomes.get_mut(at) {
                    *outcome = self.outcome(plan, row);
                    kept.push(row);
                }
            }
        }
        for losses in kept.iter().filter_map(|row| losses.get(&row.index)) {
            losses.record(self.conn, table, |site| self.ordinal(site))?;
        }
        self.keep_texts(plan, table, &kept)?;
        self.write_clocks(plan, table, kept)?;
        Ok(outcomes)
    }

    /// Moves the documents of texts; if lines came of a text that is not known here, the table is asked for as
    /// a whole at the next sync.
    fn keep_texts(&mut self, plan: &TablePlan<'_>, table: &Table, kept: &[&PlannedRow]) -> Result<()> {
        if table.schema.texts.is_empty() && plan.changes.rows.iter().all(|change| change.texts.is_empty()) {
            return Ok(());
        }
        let mut incomplete = false;
        for row in kept {
            merged::keep(self.conn, table, plan, row, |site| self.ordinal(site))?;
            let change = plan.changes.rows.get(row.index);
            incomplete |= change.is_some_and(|change| merged::is_incomplete(change, row));
        }
        if incomplete { system::download_again(self.conn, table.synced.id) } else { Ok(()) }
    }

    fn outcome(&self, plan: &TablePlan<'_>, row: &PlannedRow) -> RowOutcome {
        match row.after.length.is_alive() {
            true => RowOutcome::Kept(plan.changes.rows.get(row.index).and_then(|change| change.row_id)),
            false => RowOutcome::Dead,
        }
    }

    /// Stores clocks in key order, so that neighbours are written together.
    fn write_clocks(&mut self, plan: &TablePlan<'_>, table: &Table, kept: Vec<&PlannedRow>) -> Result<()> {
        let mut clocks = Vec::with_capacity(kept.len());
        let mut look = Look::new(self.conn, table)?;
        for row in kept {
            let Some(change) = plan.changes.rows.get(row.index) else { continue };
            if row.action == RowAction::Nothing && change.row_id.is_none() {
                continue;
            }
            let unsent = match self.origin {
                Origin::Peer if row.action != RowAction::Nothing => {
                    let is_kept_here = match look.as_mut() {
                        Some(look) => look.at(&change.key)? == Presence::Private,
                        None => false,
                    };
                    (!is_kept_here).then(|| lowest(change))
                }
                _ => None,
            };
            clocks.push((change, row.after.map_sites(|site| self.ordinal(site))?.to_bytes(), unsent));
        }
        clocks.sort_unstable_by(|(a, _, _), (b, _, _)| a.key.cmp(&b.key));
        let sql = format!(
            "INSERT INTO {}(key, clock, row_id, unsent) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT(key) DO UPDATE SET clock = excluded.clock,
               row_id = coalesce(excluded.row_id, row_id),
               unsent = coalesce(min(unsent, excluded.unsent), unsent, excluded.unsent)",
            table.clocks()
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        for (change, clock, unsent) in clocks {
            let row_id = change.row_id.and_then(|id| i64::try_from(id.0).ok());
            statement.execute(params![change.key.0, clock, row_id, unsent])?;
        }
        Ok(())
    }
}

/// Whether a row of this device alone stands where a row is to be written: one that the filter keeps here and
/// whose key has no life that the others know.
fn is_private(look: Option<&mut Look<'_>>, plan: &TablePlan<'_>, row: &PlannedRow) -> Result<bool> {
    let is_written = matches!(row.action, RowAction::Insert { .. } | RowAction::Update { .. });
    let is_known = row.before.as_ref().is_some_and(|clock| clock.length.is_alive());
    match (look, plan.changes.rows.get(row.index)) {
        (Some(look), Some(change)) if is_written && !is_known => {
            Ok(look.at(&change.key)? == Presence::Private)
        }
        _ => Ok(false),
    }
}

/// Whether another row holds a value that must be unique.
fn is_clash(outcome: &RowOutcome) -> bool {
    matches!(outcome, RowOutcome::Refused(refusal) if refusal.sqlstate == refusal::UNIQUE)
}

/// The lowest version told of a row, as `unsent` stores it.
fn lowest(change: &cloudsync_shared::change::RowChange) -> i64 {
    if change.texts.iter().any(|text| text.delta.is_some()) {
        // The lines of a text may be older than its cell.
        return UNSENT_WHOLE;
    }
    let versions = change.cells.iter().map(|cell| cell.stamp.version);
    let lowest = versions.fold(change.life.version, Version::min);
    // A part of a row told without its insert has no version for it: that is not a bulk write.
    i64::try_from(lowest.0).unwrap_or(i64::MAX).max(UNSENT_WHOLE)
}

impl Store for SqliteStore<'_> {
    type Error = Error;

    fn schema(&mut self, table: &str) -> Result<Option<TableSchema>> {
        Ok(self.table(table)?.map(|table| table.schema.clone()))
    }

    fn clocks(&mut self, schema: &TableSchema, keys: &[&Key]) -> Result<Vec<Option<RowClock<SiteId>>>> {
        let table = self.require(&schema.name)?;
        let mut read =
            self.conn.prepare_cached(&format!("SELECT clock FROM {} WHERE key = ?1", table.clocks()))?;
        let exists = format!(
            "SELECT 1 FROM {} WHERE {}{}",
            table.rows(),
            table.info.key_condition(),
            table.and_filter()
        );
        let mut exists = self.conn.prepare_cached(&exists)?;
        let mut clocks = Vec::with_capacity(keys.len());
        for key in keys {
            let stored: Option<Vec<u8>> = read.query_row([&key.0], |row| row.get(0)).optional()?;
            let clock = match stored {
                Some(bytes) => Some(RowClock::from_bytes(&bytes)?),
                None if table.synced.base => {
                    let values = table.key_values(key)?;
                    exists.exists(params_from_iter(values.iter().map(Bound)))?.then(base_clock)
                }
                None => None,
            };
            clocks.push(clock.map(|clock| clock.map_sites(|site| self.site(site))).transpose()?);
        }
        Ok(clocks)
    }

    fn texts(&mut self, schema: &TableSchema, cells: &[(&Key, ColumnId)]) -> Result<Vec<Option<StoredText>>> {
        let table = self.require(&schema.name)?;
        let stored = |(key, column): &(&Key, ColumnId)| {
            merged::stored(self.conn, &table, key, *column, |site| self.site(site))
        };
        cells.iter().map(stored).collect()
    }

    fn apply(&mut self, plan: &TablePlan<'_>) -> Result<Vec<RowOutcome>> {
        let table = self.require(&plan.schema.name)?;
        let conn = self.conn;
        if self.origin == Origin::Server {
            self.has_twin |= twin::is_told_of(plan, self.site(SiteOrdinal::SELF)?, self.told);
        }
        fold::while_applying(conn, || self.apply_rows(plan, &table))
    }

    fn observe(&mut self, highest: Version) -> Result<()> {
        if self.origin == Origin::Server {
            standing::stands(self.conn, highest)?;
        }
        system::observe(self.conn, highest)
    }
}
