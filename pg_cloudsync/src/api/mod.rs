//! The SQL functions that users call: each a few lines around what does the work.

mod config;
mod ddl;
mod info;
mod setup;
mod values;
