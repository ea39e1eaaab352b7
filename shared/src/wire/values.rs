//! The values of one column: their tag if it is one for all, otherwise a tag for each, then each
//! tag's values packed together.
//!
//! A NULL has no value, so a column that has one tells a tag for each: then no cell takes less than
//! a byte, and a reader's memory stays in proportion to what it reads.

use crate::error::{Error, Result};
use crate::value::{Tag, Value, canonical_bits, parse_canonical_uuid, uuid_text};
use crate::varint::{self, Reader};
use crate::wire::stream;
use crate::wire::{fixed, integers};

const TAG_OF_ALL: u8 = 0;
const TAG_OF_EACH: u8 = 1;

/// How many tags there are.
const TAGS: usize = Tag::Uuid as usize + 1;

/// One column's values, sorted by tag as they come.
#[derive(Debug, Default)]
pub struct ColumnValues {
    tags: Vec<Tag>,
    integers: Vec<i64>,
    reals: Vec<[u8; 8]>,
    texts: StringStream,
    blobs: StringStream,
    uuids: Vec<[u8; 16]>,
}

impl ColumnValues {
    /// Adds a value.
    pub fn push(&mut self, value: &Value) {
        let tag = match value {
            Value::Null => Tag::Null,
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

    /// Appends the values, of which there is at least one.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_tags(out, &self.tags);
        if !self.integers.is_empty() {
            integers::put(out, &self.integers);
        }
        if !self.reals.is_empty() {
            fixed::put(out, &self.reals);
        }
        self.texts.put(out);
        self.blobs.put(out);
        if !self.uuids.is_empty() {
            fixed::put(out, &self.uuids);
        }
    }
}

/// Strings: the lengths of all, then the bytes of all.
#[derive(Debug, Default)]
struct StringStream {
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

impl StringStream {
    fn push(&mut self, string: &[u8]) {
        varint::put_u64(&mut self.lengths, string.len() as u64);
        self.bytes.extend_from_slice(string);
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lengths);
        out.extend_from_slice(&self.bytes);
    }
}

fn put_tags(out: &mut Vec<u8>, tags: &[Tag]) {
    match tags.first() {
        Some(first) if *first != Tag::Null && tags.iter().all(|tag| tag == first) => {
            out.extend_from_slice(&[TAG_OF_ALL, *first as u8]);
        }
        _ => {
            out.push(TAG_OF_EACH);
            out.extend(tags.iter().map(|tag| *tag as u8));
        }
    }
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
            Tag::Null => Value::Null,
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

/// The tags of a column's values.
enum Tags<'a> {
    All(Tag),
    /// One byte each, known to be tags.
    Each(&'a [u8]),
}

impl<'a> Tags<'a> {
    /// Reads the tags of `count` values, and counts the values of each tag.
    fn read(input: &mut Reader<'a>, count: usize) -> Result<(Tags<'a>, [usize; TAGS])> {
        let offset = input.offset();
        let unknown = || Error::malformed(offset, "unknown value tag");
        let mut counts = [0usize; TAGS];
        let tags = match input.byte()? {
            TAG_OF_ALL => {
                let tag = Tag::from_byte(input.byte()?).filter(|tag| *tag != Tag::Null);
                let tag = tag.ok_or_else(unknown)?;
                *counts.get_mut(tag as usize).ok_or_else(unknown)? = count;
                Tags::All(tag)
            }
            TAG_OF_EACH => {
                let bytes = input.take(count)?;
                for byte in bytes {
                    *counts.get_mut(usize::from(*byte)).ok_or_else(unknown)? += 1;
                }
                Tags::Each(bytes)
            }
            _ => return Err(Error::malformed(offset, "the tags of a column have an unknown form")),
        };
        Ok((tags, counts))
    }

    fn get(&self, index: usize) -> Option<Tag> {
        match self {
            Tags::All(tag) => Some(*tag),
            Tags::Each(bytes) => bytes.get(index).copied().and_then(Tag::from_byte),
        }
    }
}

/// Reads the `count` values of a column.
///
/// # Errors
/// The input is cut short or is not what [`ColumnValues::put`] writes.
pub fn read(input: &mut Reader<'_>, count: usize) -> Result<Vec<Value>> {
    let (tags, counts) = Tags::read(input, count)?;
    let [_, integers, reals, texts, blobs, uuids] = counts;
    let mut packed = Packed::read(input, [integers, reals, texts, blobs, uuids])?;
    let mut values = Vec::with_capacity(count);
    for index in 0..count {
        let value = tags.get(index).and_then(|tag| packed.next(tag));
        values.push(value.ok_or_else(|| Error::malformed(input.offset(), "a text ends within a character"))?);
    }
    Ok(values)
}
