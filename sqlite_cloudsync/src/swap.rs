//! Rows that stand in one another's way: SQLite checks UNIQUE row by row, so of two rows that swapped a
//! value on the server neither can be written before the other. Taken out together, they can.

use cloudsync_shared::merge::{PlannedRow, RowAction, TablePlan};
use cloudsync_shared::value::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::error::{Error, Result};
use crate::quote;
use crate::savepoint::in_savepoint;
use crate::table::Table;
use crate::value::{self, Bound};

/// Writes rows that were each refused for uniqueness, all of them or none; `false`: none, as something
/// else stands in their way.
///
/// # Errors
/// The database failed as a whole.
pub fn write_together(
    conn: &Connection,
    table: &Table,
    plan: &TablePlan<'_>,
    rows: &[&PlannedRow],
) -> Result<bool> {
    if rows.len() < 2 {
        return Ok(false);
    }
    let written = in_savepoint(conn, || {
        let merged = rows.iter().map(|row| merged_row(conn, table, plan, row)).collect::<Result<Vec<_>>>()?;
        let delete = format!("DELETE FROM {} WHERE {}", table.rows(), table.info.key_condition());
        let mut delete = conn.prepare_cached(&delete)?;
        for row in &merged {
            delete.execute(params_from_iter(row.key.iter().map(Bound)))?;
        }
        for row in &merged {
            row.insert(conn, table)?;
        }
        Ok(())
    });
    match written {
        Ok(()) => Ok(true),
        Err(Error::Sqlite(error)) if crate::refusal::of(&error).is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

/// A row as it shall stand: columns that are not named take their default.
struct Merged {
    key: Vec<Value>,
    columns: Vec<(String, Value)>,
}

impl Merged {
    fn insert(&self, conn: &Connection, table: &Table) -> Result<()> {
        let keys = table.info.key.iter().map(|column| column.name.as_str());
        let names = quote::list(keys.chain(self.columns.iter().map(|(name, _)| name.as_str())));
        let values = self.key.iter().chain(self.columns.iter().map(|(_, value)| value));
        let holes = vec!["?"; self.key.len() + self.columns.len()].join(", ");
        let sql = format!("INSERT OR ABORT INTO {}({names}) VALUES({holes})", table.rows());
        conn.prepare_cached(&sql)?.execute(params_from_iter(values.map(Bound)))?;
        Ok(())
    }
}

fn merged_row(conn: &Connection, table: &Table, plan: &TablePlan<'_>, row: &PlannedRow) -> Result<Merged> {
    let Some(change) = plan.changes.rows.get(row.index) else {
        return Err(Error::state("a plan names a row that its changes do not have"));
    };
    let key = table.key_values(&change.key)?;
    let (cells, reset, mut columns) = match &row.action {
        RowAction::Insert { cells } => (cells, Vec::new(), Vec::new()),
        RowAction::Update { cells, reset } => (cells, reset.clone(), standing(conn, table, &key)?),
        _ => return Err(Error::state("a row that writes no value was refused for uniqueness")),
    };
    let told = cells.iter().filter_map(|at| change.cells.get(*at)).filter_map(|cell| {
        let id = plan.columns.get(cell.column).copied().flatten()?;
        Some((table.column_name(id)?.to_owned(), cell.value.clone()))
    });
    let told: Vec<(String, Value)> = told.collect();
    let reset: Vec<&str> = reset.iter().filter_map(|id| table.column_name(*id)).collect();
    columns.retain(|(name, _)| !reset.contains(&name.as_str()) && !told.iter().any(|(own, _)| own == name));
    columns.extend(told);
    Ok(Merged { key, columns })
}

/// What stands in a row now, the key left out.
///
/// # Errors
/// The database failed, or the row holds text that is not UTF-8.
pub fn standing(conn: &Connection, table: &Table, key: &[Value]) -> Result<Vec<(String, Value)>> {
    let names: Vec<&str> = table.schema.columns.iter().map(|column| column.name.as_str()).collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE {}",
        quote::list(names.iter().copied()),
        table.rows(),
        table.info.key_condition()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        let cells = names.iter().enumerate().map(|(at, name)| {
            Ok(value::from_sql(row.get_ref(at)?).ok().map(|value| ((*name).to_owned(), value)))
        });
        cells.collect::<rusqlite::Result<Option<Vec<_>>>>()
    };
    let found = statement.query_row(params_from_iter(key.iter().map(Bound)), read).optional()?;
    match found {
        None => Ok(Vec::new()),
        Some(Some(columns)) => Ok(columns),
        Some(None) => Err(Error::state(format!(
            "a row of table {} holds text that is not UTF-8: store it as a BLOB",
            table.schema.name
        ))),
    }
}
