//! The SQL functions that users call: each a few lines around what does the work.

mod info;
mod setup;
