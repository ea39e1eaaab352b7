//! The values of one column: which are NULL, the tags of the others as runs, then each tag's
//! values packed together.

use crate::error::{Error, Result};
use crate::value::{Tag, Value, canonical_bits, parse_canonical_uuid, uuid_text};
use crate::varint::{self, Reader};
use crate::wire::stream::{self, Subset};
use crate::wire::{fixed, integers};

const NULLS_NONE: u8 = 0;
const NULLS_MAP: u8 = 1;

/// One column's values, sorted by tag.
#[derive(Default)]
struct Sorted<'a> {
    tags: Vec<Tag>,
    integers: Vec<i64>,
    reals: Vec<[u8; 8]>,
    texts: Vec<&'a [u8]>,
    blobs: Vec<&'a [u8]>,
    uuids: Vec<[u8; 16]>,
}

impl<'a> Sorted<'a> {
    fn push(&mut self, value: &'a Value) {
        let tag = match value {
            Value::Null => return,
            Value::Integer(number) => {
                self.integers.push(*number);
                Tag::Integer
            }
            Value::Real(number) => {
                self.reals.push(canonical_bits(*number).to_le_bytes());
                Tag::Real
            }
            Value::Text(text) => match parse_canonical_uuid(text) {
                Some(bytes) => {
                    self.uuids.push(bytes);
                    Tag::Uuid
                }
                None => {
                    self.texts.push(text.as_bytes());
                    Tag::Text
                }
            },
            Value::Blob(bytes) => {
                self.blobs.push(bytes);
                Tag::Blob
            }
        };
        self.tags.push(tag);
    }
}

/// Appends the values of a column; `count` is how many there are.
pub fn put<'a>(out: &mut Vec<u8>, count: usize, values: impl Iterator<Item = &'a Value> + Clone) {
    let mut sorted = Sorted::default();
    sorted.tags.reserve(count);
    values.clone().for_each(|value| sorted.push(value));
    put_nulls(out, count, count - sorted.tags.len(), values);
    stream::put_runs(out, sorted.tags.iter().map(|tag| *tag as u64));
    if !sorted.integers.is_empty() {
        integers::put(out, &sorted.integers);
    }
    if !sorted.reals.is_empty() {
        fixed::put(out, &sorted.reals);
    }
    put_strings(out, &sorted.texts);
    put_strings(out, &sorted.blobs);
    if !sorted.uuids.is_empty() {
        fixed::put(out, &sorted.uuids);
    }
}

fn put_nulls<'a>(out: &mut Vec<u8>, count: usize, nulls: usize, values: impl Iterator<Item = &'a Value>) {
    if nulls == 0 {
        out.push(NULLS_NONE);
        return;
    }
    out.push(NULLS_MAP);
    let null = values.enumerate().filter(|(_, value)| matches!(value, Value::Null));
    stream::put_bits(out, count, null.map(|(index, _)| index));
}

/// Lengths first, then the bytes of all together.
fn put_strings(out: &mut Vec<u8>, strings: &[&[u8]]) {
    strings.iter().for_each(|string| varint::put_u64(out, string.len() as u64));
    strings.iter().for_each(|string| out.extend_from_slice(string));
}

/// The values of one column by tag, each read already and handed out in order.
struct Packed<'a> {
    integers: std::vec::IntoIter<i64>,
    reals: std::vec::IntoIter<f64>,
    texts: Strings<&'a str>,
    blobs: Strings<&'a [u8]>,
    uuids: std::vec::IntoIter<[u8; 16]>,
}

