//! The few building blocks of every stream: counts, names, runs and bit maps.

use crate::error::{Error, Result};
use crate::varint::{self, Reader};
use crate::wire::limits::MAX_NAME_BYTES;

/// Appends a count, unless it exceeds its limit.
///
/// # Errors
/// It does.
pub fn put_count(out: &mut Vec<u8>, count: usize, what: &str, limit: usize) -> Result<()> {
    if count > limit {
        return Err(Error::limit(what, limit));
    }
    varint::put_u64(out, count as u64);
    Ok(())
}

/// Reads a count of things that take at least `least` bytes each, so that whoever allocates for
/// them allocates in proportion to what is there.
///
/// # Errors
/// The count exceeds its limit, or what the rest of the input can hold.
pub fn count(input: &mut Reader<'_>, least: usize, what: &str, limit: usize) -> Result<usize> {
    let offset = input.offset();
    let claimed = input.u64()?;
    let count = usize::try_from(claimed).ok().filter(|count| *count <= limit);
    let count = count.ok_or_else(|| Error::limit(what, limit))?;
    check_room(input, offset, count, least)?;
    Ok(count)
}

/// Checks that `count` things of at least `least` bytes each may follow.
///
/// # Errors
/// The input is too short for them.
pub fn check_room(input: &Reader<'_>, offset: usize, count: usize, least: usize) -> Result<()> {
    if count > input.remaining() / least.max(1) {
        return Err(Error::malformed(offset, "more is claimed than the rest of the message can hold"));
    }
    Ok(())
}

/// Appends a name of a table or column.
///
/// # Errors
/// It is longer than [`MAX_NAME_BYTES`].
pub fn put_name(out: &mut Vec<u8>, name: &str) -> Result<()> {
    put_text(out, name, "a name of a table or column, in bytes,", MAX_NAME_BYTES)
}

/// Reads a name of a table or column.
///
/// # Errors
/// It is cut short, too long, or not UTF-8.
pub fn name(input: &mut Reader<'_>) -> Result<String> {
    text(input, "a name of a table or column, in bytes,", MAX_NAME_BYTES)
}

/// Appends a text of limited length.
///
/// # Errors
/// It is longer than the limit.
pub fn put_text(out: &mut Vec<u8>, text: &str, what: &str, limit: usize) -> Result<()> {
    put_count(out, text.len(), what, limit)?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Reads a text of limited length.
///
/// # Errors
/// It is cut short, too long, or not UTF-8.
pub fn text(input: &mut Reader<'_>, what: &str, limit: usize) -> Result<String> {
    let length = count(input, 1, what, limit)?;
    let offset = input.offset();
    match std::str::from_utf8(input.take(length)?) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Error::malformed(offset, "text is not UTF-8")),
    }
}

/// Appends numbers as runs: each value once, and how often it follows itself.
pub fn put_runs(out: &mut Vec<u8>, values: impl IntoIterator<Item = u64>) {
    let mut run: Option<(u64, u64)> = None;
    for value in values {
        match &mut run {
            Some((present, times)) if *present == value => *times += 1,
            _ => {
                flush_run(out, run);
                run = Some((value, 1));
            }
        }
    }
    flush_run(out, run);
}

fn flush_run(out: &mut Vec<u8>, run: Option<(u64, u64)>) {
    if let Some((value, times)) = run {
        varint::put_u64(out, value);
        varint::put_u64(out, times);
    }
}

/// Reads runs that make `total` numbers together, and gives each run (offset, value, how often) to
/// `each`.
///
/// # Errors
/// A run is empty or too long, the input is cut short, or `each` refuses a value.
pub fn runs(
    input: &mut Reader<'_>,
    total: usize,
    mut each: impl FnMut(usize, u64, usize) -> Result<()>,
) -> Result<()> {
    let mut left = total;
    while left > 0 {
        let offset = input.offset();
        let value = input.u64()?;
        let times = usize::try_from(input.u64()?).ok().filter(|times| (1..=left).contains(times));
        let times = times.ok_or_else(|| Error::malformed(offset, "a run is empty or too long"))?;
        each(offset, value, times)?;
        left -= times;
    }
    Ok(())
}

/// Which of a number of things are meant.
#[derive(Clone, Copy, Debug)]
pub enum Subset<'a> {
    /// Every one.
    All,
    /// Not one.
    None,
    /// Those whose bit is set, least significant bit first.
    Map(&'a [u8]),
}

const SUBSET_ALL: u8 = 0;
const SUBSET_NONE: u8 = 1;
const SUBSET_MAP: u8 = 2;

/// Appends a subset of `total` things: the indexes of its `count` members, ascending.
pub fn put_subset(out: &mut Vec<u8>, total: usize, count: usize, members: impl Iterator<Item = usize>) {
    if count == total {
        out.push(SUBSET_ALL);
    } else if count == 0 {
        out.push(SUBSET_NONE);
    } else {
        out.push(SUBSET_MAP);
        let start = out.len();
        out.resize(start + total.div_ceil(8), 0);
        for index in members {
            if let Some(byte) = out.get_mut(start + index / 8) {
                *byte |= 1 << (index % 8);
            }
        }
    }
}

impl<'a> Subset<'a> {
    /// Reads a subset of `total` things.
    ///
    /// # Errors
    /// It is cut short, of no known form, or has a bit beyond the last thing.
    pub fn read(input: &mut Reader<'a>, total: usize) -> Result<Subset<'a>> {
        let offset = input.offset();
        match input.byte()? {
            SUBSET_ALL => Ok(Subset::All),
            SUBSET_NONE => Ok(Subset::None),
            SUBSET_MAP => {
                let map = input.take(total.div_ceil(8))?;
                let used = total % 8;
                if used != 0 && map.last().is_some_and(|last| last >> used != 0) {
                    return Err(Error::malformed(offset, "a bit map has a bit beyond its end"));
                }
                Ok(Subset::Map(map))
            }
            _ => Err(Error::malformed(offset, "a subset has an unknown form")),
        }
    }

    /// Whether the thing of that index is meant.
    pub fn contains(&self, index: usize) -> bool {
        match self {
            Subset::All => true,
            Subset::None => false,
            Subset::Map(map) => map.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1),
        }
    }

    /// How many of `total` things are meant.
    pub fn count(&self, total: usize) -> usize {
        match self {
            Subset::All => total,
            Subset::None => 0,
            Subset::Map(map) => map.iter().map(|byte| byte.count_ones() as usize).sum(),
        }
    }
}
