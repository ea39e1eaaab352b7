//! What each row has once: key, row id, causal length and the stamp of its life.

use crate::change::RowChange;
use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::{CausalLength, RowId, SiteId};
use crate::key::{Key, MAX_KEY_BYTES};
use crate::value::Tag;
use crate::varint::{self, Reader};
use crate::vector::Past;
use crate::wire::sites::{SiteIndex, Sites};
use crate::wire::stream::{self, Subset};
use crate::wire::{fixed, ids, integers};

const KEYS_BYTES: u8 = 0;
const KEYS_UUID: u8 = 1;
const KEYS_INTEGER: u8 = 2;

/// Appends all that rows have once.
///
/// # Errors
/// A key is too long, or a row id, causal length or version out of its range.
pub fn put(out: &mut Vec<u8>, rows: &[RowChange], sites: &mut SiteIndex) -> Result<()> {
    put_keys(out, rows)?;
    let named = rows.iter().enumerate().filter(|(_, row)| row.row_id.is_some()).map(|(index, _)| index);
    stream::put_subset(out, rows.len(), named.clone().count(), named);
    ids::put_ids(out, rows.iter().filter_map(|row| row.row_id))?;
    if let Some(row) = rows.iter().find(|row| !(1..=CausalLength::MAX.0).contains(&row.length.0)) {
        return Err(Error::invalid_input(format!("the causal length {} is out of range", row.length.0)));
    }
    stream::put_runs(out, rows.iter().map(|row| u64::from(row.length.0)));
    stream::put_runs(out, rows.iter().map(|row| sites.index(row.life.site)));
    let mut before = 0i64;
    for row in rows {
        let version = row.life.version;
        if version > Version::MAX {
            return Err(Error::invalid_input(format!("the version {version:?} is out of range")));
        }
        varint::put_i64(out, version.0 as i64 - before);
        before = version.0 as i64;
    }
    Ok(())
}

fn put_keys(out: &mut Vec<u8>, rows: &[RowChange]) -> Result<()> {
    if let Some(uuids) = rows.iter().map(|row| uuid_key(&row.key)).collect::<Option<Vec<_>>>() {
        out.push(KEYS_UUID);
        fixed::put_planes(out, &uuids);
        return Ok(());
    }
    if let Some(numbers) = rows.iter().map(|row| integer_key(&row.key)).collect::<Option<Vec<_>>>() {
        out.push(KEYS_INTEGER);
        integers::put(out, &numbers);
        return Ok(());
    }
    out.push(KEYS_BYTES);
    for row in rows {
        stream::put_count(out, row.key.0.len(), "a primary key, in bytes,", MAX_KEY_BYTES)?;
    }
    rows.iter().for_each(|row| out.extend_from_slice(&row.key.0));
    Ok(())
}

/// The UUID that is the whole of a key.
fn uuid_key(key: &Key) -> Option<[u8; 16]> {
    match key.0.split_first() {
        Some((tag, bytes)) if *tag == Tag::Uuid as u8 => bytes.try_into().ok(),
        _ => None,
    }
}

/// The integer that is the whole of a key, if it is written in the shortest way.
fn integer_key(key: &Key) -> Option<i64> {
    let mut reader = Reader::new(&key.0);
    if reader.byte().ok()? != Tag::Integer as u8 {
        return None;
    }
    let number = reader.i64().ok()?;
    (reader.is_empty() && integer_bytes(number) == key.0).then_some(number)
}

fn integer_bytes(number: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(11);
    bytes.push(Tag::Integer as u8);
    varint::put_i64(&mut bytes, number);
    bytes
}

/// Reads `count` rows, as yet without cells.
///
/// # Errors
/// The input is cut short or is not what [`put`] writes.
pub fn read(input: &mut Reader<'_>, count: usize, sites: &Sites) -> Result<Vec<RowChange>> {
    let keys = read_keys(input, count)?;
    let mut row_ids = read_row_ids(input, count)?;
    let lengths = read_lengths(input, count)?;
    let lives = read_lives(input, count, sites)?;
    let rows = keys.into_iter().zip(lengths).zip(lives).map(|((key, length), life)| RowChange {
        row_id: row_ids.next().flatten(),
        key,
        length,
        life,
        cells: Vec::new(),
        texts: Vec::new(),
        past: Past::default(),
    });
    Ok(rows.collect())
}

fn read_keys(input: &mut Reader<'_>, count: usize) -> Result<Vec<Key>> {
    let offset = input.offset();
    let mode = input.byte()?;
    stream::check_room(input, offset, count, 1)?;
    match mode {
        KEYS_BYTES => read_key_bytes(input, count),
        KEYS_UUID => Ok(fixed::planes(input, count)?.into_iter().map(uuid_key_of).collect()),
        KEYS_INTEGER => {
            let numbers = integers::read(input, count)?;
            Ok(numbers.into_iter().map(|number| Key(integer_bytes(number))).collect())
        }
        _ => Err(Error::malformed(offset, "the keys have an unknown form")),
    }
}

fn uuid_key_of(uuid: [u8; 16]) -> Key {
    let mut bytes = Vec::with_capacity(1 + uuid.len());
    bytes.push(Tag::Uuid as u8);
    bytes.extend_from_slice(&uuid);
    Key(bytes)
}

fn read_key_bytes(input: &mut Reader<'_>, count: usize) -> Result<Vec<Key>> {
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        let length = usize::try_from(input.u64()?).ok().filter(|length| *length <= MAX_KEY_BYTES);
        lengths.push(length.ok_or_else(|| Error::limit("a primary key, in bytes,", MAX_KEY_BYTES))?);
    }
    let mut keys = Vec::with_capacity(count);
    for length in lengths {
        keys.push(Key(input.take(length)?.to_owned()));
    }
    Ok(keys)
}

fn read_row_ids<'a>(
    input: &mut Reader<'a>,
    count: usize,
) -> Result<impl Iterator<Item = Option<RowId>> + use<'a>> {
    let named = Subset::read(input, count)?;
    let mut ids = ids::ids(input, named.count(count))?.into_iter();
    Ok((0..count).map(move |index| if named.contains(index) { ids.next() } else { None }))
}

fn read_lengths(input: &mut Reader<'_>, count: usize) -> Result<Vec<CausalLength>> {
    let mut lengths = Vec::with_capacity(count);
    stream::runs(input, count, |offset, value, times| {
        let length = u32::try_from(value).ok().filter(|length| (1..=CausalLength::MAX.0).contains(length));
        let length = length.ok_or_else(|| Error::malformed(offset, "a causal length is out of range"))?;
        lengths.extend(std::iter::repeat_n(CausalLength(length), times));
        Ok(())
    })?;
    Ok(lengths)
}

fn read_lives(input: &mut Reader<'_>, count: usize, known: &Sites) -> Result<Vec<Stamp<SiteId>>> {
    let mut lives = Vec::with_capacity(count);
    stream::runs(input, count, |offset, index, times| {
        let site = known.get(offset, index)?;
        lives.extend(std::iter::repeat_n(Stamp { version: Version::NEVER, site }, times));
        Ok(())
    })?;
    let mut before = 0i64;
    for life in &mut lives {
        let offset = input.offset();
        let version = before.checked_add(input.i64()?).filter(|version| *version >= 0);
        before = version.ok_or_else(|| Error::malformed(offset, "a version is out of range"))?;
        life.version = Version(before as u64);
    }
    Ok(lives)
}
