//! Which rows of a request stand or fall together: a byte if there are none, else runs of numbers.

use crate::change::ChangeBatch;
use crate::error::{Error, Result};
use crate::varint::Reader;
use crate::wire::stream;

const NONE: u8 = 0;
const BY_TABLE: u8 = 1;

/// Appends the numbers of the rows' groups, as [`crate::message::PushRequest::groups`] holds them.
///
/// # Errors
/// They do not fit the rows, or a number is higher than there are rows.
pub fn put(out: &mut Vec<u8>, changes: &ChangeBatch, groups: &[Vec<u32>]) -> Result<()> {
    if groups.is_empty() {
        out.push(NONE);
        return Ok(());
    }
    let lengths = changes.tables.iter().map(|table| table.rows.len());
    let highest = changes.row_count() as u64;
    let in_range = |numbers: &Vec<u32>| numbers.iter().all(|number| u64::from(*number) <= highest);
    if !lengths.eq(groups.iter().map(Vec::len)) || !groups.iter().all(in_range) {
        return Err(Error::invalid_input("the groups of a push request do not fit its rows"));
    }
    if is_without(groups) {
        return Err(Error::invalid_input("the groups of a push request name none"));
    }
    out.push(BY_TABLE);
    for numbers in groups {
        stream::put_runs(out, numbers.iter().map(|number| u64::from(*number)));
    }
    Ok(())
}

/// Reads the groups of the rows of `changes`.
///
/// # Errors
/// The input is cut short or is not what [`put`] writes.
pub fn read(input: &mut Reader<'_>, changes: &ChangeBatch) -> Result<Vec<Vec<u32>>> {
    let offset = input.offset();
    match input.byte()? {
        NONE => return Ok(Vec::new()),
        BY_TABLE => (),
        _ => return Err(Error::malformed(offset, "the groups have an unknown form")),
    }
    let highest = changes.row_count() as u64;
    let mut groups = Vec::with_capacity(changes.tables.len());
    for table in &changes.tables {
        let mut numbers = Vec::with_capacity(table.rows.len());
        stream::runs(input, table.rows.len(), |offset, number, times| {
            let number = Some(number).filter(|number| *number <= highest);
            let number = number.and_then(|number| u32::try_from(number).ok());
            let number =
                number.ok_or_else(|| Error::malformed(offset, "a group has a higher number than rows"))?;
            numbers.resize(numbers.len() + times, number);
            Ok(())
        })?;
        groups.push(numbers);
    }
    if is_without(&groups) {
        return Err(Error::malformed(offset, "the groups name none"));
    }
    Ok(groups)
}

fn is_without(groups: &[Vec<u32>]) -> bool {
    groups.iter().flatten().all(|number| *number == 0)
}
