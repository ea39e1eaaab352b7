//! What a device wrote: merged as the caller, row by row accepted or refused.

use std::collections::{HashMap, HashSet};

use cloudsync_shared::change::{ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::flow::{Present, TableOutcome, check_drift, merge_batch};
use cloudsync_shared::hlc::DEFAULT_MAX_DRIFT;
use cloudsync_shared::id::SiteOrdinal;
use cloudsync_shared::key::Key;
use cloudsync_shared::message::{PushReply, PushRequest, RowResult};
use cloudsync_shared::port::{Refusal, RowOutcome};
use cloudsync_shared::value::Value;

use super::conflicts::{self, Found, KnownBases, Places};
use super::cycles;
use super::groups::{self, Groups};
use super::known::{read_known, refuse_keys};
use super::refuse::{is_about_the_whole, lacks_parent, may_heal, no_right};
use super::rows::{ClockRow, visible_changes, visible_values};
use super::sites::{SiteNames, sites_of};
use super::spi::{Mode, execute};
use super::store::PgStore;
use super::table::{Table, find_tables};
use super::told::Telling;
use crate::error::{PgError, SqlState};
use crate::ffi::subxact::in_subtransaction;
use crate::settings;

/// How many rows of one push may be tried again because another row was missing, or in their way.
const MAX_HEALED_ROWS: usize = 1 << 17;

/// The most rows in one push: bounds how long it may hold locks where each is refused alone. A device
/// sends at most 20,000.
const MAX_PUSHED_ROWS: usize = 1 << 17;

/// What became of the rows.
#[derive(Default)]
pub(super) struct Outcomes {
    /// Of each, by table name and key.
    pub(super) rows: HashMap<String, HashMap<Key, RowOutcome>>,
    /// Those that have another causal length here than the device has given them.
    renewed: HashSet<(String, Key)>,
    /// Those told under the id of a row that was collected.
    collected: HashSet<(String, Key)>,
    /// Values that lost.
    lost: Vec<Found>,
}

/// Carries out a push.
///
/// # Errors
/// The push as a whole is refused (a clock too far ahead, a malformed key), or must be tried again.
pub(super) fn push(mut request: PushRequest) -> Result<PushReply, PgError> {
    let epoch = settings::epoch()?;
    let now = settings::now();
    let present = Present { now, max_drift: DEFAULT_MAX_DRIFT };
    check_size(&request.changes)?;
    check_drift(&request.changes, present)?;
    if request.epoch != Some(epoch) {
        forget_ids(&mut request.changes);
    }
    let names: Vec<String> = request.changes.tables.iter().map(|table| table.table.clone()).collect();
    let tables = find_tables(Mode::Write, Some(&names))?;
    let sites = SiteNames::of_push(request.site, sites_of(&request.changes))?;
    let pusher = sites.ordinal(request.site)?;
    let asked: Vec<(String, Vec<Key>)> = request.changes.tables.iter().map(keys_of).collect();
    let writable: Vec<Table> = tables.iter().filter(|table| table.has_any_right()).cloned().collect();
    let groups = Groups::of(&request)?;
    let bases = KnownBases::of(&request);
    let places = Places::of(&request.changes, &bases);
    let (alive, dead) = by_life(request.changes, &writable);
    let passes = Passes { tables: &writable, present, pusher, bases: &bases, alive, dead };
    let mut outcomes = groups::run(passes, &groups, sites)?;
    take_out_of_sight(&writable, &mut outcomes)?;
    let results = results(&asked, &tables, &outcomes);
    let restored = restored(&asked, &tables, &results, &outcomes.renewed)?;
    let lost = conflicts::told(&outcomes.lost, &bases, &places);
    Ok(PushReply { epoch, server_time: settings::now(), results, restored, lost })
}

fn check_size(changes: &ChangeBatch) -> Result<(), PgError> {
    let rows = changes.row_count();
    if rows > MAX_PUSHED_ROWS {
        let message = format!("the push holds {rows} rows, more than {MAX_PUSHED_ROWS}: send fewer at once");
        return Err(PgError::new(SqlState::LIMIT_EXCEEDED, message));
    }
    Ok(())
}

/// Row ids of another life of the server name other rows, or none.
fn forget_ids(changes: &mut ChangeBatch) {
    changes.tables.iter_mut().flat_map(|table| &mut table.rows).for_each(|row| row.row_id = None);
}

pub(super) fn keys_of(table: &TableChanges) -> (String, Vec<Key>) {
    (table.table.clone(), table.rows.iter().map(|row| row.key.clone()).collect())
}

/// The living rows with parents first, and the dead ones with children first, of synced tables.
/// What the request says of one table in several places is joined.
pub(super) fn by_life(changes: ChangeBatch, tables: &[Table]) -> (ChangeBatch, ChangeBatch) {
    let mut alive = ChangeBatch::default();
    let mut dead = ChangeBatch::default();
    let mut sent: Vec<Option<TableChanges>> = changes.tables.into_iter().map(Some).collect();
    for table in tables {
        for place in &mut sent {
            let is_this = place.as_ref().is_some_and(|changes| changes.table == table.schema.name);
            let Some(mut changes) = place.take_if(|_| is_this) else { continue };
            changes.fold();
            let (living, gone): (Vec<RowChange>, Vec<RowChange>) =
                changes.rows.into_iter().partition(|row| row.length.is_alive());
            let part = |rows| TableChanges {
                rows,
                columns: changes.columns.clone(),
                table: changes.table.clone(),
                ..changes
            };
            if !living.is_empty() {
                alive.tables.push(part(living));
            }
            if !gone.is_empty() {
                dead.tables.insert(0, part(gone));
            }
        }
    }
    (alive, dead)
}

/// The order in which a push is carried out.
pub(super) struct Passes<'a> {
    /// The tables that the caller has any right on.
    pub(super) tables: &'a [Table],
    /// The server's time.
    pub(super) present: Present,
    /// The site that is not to be told of these changes.
    pub(super) pusher: SiteOrdinal,
    /// What the push tells of the values that its cells replaced.
    pub(super) bases: &'a KnownBases,
    /// The rows that live, parents first.
    pub(super) alive: ChangeBatch,
    /// The rows that are dead, children first.
    pub(super) dead: ChangeBatch,
}

