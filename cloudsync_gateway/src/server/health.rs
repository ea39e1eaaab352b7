//! Whether the process lives, and whether it can serve.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::server::state::{App, NOT_READY};

/// The process runs. Nothing behind it is asked.
pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Every database answers; 503 and which do not, otherwise. Why is in the log.
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let mut databases = Map::new();
    let mut all = true;
    for (id, service) in app.services() {
        let is_ready = service.is_ready().await;
        all &= is_ready;
        databases.insert(id.clone(), json!(if is_ready { "ready" } else { "not ready" }));
    }
    let status = if all { StatusCode::OK } else { NOT_READY };
    (status, Json(json!({ "status": if all { "ready" } else { "not ready" }, "databases": databases })))
}
