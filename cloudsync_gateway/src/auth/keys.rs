//! The keys that tokens are verified with.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use crate::auth::remote::RemoteKeys;
use crate::config;
use crate::error::{self, ApiError};

/// One key, and the only algorithm that it may be used with: a public key must never serve as the
/// secret of HS256.
#[derive(Clone)]
pub struct VerificationKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys of one database, from all their sources.
pub struct Keys {
    fixed: Vec<VerificationKey>,
    remote: Option<Arc<RemoteKeys>>,
}

impl Keys {
    /// Reads the secret and the file of keys.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn new(jwt: Option<&config::Jwt>, remote: Option<Arc<RemoteKeys>>) -> Result<Keys> {
        let mut fixed = Vec::new();
        if let Some(jwt) = jwt {
            if let Some(secret) = &jwt.secret {
                let bytes = secret_bytes(secret, jwt.secret_is_base64).context("jwt.secret is not base64")?;
                let key = DecodingKey::from_secret(&bytes);
                fixed.push(VerificationKey { id: None, algorithm: Algorithm::HS256, key });
            }
            if let Some(file) = &jwt.jwks_file {
                let at = || format!("jwt.jwks_file {}", file.display());
                let text = std::fs::read_to_string(file).with_context(at)?;
                fixed.extend(parse_set(&text).with_context(at)?);
            }
        }
        Ok(Keys { fixed, remote })
    }

    /// The claims of an authentic token. What they say is not looked at.
    ///
    /// # Errors
    /// `PGRST301` if it is no token or of no key of ours, `PGRST300` if there are no keys at all.
    pub async fn verify(&self, token: &str) -> error::Result<Map<String, Value>> {
        if self.fixed.is_empty() && self.remote.is_none() {
            let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            return Err(ApiError::new(status, "PGRST300", "Server lacks JWT secret"));
        }
        let parts = token.split('.').count();
        if parts != 3 {
            return Err(ApiError::invalid_token(&format!("Expected 3 parts in JWT; got {parts}")));
        }
        let header = decode_header(token).map_err(|_| unsupported())?;
        if !matches!(header.alg, Algorithm::HS256 | Algorithm::RS256 | Algorithm::ES256) {
            return Err(unsupported());
        }
        let id = header.kid.as_deref();
        let mut candidates = fitting(&self.fixed, header.alg, id);
        if let Some(remote) = &self.remote {
            let known = remote.keys(|keys| !fitting(keys, header.alg, id).is_empty()).await;
            candidates.extend(fitting(&known, header.alg, id));
        }
        if candidates.is_empty() {
            return Err(ApiError::invalid_token("No suitable key or wrong key type"));
        }
        let claims = candidates.iter().find_map(|key| claims(token, key));
        claims.ok_or_else(|| ApiError::invalid_token("JWT cryptographic operation failed"))
    }
}

/// A token that names its key is of that key, or of one that has no name.
fn fitting(keys: &[VerificationKey], algorithm: Algorithm, id: Option<&str>) -> Vec<VerificationKey> {
    let fits = |key: &&VerificationKey| {
        key.algorithm == algorithm && (id.is_none() || key.id.is_none() || key.id.as_deref() == id)
    };
    keys.iter().filter(fits).cloned().collect()
}

fn claims(token: &str, key: &VerificationKey) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    decode::<Map<String, Value>>(token, &key.key, &validation).ok().map(|data| data.claims)
}

fn unsupported() -> ApiError {
    ApiError::invalid_token("Wrong or unsupported encoding algorithm")
}

/// The keys of a JSON Web Key Set, or of a single key. Those of other kinds than ours are left out.
///
/// # Errors
/// It is neither, or no key of it can be used.
pub fn parse_set(text: &str) -> Result<Vec<VerificationKey>> {
    let value: Value = serde_json::from_str(text).context("is not JSON")?;
    let items = match value.get("keys") {
        Some(Value::Array(keys)) => keys.clone(),
        _ => vec![value],
    };
    let keys: Vec<_> = items.into_iter().filter_map(verification_key).collect();
    if keys.is_empty() {
        bail!("holds no key for HS256, RS256 or ES256");
    }
    Ok(keys)
}

fn verification_key(value: Value) -> Option<VerificationKey> {
    let set = JwkSet { keys: vec![serde_json::from_value::<Jwk>(value).ok()?] };
    let jwk = set.keys.first()?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        _ => return None,
    };
    // A key that says what it is for is for nothing else.
    let said = jwk.common.key_algorithm.map(|said| said.to_string());
    if said.is_some_and(|said| said != format!("{algorithm:?}")) {
        return None;
    }
    Some(VerificationKey { id: jwk.common.key_id.clone(), algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
}

/// A shared secret as bytes; `None` if it is not base64 as it claims.
pub fn secret_bytes(secret: &str, is_base64: bool) -> Option<Vec<u8>> {
    if !is_base64 {
        return Some(secret.as_bytes().to_vec());
    }
    let key = DecodingKey::from_base64_secret(secret.trim()).ok()?;
    key.try_get_as_bytes().ok().map(<[u8]>::to_vec)
}
