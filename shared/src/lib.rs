//! The CRDT core of cloudsync: pure functions from facts to plans, without I/O, clock, randomness
//! or threads. See ARCHITECTURE.md at the root for the map.
//!
//! Import order, left may be used by right and never the reverse:
//! `error` → `varint` → `id`, `hlc` → `value` → `key` → `schema`, `clock` → `change` ↔ `merge` →
//! `capture` → `port` → `flow`; `cells`; `text`; `qualified`; `message` → `wire`. Merging and the wire do not see each other.

#![forbid(unsafe_code)]

pub mod capture;
pub mod cells;
pub mod change;
pub mod clock;
#[cfg(feature = "ddl")]
pub mod ddl;
pub mod error;
pub mod flow;
pub mod hlc;
pub mod id;
pub mod keeping;
pub mod key;
#[cfg(feature = "mem")]
pub mod mem;
pub mod merge;
pub mod message;
pub mod port;
pub mod qualified;
pub mod schema;
pub mod text;
pub mod value;
pub mod varint;
pub mod vector;
pub mod wire;
