//! What a caller sees of a table, found from the table's side: policies with an index lead to the few
//! rows of one user among the many of others.

use cloudsync_shared::value::Value;
use roaring::RoaringTreemap;

use super::rows::ids_of;
use super::spi::{Arg, Mode, query};
use super::table::Table;
use crate::error::PgError;

/// How many rows at most are found in this way. Who sees more sees so much that walking over all
/// rows wastes little.
const FEW: usize = 20_000;
/// Keys looked up in one step.
const STEP: usize = 5_000;

/// The ids of all rows of a table that the caller may see, if they are few.
///
/// # Errors
/// A policy failed, or the table cannot be read.
pub(super) fn few_visible(mode: Mode, table: &Table) -> Result<Option<RoaringTreemap>, PgError> {
    if !table.hides_rows() {
        return Ok(None);
    }
    let outputs: Vec<String> =
        table.keys.iter().map(|key| key.kind.output(&format!("t.{}", key.quoted))).collect();
    let (outputs, from) = (outputs.join(", "), &table.relation);
    let sql = format!("SELECT {outputs} FROM {from} AS t{} LIMIT $1", table.where_shared());
    let limit = i64::try_from(FEW).unwrap_or(i64::MAX).saturating_add(1);
    let keys: Vec<Vec<Value>> = query(mode, &sql, vec![Arg::Long(limit)], |row| {
        table.keys.iter().enumerate().map(|(at, key)| key.kind.read(row, at + 1)).collect()
    })?;
    if keys.len() > FEW {
        return Ok(None);
    }
    let mut ids = RoaringTreemap::new();
    for step in keys.chunks(STEP) {
        let keys: Vec<&[Value]> = step.iter().map(Vec::as_slice).collect();
        ids.extend(ids_of(mode, table, &keys)?);
    }
    Ok(Some(ids))
}
