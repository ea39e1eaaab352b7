//! What the server knows of pushed rows: their clocks, found by key, and whether a key is one.

use std::collections::HashMap;

use cloudsync_shared::clock::RowClock;
use cloudsync_shared::id::SiteOrdinal;
use cloudsync_shared::key::Key;
use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;

use super::blame::named_refusal;
use super::refuse::is_about_the_whole;
use super::set::{Set, clock_join};
use super::spi::{Mode, query};
use super::table::{Table, TableColumn};
use super::types::{Kind, refusal};
use crate::error::PgError;
use crate::ffi::owner::AsOwner;
use crate::ffi::subxact::in_subtransaction;

/// A row's entry in the table of clocks, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// The row's id.
    pub(super) row_id: i64,
    /// The clock, byte for byte: a write demands that it still is this.
    pub(super) bytes: Vec<u8>,
    /// The same, read.
    pub(super) clock: RowClock<SiteOrdinal>,
    /// The transaction that wrote it, by the lower half of its number.
    pub(super) xmin: i64,
}

/// Reads the clocks of these keys, as committed now; one entry for each key, in order.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn read_known(table: &Table, keys: &[&[Value]]) -> Result<Vec<Option<Known>>, PgError> {
    let mut known: Vec<Option<Known>> = keys.iter().map(|_| None).collect();
    if keys.is_empty() {
        return Ok(known);
    }
    let mut set = Set::default();
    set.push_keys(&table.keys, keys)?;
    let sql = format!(
        "SELECT u.ord, c.row_id, c.clock, \
            CAST(CAST(c.xmin AS pg_catalog.text) AS pg_catalog.int8) FROM {} JOIN {} AS c ON {}",
        set.as_from_item(),
        table.clocks,
        clock_join(&table.keys)
    );
    let found = AsOwner::run(|| {
        query(Mode::Write, &sql, set.into_args(), |row| {
            let bytes = row.bytes(3)?.unwrap_or_default();
            let clock = RowClock::from_bytes(&bytes)?;
            Ok((
                row.known_long(1)?,
                Known { row_id: row.known_long(2)?, bytes, clock, xmin: row.known_long(4)? },
            ))
        })
    })?;
    for (ord, entry) in found {
        let index = usize::try_from(ord).unwrap_or_default().wrapping_sub(1);
        if let Some(place) = known.get_mut(index) {
            *place = Some(entry);
        }
    }
    Ok(known)
}

/// Finds the keys that cannot name a row here, with the reason: the type refuses a value, or would
/// write it differently, so that device and server would hold one row under two keys.
///
/// # Errors
/// The database failed.
pub(super) fn refuse_keys(
    table: &Table,
    keys: &[(Key, Vec<Value>)],
) -> Result<HashMap<Key, Refusal>, PgError> {
    let mut refused = HashMap::new();
    let mut unsure: Vec<&(Key, Vec<Value>)> = Vec::new();
    for entry in keys {
        let mut needs_look = false;
        for (column, value) in table.keys.iter().zip(&entry.1) {
            match judge(column, value) {
                Judgement::Fits => {}
                Judgement::Look => needs_look = true,
                Judgement::Refused(reason) => {
                    refused.insert(entry.0.clone(), reason);
                }
            }
        }
        if needs_look && !refused.contains_key(&entry.0) {
            unsure.push(entry);
        }
    }
    let mut stack = if unsure.is_empty() { Vec::new() } else { vec![unsure] };
    while let Some(batch) = stack.pop() {
        match in_subtransaction(|| differently_written(table, &batch)) {
            Ok(indexes) => {
                for (key, _) in indexes.into_iter().filter_map(|index| batch.get(index)) {
                    refused.insert(key.clone(), written_differently(table));
                }
            }
            Err(error) if is_about_the_whole(&error) => return Err(error),
            Err(error) => match batch.as_slice() {
                [(key, values)] => {
                    refused.insert(key.clone(), named_refusal(table, table.keys.iter().zip(values), error));
                }
                _ => {
                    let (left, right) = batch.split_at(batch.len() / 2);
                    stack.extend([right.to_vec(), left.to_vec()]);
                }
            },
        }
    }
    Ok(refused)
}

enum Judgement {
    Fits,
    Look,
    Refused(Refusal),
}

fn judge(column: &TableColumn, value: &Value) -> Judgement {
    if let Err(reason) = column.kind.write(value, &column.name) {
        return Judgement::Refused(reason);
    }
    if column.kind.keeps(value) {
        return if column.kind.cast_may_fail() { Judgement::Look } else { Judgement::Fits };
    }
    match (column.kind.kind, value) {
        (kind, Value::Text(_)) if kind.is_printed() => Judgement::Look,
        (Kind::Single, Value::Real(_)) => Judgement::Fits,
        _ => Judgement::Refused(refusal(
            "22P02",
            format!(
                "key column {} is of type {}: the key is not written as that type writes it",
                column.name, column.kind.name
            ),
        )),
    }
}

fn written_differently(table: &Table) -> Refusal {
    refusal(
        "22P02",
        format!("the key of a row of table {} is not written as its type writes it", table.relation),
    )
}

fn differently_written(table: &Table, batch: &[&(Key, Vec<Value>)]) -> Result<Vec<usize>, PgError> {
    let keys: Vec<&[Value]> = batch.iter().map(|(_, values)| values.as_slice()).collect();
    let mut set = Set::default();
    set.push_keys(&table.keys, &keys)?;
    let looked_at = |key: &TableColumn| key.kind.kind.is_printed() || key.kind.cast_may_fail();
    let printed = table.keys.iter().enumerate().filter(|(_, key)| looked_at(key));
    let differs = printed.map(|(at, key)| {
        let element = format!("u.k{}", at + 1);
        format!("{} IS DISTINCT FROM {element}", key.kind.output(&key.kind.fitted_input(&element)))
    });
    let differs: Vec<String> = differs.collect();
    let sql = format!("SELECT u.ord FROM {} WHERE {}", set.raw("u"), differs.join(" OR "));
    query(Mode::Write, &sql, set.into_args(), |row| {
        Ok(usize::try_from(row.known_long(1)?).unwrap_or_default().wrapping_sub(1))
    })
}
