//! What is new for a device: a page of whole rows that the caller may see.

use std::collections::BTreeMap;

use cloudsync_shared::change::{ChangeBatch, TableChanges};
use cloudsync_shared::id::RowId;
use cloudsync_shared::message::{Epoch, Next, Progress, PullReply, PullRequest, Snapshot};
use roaring::RoaringTreemap;

use super::cursor::{present, touched_since};
use super::rows::{ClockRow, clocks_after, clocks_of, size_of, visible_changes};
use super::sites::SiteNames;
use super::spi::Mode;
use super::table::{Table, find_tables};
use crate::error::PgError;
use crate::settings;

/// The most bytes of values in one page, whatever the device asks for.
const MAX_PAGE_BYTES: usize = 32 << 20;
/// The most rows looked at for one page: bounds its time where few of them are visible.
const MAX_ROWS_LOOKED_AT: usize = 100_000;
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
    if !is_of_this_life {
        let next = Next::Done(Snapshot(String::new()));
        return Ok(PullReply { epoch, server_time, changes: ChangeBatch::default(), hidden: false, next });
    }
    let until = match &request.progress {
        Some(progress) => progress.until.clone(),
        None => present(mode)?,
    };
    let tables: Vec<Table> =
        find_tables(mode, Some(&request.tables))?.into_iter().filter(Table::can_select).collect();
    let touched = match &request.from {
        None => None,
        Some(from) => Some(touched_since(mode, from, SiteNames::find(mode, request.site)?)?),
    };
    let mut page = Page::new(request.max_bytes, touched);
    let stopped_at = page.walk(&tables, request.progress.as_ref())?;
    Ok(page.reply(epoch, until, stopped_at))
}

struct Page {
    mode: Mode,
    sites: SiteNames,
    /// The rows to look at, by table; `None`: all of them.
    touched: Option<BTreeMap<i64, RoaringTreemap>>,
    max_bytes: usize,
    bytes: usize,
    looked_at: usize,
    rows: usize,
    changes: ChangeBatch,
    hidden: bool,
}

impl Page {
    fn new(max_bytes: u32, touched: Option<BTreeMap<i64, RoaringTreemap>>) -> Page {
        Page {
            mode: Mode::Read,
            sites: SiteNames::default(),
            touched,
            max_bytes: usize::try_from(max_bytes).unwrap_or(MAX_PAGE_BYTES).min(MAX_PAGE_BYTES),
            bytes: 0,
            looked_at: 0,
            rows: 0,
            changes: ChangeBatch::default(),
            hidden: false,
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
        let mut told = TableChanges { table: table.schema.name.clone(), columns, rows: Vec::new() };
        let mut stopped = None;
        loop {
            let step = self.next_step();
            let candidates = self.candidates(table, after, step)?;
            let Some(last) = candidates.last else { break };
            let changes = visible_changes(self.mode, table, &mut self.sites, &candidates.rows)?;
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

    fn candidates(&self, table: &Table, after: u64, step: usize) -> Result<Candidates, PgError> {
        let Some(touched) = &self.touched else {
            let rows = clocks_after(self.mode, table, after, step)?;
            return Ok(Candidates { asked: rows.len(), last: rows.last().map(|row| row.row_id), rows });
        };
        let ids: Vec<u64> = match touched.get(&table.id) {
            Some(ids) => ids_after(ids, after).take(step).collect(),
            None => Vec::new(),
        };
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

    fn reply(self, epoch: Epoch, until: Snapshot, stopped_at: Option<(String, u64)>) -> PullReply {
        let next = match stopped_at {
            Some((table, after)) => Next::More(Progress { until, table, after: RowId(after) }),
            None => Next::Done(until),
        };
        PullReply { epoch, server_time: settings::now(), changes: self.changes, hidden: self.hidden, next }
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
