//! Facts about this database as a replica.

use cloudsync_shared::hlc::Version;
use pgrx::pg_extern;

use crate::error::or_report;
use crate::settings;

/// `cloudsync_version() RETURNS text`.
#[pg_extern(sql = false)]
fn cloudsync_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// `cloudsync_siteid() RETURNS bytea`: 16 bytes.
#[pg_extern(sql = false)]
fn cloudsync_siteid() -> Vec<u8> {
    or_report(settings::site_id()).0.to_vec()
}

/// `cloudsync_db_version() RETURNS bigint`: no row here has a higher version.
#[pg_extern(sql = false)]
fn cloudsync_db_version() -> i64 {
    Version::tick(settings::now(), or_report(settings::highest())).0 as i64
}
