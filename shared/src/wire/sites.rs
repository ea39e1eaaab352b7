//! The sites of a message: each is written once and then named by its index.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::id::SiteId;
use crate::varint::Reader;
use crate::wire::limits::MAX_SITES;
use crate::wire::stream;

const WHAT: &str = "the number of sites in one message";

/// Numbers sites in the order of their first use.
#[derive(Debug, Default)]
pub struct SiteIndex {
    sites: Vec<SiteId>,
    known: BTreeMap<SiteId, u64>,
    /// Neighbours mostly have the same site.
    last: Option<(SiteId, u64)>,
}

impl SiteIndex {
    /// The index of a site, a new one if it was not met before.
    pub fn index(&mut self, site: SiteId) -> u64 {
        if let Some((last, index)) = self.last
            && last == site
        {
            return index;
        }
        let index = *self.known.entry(site).or_insert_with(|| {
            self.sites.push(site);
            (self.sites.len() - 1) as u64
        });
        self.last = Some((site, index));
        index
    }

    /// Appends all sites, by index.
    ///
    /// # Errors
    /// There are more than [`MAX_SITES`].
    pub fn put(&self, out: &mut Vec<u8>) -> Result<()> {
        stream::put_count(out, self.sites.len(), WHAT, MAX_SITES)?;
        self.sites.iter().for_each(|site| out.extend_from_slice(&site.0));
        Ok(())
    }
}

/// The sites that a message names.
#[derive(Debug)]
pub struct Sites(Vec<SiteId>);

impl Sites {
    /// Reads what [`SiteIndex::put`] wrote.
    ///
    /// # Errors
    /// The input is cut short or there are too many.
    pub fn read(input: &mut Reader<'_>) -> Result<Sites> {
        let count = stream::count(input, size_of::<SiteId>(), WHAT, MAX_SITES)?;
        let mut sites = Vec::with_capacity(count);
        for _ in 0..count {
            sites.push(SiteId(input.array()?));
        }
        Ok(Sites(sites))
    }

    /// The site of an index that was read at `offset`.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, offset: usize, index: u64) -> Result<SiteId> {
        let site = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        site.copied().ok_or_else(|| Error::malformed(offset, "a site is not among the message's sites"))
    }
}
