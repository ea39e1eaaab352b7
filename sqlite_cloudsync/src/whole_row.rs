//! A row as it shall stand, put together from what stands already and what a change tells.

use cloudsync_shared::merge::{PlannedRow, RowAction, TablePlan};
use cloudsync_shared::value::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::error::{Error, Result};
use crate::table::Table;
use crate::value::{self, Bound, NOT_IN_REPERTOIRE, Unfit};
use crate::{buried, quote};

/// A row as it shall stand: columns that are not named take their default.
pub struct WholeRow {
    key: Vec<Value>,
    columns: Vec<(String, Value)>,
}

impl WholeRow {
    /// The row after a planned insert, update or burial.
    ///
    /// # Errors
    /// The plan does not fit its changes, or a value that stands cannot be read.
    pub fn planned(
        conn: &Connection,
        table: &Table,
        plan: &TablePlan<'_>,
        row: &PlannedRow,
    ) -> Result<WholeRow> {
        let Some(change) = plan.changes.rows.get(row.index) else {
            return Err(Error::state("a plan names a row that its changes do not have"));
        };
        let key = table.fitting_key(&change.key)?;
        let (cells, reset, standing) = match &row.action {
            RowAction::Update { cells, reset } => (cells, reset.clone(), standing(conn, table, &key)?),
            RowAction::Insert { cells } | RowAction::Bury { cells } => {
                let standing = match standing(conn, table, &key)? {
                    None => buried::read(conn, table, &change.key)?,
                    standing => standing,
                };
                (cells, Vec::new(), standing)
            }
            _ => return Err(Error::state("a row that writes no value was refused for uniqueness")),
        };
        let told = cells.iter().filter_map(|at| change.cells.get(*at)).filter_map(|cell| {
            let id = plan.columns.get(cell.column).copied().flatten()?;
            Some((table.column_name(id)?.to_owned(), cell.value.clone()))
        });
        let told: Vec<(String, Value)> = told.collect();
        let reset: Vec<&str> = reset.iter().filter_map(|id| table.column_name(*id)).collect();
        let mut columns = standing.unwrap_or_default();
        columns
            .retain(|(name, _)| !reset.contains(&name.as_str()) && !told.iter().any(|(own, _)| own == name));
        columns.extend(told);
        Ok(WholeRow { key, columns })
    }

    /// Takes whatever row has this key out of the table.
    ///
    /// # Errors
    /// The table refuses it, or the database failed.
    pub fn delete(&self, conn: &Connection, table: &Table) -> Result<usize> {
        let delete = format!("DELETE FROM {} WHERE {}", table.rows(), table.info.key_condition());
        Ok(conn.prepare_cached(&delete)?.execute(params_from_iter(self.key.iter().map(Bound)))?)
    }

    /// Puts the row into the table.
    ///
    /// # Errors
    /// The table refuses it, or the database failed.
    pub fn insert(&self, conn: &Connection, table: &Table) -> Result<usize> {
        let keys = table.info.key.iter().map(|column| column.name.as_str());
        let names = quote::list(keys.chain(self.columns.iter().map(|(name, _)| name.as_str())));
        let values = self.key.iter().chain(self.columns.iter().map(|(_, value)| value));
        let holes = vec!["?"; self.key.len() + self.columns.len()].join(", ");
        let sql = format!("INSERT OR ABORT INTO {}({names}) VALUES({holes})", table.rows());
        Ok(conn.prepare_cached(&sql)?.execute(params_from_iter(values.map(Bound)))?)
    }

    /// Its columns beside the key.
    pub fn columns(&self) -> &[(String, Value)] {
        &self.columns
    }
}

/// What stands in a row now, the key left out; `None` if there is no such row.
///
/// # Errors
/// The database failed, or the row holds text that is not UTF-8.
pub fn standing(conn: &Connection, table: &Table, key: &[Value]) -> Result<Option<Vec<(String, Value)>>> {
    let names: Vec<&str> = table.schema.columns.iter().map(|column| column.name.as_str()).collect();
    let list = if names.is_empty() { "1".to_owned() } else { quote::list(names.iter().copied()) };
    let sql = format!("SELECT {list} FROM {} WHERE {}", table.rows(), table.info.key_condition());
    let mut statement = conn.prepare_cached(&sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        let cells = names.iter().enumerate().map(|(at, name)| {
            Ok(value::from_sql(row.get_ref(at)?).ok().map(|value| ((*name).to_owned(), value)))
        });
        cells.collect::<rusqlite::Result<Option<Vec<_>>>>()
    };
    let found = statement.query_row(params_from_iter(key.iter().map(Bound)), read).optional()?;
    match found {
        None => Ok(None),
        Some(Some(columns)) => Ok(Some(columns)),
        Some(None) => {
            let message = "the row holds text that is not UTF-8 here: store it as a BLOB".to_owned();
            Err(Error::Sqlite(Unfit { sqlstate: NOT_IN_REPERTOIRE, message }.into()))
        }
    }
}
