//! A store in memory: the first implementer of the [`Store`] port, and the model of the others.
//!
//! It keeps everything in ordered maps and does one thing at a time, so that what it does can be
//! checked by reading it. Tests can break its promises on purpose ([`Fault`]), to show that they
//! would notice if an engine broke them.

mod texts;

use std::collections::BTreeMap;
use std::fmt;

use crate::capture::{self, LocalWrite};
use crate::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use crate::clock::{RowClock, Stamp};
use crate::error::Error;
use crate::hlc::{Millis, Version};
use crate::id::{CausalLength, ColumnId, RowId, SiteId, SiteOrdinal};
use crate::key::Key;
use crate::merge::{PlannedRow, RowAction, RowDecision, StoredText, TablePlan, decide_row};
use crate::port::{RowOutcome, Store};
use crate::schema::{Algorithm, Column, TableSchema};
use crate::text::Document;
use crate::value::Value;
use crate::vector::Past;

/// A promise of the port that the store breaks on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// None: the store is as good as it can be.
    #[default]
    None,
    /// A plan is carried out though the row changed since its clock was read.
    IgnoreBefore,
    /// The versions of others are not remembered.
    ForgetObserved,
    /// Columns that a new life did not tell of keep the values of the life before.
    KeepOldCells,
    /// What is applied is captured as if it had been written here.
    CaptureApplied,
    /// Columns that were added later are numbered as if they had always been there.
    LateAsEarly,
}

/// Why the store failed.
#[derive(Debug)]
pub enum MemError {
    /// The core refused the input.
    Core(Error),
    /// The failure that [`MemStore::fail_after`] asked for.
    Crashed,
}

impl From<Error> for MemError {
    fn from(error: Error) -> MemError {
        MemError::Core(error)
    }
}

impl fmt::Display for MemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemError::Core(error) => error.fmt(f),
            MemError::Crashed => f.write_str("the store crashed as the test asked it to"),
        }
    }
}

impl std::error::Error for MemError {}

/// What an application does to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowWrite {
    /// Insert it with these values, NULL elsewhere; nothing if it exists.
    Insert(Vec<(String, Value)>),
    /// Insert it, or replace it as a whole.
    Replace(Vec<(String, Value)>),
    /// Set these columns; nothing if it does not exist.
    Update(Vec<(String, Value)>),
    /// Delete it; nothing if it does not exist.
    Delete,
}

/// A local write of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteCall {
    /// The writer's wall clock.
    pub now: Millis,
    /// The table.
    pub table: String,
    /// The row.
    pub key: Key,
    /// What to do.
    pub write: RowWrite,
}

/// What a local write did: the row's causal length afterwards, its stamp, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The row's length after the write.
    pub length: CausalLength,
    /// The stamp of everything that the write touched.
    pub stamp: Stamp<SiteId>,
    /// The columns that it set, by name.
    pub set: Vec<(String, Value)>,
}

/// One row's clock with every column spelled out by name, for comparison between replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockDump {
    /// Alive or deleted.
    pub length: CausalLength,
    /// The insert or delete that began this length.
    pub life: Stamp<SiteId>,
    /// The stamp of each column; none if the row is deleted and its cells are not kept.
    pub cells: BTreeMap<String, Stamp<SiteId>>,
    /// What is behind the row.
    pub past: Past<SiteId>,
}

/// One table for comparison between replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableDump {
    /// The living rows with their values by column name.
    pub rows: BTreeMap<Key, BTreeMap<String, Value>>,
    /// The clocks of all rows ever seen.
    pub clocks: BTreeMap<Key, ClockDump>,
}

/// A replica's state by table name: replicas that know the same have equal dumps.
pub type Dump = BTreeMap<String, TableDump>;

#[derive(Clone, Debug)]
struct Table {
    schema: TableSchema,
    rows: BTreeMap<Key, BTreeMap<ColumnId, Value>>,
    clocks: BTreeMap<Key, RowClock<SiteOrdinal>>,
    /// The cells of deleted rows, where the algorithm keeps them.
    buried: BTreeMap<Key, BTreeMap<ColumnId, Value>>,
    /// The documents of texts that were edited by line.
    documents: BTreeMap<(Key, ColumnId), Document<SiteId>>,
    row_ids: BTreeMap<Key, RowId>,
}

