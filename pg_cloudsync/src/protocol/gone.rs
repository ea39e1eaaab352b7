//! Which of the rows that a device holds are gone: deleted, or not for the caller's eyes.

use cloudsync_shared::message::{GoneReply, GoneRequest};
use roaring::RoaringTreemap;

use super::cursor::touched_since;
use super::horizon::horizon;
use super::rows::{clocks_of, visible_values};
use super::spi::Mode;
use super::table::{Table, find_tables};
use crate::error::{PgError, SqlState};
use crate::settings;

/// The most ids in one request.
const MAX_HELD: u64 = 20_000_000;
/// How many consecutive ids are looked at together where one of them was touched.
const BLOCK: u64 = 1 << 16;
/// Ids looked at in one step: few statements, bounded memory.
const STEP: usize = 20_000;

/// Answers which rows are gone.
///
/// A table that is not synced any more is left out of the answer: nothing is known of its rows.
///
/// # Errors
/// The request is too large, its snapshot cannot be read, or the database failed.
pub(super) fn gone(request: &GoneRequest) -> Result<GoneReply, PgError> {
    let mode = Mode::Read;
    let epoch = settings::epoch()?;
    if request.epoch != epoch {
        return Ok(GoneReply { epoch, gone: Vec::new() });
    }
    let held = request.held.iter().fold(0u64, |sum, (_, ids)| sum.saturating_add(ids.len()));
    if held > MAX_HELD {
        let message =
            format!("the request names {held} rows, more than the {MAX_HELD} allowed: ask by table");
        return Err(PgError::new(SqlState::LIMIT_EXCEEDED, message));
    }
    // The asker's own pushes count too: it may have pushed a row out of its own sight.
    // Of one whose cursor is too old, all rows are looked at.
    let from = match horizon(mode, request.from.as_ref())?.is_past {
        true => None,
        false => request.from.as_ref(),
    };
    let touched = from.map(|from| touched_since(mode, from, None)).transpose()?;
    let names: Vec<String> = request.held.iter().map(|(name, _)| name.clone()).collect();
    let tables = find_tables(mode, Some(&names))?;
    let mut gone = Vec::new();
    for (name, held) in &request.held {
        let Some(table) = tables.iter().find(|table| table.schema.name == *name) else { continue };
        let candidates = match &touched {
            None => held.clone(),
            Some(touched) => touched.get(&table.id).map_or_else(RoaringTreemap::new, |ids| near(held, ids)),
        };
        let found = gone_of(mode, table, candidates)?;
        if !found.is_empty() {
            gone.push((name.clone(), found));
        }
    }
    Ok(GoneReply { epoch, gone })
}

/// The held ids that share a block with a touched one. Looking at the touched ones alone would tell someone
/// who claims to hold every id which hidden rows were written, and how many; so all that is told is whether
/// any row of a block was.
fn near(held: &RoaringTreemap, touched: &RoaringTreemap) -> RoaringTreemap {
    let mut blocks = RoaringTreemap::new();
    let mut rest = touched.iter();
    while let Some(id) = rest.next() {
        let first = id - id % BLOCK;
        let last = first.saturating_add(BLOCK - 1);
        blocks.insert_range(first..=last);
        match last.checked_add(1) {
            Some(next) => rest.advance_to(next),
            None => break,
        }
    }
    blocks & held
}

fn gone_of(mode: Mode, table: &Table, candidates: RoaringTreemap) -> Result<RoaringTreemap, PgError> {
    if !table.can_select() {
        return Ok(candidates);
    }
    let mut gone = candidates.clone();
    let mut rest = candidates.iter();
    loop {
        let ids: Vec<u64> = rest.by_ref().take(STEP).collect();
        if ids.is_empty() {
            return Ok(gone);
        }
        let mut rows = clocks_of(mode, table, &ids)?;
        rows.retain(|row| row.clock.length.is_alive());
        let keys: Vec<&[_]> = rows.iter().map(|row| row.keys.as_slice()).collect();
        for (index, _) in visible_values(mode, table, &keys, &[])? {
            if let Some(row) = rows.get(index) {
                gone.remove(row.row_id);
            }
        }
    }
}
