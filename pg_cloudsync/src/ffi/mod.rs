//! The only files with `unsafe`: fences around what PostgreSQL offers in C alone.

mod aggregate;
pub mod flag;
pub mod forms;
pub mod image;
mod init;
pub mod invalidate;
mod lookup;
pub mod owner;
pub mod server;
pub mod subxact;
pub mod trigger;
mod values;