impl Passes<'_> {
    /// Deferrable constraints are looked at when all is written; only if one is violated then, the
    /// whole is done again with a look after each batch, which finds the row at fault.
    ///
    /// # Errors
    /// The whole is refused, or must be tried again.
    pub(super) fn run(mut self, sites: SiteNames) -> Result<Outcomes, PgError> {
        if !self.tables.iter().any(|table| table.has_deferrable) {
            return self.write(sites, false);
        }
        let sites_again = sites.clone();
        let deferred = in_subtransaction(|| {
            execute("SET CONSTRAINTS ALL IMMEDIATE", Vec::new())?;
            execute("SET CONSTRAINTS ALL DEFERRED", Vec::new())?;
            let outcomes = self.write(sites, false)?;
            execute("SET CONSTRAINTS ALL IMMEDIATE", Vec::new())?;
            Ok(outcomes)
        });
        match deferred {
            Err(error) if !is_about_the_whole(&error) => self.write(sites_again, true),
            outcome => outcome,
        }
    }

    fn write(&mut self, sites: SiteNames, check_now: bool) -> Result<Outcomes, PgError> {
        let highest = settings::highest()?;
        let mut store = PgStore::new(self.tables, sites, self.present.now, highest, check_now, self.bases);
        let mut outcomes = Outcomes::default();
        merge(&mut store, &mut self.alive, self.present, &mut outcomes)?;
        merge(&mut store, &mut self.dead, self.present, &mut outcomes)?;
        let (mut left, mut open) = (MAX_HEALED_ROWS, usize::MAX);
        loop {
            let mut again = self.refused(&outcomes, may_heal);
            let rows = again.row_count();
            if rows == 0 || rows >= open || rows > left {
                break;
            }
            (open, left) = (rows, left - rows);
            merge(&mut store, &mut again, self.present, &mut outcomes)?;
        }
        let open = self.refused(&outcomes, lacks_parent);
        if !open.tables.is_empty() {
            cycles::close(&mut store, open, self.present, &mut outcomes)?;
        }
        store.write_log(self.pusher)?;
        outcomes.renewed = store.renewed;
        outcomes.collected = store.collected;
        outcomes.lost = store.lost;
        Ok(outcomes)
    }

    /// The rows that were refused for such a reason.
    fn refused(&self, outcomes: &Outcomes, reason: fn(&Refusal) -> bool) -> ChangeBatch {
        let mut again = ChangeBatch::default();
        for table in self.alive.tables.iter().chain(&self.dead.tables) {
            let Some(known) = outcomes.rows.get(&table.table) else { continue };
            let is_open = |row: &&RowChange| matches!(known.get(&row.key), Some(RowOutcome::Refused(refusal)) if reason(refusal));
            let rows: Vec<RowChange> = table.rows.iter().filter(is_open).cloned().collect();
            if !rows.is_empty() {
                let algorithm = table.algorithm;
                let (table, columns) = (table.table.clone(), table.columns.clone());
                again.tables.push(TableChanges { table, algorithm, columns, rows });
            }
        }
        again
    }
}

/// Merges a batch, and notes what became of its rows.
///
/// # Errors
/// As [`merge_batch`].
pub(super) fn merge(
    store: &mut PgStore<'_>,
    batch: &mut ChangeBatch,
    present: Present,
    outcomes: &mut Outcomes,
) -> Result<(), PgError> {
    // The store resolves texts itself, on what a change is admitted as.
    store.take_lines(batch);
    let merged = merge_batch(store, batch, present);
    store.give_lines_back(batch);
    let merged = merged?;
    for (table, merged) in batch.tables.iter().zip(merged) {
        let TableOutcome::Rows(rows) = merged else { continue };
        let known = outcomes.rows.entry(table.table.clone()).or_default();
        known.extend(table.rows.iter().map(|row| row.key.clone()).zip(rows));
    }
    Ok(())
}

