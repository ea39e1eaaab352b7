//! What is new for a device: a page of whole rows that the caller may see.

use std::collections::BTreeMap;

use cloudsync_shared::change::{ChangeBatch, TableChanges};
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::RowId;
use cloudsync_shared::message::{Epoch, Next, Progress, PullReply, PullRequest, Snapshot, View};
use roaring::RoaringTreemap;

use super::cursor::{present, touched_since};
use super::horizon::horizon;
use super::rows::{ClockRow, clocks_after, clocks_of, size_of, visible_changes};
use super::sites::SiteNames;
use super::spi::Mode;
use super::table::{Table, find_tables};
use super::told::Telling;
use super::view;
use super::visible::few_visible;
use crate::error::PgError;
use crate::settings;

/// The most bytes of values in one page, whatever the device asks for.
const MAX_PAGE_BYTES: usize = 32 << 20;
/// The most rows looked at for one page: bounds its time where few of them are visible.
const MAX_ROWS_LOOKED_AT: usize = 100_000;
/// More touched rows than these, and it pays to look first which rows the caller sees at all.
const MANY_TOUCHED: u64 = 10_000;
/// Rows looked at in one step, at first and at most.
const FIRST_STEP: usize = 512;
const MAX_STEP: usize = 10_000;

/// Answers a pull.
///
/// # Errors
/// The request's snapshot cannot be read, or the database failed.
pub(super) fn pull(request: &PullRequest) -> Result<PullReply, PgError> {
    let mode = Mode::Read;
    let epoch = settings::epoch()?;
    let server_time = settings::now();
    let has_cursor = request.from.is_some() || request.progress.is_some();
    let is_of_this_life = request.epoch == Some(epoch) || (request.epoch.is_none() && !has_cursor);
    let nothing = |next, collected| {
        let (changes, views) = (ChangeBatch::default(), Vec::new());
        PullReply { epoch, server_time, views, changes, hidden: false, next, collected }
    };
    if !is_of_this_life {
        return Ok(nothing(Next::Done(Snapshot(String::new())), Version::NEVER));
    }
    let horizon = horizon(mode, request.from.as_ref())?;
    if horizon.is_past {
        return Ok(nothing(Next::Expired, horizon.version));
    }
    let until = match &request.progress {
        Some(progress) => progress.until.clone(),
        None => present(mode)?,
    };
    let mut tables = find_tables(mode, Some(&request.tables))?;
    let touched = match &request.from {
        None => None,
        Some(from) => Some(touched_since(mode, from, SiteNames::find(mode, request.site)?)?),
    };
    let views = match request.progress {
        None => view::views(mode, &request.tables, &tables, touched.as_ref())?,
        Some(_) => Vec::new(),
    };
    tables.retain(Table::can_select);
    let mut page = Page::new(request, touched, horizon.version);
    let stopped_at = page.walk(&tables, request.progress.as_ref())?;
    Ok(page.reply(epoch, views, until, stopped_at))
}

struct Page<'a> {
    mode: Mode,
    sites: SiteNames,
    /// The rows to look at, by table; `None`: all of them but the held ones.
    touched: Option<BTreeMap<i64, RoaringTreemap>>,
    held: &'a [(String, RoaringTreemap)],
    telling: Telling<'a>,
    max_bytes: usize,
    bytes: usize,
    looked_at: usize,
    rows: usize,
    changes: ChangeBatch,
    hidden: bool,
    collected: Version,
}

