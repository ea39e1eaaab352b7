//! Site ids and their numbers, learnt in sets as far as one call needs them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use cloudsync_shared::change::RowChange;
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::id::{ColumnId, SiteId, SiteOrdinal};
use cloudsync_shared::merge::{Sender, admit, admit_lines};
use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::text::{Document, TextDelta};

use super::identity::Identity;
use super::spi::{Arg, Mode, query};
use crate::error::{PgError, SqlState};
use crate::ffi::owner::AsOwner;
use crate::sites::Sites;
use crate::texts;

/// The most sites that one push may name for the first time: each takes a number for ever.
const MAX_NEW_SITES: usize = 1024;

/// What one call knows of sites.
#[derive(Clone, Debug, Default)]
pub(super) struct SiteNames {
    by_ordinal: HashMap<SiteOrdinal, SiteId>,
    by_id: HashMap<SiteId, SiteOrdinal>,
    /// Of a push, who sends it.
    pusher: SiteId,
    /// Of a push, the sites that it names and that are another user's or this server's.
    foreign: HashSet<SiteId>,
    /// Whether what is told is taken as it is.
    is_trusted: bool,
}

impl SiteNames {
    /// The sites of a push under the site id `pusher`, each with a number.
    ///
    /// # Errors
    /// The site id is not the caller's, or the push names too many new sites.
    pub(super) fn of_push(pusher: SiteId, named: impl Iterator<Item = SiteId>) -> Result<SiteNames, PgError> {
        let identity = Identity::of_caller()?;
        let mut sites = SiteNames { pusher, ..SiteNames::default() };
        sites.ensure(named.chain([pusher]))?;
        identity.claim(pusher)?;
        let all: Vec<SiteId> = sites.by_id.keys().copied().collect();
        sites.foreign.extend(identity.foreign(&all)?);
        Ok(sites)
    }

    /// The sites of a payload, each with a number. Nobody sends it: whoever may apply one is trusted.
    ///
    /// # Errors
    /// The payload names too many new sites.
    pub(super) fn of_payload(named: impl Iterator<Item = SiteId>) -> Result<SiteNames, PgError> {
        let mut sites = SiteNames { is_trusted: true, ..SiteNames::default() };
        sites.ensure(named)?;
        Ok(sites)
    }

