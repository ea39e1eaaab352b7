//! A stateless HTTP server that speaks PostgREST's function calls, for those who run PostgreSQL
//! without PostgREST. It verifies who calls, opens one transaction as that role, calls one function,
//! and hands its bytes back. It never merges and never looks into a payload.
//!
//! Import order: `error` → `config` → `auth`, `database` → `rpc` → `server`.

pub mod auth;
pub mod config;
pub mod database;
pub mod error;
pub mod limits;
pub mod log;
pub mod rpc;
pub mod server;
