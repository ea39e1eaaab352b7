//! The gateway against a real server: what PostgREST's documentation promises, line by line.
//!
//! Run by `cargo xtask test`, which names the server by `CLOUDSYNC_PG_URL`.

mod ask;
mod calls;
mod creation;
mod errors;
mod limits;
mod migration;
mod process;
mod sync;
mod tokens;
mod transactions;
mod world;
