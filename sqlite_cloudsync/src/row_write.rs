//! One planned row into the user's table, by statements kept for their exact set of columns.
//!
//! A statement about one row checks its constraints before it writes, so a refused one leaves
//! nothing and needs no savepoint. `OR FAIL` tells SQLite that it need not keep copies of the pages
//! to undo it, which would double the time; only where triggers of the user write more it is
//! `OR ABORT`. Either overrides what the table declares.

use std::cell::RefCell;

use cloudsync_shared::change::RowChange;
use cloudsync_shared::id::ColumnId;
use cloudsync_shared::merge::{PlannedRow, RowAction, TablePlan};
use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;
use rusqlite::{Connection, Statement, params_from_iter};

use crate::error::{Error, Result};
use crate::table::Table;
use crate::value::{Bound, NOT_REPRESENTABLE};
use crate::{buried, catalog, quote, refusal};

/// What became of a write.
pub enum Written {
    /// It stands.
    Done,
    /// The table's constraints refused it; nothing changed.
    Refused(Refusal),
}

/// Which statement a row needs: its kind, the cells' columns, and the columns to reset.
#[derive(PartialEq, Eq)]
struct Shape {
    kind: Kind,
    columns: Vec<ColumnId>,
    reset: Vec<ColumnId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    /// Over a row of which the clocks know nothing.
    InsertOver,
    Update,
    Delete,
}

/// How many statements are kept for one table, the latest used first: neighbours in a batch mostly
/// have one shape, and a search through so few costs less than preparing one.
const KEPT_STATEMENTS: usize = 32;

/// Writes the rows of one plan.
pub struct RowWriter<'a> {
    conn: &'a Connection,
    table: &'a Table,
    plan: &'a TablePlan<'a>,
    conflict: &'static str,
    statements: RefCell<Vec<(Shape, Statement<'a>)>>,
}

impl<'a> RowWriter<'a> {
    /// Begins.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn new(conn: &'a Connection, table: &'a Table, plan: &'a TablePlan<'a>) -> Result<RowWriter<'a>> {
        let conflict =
            if catalog::has_foreign_triggers(conn, &table.info.name)? { "OR ABORT" } else { "OR FAIL" };
        Ok(RowWriter { conn, table, plan, conflict, statements: RefCell::new(Vec::new()) })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// The database failed as a whole.
    pub fn write(&self, row: &PlannedRow) -> Result<Written> {
        let Some(change) = self.plan.changes.rows.get(row.index) else {
            return Err(Error::state("a plan names a row that its changes do not have"));
        };
        let done = match &row.action {
            RowAction::Nothing | RowAction::ClockOnly => return Ok(Written::Done),
            RowAction::Insert { .. } | RowAction::Bury { .. } if buried::keeps(self.table) => {
                buried::write(self.conn, self.table, self.plan, row)
            }
            RowAction::Insert { cells } => self.insert(change, cells),
            RowAction::Update { cells, reset } => self.update(change, cells, reset),
            RowAction::Delete | RowAction::Bury { .. } => self.run(Kind::Delete, change, &[], &[]),
        };
        match done {
            Ok(_) => Ok(Written::Done),
            Err(Error::Sqlite(error)) => match refusal::of(&error) {
                Some(refusal) => Ok(Written::Refused(self.naming_column(change, refusal))),
                None => Err(Error::Sqlite(error)),
            },
            Err(error) => Err(error),
        }
    }

    /// Says which column a NaN is for.
    fn naming_column(&self, change: &RowChange, refusal: Refusal) -> Refusal {
        let is_nan = |value: &Value| matches!(value, Value::Real(number) if number.is_nan());
        match change.cells.iter().find(|cell| is_nan(&cell.value)) {
            Some(cell) if refusal.sqlstate == NOT_REPRESENTABLE => {
                let name = self.plan.changes.columns.get(cell.column).map_or("", String::as_str);
                Refusal { message: format!("column {name}: {}", refusal.message), ..refusal }
            }
            _ => refusal,
        }
    }

