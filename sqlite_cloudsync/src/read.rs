//! Rows with their clocks as changes for another replica.

use cloudsync_shared::capture::base_clock;
use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{RowId, SiteId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::join_changes;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, Row, Statement, params_from_iter};

use crate::buried;
use crate::error::{Error, Result};
use crate::fold::fold;
use crate::table::Table;
use crate::texts::tell;
use crate::value::{self, Bound};
use crate::{clash, parked, quote, system};

/// Which changes to collect. The default: everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these tables, by name; `None`: all.
    pub tables: Option<Vec<String>>,
    /// Only the row of this key.
    pub key: Option<Key>,
    /// Only what is newer than this version.
    pub since: Version,
    /// Only what is at most this version.
    pub until: Option<Version>,
    /// Only what this site wrote.
    pub site: Option<SiteId>,
    /// Only rows that the server has not acknowledged, told from their lowest such version on.
    pub unsent: bool,
    /// Of a row with anything that qualifies, all cells.
    pub whole: bool,
    /// Of texts that are told by their lines also the values.
    pub with_values: bool,
    /// At most so many rows.
    pub limit: Option<usize>,
}

/// What was collected.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// The changes, parents before children.
    pub batch: ChangeBatch,
    /// What had to stay behind, one sentence each.
    pub skipped: Vec<String>,
}

/// Folds the journals, then collects changes.
///
/// # Errors
/// The database cannot be read, or a clock in it is damaged.
pub fn collect(conn: &Connection, filter: &Filter) -> Result<Collected> {
    let mut collected = Collected { skipped: fold(conn)?.skipped, ..Collected::default() };
    if !system::exists(conn)? {
        return Ok(collected);
    }
    let sites = system::sites(conn)?;
    for table in Table::all(conn)? {
        let name = &table.synced.name;
        if filter
            .tables
            .as_ref()
            .is_some_and(|names| !names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
        {
            continue;
        }
        let room = filter.limit.map(|limit| limit.saturating_sub(collected.batch.row_count()));
        let columns = table.schema.columns.iter().map(|column| column.name.clone()).collect();
        let algorithm = Some(table.synced.algorithm);
        let changes = TableChanges { table: name.clone(), algorithm, columns, rows: Vec::new() };
        let mut reader =
            TableReader { conn, table: &table, sites: &sites, filter, room, changes, skipped: Vec::new() };
        reader.rows_with_clocks()?;
        reader.base_rows()?;
        reader.parked_rows()?;
        collected.skipped.append(&mut reader.skipped);
        if !reader.changes.rows.is_empty() {
            collected.batch.tables.push(reader.changes);
        }
    }
    Ok(collected)
}

struct TableReader<'a> {
    conn: &'a Connection,
    table: &'a Table,
    sites: &'a [(SiteOrdinal, SiteId)],
    filter: &'a Filter,
    room: Option<usize>,
    changes: TableChanges,
    skipped: Vec<String>,
}

