//! What conflicts need of a push: the bases of its cells, and in the reply the cells that lost. Neither takes a
//! byte where it is not there: they stand at the end of their messages.

use crate::change::{ChangeBatch, LostReason, TableChanges};
use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::SiteId;
use crate::message::{Bases, LostText, LostValue};
use crate::text::limits::MAX_TEXT_BYTES;
use crate::value::Value;
use crate::varint::{self, Reader};
use crate::wire::limits::MAX_CELLS;
use crate::wire::sites::{SiteIndex, Sites};
use crate::wire::stream;

const NEWER_WRITE: u8 = 0;
const ROW_DELETED: u8 = 1;
const NEWER_LINE: u8 = 2;

/// The fewest bytes of a value that lost: three numbers, a reason, a site, a version and a tag.
const LEAST_LOST_BYTES: usize = 22;

const LOST: &str = "the number of cells that lost";
const LINE: &str = "the length of a line that lost";

/// Appends the bases, as [`crate::message::PushRequest::bases`] holds them.
///
/// # Errors
/// They do not fit the cells, name none, or a version is out of its range.
pub fn put_bases(out: &mut Vec<u8>, changes: &ChangeBatch, bases: &[Bases]) -> Result<()> {
    if bases.is_empty() {
        return Ok(());
    }
    let fits = |(table, bases): (&TableChanges, &Bases)| bases.is_empty() || bases.len() == cell_count(table);
    if bases.len() != changes.tables.len() || !changes.tables.iter().zip(bases).all(fits) {
        return Err(Error::invalid_input("the bases of a push request do not fit its cells"));
    }
    if bases.iter().flatten().all(Option::is_none) {
        return Err(Error::invalid_input("the bases of a push request name none"));
    }
    let mut sites = SiteIndex::default();
    let mut body = Vec::new();
    for (table, bases) in changes.tables.iter().zip(bases) {
        body.push(u8::from(!bases.is_empty()));
        stream::put_runs(
            &mut body,
            bases.iter().map(|base| base.map_or(0, |base| sites.index(base.site) + 1)),
        );
        for (cell, base) in cells(table).zip(bases) {
            let Some(base) = base else { continue };
            if base.version > Version::MAX {
                return Err(Error::invalid_input("the version of a base is out of range"));
            }
            varint::put_i64(&mut body, (base.version.0 as i64).wrapping_sub(cell.0 as i64));
        }
    }
    sites.put(out)?;
    out.extend_from_slice(&body);
    Ok(())
}

/// Reads what [`put_bases`] wrote for the cells of `changes`.
///
/// # Errors
/// The input is cut short or is not what [`put_bases`] writes.
pub fn read_bases(input: &mut Reader<'_>, changes: &ChangeBatch) -> Result<Vec<Bases>> {
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let start = input.offset();
    let sites = Sites::read(input)?;
    let mut all = Vec::with_capacity(changes.tables.len());
    for table in &changes.tables {
        let offset = input.offset();
        match input.byte()? {
            0 => all.push(Vec::new()),
            1 => all.push(read_table(input, table, &sites)?),
            _ => return Err(Error::malformed(offset, "a flag is neither 0 nor 1")),
        }
    }
    if all.iter().flatten().all(Option::is_none) {
        return Err(Error::malformed(start, "the bases name none"));
    }
    Ok(all)
}

fn read_table(input: &mut Reader<'_>, table: &TableChanges, sites: &Sites) -> Result<Bases> {
    let count = cell_count(table);
    let mut named: Vec<Option<SiteId>> = Vec::with_capacity(count);
    stream::runs(input, count, |offset, code, times| {
        let site = code.checked_sub(1).map(|index| sites.get(offset, index)).transpose()?;
        named.resize(named.len() + times, site);
        Ok(())
    })?;
    let mut bases = Vec::with_capacity(count);
    for (version, site) in cells(table).zip(named) {
        let Some(site) = site else {
            bases.push(None);
            continue;
        };
        let offset = input.offset();
        let version = Version((version.0 as i64).wrapping_add(input.i64()?) as u64);
        if version > Version::MAX {
            return Err(Error::malformed(offset, "the version of a base is out of range"));
        }
        bases.push(Some(Stamp { version, site }));
    }
    Ok(bases)
}

