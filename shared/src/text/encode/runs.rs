//! Runs: where each begins, how long it is, and its state.

use crate::error::{Error, Result};
use crate::id::SiteOrdinal;
use crate::text::document::Document;
use crate::text::encode::number::{Ordinals, bounded, index, length, put_stamp, read_stamp};
use crate::text::limits::MAX_BLOCKS;
use crate::text::run::{Run, Runs, State};
use crate::text::tree::Tree;
use crate::varint::{self, Reader};

/// What the first number of a run says, beside the distance to its waypoint.
mod run_flag {
    pub(super) const DELETED: u64 = 1;
    pub(super) const SINGLE: u64 = 2;
    pub(super) const CONTENT: u64 = 4 + 8;
    pub(super) const BITS: u32 = 4;
}

/// The stamp of a run's content, in two bits.
mod content {
    pub(super) const OF_EPOCH: u64 = 0;
    pub(super) const OF_WAYPOINT: u64 = 4;
    pub(super) const OF_LAST: u64 = 8;
    pub(super) const WRITTEN: u64 = 12;
}

/// The stamp that runs of a waypoint mostly have: that of its making.
fn birth(tree: &Tree<SiteOrdinal>, waypoint: u32, epoch: Ordinals) -> Ordinals {
    tree.get(waypoint).map_or(epoch, |node| node.birth)
}

pub(super) fn put_runs(out: &mut Vec<u8>, document: &Document<SiteOrdinal>, last: &mut Ordinals) {
    let runs = document.runs.as_slice();
    varint::put_u64(out, runs.len() as u64);
    let mut expected = vec![0i64; document.tree.waypoints().len() + 1];
    let mut waypoint = 0i64;
    for run in runs {
        let state = run.state;
        let how = match state.content {
            stamp if stamp == document.epoch => content::OF_EPOCH,
            stamp if stamp == birth(&document.tree, run.waypoint, document.epoch) => content::OF_WAYPOINT,
            stamp if stamp == *last => content::OF_LAST,
            _ => content::WRITTEN,
        };
        let single = if run.count == 1 { run_flag::SINGLE } else { 0 };
        let deleted = if state.is_alive() { 0 } else { run_flag::DELETED };
        let step = varint::zigzag(i64::from(run.waypoint) - waypoint);
        varint::put_u64(out, step << run_flag::BITS | how | single | deleted);
        waypoint = i64::from(run.waypoint);
        if let Some(expected) = expected.get_mut(run.waypoint as usize) {
            varint::put_i64(out, run.start.wrapping_sub(*expected));
            *expected = run.end();
        }
        if single == 0 {
            varint::put_u64(out, run.count as u64);
        }
        if how == content::WRITTEN {
            put_stamp(out, state.content, last);
        }
        if let Some(deleted) = state.deleted {
            put_stamp(out, deleted, last);
        }
    }
}

pub(super) fn read_runs(
    input: &mut Reader<'_>,
    tree: &Tree<SiteOrdinal>,
    epoch: Ordinals,
    last: &mut Ordinals,
) -> Result<Runs<SiteOrdinal>> {
    let total = bounded(input, 2, "the number of runs of a text", MAX_BLOCKS)?;
    let mut runs = Runs::default();
    let mut expected = vec![0i64; tree.waypoints().len() + 1];
    let mut waypoint = 0i64;
    for _ in 0..total {
        let offset = input.offset();
        let head = input.u64()?;
        waypoint = waypoint.wrapping_add(varint::unzigzag(head >> run_flag::BITS));
        let number = u32::try_from(waypoint).ok().filter(|number| tree.contains(*number));
        let number = number.ok_or_else(|| Error::malformed(offset, "a run of lines is at no known place"))?;
        let expected = expected
            .get_mut(number as usize)
            .ok_or_else(|| Error::malformed(offset, "a run of lines is at no known place"))?;
        let start = index(input.offset(), expected.wrapping_add(input.i64()?))?;
        let count = if head & run_flag::SINGLE != 0 { 1 } else { length(input)? };
        if count == 0 || count > MAX_BLOCKS {
            return Err(Error::malformed(input.offset(), "a run of lines has an impossible length"));
        }
        let content = match head & run_flag::CONTENT {
            content::OF_EPOCH => epoch,
            content::OF_WAYPOINT => birth(tree, number, epoch),
            content::OF_LAST => *last,
            _ => read_stamp(input, last)?,
        };
        let deleted = match head & run_flag::DELETED {
            0 => None,
            _ => Some(read_stamp(input, last)?),
        };
        let run = Run { waypoint: number, start, count, state: State { content, deleted } };
        index(input.offset(), run.end())?;
        *expected = run.end();
        runs.push(run);
    }
    Ok(runs)
}
