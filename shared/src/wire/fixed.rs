//! Streams of things of one fixed width (UUIDs, floats): as byte planes, or as a dictionary.
//!
//! Planes put all first bytes together, then all second bytes, and so on: the leading bytes of
//! time-ordered UUIDs and of floats are alike, and next to one another they compress away. Things
//! that repeat, such as foreign keys, are written once each and then named by their index.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::varint::{self, Reader};
use crate::wire::stream;

const PLANES: u8 = 0;
const DICTIONARY: u8 = 1;

/// A dictionary is tried only if at most half of so many first things differ.
const SAMPLE: usize = 1024;

/// Below this many things a dictionary saves nothing worth having.
const MIN_DICTIONARY: usize = 16;

/// Appends things of `N` bytes as planes.
pub fn put_planes<const N: usize>(out: &mut Vec<u8>, items: &[[u8; N]]) {
    out.reserve(items.len() * N);
    for plane in 0..N {
        out.extend(items.iter().map(|item| item.get(plane).copied().unwrap_or_default()));
    }
}

/// Reads `count` things of `N` bytes from planes.
///
/// # Errors
/// The input is cut short.
pub fn planes<const N: usize>(input: &mut Reader<'_>, count: usize) -> Result<Vec<[u8; N]>> {
    stream::check_room(input, input.offset(), count, N)?;
    let mut items = vec![[0u8; N]; count];
    for plane in 0..N {
        for (item, byte) in items.iter_mut().zip(input.take(count)?) {
            if let Some(slot) = item.get_mut(plane) {
                *slot = *byte;
            }
        }
    }
    Ok(items)
}

/// Appends things of `N` bytes in the form that suits them.
pub fn put<const N: usize>(out: &mut Vec<u8>, items: &[[u8; N]]) {
    match dictionary(items) {
        Some((distinct, indexes)) => {
            out.push(DICTIONARY);
            varint::put_u64(out, distinct.len() as u64);
            put_planes(out, &distinct);
            indexes.into_iter().for_each(|index| varint::put_u64(out, u64::from(index)));
        }
        None => {
            out.push(PLANES);
            put_planes(out, items);
        }
    }
}

/// The different things in the order of their first use, and each thing's index among them; `None`
/// if more than half of the things differ.
fn dictionary<const N: usize>(items: &[[u8; N]]) -> Option<(Vec<[u8; N]>, Vec<u32>)> {
    if items.len() < MIN_DICTIONARY {
        return None;
    }
    let mut distinct = Vec::new();
    let mut indexes = Vec::with_capacity(items.len());
    let mut known: HashMap<[u8; N], u32> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        let looked_at = if at < SAMPLE { items.len().min(SAMPLE) } else { items.len() };
        let index = *known.entry(*item).or_insert_with(|| {
            distinct.push(*item);
            (distinct.len() - 1) as u32
        });
        if distinct.len() > looked_at / 2 {
            return None;
        }
        indexes.push(index);
    }
    Some((distinct, indexes))
}

/// Reads `count` things that [`put`] wrote.
///
/// # Errors
/// The input is cut short, of no known form, or names a thing that is not in the dictionary.
pub fn read<const N: usize>(input: &mut Reader<'_>, count: usize) -> Result<Vec<[u8; N]>> {
    let offset = input.offset();
    match input.byte()? {
        PLANES => planes(input, count),
        DICTIONARY => {
            let size = stream::count(input, N, "a dictionary", count)?;
            let distinct: Vec<[u8; N]> = planes(input, size)?;
            stream::check_room(input, offset, count, 1)?;
            let mut items = Vec::with_capacity(count);
            for _ in 0..count {
                let offset = input.offset();
                let index = usize::try_from(input.u64()?).ok();
                let item = index.and_then(|index| distinct.get(index));
                items.push(
                    *item.ok_or_else(|| Error::malformed(offset, "an index is not in its dictionary"))?,
                );
            }
            Ok(items)
        }
        _ => Err(Error::malformed(offset, "values of fixed width have an unknown form")),
    }
}
