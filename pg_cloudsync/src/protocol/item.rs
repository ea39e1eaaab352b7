//! One planned row on its way into the database.

use std::borrow::Cow;

use cloudsync_shared::change::{LostPart, RowChange, TextOutcome};
use cloudsync_shared::clock::RowClock;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{ColumnId, RowId, SiteId};
use cloudsync_shared::merge::{
    LostCell, LostSide, RowAction, RowDecision, TablePlan, decide_row, is_too_long, lost_to_stored,
    resolve_texts,
};
use cloudsync_shared::port::Refusal;
use cloudsync_shared::text::{Document, TextDelta};
use cloudsync_shared::value::Value;

use super::conflicts::Watch;
use super::known::Known;
use super::refuse::{as_refusal, no_right, too_long};
use super::sites::SiteNames;
use super::table::Table;
use super::texts::{Standing, lines_fit, tells_lines};
use super::types::refusal;
use crate::error::PgError;

/// What is the same for all rows of one table's plan.
pub(super) struct Work<'a> {
    /// The table.
    pub(super) table: &'a Table,
    /// For each of the changes' columns the table's.
    pub(super) columns: &'a [Option<ColumnId>],
    /// Deleted lines of texts with a lower version were collected.
    pub(super) forgotten: Version,
    /// How its conflicts are looked for, if anybody wants to know.
    pub(super) watch: Option<Watch<'a>>,
}

impl<'a> Work<'a> {
    /// The work of a plan.
    pub(super) fn new(table: &'a Table, plan: &'a TablePlan<'a>, watch: Option<Watch<'a>>) -> Work<'a> {
        Work { table, columns: &plan.columns, forgotten: Version::NEVER, watch }
    }
}

/// A row to be written.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    /// Its index in the changes.
    pub(super) index: usize,
    /// What was pushed of it.
    pub(super) change: Cow<'a, RowChange>,
    /// The same as it was told: the lines of texts are merged with what stands at each decision.
    pub(super) told: Cow<'a, RowChange>,
    /// Whether it tells of texts that are merged by lines.
    pub(super) tells_lines: bool,
    /// Why its texts cannot be merged.
    pub(super) unmerged: Option<Refusal>,
    /// Its key.
    pub(super) keys: Vec<Value>,
    /// What the server knew of it when the decision fell.
    pub(super) known: Option<Known>,
    /// The decision.
    pub(super) action: RowAction,
    /// The clock to store.
    pub(super) after: RowClock<SiteId>,
    /// Columns that the server writes itself: it had a later value of them than is told, and kept none when the
    /// row was deleted.
    pub(super) renewed: Vec<ColumnId>,
    /// Texts that were written whole before the last edit of the one that they take the place of: see [`lift`].
    pub(super) lifted: Vec<ColumnId>,
    /// Whether the caller holds the row's lock, and so may see and update it.
    pub(super) locked: bool,
    /// Whether the caller may see it, if it is alive and that was looked up.
    pub(super) seen: Option<bool>,
    /// Whether its causal length is beyond what a client may bring about.
    pub(super) too_long: bool,
    /// The cells that lose by the decision.
    pub(super) lost: Vec<LostCell>,
    /// Whether it names a row that was collected: nothing of it counts, whatever stands under the key by now.
    pub(super) is_collected: bool,
    /// How often the decision was overtaken.
    pub(super) tries: u32,
}

/// Which rows go into one statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// Inserted with these columns.
    Insert(Vec<ColumnId>),
    /// Updated in these columns; the others back to their default.
    Update(Vec<ColumnId>, Vec<ColumnId>),
    /// Deleted.
    Delete,
    /// Not written.
    None,
}