impl TableReader<'_> {
    fn is_full(&self) -> bool {
        self.room.is_some_and(|room| self.changes.rows.len() >= room)
    }

    fn value_list(&self) -> String {
        match self.table.schema.columns.is_empty() {
            true => "1".to_owned(),
            false => quote::list(self.table.schema.columns.iter().map(|column| column.name.as_str())),
        }
    }

    fn rows_with_clocks(&mut self) -> Result<()> {
        let mut conditions = Vec::new();
        let mut bound = Vec::new();
        if let Some(key) = &self.filter.key {
            conditions.push("key = ?1");
            bound.push(SqlValue::Blob(key.0.clone()));
        }
        if self.filter.unsent {
            // Rows of a bulk write are in no index: then all are looked at.
            conditions.push(if self.table.synced.bulk_unsent { "unsent IS NOT NULL" } else { "unsent > 0" });
        }
        let condition = if conditions.is_empty() { "1" } else { &conditions.join(" AND ") };
        let clocks = self.table.clocks();
        let sql = format!("SELECT key, clock, row_id, unsent FROM {clocks} WHERE {condition} ORDER BY key");
        let mut statement = self.conn.prepare(&sql)?;
        let info = &self.table.info;
        let values = format!(
            "SELECT {} FROM {} WHERE {}{}",
            self.value_list(),
            self.table.rows(),
            info.key_condition(),
            self.table.and_filter()
        );
        let mut values = self.conn.prepare(&values)?;
        let mut rows = statement.query(params_from_iter(bound))?;
        while let Some(row) = rows.next()? {
            if self.is_full() {
                break;
            }
            self.row_with_clock(row, &mut values)?;
        }
        Ok(())
    }

    fn row_with_clock(&mut self, row: &Row<'_>, values: &mut Statement<'_>) -> Result<()> {
        let key = Key(row.get(0)?);
        let clock = RowClock::from_bytes(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
        let clock = clock.map_sites(|site| self.site(site))?;
        let row_id = row.get::<_, Option<i64>>(2)?.and_then(|id| u64::try_from(id).ok()).map(RowId);
        let unsent: Option<i64> = row.get(3)?;
        let mut since = self.filter.since;
        if let (true, Some(unsent)) = (self.filter.unsent, unsent) {
            // The lowest unsent version itself is to be told.
            since = since.max(Version(u64::try_from(unsent).unwrap_or(0).saturating_sub(1)));
        }
        let Some(wanted) = self.wanted(&clock, since) else { return Ok(()) };
        if !clock.length.is_alive() {
            let cells = buried::cells(self.conn, self.table, &key, &clock)?;
            let mut told = change(row_id, key, &clock, cells);
            self.tell_lines(&mut told, |_| true)?;
            self.push(told);
            return Ok(());
        }
        let bound = self.table.key_values(&key)?;
        let mut found = values.query(params_from_iter(bound.iter().map(Bound)))?;
        let Some(found) = found.next()? else {
            // Removed while its writes were not captured, or kept here by the filter: there is nothing to tell.
            return Ok(());
        };
        let cells = self.cells(found, 0, &clock, &wanted)?;
        let mut told = change(row_id, key, &clock, cells);
        let is_whole = self.filter.whole || buried::keeps(self.table);
        self.tell_lines(&mut told, |stamp| is_whole || self.is_told(stamp, since))?;
        self.push(told);
        Ok(())
    }

    fn tell_lines(&self, told: &mut RowChange, wanted: impl Fn(Stamp<SiteId>) -> bool) -> Result<()> {
        tell::by_lines(self.conn, self.table, told, |site| self.site(site), wanted, self.filter.with_values)
    }

    /// Rows of other devices that cannot stand here: told on, so that they lose or stand elsewhere too.
    fn parked_rows(&mut self) -> Result<()> {
        if self.filter.unsent || self.is_full() {
            return Ok(());
        }
        for told in parked::of_peers(self.conn)?.tables {
            if told.table != self.table.schema.name {
                continue;
            }
            for row in &told.rows {
                if self.filter.key.as_ref().is_some_and(|key| *key != row.key) {
                    continue;
                }
                let mut row = clash::in_columns_of(self.table, &told, row);
                if self.filter.with_values {
                    tell::fill(&mut row);
                }
                let is_any =
                    self.is_wanted(row.life) || row.cells.iter().any(|cell| self.is_wanted(cell.stamp));
                if !self.filter.whole {
                    row.cells.retain(|cell| self.is_wanted(cell.stamp));
                    let RowChange { cells, texts, .. } = &mut row;
                    texts.retain(|text| cells.iter().any(|cell| cell.column == text.column));
                }
                // Another state of the same row may stand here: no row is told twice.
                let is_full = self.is_full();
                let told = self.changes.rows.iter_mut().find(|told| told.key == row.key);
                match told {
                    Some(told) if is_any => join_changes(Some(self.table.synced.algorithm), told, row),
                    None if is_any && !is_full => self.push(row),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn is_wanted(&self, stamp: Stamp<SiteId>) -> bool {
        self.is_told(stamp, self.filter.since)
    }

    /// As [`Self::is_wanted`], from a later version on.
    fn is_told(&self, stamp: Stamp<SiteId>, since: Version) -> bool {
        stamp.version > since
            && self.filter.until.is_none_or(|until| stamp.version <= until)
            && self.filter.site.is_none_or(|site| stamp.site == site)
    }

    /// Rows that stood in the table before it was synced and were never touched since.
    fn base_rows(&mut self) -> Result<()> {
        let clock = base_clock().map_sites(|site| self.site(site))?;
        if !self.table.synced.base || self.filter.unsent {
            return Ok(());
        }
        let Some(wanted) = self.wanted(&clock, self.filter.since) else { return Ok(()) };
        let key_names = quote::list(self.table.info.key.iter().map(|column| column.name.as_str()));
        let sql = format!(
            "SELECT {key_names}, {} FROM {} WHERE 1{}",
            self.value_list(),
            self.table.rows(),
            self.table.and_filter()
        );
        let mut statement = self.conn.prepare(&sql)?;
        let mut known =
            self.conn.prepare(&format!("SELECT 1 FROM {} WHERE key = ?1", self.table.clocks()))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if self.is_full() {
                break;
            }
            let key = match self.table.key_of(row, 0)? {
                Ok(key) => key,
                Err(reason) => {
                    self.skipped.push(format!("table {}: {reason}", self.table.synced.name));
                    continue;
                }
            };
            if self.filter.key.as_ref().is_some_and(|wanted| *wanted != key) || known.exists([&key.0])? {
                continue;
            }
            let cells = self.cells(row, self.table.info.key.len(), &clock, &wanted)?;
            self.push(change(None, key, &clock, cells));
        }
        Ok(())
    }

    /// For each column whether its cell is to be told; `None` if nothing of the row is.
    fn wanted(&self, clock: &RowClock<SiteId>, since: Version) -> Option<Vec<bool>> {
        let told = |stamp: Stamp<SiteId>| self.is_told(stamp, since);
        let cells: Vec<bool> = match clock.length.is_alive() {
            true => self.table.schema.columns.iter().map(|column| told(clock.cell(column.id))).collect(),
            false => Vec::new(),
        };
        if !told(clock.life) && !cells.contains(&true) && !clock.past.stamps().any(told) {
            return None;
        }
        Some(if self.filter.whole || buried::keeps(self.table) { vec![true; cells.len()] } else { cells })
    }

    fn cells(
        &mut self,
        row: &Row<'_>,
        first: usize,
        clock: &RowClock<SiteId>,
        wanted: &[bool],
    ) -> Result<Vec<CellChange>> {
        let mut cells = Vec::with_capacity(wanted.len());
        for (at, column) in self.table.schema.columns.iter().enumerate() {
            if wanted.get(at) != Some(&true) {
                continue;
            }
            match value::from_sql(row.get_ref(first + at)?) {
                Ok(value) => cells.push(CellChange { column: at, stamp: clock.cell(column.id), value }),
                Err(value::NotUtf8) => self.skipped.push(format!(
                    "table {}, column {}: a value is not valid UTF-8 and stays here",
                    self.table.synced.name, column.name
                )),
            }
        }
        Ok(cells)
    }

    fn push(&mut self, row: RowChange) {
        self.changes.rows.push(row);
    }

    fn site(&self, ordinal: SiteOrdinal) -> Result<SiteId> {
        let found = self.sites.binary_search_by_key(&ordinal, |(known, _)| *known).ok();
        let site = found.and_then(|at| self.sites.get(at)).map(|(_, site)| *site);
        site.ok_or_else(|| {
            Error::state(format!("a row clock names site {}, which cloudsync_site_id lacks", ordinal.0))
        })
    }
}

fn change(row_id: Option<RowId>, key: Key, clock: &RowClock<SiteId>, cells: Vec<CellChange>) -> RowChange {
    RowChange {
        row_id,
        key,
        length: clock.length,
        life: clock.life,
        cells,
        texts: Vec::new(),
        past: clock.past.clone(),
    }
}
