//! The one thin driver: a batch of changes into a store.

use crate::change::ChangeBatch;
use crate::error::Error;
use crate::hlc::{Millis, Version};
use crate::key::Key;
use crate::merge::plan_table;
use crate::port::{RowOutcome, Store};

/// The receiver's time, and how far ahead of it a version may be.
#[derive(Clone, Copy, Debug)]
pub struct Present {
    /// The receiver's wall clock.
    pub now: Millis,
    /// How far ahead of it a version may be.
    pub max_drift: Millis,
}

/// What became of one table's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableOutcome {
    /// The receiver does not sync a table of that name.
    UnknownTable,
    /// One outcome for each row, in the order sent.
    Rows(Vec<RowOutcome>),
}

/// Merges a batch into a store, table by table: read clocks, plan, apply. The caller holds a
/// transaction around it.
///
/// The outcome has one entry for each table of the batch, in order.
///
/// # Errors
/// A version is too far ahead of the present (nothing was written), or the store failed.
pub fn merge_batch<S: Store>(
    store: &mut S,
    batch: &mut ChangeBatch,
    present: Present,
) -> Result<Vec<TableOutcome>, S::Error> {
    check_drift(batch, present)?;
    let mut outcomes = Vec::with_capacity(batch.tables.len());
    for changes in &mut batch.tables {
        let Some(schema) = store.schema(&changes.table)? else {
            outcomes.push(TableOutcome::UnknownTable);
            continue;
        };
        changes.fold();
        for row in &changes.rows {
            row.key.decode(schema.key.len())?;
        }
        let keys: Vec<&Key> = changes.rows.iter().map(|row| &row.key).collect();
        let clocks = store.clocks(&schema, &keys)?;
        let plan = plan_table(&schema, changes, clocks)?;
        outcomes.push(TableOutcome::Rows(store.apply(&plan)?));
    }
    store.observe(batch.highest())?;
    Ok(outcomes)
}

/// Checks that a payload, which tells of writes only, tells none with the version that stands for "never
/// written": such a value could not be told from a column's default, and would not be passed on.
///
/// # Errors
/// One is.
pub fn check_written(batch: &ChangeBatch) -> Result<(), Error> {
    for table in &batch.tables {
        for row in &table.rows {
            let is_never = |version| version == Version::NEVER;
            let cell = row.cells.iter().any(|cell| is_never(cell.stamp.version));
            if cell || (row.cells.is_empty() && is_never(row.life.version)) {
                return Err(Error::invalid_input(format!(
                    "a change of table {} has version 0, which no write has",
                    table.table
                )));
            }
        }
    }
    Ok(())
}

/// Checks that no version of a batch is too far ahead of the present.
///
/// # Errors
/// One is.
pub fn check_drift(batch: &ChangeBatch, present: Present) -> Result<(), Error> {
    for table in &batch.tables {
        for row in &table.rows {
            if !row.highest().is_within(present.now, present.max_drift) {
                return Err(Error::clock_ahead(format!(
                    "a change of table {} is {} ms ahead of this replica's clock, more than the {} ms allowed: \
                     set the sender's clock, or raise the bound",
                    table.table,
                    row.highest().millis().0.saturating_sub(present.now.0),
                    present.max_drift.0
                )));
            }
        }
    }
    Ok(())
}
