//! Errors below HTTP: names, connections, certificates, proxies.

use std::error::Error as StdError;
use std::io;

use crate::error::Error;
use crate::network::describe;
use crate::network::http::answer::Failure;
use crate::network::http::retry::Remedy;

/// Makes a failure of what the client reports. The URL is left out.
pub fn failure(error: reqwest::Error, host: &str) -> Failure {
    let error = error.without_url();
    if let Some(reason) = certificate_problem(&error) {
        let message = format!(
            "the certificate of {host} is not trusted ({reason}): if its authority is your own, name its \
             file: SELECT cloudsync_set('network_ca_file', '/path/to/ca.pem')"
        );
        return Failure::new(Remedy::None, Error::state(message));
    }
    let reasons = describe(&error);
    if error.is_builder() {
        return Failure::new(Remedy::None, Error::state(format!("the request cannot be made: {reasons}")));
    }
    let what = if error.is_timeout() && error.is_connect() {
        "takes too long to connect to; is the network or a proxy (HTTPS_PROXY) in the way?"
    } else if error.is_timeout() {
        "takes too long to answer"
    } else if reasons.contains("dns error") {
        "cannot be found: is the device offline, or the name misspelt?"
    } else if reasons.contains("tunnel error") {
        "is not let through by the proxy: check HTTPS_PROXY and the setting network_proxy"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "broke the connection"
    };
    Failure::new(Remedy::Again, Error::network(format!("{host} {what} ({reasons})")))
}

/// What is wrong with a certificate, if that is the error or its cause.
fn certificate_problem(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref::<rustls::Error>() {
            return Some(reason.to_string());
        }
        // An I/O error stands for what it holds, and names only the cause of that.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = held.map(|held| held as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    None
}
