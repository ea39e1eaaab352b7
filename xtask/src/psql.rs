//! The `psql` program: the server is driven and read as any user would.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::run;

/// One way to reach one database.
#[derive(Clone)]
pub struct Psql {
    program: PathBuf,
    url: String,
}

impl Psql {
    /// `program` is psql's path.
    pub fn new(program: &Path, url: &str) -> Psql {
        Psql { program: program.to_path_buf(), url: url.to_owned() }
    }

    /// Runs one statement and returns its rows, tab-separated.
    pub fn query(&self, sql: &str) -> Result<String> {
        run::quietly(self.command().args(["-A", "-t", "-F", "\t", "-c", sql]))
    }

    /// Runs a script that may hold psql's own commands; stops at the first error.
    pub fn script(&self, sql: &str) -> Result<String> {
        run::with_input(self.command().args(["-A", "-t", "-f", "-"]), sql)
    }

    /// Runs a query and returns what a person would see.
    pub fn show(&self, sql: &str) -> Result<String> {
        run::quietly(self.command().args(["--pset=footer=off", "-c", sql]))
    }

    /// Rows of a query whose values may hold any character but the two separators.
    pub fn rows(&self, sql: &str, column: char, row: char, null: &str) -> Result<String> {
        let mut command = self.command();
        command.args(["-A", "-t", "-F", &column.to_string(), "-R", &row.to_string()]);
        run::quietly(command.args([&format!("--pset=null={null}"), "-c", sql]))
    }

    fn command(&self) -> Command {
        let mut command = run::command(&self.program);
        // -X: the user's own start-up file must not change what we parse.
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url]);
        command.env("PGCLIENTENCODING", "UTF8").env("PGOPTIONS", "--client-min-messages=warning");
        command
    }
}