impl Table {
    /// Takes a row out of the table.
    fn remove(&mut self, key: &Key) {
        if let Some(row) = self.rows.remove(key)
            && self.schema.algorithm.keeps_deleted()
        {
            self.buried.insert(key.clone(), row);
        }
    }

    /// The clock of a row, also of one that stood here before the table was synced.
    fn clock(&self, key: &Key) -> Option<RowClock<SiteOrdinal>> {
        let base = || self.rows.contains_key(key).then(capture::base_clock);
        self.clocks.get(key).cloned().or_else(base)
    }

    /// The keys of all rows that have a clock.
    fn keys(&self) -> Vec<&Key> {
        let mut keys: Vec<&Key> = self.rows.keys().chain(self.clocks.keys()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn value(&self, key: &Key, column: ColumnId) -> Value {
        self.rows
            .get(key)
            .or_else(|| self.buried.get(key))
            .and_then(|row| row.get(&column))
            .cloned()
            .unwrap_or(Value::Null)
    }
}

/// A replica in memory. A clone of it is a backup: restoring it undoes everything since.
#[derive(Clone, Debug)]
pub struct MemStore {
    sites: Vec<SiteId>,
    tables: BTreeMap<String, Table>,
    highest: Version,
    next_row_id: Option<u64>,
    fault: Fault,
    calls_left: Option<u32>,
    applied: u64,
    waiting: Vec<WriteCall>,
    raced: Vec<(WriteCall, Option<Written>)>,
}

impl MemStore {
    /// An empty replica.
    pub fn new(site: SiteId) -> MemStore {
        MemStore {
            sites: vec![site],
            tables: BTreeMap::new(),
            highest: Version::NEVER,
            next_row_id: None,
            fault: Fault::None,
            calls_left: None,
            applied: 0,
            waiting: Vec::new(),
            raced: Vec::new(),
        }
    }

    /// An empty replica that gives rows their ids, as the server does.
    pub fn server(site: SiteId) -> MemStore {
        MemStore { next_row_id: Some(1), ..MemStore::new(site) }
    }

    /// The same store with a broken promise.
    #[must_use]
    pub fn with_fault(self, fault: Fault) -> MemStore {
        MemStore { fault, ..self }
    }

    /// The replica's own id.
    pub fn site(&self) -> SiteId {
        self.sites.first().copied().unwrap_or(SiteId::NIL)
    }

    /// The highest version seen.
    pub fn highest(&self) -> Version {
        self.highest
    }

    /// How many rows or clocks merges have written so far: what is known already is not written again.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Adds a synced table; `base` holds rows that stood in it before.
    pub fn create_table(&mut self, schema: TableSchema, base: Vec<(Key, Vec<(String, Value)>)>) {
        let rows = base.into_iter().map(|(key, values)| (key, by_column(&schema, &values))).collect();
        let (clocks, buried, documents, row_ids) = Default::default();
        let table = Table { schema, rows, clocks, buried, documents, row_ids };
        self.tables.insert(table.schema.name.clone(), table);
    }

    /// Adds a column to a synced table, as `ALTER TABLE ADD COLUMN` does: rows hold NULL in it, and
    /// no clock is touched. Nothing if there is no such table, or it has the column.
    pub fn add_column(&mut self, table: &str, column: &str) {
        let late = if self.fault == Fault::LateAsEarly { 0 } else { ColumnId::LATE };
        let Some(table) = self.tables.get_mut(table) else { return };
        if table.schema.column(column).is_none() {
            let highest = table.schema.columns.iter().map(|column| column.id.0 & !ColumnId::LATE).max();
            let id = ColumnId(late | highest.map_or(0, |highest| highest + 1));
            table.schema.columns.push(Column { name: column.into(), id });
        }
    }

    /// Carries out a local write; `None` if it touched no row.
    ///
    /// # Errors
    /// There is no such table or column, or the table is grow-only and the row exists.
    pub fn write(&mut self, call: &WriteCall) -> Result<Option<Written>, MemError> {
        let highest = self.highest;
        let site = self.site();
        let Some(table) = self.tables.get_mut(&call.table) else {
            return Err(Error::invalid_input(format!("there is no synced table {}", call.table)).into());
        };
        check_columns(&table.schema, &call.write)?;
        let exists = table.rows.contains_key(&call.key);
        let touched = match &call.write {
            RowWrite::Insert(_) => !exists,
            RowWrite::Replace(_) => true,
            RowWrite::Update(values) => exists && !values.is_empty(),
            RowWrite::Delete => exists,
        };
        if !touched {
            return Ok(None);
        }
        if exists && table.schema.algorithm == Algorithm::Gos {
            return Err(Error::invalid_input(format!(
                "rows of table {} are only added (algorithm gos): it takes no UPDATE or DELETE",
                call.table
            ))
            .into());
        }
        let (noted, set) = note(&table.schema, &call.write);
        let texts_before = table.texts(&call.key, &self.sites);
        let algorithm = table.schema.algorithm;
        let clock = capture::touch(algorithm, table.clocks.get(&call.key), &noted, call.now, highest);
        match (&call.write, &noted) {
            (RowWrite::Delete, _) => table.remove(&call.key),
            (_, LocalWrite::Insert | LocalWrite::InsertLate(_)) => {
                table.buried.remove(&call.key);
                table.rows.insert(call.key.clone(), by_column(&table.schema, &set));
            }
            _ => table.rows.entry(call.key.clone()).or_default().extend(by_column(&table.schema, &set)),
        }
        let version = clock.highest();
        table.edit_texts(&call.key, texts_before, &noted, Stamp { version, site });
        let written = Written { length: clock.length, stamp: Stamp { version, site }, set };
        table.clocks.insert(call.key.clone(), clock);
        self.highest = highest.max(version);
        Ok(Some(written))
    }

    /// Makes a local write happen inside the next merge, after clocks were read and before the plan
    /// is carried out.
    pub fn race(&mut self, call: WriteCall) {
        self.waiting.push(call);
    }

    /// The writes that [`MemStore::race`] asked for and that have happened since the last call.
    pub fn take_raced(&mut self) -> Vec<(WriteCall, Option<Written>)> {
        std::mem::take(&mut self.raced)
    }

    /// Makes the port fail when it has been called `calls` more times; `None`: never.
    pub fn fail_after(&mut self, calls: Option<u32>) {
        self.calls_left = calls;
    }

    /// What this replica has to tell: the rows with a stamp that `tells` accepts, and of each those
    /// cells only.
    pub fn changes(&self, tells: impl Fn(Stamp<SiteId>) -> bool) -> ChangeBatch {
        let mut batch = ChangeBatch::default();
        for (name, table) in &self.tables {
            let columns = table.schema.columns.iter().map(|column| column.name.clone()).collect();
            let algorithm = Some(table.schema.algorithm);
            let rows: Vec<RowChange> =
                table.keys().into_iter().filter_map(|key| self.change(table, key, &tells)).collect();
            if !rows.is_empty() {
                batch.tables.push(TableChanges { table: name.clone(), algorithm, columns, rows });
            }
        }
        batch
    }

    fn change(&self, table: &Table, key: &Key, tells: &impl Fn(Stamp<SiteId>) -> bool) -> Option<RowChange> {
        let clock = self.to_sites(&table.clock(key)?);
        let mut change = RowChange {
            row_id: table.row_ids.get(key).copied(),
            key: key.clone(),
            length: clock.length,
            life: clock.life,
            cells: Vec::new(),
            texts: Vec::new(),
            past: clock.past.clone(),
        };
        if clock.length.is_alive() || table.schema.algorithm.keeps_deleted() {
            for (index, column) in table.schema.columns.iter().enumerate() {
                let stamp = clock.cell(column.id);
                if tells(stamp) {
                    let lines = table.told_text(key, index, column.id, tells);
                    let value = if lines.is_some() { Value::Null } else { table.value(key, column.id) };
                    change.texts.extend(lines);
                    change.cells.push(CellChange { column: index, stamp, value });
                }
            }
        }
        let is_told = change.past.stamps().chain([clock.life]).any(tells);
        (is_told || !change.cells.is_empty()).then_some(change)
    }

    /// The state, comparable with that of any other replica.
    pub fn dump(&self) -> Dump {
        self.tables.iter().map(|(name, table)| (name.clone(), self.dump_table(table))).collect()
    }

    fn dump_table(&self, table: &Table) -> TableDump {
        let mut dump = TableDump::default();
        for key in table.rows.keys() {
            let columns = table.schema.columns.iter();
            let row = columns.map(|column| (column.name.clone(), table.value(key, column.id))).collect();
            dump.rows.insert(key.clone(), row);
        }
        for key in table.keys() {
            let Some(clock) = table.clock(key).map(|clock| self.to_sites(&clock)) else { continue };
            let mut cells = BTreeMap::new();
            if clock.length.is_alive() || table.schema.algorithm.keeps_deleted() {
                let columns = table.schema.columns.iter();
                cells.extend(columns.map(|column| (column.name.clone(), clock.cell(column.id))));
            }
            let (length, life, past) = (clock.length, clock.life, clock.past.clone());
            dump.clocks.insert(key.clone(), ClockDump { length, life, cells, past });
        }
        dump
    }

    fn to_sites(&self, clock: &RowClock<SiteOrdinal>) -> RowClock<SiteId> {
        let site = |ordinal: SiteOrdinal| {
            Ok::<_, std::convert::Infallible>(
                *self.sites.get(ordinal.0 as usize).expect("a stored clock names sites of the site table"),
            )
        };
        match clock.map_sites(site) {
            Ok(clock) => clock,
            Err(never) => match never {},
        }
    }

    fn intern_sites(&mut self, clock: &RowClock<SiteId>) -> RowClock<SiteOrdinal> {
        let sites = &mut self.sites;
        let ordinal = |site: SiteId| {
            let known = sites.iter().position(|known| *known == site);
            let at = known.unwrap_or_else(|| {
                sites.push(site);
                sites.len() - 1
            });
            Ok::<_, std::convert::Infallible>(SiteOrdinal(at as u32))
        };
        match clock.map_sites(ordinal) {
            Ok(clock) => clock,
            Err(never) => match never {},
        }
    }

    fn count_call(&mut self) -> Result<(), MemError> {
        match &mut self.calls_left {
            Some(0) => Err(MemError::Crashed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn apply_row(&mut self, plan: &TablePlan<'_>, planned: &PlannedRow) -> Result<RowOutcome, MemError> {
        let no_row = || Error::invalid_input("a plan names a row or table that is not there");
        let change = plan.changes.rows.get(planned.index).ok_or_else(no_row)?;
        let table = self.tables.get(&plan.schema.name).ok_or_else(no_row)?;
        let current = table.clock(&change.key).map(|clock| self.to_sites(&clock));
        let decision = if current == planned.before || self.fault == Fault::IgnoreBefore {
            RowDecision { action: planned.action.clone(), clock: planned.after.clone() }
        } else {
            decide_row(plan.schema, &plan.columns, current.as_ref(), change)
        };
        let stored = match self.fault {
            Fault::CaptureApplied if decision.action != RowAction::Nothing => capture::touch(
                plan.schema.algorithm,
                table.clocks.get(&change.key),
                &captured(&decision),
                decision.clock.highest().millis(),
                self.highest,
            ),
            _ => self.intern_sites(&decision.clock),
        };
        let keep_old = self.fault == Fault::KeepOldCells;
        let table = self.tables.get_mut(&plan.schema.name).ok_or_else(no_row)?;
        let write_cells = |row: &mut BTreeMap<ColumnId, Value>, cells: &[usize]| {
            for cell in cells.iter().filter_map(|at| change.cells.get(*at)) {
                if let Some(column) = plan.columns.get(cell.column).copied().flatten() {
                    row.insert(column, cell.value.clone());
                }
            }
        };
        match &decision.action {
            RowAction::Nothing | RowAction::ClockOnly => {}
            RowAction::Insert { cells } => {
                let mut row = table.buried.remove(&change.key).unwrap_or_default();
                write_cells(&mut row, cells);
                table.rows.insert(change.key.clone(), row);
            }
            RowAction::Update { cells, reset } => {
                let row = table.rows.entry(change.key.clone()).or_default();
                row.retain(|column, _| keep_old || !reset.contains(column));
                write_cells(row, cells);
            }
            RowAction::Delete => table.remove(&change.key),
            RowAction::Bury { cells } => {
                table.remove(&change.key);
                write_cells(table.buried.entry(change.key.clone()).or_default(), cells);
            }
        }
        if decision.action != RowAction::Nothing {
            table.keep_documents(plan, change);
            table.clocks.insert(change.key.clone(), stored);
            self.applied += 1;
        }
        let row_id = name_row(table, &mut self.next_row_id, change);
        Ok(if decision.clock.length.is_alive() { RowOutcome::Kept(row_id) } else { RowOutcome::Dead })
    }
}

impl Store for MemStore {
    type Error = MemError;

    fn schema(&mut self, table: &str) -> Result<Option<TableSchema>, MemError> {
        self.count_call()?;
        Ok(self.tables.get(table).map(|table| table.schema.clone()))
    }

    fn clocks(
        &mut self,
        schema: &TableSchema,
        keys: &[&Key],
    ) -> Result<Vec<Option<RowClock<SiteId>>>, MemError> {
        self.count_call()?;
        let Some(table) = self.tables.get(&schema.name) else {
            return Err(Error::invalid_input(format!("there is no synced table {}", schema.name)).into());
        };
        Ok(keys.iter().map(|key| table.clock(key).map(|clock| self.to_sites(&clock))).collect())
    }

    fn texts(
        &mut self,
        schema: &TableSchema,
        cells: &[(&Key, ColumnId)],
    ) -> Result<Vec<Option<StoredText>>, MemError> {
        self.count_call()?;
        let table = self.tables.get(&schema.name);
        let stored = |(key, column): &(&Key, ColumnId)| {
            let table = table?;
            let value = table.rows.get(key)?.get(column).cloned().unwrap_or(Value::Null);
            let document = table.documents.get(&((*key).clone(), *column)).cloned();
            Some(StoredText { value, document })
        };
        Ok(cells.iter().map(stored).collect())
    }

    fn apply(&mut self, plan: &TablePlan<'_>) -> Result<Vec<RowOutcome>, MemError> {
        for call in std::mem::take(&mut self.waiting) {
            // A write that is refused (grow-only table) fails its writer, not the merge.
            let written = self.write(&call).unwrap_or(None);
            self.raced.push((call, written));
        }
        self.count_call()?;
        plan.rows.iter().map(|planned| self.apply_row(plan, planned)).collect()
    }

    fn observe(&mut self, highest: Version) -> Result<(), MemError> {
        self.count_call()?;
        if self.fault != Fault::ForgetObserved {
            self.highest = self.highest.max(highest);
        }
        Ok(())
    }
}

/// Keeps the id that the server gave a row, or gives one.
fn name_row(table: &mut Table, next: &mut Option<u64>, change: &RowChange) -> Option<RowId> {
    if let Some(known) = table.row_ids.get(&change.key) {
        return Some(*known);
    }
    let id = match next {
        Some(next) => {
            *next += 1;
            RowId(*next - 1)
        }
        None => change.row_id?,
    };
    table.row_ids.insert(change.key.clone(), id);
    Some(id)
}

/// The local write that looks like what was applied.
fn captured(decision: &RowDecision) -> LocalWrite {
    if decision.clock.length.is_alive() { LocalWrite::Insert } else { LocalWrite::Delete }
}

/// How a write is noted for its clock, and what it sets: a whole row sets every column.
fn note(schema: &TableSchema, write: &RowWrite) -> (LocalWrite, Vec<(String, Value)>) {
    match write {
        RowWrite::Insert(values) | RowWrite::Replace(values) => {
            let value =
                |name: &str| values.iter().find(|(told, _)| told == name).map(|(_, value)| value.clone());
            let columns = schema.columns.iter();
            let all = columns.map(|column| (column.name.clone(), value(&column.name).unwrap_or(Value::Null)));
            let ids = schema.columns.iter().map(|column| column.id);
            let late: Vec<ColumnId> = ids.filter(|id| id.is_late()).collect();
            let noted = if late.is_empty() { LocalWrite::Insert } else { LocalWrite::InsertLate(late) };
            (noted, all.collect())
        }
        RowWrite::Update(values) => {
            let ids = values.iter().filter_map(|(name, _)| schema.column(name)).map(|column| column.id);
            (LocalWrite::Update(ids.collect()), values.clone())
        }
        RowWrite::Delete => (LocalWrite::Delete, Vec::new()),
    }
}

fn check_columns(schema: &TableSchema, write: &RowWrite) -> Result<(), Error> {
    let (RowWrite::Insert(values) | RowWrite::Replace(values) | RowWrite::Update(values)) = write else {
        return Ok(());
    };
    match values.iter().find(|(name, _)| schema.column(name).is_none()) {
        Some((name, _)) => {
            Err(Error::invalid_input(format!("table {} has no column {name} beside its key", schema.name)))
        }
        None => Ok(()),
    }
}

fn by_column(schema: &TableSchema, values: &[(String, Value)]) -> BTreeMap<ColumnId, Value> {
    let column = |(name, value): &(String, Value)| Some((schema.column(name)?.id, value.clone()));
    values.iter().filter_map(column).collect()
}
