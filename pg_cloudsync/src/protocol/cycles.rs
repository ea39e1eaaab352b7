//! Rows that refer to one another in a circle, by foreign keys that are checked at once: each would have to
//! be written before the others. They are written without their references first, and then whole.

use std::collections::{HashMap, HashSet};

use cloudsync_shared::change::{ChangeBatch, TableChanges};
use cloudsync_shared::flow::Present;
use cloudsync_shared::id::ColumnId;
use cloudsync_shared::key::Key;
use cloudsync_shared::port::RowOutcome;

use super::push::{Outcomes, merge};
use super::spi::{Arg, Mode, query};
use super::store::PgStore;
use super::table::Table;
use crate::error::PgError;
use crate::ffi::subxact::in_subtransaction;

/// How many rows one push may have written again because some reference led nowhere; beyond this the rows
/// stay refused. The rows at fault are found in rounds, each of which leaves some out.
const MAX_REPEATED_ROWS: usize = 1 << 17;

/// The columns of foreign keys that may be NULL, by table.
type References = HashMap<String, Vec<ColumnId>>;

/// Writes `open`, rows that were refused because a row that they refer to was missing, as far as they stand
/// together. Of those that do not, the refusals in `outcomes` remain.
///
/// # Errors
/// The database failed, or the whole must be tried again.
pub(super) fn close(
    store: &mut PgStore<'_>,
    mut open: ChangeBatch,
    present: Present,
    outcomes: &mut Outcomes,
) -> Result<(), PgError> {
    let references = nullable_references(store.tables)?;
    let mut left = MAX_REPEATED_ROWS;
    while open.row_count() > 0 {
        let Some(rest) = left.checked_sub(open.row_count()) else { return Ok(()) };
        left = rest;
        let Some(mut bare) = without_references(&open, store.tables, &references) else { return Ok(()) };
        let before = store.notes();
        let mut round = Outcomes::default();
        let mut refused = HashSet::new();
        let done = in_subtransaction(|| {
            merge(store, &mut bare, present, &mut Outcomes::default())?;
            merge(store, &mut open, present, &mut round)?;
            refused = refused_rows(&round);
            if refused.is_empty() { Ok(()) } else { Err(PgError::internal("cloudsync: a row did not stand")) }
        });
        if !refused.is_empty() {
            store.restore_notes(before);
            leave_out(&mut open, &refused);
            continue;
        }
        done?;
        for (table, rows) in round.rows {
            outcomes.rows.entry(table).or_default().extend(rows);
        }
        return Ok(());
    }
    Ok(())
}

/// The rows without what they refer to; `None` if they refer to nothing that may be NULL.
fn without_references(open: &ChangeBatch, tables: &[Table], references: &References) -> Option<ChangeBatch> {
    let mut is_changed = false;
    let mut bare = open.clone();
    for changes in &mut bare.tables {
        let Some(table) = tables.iter().find(|table| table.schema.name == changes.table) else { continue };
        let Some(columns) = references.get(&changes.table) else { continue };
        let is_reference =
            |name: &String| table.schema.column(name).is_some_and(|column| columns.contains(&column.id));
        let out: Vec<bool> = changes.columns.iter().map(is_reference).collect();
        for row in &mut changes.rows {
            let before = row.cells.len();
            row.cells.retain(|cell| !out.get(cell.column).copied().unwrap_or_default());
            is_changed |= row.cells.len() < before;
        }
    }
    is_changed.then_some(bare)
}

fn refused_rows(outcomes: &Outcomes) -> HashSet<(String, Key)> {
    let rows = outcomes.rows.iter().flat_map(|(table, rows)| rows.iter().map(move |row| (table, row)));
    let refused = rows.filter(|(_, (_, outcome))| matches!(outcome, RowOutcome::Refused(_)));
    refused.map(|(table, (key, _))| (table.clone(), key.clone())).collect()
}

fn leave_out(open: &mut ChangeBatch, refused: &HashSet<(String, Key)>) {
    for TableChanges { table, rows, .. } in &mut open.tables {
        rows.retain(|row| !refused.contains(&(table.clone(), row.key.clone())));
    }
    open.tables.retain(|table| !table.rows.is_empty());
}

fn nullable_references(tables: &[Table]) -> Result<References, PgError> {
    let oids = tables.iter().map(|table| table.oid).collect();
    let found = query(Mode::Write, NULLABLE_REFERENCES, vec![Arg::Longs(oids)], |row| {
        Ok((row.known_long(1)?, row.known_long(2)?))
    })?;
    let mut references = References::new();
    for (oid, number) in found {
        let table = tables.iter().find(|table| table.oid == oid);
        if let (Some(table), Ok(id)) = (table, u16::try_from(number)) {
            references.entry(table.schema.name.clone()).or_default().push(ColumnId(id));
        }
    }
    Ok(references)
}

/// Table and number of each column of a foreign key of the tables `$1` that may be NULL.
const NULLABLE_REFERENCES: &str = r"
SELECT CAST(c.conrelid AS pg_catalog.int8), CAST(a.attnum AS pg_catalog.int8)
FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_attribute a
    ON a.attrelid OPERATOR(pg_catalog.=) c.conrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (c.conkey)
WHERE c.contype OPERATOR(pg_catalog.=) 'f' AND NOT a.attnotnull
    AND c.conrelid OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.oid[]))";
