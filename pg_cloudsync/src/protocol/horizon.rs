//! What `cloudsync_collect` has removed, and who may have missed it.

use cloudsync_shared::hlc::Version;
use cloudsync_shared::message::Snapshot;

use super::spi::{Arg, Mode, query};
use crate::error::PgError;
use crate::ffi::owner::AsOwner;

/// How far the metadata was collected, as a cursor sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    /// Deletes with a lower version are forgotten.
    pub(super) version: Version,
    /// The cursor may not have seen all that is gone from the log: what changed since is not known.
    pub(super) is_past: bool,
}

/// Reads the horizon, for a device that comes back with this cursor.
///
/// It depends on the cursor alone. A transaction that was running when the snapshot was taken is held to have
/// lasted since: only what is below all of those has surely been seen.
///
/// # Errors
/// The cursor is not a snapshot, or the metadata cannot be read.
pub(super) fn horizon(mode: Mode, cursor: Option<&Snapshot>) -> Result<Horizon, PgError> {
    let sql = "SELECT h.version, h.xid OPERATOR(pg_catalog.>=) \
            pg_catalog.pg_snapshot_xmin(CAST(NULLIF($1, '') AS pg_catalog.pg_snapshot)) FROM cloudsync.horizon AS h";
    let args = vec![Arg::Text(cursor.map(|cursor| cursor.0.clone()).unwrap_or_default())];
    let found = AsOwner::run(|| query(mode, sql, args, |row| Ok((row.known_long(1)?, row.flag(2)?))))?;
    let (version, is_past) =
        found.into_iter().next().ok_or_else(|| PgError::internal("cloudsync: the horizon is not noted"))?;
    Ok(Horizon { version: Version(version.unsigned_abs()), is_past })
}

/// The highest id of a row of a table that was collected, 0 if none was. To be read after the clocks: then who
/// finds a clock gone finds why.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn highest_collected(table: i64) -> Result<u64, PgError> {
    let sql = "SELECT t.collected FROM cloudsync.tables AS t \
        WHERE CAST(t.id AS pg_catalog.int8) OPERATOR(pg_catalog.=) $1";
    let found = AsOwner::run(|| query(Mode::Write, sql, vec![Arg::Long(table)], |row| row.known_long(1)))?;
    Ok(found.into_iter().next().unwrap_or_default().unsigned_abs())
}
