//! Who calls: an API key, a user's token, and in which header each belongs.
//!
//! The newer API keys of Supabase (`sb_publishable_…`, `sb_secret_…`) are no tokens and never go into
//! `Authorization`. The older ones are, and go there too as long as no user's token does.

use std::fmt;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, Result};

const APIKEY: HeaderName = HeaderName::from_static("apikey");

/// How every API key of the newer kind begins.
const KEY_PREFIX: &str = "sb_";

/// Asked for a token when there is none, and for a new one when the server found the last one expired.
/// `None`: there is none, the user must sign in. It must not use the connection that it was registered with.
pub type TokenProvider = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// What a request brings along.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    apikey: Option<String>,
    token: Option<String>,
}

// Secrets never reach a log.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials { .. }")
    }
}

impl Credentials {
    /// Takes an API key; an empty one takes it away.
    pub fn set_apikey(&mut self, key: &str) {
        self.apikey = non_empty(key);
    }

    /// Takes a token; an empty one takes it away.
    ///
    /// # Errors
    /// It is an API key.
    pub fn set_token(&mut self, token: &str) -> Result<()> {
        if token.trim().starts_with(KEY_PREFIX) {
            return Err(Error::state(
                "that is an API key, not a token: cloudsync_network_set_apikey takes it",
            ));
        }
        self.token = non_empty(token);
        Ok(())
    }

    /// Whether there is a user's token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The headers.
    ///
    /// # Errors
    /// Key or token hold what cannot stand in a header.
    pub fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.apikey {
            headers.insert(APIKEY, secret(key, "API key")?);
        }
        let key_as_token = self.apikey.as_deref().filter(|key| is_token(key));
        if let Some(token) = self.token.as_deref().or(key_as_token) {
            headers.insert(AUTHORIZATION, secret(&format!("Bearer {token}"), "token")?);
        }
        Ok(headers)
    }

    /// A server's words without what we told it.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in [&self.apikey, &self.token].into_iter().flatten() {
            text = text.replace(secret.as_str(), "***");
        }
        text
    }
}

fn non_empty(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() { None } else { Some(text.to_owned()) }
}

/// A JSON Web Token: three parts, the first the coded form of an object.
fn is_token(key: &str) -> bool {
    key.starts_with("eyJ") && key.split('.').count() == 3
}

fn secret(value: &str, what: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::state(format!("the {what} holds characters that a request cannot carry")))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGACY: &str = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2ln";

    fn headers(apikey: &str, token: &str) -> (Option<String>, Option<String>) {
        let mut credentials = Credentials::default();
        credentials.set_apikey(apikey);
        credentials.set_token(token).unwrap();
        let headers = credentials.headers().unwrap();
        assert!(headers.values().all(HeaderValue::is_sensitive));
        let get = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (get("apikey"), get("authorization"))
    }

    #[test]
    fn each_secret_goes_where_it_belongs() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(headers("", ""), (None, None));
        assert_eq!(headers("sb_publishable_x", ""), (some("sb_publishable_x"), None));
        assert_eq!(headers("sb_secret_x", ""), (some("sb_secret_x"), None));
        assert_eq!(headers(LEGACY, ""), (some(LEGACY), some(&format!("Bearer {LEGACY}"))));
        assert_eq!(headers(LEGACY, "a.b.c"), (some(LEGACY), some("Bearer a.b.c")));
        assert_eq!(headers("sb_publishable_x", " a.b.c\n"), (some("sb_publishable_x"), some("Bearer a.b.c")));
        assert_eq!(headers("", "opaque"), (None, some("Bearer opaque")));
        assert_eq!(headers("my.own.key", ""), (some("my.own.key"), None));
    }

    #[test]
    fn an_api_key_is_not_taken_for_a_token() {
        let error = Credentials::default().set_token("sb_secret_hush").unwrap_err().to_string();
        assert!(error.contains("set_apikey") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let mut credentials = Credentials::default();
        credentials.set_apikey("hush1");
        credentials.set_token("hush2").unwrap();
        assert!(!format!("{credentials:?}").contains("hush"));
        assert_eq!(credentials.scrub("key hush1, token hush2."), "key ***, token ***.");
        credentials.set_token("hush\u{1}3").unwrap();
        assert!(!credentials.headers().unwrap_err().to_string().contains("hush"));
    }
}
