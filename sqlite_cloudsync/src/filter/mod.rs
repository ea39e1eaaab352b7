//! Row filters: which rows of this device take part in sync.
//!
//! The filter is an expression over a row's own columns. It is asked of rows as they stand in their table,
//! never of values on their way, so that affinities and collations count as everywhere else. A row for
//! which it is not true is told to nobody. If the clocks know no life of such a row, it is *private*: what
//! the others write under the same key is parked while it is there. The guide is `docs/filters.md`.

pub mod judge;
mod settle;
mod words;

use cloudsync_shared::key::Key;
use cloudsync_shared::port::Refusal;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, Statement, params_from_iter};

use self::judge::Presence;
use crate::error::{Error, Result};
use crate::savepoint::in_savepoint;
use crate::system::{self, SyncedTable};
use crate::table::Table;
use crate::value::Bound;
use crate::{fold, groups, quote, trigger};

/// The table setting that holds the expression.
pub const SETTING: &str = "filter";
/// The longest expression, in bytes.
pub const MAX_FILTER_BYTES: usize = 2048;
/// The code under which a row is parked that a private row stands in the way of.
pub const PRIVATE_ROW: &str = "CSF01";

/// Sets the filter of a table, or takes it away (`None`). Rows that it lets in are told to the others by
/// the next sync; rows that it shuts out and that were sent stay with the others as they are, and become
/// private with the next write here.
///
/// # Errors
/// The table is not synced, or the expression cannot be a filter.
pub fn set(conn: &Connection, name: &str, expression: Option<&str>) -> Result<()> {
    in_savepoint(conn, || {
        let synced = system::require_table(conn, name)?;
        system::lock(conn)?;
        if let Some(expression) = expression {
            check(conn, &synced.name, expression)?;
        }
        // What was written under the old filter is judged by it, unless it does not fit the table any more.
        let old_fits = check_fits(conn, &synced).is_ok();
        if old_fits {
            fold::fold(conn)?;
        }
        let value = expression.map_or(SqlValue::Null, |text| SqlValue::Text(text.to_owned()));
        system::set_table_setting(conn, &synced.name, "*", SETTING, &value)?;
        if !old_fits {
            fold::fold(conn)?;
        }
        let table = Table::require(conn, &synced.name)?;
        trigger::rebuild(conn, &table)?;
        settle::settle(conn, &table, synced.filter.is_some())?;
        system::remember_schema(conn)
    })
}

/// Checks that an expression can be the filter of a table: SQLite itself is asked, by preparing (not
/// running) a partial index, which takes what a filter may be: no subquery, no parameter, no other table,
/// and deterministic functions only.
fn check(conn: &Connection, table: &str, expression: &str) -> Result<()> {
    let refuse = |reason: &str| {
        Error::state(format!(
            "the filter of table {table} must be one SQL expression over the row's own columns, without \
             subqueries, parameters, the present time and other functions that are not deterministic: {reason}"
        ))
    };
    if expression.len() > MAX_FILTER_BYTES {
        return Err(refuse(&format!("it is longer than {MAX_FILTER_BYTES} bytes")));
    }
    let info = crate::catalog::describe(conn, table)?
        .ok_or_else(|| Error::state(format!("table {table} does not exist")))?;
    let columns: Vec<&str> =
        info.key.iter().chain(&info.columns).map(|column| column.name.as_str()).collect();
    if let Some(reason) = words::objection(expression, &columns) {
        return Err(refuse(&reason));
    }
    let key = columns.first().copied().unwrap_or_default();
    let index = format!(
        "CREATE INDEX main.\"cloudsync filter check\" ON {}({}) WHERE ({expression})",
        quote::ident(&info.name),
        quote::ident(key)
    );
    let select = format!("SELECT ({expression}) FROM {}", quote::main(&info.name));
    for sql in [index, select] {
        conn.prepare(&sql).map_err(|error| refuse(&error.to_string()))?;
    }
    Ok(())
}

/// Checks that a table's filter still fits the table, whose columns may have been renamed since.
///
/// # Errors
/// It does not; the message says what to do.
pub fn check_fits(conn: &Connection, synced: &SyncedTable) -> Result<()> {
    let Some(filter) = &synced.filter else { return Ok(()) };
    if crate::catalog::describe(conn, &synced.name)?.is_none() {
        return Ok(());
    }
    check(conn, &synced.name, filter).map_err(|error| {
        Error::state(format!(
            "table {0} has changed and its filter ({filter}) does not fit it any more: call cloudsync_set_filter('{0}', …) \
             or cloudsync_clear_filter('{0}'); nothing is synced until then ({error})",
            synced.name
        ))
    })
}

impl Table {
    /// ` AND (…)` with the filter, to be added to a condition on rows of the table; nothing without one.
    pub fn and_filter(&self) -> String {
        self.synced.filter.as_ref().map_or(String::new(), |filter| format!(" AND ({filter})"))
    }

    /// The filter as an expression that is 1 or 0.
    pub fn filter_value(&self) -> String {
        let filter = self.synced.filter.as_deref().unwrap_or("1");
        format!("CASE WHEN ({filter}) THEN 1 ELSE 0 END")
    }
}

/// Asks how rows of one table stand.
pub struct Look<'a> {
    table: &'a Table,
    statement: Statement<'a>,
}

impl<'a> Look<'a> {
    /// For a table with a filter; `None` for the others.
    ///
    /// # Errors
    /// The filter does not fit the table.
    pub fn new(conn: &'a Connection, table: &'a Table) -> Result<Option<Look<'a>>> {
        if table.synced.filter.is_none() {
            return Ok(None);
        }
        let (value, rows) = (table.filter_value(), table.rows());
        let sql = format!("SELECT {value} FROM {rows} WHERE {}", table.info.key_condition());
        Ok(Some(Look { table, statement: conn.prepare(&sql)? }))
    }

    /// How the row of a key stands now.
    ///
    /// # Errors
    /// The filter failed, or the database.
    pub fn at(&mut self, key: &Key) -> Result<Presence> {
        let values = self.table.key_values(key)?;
        let found: Option<bool> = self
            .statement
            .query_row(params_from_iter(values.iter().map(Bound)), |row| row.get(0))
            .optional()?;
        Ok(match found {
            Some(true) => Presence::Shared,
            Some(false) => Presence::Private,
            None => Presence::Absent,
        })
    }
}

/// Makes a row private whose clock is alive: nobody hears of it any more, or writes it.
///
/// # Errors
/// The database failed.
pub fn forget_clock(conn: &Connection, table: &Table, key: &Key) -> Result<()> {
    conn.prepare_cached(&format!("DELETE FROM {} WHERE key = ?1", table.clocks()))?.execute([&key.0])?;
    groups::leave(conn, table, key)
}

/// Why a row of the others cannot be written: a private row has its key.
pub fn in_the_way(table: &Table) -> Refusal {
    Refusal {
        sqlstate: PRIVATE_ROW.to_owned(),
        message: format!(
            "filter: a row of this device that the filter of table {} keeps private has the same key",
            table.synced.name
        ),
    }
}
