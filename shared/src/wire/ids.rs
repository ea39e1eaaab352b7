//! Sets of row ids by table: runs of consecutive ids, as gaps and lengths.

use roaring::RoaringTreemap;

use crate::error::{Error, Result};
use crate::id::RowId;
use crate::varint::{self, Reader};
use crate::wire::allowance::Allowance;
use crate::wire::limits::{MAX_ID_RUNS, MAX_TABLES};
use crate::wire::stream;

/// The greatest row id: both engines store signed integers.
const MAX_ROW_ID: u64 = i64::MAX as u64;

/// Ids of one block differ in so many of their last bits only: the unit in which a set is held.
const BLOCK_BITS: u32 = 16;

/// Checks that a row id is one that a server may mint.
///
/// # Errors
/// It is 0 or greater than the greatest signed integer.
pub fn check_row_id(offset: usize, id: u64) -> Result<RowId> {
    if (1..=MAX_ROW_ID).contains(&id) {
        return Ok(RowId(id));
    }
    Err(Error::malformed(offset, "a row id is not between 1 and the greatest signed integer"))
}

/// As [`check_row_id`], for a row id that is to be written.
///
/// # Errors
/// As there.
pub fn check_own_row_id(id: RowId) -> Result<u64> {
    match check_row_id(0, id.0) {
        Ok(id) => Ok(id.0),
        Err(_) => Err(Error::invalid_input(format!("the row id {} is not between 1 and {MAX_ROW_ID}", id.0))),
    }
}

/// Checks the row id after which a download goes on: 0 stands for the start of the table.
///
/// # Errors
/// It is greater than the greatest signed integer.
pub fn check_progress(offset: usize, id: u64) -> Result<RowId> {
    if id == 0 { Ok(RowId(0)) } else { check_row_id(offset, id) }
}

/// As [`check_progress`], for a row id that is to be written.
///
/// # Errors
/// As there.
pub fn check_own_progress(id: RowId) -> Result<u64> {
    if id == RowId(0) { Ok(0) } else { check_own_row_id(id) }
}

/// Appends ids as distances, each from the one before.
///
/// # Errors
/// One is no row id.
pub fn put_ids(out: &mut Vec<u8>, ids: impl Iterator<Item = RowId>) -> Result<()> {
    let mut before = 0u64;
    for id in ids {
        let id = check_own_row_id(id)?;
        varint::put_i64(out, id.wrapping_sub(before) as i64);
        before = id;
    }
    Ok(())
}

/// Reads `count` ids that [`put_ids`] wrote.
///
/// # Errors
/// The input is cut short, or one is no row id.
pub fn ids(input: &mut Reader<'_>, count: usize) -> Result<Vec<RowId>> {
    stream::check_room(input, input.offset(), count, 1)?;
    let mut ids = Vec::with_capacity(count);
    let mut id = 0u64;
    for _ in 0..count {
        let offset = input.offset();
        id = id.wrapping_add(input.i64()? as u64);
        ids.push(check_row_id(offset, id)?);
    }
    Ok(ids)
}

/// Appends one set for each table.
///
/// # Errors
/// A limit is exceeded, or a set holds what is no row id.
pub fn put_sets(out: &mut Vec<u8>, sets: &[(String, RoaringTreemap)]) -> Result<()> {
    let mut allowance = Allowance::default();
    stream::put_count(out, sets.len(), "the number of tables in one message", MAX_TABLES)?;
    for (table, set) in sets {
        stream::put_name(out, table)?;
        put_set(out, set, &mut allowance)?;
    }
    Ok(())
}

fn put_set(out: &mut Vec<u8>, set: &RoaringTreemap, allowance: &mut Allowance) -> Result<()> {
    allowance.take_ids(set.len())?;
    for bound in [set.min(), set.max()].into_iter().flatten() {
        check_own_row_id(RowId(bound))?;
    }
    // Runs as (ids not held before it, ids held).
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut next = 0u64;
    for id in set {
        match runs.last_mut() {
            Some((_, length)) if id == next => *length += 1,
            _ => runs.push((id - next, 1)),
        }
        next = id + 1;
    }
    allowance.take_id_runs(runs.len())?;
    check_blocks(&runs, allowance)?;
    varint::put_u64(out, runs.len() as u64);
    runs.iter().for_each(|(gap, _)| varint::put_u64(out, *gap));
    runs.iter().for_each(|(_, length)| varint::put_u64(out, length - 1));
    Ok(())
}

/// Uses up the blocks that runs have ids in.
fn check_blocks(runs: &[(u64, u64)], allowance: &mut Allowance) -> Result<()> {
    let (mut next, mut block) = (0u64, None);
    for (gap, length) in runs {
        let (first, last) = (next + gap, next + gap + length - 1);
        take_blocks(first, last, &mut block, allowance)?;
        next = last + 1;
    }
    Ok(())
}

/// Uses up the blocks from one id to another; `block` is the last one used up before.
fn take_blocks(first: u64, last: u64, block: &mut Option<u64>, allowance: &mut Allowance) -> Result<()> {
    let (from, to) = (first >> BLOCK_BITS, last >> BLOCK_BITS);
    let new = to - from + u64::from(*block != Some(from));
    *block = Some(to);
    allowance.take_id_blocks(usize::try_from(new).unwrap_or(usize::MAX))
}

/// Reads what [`put_sets`] wrote.
///
/// # Errors
/// The input is cut short, exceeds a limit, or holds what is no row id.
pub fn sets(input: &mut Reader<'_>) -> Result<Vec<(String, RoaringTreemap)>> {
    let mut allowance = Allowance::default();
    let count = stream::count(input, 2, "the number of tables in one message", MAX_TABLES)?;
    let mut sets = Vec::with_capacity(count);
    for _ in 0..count {
        let table = stream::name(input)?;
        sets.push((table, read_set(input, &mut allowance)?));
    }
    Ok(sets)
}

fn read_set(input: &mut Reader<'_>, allowance: &mut Allowance) -> Result<RoaringTreemap> {
    let count = stream::count(input, 2, "the number of runs of row ids in one message", MAX_ID_RUNS)?;
    allowance.take_id_runs(count)?;
    let mut gaps = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = input.offset();
        let gap = input.u64()?;
        if gap == 0 {
            return Err(Error::malformed(
                offset,
                "a run of row ids begins where the one before ends, or at 0",
            ));
        }
        gaps.push(gap);
    }
    let mut set = RoaringTreemap::new();
    let (mut next, mut block) = (0u64, None);
    for gap in gaps {
        let offset = input.offset();
        let more = input.u64()?;
        let first = next.checked_add(gap);
        let last = first.and_then(|first| first.checked_add(more)).filter(|last| *last <= MAX_ROW_ID);
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Error::malformed(offset, "a row id is greater than the greatest signed integer"));
        };
        allowance.take_ids(more.saturating_add(1))?;
        take_blocks(first, last, &mut block, allowance)?;
        set.insert_range(first..=last);
        next = last + 1;
    }
    Ok(set)
}
