//! A table's share of a batch: changes and clocks in, a plan out that an engine carries out in sets.

use crate::change::TableChanges;
use crate::clock::RowClock;
use crate::error::{Error, Result};
use crate::id::{ColumnId, SiteId};
use crate::merge::row::{RowAction, decide_row};
use crate::schema::{Algorithm, TableSchema};

/// What to do with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRow {
    /// The index of its change in [`TableChanges::rows`].
    pub index: usize,
    /// What to do with the row itself.
    pub action: RowAction,
    /// The clock on which the decision rests. An engine that finds another one when it writes must
    /// not write, but decide again.
    pub before: Option<RowClock<SiteId>>,
    /// The clock to store.
    pub after: RowClock<SiteId>,
}

/// What to do with one table. No row occurs twice.
#[derive(Clone, Debug)]
pub struct TablePlan<'a> {
    /// The table as this replica has it.
    pub schema: &'a TableSchema,
    /// The changes that the plan is about.
    pub changes: &'a TableChanges,
    /// For each of the changes' columns this replica's column, if it has one.
    pub columns: Vec<Option<ColumnId>>,
    /// One entry for each change, in the order of [`TableChanges::rows`].
    pub rows: Vec<PlannedRow>,
}

/// Plans one table. `clocks` holds one entry for each row of `changes`, in order.
///
/// # Errors
/// A row of a grow-only table is told to be deleted, or `clocks` has the wrong length.
pub fn plan_table<'a>(
    schema: &'a TableSchema,
    changes: &'a TableChanges,
    clocks: Vec<Option<RowClock<SiteId>>>,
) -> Result<TablePlan<'a>> {
    if clocks.len() != changes.rows.len() {
        return Err(Error::invalid_input("the number of clocks is not the number of changes"));
    }
    check_algorithm(schema, changes)?;
    let columns = columns_here(schema, changes);
    let mut rows = Vec::with_capacity(changes.rows.len());
    for ((index, change), before) in changes.rows.iter().enumerate().zip(clocks) {
        if schema.algorithm == Algorithm::Gos && change.length.0 != 1 {
            return Err(Error::schema_mismatch(format!(
                "table {} is grow-only here (algorithm gos), but a deleted row was received",
                schema.name
            )));
        }
        let decision = decide_row(schema, &columns, before.as_ref(), change);
        rows.push(PlannedRow { index, action: decision.action, before, after: decision.clock });
    }
    Ok(TablePlan { schema, changes, columns, rows })
}

/// For each of the changes' columns this replica's column, if it has one.
pub fn columns_here(schema: &TableSchema, changes: &TableChanges) -> Vec<Option<ColumnId>> {
    changes.columns.iter().map(|name| schema.column(name).map(|column| column.id)).collect()
}

fn check_algorithm(schema: &TableSchema, changes: &TableChanges) -> Result<()> {
    match changes.algorithm {
        Some(told) if told != schema.algorithm => Err(Error::schema_mismatch(format!(
            "table {} is synced with algorithm {} there and with {} here: call cloudsync_init with the same \
             algorithm on both sides",
            schema.name,
            told.name(),
            schema.algorithm.name()
        ))),
        _ => Ok(()),
    }
}
