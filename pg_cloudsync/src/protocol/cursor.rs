//! Points in the server's history, and what changed since one.

use std::collections::BTreeMap;

use cloudsync_shared::id::SiteOrdinal;
use cloudsync_shared::message::Snapshot;
use roaring::RoaringTreemap;

use super::spi::{Arg, Mode, query};
use crate::error::PgError;
use crate::ffi::owner::AsOwner;

/// The present, as a cursor to come back with.
///
/// A standby tells running transactions incompletely, so there only the horizon counts: what is not
/// visible at it is told again.
///
/// # Errors
/// The database failed.
pub(super) fn present(mode: Mode) -> Result<Snapshot, PgError> {
    let sql = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() \
            THEN pg_catalog.format('%s:%s:', s.horizon, s.horizon) ELSE CAST(s.now AS pg_catalog.text) END \
        FROM (SELECT n.now, pg_catalog.pg_snapshot_xmin(n.now) AS horizon \
            FROM (SELECT pg_catalog.pg_current_snapshot() AS now) AS n) AS s";
    let found = query(mode, sql, Vec::new(), |row| row.known_text(1))?;
    found.into_iter().next().map(Snapshot).ok_or_else(|| PgError::internal("cloudsync: no snapshot"))
}

/// The rows, by table number, that were touched by transactions that `from` does not see, except by
/// pushes of `asker`.
///
/// # Errors
/// `from` is not a snapshot, or the log cannot be read.
pub(super) fn touched_since(
    mode: Mode,
    from: &Snapshot,
    asker: Option<SiteOrdinal>,
) -> Result<BTreeMap<i64, RoaringTreemap>, PgError> {
    let sql = "SELECT CAST(l.table_id AS pg_catalog.int8), l.rows FROM cloudsync.log AS l \
        WHERE l.xid OPERATOR(pg_catalog.>=) pg_catalog.pg_snapshot_xmin(CAST($1 AS pg_catalog.pg_snapshot)) \
        AND NOT pg_catalog.pg_visible_in_snapshot(l.xid, CAST($1 AS pg_catalog.pg_snapshot)) \
        AND CAST(l.site AS pg_catalog.int8) OPERATOR(pg_catalog.<>) $2";
    let asker = asker.map_or(-1, |site| i64::from(site.0));
    let args = vec![Arg::Text(from.0.clone()), Arg::Long(asker)];
    let entries = AsOwner::run(|| {
        query(mode, sql, args, |row| Ok((row.known_long(1)?, row.bytes(2)?.unwrap_or_default())))
    })?;
    let mut touched: BTreeMap<i64, RoaringTreemap> = BTreeMap::new();
    for (table, bytes) in entries {
        let rows = RoaringTreemap::deserialize_from(bytes.as_slice())
            .map_err(|_| PgError::internal("cloudsync: an entry of the log is damaged"))?;
        *touched.entry(table).or_default() |= rows;
    }
    Ok(touched)
}

/// Notes that rows were touched by `site` in this transaction.
///
/// # Errors
/// The log cannot be written.
pub(super) fn note_touched(table: i64, site: SiteOrdinal, rows: &RoaringTreemap) -> Result<(), PgError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut bytes = Vec::with_capacity(rows.serialized_size());
    rows.serialize_into(&mut bytes).map_err(|_| PgError::internal("cloudsync: a bitmap cannot be written"))?;
    let sql = "INSERT INTO cloudsync.log (xid, table_id, site, rows) \
        VALUES (pg_catalog.pg_current_xact_id(), CAST($1 AS pg_catalog.int4), CAST($2 AS pg_catalog.int4), $3)";
    let args = vec![Arg::Long(table), Arg::Long(i64::from(site.0)), Arg::Bytes(bytes)];
    AsOwner::run(|| super::spi::execute(sql, args)).map(|_| ())
}