impl<'a> Packed<'a> {
    /// Reads as many values of each tag as told: integers, reals, texts, blobs, UUIDs.
    fn read(input: &mut Reader<'a>, counts: [usize; 5]) -> Result<Packed<'a>> {
        let [integers, reals, texts, blobs, uuids] = counts;
        Ok(Packed {
            integers: if integers == 0 { Vec::new() } else { integers::read(input, integers)? }.into_iter(),
            reals: if reals == 0 { Vec::new() } else { read_reals(input, reals)? }.into_iter(),
            texts: read_texts(input, texts)?,
            blobs: read_strings(input, blobs)?,
            uuids: if uuids == 0 { Vec::new() } else { fixed::read(input, uuids)? }.into_iter(),
        })
    }

    fn next(&mut self, tag: Tag) -> Option<Value> {
        Some(match tag {
            Tag::Null => return None,
            Tag::Integer => Value::Integer(self.integers.next()?),
            Tag::Real => Value::Real(self.reals.next()?),
            Tag::Text => {
                let (text, end) = self.texts.step()?;
                Value::Text(text.get(end)?.to_owned())
            }
            Tag::Blob => {
                let (bytes, end) = self.blobs.step()?;
                Value::Blob(bytes.get(end)?.to_owned())
            }
            Tag::Uuid => Value::Text(uuid_text(self.uuids.next()?)),
        })
    }
}

/// Strings that lie behind one another, and how long each is.
struct Strings<S> {
    all: S,
    at: usize,
    lengths: std::vec::IntoIter<usize>,
}

impl<S: Copy> Strings<S> {
    /// All strings, and where in them the next one lies.
    fn step(&mut self) -> Option<(S, std::ops::Range<usize>)> {
        let start = self.at;
        self.at = start.checked_add(self.lengths.next()?)?;
        Some((self.all, start..self.at))
    }
}

fn read_strings<'a>(input: &mut Reader<'a>, count: usize) -> Result<Strings<&'a [u8]>> {
    let offset = input.offset();
    stream::check_room(input, offset, count, 1)?;
    let mut lengths = Vec::with_capacity(count);
    let mut total = 0usize;
    for _ in 0..count {
        let length = usize::try_from(input.u64()?).ok();
        let sum = length.and_then(|length| total.checked_add(length));
        total = sum.ok_or_else(|| Error::malformed(offset, "a value is longer than the message"))?;
        lengths.push(length.unwrap_or_default());
    }
    Ok(Strings { all: input.take(total)?, at: 0, lengths: lengths.into_iter() })
}

/// Texts are checked all at once; that each one ends between characters is seen when it is cut out.
fn read_texts<'a>(input: &mut Reader<'a>, count: usize) -> Result<Strings<&'a str>> {
    let Strings { all, at, lengths } = read_strings(input, count)?;
    let offset = input.offset() - all.len();
    let all = std::str::from_utf8(all).map_err(|_| Error::malformed(offset, "text is not UTF-8"))?;
    Ok(Strings { all, at, lengths })
}

fn read_reals(input: &mut Reader<'_>, count: usize) -> Result<Vec<f64>> {
    let offset = input.offset();
    let read = |bytes: [u8; 8]| {
        let number = f64::from_bits(u64::from_le_bytes(bytes));
        let canonical = canonical_bits(number) == number.to_bits();
        canonical.then_some(number).ok_or_else(|| Error::malformed(offset, "a NaN is not the canonical one"))
    };
    fixed::read(input, count)?.into_iter().map(read).collect()
}

fn read_nulls<'a>(input: &mut Reader<'a>, count: usize) -> Result<Subset<'a>> {
    let offset = input.offset();
    match input.byte()? {
        NULLS_NONE => Ok(Subset::None),
        NULLS_MAP => Subset::read_bits(input, count),
        _ => Err(Error::malformed(offset, "the NULLs of a column have an unknown form")),
    }
}

/// Reads the `count` values of a column.
///
/// # Errors
/// The input is cut short or is not what [`put`] writes.
pub fn read(input: &mut Reader<'_>, count: usize) -> Result<Vec<Value>> {
    let nulls = read_nulls(input, count)?;
    let mut tags: Vec<(Tag, usize)> = Vec::new();
    let mut counts = [0usize; Tag::Uuid as usize + 1];
    stream::runs(input, count - nulls.count(count), |offset, byte, times| {
        let tag = u8::try_from(byte).ok().and_then(Tag::from_byte).filter(|tag| *tag != Tag::Null);
        let tag = tag.ok_or_else(|| Error::malformed(offset, "unknown value tag"))?;
        if let Some(count) = counts.get_mut(tag as usize) {
            *count += times;
        }
        tags.push((tag, times));
        Ok(())
    })?;
    let [_, integers, reals, texts, blobs, uuids] = counts;
    let mut packed = Packed::read(input, [integers, reals, texts, blobs, uuids])?;
    let mut values = Vec::with_capacity(count);
    let mut tags = tags.into_iter().flat_map(|(tag, times)| std::iter::repeat_n(tag, times));
    for index in 0..count {
        let value = if nulls.contains(index) {
            Some(Value::Null)
        } else {
            tags.next().and_then(|tag| packed.next(tag))
        };
        values.push(value.ok_or_else(|| Error::malformed(input.offset(), "a column lacks values"))?);
    }
    Ok(values)
}
