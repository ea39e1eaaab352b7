//! From the row that the call's statement gave to the answer.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio_postgres::Row;

use crate::error::{ApiError, JSON_UTF8, Result};
use crate::rpc::media::Output;
use crate::rpc::raise;
use crate::rpc::request::{Call, Verb};

const CONTENT_PROFILE: HeaderName = HeaderName::from_static("content-profile");

/// Makes the answer. A function that returns nothing is answered with 204.
///
/// # Errors
/// `PGRST111` or `PGRST112` if the headers or the status that the function set cannot be read.
pub fn respond(row: &Row, call: &Call, is_void: bool, output: &Output) -> Result<Response> {
    let body: Option<Vec<u8>> = column(row, 0)?;
    let headers: Option<String> = column(row, 1)?;
    let status: Option<String> = column(row, 2)?;

    let default = if is_void { StatusCode::NO_CONTENT } else { StatusCode::OK };
    let status = chosen_status(status.as_deref())?.unwrap_or(default);
    let body = match call.verb {
        Verb::Head => Body::empty(),
        Verb::Get | Verb::Post => Body::from(body.unwrap_or_default()),
    };
    let mut response = (status, body).into_response();
    let list = response.headers_mut();
    list.remove(CONTENT_TYPE);
    if !is_void {
        let media_type = match output {
            Output::Json => HeaderValue::from_static(JSON_UTF8),
            Output::Raw(name) => HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static(JSON_UTF8)),
        };
        list.insert(CONTENT_TYPE, media_type);
    }
    if call.names_schema
        && let Ok(schema) = HeaderValue::from_str(&call.schema)
    {
        list.insert(CONTENT_PROFILE, schema);
    }
    // An answer belongs to who asked, and to that moment.
    list.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    list.insert(VARY, HeaderValue::from_static("Accept, Prefer, Range"));
    add_chosen_headers(list, headers.as_deref())?;
    Ok(response)
}

fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, index: usize) -> Result<T> {
    row.try_get(index).map_err(|error| raise::from_driver(&error, true))
}

/// `response.status`, which is empty or missing if the function did not set it.
fn chosen_status(setting: Option<&str>) -> Result<Option<StatusCode>> {
    let Some(text) = setting.filter(|text| !text.is_empty()) else { return Ok(None) };
    let status = text.parse::<u16>().ok().and_then(|number| StatusCode::from_u16(number).ok());
    status.map(Some).ok_or_else(|| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRST112",
            "response.status guc must be a valid status code",
        )
    })
}

/// `response.headers`: a list of objects of one header each.
fn add_chosen_headers(list: &mut HeaderMap, setting: Option<&str>) -> Result<()> {
    let Some(text) = setting.filter(|text| !text.is_empty()) else { return Ok(()) };
    let chosen = parse_headers(text).ok_or_else(|| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRST111",
            "response.headers guc must be a JSON array composed of objects with a single key and a string value",
        )
    })?;
    for (name, _) in &chosen {
        list.remove(name);
    }
    for (name, value) in chosen {
        list.append(name, value);
    }
    Ok(())
}

fn parse_headers(text: &str) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let Value::Array(items) = serde_json::from_str(text).ok()? else { return None };
    let one = |item: Value| -> Option<(HeaderName, HeaderValue)> {
        let Value::Object(object) = item else { return None };
        let mut entries = object.into_iter();
        let (name, value) = (entries.next()?, entries.next());
        let (None, (name, Value::String(text))) = (value, name) else { return None };
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(&text).ok()?))
    };
    items.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_chooses_headers_and_status() {
        let headers = parse_headers(r#"[{"Set-Cookie":"a=b"},{"Set-Cookie":"c=d"},{"X-Y":"z"}]"#).unwrap();
        assert_eq!(headers.len(), 3);
        for wrong in ["{}", "[1]", r#"[{"a":1}]"#, r#"[{"a":"b","c":"d"}]"#, "[{}]", "no", r#"[{"a b":"c"}]"#]
        {
            assert!(parse_headers(wrong).is_none(), "{wrong}");
        }
        assert_eq!(chosen_status(Some("418")).unwrap(), StatusCode::from_u16(418).ok());
        assert_eq!(chosen_status(Some("")).unwrap(), None);
        assert_eq!(chosen_status(Some("no")).unwrap_err().code, "PGRST112");
    }
}
