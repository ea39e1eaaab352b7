//! What a request asks for, read from its path, query and headers alone.

use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};

use crate::error::{ApiError, Result};

/// Parameters of the query that PostgREST takes for itself.
const RESERVED: &[&str] =
    &["select", "order", "limit", "offset", "columns", "and", "or", "not", "on_conflict"];

/// The three ways to call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Arguments in the query; nothing can be written.
    Get,
    /// The same without the body of the answer.
    Head,
    /// Arguments in the body.
    Post,
}

/// A call of a function.
#[derive(Clone, Debug)]
pub struct Call {
    /// How it is called.
    pub verb: Verb,
    /// The schema it is looked for in.
    pub schema: String,
    /// Whether the answer names the schema: the request did, or there are several.
    pub names_schema: bool,
    /// Its name.
    pub function: String,
    /// Arguments by name, of the query; a POST has them in its body.
    pub query: Vec<(String, String)>,
}

impl Call {
    /// Reads a call of `function` out of a request.
    ///
    /// # Errors
    /// `PGRST106` for a schema that is not exposed, `PGRST101` for another method, `PGRST100` for a
    /// query that means something else than arguments.
    pub fn read(parts: &Parts, function: &str, schemas: &[String]) -> Result<Call> {
        let (schema, names_schema) = schema(&parts.method, &parts.headers, schemas)?;
        let verb = verb(&parts.method)?;
        let query = arguments(parts.uri.query().unwrap_or_default())?;
        Ok(Call { verb, schema, names_schema, function: function.to_owned(), query })
    }
}

fn verb(method: &Method) -> Result<Verb> {
    match method.as_str() {
        "GET" => Ok(Verb::Get),
        "HEAD" => Ok(Verb::Head),
        "POST" => Ok(Verb::Post),
        other => Err(ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST101",
            format!("Cannot use the {other} method on RPC"),
        )),
    }
}

/// The schema that a profile header names, or the default, and whether the answer names it.
fn schema(method: &Method, headers: &HeaderMap, exposed: &[String]) -> Result<(String, bool)> {
    let writes = matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    let header = if writes { "content-profile" } else { "accept-profile" };
    let Some(profile) = headers.get(header) else {
        let default = exposed.first().cloned().unwrap_or_default();
        return Ok((default, exposed.len() > 1));
    };
    let profile = String::from_utf8_lossy(profile.as_bytes()).into_owned();
    if exposed.contains(&profile) {
        return Ok((profile, true));
    }
    let error = ApiError::new(StatusCode::NOT_ACCEPTABLE, "PGRST106", format!("Invalid schema: {profile}"));
    Err(error.with_hint(format!("Only the following schemas are exposed: {}", exposed.join(", "))))
}

/// The pairs of a query or a form.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn arguments(query: &str) -> Result<Vec<(String, String)>> {
    let mut arguments = Vec::new();
    for (name, value) in pairs(query) {
        if name == "select" && value == "*" {
            continue;
        }
        if RESERVED.contains(&name.as_str()) {
            let message = format!("The query parameter '{name}' is not served by the gateway");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "PGRST100", message)
                .with_hint("Filter and order in the function"));
        }
        arguments.push((name, value));
    }
    Ok(arguments)
}

/// Undoes the encoding of a query; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escape.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (byte, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(value)) => {
                decoded.push(value);
                at += 3;
                continue;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The request's headers as one JSON object: names in lower case, without the cookies. Of a header that
/// comes twice the last value counts.
pub fn headers_json(headers: &HeaderMap) -> String {
    let mut object = Map::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        object.insert(name.as_str().to_owned(), Value::String(value));
    }
    Value::Object(object).to_string()
}

/// The request's cookies as one JSON object.
pub fn cookies_json(headers: &HeaderMap) -> String {
    let mut object = Map::new();
    for header in headers.get_all(COOKIE) {
        let header = String::from_utf8_lossy(header.as_bytes()).into_owned();
        for cookie in header.split(';').filter_map(|cookie| cookie.split_once('=')) {
            object.insert(
                cookie.0.trim().to_owned(),
                Value::String(cookie.1.trim().trim_matches('"').to_owned()),
            );
        }
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn read(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Call> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Call::read(&parts, "f", &["api".to_owned(), "other".to_owned()])
    }

    fn code(result: Result<Call>) -> (u16, String) {
        let error = result.unwrap_err();
        (error.status.as_u16(), error.code)
    }

    #[test]
    fn the_schema_is_named_by_the_header_of_the_method() {
        assert_eq!(read("GET", "/", &[]).unwrap().schema, "api");
        assert_eq!(read("GET", "/", &[("Accept-Profile", "other")]).unwrap().schema, "other");
        assert_eq!(read("POST", "/", &[("Content-Profile", "other")]).unwrap().schema, "other");
        assert_eq!(read("POST", "/", &[("Accept-Profile", "secret")]).unwrap().schema, "api");
        assert_eq!(code(read("POST", "/", &[("Content-Profile", "secret")])), (406, "PGRST106".into()));
        assert_eq!(code(read("HEAD", "/", &[("Accept-Profile", "secret")])), (406, "PGRST106".into()));
    }

    #[test]
    fn three_methods_call_functions() {
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"] {
            assert_eq!(code(read(method, "/", &[])), (405, "PGRST101".into()), "{method}");
        }
    }

    #[test]
    fn arguments_stand_in_the_query() {
        let call = read("GET", "/?a=1&b=x%20y+z&c=%zz%&a=2&select=*&d", &[]).unwrap();
        let pairs: Vec<_> = call.query.iter().map(|(a, b)| format!("{a}={b}")).collect();
        assert_eq!(pairs, ["a=1", "b=x y z", "c=%zz%", "a=2", "d="]);
        assert_eq!(code(read("GET", "/?order=a", &[])), (400, "PGRST100".into()));
    }

    #[test]
    fn headers_and_cookies_become_objects() {
        let mut headers = HeaderMap::new();
        headers.insert("X-Thing", "a".parse().unwrap());
        headers.insert(COOKIE, "session=abc; theme=\"dark\"".parse().unwrap());
        assert_eq!(headers_json(&headers), r#"{"x-thing":"a"}"#);
        assert_eq!(cookies_json(&headers), r#"{"session":"abc","theme":"dark"}"#);
    }
}