impl<'a> Item<'a> {
    /// A row of a plan, decided on the clock `before` as it is taken from a client.
    pub(super) fn new(
        work: &Work<'_>,
        sites: &SiteNames,
        (index, change): (usize, Cow<'a, RowChange>),
        known: Option<Known>,
        texts: &Standing,
    ) -> Result<Item<'a>, PgError> {
        let before = known.as_ref().map(|known| sites.with_ids(&known.clock)).transpose()?;
        let mut item = Item {
            index,
            keys: change.key.decode(work.table.keys.len())?,
            after: RowClock::new(change.length, change.life),
            tells_lines: tells_lines(work.table, work.columns, &change),
            told: change.clone(),
            change,
            unmerged: None,
            known,
            action: RowAction::Nothing,
            renewed: Vec::new(),
            lifted: Vec::new(),
            locked: false,
            seen: None,
            too_long: false,
            lost: Vec::new(),
            is_collected: false,
            tries: 0,
        };
        item.judge(work, sites, before.as_ref(), texts);
        Ok(item)
    }

    /// The cells to write, by column.
    pub(super) fn cells(&self, work: &Work<'_>) -> Vec<(ColumnId, &Value)> {
        let (RowAction::Insert { cells } | RowAction::Update { cells, .. }) = &self.action else {
            return Vec::new();
        };
        let mut found: Vec<(ColumnId, &Value)> = cells
            .iter()
            .filter_map(|at| {
                let cell = self.change.cells.get(*at)?;
                Some((work.columns.get(cell.column).copied().flatten()?, &cell.value))
            })
            .collect();
        found.sort_by_key(|(id, _)| *id);
        found
    }

    /// The statement that the row belongs to.
    pub(super) fn shape(&self, work: &Work<'_>) -> Shape {
        let ids = || self.cells(work).into_iter().map(|(id, _)| id).collect();
        match &self.action {
            RowAction::Insert { .. } => Shape::Insert(ids()),
            RowAction::Update { reset, .. } => {
                let mut reset = reset.clone();
                reset.sort_unstable();
                Shape::Update(ids(), reset)
            }
            RowAction::Delete => Shape::Delete,
            // What was in it is not kept: see `judge`.
            RowAction::Bury { .. } if self.is_alive() => Shape::Delete,
            RowAction::Bury { .. } | RowAction::Nothing | RowAction::ClockOnly => Shape::None,
        }
    }

