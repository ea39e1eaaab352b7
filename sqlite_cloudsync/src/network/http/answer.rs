//! What an answer means: the function's bytes, or what went wrong and what may help.

use std::time::Duration;

use serde_json::Value;

use crate::error::Error;
use crate::network::http::retry::{self, Remedy};

/// The type in which the functions answer, and are asked.
pub const BINARY: &str = "application/octet-stream";

/// More of a server's words is not repeated.
const MAX_MESSAGE_CHARS: usize = 500;

/// An answer as far as it matters.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type, without parameters, in lower case; empty if there is none.
    pub media_type: String,
    /// What `Retry-After` says.
    pub retry_after: Option<Duration>,
    /// The host of a redirect.
    pub redirected_to: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request that did not do what it should.
#[derive(Debug)]
pub struct Failure {
    /// For the application.
    pub error: Error,
    /// What may help.
    pub remedy: Remedy,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// One without a wish of the server.
    pub fn new(remedy: Remedy, error: Error) -> Failure {
        Failure { error, remedy, retry_after: None }
    }
}

/// Judges an answer of this host to a call of this function.
///
/// # Errors
/// The failure that it reports.
pub fn judge(answer: Answer, host: &str, function: &str) -> Result<Vec<u8>, Failure> {
    match answer.status {
        200 => success(answer, host, function),
        300..=399 => {
            let to = answer.redirected_to.as_deref().unwrap_or("another address");
            Err(Failure::new(
                Remedy::None,
                Error::state(format!(
                    "{host} redirects to {to}: if that is right, give its address to cloudsync_network_init"
                )),
            ))
        }
        _ => Err(failure(answer, host)),
    }
}

fn success(answer: Answer, host: &str, function: &str) -> Result<Vec<u8>, Failure> {
    let message = match answer.media_type.as_str() {
        BINARY => return Ok(answer.body),
        "application/json" => format!(
            "{function} at {host} answers in JSON: run the migration in supabase/migrations, which makes it \
             answer in {BINARY}"
        ),
        other => {
            let other = if other.is_empty() { "no content type" } else { other };
            format!("something between here and {host} answered with {other}: a proxy's or a login page?")
        }
    };
    Err(Failure::new(Remedy::None, Error::state(message)))
}

fn failure(answer: Answer, host: &str) -> Failure {
    let status = answer.status;
    let said = ServerError::read(&answer);
    let (remedy, error) = match said {
        // A proxy's limit, or the gateway's: its own words name it.
        _ if status == 413 => {
            let words = said.as_ref().map(ServerError::words).unwrap_or_default();
            (Remedy::Smaller, Error::TooLarge(format!("{host} takes no requests of that size{words}")))
        }
        Some(ServerError { code: Some(code), message, .. }) => {
            let hint = hint(&code, status).map(|hint| format!("; {hint}")).unwrap_or_default();
            (retry::by_code(&code), Error::server(&code, format!("{message}{hint}")))
        }
        other => {
            let remedy = retry::by_status(status);
            let words = other.as_ref().map(ServerError::words).unwrap_or_default();
            let message = format!("{host} answered with HTTP status {status}{words}{}", status_hint(status));
            let passes = remedy == Remedy::Again;
            (remedy, if passes { Error::network(message) } else { Error::state(message) })
        }
    };
    Failure { error, remedy, retry_after: answer.retry_after }
}

/// The JSON of an error: PostgREST's has a code, that of an API gateway only a message.
struct ServerError {
    code: Option<String>,
    message: String,
}

impl ServerError {
    fn read(answer: &Answer) -> Option<ServerError> {
        if !answer.media_type.ends_with("json") {
            return None;
        }
        let Value::Object(object) = serde_json::from_slice(&answer.body).ok()? else { return None };
        let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mut message = text("message").or_else(|| text("error")).unwrap_or("no message").to_owned();
        for more in ["details", "hint"] {
            if let Some(more) = text(more) {
                message.push_str("; ");
                message.push_str(more);
            }
        }
        let message = message.chars().take(MAX_MESSAGE_CHARS).filter(|c| !c.is_control()).collect();
        Some(ServerError { code: text("code").map(str::to_owned), message })
    }

    fn words(&self) -> String {
        format!(": {}", self.message)
    }
}

