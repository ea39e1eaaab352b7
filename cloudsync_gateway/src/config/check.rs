//! What must hold of a configuration beyond its types.

use crate::config::{ApiKey, Config, ConfigError, Database, Jwt};

/// Shorter secrets can be found by trying (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Checks everything that can be checked without a connection.
///
/// # Errors
/// The first thing that cannot be meant, with its key.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    if config.databases.is_empty() {
        return Err(ConfigError::at(
            "databases",
            "no database is named: add a table [databases.main] with its url",
        ));
    }
    match &config.default_database {
        Some(id) if !config.databases.contains_key(id) => {
            return Err(ConfigError::at("default_database", format!("there is no [databases.{id}]")));
        }
        _ => {}
    }
    let limits = &config.limits;
    if limits.body_bytes == 0 || limits.request_seconds == 0 {
        return Err(ConfigError::at("limits", "body_bytes and request_seconds must be more than 0"));
    }
    if limits.requests_per_second > 0 && limits.burst == 0 {
        return Err(ConfigError::at("limits.burst", "must be at least 1, or every request is refused"));
    }
    if let Some(jwt) = &config.jwt {
        check_jwt("jwt", jwt)?;
    }
    check_api_keys("api_keys", &config.api_keys)?;
    for (id, database) in &config.databases {
        check_database(config, id, database)?;
    }
    Ok(())
}

fn check_database(config: &Config, id: &str, database: &Database) -> Result<(), ConfigError> {
    let at = |key: &str, problem: &str| Err(ConfigError::at(format!("databases.{id}.{key}"), problem));
    let is_id = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if id.is_empty() || !id.chars().all(is_id) {
        return Err(ConfigError::at(format!("databases.{id}"), "an id is made of letters, digits, - and _"));
    }
    let Some(url) = &database.url else {
        return at("url", "is missing: postgres://role:password@host:port/database");
    };
    // The reason would quote the address, which holds a password.
    if crate::database::address::parse(url).is_err() {
        return at(
            "url",
            "is not an address: postgres://role:password@host:port/database?sslmode=verify-full",
        );
    }
    if database.schemas.is_empty() {
        return at("schemas", "at least one schema must be exposed");
    }
    let hidden = ["pg_catalog", "information_schema"];
    if let Some(schema) = database.schemas.iter().find(|schema| hidden.contains(&schema.as_str())) {
        return at("schemas", &format!("{schema} cannot be exposed"));
    }
    if database.functions.is_empty() {
        return at("functions", "no function could be called: name them, or leave the key out");
    }
    if database.pool_size == 0 {
        return at("pool_size", "must be at least 1");
    }
    if let Some(jwt) = &database.jwt {
        check_jwt(&format!("databases.{id}.jwt"), jwt)?;
    }
    let keys = database.api_keys.as_ref().unwrap_or(&config.api_keys);
    check_api_keys(&format!("databases.{id}.api_keys"), keys)?;
    if database.require_api_key && keys.is_empty() {
        return at("require_api_key", "there are no api_keys that a request could bring");
    }
    if database.jwt.is_none() && config.jwt.is_none() && database.anon_role.is_none() && keys.is_empty() {
        return at("jwt", "nobody could call: name jwt keys, api_keys or an anon_role");
    }
    Ok(())
}

fn check_jwt(place: &str, jwt: &Jwt) -> Result<(), ConfigError> {
    if jwt.secret.is_none() && jwt.jwks_file.is_none() && jwt.jwks_url.is_none() {
        return Err(ConfigError::at(place, "name secret, secret_file, jwks_file or jwks_url"));
    }
    if let Some(secret) = &jwt.secret {
        let length = crate::auth::secret_bytes(secret, jwt.secret_is_base64)
            .ok_or_else(|| {
                ConfigError::at(format!("{place}.secret"), "is not base64, as secret_is_base64 says")
            })?
            .len();
        if length < MIN_SECRET_BYTES {
            return Err(ConfigError::at(
                format!("{place}.secret"),
                format!("has {length} bytes, and needs at least {MIN_SECRET_BYTES}"),
            ));
        }
    }
    if let Some(url) = &jwt.jwks_url
        && !(url.starts_with("https://") || url.starts_with("http://"))
    {
        return Err(ConfigError::at(format!("{place}.jwks_url"), "must begin with https:// (or http://)"));
    }
    if let Some(path) = &jwt.role_claim
        && crate::auth::ClaimPath::parse(path).is_none()
    {
        return Err(ConfigError::at(
            format!("{place}.role_claim"),
            "is no path such as .role or .app_metadata.role",
        ));
    }
    Ok(())
}

fn check_api_keys(place: &str, keys: &[ApiKey]) -> Result<(), ConfigError> {
    for (index, key) in keys.iter().enumerate() {
        if key.key.as_deref().is_none_or(str::is_empty) {
            return Err(ConfigError::at(format!("{place}[{index}].key"), "is missing"));
        }
        if key.role.is_empty() {
            return Err(ConfigError::at(format!("{place}[{index}].role"), "is empty"));
        }
    }
    Ok(())
}
