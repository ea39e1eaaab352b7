//! The bytes of documents and deltas: varints, each number as the distance from what is expected.

use std::collections::BTreeMap;

use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::{SiteId, SiteOrdinal};
use crate::text::delimiter::Delimiter;
use crate::text::delta::TextDelta;
use crate::text::document::{Document, Ending};
use crate::text::limits::{MAX_BLOCKS, MAX_INDEX, MAX_SITES, MAX_WAYPOINTS};
use crate::text::run::{Run, Runs, State};
use crate::text::tree::{Branch, Side, Tree, WaypointId};
use crate::varint::{self, Reader};

/// The first byte of a stored document: its version.
const DOCUMENT_FORMAT: u8 = 1;
/// The first byte of a delta: its version.
const DELTA_FORMAT: u8 = 1;

/// Flags of a document.
mod flag {
    pub(super) const COMPLETE: u8 = 1;
    pub(super) const ENDING_KNOWN: u8 = 2;
    pub(super) const ENDING_PRESENT: u8 = 4;
    pub(super) const ENDING_OF_EPOCH: u8 = 8;
    pub(super) const CUTS: u8 = 16;
    pub(super) const ALL: u8 = 31;
}

/// What the first number of a run says, beside the distance to its waypoint.
mod run_flag {
    pub(super) const DELETED: u64 = 1;
    pub(super) const SINGLE: u64 = 2;
    pub(super) const CONTENT: u64 = 4 + 8;
    pub(super) const BITS: u32 = 4;
}

/// The stamp of a run's content, in two bits.
mod content {
    pub(super) const OF_EPOCH: u64 = 0;
    pub(super) const OF_WAYPOINT: u64 = 4;
    pub(super) const OF_LAST: u64 = 8;
    pub(super) const WRITTEN: u64 = 12;
}

type Ordinals = Stamp<SiteOrdinal>;

impl Document<SiteOrdinal> {
    /// The form in which an engine stores the clock. Its size follows the number of places that were
    /// edited, not that of lines.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![DOCUMENT_FORMAT];
        put_document(&mut out, self);
        out
    }

    /// Reads what [`Document::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are not a stored document.
    pub fn from_bytes(bytes: &[u8]) -> Result<Document<SiteOrdinal>> {
        let mut input = Reader::new(bytes);
        if input.byte()? != DOCUMENT_FORMAT {
            return Err(Error::unsupported("the clock of a text was stored by a newer version of cloudsync"));
        }
        let document = read_document(&mut input)?;
        end(&input)?;
        Ok(document)
    }
}

impl TextDelta<SiteOrdinal> {
    /// The form for messages that have a table of sites of their own, to which the ordinals point.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![DELTA_FORMAT];
        varint::put_bytes(&mut out, self.delimiter.as_str().as_bytes());
        put_document(&mut out, &self.document);
        for piece in &self.pieces {
            varint::put_bytes(&mut out, piece.as_bytes());
        }
        out
    }

    /// Reads what [`TextDelta::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are not a delta. Whether its blocks are in order is seen when it is merged.
    pub fn from_bytes(bytes: &[u8]) -> Result<TextDelta<SiteOrdinal>> {
        let mut input = Reader::new(bytes);
        let delta = read_delta(&mut input)?;
        end(&input)?;
        Ok(delta)
    }
}

