//! The only files with `unsafe`: fences around what PostgreSQL offers in C alone.

pub mod flag;
pub mod image;
pub mod invalidate;
mod lookup;
pub mod owner;
pub mod server;
pub mod subxact;
pub mod trigger;
