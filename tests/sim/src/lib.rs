//! A deterministic simulation of replicas that write, sync over a bad network, and crash.
//!
//! A seed gives a [`scenario::Scenario`], a list of actions without any randomness left in it. It is
//! run on in-memory replicas ([`run::run`]); at every step clocks must only move forward, and after
//! quiet all replicas must hold what an oracle computes from the log of all writes. A failing
//! scenario is made small and printed as Rust source. The conformance suite replays the same
//! scenarios on the engines.

pub mod check;
pub mod generate;
pub mod oracle;
pub mod print;
pub mod prng;
pub mod run;
pub mod scenario;
pub mod shrink;
mod world;

pub use world::{Counts, Options};
