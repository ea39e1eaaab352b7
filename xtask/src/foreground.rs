//! The command `pg`: a private server to try things on.

use std::path::PathBuf;

use anyhow::Result;

use crate::server::{Options, Server};
use crate::{dist, setup};

/// Runs until Ctrl-C.
pub fn run(port: u16, data: Option<PathBuf>) -> Result<()> {
    setup::run()?;
    dist::build()?;
    let options = Options { name: format!("pg-{port}"), data, port: Some(port), keep: true, durable: true };
    let server = Server::start(&options)?;
    println!("\nPostgreSQL with cloudsync is running; Ctrl-C stops it.\n");
    println!("  {}", server.url());
    println!("  psql {}\n", server.url());
    server.wait()
}
