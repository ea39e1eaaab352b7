//! The SQLite extension `cloudsync`: databases that are written offline and agree by one call.
//!
//! Local writes are noted by triggers of plain SQL (`trigger`), folded into row clocks when somebody
//! asks (`fold`), read as changes (`read`) and merged from changes (`apply`, `store`). Towards a server
//! they leave by the `outbox` and come in by the `inbox`, as the `network` session says.

pub mod apply;
pub mod bases;
pub mod buried;
pub mod catalog;
pub mod changes;
pub mod clash;
pub mod conflicts;
#[cfg(feature = "loadable")]
pub mod entry;
pub mod error;
pub mod ffi;
pub mod filter;
pub mod fold;
mod functions;
pub mod given;
pub mod groups;
pub mod horizon;
pub mod inbox;
pub mod init;
pub mod losses;
pub mod mapping;
pub mod network;
pub mod outbox;
pub mod parked;
pub mod payload;
pub mod quote;
pub mod read;
pub mod refusal;
pub mod rejections;
pub mod renewed;
pub mod restamp;
mod row_write;
pub mod savepoint;
pub mod schema_pull;
mod sending;
pub mod sent;
pub mod standing;
mod store;
pub mod swap;
pub mod system;
pub mod table;
mod texts;
pub mod transaction;
pub mod trigger;
pub mod twin;
mod unsendable;
pub mod value;
mod whole_row;

use rusqlite::Connection;

/// The release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Adds the extension's functions and tables to a connection.
///
/// # Errors
/// SQLite refuses one of them.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    register_with(conn, network::Callbacks::default())
}

/// As [`register`]; each sync on this connection tells its progress, and asks for tokens, by `callbacks`.
///
/// # Errors
/// SQLite refuses one of them.
pub fn register_with(conn: &Connection, callbacks: network::Callbacks) -> rusqlite::Result<()> {
    functions::register_tables(conn)?;
    functions::register_settings(conn)?;
    functions::register_identity(conn)?;
    functions::register_values(conn)?;
    functions::register_payloads(conn)?;
    changes::register(conn)?;
    transaction::register(conn)?;
    network::register(conn, callbacks)?;
    Ok(())
}
