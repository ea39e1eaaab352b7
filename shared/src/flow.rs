//! The one thin driver: a batch of changes into a store.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::change::{ChangeBatch, RowChange, TableChanges};
use crate::clock::RowClock;
use crate::error::Error;
use crate::hlc::{Millis, Version};
use crate::id::{ColumnId, SiteId};
use crate::key::Key;
use crate::merge::{StoredText, columns_here, plan_table, resolve_texts};
use crate::port::{Refusal, RowOutcome, Store};
use crate::schema::TableSchema;

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
        let misfits = take_misfits(&schema, changes);
        let keys: Vec<&Key> = changes.rows.iter().map(|row| &row.key).collect();
        let clocks = store.clocks(&schema, &keys)?;
        resolve(store, &schema, changes, &clocks)?;
        let plan = plan_table(&schema, changes, clocks)?;
        let rows = store.apply(&plan)?;
        outcomes.push(TableOutcome::Rows(put_back(changes, rows, misfits)));
    }
    store.observe(batch.highest())?;
    Ok(outcomes)
}

/// Merges the lines of texts, for all rows with what stands in one read.
fn resolve<S: Store>(
    store: &mut S,
    schema: &TableSchema,
    changes: &mut TableChanges,
    clocks: &[Option<RowClock<SiteId>>],
) -> Result<(), S::Error> {
    if schema.texts.is_empty() && changes.rows.iter().all(|row| row.texts.is_empty()) {
        return Ok(());
    }
    let columns = columns_here(schema, changes);
    let by_lines = |row: &RowChange| -> Vec<ColumnId> {
        let told = row.cells.iter().filter(|cell| {
            let here = columns.get(cell.column).copied().flatten();
            here.is_some_and(|id| schema.delimiter(id).is_some()) || row.text(cell.column).is_some()
        });
        told.filter_map(|cell| columns.get(cell.column).copied().flatten()).collect()
    };
    let wanted: Vec<(usize, ColumnId)> = changes
        .rows
        .iter()
        .enumerate()
        .filter(|(at, _)| clocks.get(*at).is_some_and(Option::is_some))
        .flat_map(|(at, row)| by_lines(row).into_iter().map(move |column| (at, column)))
        .collect();
    let cells: Vec<(&Key, ColumnId)> =
        wanted.iter().filter_map(|(at, column)| Some((&changes.rows.get(*at)?.key, *column))).collect();
    let stored = store.texts(schema, &cells)?;
    let mut found: HashMap<(usize, ColumnId), StoredText> =
        wanted.into_iter().zip(stored).filter_map(|(cell, stored)| Some((cell, stored?))).collect();
    for ((at, row), clock) in changes.rows.iter_mut().enumerate().zip(clocks) {
        let found = RefCell::new(&mut found);
        let stored = |column| found.borrow_mut().remove(&(at, column));
        resolve_texts(schema, &columns, clock.as_ref(), row, stored)?;
    }
    Ok(())
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

/// The SQLSTATE of a key that is not one of the table's.
const KEY_MISFIT: &str = "22P02";

/// A row that was taken out, its place, and why.
type Misfit = (usize, RowChange, Refusal);

/// Takes out the rows whose keys are not keys of this table: the sender's table has another primary key.
/// They are refused one by one, for the rest of the batch has nothing to do with them.
fn take_misfits(schema: &TableSchema, changes: &mut TableChanges) -> Vec<Misfit> {
    let is_misfit = |row: &RowChange| row.key.decode(schema.key.len()).is_err();
    if !changes.rows.iter().any(is_misfit) {
        return Vec::new();
    }
    let rows = std::mem::take(&mut changes.rows);
    let mut misfits = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        match row.key.decode(schema.key.len()) {
            Ok(_) => changes.rows.push(row),
            Err(error) => {
                let message = format!(
                    "the key of a row does not fit table {}, whose primary key is ({}): {error}",
                    schema.name,
                    schema.key.join(", ")
                );
                misfits.push((at, row, Refusal { sqlstate: KEY_MISFIT.to_owned(), message }));
            }
        }
    }
    misfits
}

/// Puts rows back into their places, refused.
fn put_back(changes: &mut TableChanges, outcomes: Vec<RowOutcome>, misfits: Vec<Misfit>) -> Vec<RowOutcome> {
    if misfits.is_empty() {
        return outcomes;
    }
    let count = outcomes.len() + misfits.len();
    let mut rest = std::mem::take(&mut changes.rows).into_iter().zip(outcomes);
    let mut misfits = misfits.into_iter().peekable();
    let mut all = Vec::with_capacity(count);
    for place in 0..count {
        let next = match misfits.next_if(|(at, ..)| *at == place) {
            Some((_, row, refusal)) => Some((row, RowOutcome::Refused(refusal))),
            None => rest.next(),
        };
        if let Some((row, outcome)) = next {
            changes.rows.push(row);
            all.push(outcome);
        }
    }
    all
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
