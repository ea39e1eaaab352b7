//! The one thin driver: a batch of changes into a store.

use crate::change::{ChangeBatch, RowChange, TableChanges};
use crate::error::Error;
use crate::hlc::Millis;
use crate::key::Key;
use crate::merge::plan_table;
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
        let plan = plan_table(&schema, changes, clocks)?;
        let rows = store.apply(&plan)?;
        outcomes.push(TableOutcome::Rows(put_back(changes, rows, misfits)));
    }
    store.observe(batch.highest())?;
    Ok(outcomes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::hlc::Version;
    use crate::id::{CausalLength, SiteId};
    use crate::schema::Algorithm;
    use crate::value::Value;

    fn row(key: &[Value]) -> RowChange {
        RowChange {
            row_id: None,
            key: Key::encode(key).unwrap(),
            length: CausalLength::FIRST,
            life: Stamp { version: Version::NEVER, site: SiteId::NIL },
            cells: Vec::new(),
            past: Default::default(),
        }
    }

    #[test]
    fn keys_of_another_table_are_refused_in_their_places() {
        let (one, two) = (Value::Integer(1), Value::Integer(2));
        let fits = |number: &Value| vec![number.clone(), Value::Integer(7)];
        let rows = vec![row(std::slice::from_ref(&one)), row(&fits(&one)), row(&fits(&two)), row(&[two])];
        let mut changes =
            TableChanges { table: "t".into(), algorithm: None, columns: Vec::new(), rows: rows.clone() };
        let schema = TableSchema {
            name: "t".into(),
            algorithm: Algorithm::Cls,
            key: vec!["a".into(), "b".into()],
            columns: Vec::new(),
        };
        let misfits = take_misfits(&schema, &mut changes);
        assert_eq!(changes.rows, rows[1..3]);
        let outcomes = put_back(&mut changes, vec![RowOutcome::Kept(None), RowOutcome::Dead], misfits);
        assert_eq!(changes.rows, rows);
        assert!(matches!(
            outcomes.as_slice(),
            [RowOutcome::Refused(_), RowOutcome::Kept(None), RowOutcome::Dead, RowOutcome::Refused(_)]
        ));
    }
}
