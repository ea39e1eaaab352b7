//! A device in a few lines, for tests that speak the protocol with a real server.
//!
//! The server is named by `CLOUDSYNC_PG_URL`, a superuser's connection string without a database.
//! Each test gets a database of its own.

pub mod device;
pub mod raw;
pub mod server;
