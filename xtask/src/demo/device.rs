//! A device: a SQLite file and the shell that a person would use, the extension loaded.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

use super::tables::Table;
use crate::paths;
use crate::sqlite::Sqlite;

/// A device that knows its server.
pub struct Device {
    /// What it is called in the story.
    pub name: &'static str,
    shell: Sqlite,
    url: String,
    token: Option<String>,
}

/// What one sync did.
pub struct Synced {
    /// Seconds, the shell's start included.
    pub seconds: f64,
    /// The JSON that `cloudsync_network_sync` returned.
    pub report: Value,
}

impl Device {
    /// `file` need not exist.
    pub fn new(name: &'static str, file: &Path, url: &str) -> Device {
        let shell = Sqlite::with_extension(file, &paths::sqlite_extension()).checking_foreign_keys();
        Device { name, shell, url: url.to_owned(), token: None }
    }

    /// The device of a user who has signed in.
    pub fn with_token(self, token: String) -> Device {
        Device { token: Some(token), ..self }
    }

    /// Creates the tables and makes them synced.
    pub fn create(&self, tables: &[Table]) -> Result<()> {
        self.run(&tables.iter().map(Table::for_sqlite).collect::<String>()).map(drop)
    }

    /// Runs any script on it.
    pub fn run(&self, script: &str) -> Result<String> {
        self.shell.script(script).with_context(|| format!("device {}", self.name))
    }

    /// One call, as an application makes it.
    pub fn sync(&self) -> Result<Synced> {
        let started = Instant::now();
        let token = self.token.as_ref();
        let sign_in = token.map(|token| format!("SELECT cloudsync_network_set_token('{token}');\n"));
        let printed = self.run(&format!(
            "SELECT cloudsync_network_init('{}');\n{}SELECT cloudsync_network_sync();\n",
            self.url,
            sign_in.unwrap_or_default()
        ))?;
        let seconds = started.elapsed().as_secs_f64();
        let mut reports = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let report = reports.rfind(Value::is_object);
        let report =
            report.with_context(|| format!("device {}: the sync returned no JSON:\n{printed}", self.name))?;
        Ok(Synced { seconds, report })
    }

    /// The database file.
    pub fn file(&self) -> &Path {
        self.shell.file()
    }
}