impl TextDelta<SiteId> {
    /// The form that stands alone: the sites, then the delta in ordinals.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut sites: Vec<SiteId> = Vec::new();
        let mut known: BTreeMap<SiteId, u32> = BTreeMap::new();
        let numbered = self.map_sites(|site| {
            Ok::<_, std::convert::Infallible>(SiteOrdinal(*known.entry(site).or_insert_with(|| {
                sites.push(site);
                sites.len() as u32 - 1
            })))
        });
        let Ok(numbered) = numbered;
        let mut out = Vec::new();
        varint::put_u64(&mut out, sites.len() as u64);
        sites.iter().for_each(|site| out.extend_from_slice(&site.0));
        out.extend_from_slice(&numbered.to_bytes());
        out
    }

    /// Reads what [`TextDelta::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are not a delta, or its blocks are not in order.
    pub fn from_bytes(bytes: &[u8]) -> Result<TextDelta<SiteId>> {
        let mut input = Reader::new(bytes);
        let count = bounded(&mut input, size_of::<SiteId>(), "the number of sites in one text", MAX_SITES)?;
        let sites = (0..count).map(|_| input.array().map(SiteId)).collect::<Result<Vec<_>>>()?;
        let delta = read_delta(&mut input)?;
        end(&input)?;
        let delta = delta.map_sites(|ordinal| {
            let site = sites.get(ordinal.0 as usize).copied();
            site.ok_or_else(|| Error::malformed(0, "a site is not among those of the text"))
        })?;
        delta.check_order()?;
        Ok(delta)
    }
}

fn read_delta(input: &mut Reader<'_>) -> Result<TextDelta<SiteOrdinal>> {
    if input.byte()? != DELTA_FORMAT {
        return Err(Error::unsupported("a text was sent by a newer version of cloudsync"));
    }
    let delimiter = Delimiter::new(text(input)?)?;
    let document = read_document(input)?;
    let count = document.runs.alive();
    if count > input.remaining() {
        return Err(Error::malformed(input.offset(), "a text has fewer lines than its clock"));
    }
    let pieces = (0..count).map(|_| text(input).map(str::to_owned)).collect::<Result<_>>()?;
    Ok(TextDelta { delimiter, document, pieces })
}

fn put_document(out: &mut Vec<u8>, document: &Document<SiteOrdinal>) {
    varint::put_u64(out, document.epoch.version.0);
    varint::put_u64(out, u64::from(document.epoch.site.0));
    let mut flags = 0;
    let mut set = |condition, flag| flags |= if condition { flag } else { 0 };
    let ending = document.ending;
    set(document.complete, flag::COMPLETE);
    set(ending.is_some(), flag::ENDING_KNOWN);
    set(ending.is_some_and(|ending| ending.present), flag::ENDING_PRESENT);
    set(ending.is_some_and(|ending| ending.stamp == document.epoch), flag::ENDING_OF_EPOCH);
    set(document.cuts.is_some(), flag::CUTS);
    out.push(flags);
    let mut last = document.epoch;
    if let Some(ending) = ending.filter(|ending| ending.stamp != document.epoch) {
        put_stamp(out, ending.stamp, &mut last);
    }
    put_tree(out, &document.tree, &mut last);
    put_runs(out, document, &mut last);
    if let Some(cuts) = &document.cuts {
        varint::put_u64(out, cuts.len() as u64);
        cuts.iter().for_each(|length| varint::put_u64(out, *length as u64));
    }
}

fn read_document(input: &mut Reader<'_>) -> Result<Document<SiteOrdinal>> {
    let epoch = Stamp { version: version(input.offset(), input.u64()?)?, site: SiteOrdinal(input.u32()?) };
    let flags = input.byte()?;
    if flags & !flag::ALL != 0 {
        return Err(Error::unsupported("the clock of a text has flags of a newer version of cloudsync"));
    }
    let mut document = Document::empty(epoch);
    document.complete = flags & flag::COMPLETE != 0;
    let mut last = epoch;
    if flags & flag::ENDING_KNOWN != 0 {
        let present = flags & flag::ENDING_PRESENT != 0;
        let of_epoch = flags & flag::ENDING_OF_EPOCH != 0;
        let stamp = if of_epoch { epoch } else { read_stamp(input, &mut last)? };
        document.ending = Some(Ending { stamp, present });
    }
    document.tree = read_tree(input, &mut last)?;
    document.runs = read_runs(input, &document.tree, epoch, &mut last)?;
    document.check_blocks()?;
    if flags & flag::CUTS != 0 {
        let count = bounded(input, 1, "the number of lines of a text", MAX_BLOCKS)?;
        let cuts = (0..count).map(|_| length(input)).collect::<Result<Vec<_>>>()?;
        if count != document.runs.alive() {
            return Err(Error::malformed(input.offset(), "a text has not as many lines as its clock"));
        }
        document.cuts = Some(cuts);
    }
    Ok(document)
}

