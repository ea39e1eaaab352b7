//! The bytes of documents and deltas: varints, each number as the distance from what is expected.

mod cuts;
mod document;
mod number;
mod pieces;
mod runs;
mod tree;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::id::{SiteId, SiteOrdinal};
use crate::text::delimiter::Delimiter;
use crate::text::delta::TextDelta;
use crate::text::document::Document;
use crate::text::encode::document::{put_document, read_document};
use crate::text::encode::number::{bounded, end, text};
use crate::text::encode::pieces::{put_pieces, read_pieces};
use crate::text::limits::MAX_SITES;
use crate::varint::{self, Reader};

/// The first byte of a stored document: its version.
const DOCUMENT_FORMAT: u8 = 1;
/// The first byte of a delta: its version.
const DELTA_FORMAT: u8 = 1;

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
        put_pieces(&mut out, &self.delimiter, &self.lines());
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
    let delimiter = Delimiter::from_str(text(input)?)?;
    let document = read_document(input)?;
    let count = document.runs.alive();
    if count > input.remaining() {
        return Err(Error::malformed(input.offset(), "a text has fewer lines than its clock"));
    }
    let pieces = read_pieces(input, &delimiter, count)?;
    Ok(TextDelta { delimiter, document, pieces })
}