/// A row that was accepted, but that the caller may not see, is as good as dead to the device: it should
/// not keep it, nor learn its id.
fn take_out_of_sight(tables: &[Table], outcomes: &mut Outcomes) -> Result<(), PgError> {
    for table in tables.iter().filter(|table| table.hides_rows() || !table.can_select()) {
        let Some(rows) = outcomes.rows.get_mut(&table.schema.name) else { continue };
        let kept = rows.iter_mut().filter(|(_, outcome)| matches!(outcome, RowOutcome::Kept(Some(_))));
        let mut kept: Vec<(Vec<Value>, &mut RowOutcome)> = kept
            .map(|(key, outcome)| Ok((key.decode(table.keys.len())?, outcome)))
            .collect::<Result<_, PgError>>()?;
        let keys: Vec<&[Value]> = kept.iter().map(|(values, _)| values.as_slice()).collect();
        let visible =
            if table.can_select() { visible_values(Mode::Write, table, &keys, &[])? } else { Vec::new() };
        let visible: HashSet<usize> = visible.into_iter().map(|(index, _)| index).collect();
        for (index, (_, outcome)) in kept.iter_mut().enumerate() {
            if !visible.contains(&index) {
                **outcome = RowOutcome::Dead;
            }
        }
    }
    Ok(())
}

/// One result for each row as it was sent.
pub(super) fn results(
    asked: &[(String, Vec<Key>)],
    tables: &[Table],
    outcomes: &Outcomes,
) -> Vec<Vec<RowResult>> {
    let is_collected = |name: &str, key: &Key| {
        !outcomes.collected.is_empty() && outcomes.collected.contains(&(name.to_owned(), key.clone()))
    };
    let result = |name: &str, key: &Key| -> RowResult {
        let Some(table) = tables.iter().find(|table| table.schema.name == *name) else {
            return RowResult::UnknownTable;
        };
        match outcomes.rows.get(name).and_then(|rows| rows.get(key)) {
            Some(RowOutcome::Kept(Some(row_id))) => RowResult::Accepted(*row_id),
            Some(RowOutcome::Refused(refusal)) => RowResult::Refused(refusal.clone()),
            Some(RowOutcome::Dead) if is_collected(name, key) => RowResult::Collected,
            Some(RowOutcome::Dead | RowOutcome::Kept(None)) => RowResult::Dead,
            None => RowResult::Refused(no_right(&table.relation)),
        }
    };
    asked.iter().map(|(name, keys)| keys.iter().map(|key| result(name, key)).collect()).collect()
}

/// The server's own rows in place of those refused, and those that have another causal length here, as
/// far as the caller may see them.
fn restored(
    asked: &[(String, Vec<Key>)],
    tables: &[Table],
    results: &[Vec<RowResult>],
    renewed: &HashSet<(String, Key)>,
) -> Result<ChangeBatch, PgError> {
    let mut restored = ChangeBatch::default();
    let mut sites = SiteNames::default();
    for ((name, keys), results) in asked.iter().zip(results) {
        let Some(table) = tables.iter().find(|table| table.schema.name == *name && table.can_select()) else {
            continue;
        };
        let is_told = |key: &Key, result: &RowResult| match result {
            RowResult::Refused(_) | RowResult::Collected => true,
            RowResult::Accepted(_) => !renewed.is_empty() && renewed.contains(&(name.clone(), key.clone())),
            RowResult::Dead | RowResult::UnknownTable => false,
        };
        let told = keys.iter().zip(results).filter(|(key, result)| is_told(key, result));
        let mut decoded: Vec<(Key, Vec<Value>)> =
            told.filter_map(|(key, _)| Some((key.clone(), key.decode(table.keys.len()).ok()?))).collect();
        let impossible = refuse_keys(table, &decoded)?;
        decoded.retain(|(key, _)| !impossible.contains_key(key));
        let values: Vec<&[Value]> = decoded.iter().map(|(_, values)| values.as_slice()).collect();
        let clocks: Vec<ClockRow> = values
            .iter()
            .zip(read_known(table, &values)?)
            .filter_map(|(keys, known)| {
                let known = known?;
                Some(ClockRow {
                    row_id: known.row_id.unsigned_abs(),
                    keys: keys.to_vec(),
                    clock: known.clock,
                })
            })
            .collect();
        let rows: Vec<RowChange> = visible_changes(Mode::Write, table, &mut sites, &clocks, Telling::Whole)?
            .into_iter()
            .flatten()
            .collect();
        if !rows.is_empty() {
            let columns = table.readable().map(|column| column.name.clone()).collect();
            let algorithm = Some(table.schema.algorithm);
            restored.tables.push(TableChanges { table: name.clone(), algorithm, columns, rows });
        }
    }
    Ok(restored)
}
