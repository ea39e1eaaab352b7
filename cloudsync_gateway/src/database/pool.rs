//! The connections to one database, and what is known of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use tokio::sync::Mutex;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config;
use crate::database::catalog::Catalog;
use crate::database::lease::Lease;
use crate::database::{address, tls};
use crate::error::{self, ApiError};
use crate::rpc::describe;

/// A function that is not known makes the catalog be read again, but not more often than this.
const REREAD_INTERVAL: Duration = Duration::from_secs(1);

/// Seconds after which a client may try again when the database is away.
const RETRY_SECONDS: &str = "2";

/// One database: its connections, and its catalog as it was a short while ago.
pub struct Database {
    pool: Pool,
    tls: MakeRustlsConnect,
    schemas: Vec<String>,
    functions: Vec<String>,
    catalog_age: Duration,
    catalog: Mutex<Option<(Instant, Arc<Catalog>)>>,
}

impl Database {
    /// Sets the pool up; connections are opened when they are needed.
    ///
    /// # Errors
    /// The address or its file of authorities cannot be used.
    pub fn new(config: &config::Database) -> Result<Database> {
        let url = config.url.as_deref().context("no url")?;
        let Ok((address, verification)) = address::parse(url) else {
            anyhow::bail!("the url is malformed");
        };
        let tls = tls::connector(&verification)?;
        // What a function left behind in the session must not meet the next caller.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Clean };
        let manager = Manager::from_config(address, tls.clone(), recycling);
        let wait = Duration::from_secs(config.pool_wait_seconds);
        let pool = Pool::builder(manager)
            .max_size(config.pool_size)
            .wait_timeout(Some(wait))
            .runtime(Runtime::Tokio1)
            .build()
            .context("the pool of connections cannot be set up")?;
        Ok(Database {
            pool,
            tls,
            schemas: config.schemas.clone(),
            functions: config.functions.clone(),
            catalog_age: Duration::from_secs(config.catalog_seconds),
            catalog: Mutex::new(None),
        })
    }

    /// A connection of one's own.
    ///
    /// # Errors
    /// `PGRST003` if none became free in time, `PGRST000` if the database cannot be reached.
    pub async fn lease(&self) -> error::Result<Lease> {
        match self.pool.get().await {
            Ok(object) => Ok(Lease::new(object, self.tls.clone())),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(ApiError::new(
                StatusCode::GATEWAY_TIMEOUT,
                "PGRST003",
                "Timed out acquiring connection from connection pool.",
            )),
            Err(error) => {
                // Its words name hosts and roles: for the log, not for the caller.
                tracing::error!(error = %describe(&error), "the database cannot be reached");
                let error = ApiError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "PGRST000",
                    "Database connection error. Retrying the connection.",
                );
                Err(error.with_header(RETRY_AFTER, RETRY_SECONDS))
            }
        }
    }

    /// What is known, read again if that is too long ago.
    ///
    /// # Errors
    /// `PGRST002` if it cannot be read, besides those of [`Database::lease`].
    pub async fn catalog(&self) -> error::Result<Arc<Catalog>> {
        self.catalog_not_older_than(self.catalog_age).await
    }

    /// What is known, read right now unless that was a moment ago.
    ///
    /// # Errors
    /// As [`Database::catalog`].
    pub async fn fresh_catalog(&self) -> error::Result<Arc<Catalog>> {
        self.catalog_not_older_than(self.catalog_age.min(REREAD_INTERVAL)).await
    }

    async fn catalog_not_older_than(&self, age: Duration) -> error::Result<Arc<Catalog>> {
        // Held while reading: those who come meanwhile want the same answer.
        let mut kept = self.catalog.lock().await;
        if let Some((read_at, catalog)) = &*kept
            && read_at.elapsed() < age
        {
            return Ok(catalog.clone());
        }
        let lease = self.lease().await?;
        let catalog =
            Catalog::read(lease.client(), &self.schemas, &self.functions).await.map_err(|error| {
                tracing::error!(error = %describe(&error), "the catalog cannot be read");
                ApiError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "PGRST002",
                    "Could not query the database for the schema cache. Retrying.",
                )
                .with_header(RETRY_AFTER, RETRY_SECONDS)
            })?;
        lease.give_back();
        refuse_superuser(&catalog)?;
        let catalog = Arc::new(catalog);
        *kept = Some((Instant::now(), catalog.clone()));
        Ok(catalog)
    }

    /// Closes the connections that nobody uses, and every other when it comes back.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// A superuser is a member of every role, so a token could name any.
fn refuse_superuser(catalog: &Catalog) -> error::Result<()> {
    if !catalog.is_superuser {
        return Ok(());
    }
    tracing::error!("the login role is a superuser, so every token could become one: log in as another role");
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "CSG503", "The gateway's login role is a superuser")
        .with_hint("Let it log in as a NOINHERIT role that is a member of the roles that tokens name"))
}
