//! What is behind each row: for most none, else a short list of sites and versions.

use crate::change::RowChange;
use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::SiteId;
use crate::varint::{self, Reader};
use crate::vector::Vector;
use crate::wire::allowance::Allowance;
use crate::wire::sites::{SiteIndex, Sites};
use crate::wire::stream::{self, Subset};

const ENTRIES: &str = "the number of sites behind one row";

/// The most sites that may be behind one row.
pub const MAX_PAST_SITES: usize = 1 << 12;

/// Appends what is behind the rows.
///
/// # Errors
/// There are too many sites, or a version is out of its range.
pub fn put(out: &mut Vec<u8>, rows: &[RowChange], sites: &mut SiteIndex) -> Result<()> {
    put_vectors(out, rows, |row| &row.past.seen, sites)?;
    put_vectors(out, rows, |row| &row.past.writes, sites)
}

fn put_vectors<'a>(
    out: &mut Vec<u8>,
    rows: &'a [RowChange],
    which: impl Fn(&'a RowChange) -> &'a Vector<SiteId> + Copy,
    sites: &mut SiteIndex,
) -> Result<()> {
    let with = rows.iter().map(which).enumerate().filter(|(_, vector)| !vector.is_empty());
    stream::put_subset(out, rows.len(), with.clone().count(), with.clone().map(|(index, _)| index));
    for (_, vector) in with {
        put_vector(out, vector, sites)?;
    }
    Ok(())
}

fn put_vector(out: &mut Vec<u8>, vector: &Vector<SiteId>, sites: &mut SiteIndex) -> Result<()> {
    stream::put_count(out, vector.stamps().len(), ENTRIES, MAX_PAST_SITES)?;
    for stamp in vector.stamps() {
        if stamp.version > Version::MAX {
            return Err(Error::invalid_input(format!("the version {:?} is out of range", stamp.version)));
        }
        varint::put_u64(out, sites.index(stamp.site));
        varint::put_u64(out, stamp.version.0);
    }
    Ok(())
}

/// Reads what is behind the rows.
///
/// # Errors
/// The input is cut short, exceeds a limit, or is not what [`put`] writes.
pub fn read(
    input: &mut Reader<'_>,
    rows: &mut [RowChange],
    sites: &Sites,
    allowance: &mut Allowance,
) -> Result<()> {
    read_vectors(input, rows, |row| &mut row.past.seen, sites, allowance)?;
    read_vectors(input, rows, |row| &mut row.past.writes, sites, allowance)
}

fn read_vectors(
    input: &mut Reader<'_>,
    rows: &mut [RowChange],
    which: impl Fn(&mut RowChange) -> &mut Vector<SiteId>,
    sites: &Sites,
    allowance: &mut Allowance,
) -> Result<()> {
    let with = Subset::read(input, rows.len())?;
    for (index, row) in rows.iter_mut().enumerate() {
        if with.contains(index) {
            *which(row) = read_vector(input, sites, allowance)?;
        }
    }
    Ok(())
}

fn read_vector(input: &mut Reader<'_>, sites: &Sites, allowance: &mut Allowance) -> Result<Vector<SiteId>> {
    let start = input.offset();
    let count = stream::count(input, 2, ENTRIES, MAX_PAST_SITES)?;
    allowance.take_cells(count)?;
    let mut past = Vector::default();
    for _ in 0..count {
        let offset = input.offset();
        let site = sites.get(offset, input.u64()?)?;
        let version = Version(input.u64()?);
        if !(Version::BASE..=Version::MAX).contains(&version) {
            return Err(Error::malformed(offset, "a version behind a row is out of range"));
        }
        past.add(Stamp { version, site });
    }
    if count == 0 || past.stamps().len() != count {
        return Err(Error::malformed(start, "what is behind a row is empty or names a site twice"));
    }
    Ok(past)
}
