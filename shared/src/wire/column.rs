//! One column of a table's changes: which rows tell of it, the cells' stamps, and their values.

use crate::change::{CellChange, RowChange};
use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::SiteId;
use crate::varint::{self, Reader};
use crate::wire::sites::{SiteIndex, Sites};
use crate::wire::stream::{self, Subset};
use crate::wire::values::{self, ColumnValues};

const STAMPS_OF_LIFE: u8 = 0;
const STAMPS_OWN: u8 = 1;

/// The site of a cell whose site is that of its row's life; other sites are one more than their index.
const SITE_OF_LIFE: u64 = 0;

/// The cells of one column, gathered row by row: a batch is read through once, as it lies in memory.
#[derive(Debug, Default)]
pub struct ColumnCells {
    /// For each cell the index of its row among those that are alive.
    rows: Vec<u32>,
    stamps: CellStamps,
    values: ColumnValues,
}

impl ColumnCells {
    /// Adds the cell of a later row.
    pub fn push(&mut self, index: usize, life: Stamp<SiteId>, cell: &CellChange, sites: &mut SiteIndex) {
        if cell.stamp != life || self.stamps.is_own() {
            self.stamps.push(self.rows.len(), life, cell.stamp, sites);
        }
        self.rows.push(index as u32);
        self.values.push(&cell.value);
    }

    /// Appends which of `living` rows tell of the column.
    pub fn put_presence(&self, out: &mut Vec<u8>, living: usize) {
        stream::put_subset(out, living, self.rows.len(), self.rows.iter().map(|index| *index as usize));
    }

    /// Appends stamps and values, unless no row tells of the column.
    pub fn put(&self, out: &mut Vec<u8>) {
        if !self.rows.is_empty() {
            self.stamps.put(out);
            self.values.put(out);
        }
    }
}

/// The stamps of a column's cells; empty as long as each is that of its row's life.
#[derive(Debug, Default)]
struct CellStamps {
    sites: Vec<u64>,
    distances: Vec<i64>,
}

impl CellStamps {
    fn is_own(&self) -> bool {
        !self.sites.is_empty()
    }

    /// Adds the stamp of the cell after `before` others.
    fn push(&mut self, before: usize, life: Stamp<SiteId>, stamp: Stamp<SiteId>, sites: &mut SiteIndex) {
        self.sites.resize(before, SITE_OF_LIFE);
        self.distances.resize(before, 0);
        let site = if stamp.site == life.site { SITE_OF_LIFE } else { sites.index(stamp.site) + 1 };
        self.sites.push(site);
        // Both are within 63 bits, so the distance fits.
        self.distances.push(stamp.version.0 as i64 - life.version.0 as i64);
    }

    fn put(&self, out: &mut Vec<u8>) {
        if !self.is_own() {
            out.push(STAMPS_OF_LIFE);
            return;
        }
        out.push(STAMPS_OWN);
        stream::put_runs(out, self.sites.iter().copied());
        self.distances.iter().for_each(|distance| varint::put_i64(out, *distance));
    }
}

/// Reads one column, and gives its cells to the rows that tell of it.
///
/// `living` are the rows that are alive.
///
/// # Errors
/// The input is cut short or is not what [`ColumnCells::put`] writes.
pub fn read(
    input: &mut Reader<'_>,
    column: usize,
    presence: Subset<'_>,
    living: &mut [&mut RowChange],
    sites: &Sites,
) -> Result<()> {
    let count = presence.count(living.len());
    if count == 0 {
        return Ok(());
    }
    let offset = input.offset();
    let stamps = match input.byte()? {
        STAMPS_OF_LIFE => None,
        STAMPS_OWN => Some(OwnStamps::read(input, count, sites)?),
        _ => return Err(Error::malformed(offset, "the stamps of a column have an unknown form")),
    };
    let mut values = values::read(input, count)?.into_iter();
    let mut stamps = stamps.map(OwnStamps::into_iter);
    let present = living.iter_mut().enumerate().filter(|(index, _)| presence.contains(*index));
    for ((_, row), value) in present.zip(&mut values) {
        let stamp = match &mut stamps {
            None => row.life,
            Some(stamps) => own_stamp(stamps.next(), row.life)
                .ok_or_else(|| Error::malformed(offset, "a version is beyond the greatest one"))?,
        };
        row.cells.push(CellChange { column, stamp, value });
    }
    Ok(())
}

/// The stamps of cells, each told by its distance from its row's life: the site, if it is another,
/// and how much later the version is.
struct OwnStamps {
    sites: Vec<Option<SiteId>>,
    distances: Vec<i64>,
}

impl OwnStamps {
    fn read(input: &mut Reader<'_>, count: usize, known: &Sites) -> Result<OwnStamps> {
        stream::check_room(input, input.offset(), count, 1)?;
        let mut sites = Vec::with_capacity(count);
        stream::runs(input, count, |offset, value, times| {
            let site = match value.checked_sub(1) {
                None => None,
                Some(index) => Some(known.get(offset, index)?),
            };
            sites.extend(std::iter::repeat_n(site, times));
            Ok(())
        })?;
        stream::check_room(input, input.offset(), count, 1)?;
        let mut distances = Vec::with_capacity(count);
        for _ in 0..count {
            distances.push(input.i64()?);
        }
        Ok(OwnStamps { sites, distances })
    }

    fn into_iter(self) -> impl Iterator<Item = (Option<SiteId>, i64)> {
        self.sites.into_iter().zip(self.distances)
    }
}

fn own_stamp(own: Option<(Option<SiteId>, i64)>, life: Stamp<SiteId>) -> Option<Stamp<SiteId>> {
    let (site, distance) = own?;
    let version = i64::try_from(life.version.0).ok()?.checked_add(distance)?;
    Some(Stamp { version: Version(u64::try_from(version).ok()?), site: site.unwrap_or(life.site) })
}
