//! Settings of the network, kept in the database: `SELECT cloudsync_set('network_…', …)`.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::error::{Error, Result};
use crate::system;

/// Bytes of values in one request or answer; between what proxies commonly let through and what is
/// worth a round trip.
const CHUNK_BYTES: usize = 1 << 20;
/// A chunk is never asked to be larger: a message has room for 64 MiB.
const MOST_CHUNK_BYTES: usize = 32 << 20;
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the server may be silent: longer than the 60 s after which Supabase ends a request.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a request may take, if bytes come now and then.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

/// What can be set. The key of each is in [`Options::load`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of values in one request or answer, before compression.
    pub chunk_bytes: usize,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long the server may be silent.
    pub silence_timeout: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// A file with the certificates of the authorities to trust, instead of the public ones.
    pub ca_file: Option<String>,
    /// The proxy's address, or `none`; otherwise the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and
    /// NO_PROXY decide.
    pub proxy: Option<String>,
    /// The schema in which the REST endpoint finds the functions, if not the first that it exposes.
    pub schema: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            chunk_bytes: CHUNK_BYTES,
            connect_timeout: CONNECT_TIMEOUT,
            silence_timeout: SILENCE_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            ca_file: None,
            proxy: None,
            schema: None,
        }
    }
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// One is not what it should be, or the database failed.
    pub fn load(conn: &Connection) -> Result<Options> {
        let mut options = Options::default();
        if !system::exists(conn)? {
            return Ok(options);
        }
        if let Some(bytes) = number(conn, "network_chunk_bytes")? {
            options.chunk_bytes = usize::try_from(bytes).unwrap_or(MOST_CHUNK_BYTES).min(MOST_CHUNK_BYTES);
        }
        for (key, timeout) in [
            ("network_connect_timeout_ms", &mut options.connect_timeout),
            ("network_silence_timeout_ms", &mut options.silence_timeout),
            ("network_request_timeout_ms", &mut options.request_timeout),
        ] {
            if let Some(milliseconds) = number(conn, key)? {
                *timeout = Duration::from_millis(milliseconds);
            }
        }
        options.ca_file = text(conn, "network_ca_file")?;
        options.proxy = text(conn, "network_proxy")?;
        options.schema = text(conn, "network_schema")?;
        Ok(options)
    }
}

/// A setting that must be a positive number, also where it was written as a text.
fn number(conn: &Connection, key: &str) -> Result<Option<u64>> {
    let number = match system::setting(conn, key)? {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Integer(number)) => u64::try_from(number).ok(),
        Some(Value::Text(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    match number {
        Some(number) if number > 0 => Ok(Some(number)),
        _ => Err(Error::state(format!("the setting {key} must be a number above zero"))),
    }
}

fn text(conn: &Connection, key: &str) -> Result<Option<String>> {
    match system::setting(conn, key)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(text)) if text.is_empty() => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Error::state(format!("the setting {key} must be a text"))),
    }
}
