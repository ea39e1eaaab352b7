//! The CRDT core of cloudsync: pure functions from facts to plans, without I/O, clock, randomness
//! or threads. See ARCHITECTURE.md at the root for the map.

#![forbid(unsafe_code)]

pub mod error;
pub mod hlc;
pub mod id;
pub mod key;
pub mod value;
pub mod varint;
