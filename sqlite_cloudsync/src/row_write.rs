//! One planned row into the user's table, by statements cached by their exact set of columns.
//!
//! A statement that meets a constraint is undone by SQLite alone (`OR ABORT` overrides what the
//! table declares), so no savepoint stands around each row.

use cloudsync_shared::change::RowChange;
use cloudsync_shared::id::ColumnId;
use cloudsync_shared::merge::{PlannedRow, RowAction, TablePlan};
use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;
use rusqlite::{Connection, params_from_iter};

use crate::error::{Error, Result};
use crate::table::Table;
use crate::value::Bound;
use crate::{quote, refusal};

/// What became of a write.
pub enum Written {
    /// It stands.
    Done,
    /// The table's constraints refused it; nothing changed.
    Refused(Refusal),
}

/// Writes the rows of one plan.
pub struct RowWriter<'a> {
    conn: &'a Connection,
    table: &'a Table,
    plan: &'a TablePlan<'a>,
}

/// Some cells: the columns' names and the values.
struct Cells<'a> {
    names: Vec<&'a str>,
    values: Vec<&'a Value>,
}

impl<'a> RowWriter<'a> {
    /// Begins.
    pub fn new(conn: &'a Connection, table: &'a Table, plan: &'a TablePlan<'a>) -> RowWriter<'a> {
        RowWriter { conn, table, plan }
    }

    /// Writes one row.
    ///
    /// # Errors
    /// The database failed as a whole.
    pub fn write(&self, row: &PlannedRow) -> Result<Written> {
        let Some(change) = self.plan.changes.rows.get(row.index) else {
            return Err(Error::state("a plan names a row that its changes do not have"));
        };
        let key = self.table.key_values(&change.key)?;
        let done = match &row.action {
            RowAction::Nothing | RowAction::ClockOnly => Ok(0),
            RowAction::Insert { cells } => self.insert(&key, &self.cells(change, cells)),
            RowAction::Update { cells, reset } => self.update(&key, &self.cells(change, cells), reset),
            RowAction::Delete => self.delete(&key),
        };
        match done {
            Ok(_) => Ok(Written::Done),
            Err(error) => match refusal::of(&error) {
                Some(refusal) => Ok(Written::Refused(refusal)),
                None => Err(Error::Sqlite(error)),
            },
        }
    }

    fn cells(&self, change: &'a RowChange, indexes: &[usize]) -> Cells<'a> {
        let mut cells =
            Cells { names: Vec::with_capacity(indexes.len()), values: Vec::with_capacity(indexes.len()) };
        for cell in indexes.iter().filter_map(|at| change.cells.get(*at)) {
            let id = self.plan.columns.get(cell.column).copied().flatten();
            if let Some(name) = id.and_then(|id| self.table.column_name(id)) {
                cells.names.push(name);
                cells.values.push(&cell.value);
            }
        }
        cells
    }

    fn key_names(&self) -> impl Iterator<Item = &str> {
        self.table.info.key.iter().map(|column| column.name.as_str())
    }

    fn insert(&self, key: &[Value], cells: &Cells<'_>) -> rusqlite::Result<usize> {
        let names = quote::list(self.key_names().chain(cells.names.iter().copied()));
        let holes = vec!["?"; key.len() + cells.names.len()].join(", ");
        let insert = |or: &str, then: &str| {
            format!("INSERT {or} INTO {}({names}) VALUES({holes}){then}", self.table.rows())
        };
        let values = || params_from_iter(key.iter().chain(cells.values.iter().copied()).map(Bound));
        let done = self.conn.prepare_cached(&insert("OR ABORT", ""))?.execute(values());
        match done {
            Err(error) if refusal::is_key_taken(&error) => {
                let sets = cells.names.iter().map(|name| format!("{0} = excluded.{0}", quote::ident(name)));
                let sets = sets.collect::<Vec<_>>().join(", ");
                let action =
                    if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {sets}") };
                let then = format!(" ON CONFLICT({}) DO {action}", quote::list(self.key_names()));
                self.conn.prepare_cached(&insert("OR ABORT", &then))?.execute(values())
            }
            done => done,
        }
    }

    fn update(&self, key: &[Value], cells: &Cells<'_>, reset: &[ColumnId]) -> rusqlite::Result<usize> {
        let first = key.len() + 1;
        let mut sets: Vec<String> = Vec::with_capacity(cells.names.len() + reset.len());
        for (at, name) in cells.names.iter().enumerate() {
            sets.push(format!("{} = ?{}", quote::ident(name), first + at));
        }
        for name in reset.iter().filter_map(|id| self.table.column_name(*id)) {
            let column = self.table.info.columns.iter().find(|column| column.name == name);
            let default = column.and_then(|column| column.default.as_deref()).unwrap_or("NULL");
            sets.push(format!("{} = ({default})", quote::ident(name)));
        }
        if sets.is_empty() {
            return Ok(0);
        }
        let condition = self.table.info.key_condition();
        let sql = format!("UPDATE OR ABORT {} SET {} WHERE {condition}", self.table.rows(), sets.join(", "));
        let values = key.iter().chain(cells.values.iter().copied()).map(Bound);
        match self.conn.prepare_cached(&sql)?.execute(params_from_iter(values))? {
            // The row went while its writes were not captured: here it is again.
            0 => self.insert(key, cells),
            changed => Ok(changed),
        }
    }

    fn delete(&self, key: &[Value]) -> rusqlite::Result<usize> {
        let sql = format!("DELETE FROM {} WHERE {}", self.table.rows(), self.table.info.key_condition());
        self.conn.prepare_cached(&sql)?.execute(params_from_iter(key.iter().map(Bound)))
    }
}