    fn insert(&self, change: &RowChange, cells: &[usize]) -> Result<usize> {
        match self.run(Kind::Insert, change, cells, &[]) {
            Err(Error::Sqlite(error)) if refusal::is_key_taken(&error) => {
                self.run(Kind::InsertOver, change, cells, &[])
            }
            done => done,
        }
    }

    fn update(&self, change: &RowChange, cells: &[usize], reset: &[ColumnId]) -> Result<usize> {
        if cells.is_empty() && reset.is_empty() {
            return Ok(0);
        }
        match self.run(Kind::Update, change, cells, reset)? {
            // The row went while its writes were not captured: here it is again.
            0 => self.insert(change, cells),
            changed => Ok(changed),
        }
    }

    /// Binds the key, then the cells, to the statement of this shape.
    fn run(&self, kind: Kind, change: &RowChange, cells: &[usize], reset: &[ColumnId]) -> Result<usize> {
        let told = || {
            cells.iter().filter_map(|at| change.cells.get(*at)).filter_map(|cell| {
                let id = self.plan.columns.get(cell.column).copied().flatten()?;
                Some((id, &cell.value))
            })
        };
        let fits = |shape: &Shape| {
            shape.kind == kind
                && shape.reset == reset
                && shape.columns.iter().copied().eq(told().map(|(id, _)| id))
        };
        let mut statements = self.statements.borrow_mut();
        match statements.iter().position(|(shape, _)| fits(shape)) {
            Some(0) => {}
            Some(at) => {
                let used = statements.remove(at);
                statements.insert(0, used);
            }
            None => {
                let shape =
                    Shape { kind, columns: told().map(|(id, _)| id).collect(), reset: reset.to_vec() };
                let statement = self.conn.prepare(&self.sql(&shape))?;
                statements.truncate(KEPT_STATEMENTS - 1);
                statements.insert(0, (shape, statement));
            }
        }
        let Some((_, statement)) = statements.first_mut() else {
            return Err(Error::state("a statement was not kept"));
        };
        let key = self.table.fitting_key(&change.key)?;
        let values = key.iter().chain(told().map(|(_, value)| value)).map(Bound);
        Ok(statement.execute(params_from_iter(values))?)
    }

    fn sql(&self, shape: &Shape) -> String {
        let rows = self.table.rows();
        let condition = self.table.info.key_condition();
        let names: Vec<&str> = shape.columns.iter().filter_map(|id| self.table.column_name(*id)).collect();
        match shape.kind {
            Kind::Delete => format!("DELETE FROM {rows} WHERE {condition}"),
            Kind::Insert => self.insert_sql(&names, ""),
            Kind::InsertOver => {
                let sets = names.iter().map(|name| format!("{0} = excluded.{0}", quote::ident(name)));
                let sets = sets.collect::<Vec<_>>().join(", ");
                let action =
                    if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {sets}") };
                self.insert_sql(
                    &names,
                    &format!(" ON CONFLICT({}) DO {action}", quote::list(self.key_names())),
                )
            }
            Kind::Update => {
                let first = self.table.info.key.len() + 1;
                let set = |(at, name): (usize, &&str)| format!("{} = ?{}", quote::ident(name), first + at);
                let mut sets: Vec<String> = names.iter().enumerate().map(set).collect();
                for name in shape.reset.iter().filter_map(|id| self.table.column_name(*id)) {
                    sets.push(format!("{} = ({})", quote::ident(name), self.default_of(name)));
                }
                format!("UPDATE {} {rows} SET {} WHERE {condition}", self.conflict, sets.join(", "))
            }
        }
    }

    fn insert_sql(&self, names: &[&str], then: &str) -> String {
        let columns = quote::list(self.key_names().chain(names.iter().copied()));
        let holes = vec!["?"; self.table.info.key.len() + names.len()].join(", ");
        format!("INSERT {} INTO {}({columns}) VALUES({holes}){then}", self.conflict, self.table.rows())
    }

    fn key_names(&self) -> impl Iterator<Item = &str> {
        self.table.info.key.iter().map(|column| column.name.as_str())
    }

    fn default_of(&self, name: &str) -> &str {
        let column = self.table.info.columns.iter().find(|column| column.name == name);
        column.and_then(|column| column.default.as_deref()).unwrap_or("NULL")
    }
}
