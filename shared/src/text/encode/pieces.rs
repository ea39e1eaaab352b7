//! The contents of blocks: lines one by one, words as one text that is cut again.

use crate::error::{Error, Result};
use crate::text::cuts::Cuts;
use crate::text::delimiter::Delimiter;
use crate::text::encode::cuts::{put_cuts, read_cuts};
use crate::text::encode::number::text;
use crate::text::words;
use crate::varint::{self, Reader};

pub(super) fn put_pieces(out: &mut Vec<u8>, delimiter: &Delimiter, pieces: &[&str]) {
    if !delimiter.is_by_words() {
        pieces.iter().for_each(|piece| varint::put_bytes(out, piece.as_bytes()));
        return;
    }
    let joined = words::join(pieces);
    varint::put_bytes(out, joined.as_bytes());
    let found = if words::is_stable(pieces) { Vec::new() } else { words::cut(&joined) };
    let cuts = if found.is_empty() { Cuts(Vec::new()) } else { Cuts::between(&found, pieces, delimiter) };
    put_cuts(out, &cuts);
}

pub(super) fn read_pieces(
    input: &mut Reader<'_>,
    delimiter: &Delimiter,
    count: usize,
) -> Result<Vec<String>> {
    if !delimiter.is_by_words() {
        return (0..count).map(|_| text(input).map(str::to_owned)).collect();
    }
    let offset = input.offset();
    let joined = text(input)?;
    let cuts = read_cuts(input)?;
    let pieces = cuts.apply(joined, words::cut(joined), delimiter);
    let pieces = pieces.filter(|pieces| pieces.len() == count);
    let pieces =
        pieces.ok_or_else(|| Error::malformed(offset, "a text has not as many words as its clock"))?;
    Ok(pieces.into_iter().map(str::to_owned).collect())
}
