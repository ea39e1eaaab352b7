//! One line in the log for each request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ErrorCode;

/// What was called; left on the response for the log.
#[derive(Clone, Debug)]
pub struct Called {
    /// The database's id.
    pub database: String,
    /// The function, if it is one that can be called.
    pub function: Option<String>,
}

/// Logs method, route, status, error code, length and time. Nothing of what the client wrote goes in:
/// not its path or query, no header, no body.
pub async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());

    let response = next.run(request).await;

    let called = response.extensions().get::<Called>();
    let code = response.extensions().get::<ErrorCode>().map(|code| code.0.as_str());
    tracing::info!(
        %method,
        route = route.as_deref().unwrap_or("-"),
        database = called.map(|called| called.database.as_str()),
        function = called.and_then(|called| called.function.as_deref()),
        status = response.status().as_u16(),
        code,
        request_bytes = length,
        ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request"
    );
    response
}
