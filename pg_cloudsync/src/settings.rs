//! The database's own facts: its site id, its epoch, the highest version that it was told of.

use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::SiteId;
use cloudsync_shared::message::Epoch;
use pgrx::Spi;
use pgrx::datum::DatumWithOid;

use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::AsOwner;
use crate::ffi::server;

/// The key of the random half of the epoch: 32 hexadecimal digits, drawn at `CREATE EXTENSION`.
const EPOCH: &str = "epoch";
/// The key of the site id: 32 hexadecimal digits.
const SITE_ID: &str = "site_id";

/// This database as a replica.
///
/// # Errors
/// The metadata is damaged.
pub fn site_id() -> Result<SiteId> {
    bytes16(SITE_ID).map(SiteId)
}

/// This life of the server: another after a restore elsewhere, a failover or a clone.
///
/// The random number is made at `CREATE EXTENSION`; system identifier and timeline are laid over
/// it, so that two lives that share the stored number still differ.
///
/// # Errors
/// The metadata is damaged.
pub fn epoch() -> Result<Epoch> {
    let mut bytes = bytes16(EPOCH)?;
    let identifier = server::system_identifier().to_be_bytes();
    let timeline = server::timeline().to_be_bytes();
    for (byte, mask) in bytes.iter_mut().zip(identifier.into_iter().chain(timeline)) {
        *byte ^= mask;
    }
    Ok(Epoch(bytes))
}

/// The highest version that a device sent, where it was ahead of this server's clock.
///
/// # Errors
/// The metadata is damaged.
pub fn highest() -> Result<Version> {
    let _owner = AsOwner::enter()?;
    let version: Option<i64> = Spi::connect(|client| {
        client.select("SELECT version FROM cloudsync.highest", Some(1), &[])?.first().get_one()
    })?;
    Ok(Version(version.unwrap_or(0).max(0) as u64))
}

/// Remembers that a version was seen, if this server's own clock is not past it.
///
/// # Errors
/// The database failed.
pub fn observe(seen: Version) -> Result<()> {
    if seen < Version::from_millis(now()) || seen <= highest()? {
        return Ok(());
    }
    let _owner = AsOwner::enter()?;
    let args: [DatumWithOid<'_>; 1] = [(seen.0.min(Version::MAX.0) as i64).into()];
    Spi::connect_mut(|client| {
        let sql = "UPDATE cloudsync.highest SET version = $1 WHERE version < $1";
        client.update(sql, None, &args).map(|_| ())
    })?;
    Ok(())
}

/// The wall clock, not the transaction's start.
pub fn now() -> Millis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Millis(since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64))
}

/// A setting; `None` if it was never set.
///
/// # Errors
/// The metadata cannot be read.
pub fn get(key: &str) -> Result<Option<String>> {
    let _owner = AsOwner::enter()?;
    let args: [DatumWithOid<'_>; 1] = [key.into()];
    let value = Spi::connect(|client| {
        let table = client.select("SELECT value FROM cloudsync.settings WHERE key = $1", Some(1), &args)?;
        if table.is_empty() { Ok(None) } else { table.first().get_one::<String>() }
    })?;
    Ok(value)
}

fn bytes16(key: &str) -> Result<[u8; 16]> {
    let text = get(key)?;
    text.as_deref().and_then(parse_hex16).ok_or_else(|| {
        PgError::new(SqlState::INTERNAL, format!("cloudsync: setting '{key}' is missing or damaged"))
            .with_hint("DROP EXTENSION cloudsync CASCADE; CREATE EXTENSION cloudsync;")
    })
}

/// Reads 32 hexadecimal digits.
fn parse_hex16(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}
