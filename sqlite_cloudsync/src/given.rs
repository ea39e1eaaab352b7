//! The versions that this process has given, whatever became of the transactions.
//!
//! Inside a transaction changes can be read, and told, before they are rolled back. The database then knows
//! nothing of their versions any more, and with a clock that stands still or was set back it would give them
//! again, to other values.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteId;
use rusqlite::Connection;

use crate::error::Result;
use crate::system;

/// The highest version by file and site.
static GIVEN: Mutex<BTreeMap<(String, SiteId), Version>> = Mutex::new(BTreeMap::new());

fn place(conn: &Connection) -> Result<(String, SiteId)> {
    let site = system::site_id(conn)?.unwrap_or(SiteId::NIL);
    Ok((conn.path().unwrap_or_default().to_owned(), site))
}

/// The highest version that this process has given under this database's site id.
///
/// # Errors
/// The database cannot be read.
pub fn highest(conn: &Connection) -> Result<Version> {
    let given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(given.get(&place(conn)?).copied().unwrap_or(Version::NEVER))
}

/// Remembers what was given; also a lower version than before, as when all were given anew.
///
/// # Errors
/// The database cannot be read.
pub fn set_highest(conn: &Connection, version: Version) -> Result<()> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    given.insert(place(conn)?, version);
    Ok(())
}
