//! The SQLite extension `cloudsync`.