    /// Whether the server has the row as alive.
    pub(super) fn is_alive(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.clock.length.is_alive())
    }

    /// Whether its base row is to be locked before it is decided finally. Without the lock a text and its document
    /// may be of different times: that a change tells nothing new of them is not certain.
    pub(super) fn wants_lock(&self) -> bool {
        self.is_alive() && (self.action != RowAction::Nothing || self.tells_lines)
    }

    /// Decides again, on what the server knows now.
    ///
    /// # Errors
    /// The clock names a site that is not known.
    pub(super) fn decide(
        &mut self,
        work: &Work<'_>,
        sites: &SiteNames,
        known: Option<Known>,
        texts: &Standing,
    ) -> Result<(), PgError> {
        let local = known.as_ref().map(|known| sites.with_ids(&known.clock)).transpose()?;
        self.known = known;
        self.judge(work, sites, local.as_ref(), texts);
        Ok(())
    }

    fn judge(
        &mut self,
        work: &Work<'_>,
        sites: &SiteNames,
        local: Option<&RowClock<SiteId>>,
        texts: &Standing,
    ) {
        let schema = &work.table.schema;
        let mut admitted = sites.admit(schema.algorithm, &self.told, work.columns, local, self.names_row());
        self.lifted.clear();
        if !texts.is_empty() || self.tells_lines {
            self.unmerged = resolve(work, sites, local, admitted.to_mut(), texts).err();
            if let Some(local) = local {
                self.lifted = lift(work, local, admitted.to_mut());
            }
            let (cells, texts) = (admitted.cells.clone(), admitted.texts.clone());
            self.change = Cow::Owned(RowChange { cells, texts, ..self.told.as_ref().clone() });
        }
        let mut decision = decide_row(schema, work.columns, local, &admitted);
        self.renewed.clear();
        if let Some(stored) = local.filter(|stored| !stored.length.is_alive()) {
            if decision.clock.length.is_alive() && schema.algorithm.keeps_deleted() {
                // The deleted row's values are not kept here, where they might come back to someone who was never
                // to see them: it comes back with those that are told, and what was later is written anew.
                decision = decide_row(schema, work.columns, Some(&stored.without_cells()), &admitted);
                let columns = schema.columns.iter().map(|column| column.id);
                // Of a text that is told by its lines the epoch decides.
                let epoch = |id: ColumnId| {
                    let told = (0..).zip(work.columns).find(|(_, column)| **column == Some(id));
                    let delta = told.and_then(|(at, _)| admitted.text(at)?.delta.as_ref());
                    delta.map_or(decision.clock.cell(id), TextDelta::epoch)
                };
                let is_later = |id: &ColumnId| stored.cell(*id) > epoch(*id);
                self.renewed = columns.filter(is_later).collect();
            } else if self.change.length.is_alive() && !decision.clock.length.is_alive() {
                // Only a delete may move the clock of a row that stays dead.
                decision = RowDecision { action: RowAction::Nothing, clock: stored.clone() };
            }
        }
        if matches!(decision.action, RowAction::Update { .. }) {
            self.renewed.extend(told_again(work, local, &admitted, texts));
        }
        self.too_long = is_too_long(&self.told, &admitted, local, self.names_row());
        self.lost = match (local, &work.watch) {
            (Some(stored), Some(watch)) => {
                let base = |cell| watch.base(&self.change, cell);
                lost_to_stored(schema.algorithm, work.columns, stored, &admitted, sites.pusher(), base)
            }
            _ => Vec::new(),
        };
        let is_over = admitted.length < decision.clock.length || !decision.clock.length.is_alive();
        if decision.action == RowAction::Nothing && is_over {
            // It is about a life that is over: whatever it tells of lines is of no account.
            self.unmerged = None;
        }
        self.action = decision.action;
        self.after = decision.clock.remembering(local);
        self.seen = None;
    }

    /// The server's id of the row, if it has one.
    pub(super) fn row_id(&self) -> Option<RowId> {
        self.known.as_ref().map(|known| RowId(known.row_id.unsigned_abs()))
    }

    /// Whether the change names the row by its id, as only those can who were told of it.
    pub(super) fn names_row(&self) -> bool {
        self.row_id().is_some() && self.row_id() == self.change.row_id
    }

    /// The id that it names, if that is not the row's. Where adds win this says nothing: a write that a delete
    /// had not seen stands, and brings the row back whole.
    pub(super) fn other_id(&self, work: &Work<'_>) -> Option<u64> {
        let told = self.change.row_id.filter(|_| !work.table.schema.algorithm.keeps_deleted())?;
        (self.row_id() != Some(told)).then_some(told.0)
    }

    /// Whether the row is alive and the caller may not see it.
    pub(super) fn is_hidden(&self) -> bool {
        self.seen == Some(false)
    }

    /// Whether the write begins another life of the row.
    pub(super) fn has_new_life(&self) -> bool {
        self.known.as_ref().is_none_or(|known| known.clock.length != self.after.length)
    }

    /// Whether the device, which names no id, has the row with another causal length than it has here.
    pub(super) fn has_other_length(&self) -> bool {
        self.change.row_id.is_none() && self.change.length != self.after.length
    }

    /// The right that the caller lacks for the decision, if any.
    pub(super) fn lacking_right(&self, work: &Work<'_>) -> Option<Refusal> {
        let table = work.table;
        if self.too_long {
            return Some(too_long(&table.relation));
        }
        if let Some(refusal) = self.unmerged.as_ref().filter(|_| !self.is_hidden()) {
            return Some(refusal.clone());
        }
        let may = match self.shape(work) {
            // Whatever is known of the row: the answer must not tell.
            _ if !self.change.length.is_alive() => table.can_select() && table.can_delete,
            Shape::Insert(ids) => {
                table.keys.iter().all(|key| key.can_insert)
                    && ids.iter().all(|id| table.column(*id).is_some_and(|column| column.can_insert))
            }
            Shape::Update(ids, reset) => {
                let mut ids = ids.iter().chain(&reset);
                table.can_select() && ids.all(|id| table.column(*id).is_some_and(|column| column.can_update))
            }
            Shape::Delete => table.can_select() && table.can_delete,
            // The clock alone moves: of a living row only for those who may update it. That of a dead or
            // unknown one only a delete moves.
            Shape::None => self.locked || self.action == RowAction::Nothing,
        };
        (!may).then(|| no_right(&table.relation))
    }
}

