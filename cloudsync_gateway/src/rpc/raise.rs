//! Errors of PostgreSQL and of the connection, as the client hears of them.
//!
//! A function that raises SQLSTATE `PGRST` decides on the whole answer: MESSAGE is the body, DETAIL the
//! status and headers, both in JSON. Source: PostgREST documentation, "RAISE errors with HTTP Status Codes".

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::http::header::{HeaderName, WWW_AUTHENTICATE};
use serde::Deserialize;

use crate::error::ApiError;
use crate::rpc::sqlstate;

/// The SQLSTATE whose message and detail are the answer.
const FULL_CONTROL: &str = "PGRST";

/// What PostgreSQL said.
#[derive(Clone, Debug, Default)]
pub struct Raised<'a> {
    /// The SQLSTATE.
    pub code: &'a str,
    /// MESSAGE.
    pub message: &'a str,
    /// DETAIL.
    pub detail: Option<&'a str>,
    /// HINT.
    pub hint: Option<&'a str>,
}

/// The answer to an error of the driver: the database's own words, or that it cannot be reached.
pub fn from_driver(error: &tokio_postgres::Error, authenticated: bool) -> ApiError {
    match error.as_db_error() {
        Some(database) => {
            let raised = Raised {
                code: database.code().code(),
                message: database.message(),
                detail: database.detail(),
                hint: database.hint(),
            };
            from_database(&raised, authenticated)
        }
        None => {
            // Its words may name hosts and addresses, which are for the log alone.
            tracing::warn!(error = %describe(error), "the connection to the database failed");
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "PGRST001",
                "Database client error. Retrying the connection.",
            )
        }
    }
}

/// The answer to what PostgreSQL raised.
pub fn from_database(raised: &Raised<'_>, authenticated: bool) -> ApiError {
    if raised.code == FULL_CONTROL {
        return full_control(raised);
    }
    let status = sqlstate::status(raised.code, raised.message, authenticated);
    let mut error = ApiError::new(status, raised.code, raised.message);
    error.details = raised.detail.map(Into::into);
    error.hint = raised.hint.map(Into::into);
    match status {
        StatusCode::UNAUTHORIZED => error.with_header(WWW_AUTHENTICATE, "Bearer"),
        _ => error,
    }
}

#[derive(Deserialize)]
struct Body {
    code: String,
    message: String,
    details: Option<String>,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct Control {
    status: u16,
    headers: BTreeMap<String, String>,
    // The words of a status cannot be chosen here; HTTP/2 has none.
    #[serde(rename = "status_text")]
    _status_text: Option<String>,
}

fn full_control(raised: &Raised<'_>) -> ApiError {
    let Ok(body) = serde_json::from_str::<Body>(raised.message) else {
        return unreadable(format!("Invalid JSON value for MESSAGE: '{}'", raised.message)).with_hint(
            "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.",
        );
    };
    let control_hint = "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.";
    let Some(detail) = raised.detail else {
        return unreadable("DETAIL is missing in the RAISE statement".to_owned()).with_hint(control_hint);
    };
    let control = serde_json::from_str::<Control>(detail).ok();
    let Some((status, control)) = control.and_then(|control| Some((status_of(control.status)?, control)))
    else {
        return unreadable(format!("Invalid JSON value for DETAIL: '{detail}'")).with_hint(control_hint);
    };
    let mut error = ApiError::new(status, &body.code, body.message);
    error.details = body.details.map(Into::into);
    error.hint = body.hint.map(Into::into);
    for (name, value) in control.headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            error = error.with_header(name, &value);
        }
    }
    error
}

fn status_of(number: u16) -> Option<StatusCode> {
    StatusCode::from_u16(number).ok()
}

fn unreadable(details: String) -> ApiError {
    let message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRST121", message).with_details(details)
}

/// The error and its causes in one line, for the log.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised<'a>(message: &'a str, detail: Option<&'a str>) -> ApiError {
        from_database(&Raised { code: FULL_CONTROL, message, detail, hint: None }, true)
    }

    #[test]
    fn a_function_decides_on_the_whole_answer() {
        let message =
            r#"{"code":"123","message":"Payment Required","details":"Quota exceeded","hint":"Upgrade"}"#;
        let detail = r#"{"status":402,"headers":{"X-Powered-By":"Nerd Rage","Retry-After":"7"}}"#;
        let error = raised(message, Some(detail));
        assert_eq!((error.status.as_u16(), error.code.as_str()), (402, "123"));
        assert_eq!(error.details.as_deref(), Some("Quota exceeded"));
        assert!(error.headers.iter().any(|(name, value)| name == "retry-after" && value == "7"));
    }

    #[test]
    fn what_it_says_must_be_json() {
        let message = r#"{"code":"123","message":"m"}"#;
        for (message, detail) in [
            ("INVALID", Some("{}")),
            (message, Some("INVALID")),
            (message, Some(r#"{"status":99999,"headers":{}}"#)),
            (message, Some(r#"{"status":12,"headers":{}}"#)),
            (message, None),
        ] {
            let error = raised(message, detail);
            assert_eq!(
                (error.status.as_u16(), error.code.as_str()),
                (500, "PGRST121"),
                "{message} {detail:?}"
            );
        }
    }

    #[test]
    fn who_may_still_log_in_is_told_how() {
        let raised = Raised { code: "42501", message: "permission denied", ..Raised::default() };
        assert_eq!(from_database(&raised, false).headers.len(), 1);
        assert!(from_database(&raised, true).headers.is_empty());
    }
}
