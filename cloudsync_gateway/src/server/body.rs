//! Reading a request's body within its limit.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;

use crate::error::{ApiError, Result};

/// How much more than the limit is read and thrown away, so that a client that is still sending gets to
/// read why it was refused instead of a broken connection.
const DRAINED_BYTES: usize = 16 << 20;

/// Reads the body.
///
/// # Errors
/// `CSG413` if it is longer than `limit`, `PGRST102` if it breaks off.
pub async fn read(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Vec<u8>> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut kept = Vec::with_capacity(announced.unwrap_or(0).min(limit));
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::invalid_body("The request body broke off"))?;
        let data: Bytes = frame.into_data().unwrap_or_default();
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            kept.extend_from_slice(&data);
        } else if seen > limit.saturating_add(DRAINED_BYTES) {
            break;
        }
    }
    if seen > limit { Err(ApiError::body_too_large(limit)) } else { Ok(kept) }
}
