//! The PostgreSQL extension `cloudsync`.
//!
//! Import order, left may be used by right and never the reverse:
//! `error`, `quote` → `ffi` → `settings`, `sites`, `texts`, `catalog` → `capture` → `api`, `protocol`.
//! The SQL that declares the functions is written by hand: `sql/postgres/`.

mod api;
mod capture;
mod catalog;
mod error;
#[allow(unsafe_code)]
mod ffi;
mod protocol;
mod quote;
mod settings;
mod setup;
mod sites;
mod texts;

pgrx::pg_module_magic!();
