//! Where the lines of a text are, if cutting it would find others.

use crate::error::Result;
use crate::text::cuts::{Cuts, Hunk};
use crate::text::encode::number::{bounded, length};
use crate::text::limits::MAX_BLOCKS;
use crate::varint::{self, Reader};

pub(super) fn put_cuts(out: &mut Vec<u8>, cuts: &Cuts) {
    varint::put_u64(out, cuts.0.len() as u64);
    for hunk in &cuts.0 {
        varint::put_u64(out, hunk.kept as u64);
        varint::put_u64(out, hunk.dropped as u64);
        varint::put_u64(out, hunk.pieces.len() as u64);
        for (gap, length) in &hunk.pieces {
            varint::put_u64(out, *gap as u64);
            varint::put_u64(out, *length as u64);
        }
    }
}

pub(super) fn read_cuts(input: &mut Reader<'_>) -> Result<Cuts> {
    let count = bounded(input, 3, "the number of places where a text is cut otherwise", MAX_BLOCKS)?;
    let mut hunks = Vec::with_capacity(count);
    for _ in 0..count {
        let (kept, dropped) = (length(input)?, length(input)?);
        let count = bounded(input, 2, "the number of lines of a text", MAX_BLOCKS)?;
        let mut pieces = Vec::with_capacity(count);
        for _ in 0..count {
            pieces.push((length(input)?, length(input)?));
        }
        hunks.push(Hunk { kept, dropped, pieces });
    }
    Ok(Cuts(hunks))
}
