//! The SQL functions `cloudsync_network_*` and `cloudsync_status`.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use serde_json::json;

use crate::error::{Error, Result};
use crate::inbox::Received;
use crate::network::postgres::PostgresTransport;
use crate::network::progress::{self, Phase, ProgressCallback};
use crate::network::session::{self, SendReport, Session};
use crate::network::state::{self, ServerState};
use crate::network::transport::Transport;
use crate::{ffi, inbox, init, outbox, system};

/// What a connection knows of its network: in memory only, as it holds secrets.
#[derive(Default)]
struct Network {
    url: Option<String>,
    token: Option<String>,
    apikey: Option<String>,
    transport: Option<Box<dyn Transport + Send>>,
}

type Shared = Arc<Mutex<Network>>;

/// Registers the functions. `callback` is told of the progress of each sync.
///
/// # Errors
/// SQLite refuses a registration.
pub fn register(conn: &Connection, callback: Option<ProgressCallback>) -> Result<()> {
    let network: Shared = Shared::default();
    setter(conn, "cloudsync_network_init", &network, |network, url| {
        network.url = Some(url);
        network.transport = None;
    })?;
    setter(conn, "cloudsync_network_set_token", &network, |network, token| {
        network.token = Some(token);
        network.transport = None;
    })?;
    setter(conn, "cloudsync_network_set_apikey", &network, |network, key| {
        network.apikey = Some(key);
        network.transport = None;
    })?;
    function(conn, "cloudsync_network_init_custom", 2, &network, |_, context, network| {
        // The second argument is the name of a database at a gateway.
        let (address, database): (String, String) = (context.get(0)?, context.get(1)?);
        lock(network).url = Some(format!("{}/{database}", address.trim_end_matches('/')));
        Ok(Value::Integer(0))
    })?;
    for arguments in 0..=2 {
        let callback = callback.clone();
        function(conn, "cloudsync_network_sync", arguments, &network, move |conn, context, network| {
            let wait = argument(context, 0)?.unwrap_or(100);
            let retries = argument(context, 1)?.unwrap_or(1);
            let run = || run(conn, network, callback.clone(), None);
            with_retries(wait, retries, run).map(text)
        })?;
    }
    let told = callback.clone();
    function(conn, "cloudsync_network_send_changes", 0, &network, move |conn, _, network| {
        run(conn, network, told.clone(), Some(Phase::Sending)).map(text)
    })?;
    for name in ["cloudsync_network_check_changes", "cloudsync_network_receive_changes"] {
        let told = callback.clone();
        function(conn, name, 0, &network, move |conn, _, network| {
            run(conn, network, told.clone(), Some(Phase::Receiving)).map(text)
        })?;
    }
    function(conn, "cloudsync_network_has_unsent_changes", 0, &network, |conn, _, _| {
        let (rows, base) = if system::exists(conn)? { outbox::unsent(conn)? } else { (0, false) };
        Ok(Value::Integer(i64::from(rows > 0 || base)))
    })?;
    for name in ["cloudsync_status", "cloudsync_network_status"] {
        function(conn, name, 0, &network, |conn, _, _| status(conn).map(text))?;
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

/// A sync, or half of one, with its JSON report.
fn run(
    conn: &Connection,
    network: &Shared,
    callback: Option<ProgressCallback>,
    half: Option<Phase>,
) -> Result<serde_json::Value> {
    let mut network = lock(network);
    let mut transport = match network.transport.take() {
        Some(transport) => transport,
        None => connect(&network)?,
    };
    let (sent, received) = match half {
        None => {
            let (sent, received) = session::sync(conn, transport.as_mut(), callback)?;
            (Some(sent), Some(received))
        }
        Some(half) => {
            let mut session = Session::new(conn, transport.as_mut(), callback)?;
            let reports = match half {
                Phase::Sending => (Some(session.send()?), None),
                Phase::Receiving => (None, Some(session.receive()?)),
            };
            session.finish()?;
            reports
        }
    };
    network.transport = Some(transport);
    report(conn, sent, received)
}

fn connect(network: &Network) -> Result<Box<dyn Transport + Send>> {
    match network.url.as_deref() {
        None => Err(Error::state("no server is set: SELECT cloudsync_network_init('postgres://…')")),
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(Box::new(PostgresTransport::connect(url)?))
        }
        Some(_) => Err(Error::state("this build speaks to postgres:// addresses only")),
    }
}

/// The contract's JSON. Status: `synced` if the server has everything, else `out-of-sync`.
fn report(
    conn: &Connection,
    sent: Option<SendReport>,
    received: Option<Received>,
) -> Result<serde_json::Value> {
    let mut report = serde_json::Map::new();
    if let Some(sent) = sent {
        let (unsent, base) = outbox::unsent(conn)?;
        let status = if unsent > 0 || base { "out-of-sync" } else { "synced" };
        let mut entry = json!({
            "status": status,
            "localVersion": system::highest(conn)?.0,
            "serverVersion": state::server_version(conn)?,
            "rejected": sent.rejected,
        });
        if let (Some(entry), false) = (entry.as_object_mut(), sent.unknown_tables.is_empty()) {
            let tables = sent.unknown_tables.join(", ");
            let failure = format!("not synced on the server: {tables}; run cloudsync_init there");
            entry.insert("lastFailure".into(), json!(failure));
        }
        report.insert("send".into(), entry);
    }
    if let Some(received) = received {
        report.insert("receive".into(), json!({ "rows": received.rows, "tables": received.tables }));
    }
    Ok(serde_json::Value::Object(report))
}

fn status(conn: &Connection) -> Result<serde_json::Value> {
    if !system::exists(conn)? {
        return Ok(json!({ "tables": 0 }));
    }
    let (unsent, base) = outbox::unsent(conn)?;
    let state = ServerState::load(conn)?;
    let (last_sync, clock_offset) = state::last_sync(conn)?;
    let held: u64 = inbox::held(conn)?.iter().map(|(_, ids)| ids.len()).sum();
    Ok(json!({
        "unsent": unsent,
        "unsentTables": base,
        "held": held,
        "lastSync": last_sync,
        "clockOffset": clock_offset,
        "cursor": state.cursor.map(|cursor| cursor.0),
        "localVersion": system::highest(conn)?.0,
        "serverVersion": state::server_version(conn)?,
        "progress": progress::stored(conn)?,
    }))
}

/// Runs again, after a pause, what failed in a way that may pass.
fn with_retries<T>(wait_ms: i64, retries: i64, mut run: impl FnMut() -> Result<T>) -> Result<T> {
    let mut attempt = 0;
    loop {
        match run() {
            Err(error) if error.is_transient() && attempt < retries => {
                attempt += 1;
                thread::sleep(Duration::from_millis(wait_ms.unsigned_abs()));
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
    set: impl Fn(&mut Network, String) + Send + 'static,
) -> Result<()> {
    function(conn, name, 1, network, move |_, context, network| {
        set(&mut lock(network), context.get(0)?);
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
