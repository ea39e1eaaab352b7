//! The `Store` of the core on PostgreSQL: optimistic in sets, split only where a row is refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use cloudsync_shared::change::{ChangeBatch, RowChange, TextChange};
use cloudsync_shared::clock::RowClock;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{ColumnId, RowId, SiteId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::{StoredText, TablePlan};
use cloudsync_shared::port::{Refusal, RowOutcome, Store};
use cloudsync_shared::schema::TableSchema;
use cloudsync_shared::value::Value;
use roaring::RoaringTreemap;

use super::blame::named_refusal;
use super::conflicts::{self, Found, KnownBases, Standing};
use super::horizon::{highest_collected, horizon};
use super::item::{Item, Work};
use super::known::{Known, read_known, refuse_keys};
use super::lock::lock_rows;
use super::refuse::{as_refusal, is_about_the_whole};
use super::sight;
use super::sites::SiteNames;
use super::spi::Mode;
use super::table::Table;
use super::texts::{read_standing, tells_lines};
use super::write::{Setting, Written, write};
use crate::error::PgError;
use crate::ffi::subxact::in_subtransaction;
use crate::settings;

/// How often a decision may be overtaken by other transactions before the push gives up.
const MAX_TRIES: u32 = 10;
/// From this try on a batch is split, and a single row's clock is taken to be moved by a trigger of
/// its own write.
const PATIENT_TRIES: u32 = 2;
/// For how many refused rows of one push the column at fault is looked for, which takes a few statements.
const MAX_NAMED: usize = 1_000;
/// The most rows written by one statement.
const MAX_BATCH: usize = 20_000;

/// One push on its way into the database.
pub(super) struct PgStore<'a> {
    /// The synced tables that the push names.
    pub(super) tables: &'a [Table],
    /// The sites that the push names.
    pub(super) sites: SiteNames,
    /// The server's clock when the push began.
    pub(super) now: Millis,
    /// The highest version seen by the server.
    pub(super) highest: Version,
    /// Whether deferrable constraints are checked with each batch.
    pub(super) check_now: bool,
    /// The rows written, by table: as pushed, and with something else than was pushed.
    pub(super) touched: BTreeMap<i64, Touched>,
    /// The highest version of what was written.
    accepted: Version,
    /// Rows, by table and key, that have another causal length here than the device has given them.
    pub(super) renewed: HashSet<(String, Key)>,
    /// Rows, by table and key, of which the push told under the id of one that was collected.
    pub(super) collected: HashSet<(String, Key)>,
    /// What the push tells of the values that its cells replaced.
    bases: &'a KnownBases,
    /// Values that lost.
    pub(super) lost: Vec<Found>,
    /// For how many refused rows the column at fault was looked for.
    named: usize,
    /// Keys of the table in hand that cannot name a row here.
    refused_keys: HashMap<Key, Refusal>,
    /// Rows of the table in hand that the server knows.
    known: HashMap<Key, Known>,
    /// What rows of the batch in hand tell of lines.
    lines: Lines,
}

/// What rows tell of the lines of their texts, by table and key.
pub(super) type Lines = HashMap<(String, Key), Vec<TextChange>>;

/// What a push has noted of what it wrote, to be taken back with it.
#[derive(Clone)]
pub(super) struct Notes {
    touched: BTreeMap<i64, Touched>,
    accepted: Version,
    renewed: HashSet<(String, Key)>,
    lost: usize,
}

/// The rows of a table that a push has written.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    /// All of them.
    pub(super) pushed: RoaringTreemap,
    /// Those in which the database stored something else.
    pub(super) altered: RoaringTreemap,
}

impl<'a> PgStore<'a> {
    /// Begins a push.
    pub(super) fn new(
        tables: &'a [Table],
        sites: SiteNames,
        now: Millis,
        highest: Version,
        check_now: bool,
        bases: &'a KnownBases,
    ) -> Self {
        PgStore {
            tables,
            sites,
            now,
            highest,
            check_now,
            touched: BTreeMap::new(),
            accepted: Version::NEVER,
            renewed: HashSet::new(),
            collected: HashSet::new(),
            bases,
            lost: Vec::new(),
            named: 0,
            refused_keys: HashMap::new(),
            known: HashMap::new(),
            lines: Lines::new(),
        }
    }

