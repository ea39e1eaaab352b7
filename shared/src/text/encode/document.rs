//! A document: its epoch, how the text ends, its waypoints and its runs.

use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::id::SiteOrdinal;
use crate::text::document::{Document, Ending};
use crate::text::encode::cuts::{put_cuts, read_cuts};
use crate::text::encode::number::{length, put_stamp, read_stamp, version};
use crate::text::encode::runs::{put_runs, read_runs};
use crate::text::encode::tree::{put_tree, read_tree};
use crate::text::limits::MAX_DELIMITER_BYTES;
use crate::varint::{self, Reader};

/// Flags of a document.
mod flag {
    pub(super) const COMPLETE: u8 = 1;
    pub(super) const ENDING_KNOWN: u8 = 2;
    pub(super) const ENDING_PRESENT: u8 = 4;
    pub(super) const ENDING_OF_EPOCH: u8 = 8;
    pub(super) const CUTS: u8 = 16;
    pub(super) const ALL: u8 = 31;
}

pub(super) fn put_document(out: &mut Vec<u8>, document: &Document<SiteOrdinal>) {
    varint::put_u64(out, document.epoch.version.0);
    varint::put_u64(out, u64::from(document.epoch.site.0));
    let mut flags = 0;
    let mut set = |condition, flag| flags |= if condition { flag } else { 0 };
    let ending = document.ending;
    set(document.complete, flag::COMPLETE);
    set(ending.is_some(), flag::ENDING_KNOWN);
    set(ending.is_some_and(|ending| ending.length > 0), flag::ENDING_PRESENT);
    set(ending.is_some_and(|ending| ending.stamp == document.epoch), flag::ENDING_OF_EPOCH);
    set(document.cuts.is_some(), flag::CUTS);
    out.push(flags);
    let mut last = document.epoch;
    if let Some(ending) = ending.filter(|ending| ending.length > 0) {
        varint::put_u64(out, ending.length as u64);
    }
    if let Some(ending) = ending.filter(|ending| ending.stamp != document.epoch) {
        put_stamp(out, ending.stamp, &mut last);
    }
    put_tree(out, &document.tree, &mut last);
    put_runs(out, document, &mut last);
    if let Some(cuts) = &document.cuts {
        put_cuts(out, cuts);
    }
}

pub(super) fn read_document(input: &mut Reader<'_>) -> Result<Document<SiteOrdinal>> {
    let epoch = Stamp { version: version(input.offset(), input.u64()?)?, site: SiteOrdinal(input.u32()?) };
    let flags = input.byte()?;
    if flags & !flag::ALL != 0 {
        return Err(Error::unsupported("the clock of a text has flags of a newer version of cloudsync"));
    }
    let mut document = Document::empty(epoch);
    document.complete = flags & flag::COMPLETE != 0;
    let mut last = epoch;
    if flags & flag::ENDING_KNOWN != 0 {
        let length = if flags & flag::ENDING_PRESENT != 0 { length(input)? } else { 0 };
        if length > MAX_DELIMITER_BYTES {
            return Err(Error::limit("the length of a delimiter", MAX_DELIMITER_BYTES));
        }
        let of_epoch = flags & flag::ENDING_OF_EPOCH != 0;
        let stamp = if of_epoch { epoch } else { read_stamp(input, &mut last)? };
        document.ending = Some(Ending { stamp, length });
    }
    document.tree = read_tree(input, &mut last)?;
    document.runs = read_runs(input, &document.tree, epoch, &mut last)?;
    document.check_blocks()?;
    if flags & flag::CUTS != 0 {
        document.cuts = Some(read_cuts(input)?);
    }
    Ok(document)
}
