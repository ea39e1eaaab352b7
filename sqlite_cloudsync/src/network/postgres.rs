//! The direct way: a PostgreSQL connection, for servers, desktops on a private network and agents.

use std::time::Duration;

use tokio_postgres::{Client, Config, Statement};

use crate::error::{Error, Result};
use crate::network::chunks::ChunkSize;
use crate::network::describe;
use crate::network::driver::Driver;
use crate::network::interrupt::Interrupt;
use crate::network::tls::{self, Verification};
use crate::network::transport::Transport;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of values in one request: larger than over HTTP, as no proxy stands between.
const CHUNK_BYTES: usize = 4 << 20;

/// An open connection. Dropping it closes it.
pub struct PostgresTransport {
    driver: Driver,
    client: Client,
    push: Statement,
    pull: Statement,
    /// The schema of the extension, quoted.
    schema: String,
    chunk: ChunkSize,
    /// A call was given up while the server worked on it.
    is_abandoned: bool,
}

impl PostgresTransport {
    /// Opens a connection to `postgres://user:password@host:port/database?sslmode=…`.
    ///
    /// # Errors
    /// The address is malformed, the server cannot be reached, or it has no extension `cloudsync`.
    pub fn connect(url: &str, interrupt: &Interrupt<'_>) -> Result<PostgresTransport> {
        let (url, verification) = tls::split_options(url)?;
        let mut config: Config = url.parse().map_err(|error| {
            Error::network(format!("the PostgreSQL address is malformed: {}", describe(&error)))
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.application_name("cloudsync");
        let driver = Driver::new()?;
        let (client, push, pull, schema) = driver.run(interrupt, open(&config, verification))??;
        let chunk = ChunkSize::new(CHUNK_BYTES);
        Ok(PostgresTransport { driver, client, push, pull, schema, chunk, is_abandoned: false })
    }

    fn call(&mut self, statement: &Statement, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        let called = self.driver.run(interrupt, self.client.query_one(statement, &[&request]));
        self.is_abandoned |= called.is_err();
        called?.and_then(|row| row.try_get(0)).map_err(|error| database_error(&error))
    }

    /// Calls a function that is not worth preparing for every connection.
    fn call_seldom(&mut self, function: &str, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        let sql = format!("SELECT {}.{function}($1::bytea)", self.schema);
        let prepared = self.driver.run(interrupt, self.client.prepare(&sql));
        self.is_abandoned |= prepared.is_err();
        let statement = prepared?.map_err(|error| database_error(&error))?;
        self.call(&statement, request, interrupt)
    }
}

impl Transport for PostgresTransport {
    fn push(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        let statement = self.push.clone();
        self.call(&statement, request, interrupt)
    }

    fn pull(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        let statement = self.pull.clone();
        self.call(&statement, request, interrupt)
    }

    fn pull_schema(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        self.call_seldom("cloudsync_pull_schema", request, interrupt)
    }

    fn create_tables(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        self.call_seldom("cloudsync_create_tables", request, interrupt)
    }

    fn chunk(&mut self) -> &mut ChunkSize {
        &mut self.chunk
    }

    fn is_reusable(&self) -> bool {
        !self.is_abandoned && !self.client.is_closed()
    }
}

async fn open(config: &Config, verification: Verification) -> Result<(Client, Statement, Statement, String)> {
    let connector = tls::connector(&verification)?;
    let (client, connection) = config.connect(connector).await.map_err(|error| database_error(&error))?;
    // The driver ends by itself when the client is dropped; an error of it reaches the client's calls.
    tokio::spawn(connection);
    let schema = client
        .query_opt(
            "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
             JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'cloudsync'",
            &[],
        )
        .await
        .map_err(|error| database_error(&error))?;
    let Some(schema) = schema else {
        return Err(Error::network(
            "the server's database has no extension cloudsync: CREATE EXTENSION cloudsync",
        ));
    };
    let schema: String = schema.try_get(0).map_err(|error| database_error(&error))?;
    let prepare = async |function: &str| {
        let sql = format!("SELECT {schema}.{function}($1::bytea)");
        client.prepare(&sql).await.map_err(|error| database_error(&error))
    };
    let push = prepare("cloudsync_push").await?;
    let pull = prepare("cloudsync_pull").await?;
    Ok((client, push, pull, schema))
}

/// An error with the server's own words, SQLSTATE first; nothing of the address is repeated.
fn database_error(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(database) => {
            let mut message = database.message().to_owned();
            if let Some(hint) = database.hint() {
                message.push_str("; ");
                message.push_str(hint);
            }
            Error::server(database.code().code(), message)
        }
        None => Error::network(format!("the server cannot be reached: {}", describe(error))),
    }
}
