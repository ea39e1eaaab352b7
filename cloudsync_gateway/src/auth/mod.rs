//! Who calls: from the headers `Authorization` and `apikey` to a role and claims.

mod api_key;
mod claim_path;
mod claims;
mod keys;
mod remote;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

pub use claim_path::ClaimPath;
pub use keys::secret_bytes;
pub use remote::RemoteKeys;

use crate::auth::api_key::ApiKeys;
use crate::auth::keys::Keys;
use crate::config;
use crate::error::{self, ApiError};

/// What the keys of Supabase that are no tokens begin with.
const KEY_PREFIX: &str = "sb_";

/// Who calls.
#[derive(Clone, PartialEq)]
pub struct Identity {
    /// The role of the transaction.
    pub role: String,
    /// The token's claims.
    pub claims: Map<String, Value>,
    /// Whether it is more than the anonymous role.
    pub is_authenticated: bool,
    /// Whether a token or a secret proved who it is.
    pub is_proven: bool,
}

impl Identity {
    /// The claims as a function finds them: with the role in any case.
    pub fn claims_json(&self) -> String {
        let mut claims = self.claims.clone();
        claims.insert("role".to_owned(), Value::String(self.role.clone()));
        Value::Object(claims).to_string()
    }
}

/// How the callers of one database are known.
pub struct Authenticator {
    keys: Keys,
    api_keys: ApiKeys,
    require_api_key: bool,
    anon_role: Option<String>,
    audience: Option<String>,
    role_claim: ClaimPath,
}

impl Authenticator {
    /// Reads the keys that are in files; `remote` are those at the configured address.
    ///
    /// # Errors
    /// A key cannot be read.
    pub fn new(
        config: &config::Config,
        database: &config::Database,
        remote: Option<Arc<RemoteKeys>>,
    ) -> Result<Authenticator> {
        let jwt = database.jwt.as_ref().or(config.jwt.as_ref());
        let api_keys = database.api_keys.as_ref().unwrap_or(&config.api_keys);
        let role_claim = jwt.and_then(|jwt| jwt.role_claim.as_deref()).and_then(ClaimPath::parse);
        Ok(Authenticator {
            keys: Keys::new(jwt, remote)?,
            api_keys: ApiKeys::new(api_keys),
            require_api_key: database.require_api_key,
            anon_role: database.anon_role.clone(),
            audience: jwt.and_then(|jwt| jwt.audience.clone()),
            role_claim: role_claim.unwrap_or_default(),
        })
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// A token or key that does not hold, or none where one is needed.
    pub async fn authenticate(&self, headers: &HeaderMap) -> error::Result<Identity> {
        let api_key = header(headers, "apikey");
        let role_of_key = match &api_key {
            // A token in place of a key, as Supabase's older keys are, proves itself below.
            Some(key) => self.api_keys.role(key),
            None => None,
        };
        if self.require_api_key && role_of_key.is_none() {
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "CSG401",
                "No valid API key in header 'apikey'",
            ));
        }
        match bearer(headers)? {
            Some(token) if !is_no_token(&token, api_key.as_deref()) => self.of_token(&token).await,
            _ => self.without_token(role_of_key),
        }
    }

    async fn of_token(&self, token: &str) -> error::Result<Identity> {
        let claims = self.keys.verify(token).await?;
        claims::check(&claims, self.audience.as_deref(), now())?;
        let role = match self.role_claim.find(&claims) {
            Some(Value::String(role)) => Some(role.clone()),
            Some(other) => Some(other.to_string()),
            None => self.anon_role.clone(),
        };
        let role = role.ok_or_else(ApiError::token_required)?;
        Ok(Identity { is_authenticated: self.is_authenticated(&role), is_proven: true, role, claims })
    }

    fn without_token(&self, role_of_key: Option<&str>) -> error::Result<Identity> {
        let role = role_of_key.or(self.anon_role.as_deref()).ok_or_else(ApiError::token_required)?;
        Ok(Identity {
            is_authenticated: self.is_authenticated(role),
            is_proven: false,
            role: role.to_owned(),
            claims: Map::new(),
        })
    }

    fn is_authenticated(&self, role: &str) -> bool {
        self.anon_role.as_deref() != Some(role)
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The token of the header `Authorization`; other schemes are as no header at all.
fn bearer(headers: &HeaderMap) -> error::Result<Option<String>> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let Ok(value) = value.to_str() else { return Ok(None) };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => match token.trim() {
            "" => Err(ApiError::invalid_token("Empty JWT is sent in Authorization header")),
            token => Ok(Some(token.to_owned())),
        },
        _ if value.eq_ignore_ascii_case("bearer") => {
            Err(ApiError::invalid_token("Empty JWT is sent in Authorization header"))
        }
        _ => Ok(None),
    }
}

/// Client libraries repeat their key as a token; Supabase's front replaces it, and so it means nothing.
fn is_no_token(token: &str, api_key: Option<&str>) -> bool {
    token.starts_with(KEY_PREFIX) && api_key.is_none_or(|key| key == token)
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