impl Page<'_> {
    fn new(
        request: &PullRequest,
        touched: Option<BTreeMap<i64, RoaringTreemap>>,
        collected: Version,
    ) -> Page<'_> {
        Page {
            mode: Mode::Read,
            sites: SiteNames::default(),
            touched,
            held: &request.held,
            telling: request.from.as_ref().map_or(Telling::Whole, Telling::Since),
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(MAX_PAGE_BYTES).min(MAX_PAGE_BYTES),
            bytes: 0,
            looked_at: 0,
            rows: 0,
            changes: ChangeBatch::default(),
            hidden: false,
            collected,
        }
    }

    /// Walks the tables from where the last page ended; answers where this one does, if before the end.
    fn walk(
        &mut self,
        tables: &[Table],
        progress: Option<&Progress>,
    ) -> Result<Option<(String, u64)>, PgError> {
        // A table that is gone by now leaves no place to go on from: begin again.
        let place = progress.and_then(|progress| {
            let at = tables.iter().position(|table| table.schema.name == progress.table)?;
            Some((at, progress.after.0))
        });
        let (first, mut after) = place.unwrap_or((0, 0));
        for table in tables.get(first..).unwrap_or_default() {
            if let Some(stopped) = self.walk_table(table, after)? {
                return Ok(Some((table.schema.name.clone(), stopped)));
            }
            after = 0;
        }
        Ok(None)
    }

    fn walk_table(&mut self, table: &Table, mut after: u64) -> Result<Option<u64>, PgError> {
        let columns = table.readable().map(|column| column.name.clone()).collect();
        let (name, algorithm) = (table.schema.name.clone(), Some(table.schema.algorithm));
        let mut told = TableChanges { table: name, algorithm, columns, rows: Vec::new() };
        let mut stopped = None;
        let chosen = self.choose(table)?;
        loop {
            let step = self.next_step();
            let candidates = self.candidates(table, chosen.as_ref(), after, step)?;
            let Some(last) = candidates.last else { break };
            let changes = visible_changes(self.mode, table, &mut self.sites, &candidates.rows, self.telling)?;
            self.hidden |= self.touched.is_some()
                && (candidates.rows.len() < candidates.asked || changes.iter().any(Option::is_none));
            for (row, change) in candidates.rows.iter().zip(changes) {
                self.looked_at += 1;
                after = row.row_id;
                if let Some(change) = change {
                    self.bytes += size_of(&change);
                    self.rows += 1;
                    told.rows.push(change);
                }
                if self.is_full() {
                    break;
                }
            }
            if self.is_full() {
                stopped = Some(after);
                break;
            }
            after = last;
        }
        if !told.rows.is_empty() {
            self.changes.tables.push(told);
        }
        Ok(stopped)
    }

    /// The ids of the rows of a table to look at; `None`: all that the device does not hold.
    fn choose(&mut self, table: &Table) -> Result<Option<RoaringTreemap>, PgError> {
        let Some(touched) = &self.touched else {
            let visible = few_visible(self.mode, table)?;
            return Ok(visible.map(|visible| match self.held_of(table) {
                Some(held) => visible - held,
                None => visible,
            }));
        };
        let touched = touched.get(&table.id).cloned().unwrap_or_default();
        if touched.len() <= MANY_TOUCHED {
            return Ok(Some(touched));
        }
        Ok(Some(match few_visible(self.mode, table)? {
            Some(visible) => {
                let chosen = &touched & &visible;
                self.hidden |= chosen.len() < touched.len();
                chosen
            }
            None => touched,
        }))
    }

    fn held_of(&self, table: &Table) -> Option<&RoaringTreemap> {
        self.held.iter().find(|(name, _)| *name == table.schema.name).map(|(_, ids)| ids)
    }

    fn candidates(
        &self,
        table: &Table,
        chosen: Option<&RoaringTreemap>,
        after: u64,
        step: usize,
    ) -> Result<Candidates, PgError> {
        let Some(chosen) = chosen else {
            let mut rows = clocks_after(self.mode, table, after, step)?;
            let last = rows.last().map(|row| row.row_id);
            if let Some(held) = self.held_of(table) {
                rows.retain(|row| !held.contains(row.row_id));
            }
            return Ok(Candidates { asked: rows.len(), last, rows });
        };
        let ids: Vec<u64> = ids_after(chosen, after).take(step).collect();
        let rows = if ids.is_empty() { Vec::new() } else { clocks_of(self.mode, table, &ids)? };
        Ok(Candidates { asked: ids.len(), last: ids.last().copied(), rows })
    }

    /// As many rows as the page probably still has room for.
    fn next_step(&self) -> usize {
        if self.looked_at == 0 {
            return FIRST_STEP;
        }
        let room = self.max_bytes.saturating_sub(self.bytes);
        let row = (self.bytes / self.looked_at).max(1);
        (room / row + 1).clamp(1, MAX_STEP).min(FIRST_STEP.max(self.looked_at * 4))
    }

    fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes || self.looked_at >= MAX_ROWS_LOOKED_AT
    }

    fn reply(
        self,
        epoch: Epoch,
        views: Vec<View>,
        until: Snapshot,
        stopped_at: Option<(String, u64)>,
    ) -> PullReply {
        let next = match stopped_at {
            Some((table, after)) => Next::More(Progress { until, table, after: RowId(after) }),
            None => Next::Done(until),
        };
        let server_time = settings::now();
        let Page { changes, hidden, collected, .. } = self;
        PullReply { epoch, server_time, views, changes, hidden, next, collected }
    }
}

struct Candidates {
    rows: Vec<ClockRow>,
    asked: usize,
    last: Option<u64>,
}

/// The ids of a set above one, in order.
pub(super) fn ids_after(ids: &RoaringTreemap, after: u64) -> impl Iterator<Item = u64> + '_ {
    let mut above = ids.iter();
    above.advance_to(after.saturating_add(1));
    above
}