    /// What has been noted so far.
    pub(super) fn notes(&self) -> Notes {
        Notes {
            touched: self.touched.clone(),
            accepted: self.accepted,
            renewed: self.renewed.clone(),
            lost: self.lost.len(),
        }
    }

    /// Takes back what was noted since: it was undone.
    pub(super) fn restore_notes(&mut self, notes: Notes) {
        self.touched = notes.touched;
        self.accepted = notes.accepted;
        self.renewed = notes.renewed;
        self.lost.truncate(notes.lost);
    }

    /// Takes what a batch tells of lines out of it, to be merged with each row when that is decided: the
    /// general rule resolves texts before a change is admitted, and fails as a whole where one does.
    pub(super) fn take_lines(&mut self, batch: &mut ChangeBatch) {
        self.lines.clear();
        for table in &mut batch.tables {
            for row in table.rows.iter_mut().filter(|row| !row.texts.is_empty()) {
                let place = (table.table.clone(), row.key.clone());
                self.lines.insert(place, std::mem::take(&mut row.texts));
            }
        }
    }

    /// Puts back what [`PgStore::take_lines`] took.
    pub(super) fn give_lines_back(&mut self, batch: &mut ChangeBatch) {
        for table in &mut batch.tables {
            for row in &mut table.rows {
                if let Some(texts) = self.lines.remove(&(table.table.clone(), row.key.clone())) {
                    row.texts = texts;
                }
            }
            if self.lines.is_empty() {
                return;
            }
        }
    }

