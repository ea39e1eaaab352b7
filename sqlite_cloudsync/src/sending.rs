//! Rows as the outbox sends them: values from the user's table, stamps from the stored clock.

use std::collections::HashMap;

use cloudsync_shared::capture::base_clock;
use cloudsync_shared::change::{CellChange, RowChange};
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::id::{CausalLength, SiteId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::value::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::buried;
use crate::error::{Error, Result};
use crate::quote;
use crate::system;
use crate::table::Table;
use crate::texts::tell;
use crate::unsendable::{self, Cells};
use crate::value::Bound;

/// About how many bytes a value takes on the wire.
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
    }
}

/// The causal length in a stored clock.
///
/// # Errors
/// The bytes are not a stored clock.
pub fn stored_length(clock: &[u8]) -> Result<CausalLength> {
    Ok(RowClock::from_bytes(clock)?.length)
}

/// Reads the rows of one table for sending.
pub struct RowReader<'a> {
    conn: &'a Connection,
    table: &'a Table,
    sites: HashMap<SiteOrdinal, SiteId>,
    select: String,
    has_unsendable: bool,
}

impl<'a> RowReader<'a> {
    /// Begins.
    ///
    /// # Errors
    /// The database failed.
    pub fn new(conn: &'a Connection, table: &'a Table) -> Result<RowReader<'a>> {
        let sites = system::sites(conn)?.into_iter().collect();
        let select = format!(
            "SELECT {} FROM {} WHERE {}{}",
            columns(table, ""),
            table.rows(),
            table.info.key_condition(),
            table.and_filter()
        );
        Ok(RowReader { conn, table, sites, select, has_unsendable: false })
    }

    /// Whether the last row was left out because no other replica could hold a value of it.
    pub fn has_unsendable(&self) -> bool {
        self.has_unsendable
    }

    /// What is to be told of a row: its life, and the cells written at `unsent` or later. `None` for a
    /// row that is not there although its clock is alive, since its removal was not captured, and for one
    /// that the filter keeps here. `None` also for one that has to stay here for its values, which is then
    /// noted.
    ///
    /// # Errors
    /// The database failed.
    pub fn change(&mut self, key: &Key, clock: &[u8], unsent: i64) -> Result<Option<RowChange>> {
        self.has_unsendable = false;
        let clock = self.with_sites(&RowClock::from_bytes(clock)?)?;
        let mut change = RowChange {
            row_id: None,
            key: key.clone(),
            length: clock.length,
            life: clock.life,
            cells: Vec::new(),
            texts: Vec::new(),
            past: clock.past.clone(),
        };
        if !clock.length.is_alive() {
            change.cells = buried::cells(self.conn, self.table, key, &clock)?;
            tell::by_lines(self.conn, self.table, &mut change, |site| self.site(site), |_| true, false)?;
            return Ok(Some(change));
        }
        // What brings a row back brings it back whole.
        let unsent = if buried::keeps(self.table) { 0 } else { unsent };
        let values = self.table.key_values(key)?;
        let mut statement = self.conn.prepare_cached(&self.select)?;
        let mut rows = statement.query(params_from_iter(values.iter().map(Bound)))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let cells = cells(self.table, row, 0, &clock, unsent)?;
        change.cells = cells.told;
        if let Some(column) = cells.unsendable {
            self.has_unsendable = true;
            unsendable::note(self.conn, self.table, &change, &column)?;
            return Ok(None);
        }
        let wanted = |stamp: Stamp<SiteId>| stamp.version.0 >= unsent.unsigned_abs();
        tell::by_lines(self.conn, self.table, &mut change, |site| self.site(site), wanted, false)?;
        Ok(Some(change))
    }

    fn with_sites(&self, clock: &RowClock<SiteOrdinal>) -> Result<RowClock<SiteId>> {
        clock.map_sites(|ordinal| self.site(ordinal))
    }

    fn site(&self, ordinal: SiteOrdinal) -> Result<SiteId> {
        let unknown = || Error::state(format!("a row clock names site {}, which is unknown", ordinal.0));
        self.sites.get(&ordinal).copied().ok_or_else(unknown)
    }
}