fn put_tree(out: &mut Vec<u8>, tree: &Tree<SiteOrdinal>, last: &mut Ordinals) {
    varint::put_u64(out, tree.waypoints().len() as u64);
    for (node, number) in tree.waypoints().iter().zip(1u32..) {
        varint::put_u64(out, u64::from(number - node.branch.parent));
        varint::put_i64(out, node.branch.index);
        let after = u64::from(node.branch.side == Side::After);
        let named = u64::from(node.id.sequence != 0);
        let ordered = u64::from(node.branch.order != 0);
        out.push((after | named << 1 | ordered << 2) as u8);
        if ordered != 0 {
            varint::put_i64(out, node.branch.order);
        }
        if named != 0 {
            varint::put_u64(out, u64::from(node.id.sequence));
        }
        put_stamp(out, node.id.birth, last);
    }
}

fn read_tree(input: &mut Reader<'_>, last: &mut Ordinals) -> Result<Tree<SiteOrdinal>> {
    let count = bounded(input, 5, "the number of places where a text was edited", MAX_WAYPOINTS)?;
    let mut tree = Tree::default();
    for number in 1..=count as u32 {
        let offset = input.offset();
        let parent = number.checked_sub(input.u32()?).filter(|parent| *parent < number);
        let parent =
            parent.ok_or_else(|| Error::malformed(offset, "a place in a text hangs from nowhere"))?;
        let index = index(input.offset(), input.i64()?)?;
        let flags = input.byte()?;
        if flags > 7 {
            return Err(Error::malformed(input.offset(), "a place in a text has unknown flags"));
        }
        let side = if flags & 1 != 0 { Side::After } else { Side::Before };
        let order = if flags & 4 != 0 { self::index(input.offset(), input.i64()?)? } else { 0 };
        let sequence = if flags & 2 != 0 { input.u32()? } else { 0 };
        let birth = read_stamp(input, last)?;
        tree.push(Branch { parent, index, side, order }, WaypointId { birth, sequence })?;
    }
    Ok(tree)
}

/// The stamp that runs of a waypoint mostly have: that of its making.
fn birth(tree: &Tree<SiteOrdinal>, waypoint: u32, epoch: Ordinals) -> Ordinals {
    tree.get(waypoint).map_or(epoch, |node| node.id.birth)
}

fn put_runs(out: &mut Vec<u8>, document: &Document<SiteOrdinal>, last: &mut Ordinals) {
    let runs = document.runs.as_slice();
    varint::put_u64(out, runs.len() as u64);
    let mut expected = vec![0i64; document.tree.waypoints().len() + 1];
    let mut waypoint = 0i64;
    for run in runs {
        let state = run.state;
        let how = match state.content {
            stamp if stamp == document.epoch => content::OF_EPOCH,
            stamp if stamp == birth(&document.tree, run.waypoint, document.epoch) => content::OF_WAYPOINT,
            stamp if stamp == *last => content::OF_LAST,
            _ => content::WRITTEN,
        };
        let single = if run.count == 1 { run_flag::SINGLE } else { 0 };
        let deleted = if state.is_alive() { 0 } else { run_flag::DELETED };
        let step = varint::zigzag(i64::from(run.waypoint) - waypoint);
        varint::put_u64(out, step << run_flag::BITS | how | single | deleted);
        waypoint = i64::from(run.waypoint);
        if let Some(expected) = expected.get_mut(run.waypoint as usize) {
            varint::put_i64(out, run.start.wrapping_sub(*expected));
            *expected = run.end();
        }
        if single == 0 {
            varint::put_u64(out, run.count as u64);
        }
        if how == content::WRITTEN {
            put_stamp(out, state.content, last);
        }
        if let Some(deleted) = state.deleted {
            put_stamp(out, deleted, last);
        }
    }
}

