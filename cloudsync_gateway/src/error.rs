//! What a refused request is answered with: PostgREST's JSON of four fields, and its headers.

use axum::http::header::{CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The content type of every answer in JSON.
pub const JSON_UTF8: &str = "application/json; charset=utf-8";

/// Carries the error's code beside the body, so that a proxy can tell our errors from its own.
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// A result whose error can be sent to the client as it is.
pub type Result<T> = std::result::Result<T, ApiError>;

/// An error as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// A SQLSTATE, PostgREST's `PGRST…`, or the gateway's own `CSG…`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// More about it.
    pub details: Option<Box<str>>,
    /// What to do.
    pub hint: Option<Box<str>>,
    /// Headers beside the usual ones.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error without details, hint and further headers.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            code: code.to_owned(),
            message: message.into(),
            details: None,
            hint: None,
            headers: Vec::new(),
        }
    }

    /// The same with details.
    pub fn with_details(mut self, details: impl Into<String>) -> ApiError {
        self.details = Some(details.into().into());
        self
    }

    /// The same with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> ApiError {
        self.hint = Some(hint.into().into());
        self
    }

    /// The same with one more header; a value that cannot stand in a header is left out.
    pub fn with_header(mut self, name: HeaderName, value: &str) -> ApiError {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// `PGRST301`: the token cannot be read or its signature does not hold.
    pub fn invalid_token(message: &str) -> ApiError {
        ApiError::unauthorized("PGRST301", message)
    }

    /// `PGRST303`: the token is authentic, and its claims do not allow it to be used.
    pub fn invalid_claims(message: &str) -> ApiError {
        ApiError::unauthorized("PGRST303", message)
    }

    fn unauthorized(code: &str, message: &str) -> ApiError {
        let challenge = format!("Bearer error=\"invalid_token\", error_description={message:?}");
        ApiError::new(StatusCode::UNAUTHORIZED, code, message).with_header(WWW_AUTHENTICATE, &challenge)
    }

    /// `PGRST302`: no token, and the database serves no one without.
    pub fn token_required() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "PGRST302", "Anonymous access is disabled")
            .with_header(WWW_AUTHENTICATE, "Bearer")
    }

    /// `PGRST102`: the body cannot be used.
    pub fn invalid_body(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "PGRST102", message)
    }

    /// `PGRST125`: nothing is served at this path.
    pub fn invalid_path() -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "PGRST125", "Invalid path specified in request URL")
    }

    /// `CSG413`: the body is longer than the limit.
    pub fn body_too_large(limit: usize) -> ApiError {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "CSG413", "The request body is too large")
            .with_details(format!("The limit is {limit} bytes"))
            .with_hint("Send less in one request")
    }

    /// What is written beside the status line and the body.
    fn proxy_status(&self) -> HeaderValue {
        HeaderValue::from_str(&format!("cloudsync_gateway; error={}", self.code))
            .unwrap_or(HeaderValue::from_static("cloudsync_gateway"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let proxy_status = self.proxy_status();
        let body = json!({
            "code": self.code, "message": self.message, "details": self.details, "hint": self.hint,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON_UTF8));
        headers.insert(PROXY_STATUS, proxy_status);
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response.extensions_mut().insert(ErrorCode(self.code));
        response
    }
}

/// The error's code, left on the response for the log.
#[derive(Clone, Debug)]
pub struct ErrorCode(pub String);
