//! Living rows that the caller may not see: what is answered for them tells no more than plain SQL would.

use cloudsync_shared::merge::RowAction;
use cloudsync_shared::port::RowOutcome;
use cloudsync_shared::value::Value;

use super::item::{Item, Work};
use super::refuse::no_right;
use super::rows::visible_values;
use super::sites::SiteNames;
use super::spi::Mode;
use crate::error::PgError;

/// Finds out which living rows the caller may see, where that is not known yet.
///
/// # Errors
/// A policy failed.
pub(super) fn look(work: &Work<'_>, items: &mut [Item<'_>]) -> Result<(), PgError> {
    let mut unsure: Vec<&mut Item<'_>> =
        items.iter_mut().filter(|item| item.is_alive() && item.seen.is_none()).collect();
    if !work.table.can_select() || !work.table.hides_rows() {
        unsure.iter_mut().for_each(|item| item.seen = Some(work.table.can_select()));
        return Ok(());
    }
    unsure.iter_mut().for_each(|item| item.seen = Some(item.locked));
    let mut unlocked: Vec<&mut Item<'_>> = unsure.into_iter().filter(|item| !item.locked).collect();
    let keys: Vec<&[Value]> = unlocked.iter().map(|item| item.keys.as_slice()).collect();
    for (index, _) in visible_values(Mode::Write, work.table, &keys, &[])? {
        if let Some(item) = unlocked.get_mut(index) {
            item.seen = Some(true);
        }
    }
    Ok(())
}

/// Turns what is told of a hidden row into the insert that plain SQL would take it for: PostgreSQL refuses
/// it, by a policy as it would if there were no such row, or because the key is taken. Those who name the
/// row's id knew it, and those who wrote it know it still: they are answered as before.
pub(super) fn disguise(work: &Work<'_>, sites: &SiteNames, item: &mut Item<'_>) {
    if !item.is_hidden() || item.names_row() || !item.change.length.is_alive() {
        return;
    }
    if item.action == RowAction::Nothing && is_pushers_own(sites, item) {
        return;
    }
    let is_column = |at: &usize| {
        let column = item.change.cells.get(*at).and_then(|cell| work.columns.get(cell.column));
        column.copied().flatten().is_some_and(|id| work.table.column(id).is_some())
    };
    item.action = RowAction::Insert { cells: (0..item.change.cells.len()).filter(is_column).collect() };
}

/// What is answered for a row of which nothing is written; `None` if something is to be.
pub(super) fn answer(work: &Work<'_>, sites: &SiteNames, item: &Item<'_>) -> Option<RowOutcome> {
    if item.is_hidden() && !item.names_row() && !item.change.length.is_alive() {
        // As for a key that was never there: plain SQL deletes nothing, and says nothing.
        return Some(RowOutcome::Dead);
    }
    if item.action != RowAction::Nothing {
        return None;
    }
    let Some(row_id) = item.row_id().filter(|_| item.is_alive()) else { return Some(RowOutcome::Dead) };
    if item.is_hidden() && !is_pushers_own(sites, item) {
        return Some(RowOutcome::Refused(no_right(&work.table.relation)));
    }
    Some(RowOutcome::Kept(Some(row_id)))
}

/// Whether the row's life began with the very insert that is pushed: its reply was lost.
fn is_pushers_own(sites: &SiteNames, item: &Item<'_>) -> bool {
    sites.is_pushers(item.change.life) && item.after.life == item.change.life
}