    fn table(&self, name: &str) -> Result<&'a Table, PgError> {
        let found = self.tables.iter().find(|table| table.schema.name == name);
        found.ok_or_else(|| PgError::internal(format!("cloudsync: table {name} is not synced")))
    }

    /// Locks the rows that are to change, in key order, and decides again where that took so long
    /// that they changed.
    fn lock(&mut self, work: &Work<'_>, items: &mut [Item<'_>]) -> Result<(), PgError> {
        let wanting: Vec<usize> =
            (0..items.len()).filter(|at| items.get(*at).is_some_and(Item::wants_lock)).collect();
        if wanting.is_empty() || !work.table.can_select() || !work.table.can_update() {
            return Ok(());
        }
        let to_lock: Vec<&Item<'_>> = wanting.iter().filter_map(|at| items.get(*at)).collect();
        let locked = lock_rows(work.table, &to_lock)?;
        for at in locked.iter().filter_map(|index| wanting.get(*index)) {
            if let Some(item) = items.get_mut(*at) {
                item.locked = true;
            }
        }
        let mut wanted: Vec<&mut Item<'_>> = items.iter_mut().filter(|item| item.wants_lock()).collect();
        self.refresh(work, &mut wanted)
    }

    /// Reads the clocks of these rows afresh and decides again those that have changed.
    fn refresh(&mut self, work: &Work<'_>, items: &mut [&mut Item<'_>]) -> Result<(), PgError> {
        let keys: Vec<&[Value]> = items.iter().map(|item| item.keys.as_slice()).collect();
        let known = read_known(work.table, &keys)?;
        self.sites.learn(Mode::Write, known.iter().flatten().map(|known| &known.clock))?;
        let rows: Vec<(&[Value], Option<&Known>, bool)> = items
            .iter()
            .zip(&known)
            .map(|(item, known)| {
                (item.keys.as_slice(), known.as_ref(), item.known != *known && item.tells_lines)
            })
            .collect();
        let texts = read_standing(work.table, &mut self.sites, &rows)?;
        for ((item, known), texts) in items.iter_mut().zip(known).zip(texts) {
            if item.known != known {
                item.decide(work, &self.sites, known, &texts)?;
            }
        }
        mark_collected(work, items)
    }

    /// Writes the items, splitting where one is refused.
    fn carry_out(
        &mut self,
        work: &Work<'_>,
        items: Vec<Item<'_>>,
        outcomes: &mut [RowOutcome],
    ) -> Result<(), PgError> {
        let mut stack: Vec<Vec<Item<'_>>> = items.chunks(MAX_BATCH).rev().map(<[Item<'_>]>::to_vec).collect();
        while let Some(batch) = stack.pop() {
            let batch = self.settle(work, batch, outcomes)?;
            if batch.is_empty() {
                continue;
            }
            let tries = batch.iter().map(|item| item.tries).max().unwrap_or_default();
            let setting = Setting {
                sites: &self.sites,
                now: self.now,
                highest: self.highest,
                check_now: self.check_now,
                triggers_touch: batch.len() == 1 && tries >= PATIENT_TRIES,
            };
            let standing = conflicts::standing(work, &batch)?;
            match attempt(work, &batch, &setting) {
                Ok(Written::Done(written)) => {
                    self.note(work, &batch, &written, outcomes);
                    self.note_lost(work, &batch, &standing);
                }
                Ok(Written::Overtaken) => self.try_again(work, batch, tries, &mut stack)?,
                Err(error) if is_about_the_whole(&error) => return Err(error),
                Err(error) => self.split(work, batch, error, &mut stack, outcomes)?,
            }
        }
        Ok(())
    }

    /// Takes out the items that need no write, or may not be written.
    fn settle<'i>(
        &mut self,
        work: &Work<'_>,
        mut batch: Vec<Item<'i>>,
        outcomes: &mut [RowOutcome],
    ) -> Result<Vec<Item<'i>>, PgError> {
        sight::look(work, &mut batch)?;
        let mut rest = Vec::with_capacity(batch.len());
        let mut unwritten = Vec::new();
        for mut item in batch {
            if item.is_collected {
                self.collected.insert((work.table.schema.name.clone(), item.change.key.clone()));
                self.conclude(work, &item, RowOutcome::Dead, outcomes);
                continue;
            }
            sight::disguise(work, &self.sites, &mut item);
            let refusal = item.lacking_right(work).map(RowOutcome::Refused);
            match refusal.or_else(|| sight::answer(work, &self.sites, &item)) {
                Some(outcome) => {
                    let is_refused = matches!(outcome, RowOutcome::Refused(_));
                    self.conclude(work, &item, outcome, outcomes);
                    if !is_refused && !item.lost.is_empty() {
                        unwritten.push(item);
                    }
                }
                None => rest.push(item),
            }
        }
        let standing = conflicts::standing(work, &unwritten)?;
        self.note_lost(work, &unwritten, &standing);
        Ok(rest)
    }

    /// Notes which values lost.
    fn note_lost(&mut self, work: &Work<'_>, items: &[Item<'_>], standing: &Standing) {
        self.lost.extend(items.iter().flat_map(|item| conflicts::found(work, item, standing)));
    }

    /// Notes what became of a row.
    fn conclude(
        &mut self,
        work: &Work<'_>,
        item: &Item<'_>,
        outcome: RowOutcome,
        outcomes: &mut [RowOutcome],
    ) {
        if matches!(outcome, RowOutcome::Kept(_)) && item.has_other_length() {
            self.renewed.insert((work.table.schema.name.clone(), item.change.key.clone()));
        }
        if let Some(place) = outcomes.get_mut(item.index) {
            *place = outcome;
        }
    }

    fn note(
        &mut self,
        work: &Work<'_>,
        batch: &[Item<'_>],
        written: &[(i64, bool)],
        outcomes: &mut [RowOutcome],
    ) {
        for (item, (row_id, altered)) in batch.iter().zip(written) {
            let row_id = row_id.unsigned_abs();
            self.accepted = self.accepted.max(item.change.highest());
            let touched = self.touched.entry(work.table.id).or_default();
            // Who holds a row that is dead has been told, and of one that never was there is nothing to tell.
            if item.is_alive() || item.after.length.is_alive() {
                touched.pushed.insert(row_id);
            }
            if *altered {
                touched.altered.insert(row_id);
            }
            let outcome = if item.after.length.is_alive() {
                RowOutcome::Kept(Some(RowId(row_id)))
            } else {
                RowOutcome::Dead
            };
            self.conclude(work, item, outcome, outcomes);
        }
    }

    /// A clock moved while the batch was written: decide again, in smaller batches if that goes on.
    fn try_again<'i>(
        &mut self,
        work: &Work<'_>,
        mut batch: Vec<Item<'i>>,
        tries: u32,
        stack: &mut Vec<Vec<Item<'i>>>,
    ) -> Result<(), PgError> {
        if tries >= MAX_TRIES {
            let message = format!(
                "rows of table {} change faster than they can be merged: try again",
                work.table.relation
            );
            return Err(PgError::new(super::refuse::sqlstate("40001"), message));
        }
        for item in &mut batch {
            item.tries = tries + 1;
        }
        self.refresh(work, &mut batch.iter_mut().collect::<Vec<_>>())?;
        if batch.len() > 1 && tries + 1 >= PATIENT_TRIES {
            for item in &mut batch {
                item.tries = 0;
            }
            halve(batch, stack);
        } else {
            stack.push(batch);
        }
        Ok(())
    }

    /// The database refused some row of the batch: find it, or answer for it.
    fn split<'i>(
        &mut self,
        work: &Work<'_>,
        mut batch: Vec<Item<'i>>,
        error: PgError,
        stack: &mut Vec<Vec<Item<'i>>>,
        outcomes: &mut [RowOutcome],
    ) -> Result<(), PgError> {
        let [item] = batch.as_mut_slice() else {
            halve(batch, stack);
            return Ok(());
        };
        // The refusal may come from another transaction that has just changed the same row.
        let known = item.known.clone();
        self.refresh(work, &mut [&mut *item])?;
        item.tries += 1;
        if item.known != known && item.tries < MAX_TRIES {
            stack.push(batch);
        } else {
            let cells = item.cells(work).into_iter();
            let cells = cells.filter_map(|(id, value)| Some((work.table.column(id)?, value)));
            self.named += 1;
            let refusal = match self.named {
                ..=MAX_NAMED => named_refusal(work.table, cells, error),
                _ => as_refusal(error),
            };
            self.conclude(work, item, RowOutcome::Refused(refusal), outcomes);
        }
        Ok(())
    }
}

