//! The HTTP client: TLS, proxies, timeouts.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Proxy};

use crate::error::{Error, Result};
use crate::network::options::Options;
use crate::network::tls::{self, Verification};

/// Idle connections are closed after this, before most servers do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The value of the proxy's setting that stands for none.
const NO_PROXY: &str = "none";

/// Makes a client. It keeps one connection open between requests.
///
/// # Errors
/// The file of authorities cannot be read, or the proxy's address is malformed.
pub fn build(options: &Options) -> Result<Client> {
    let verification = match &options.ca_file {
        Some(file) => Verification::File(file.clone()),
        None => Verification::Public,
    };
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls::config(&verification)?)
        .user_agent(concat!("cloudsync/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry token and data to whom the user did not name.
        .redirect(Policy::none())
        .referer(false)
        // Repeating is decided in one place, by what the server says.
        .retry(reqwest::retry::never())
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.silence_timeout)
        .timeout(options.request_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(1);
    builder = match options.proxy.as_deref() {
        None => builder,
        Some(NO_PROXY) => builder.no_proxy(),
        Some(address) => builder.proxy(Proxy::all(address).map_err(|_| {
            Error::state("the setting network_proxy is malformed: use http://host:port, or 'none'")
        })?),
    };
    builder
        .build()
        .map_err(|error| Error::network(format!("the HTTP client cannot be set up: {}", error.without_url())))
}
