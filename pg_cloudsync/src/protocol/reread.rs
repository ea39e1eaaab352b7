//! What the database made of a row: columns that it stored otherwise than they were pushed.

use cloudsync_shared::id::ColumnId;
use cloudsync_shared::merge::RowAction;
use cloudsync_shared::value::Value;

use super::item::{Item, Work};
use super::rows::visible_values;
use super::spi::Mode;
use super::table::TableColumn;
use crate::error::PgError;

/// The values of rows before they were written, where a trigger may change more than was pushed.
pub(super) struct Before(Vec<Option<Vec<Value>>>);

/// Reads the rows that are about to be updated, if triggers see them first or `look_at_all`.
///
/// # Errors
/// The table cannot be read.
pub(super) fn read_before(work: &Work<'_>, items: &[Item<'_>], look_at_all: bool) -> Result<Before, PgError> {
    let mut before: Vec<Option<Vec<Value>>> = items.iter().map(|_| None).collect();
    if !(look_at_all || work.table.has_before_triggers) || !work.table.can_select() {
        return Ok(Before(before));
    }
    let places: Vec<usize> = (0..items.len())
        .filter(|at| matches!(items.get(*at).map(|item| &item.action), Some(RowAction::Update { .. })))
        .collect();
    for (index, values) in read(work, items, &places)? {
        if let Some(place) = places.get(index).and_then(|at| before.get_mut(*at)) {
            *place = Some(values);
        }
    }
    Ok(Before(before))
}

/// For each item the columns whose stored value the device does not know. Rows that the caller may
/// not see are not looked at: the device does not keep them.
///
/// # Errors
/// The table cannot be read.
pub(super) fn differing(
    work: &Work<'_>,
    items: &[Item<'_>],
    before: &Before,
    look_at_all: bool,
) -> Result<Vec<Vec<ColumnId>>, PgError> {
    let mut differing: Vec<Vec<ColumnId>> = items.iter().map(|_| Vec::new()).collect();
    if !work.table.can_select() {
        return Ok(differing);
    }
    let look_at_all = look_at_all || work.table.has_before_triggers;
    let places: Vec<usize> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| matches!(item.action, RowAction::Insert { .. } | RowAction::Update { .. }))
        .filter(|(_, item)| look_at_all || !keeps_all(work, item))
        .map(|(at, _)| at)
        .collect();
    let columns: Vec<&TableColumn> = work.table.readable().collect();
    for (index, stored) in read(work, items, &places)? {
        let Some((at, item)) = places.get(index).and_then(|at| Some((*at, items.get(*at)?))) else { continue };
        let cells = item.cells(work);
        let old = before.0.get(at).and_then(Option::as_ref);
        let found = columns.iter().zip(&stored).enumerate().filter(|(place, (column, value))| {
            match cells.binary_search_by_key(&column.id, |(id, _)| *id) {
                Ok(cell) => cells.get(cell).is_some_and(|(_, sent)| sent != value),
                Err(_) => old.and_then(|old| old.get(*place)).is_some_and(|old| old != *value),
            }
        });
        if let Some(place) = differing.get_mut(at) {
            *place = found.map(|(_, (column, _))| column.id).collect();
        }
    }
    Ok(differing)
}

fn keeps_all(work: &Work<'_>, item: &Item<'_>) -> bool {
    let cells = item.cells(work);
    cells.iter().all(|(id, value)| work.table.column(*id).is_some_and(|column| column.kind.keeps(value)))
}

fn read(work: &Work<'_>, items: &[Item<'_>], places: &[usize]) -> Result<Vec<(usize, Vec<Value>)>, PgError> {
    let keys: Vec<&[Value]> =
        places.iter().filter_map(|at| items.get(*at)).map(|item| item.keys.as_slice()).collect();
    let columns: Vec<&TableColumn> = work.table.readable().collect();
    visible_values(Mode::Write, work.table, &keys, &columns)
}
