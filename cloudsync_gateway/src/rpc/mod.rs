//! A call of a function, from the request to the answer.
//!
//! Import order: `media`, `request`, `sqlstate` → `raise`, `arguments` → `statement`, `context`, `response`.

mod arguments;
mod context;
mod media;
mod raise;
mod request;
mod response;
mod sqlstate;
mod statement;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

pub use context::Surroundings;
pub use raise::describe;
pub use request::Call;

use crate::auth::Identity;
use crate::database::{Database, transaction};
use crate::error::{ApiError, Result};

/// Calls the function that the request names, as the identity's role, in a transaction of its own.
///
/// # Errors
/// What the request asks for is not served, or the database refused it.
pub async fn serve(
    database: &Database,
    surroundings: &Surroundings<'_>,
    identity: &Identity,
    parts: &Parts,
    call: &Call,
    body: &[u8],
) -> Result<Response> {
    let content_type = media::content_type(&parts.headers);
    let mut catalog = database.catalog().await?;
    let mut chosen = arguments::choose(&catalog, call, &content_type, body);
    if chosen.as_ref().is_err_and(|error| error.status == StatusCode::NOT_FOUND) {
        // It may have been made since.
        catalog = database.fresh_catalog().await?;
        chosen = arguments::choose(&catalog, call, &content_type, body);
    }
    let (function, arguments) = chosen?;
    let accepted = media::accepted(&parts.headers);
    let output = media::negotiate(&accepted, &function.returns).ok_or_else(|| not_acceptable(&accepted))?;

    let mode = context::mode(call, &function, &catalog, identity);
    let settings = context::settings(parts, call, &function, &catalog, identity, surroundings);
    let statement = statement::CallStatement::new(&function, arguments, &output);
    let lease = database.lease().await?;
    let outcome = transaction::run(lease.client(), mode, &settings, &statement.bound()).await;
    lease.give_back();
    let row = outcome.map_err(|error| raise::from_driver(&error, identity.is_authenticated))?;
    response::respond(&row, call, function.returns.is_void, &output)
}

fn not_acceptable(accepted: &[String]) -> ApiError {
    let message = format!("None of these media types are available: {}", accepted.join(", "));
    ApiError::new(StatusCode::NOT_ACCEPTABLE, "PGRST107", message)
}
