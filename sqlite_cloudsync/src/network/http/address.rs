//! From the address that the application gives to the URLs that are called.
//!
//! On `*.supabase.co` the functions are below `/rest/v1`; PostgREST and the gateway have them right below
//! the address; a self-hosted Supabase below the `/rest/v1` that its address must end with.

use reqwest::Url;

use crate::error::{Error, Result};

/// Hosts of Supabase projects.
const SUPABASE: &str = ".supabase.co";
/// Where a project's REST endpoint is.
const REST: &str = "/rest/v1";
const CALLS: &str = "/rpc";

/// The URLs of the functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Of `cloudsync_push`.
    pub push: Url,
    /// Of `cloudsync_pull`.
    pub pull: Url,
    /// Of `cloudsync_pull_schema`.
    pub pull_schema: Url,
    /// Of `cloudsync_create_tables`.
    pub create_tables: Url,
    /// Host and port, for messages.
    pub host: String,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// It is no `http://` or `https://` address, or holds what belongs elsewhere. The address itself is
    /// not repeated in the message, as it may hold a password.
    pub fn parse(address: &str) -> Result<Endpoint> {
        let mut url = Url::parse(address.trim()).map_err(|error| {
            Error::state(format!("the server's address is malformed ({error}): expected https://host"))
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::state(format!(
                "addresses with {}: are not known: use https://, http:// or postgres://",
                url.scheme()
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::state(
                "an HTTP address must not hold a user name or password: use cloudsync_network_set_apikey \
                 and cloudsync_network_set_token",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::state("the server's address must end before '?' and '#'"));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let base = base_path(&host, url.path());
        let mut function = |name: &str| {
            url.set_path(&format!("{base}{CALLS}/{name}"));
            url.clone()
        };
        let (push, pull) = (function("cloudsync_push"), function("cloudsync_pull"));
        let pull_schema = function("cloudsync_pull_schema");
        let create_tables = function("cloudsync_create_tables");
        let host = push.port().map_or(host.clone(), |port| format!("{host}:{port}"));
        Ok(Endpoint { push, pull, pull_schema, create_tables, host })
    }
}

fn base_path(host: &str, path: &str) -> String {
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(CALLS).unwrap_or(path);
    let is_project = host.ends_with(SUPABASE) && !path.ends_with(REST);
    if is_project { format!("{path}{REST}") } else { path.to_owned() }
}

/// The address of one database of a gateway, of which it has several.
///
/// # Errors
/// As [`Endpoint::parse`].
pub fn of_database(address: &str, database: &str) -> Result<String> {
    Endpoint::parse(address)?;
    let mut url = Url::parse(address.trim())
        .map_err(|error| Error::state(format!("the server's address is malformed ({error})")))?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("db").push(database);
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(address: &str) -> String {
        Endpoint::parse(address).unwrap().push.into()
    }

    #[test]
    fn every_kind_of_server_has_its_path() {
        for (address, expected) in [
            ("https://abc.supabase.co", "https://abc.supabase.co/rest/v1/rpc/cloudsync_push"),
            ("https://abc.supabase.co/", "https://abc.supabase.co/rest/v1/rpc/cloudsync_push"),
            ("https://ABC.Supabase.co/rest/v1/", "https://abc.supabase.co/rest/v1/rpc/cloudsync_push"),
            ("http://localhost:8000/rest/v1", "http://localhost:8000/rest/v1/rpc/cloudsync_push"),
            ("http://localhost:3000", "http://localhost:3000/rpc/cloudsync_push"),
            ("https://api.example.com/sync", "https://api.example.com/sync/rpc/cloudsync_push"),
            ("https://api.example.com/sync/rpc", "https://api.example.com/sync/rpc/cloudsync_push"),
            ("https://h/db/one", "https://h/db/one/rpc/cloudsync_push"),
            ("https://notsupabase.co", "https://notsupabase.co/rpc/cloudsync_push"),
            (
                "https://abc.supabase.co.evil.example",
                "https://abc.supabase.co.evil.example/rpc/cloudsync_push",
            ),
            ("http://[::1]:3000", "http://[::1]:3000/rpc/cloudsync_push"),
        ] {
            assert_eq!(push(address), expected, "{address}");
        }
        let endpoint = Endpoint::parse("http://localhost:3000").unwrap();
        assert_eq!(endpoint.pull.as_str(), "http://localhost:3000/rpc/cloudsync_pull");
        assert_eq!(endpoint.host, "localhost:3000");
    }

    #[test]
    fn a_database_of_a_gateway_is_named_in_the_path() {
        assert_eq!(of_database("https://h/x/", "a b/c").unwrap(), "https://h/x/db/a%20b%2Fc");
        assert_eq!(of_database("https://h", "one").unwrap(), "https://h/db/one");
    }

    #[test]
    fn a_refused_address_is_not_repeated() {
        for address in [
            "https://user:s3cret@h",
            "https://s3cret@h",
            "https://h/?key=s3cret",
            "https://h/#s3cret",
            "ftp://h/s3cret",
            "s3cret",
            "",
            "https://",
        ] {
            let message = Endpoint::parse(address).unwrap_err().to_string();
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