fn read_runs(
    input: &mut Reader<'_>,
    tree: &Tree<SiteOrdinal>,
    epoch: Ordinals,
    last: &mut Ordinals,
) -> Result<Runs<SiteOrdinal>> {
    let total = bounded(input, 2, "the number of runs of a text", MAX_BLOCKS)?;
    let mut runs = Runs::default();
    let mut expected = vec![0i64; tree.waypoints().len() + 1];
    let mut waypoint = 0i64;
    for _ in 0..total {
        let offset = input.offset();
        let head = input.u64()?;
        waypoint = waypoint.wrapping_add(varint::unzigzag(head >> run_flag::BITS));
        let number = u32::try_from(waypoint).ok().filter(|number| tree.contains(*number));
        let number = number.ok_or_else(|| Error::malformed(offset, "a run of lines is at no known place"))?;
        let expected = expected
            .get_mut(number as usize)
            .ok_or_else(|| Error::malformed(offset, "a run of lines is at no known place"))?;
        let start = index(input.offset(), expected.wrapping_add(input.i64()?))?;
        let count = if head & run_flag::SINGLE != 0 { 1 } else { length(input)? };
        if count == 0 || count > MAX_BLOCKS {
            return Err(Error::malformed(input.offset(), "a run of lines has an impossible length"));
        }
        let content = match head & run_flag::CONTENT {
            content::OF_EPOCH => epoch,
            content::OF_WAYPOINT => birth(tree, number, epoch),
            content::OF_LAST => *last,
            _ => read_stamp(input, last)?,
        };
        let deleted = match head & run_flag::DELETED {
            0 => None,
            _ => Some(read_stamp(input, last)?),
        };
        let run = Run { waypoint: number, start, count, state: State { content, deleted } };
        index(input.offset(), run.end())?;
        *expected = run.end();
        runs.push(run);
    }
    Ok(runs)
}

/// A stamp as its distance from the last one: milliseconds first, for the counter is mostly zero.
fn put_stamp(out: &mut Vec<u8>, stamp: Ordinals, last: &mut Ordinals) {
    let (millis, counter) = split(stamp.version);
    varint::put_i64(out, millis as i64 - split(last.version).0 as i64);
    varint::put_u64(out, counter);
    varint::put_u64(out, u64::from(stamp.site.0));
    *last = stamp;
}

fn read_stamp(input: &mut Reader<'_>, last: &mut Ordinals) -> Result<Ordinals> {
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

fn version(offset: usize, number: u64) -> Result<Version> {
    let version = Version(number);
    if version > Version::MAX {
        return Err(Error::malformed(offset, "a version in a text is impossible"));
    }
    Ok(version)
}

fn index(offset: usize, number: i64) -> Result<i64> {
    if !(-MAX_INDEX..=MAX_INDEX).contains(&number) {
        return Err(Error::malformed(offset, "a line of a text has an impossible number"));
    }
    Ok(number)
}

fn length(input: &mut Reader<'_>) -> Result<usize> {
    let offset = input.offset();
    usize::try_from(input.u64()?).map_err(|_| Error::malformed(offset, "a length is impossible"))
}

/// A number of things that take `size` bytes each at least, all of them still to come.
fn bounded(input: &mut Reader<'_>, size: usize, what: &str, limit: usize) -> Result<usize> {
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

fn text<'a>(input: &mut Reader<'a>) -> Result<&'a str> {
    let offset = input.offset();
    std::str::from_utf8(input.bytes()?).map_err(|_| Error::malformed(offset, "text is not UTF-8"))
}

fn end(input: &Reader<'_>) -> Result<()> {
    if !input.is_empty() {
        return Err(Error::malformed(input.offset(), "bytes follow where a text should end"));
    }
    Ok(())
}
