//! The configuration: what each key means. How it is read is in `load`, what must hold in `check`.

mod check;
mod environment;
mod load;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use check::check;
pub use environment::PREFIX as ENVIRONMENT_PREFIX;
pub use load::{ConfigError, load, parse};

/// 1 MiB for the client's message and 64 KiB for what surrounds it.
pub const DEFAULT_BODY_BYTES: usize = (1 << 20) + (64 << 10);

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on, plain HTTP.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// How the log is written.
    #[serde(default)]
    pub log_format: LogFormat,
    /// What is logged, in the syntax of `tracing`: `info`, `warn`, `cloudsync_gateway=debug`.
    #[serde(default = "default_log_level")]
    pub log_level: String,
    /// Seconds that requests under way are given after SIGTERM or SIGINT.
    #[serde(default = "default_shutdown_seconds")]
    pub shutdown_seconds: u64,
    /// Origins whose pages may call; `*` for all, empty for none.
    #[serde(default = "default_cors_origins")]
    pub cors_origins: Vec<String>,
    /// How many proxies in front are trusted to append to `X-Forwarded-For`.
    #[serde(default)]
    pub trusted_proxies: usize,
    /// The database that is served without `/db/{id}` in the path; the only one, if there is one.
    pub default_database: Option<String>,
    /// Bounds on what one caller can take.
    #[serde(default)]
    pub limits: Limits,
    /// How tokens are verified, for databases that do not say it themselves.
    pub jwt: Option<Jwt>,
    /// Keys of the header `apikey`, for databases that do not list their own.
    #[serde(default)]
    pub api_keys: Vec<ApiKey>,
    /// The databases, by the id that stands in the path.
    #[serde(default)]
    pub databases: BTreeMap<String, Database>,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For reading in a terminal.
    Text,
}

/// Bounds on what one caller can take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub body_bytes: usize,
    /// Longest time for a request, in seconds, beyond which its statement is cancelled.
    pub request_seconds: u64,
    /// `statement_timeout` for roles and functions that set none, in milliseconds; 0 leaves the server's.
    pub statement_timeout_ms: u64,
    /// Requests a second for each token, or address where there is none; 0 for no limit.
    pub requests_per_second: u32,
    /// How many requests may come at once after a pause.
    pub burst: u32,
}

/// How tokens are verified. Several sources of keys may be named at once, for a change of keys.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// Shared secret for HS256, at least 32 bytes.
    pub secret: Option<String>,
    /// File that holds the secret.
    pub secret_file: Option<PathBuf>,
    /// Whether the secret is written in base64.
    pub secret_is_base64: bool,
    /// File with a JSON Web Key Set, or one key.
    pub jwks_file: Option<PathBuf>,
    /// Address of a JSON Web Key Set.
    pub jwks_url: Option<String>,
    /// The audience that a token with `aud` must name.
    pub audience: Option<String>,
    /// Where the role is found in the claims.
    pub role_claim: Option<String>,
}

/// A key of the header `apikey`, and whom it stands for where no token does.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The key.
    pub key: Option<String>,
    /// File that holds the key.
    pub key_file: Option<PathBuf>,
    /// The role of requests that bring this key and no token.
    pub role: String,
}

/// One database.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://role:password@host:port/database?sslmode=…`.
    pub url: Option<String>,
    /// File that holds the address.
    pub url_file: Option<PathBuf>,
    /// Schemas whose functions can be called; the first is the default.
    #[serde(default = "default_schemas")]
    pub schemas: Vec<String>,
    /// Schemas after the exposed one in `search_path`.
    #[serde(default = "default_extra_search_path")]
    pub extra_search_path: Vec<String>,
    /// Functions that can be called.
    #[serde(default = "default_functions")]
    pub functions: Vec<String>,
    /// Role of requests without a token; without it they are refused.
    pub anon_role: Option<String>,
    /// Whether every request must bring one of the API keys, as on Supabase.
    #[serde(default)]
    pub require_api_key: bool,
    /// Most connections at once.
    #[serde(default = "default_pool_size")]
    pub pool_size: usize,
    /// Seconds that a request waits for a free connection.
    #[serde(default = "default_pool_wait_seconds")]
    pub pool_wait_seconds: u64,
    /// Seconds after which what is known of functions and roles is read again.
    #[serde(default = "default_catalog_seconds")]
    pub catalog_seconds: u64,
    /// How this database's tokens are verified, instead of the common `jwt`.
    pub jwt: Option<Jwt>,
    /// This database's API keys, instead of the common ones.
    pub api_keys: Option<Vec<ApiKey>>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: DEFAULT_BODY_BYTES,
            request_seconds: 60,
            statement_timeout_ms: 0,
            requests_per_second: 0,
            burst: 50,
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 3000))
}

fn default_log_level() -> String {
    "info".to_owned()
}

fn default_shutdown_seconds() -> u64 {
    30
}

fn default_cors_origins() -> Vec<String> {
    vec!["*".to_owned()]
}

fn default_schemas() -> Vec<String> {
    vec!["public".to_owned()]
}

fn default_extra_search_path() -> Vec<String> {
    vec!["public".to_owned(), "extensions".to_owned()]
}

fn default_functions() -> Vec<String> {
    ["cloudsync_push", "cloudsync_pull", "cloudsync_pull_schema", "cloudsync_create_tables"]
        .map(str::to_owned)
        .to_vec()
}

fn default_pool_size() -> usize {
    10
}

fn default_pool_wait_seconds() -> u64 {
    10
}

fn default_catalog_seconds() -> u64 {
    30
}

// Secrets never reach a log, not even in a debug build.
macro_rules! without_secrets {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), " { .. }"))
            }
        }
    )*};
}
without_secrets!(Jwt, ApiKey, Database);
