//! The highest version that stands outside this database for certain: what the server told, and what it took.
//!
//! The clocks alone do not know it. A write under a clock that runs ahead hides the stamp that it replaced, and
//! if it is given another version (see `restamp`), that has to be above what the server has.

use cloudsync_shared::hlc::Version;
use rusqlite::Connection;

use crate::error::Result;
use crate::system;

/// Setting: the highest version that the server has told or taken.
const STANDING: &str = "standing_version";
/// Setting: the highest version that was sent, whether an answer came or not.
const TRIED: &str = "tried_version";

/// Notes a version that the server has.
///
/// # Errors
/// The database cannot be written.
pub fn stands(conn: &Connection, version: Version) -> Result<()> {
    system::raise(conn, STANDING, version)
}

/// Notes a version that the server may have from now on.
///
/// # Errors
/// The database cannot be written.
pub fn is_tried(conn: &Connection, version: Version) -> Result<()> {
    system::raise(conn, TRIED, version)
}

/// Above which version new ones have to be, if the server takes none above `latest`.
///
/// # Errors
/// The database cannot be read.
pub fn floor(conn: &Connection, latest: Version) -> Result<Version> {
    // A request with a later version was refused, so nothing of it stands.
    let tried = Some(system::version_setting(conn, TRIED)?).filter(|tried| *tried <= latest);
    Ok(system::version_setting(conn, STANDING)?.max(tried.unwrap_or(Version::NEVER)))
}
