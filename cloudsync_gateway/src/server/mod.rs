//! The HTTP side: paths, bodies, limits, health, and the end of the process.

mod access;
mod body;
mod caller;
mod cors;
mod health;
mod state;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tokio::net::TcpListener;

pub use state::App;

use crate::error::{self, ApiError};
use crate::rpc;

/// The SQLSTATE of a statement that was cancelled, which a call that took too long was.
const QUERY_CANCELED: &str = "57014";

/// Everything that is served.
pub fn router(app: Arc<App>) -> Router {
    let cors = cors::layer(&app.config.cors_origins);
    Router::new()
        .route("/rpc/{function}", any(default_database))
        .route("/rest/v1/rpc/{function}", any(default_database))
        .route("/db/{database}/rpc/{function}", any(named_database))
        .route("/db/{database}/rest/v1/rpc/{function}", any(named_database))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .fallback(async || ApiError::invalid_path())
        .layer(cors)
        .layer(from_fn(access::log))
        .with_state(app)
}

/// Serves until `stop` is done, and then lets requests under way come to their end.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let patience = Duration::from_secs(app.config.shutdown_seconds);
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let stop = async move {
        stop.await;
        tracing::info!("stopping: no new connections are taken");
        let _ = stopping.send(());
    };
    let service = router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stop).into_future();
    let impatience = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(patience).await,
            Err(_) => std::future::pending::<()>().await,
        }
    };
    tokio::select! {
        outcome = served => outcome.context("serve")?,
        () = impatience => tracing::warn!("requests under way were cut off: shutdown_seconds are over"),
    }
    app.close();
    Ok(())
}

async fn default_database(
    State(app): State<Arc<App>>,
    Path(function): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> std::result::Result<Response, Infallible> {
    let id = app.default_database.clone();
    Ok(answer(&app, id.as_deref(), &function, peer, request).await)
}

async fn named_database(
    State(app): State<Arc<App>>,
    Path((database, function)): Path<(String, String)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> std::result::Result<Response, Infallible> {
    Ok(answer(&app, Some(&database), &function, peer, request).await)
}

async fn answer(app: &App, id: Option<&str>, function: &str, peer: SocketAddr, request: Request) -> Response {
    let limit = Duration::from_secs(app.config.limits.request_seconds);
    let outcome = tokio::time::timeout(limit, call(app, id, function, peer, request)).await;
    // What is dropped here cancels its statement.
    let outcome = outcome.unwrap_or_else(|_| {
        let message = "canceling statement due to the gateway's time limit";
        Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, QUERY_CANCELED, message)
            .with_hint("Ask for less in one request"))
    });
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    // A name out of a request goes to the log only if it is one that we know.
    if let Some((id, database)) = app.known(id) {
        let function = database.functions.iter().find(|known| *known == function).cloned();
        response.extensions_mut().insert(access::Called { database: id, function });
    }
    response
}

async fn call(
    app: &App,
    id: Option<&str>,
    function: &str,
    peer: SocketAddr,
    request: Request,
) -> error::Result<Response> {
    let service = app.service(id)?;
    let (parts, body) = request.into_parts();
    let address = caller::address(&parts.headers, peer, app.config.trusted_proxies);
    let identity = app.authenticate(service, &parts.headers, address).await?;
    let call = rpc::Call::read(&parts, function, &service.config.schemas)?;
    let body = body::read(&parts.headers, body, app.config.limits.body_bytes).await?;
    let surroundings = rpc::Surroundings {
        extra_search_path: &service.config.extra_search_path,
        statement_timeout_ms: app.config.limits.statement_timeout_ms,
    };
    rpc::serve(&service.database, &surroundings, &identity, &parts, &call, &body).await
}
