//! The SQL functions `cloudsync_network_*` and `cloudsync_status`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;

use crate::error::{Error, Result};
use crate::network::http::{self, Credentials, Endpoint, HttpTransport, TokenProvider};
use crate::network::interrupt::Interrupt;
use crate::network::options::Options;
use crate::network::postgres::PostgresTransport;
use crate::network::progress::{Phase, ProgressCallback};
use crate::network::report;
use crate::network::session::{self, Session};
use crate::network::state::ServerState;
use crate::network::transport::Transport;
use crate::{ffi, init, outbox, schema_pull, system};

/// What an application in Rust may be asked and told during a sync.
#[derive(Clone, Default)]
pub struct Callbacks {
    /// How far the sync has come.
    pub progress: Option<ProgressCallback>,
    /// A token for the server.
    pub token: Option<TokenProvider>,
}

/// What a connection knows of its network: in memory only, as it holds secrets.
#[derive(Default)]
struct Network {
    address: Option<String>,
    credentials: Credentials,
    transport: Option<Box<dyn Transport + Send>>,
    /// Whether a sync has worked.
    has_synced: bool,
}

type Shared = Arc<Mutex<Network>>;

/// Registers the functions.
///
/// # Errors
/// SQLite refuses a registration.
pub fn register(conn: &Connection, callbacks: Callbacks) -> Result<()> {
    let network: Shared = Shared::default();
    setter(conn, "cloudsync_network_init", &network, |network, address| network.set_address(address))?;
    setter(conn, "cloudsync_network_set_token", &network, |network, token| {
        network.credentials.set_token(&token)
    })?;
    setter(conn, "cloudsync_network_set_apikey", &network, |network, key| {
        network.credentials.set_apikey(&key);
        Ok(())
    })?;
    function(conn, "cloudsync_network_init_custom", 2, &network, |_, context, network| {
        // The second argument is the name of a database, at a server or a gateway.
        let (address, database): (String, String) = (context.get(0)?, context.get(1)?);
        let address = if is_postgres(&address) {
            format!("{}/{database}", address.trim_end_matches('/'))
        } else {
            http::of_database(&address, &database)?
        };
        lock(network).set_address(address)?;
        Ok(Value::Integer(0))
    })?;
    register_syncs(conn, &network, &callbacks)?;
    function(conn, "cloudsync_network_has_unsent_changes", 0, &network, |conn, _, _| {
        let (rows, base) = if system::exists(conn)? { outbox::unsent(conn)? } else { (0, false) };
        Ok(Value::Integer(i64::from(rows > 0 || base)))
    })?;
    for name in ["cloudsync_status", "cloudsync_network_status"] {
        function(conn, name, 0, &network, |conn, _, _| report::status(conn).map(text))?;
    }
    function(conn, "cloudsync_network_reset_sync_version", 0, &network, |conn, _, _| {
        let epoch = ServerState::load(conn)?.epoch;
        ServerState { epoch, cursor: None, progress: None }.store(conn)?;
        Ok(Value::Null)
    })?;
    function(conn, "cloudsync_network_cleanup", 0, &network, |_, _, network| {
        *lock(network) = Network::default();
        Ok(Value::Null)
    })?;
    function(conn, "cloudsync_network_logout", 0, &network, |conn, _, network| {
        init::logout(conn)?;
        *lock(network) = Network::default();
        Ok(Value::Null)
    })
}

fn register_syncs(conn: &Connection, network: &Shared, callbacks: &Callbacks) -> Result<()> {
    for arguments in 0..=2 {
        let callbacks = callbacks.clone();
        function(conn, "cloudsync_network_sync", arguments, network, move |conn, context, network| {
            let wait = Duration::from_millis(argument(context, 0)?.unwrap_or(100).unsigned_abs());
            let retries = argument(context, 1)?.unwrap_or(1);
            with_retries(&Interrupt::of(conn), wait, retries, || run(conn, network, &callbacks, None))
                .map(text)
        })?;
    }
    let of_schema = callbacks.clone();
    function(conn, "cloudsync_network_pull_schema", 0, network, move |conn, _, network| {
        let made = connected(conn, network, &of_schema, |transport| schema_pull::pull(conn, transport))?;
        Ok(Value::Integer(i64::try_from(made).unwrap_or(i64::MAX)))
    })?;
    for (name, half) in [
        ("cloudsync_network_send_changes", Phase::Sending),
        ("cloudsync_network_check_changes", Phase::Receiving),
        ("cloudsync_network_receive_changes", Phase::Receiving),
    ] {
        let callbacks = callbacks.clone();
        function(conn, name, 0, network, move |conn, _, network| {
            run(conn, network, &callbacks, Some(half)).map(text)
        })?;
    }
    Ok(())
}