fn columns(table: &Table, prefix: &str) -> String {
    let names = table.schema.columns.iter().map(|column| format!("{prefix}{}", quote::ident(&column.name)));
    let names: Vec<String> = names.collect();
    if names.is_empty() { "1".to_owned() } else { names.join(", ") }
}

/// The cells of a row whose columns stand from `first` on.
fn cells(table: &Table, row: &Row<'_>, first: usize, clock: &RowClock<SiteId>, unsent: i64) -> Result<Cells> {
    let mut cells = Cells { told: Vec::with_capacity(table.schema.columns.len()), unsendable: None };
    for (index, column) in table.schema.columns.iter().enumerate() {
        let stamp = clock.cell(column.id);
        if stamp.version.0 < unsent.unsigned_abs() {
            continue;
        }
        let value = cells.read(&column.name, row.get_ref(first + index)?);
        cells.told.push(CellChange { column: index, stamp, value });
    }
    Ok(cells)
}

/// A walk, in key order, over rows that have no clock, because they stood in the table before it was
/// synced.
pub struct BaseScan {
    changes: std::vec::IntoIter<RowChange>,
}

/// How many rows are read at a time.
const BASE_ROWS: usize = 5_000;

impl BaseScan {
    /// Reads the next rows after a key. Those that have to stay here are noted, and get a clock by which
    /// they are found when that has changed.
    ///
    /// # Errors
    /// The database failed.
    pub fn new(conn: &Connection, table: &Table, after: Option<&[u8]>) -> Result<BaseScan> {
        let site = system::site_id(conn)?.unwrap_or(SiteId::NIL);
        let clock = base_clock().map_sites(|_| Ok::<_, Error>(site))?;
        let keys: Vec<String> = table.info.key.iter().map(|column| quote::ident(&column.name)).collect();
        let keys = keys.join(", ");
        let bounds: Vec<Value> = match after {
            Some(key) => table.key_values(&Key::from_bytes(key.to_vec())?)?,
            None => Vec::new(),
        };
        let from = match bounds.len() {
            0 => "1".to_owned(),
            count => format!("({keys}) > ({})", vec!["?"; count].join(", ")),
        };
        let sql = format!(
            "SELECT {keys}, {} FROM {} WHERE {from}{} ORDER BY {keys}",
            columns(table, ""),
            table.rows(),
            table.and_filter()
        );
        let mut has_clock =
            conn.prepare_cached(&format!("SELECT 1 FROM {} WHERE key = ?1", table.clocks()))?;
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(bounds.iter().map(Bound)))?;
        let mut changes = Vec::new();
        while let Some(row) = rows.next()? {
            let key = match table.key_of(row, 0)? {
                Ok(key) => key,
                Err(reason) => {
                    unsendable::note_key(conn, table, row, 0, &reason)?;
                    continue;
                }
            };
            if has_clock.exists([&key.0])? {
                continue;
            }
            let cells = cells(table, row, table.info.key.len(), &clock, 0)?;
            let (length, life, past) = (clock.length, clock.life, clock.past.clone());
            let (cells, unsendable) = (cells.told, cells.unsendable);
            let change = RowChange { row_id: None, key, length, life, cells, texts: Vec::new(), past };
            if let Some(column) = unsendable {
                unsendable::note(conn, table, &change, &column)?;
                unsendable::keep_base_row(conn, table, &change.key)?;
                continue;
            }
            changes.push(change);
            if changes.len() == BASE_ROWS {
                break;
            }
        }
        Ok(BaseScan { changes: changes.into_iter() })
    }
}

impl Iterator for BaseScan {
    type Item = RowChange;

    fn next(&mut self) -> Option<RowChange> {
        self.changes.next()
    }
}
