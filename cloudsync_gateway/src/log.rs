//! The log: one line a request, without token, claim, query, header or body.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Sets the process's log up, on standard output.
///
/// # Errors
/// The level cannot be read.
pub fn set_up(format: LogFormat, level: &str) -> Result<()> {
    let filter = EnvFilter::try_new(level).context("configuration: log_level: cannot be read, try `info`")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.with_ansi(std::io::stdout().is_terminal()).init(),
    }
    Ok(())
}
