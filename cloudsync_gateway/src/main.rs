//! The program: reads its configuration, listens, and stops when it is told to.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use cloudsync_gateway::config::{self, Config};
use cloudsync_gateway::log;
use cloudsync_gateway::server::{self, App};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Stateless HTTP server for cloudsync: PostgREST's function calls in front of PostgreSQL, for
/// self-hosters without PostgREST. It listens on plain HTTP: put a proxy with TLS in front of it.
#[derive(Parser)]
#[command(
    version,
    after_help = "Every key of the file can be set by the environment, which wins: \
    CLOUDSYNC_GATEWAY_LISTEN, CLOUDSYNC_GATEWAY_JWT__SECRET, CLOUDSYNC_GATEWAY_DATABASES__MAIN__URL. \
    The keys are in docs/gateway.md."
)]
struct Arguments {
    /// Configuration file in TOML; without it the environment alone counts
    #[arg(long, short, env = "CLOUDSYNC_GATEWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, connect to every database, and exit
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let config = config::load(arguments.config.as_deref())?;
    log::set_up(config.log_format, &config.log_level)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        match arguments.check_config {
            true => check(config).await,
            false => serve(config).await,
        }
    })
}

async fn check(config: Config) -> Result<()> {
    let app = App::new(config)?;
    let mut failed = Vec::new();
    for (id, service) in app.services() {
        if !service.is_ready().await {
            failed.push(id.as_str());
        }
    }
    anyhow::ensure!(failed.is_empty(), "these databases cannot be used, see above: {}", failed.join(", "));
    println!("the configuration is good, and every database answers");
    Ok(())
}

async fn serve(config: Config) -> Result<()> {
    let address = config.listen;
    let app = Arc::new(App::new(config)?);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("configuration: listen: {address} cannot be listened on"))?;
    let address = listener.local_addr().context("the address that is listened on")?;
    tracing::info!(%address, "listening");
    let mut terminate = signal(SignalKind::terminate()).context("watch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watch SIGINT")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server::serve(listener, app, stop).await
}
