//! What all requests share: the configuration, and for each database its pool and its keys.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use axum::http::{HeaderMap, StatusCode};

use crate::auth::{Authenticator, Identity, RemoteKeys};
use crate::config::{self, Config};
use crate::database::Database;
use crate::error::{self, ApiError};
use crate::limits::{Caller, RateLimit};
use crate::server::caller;

/// The state of the server. It holds nothing that must outlive it.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The database of paths that name none.
    pub default_database: Option<String>,
    services: BTreeMap<String, Service>,
    rate: RateLimit,
}

/// One database and how its callers are known.
pub struct Service {
    /// Its part of the configuration.
    pub config: config::Database,
    /// Its connections.
    pub database: Database,
    authenticator: Authenticator,
}

impl App {
    /// Reads keys and sets pools up; no connection is opened yet.
    ///
    /// # Errors
    /// A key or a certificate cannot be used.
    pub fn new(config: Config) -> Result<App> {
        let mut services = BTreeMap::new();
        let mut remote: BTreeMap<String, Arc<RemoteKeys>> = BTreeMap::new();
        for (id, database) in &config.databases {
            let at = || format!("configuration: databases.{id}");
            let jwt = database.jwt.as_ref().or(config.jwt.as_ref());
            let keys = jwt.and_then(|jwt| jwt.jwks_url.as_deref());
            let keys = keys.map(|url| shared_keys(&mut remote, url)).transpose()?;
            let authenticator = Authenticator::new(&config, database, keys).with_context(at)?;
            let pool = Database::new(database).with_context(at)?;
            services.insert(id.clone(), Service { config: database.clone(), database: pool, authenticator });
        }
        let only = if services.len() == 1 { services.keys().next().cloned() } else { None };
        let default_database = config.default_database.clone().or(only);
        let rate = RateLimit::new(config.limits.requests_per_second, config.limits.burst);
        Ok(App { config, default_database, services, rate })
    }

    /// The service of a database.
    ///
    /// # Errors
    /// `PGRST125`: there is none of this id.
    pub fn service(&self, id: Option<&str>) -> error::Result<&Service> {
        id.and_then(|id| self.services.get(id)).ok_or_else(|| {
            let error = ApiError::invalid_path();
            match id {
                Some(_) => error,
                None => error.with_hint("Name a database: /db/{id}/rpc/{function}"),
            }
        })
    }

    /// All databases by their ids.
    pub fn services(&self) -> impl Iterator<Item = (&String, &Service)> {
        self.services.iter()
    }

    /// The id and configuration of a database, if there is one of this id.
    pub fn known(&self, id: Option<&str>) -> Option<(String, &config::Database)> {
        let (id, service) = self.services.get_key_value(id?)?;
        Some((id.clone(), &service.config))
    }

    /// Who calls, counted. Who fails to prove who it is counts as its address, so that nobody gets a
    /// new allowance by making a token up.
    ///
    /// # Errors
    /// The caller is not known, or calls too often.
    pub async fn authenticate(
        &self,
        service: &Service,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> error::Result<Identity> {
        let outcome = service.authenticator.authenticate(headers).await;
        let proven = outcome.as_ref().is_ok_and(|identity| identity.is_proven);
        let caller = match proven {
            true => Caller::Token(caller::token_digest(headers)),
            false => Caller::Address(address),
        };
        self.rate.take(caller, Instant::now())?;
        outcome
    }

    /// Closes all connections.
    pub fn close(&self) {
        for service in self.services.values() {
            service.database.close();
        }
    }
}

fn shared_keys(known: &mut BTreeMap<String, Arc<RemoteKeys>>, url: &str) -> Result<Arc<RemoteKeys>> {
    if let Some(keys) = known.get(url) {
        return Ok(keys.clone());
    }
    let keys = Arc::new(RemoteKeys::new(url)?);
    known.insert(url.to_owned(), keys.clone());
    Ok(keys)
}

impl Service {
    /// Whether the database answers.
    pub async fn is_ready(&self) -> bool {
        self.database.fresh_catalog().await.is_ok()
    }
}

/// The status of a server that cannot serve.
pub const NOT_READY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
