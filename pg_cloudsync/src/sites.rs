//! Sites and their numbers in this database: clocks are stored with the number, not the id.

use std::collections::HashMap;

use cloudsync_shared::id::{SiteId, SiteOrdinal};
use pgrx::Spi;
use pgrx::datum::DatumWithOid;

use crate::error::Result;
use crate::ffi::owner::AsOwner;

/// The numbers known so far. It may be kept for the length of one call: numbers are
/// never given anew.
#[derive(Debug, Default)]
pub struct Sites {
    by_id: HashMap<SiteId, SiteOrdinal>,
}

impl Sites {
    /// The number of a site that is known.
    pub fn ordinal(&self, site: SiteId) -> Option<SiteOrdinal> {
        self.by_id.get(&site).copied()
    }

    /// Makes sure that all of these sites have a number.
    ///
    /// Numbers come from a sequence, so nobody waits for another's transaction but one that adds the
    /// very same site; sites are added in order of their ids, so that two of those cannot deadlock.
    ///
    /// # Errors
    /// The database failed, or (from REPEATABLE READ on) another transaction added the site: 40001.
    pub fn ensure(&mut self, wanted: impl IntoIterator<Item = SiteId>) -> Result<()> {
        let mut missing: Vec<SiteId> =
            wanted.into_iter().filter(|site| !self.by_id.contains_key(site)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        missing.dedup();
        let ids: Vec<Vec<u8>> = missing.iter().map(|site| site.0.to_vec()).collect();
        let known = "SELECT ordinal, site_id FROM cloudsync.sites WHERE site_id = ANY ($1)";
        self.read(known, &[ids.clone().into()])?;
        if missing.iter().all(|site| self.by_id.contains_key(site)) {
            return Ok(());
        }
        {
            let _owner = AsOwner::enter()?;
            let args: [DatumWithOid<'_>; 1] = [ids.clone().into()];
            Spi::connect_mut(|client| {
                let sql = "INSERT INTO cloudsync.sites (ordinal, site_id) \
                           SELECT nextval('cloudsync.site_ordinal')::int, new.id FROM unnest($1) AS new(id) \
                           WHERE NOT EXISTS (SELECT FROM cloudsync.sites s WHERE s.site_id = new.id) \
                           ORDER BY new.id ON CONFLICT (site_id) DO NOTHING";
                client.update(sql, None, &args).map(|_| ())
            })?;
        }
        self.read(known, &[ids.into()])
    }

    fn read(&mut self, sql: &str, args: &[DatumWithOid<'_>]) -> Result<()> {
        let _owner = AsOwner::enter()?;
        Spi::connect(|client| {
            for row in client.select(sql, None, args)? {
                let ordinal = SiteOrdinal(row.get::<i32>(1)?.unwrap_or(0) as u32);
                let Some(site) = row.get::<&[u8]>(2)?.and_then(SiteId::from_slice) else { continue };
                self.by_id.insert(site, ordinal);
            }
            Ok(())
        })
    }
}