/// The columns whose texts the server writes anew, as whole values: lines are told of which not everybody would
/// make the same, for some remember that they were deleted.
fn told_again(
    work: &Work<'_>,
    local: Option<&RowClock<SiteId>>,
    change: &RowChange,
    texts: &Standing,
) -> Vec<ColumnId> {
    let is_told_again = |column: ColumnId, delta: &TextDelta<SiteId>| {
        let stored = texts.iter().find(|(id, _)| *id == column).map(|(_, stored)| stored)?;
        let implied = match (&stored.document, &stored.value) {
            (None, Value::Text(text)) => {
                Document::implied(local?.cell(column), text, work.table.schema.delimiter(column)?).ok()
            }
            _ => None,
        };
        delta.tells_forgotten(stored.document.as_ref().or(implied.as_ref())?, work.forgotten).ok()
    };
    let told = change.texts.iter().filter_map(|text| {
        let column = work.columns.get(text.column).copied().flatten()?;
        let delta = text.delta.as_ref().filter(|delta| delta.is_complete())?;
        is_told_again(column, delta)?.then_some(column)
    });
    told.collect()
}

/// Merges the texts of a change with what stands.
fn resolve(
    work: &Work<'_>,
    sites: &SiteNames,
    local: Option<&RowClock<SiteId>>,
    change: &mut RowChange,
    texts: &Standing,
) -> Result<(), Refusal> {
    if !lines_fit(change) {
        return Err(refusal("22023", "lines of a text are later than the text itself"));
    }
    let standing = |column| texts.iter().find(|(id, _)| *id == column).map(|(_, stored)| stored);
    for text in &mut change.texts {
        let column = work.columns.get(text.column).copied().flatten();
        if let (Some(column), Some(delta)) = (column, &mut text.delta) {
            let document = standing(column).and_then(|stored| stored.document.as_ref());
            sites.admit_lines(delta, local.map(|clock| clock.cell(column)), document);
        }
    }
    let stored = |column| standing(column).cloned();
    resolve_texts(&work.table.schema, work.columns, local, change, stored)
        .map_err(|error| as_refusal(error.into()))?;
    match change.texts.iter().any(|text| text.outcome == TextOutcome::Incomplete) {
        true => Err(refusal("55000", "lines of a text that is not known here: send the text whole")),
        false => Ok(()),
    }
}

/// The columns whose text was written whole under a lower stamp than that of the text that it takes the place of,
/// which is of an older epoch. Devices that know nothing of lines would keep that one, so the server lifts the
/// stamp to one of its own; the document keeps the epoch, to which edits of the new text belong.
fn lift(work: &Work<'_>, local: &RowClock<SiteId>, change: &mut RowChange) -> Vec<ColumnId> {
    let mut lifted = Vec::new();
    let RowChange { texts, cells, .. } = change;
    for text in texts {
        let Some(column) = work.columns.get(text.column).copied().flatten() else { continue };
        let TextOutcome::Resolved { document, stamp, lost, .. } = &mut text.outcome else { continue };
        let takes_place =
            lost.iter().any(|part| matches!(part, LostPart::Whole { side: LostSide::Stored, .. }));
        if !takes_place || *stamp > local.cell(column) {
            continue;
        }
        lifted.push(column);
        let value = cells.iter().find(|cell| cell.column == text.column).map(|cell| &cell.value);
        if let (None, Some(Value::Text(value)), Some(delimiter)) =
            (&document, value, work.table.schema.delimiter(column))
        {
            *document = Document::implied(*stamp, value, delimiter).ok();
        }
    }
    lifted
}