/// What to do about an error with a code.
fn hint(code: &str, status: u16) -> Option<&'static str> {
    let hint = match code {
        "PGRST202" | "42883" => {
            "cloudsync's functions are not installed there, or not yet known to the API: run the migration in \
             supabase/migrations, then NOTIFY pgrst, 'reload schema'"
        }
        "PGRST106" => "the setting network_schema names the schema of cloudsync's functions",
        "PGRST107" => "cloudsync's functions are an older version: run the migration in supabase/migrations",
        "PGRST125" => "nothing is served at this path: check the address given to cloudsync_network_init",
        "PGRST301" | "PGRST303" => {
            "the user's token is wrong or has expired: call cloudsync_network_set_token"
        }
        "PGRST302" => "the server wants a user's token: call cloudsync_network_set_token",
        "CSG401" => "the server wants an API key: call cloudsync_network_set_apikey",
        "42501" if status == 401 => "no user is signed in: call cloudsync_network_set_token",
        "25006" => "the server is read-only: a replica, or in recovery",
        _ => return None,
    };
    Some(hint)
}

/// What to do about a status without a code.
fn status_hint(status: u16) -> &'static str {
    match status {
        401 => {
            "; check the API key (cloudsync_network_set_apikey) and the token (cloudsync_network_set_token)"
        }
        403 => "; the API key or a firewall does not let this device in",
        404 => {
            "; nothing is served at this path: check the address (a self-hosted Supabase's ends with /rest/v1)"
        }
        407 => "; the proxy wants a user name and password: http://user:password@proxy in HTTPS_PROXY",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, media_type: &str, body: &str) -> Answer {
        Answer {
            status,
            media_type: media_type.into(),
            retry_after: None,
            redirected_to: None,
            body: body.into(),
        }
    }

    fn refused(status: u16, media_type: &str, body: &str) -> (Remedy, String) {
        let failure = judge(answer(status, media_type, body), "host", "cloudsync_push").unwrap_err();
        (failure.remedy, failure.error.to_string())
    }

    #[test]
    fn only_bytes_are_an_answer() {
        assert_eq!(judge(answer(200, BINARY, "x"), "host", "f").unwrap(), b"x");
        let (remedy, message) = refused(200, "text/html", "<h1>Welcome to the hotel</h1>");
        assert!(remedy == Remedy::None && message.contains("text/html"), "{message}");
        let (remedy, message) = refused(200, "application/json", "\"\\\\x00\"");
        assert!(remedy == Remedy::None && message.contains("migration"), "{message}");
        assert!(refused(204, "", "").1.contains("204"));
    }

    #[test]
    fn errors_say_what_to_do() {
        let json = |code: &str| format!(r#"{{"code":"{code}","message":"m","details":null,"hint":"h"}}"#);
        for (status, code, remedy, part) in [
            (404, "PGRST202", Remedy::None, "migration"),
            (401, "PGRST301", Remedy::Token, "cloudsync_network_set_token"),
            (401, "PGRST303", Remedy::Token, "cloudsync_network_set_token"),
            (401, "42501", Remedy::None, "cloudsync_network_set_token"),
            (403, "42501", Remedy::None, "m; h"),
            (406, "PGRST106", Remedy::None, "network_schema"),
            (500, "40001", Remedy::Again, "40001"),
            (500, "57014", Remedy::Smaller, "57014"),
            (413, "CSG413", Remedy::Smaller, "m; h"),
            (405, "25006", Remedy::None, "read-only"),
        ] {
            let (got, message) = refused(status, "application/json", &json(code));
            assert!(got == remedy && message.contains(part), "{code}: {got:?} {message}");
        }
    }

    #[test]
    fn answers_of_proxies_count_by_their_status() {
        assert_eq!(refused(503, "text/html", "<html>").0, Remedy::Again);
        assert_eq!(refused(413, "text/html", "<html>").0, Remedy::Smaller);
        assert_eq!(refused(403, "text/html", "<html>").0, Remedy::None);
        let (remedy, message) = refused(401, "application/json", r#"{"message":"No API key found"}"#);
        assert!(remedy == Remedy::Token && message.contains("No API key found"), "{message}");
        assert!(message.contains("cloudsync_network_set_apikey"), "{message}");
        assert_eq!(
            refused(503, "application/json", r#"{"message":"name resolution failed"}"#).0,
            Remedy::Again
        );
        assert_eq!(refused(500, "application/json", "{broken").0, Remedy::Again);
    }

    #[test]
    fn a_redirect_is_not_followed_but_named() {
        let mut redirect = answer(308, "", "");
        redirect.redirected_to = Some("https://other.example".into());
        let failure = judge(redirect, "host", "f").unwrap_err();
        assert!(failure.error.to_string().contains("https://other.example"));
        assert_eq!(failure.remedy, Remedy::None);
    }

    #[test]
    fn a_long_message_is_cut() {
        let body = format!(r#"{{"code":"X","message":"{}"}}"#, "a\\u0007".repeat(100_000));
        assert!(refused(400, "application/json", &body).1.len() < 600);
    }
}
