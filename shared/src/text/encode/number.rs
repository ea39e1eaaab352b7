//! The numbers that documents are made of, each checked as it is read.

use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::SiteOrdinal;
use crate::text::limits::MAX_INDEX;
use crate::varint::{self, Reader};

/// A stamp inside one database or one message.
pub(super) type Ordinals = Stamp<SiteOrdinal>;

/// A stamp as its distance from the last one: milliseconds first, for the counter is mostly zero.
pub(super) fn put_stamp(out: &mut Vec<u8>, stamp: Ordinals, last: &mut Ordinals) {
    let (millis, counter) = split(stamp.version);
    varint::put_i64(out, millis as i64 - split(last.version).0 as i64);
    varint::put_u64(out, counter);
    varint::put_u64(out, u64::from(stamp.site.0));
    *last = stamp;
}

pub(super) fn read_stamp(input: &mut Reader<'_>, last: &mut Ordinals) -> Result<Ordinals> {
    let offset = input.offset();
    let millis = (split(last.version).0 as i64).checked_add(input.i64()?);
    let counter = input.u64()?;
    let number = millis.and_then(|millis| u64::try_from(millis).ok());
    let number = number.and_then(|millis| millis.checked_mul(1 << COUNTER_BITS)?.checked_add(counter));
    let number = number.ok_or_else(|| Error::malformed(offset, "a version in a text is impossible"))?;
    let stamp = Stamp { version: version(offset, number)?, site: SiteOrdinal(input.u32()?) };
    *last = stamp;
    Ok(stamp)
}

/// The bits of a version below the millisecond.
const COUNTER_BITS: u32 = 16;

fn split(version: Version) -> (u64, u64) {
    (version.0 >> COUNTER_BITS, version.0 & ((1 << COUNTER_BITS) - 1))
}

pub(super) fn version(offset: usize, number: u64) -> Result<Version> {
    let version = Version(number);
    if version > Version::MAX {
        return Err(Error::malformed(offset, "a version in a text is impossible"));
    }
    Ok(version)
}

pub(super) fn index(offset: usize, number: i64) -> Result<i64> {
    if !(-MAX_INDEX..=MAX_INDEX).contains(&number) {
        return Err(Error::malformed(offset, "a line of a text has an impossible number"));
    }
    Ok(number)
}

pub(super) fn length(input: &mut Reader<'_>) -> Result<usize> {
    let offset = input.offset();
    usize::try_from(input.u64()?).map_err(|_| Error::malformed(offset, "a length is impossible"))
}

/// A number of things that take `size` bytes each at least, all of them still to come.
pub(super) fn bounded(input: &mut Reader<'_>, size: usize, what: &str, limit: usize) -> Result<usize> {
    let offset = input.offset();
    let count = length(input)?;
    if count > limit {
        return Err(Error::limit(what, limit));
    }
    if count > input.remaining() / size {
        return Err(Error::malformed(offset, "a count exceeds what follows"));
    }
    Ok(count)
}

pub(super) fn text<'a>(input: &mut Reader<'a>) -> Result<&'a str> {
    let offset = input.offset();
    std::str::from_utf8(input.bytes()?).map_err(|_| Error::malformed(offset, "text is not UTF-8"))
}

pub(super) fn end(input: &Reader<'_>) -> Result<()> {
    if !input.is_empty() {
        return Err(Error::malformed(input.offset(), "bytes follow where a text should end"));
    }
    Ok(())
}