fn cell_count(table: &TableChanges) -> usize {
    table.rows.iter().map(|row| row.cells.len()).sum()
}

/// The versions of all cells of a table, row by row.
fn cells(table: &TableChanges) -> impl Iterator<Item = Version> + '_ {
    table.rows.iter().flat_map(|row| row.cells.iter().map(|cell| cell.stamp.version))
}

/// Appends the cells that lost.
///
/// # Errors
/// There are too many, or a version is out of its range.
pub fn put_lost(out: &mut Vec<u8>, lost: &[LostValue]) -> Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    stream::put_count(out, lost.len(), LOST, MAX_CELLS)?;
    for value in lost {
        for number in [value.table, value.row, value.column] {
            varint::put_u64(out, u64::from(number));
        }
        out.push(match value.reason {
            LostReason::NewerWrite => NEWER_WRITE,
            LostReason::RowDeleted => ROW_DELETED,
            LostReason::NewerLine => NEWER_LINE,
        });
        out.extend_from_slice(&value.won.site.0);
        put_version(out, value.won.version)?;
        value.value.encode(out);
        match (&value.line, value.reason) {
            (Some(line), LostReason::NewerLine) => {
                put_version(out, line.version)?;
                stream::put_text(out, &line.text, LINE, MAX_TEXT_BYTES)?;
            }
            (None, LostReason::NewerWrite | LostReason::RowDeleted) => {}
            _ => {
                return Err(Error::invalid_input(
                    "what lost is a line, and its reason that of another value",
                ));
            }
        }
    }
    Ok(())
}

fn put_version(out: &mut Vec<u8>, version: Version) -> Result<()> {
    if version > Version::MAX {
        return Err(Error::invalid_input("the version of a conflict is out of range"));
    }
    varint::put_u64(out, version.0);
    Ok(())
}

fn read_version(input: &mut Reader<'_>) -> Result<Version> {
    let offset = input.offset();
    let version = Version(input.u64()?);
    if version > Version::MAX {
        return Err(Error::malformed(offset, "the version of a conflict is out of range"));
    }
    Ok(version)
}

/// Reads what [`put_lost`] wrote.
///
/// # Errors
/// The input is cut short, exceeds a limit, or is not what [`put_lost`] writes.
pub fn read_lost(input: &mut Reader<'_>) -> Result<Vec<LostValue>> {
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let start = input.offset();
    let count = stream::count(input, LEAST_LOST_BYTES, LOST, MAX_CELLS)?;
    if count == 0 {
        return Err(Error::malformed(start, "no cell lost, and yet they are told"));
    }
    let mut lost = Vec::with_capacity(count);
    for _ in 0..count {
        let (table, row, column) = (input.u32()?, input.u32()?, input.u32()?);
        let offset = input.offset();
        let reason = match input.byte()? {
            NEWER_WRITE => LostReason::NewerWrite,
            ROW_DELETED => LostReason::RowDeleted,
            NEWER_LINE => LostReason::NewerLine,
            _ => return Err(Error::malformed(offset, "the reason of a loss is unknown")),
        };
        let won = Stamp { site: SiteId(input.array()?), version: read_version(input)? };
        let value = Value::decode(input)?;
        let line = match reason {
            LostReason::NewerLine => Some(LostText {
                version: read_version(input)?,
                text: stream::text(input, LINE, MAX_TEXT_BYTES)?,
            }),
            LostReason::NewerWrite | LostReason::RowDeleted => None,
        };
        lost.push(LostValue { table, row, column, reason, won, value, line });
    }
    Ok(lost)
}