    /// The change as it is to be merged, whatever its sender claims: see [`admit`].
    pub(super) fn admit<'a>(
        &self,
        algorithm: Algorithm,
        change: &'a RowChange,
        columns: &[Option<ColumnId>],
        stored: Option<&RowClock<SiteId>>,
        knows_row: bool,
    ) -> Cow<'a, RowChange> {
        if self.is_trusted {
            return Cow::Borrowed(change);
        }
        let is_foreign = |site| self.foreign.contains(&site);
        let sender = Sender { site: self.pusher, is_foreign: &is_foreign };
        admit(algorithm, change, columns, stored, knows_row, sender)
    }

    /// The same for the lines of a text that stands here with this stamp and perhaps with a document.
    pub(super) fn admit_lines(
        &self,
        delta: &mut TextDelta<SiteId>,
        cell: Option<Stamp<SiteId>>,
        stored: Option<&Document<SiteId>>,
    ) {
        if !self.is_trusted {
            let is_foreign = |site| self.foreign.contains(&site);
            admit_lines(delta, cell, stored, Sender { site: self.pusher, is_foreign: &is_foreign });
        }
    }

    /// Whether what is told is taken as it is.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Of a push, who sends it.
    pub(super) fn pusher(&self) -> SiteId {
        self.pusher
    }

    /// Whether a stamp is one that the pusher gave.
    pub(super) fn is_pushers(&self, stamp: Stamp<SiteId>) -> bool {
        stamp.site == self.pusher
    }

    /// Learns the ids of all sites in these clocks, in at most one query.
    ///
    /// # Errors
    /// The metadata cannot be read.
    pub(super) fn learn<'a>(
        &mut self,
        mode: Mode,
        clocks: impl Iterator<Item = &'a RowClock<SiteOrdinal>>,
    ) -> Result<(), PgError> {
        let mut unknown: Vec<i64> = Vec::new();
        for clock in clocks {
            let own = clock.own_cells().iter().map(|(_, stamp)| stamp.site);
            let others = clock.past.stamps().chain(clock.ended()).map(|stamp| stamp.site);
            for site in own.chain([clock.life.site]).chain(others) {
                if !self.by_ordinal.contains_key(&site) && unknown.last() != Some(&i64::from(site.0)) {
                    unknown.push(i64::from(site.0));
                }
            }
        }
        self.read(mode, unknown)
    }

    fn read(&mut self, mode: Mode, mut unknown: Vec<i64>) -> Result<(), PgError> {
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        unknown.dedup();
        let sql = "SELECT CAST(ordinal AS pg_catalog.int8), site_id FROM cloudsync.sites \
            WHERE ordinal OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.int4[]))";
        let found = AsOwner::run(|| {
            query(mode, sql, vec![Arg::Longs(unknown)], |row| Ok((row.known_long(1)?, row.bytes(2)?)))
        })?;
        for (ordinal, site) in found {
            let ordinal = u32::try_from(ordinal).ok().map(SiteOrdinal);
            if let (Some(ordinal), Some(site)) = (ordinal, site.as_deref().and_then(SiteId::from_slice)) {
                self.by_ordinal.insert(ordinal, site);
                self.by_id.insert(site, ordinal);
            }
        }
        Ok(())
    }

    /// Learns the ids of these sites, in at most one query.
    ///
    /// # Errors
    /// The metadata cannot be read.
    pub(super) fn learn_sites(
        &mut self,
        mode: Mode,
        sites: impl Iterator<Item = SiteOrdinal>,
    ) -> Result<(), PgError> {
        let unknown = sites.filter(|site| !self.by_ordinal.contains_key(site));
        self.read(mode, unknown.map(|site| i64::from(site.0)).collect())
    }

    /// The id of a number that was learnt.
    ///
    /// # Errors
    /// No site has the number: a clock and the table of sites disagree.
    pub(super) fn name(&self, ordinal: SiteOrdinal) -> Result<SiteId, PgError> {
        self.by_ordinal
            .get(&ordinal)
            .copied()
            .ok_or_else(|| PgError::internal(format!("cloudsync: site number {} is unknown", ordinal.0)))
    }

    /// The number of a site, if it has one already.
    ///
    /// # Errors
    /// The metadata cannot be read.
    pub(super) fn find(mode: Mode, site: SiteId) -> Result<Option<SiteOrdinal>, PgError> {
        let sql = "SELECT CAST(ordinal AS pg_catalog.int8) FROM cloudsync.sites \
            WHERE site_id OPERATOR(pg_catalog.=) $1";
        let found =
            AsOwner::run(|| query(mode, sql, vec![Arg::Bytes(site.0.to_vec())], |row| row.known_long(1)))?;
        Ok(found.first().and_then(|ordinal| u32::try_from(*ordinal).ok()).map(SiteOrdinal))
    }

    /// Gives each of these sites a number, if it has none.
    ///
    /// # Errors
    /// More than [`MAX_NEW_SITES`] have none, or the database failed.
    fn ensure(&mut self, sites: impl Iterator<Item = SiteId>) -> Result<(), PgError> {
        let mut wanted: Vec<SiteId> = sites.filter(|site| !self.by_id.contains_key(site)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        check_new(&wanted)?;
        let mut numbers = Sites::default();
        numbers.ensure(wanted.iter().copied())?;
        for site in wanted {
            if let Some(ordinal) = numbers.ordinal(site) {
                self.by_id.insert(site, ordinal);
                self.by_ordinal.insert(ordinal, site);
            }
        }
        Ok(())
    }

    /// The number of a site that has one.
    ///
    /// # Errors
    /// It was neither learnt nor given one.
    pub(super) fn ordinal(&self, site: SiteId) -> Result<SiteOrdinal, PgError> {
        let known = self.by_id.get(&site).copied();
        known.ok_or_else(|| PgError::internal(format!("cloudsync: site {site} has no number")))
    }

    /// The clock with its sites named by id.
    ///
    /// # Errors
    /// As [`SiteNames::name`].
    pub(super) fn with_ids(&self, clock: &RowClock<SiteOrdinal>) -> Result<RowClock<SiteId>, PgError> {
        clock.map_sites(|site| self.name(site))
    }

    /// The clock with its sites named by number.
    ///
    /// # Errors
    /// A site has no number yet.
    pub(super) fn with_ordinals(&self, clock: &RowClock<SiteId>) -> Result<RowClock<SiteOrdinal>, PgError> {
        clock.map_sites(|site| self.ordinal(site))
    }
}

fn check_new(wanted: &[SiteId]) -> Result<(), PgError> {
    if wanted.len() <= MAX_NEW_SITES {
        return Ok(());
    }
    let sql = "SELECT pg_catalog.count(*) FROM cloudsync.sites WHERE site_id OPERATOR(pg_catalog.=) ANY ($1)";
    let ids = wanted.iter().map(|site| Some(site.0.to_vec())).collect();
    let known = AsOwner::run(|| query(Mode::Write, sql, vec![Arg::Blobs(ids)], |row| row.known_long(1)))?;
    let known = known.first().and_then(|count| usize::try_from(*count).ok()).unwrap_or_default();
    let new = wanted.len().saturating_sub(known);
    if new > MAX_NEW_SITES {
        let message = format!("the push names {new} sites that are new here, more than {MAX_NEW_SITES}");
        return Err(PgError::new(SqlState::LIMIT_EXCEEDED, message));
    }
    Ok(())
}

/// All sites that a stamp or clock may name in changes.
pub(super) fn sites_of(changes: &cloudsync_shared::change::ChangeBatch) -> impl Iterator<Item = SiteId> + '_ {
    changes.tables.iter().flat_map(|table| &table.rows).flat_map(|row| {
        let cells = row.cells.iter().map(|cell| cell.stamp.site);
        let past = row.past.stamps().map(|stamp| stamp.site);
        let deltas = row.texts.iter().filter_map(|text| text.delta.as_ref());
        let texts = deltas.flat_map(texts::sites_in);
        cells.chain(past).chain(texts).chain([row.life.site, Stamp::NEVER.site])
    })
}
