//! Real devices and a real server for the tests in `tests/`.
//!
//! They need `CLOUDSYNC_SQLITE_EXTENSION` (the file of the SQLite extension) and `CLOUDSYNC_PG_URL` (a
//! server with the extension's files installed, and a role that may create databases); `cargo xtask test`
//! sets both. Tests over HTTP need `CLOUDSYNC_GATEWAY` as well, the gateway's program.

pub mod device;
pub mod faults;
pub mod gateway;
pub mod notes;
pub mod random;
pub mod rls;
pub mod server;
pub mod types;
pub mod values;

/// The value of a variable that the tests cannot run without.
///
/// # Panics
/// It is not set.
pub fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask test`"))
}
