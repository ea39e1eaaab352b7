//! Facts about this database as a replica.

use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteId;
use pgrx::pg_extern;

use crate::error::{Result, or_report};
use crate::ffi::server;
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

/// `cloudsync_uuid() RETURNS uuid`: version 7, ordered by time.
#[pg_extern(sql = false)]
fn cloudsync_uuid() -> pgrx::Uuid {
    pgrx::Uuid::from_bytes(or_report(new_uuid()).0)
}

/// 48 bits of milliseconds, then random but for the version and variant marks.
fn new_uuid() -> Result<SiteId> {
    let mut bytes = server::random_bytes()?;
    let millis = settings::now().0.to_be_bytes();
    for (byte, time) in bytes.iter_mut().zip(millis.into_iter().skip(2)) {
        *byte = time;
    }
    let [.., b6, _, b8, _, _, _, _, _, _, _] = &mut bytes;
    *b6 = (*b6 & 0x0f) | 0x70;
    *b8 = (*b8 & 0x3f) | 0x80;
    Ok(SiteId(bytes))
}
