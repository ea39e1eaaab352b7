//! Whose a site id is: the user who first pushed under it, and nobody else.

use cloudsync_shared::id::SiteId;

use super::spi::{Arg, Mode, execute, query};
use crate::error::{PgError, SqlState};
use crate::ffi::owner::AsOwner;
use crate::settings;

/// The longest identity, in bytes: a role's name and the subject of a token, as JSON.
const MAX_IDENTITY_BYTES: usize = 1024;

/// A user as far as sites are concerned: the role, and the subject of its token if it has one, which
/// stay when the token is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity(String);

/// The `sub` of the claims that an API server has checked and set; the claims as PostgREST names them.
const IDENTITY: &str = "SELECT CAST(CASE WHEN c.sub IS NULL THEN pg_catalog.json_build_array(current_user) \
    ELSE pg_catalog.json_build_array(current_user, c.sub) END AS pg_catalog.text) \
    FROM (SELECT CAST(NULLIF(pg_catalog.current_setting('request.jwt.claims', true), '') AS pg_catalog.json) \
        OPERATOR(pg_catalog.->>) 'sub' AS sub) AS c";

impl Identity {
    /// The caller's.
    ///
    /// # Errors
    /// The claims are not JSON, or their subject is too long.
    pub(super) fn of_caller() -> Result<Identity, PgError> {
        let found = query(Mode::Write, IDENTITY, Vec::new(), |row| row.known_text(1))?;
        let identity = found.into_iter().next().unwrap_or_default();
        if identity.len() > MAX_IDENTITY_BYTES {
            let message = format!(
                "the subject of the token is too long: role and subject may have {MAX_IDENTITY_BYTES} bytes"
            );
            return Err(PgError::new(SqlState::LIMIT_EXCEEDED, message));
        }
        Ok(Identity(identity))
    }

    /// Makes sure that the caller may push under a site id that has a number already: it is the caller's,
    /// or nobody's and becomes the caller's.
    ///
    /// # Errors
    /// It is another's, this server's own, or that of nobody.
    pub(super) fn claim(&self, site: SiteId) -> Result<(), PgError> {
        if site == SiteId::NIL || site == settings::site_id()? {
            return Err(refused());
        }
        let owner = owner_of(site)?;
        if owner.as_deref() == Some(self.0.as_str()) {
            return Ok(());
        }
        // Another transaction may be claiming it: this waits for it, and then looks again.
        if owner.is_none() && take(site, &self.0)? {
            return Ok(());
        }
        Err(refused())
    }

    /// Those of these sites that are another's or this server's own.
    ///
    /// # Errors
    /// The metadata cannot be read.
    pub(super) fn foreign(&self, sites: &[SiteId]) -> Result<Vec<SiteId>, PgError> {
        let sql = "SELECT site_id FROM cloudsync.sites WHERE site_id OPERATOR(pg_catalog.=) ANY ($1) \
            AND (ordinal OPERATOR(pg_catalog.=) 0 OR identity OPERATOR(pg_catalog.<>) $2)";
        let ids = sites.iter().map(|site| Some(site.0.to_vec())).collect();
        let args = vec![Arg::Blobs(ids), Arg::Text(self.0.clone())];
        let found = AsOwner::run(|| query(Mode::Write, sql, args, |row| row.bytes(1)))?;
        Ok(found.iter().flatten().filter_map(|bytes| SiteId::from_slice(bytes)).collect())
    }
}

fn owner_of(site: SiteId) -> Result<Option<String>, PgError> {
    let sql = "SELECT identity FROM cloudsync.sites WHERE site_id OPERATOR(pg_catalog.=) $1";
    let args = vec![Arg::Bytes(site.0.to_vec())];
    let found = AsOwner::run(|| query(Mode::Write, sql, args, |row| row.text(1)))?;
    Ok(found.into_iter().next().flatten())
}

fn take(site: SiteId, identity: &str) -> Result<bool, PgError> {
    let sql = "UPDATE cloudsync.sites SET identity = $2 \
        WHERE site_id OPERATOR(pg_catalog.=) $1 AND (identity IS NULL OR identity OPERATOR(pg_catalog.=) $2)";
    let args = vec![Arg::Bytes(site.0.to_vec()), Arg::Text(identity.to_owned())];
    Ok(AsOwner::run(|| execute(sql, args))? > 0)
}

fn refused() -> PgError {
    PgError::new(
        SqlState::INSUFFICIENT_PRIVILEGE,
        "the site id of this device belongs to another user: call cloudsync_network_logout() on the device, \
         which empties its synced tables and gives it a new one",
    )
}
