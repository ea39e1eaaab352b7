//! The lines of cells of text that were edited by line.

use crate::change::{RowChange, TextChange, TextOutcome};
use crate::error::{Error, Result};
use crate::id::SiteId;
use crate::text::TextDelta;
use crate::varint::{self, Reader};
use crate::wire::allowance::Allowance;
use crate::wire::limits::{MAX_BODY_BYTES, MAX_CELLS};
use crate::wire::stream;

const TEXTS: &str = "the number of texts in one message";
const TEXT: &str = "the lines of one text, in bytes,";

/// Appends what rows tell of lines.
///
/// # Errors
/// A text belongs to no cell of its row, or there are too many.
pub fn put(out: &mut Vec<u8>, rows: &[RowChange]) -> Result<()> {
    let told = rows.iter().enumerate().flat_map(|(index, row)| {
        let texts = row.texts.iter().filter_map(|text| Some((text.column, text.delta.as_ref()?)));
        texts.map(move |(column, delta)| (index, row, column, delta))
    });
    stream::put_count(out, told.clone().count(), TEXTS, MAX_CELLS)?;
    for (index, row, column, delta) in told {
        if !has_cell(row, column) {
            return Err(Error::invalid_input("a changed row tells lines of a cell that it does not tell"));
        }
        varint::put_u64(out, index as u64);
        varint::put_u64(out, column as u64);
        let bytes = delta.to_bytes();
        stream::put_count(out, bytes.len(), TEXT, MAX_BODY_BYTES)?;
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

/// Reads what [`put`] wrote, into the rows with their cells.
///
/// # Errors
/// The input is cut short, exceeds a limit, or is not what [`put`] writes.
pub fn read(input: &mut Reader<'_>, rows: &mut [RowChange], allowance: &mut Allowance) -> Result<()> {
    let count = stream::count(input, 3, TEXTS, MAX_CELLS)?;
    allowance.take_cells(count)?;
    for _ in 0..count {
        let offset = input.offset();
        let row = usize::try_from(input.u64()?).ok().and_then(|index| rows.get_mut(index));
        let column = usize::try_from(input.u64()?).unwrap_or(usize::MAX);
        let row = row.filter(|row| has_cell(row, column) && row.text(column).is_none());
        let row = row.ok_or_else(|| Error::malformed(offset, "lines belong to no cell, or to one twice"))?;
        let length = stream::count(input, 1, TEXT, MAX_BODY_BYTES)?;
        let delta = TextDelta::<SiteId>::from_bytes(input.take(length)?)?;
        row.texts.push(TextChange { column, delta: Some(delta), outcome: TextOutcome::Open });
    }
    Ok(())
}

fn has_cell(row: &RowChange, column: usize) -> bool {
    row.cells.binary_search_by_key(&column, |cell| cell.column).is_ok()
}