impl Network {
    fn set_address(&mut self, address: String) -> Result<()> {
        if !is_postgres(&address) {
            Endpoint::parse(&address)?;
        }
        self.address = Some(address);
        self.transport = None;
        Ok(())
    }

    fn connect(&self, conn: &Connection, callbacks: &Callbacks) -> Result<Box<dyn Transport + Send>> {
        let Some(address) = self.address.as_deref() else {
            return Err(Error::state("no server is set: SELECT cloudsync_network_init('https://…')"));
        };
        if is_postgres(address) {
            return Ok(Box::new(PostgresTransport::connect(address, &Interrupt::of(conn))?));
        }
        let (credentials, options) = (self.credentials.clone(), Options::load(conn)?);
        Ok(Box::new(HttpTransport::new(address, credentials, callbacks.token.clone(), &options)?))
    }
}

fn is_postgres(address: &str) -> bool {
    address.starts_with("postgres://") || address.starts_with("postgresql://")
}

/// A sync, or half of one, with its JSON report.
fn run(
    conn: &Connection,
    network: &Shared,
    callbacks: &Callbacks,
    half: Option<Phase>,
) -> Result<serde_json::Value> {
    let first = !lock(network).has_synced;
    let report =
        connected(conn, network, callbacks, |transport| run_over(conn, transport, callbacks, half, first));
    lock(network).has_synced |= report.is_ok() && half.is_none();
    report
}

/// Does something over the connection to the server, which is opened if there is none.
fn connected<T>(
    conn: &Connection,
    network: &Shared,
    callbacks: &Callbacks,
    work: impl FnOnce(&mut dyn Transport) -> Result<T>,
) -> Result<T> {
    let mut network = lock(network);
    let mut transport = match network.transport.take() {
        Some(transport) => transport,
        None => network.connect(conn, callbacks)?,
    };
    let outcome = work(transport.as_mut());
    if transport.is_reusable() {
        network.transport = Some(transport);
    }
    outcome
}

fn run_over(
    conn: &Connection,
    transport: &mut dyn Transport,
    callbacks: &Callbacks,
    half: Option<Phase>,
    first: bool,
) -> Result<serde_json::Value> {
    let progress = callbacks.progress.clone();
    let (sent, received) = match half {
        None => {
            let (sent, received) = session::sync(conn, transport, progress, first)?;
            (Some(sent), Some(received))
        }
        Some(half) => {
            let mut session = Session::new(conn, transport, progress)?;
            let reports = match half {
                Phase::Sending => (Some(session.send()?), None),
                Phase::Receiving => (None, Some(session.receive()?)),
            };
            session.finish()?;
            reports
        }
    };
    report::of_sync(conn, sent, received)
}

/// Runs again, after a pause, what failed in a way that may pass.
fn with_retries<T>(
    interrupt: &Interrupt<'_>,
    wait: Duration,
    retries: i64,
    mut run: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut attempt = 0;
    loop {
        match run() {
            Err(error) if error.is_transient() && attempt < retries => {
                attempt += 1;
                interrupt.sleep(wait)?;
            }
            result => return result,
        }
    }
}

fn text(json: serde_json::Value) -> Value {
    Value::Text(json.to_string())
}

fn argument(context: &Context<'_>, index: usize) -> Result<Option<i64>> {
    if index < context.len() { Ok(context.get(index)?) } else { Ok(None) }
}

fn setter(
    conn: &Connection,
    name: &str,
    network: &Shared,
    set: impl Fn(&mut Network, String) -> Result<()> + Send + 'static,
) -> Result<()> {
    function(conn, name, 1, network, move |_, context, network| {
        let mut network = lock(network);
        set(&mut network, context.get(0)?)?;
        // It is made anew with what was set.
        network.transport = None;
        Ok(Value::Integer(0))
    })
}

fn function(
    conn: &Connection,
    name: &str,
    arguments: i32,
    network: &Shared,
    body: impl Fn(&Connection, &Context<'_>, &Shared) -> Result<Value> + Send + 'static,
) -> Result<()> {
    let network = network.clone();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    conn.create_scalar_function(name, arguments, flags, move |context| {
        ffi::with_connection(context, |conn| body(conn, context, &network))
    })?;
    Ok(())
}

fn lock(network: &Shared) -> std::sync::MutexGuard<'_, Network> {
    network.lock().unwrap_or_else(PoisonError::into_inner)
}
