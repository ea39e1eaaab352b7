//! Locks on base rows, taken in key order before clocks are read for good.

use cloudsync_shared::merge::RowAction;
use cloudsync_shared::value::Value;

use super::item::Item;
use super::set::{Set, base_join};
use super::spi::{Mode, query};
use super::table::Table;
use crate::error::PgError;

/// Locks the rows that the caller may update; answers the indexes of those items.
///
/// # Errors
/// A policy failed, or a lock could not be had.
pub(super) fn lock_rows(table: &Table, items: &[&Item<'_>]) -> Result<Vec<usize>, PgError> {
    let mut set = Set::default();
    let keys: Vec<&[Value]> = items.iter().map(|item| item.keys.as_slice()).collect();
    set.push_keys(&table.keys, &keys)?;
    let deletes = items.iter().any(|item| item.action == RowAction::Delete);
    let order: Vec<String> = table.keys.iter().map(|key| format!("t.{}", key.quoted)).collect();
    let sql = format!(
        "SELECT u.ord FROM {} JOIN {} AS t ON {}{} ORDER BY {} FOR {} OF t",
        set.as_from_item(),
        table.relation,
        base_join(&table.keys),
        table.where_shared(),
        order.join(", "),
        if deletes { "UPDATE" } else { "NO KEY UPDATE" }
    );
    query(Mode::Write, &sql, set.into_args(), |row| {
        Ok(usize::try_from(row.known_long(1)?).unwrap_or_default().wrapping_sub(1))
    })
}