/// Finds the items that name a row whose clock was collected, and so was deleted long ago: as an insert it
/// would come back.
fn mark_collected(work: &Work<'_>, items: &mut [&mut Item<'_>]) -> Result<(), PgError> {
    if items.iter().all(|item| item.other_id(work).is_none()) {
        return Ok(());
    }
    let highest = highest_collected(work.table.id)?;
    for item in items {
        item.is_collected = item.other_id(work).is_some_and(|id| id <= highest);
    }
    Ok(())
}

/// Writes a batch in a subtransaction that stays only if all of it was written.
fn attempt(work: &Work<'_>, batch: &[Item<'_>], setting: &Setting<'_>) -> Result<Written, PgError> {
    let mut overtaken = false;
    let outcome = in_subtransaction(|| match write(work, batch, setting)? {
        Written::Overtaken => {
            overtaken = true;
            Err(PgError::internal("cloudsync: a clock has moved"))
        }
        done => Ok(done),
    });
    if overtaken { Ok(Written::Overtaken) } else { outcome }
}

fn halve<'i>(mut batch: Vec<Item<'i>>, stack: &mut Vec<Vec<Item<'i>>>) {
    let right = batch.split_off(batch.len() / 2);
    stack.extend([right, batch]);
}

impl Store for PgStore<'_> {
    type Error = PgError;

    fn schema(&mut self, table: &str) -> Result<Option<TableSchema>, PgError> {
        let found = self.tables.iter().find(|known| known.schema.name == table);
        Ok(found.map(|known| TableSchema { texts: Vec::new(), ..known.schema.clone() }))
    }

    fn clocks(
        &mut self,
        schema: &TableSchema,
        keys: &[&Key],
    ) -> Result<Vec<Option<RowClock<SiteId>>>, PgError> {
        let table = self.table(&schema.name)?;
        let mut decoded = Vec::with_capacity(keys.len());
        for key in keys {
            decoded.push(((*key).clone(), key.decode(table.keys.len())?));
        }
        self.refused_keys = refuse_keys(table, &decoded)?;
        decoded.retain(|(key, _)| !self.refused_keys.contains_key(key));
        let values: Vec<&[Value]> = decoded.iter().map(|(_, values)| values.as_slice()).collect();
        let known = read_known(table, &values)?;
        self.sites.learn(Mode::Write, known.iter().flatten().map(|known| &known.clock))?;
        let found = decoded.iter().zip(known).filter_map(|((key, _), known)| Some((key.clone(), known?)));
        self.known = found.collect();
        keys.iter()
            .map(|key| self.known.get(key).map(|known| self.sites.with_ids(&known.clock)).transpose())
            .collect()
    }

    /// Not asked: see [`PgStore::take_lines`].
    fn texts(
        &mut self,
        _: &TableSchema,
        cells: &[(&Key, ColumnId)],
    ) -> Result<Vec<Option<StoredText>>, PgError> {
        Ok(cells.iter().map(|_| None).collect())
    }

    fn apply(&mut self, plan: &TablePlan<'_>) -> Result<Vec<RowOutcome>, PgError> {
        let table = self.table(&plan.schema.name)?;
        let mut work = Work::new(table, plan, self.bases.watch(table).filter(|_| !self.sites.is_trusted()));
        let mut outcomes: Vec<RowOutcome> = plan.rows.iter().map(|_| RowOutcome::Dead).collect();
        let mut items = Vec::with_capacity(plan.rows.len());
        let mut admitted = Vec::with_capacity(plan.rows.len());
        for row in &plan.rows {
            let Some(change) = plan.changes.rows.get(row.index) else { continue };
            if let Some(refusal) = self.refused_keys.get(&change.key) {
                if let Some(place) = outcomes.get_mut(row.index) {
                    *place = RowOutcome::Refused(refusal.clone());
                }
                continue;
            }
            // The plan trusts the change; this decides again, on what it is admitted as.
            let known = self.known.get(&change.key).cloned();
            let lines = self.lines.get(&(table.schema.name.clone(), change.key.clone()));
            let change = match lines {
                Some(texts) => Cow::Owned(RowChange { texts: texts.clone(), ..change.clone() }),
                None => Cow::Borrowed(change),
            };
            admitted.push((row.index, change, known));
        }
        let keys = admitted.iter().map(|(_, change, _)| change.key.decode(table.keys.len()));
        let keys: Vec<Vec<Value>> = keys.collect::<Result<_, _>>()?;
        let rows: Vec<(&[Value], Option<&Known>, bool)> = admitted
            .iter()
            .zip(&keys)
            .map(|((_, change, known), keys)| {
                (keys.as_slice(), known.as_ref(), tells_lines(table, &plan.columns, change))
            })
            .collect();
        let texts = read_standing(table, &mut self.sites, &rows)?;
        if !self.lines.is_empty() {
            work.forgotten = horizon(Mode::Write, None)?.version;
        }
        for ((index, change, known), texts) in admitted.into_iter().zip(texts) {
            items.push(Item::new(&work, &self.sites, (index, change), known, &texts)?);
        }
        mark_collected(&work, &mut items.iter_mut().collect::<Vec<_>>())?;
        // One order for all pushes: two that insert the same rows wait for one another, not in a circle.
        items.sort_by(|one, other| one.change.key.cmp(&other.change.key));
        self.lock(&work, &mut items)?;
        self.carry_out(&work, items, &mut outcomes)?;
        Ok(outcomes)
    }

    /// A version counts only if something of it was accepted: who may write nothing must not move the
    /// clock by which this server stamps its own writes. See [`PgStore::write_log`].
    fn observe(&mut self, _highest: Version) -> Result<(), PgError> {
        Ok(())
    }
}

impl PgStore<'_> {
    /// Writes down which rows the push has touched, for others to find, and the highest version accepted.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(super) fn write_log(&self, pusher: SiteOrdinal) -> Result<(), PgError> {
        for (table, touched) in &self.touched {
            super::cursor::note_touched(*table, pusher, &touched.pushed)?;
            super::cursor::note_touched(*table, SiteOrdinal::SELF, &touched.altered)?;
        }
        conflicts::keep(&self.lost)?;
        settings::observe(self.accepted)
    }
}
