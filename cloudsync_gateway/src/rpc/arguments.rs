//! Which of the functions of a name is meant, and what it is given.

use std::borrow::Cow;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::database::catalog::{Catalog, Function};
use crate::error::{ApiError, Result};
use crate::rpc::media::{JSON, OCTET_STREAM};
use crate::rpc::request::{self, Call, Verb};

/// Forms of HTML pages, another way of writing arguments by name.
const FORM: &str = "application/x-www-form-urlencoded";

/// What a function is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments<'a> {
    /// By name: these, in a JSON object. A body's own text, so that no digit of a number is lost.
    Named {
        /// Which are given.
        names: Vec<String>,
        /// The object.
        json: Cow<'a, str>,
    },
    /// The body as it is, for a single parameter without a name.
    Bytes(&'a [u8]),
    /// The same as text, for a parameter of this type.
    Text(&'a str),
}

/// What the body says, before a function is chosen.
#[derive(Clone, Debug, PartialEq)]
enum Payload<'a> {
    Named(Map<String, Value>),
    Json { object: Option<Map<String, Value>>, text: &'a str },
    Raw { of_type: &'static str, bytes: &'a [u8] },
}

/// Finds the function, and turns the request into its arguments.
///
/// # Errors
/// `PGRST102` for a body that cannot be read, `PGRST202` if there is no such function, `PGRST203` if
/// there are several.
pub fn choose<'a>(
    catalog: &Catalog,
    call: &Call,
    content_type: &str,
    body: &'a [u8],
) -> Result<(Function, Arguments<'a>)> {
    let payload = match call.verb {
        Verb::Post => payload(content_type, body)?,
        _ => Payload::Named(strings(&call.query)),
    };
    let is_meant = |function: &&Function| function.schema == call.schema && function.name == call.function;
    let candidates: Vec<&Function> = catalog.functions.iter().filter(is_meant).collect();
    match payload {
        Payload::Raw { of_type, bytes } => {
            let function =
                single_unnamed(&candidates, &[of_type]).ok_or_else(|| not_found_raw(call, of_type))?;
            let arguments =
                if of_type == "bytea" { Arguments::Bytes(bytes) } else { Arguments::Text(text(bytes)?) };
            Ok((function.clone(), arguments))
        }
        Payload::Named(object) => {
            let function =
                that_takes(&candidates, &object)?.ok_or_else(|| not_found_named(call, &object, false))?;
            let json = Value::Object(object.clone()).to_string();
            Ok((function.clone(), named(object, json.into())))
        }
        Payload::Json { object, text } => {
            let object = object.unwrap_or_default();
            if let Some(function) = that_takes(&candidates, &object)? {
                return Ok((function.clone(), named(object, text.into())));
            }
            let function = single_unnamed(&candidates, &["json", "jsonb"])
                .ok_or_else(|| not_found_named(call, &object, true))?;
            Ok((function.clone(), Arguments::Text(text)))
        }
    }
}

fn named(object: Map<String, Value>, json: Cow<'_, str>) -> Arguments<'_> {
    Arguments::Named { names: object.into_iter().map(|(name, _)| name).collect(), json }
}

fn payload<'a>(content_type: &str, body: &'a [u8]) -> Result<Payload<'a>> {
    let raw = |of_type| Ok(Payload::Raw { of_type, bytes: body });
    match content_type {
        OCTET_STREAM => raw("bytea"),
        "text/plain" => raw("text"),
        "text/xml" => raw("xml"),
        FORM => Ok(Payload::Named(strings(&request::pairs(&String::from_utf8_lossy(body))))),
        JSON if body.is_empty() => Ok(Payload::Json { object: None, text: "{}" }),
        JSON => {
            let value: Value =
                serde_json::from_slice(body).map_err(|_| ApiError::invalid_body("Empty or invalid json"))?;
            // The text itself is what a json parameter gets, with its order of keys and digits of numbers.
            let text = text(body)?;
            let object = if let Value::Object(object) = value { Some(object) } else { None };
            Ok(Payload::Json { object, text })
        }
        other => Err(ApiError::invalid_body(format!("Content-Type not acceptable: {other}"))),
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| {
        ApiError::new(StatusCode::BAD_REQUEST, "22021", "invalid byte sequence for encoding \"UTF8\"")
    })
}

fn strings(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect()
}

fn single_unnamed<'a>(candidates: &[&'a Function], types: &[&str]) -> Option<&'a Function> {
    candidates.iter().copied().find(|function| match function.parameters.as_slice() {
        [only] => only.name.is_empty() && types.contains(&only.type_name.as_str()),
        _ => false,
    })
}

/// The function that takes these names: none that it does not know, and all that it needs.
fn that_takes<'a>(candidates: &[&'a Function], object: &Map<String, Value>) -> Result<Option<&'a Function>> {
    let fits = |function: &&&Function| {
        let parameters = &function.parameters;
        let knows_all = object.keys().all(|key| parameters.iter().any(|parameter| parameter.name == *key));
        let named = parameters.iter().all(|parameter| !parameter.name.is_empty());
        let has_all =
            parameters.iter().all(|parameter| !parameter.is_required || object.contains_key(&parameter.name));
        named && knows_all && has_all
    };
    let fitting: Vec<&Function> = candidates.iter().filter(fits).copied().collect();
    match fitting.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => Err(ambiguous(several)),
    }
}

fn ambiguous(functions: &[&Function]) -> ApiError {
    let signatures: Vec<String> = functions.iter().map(|function| signature(function)).collect();
    let message = format!("Could not choose the best candidate function between: {}", signatures.join(", "));
    ApiError::new(StatusCode::MULTIPLE_CHOICES, "PGRST203", message).with_hint(
        "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
    )
}

fn signature(function: &Function) -> String {
    let parameters = function.parameters.iter();
    let parameters: Vec<_> = parameters.map(|p| format!("{} => {}", p.name, p.type_name)).collect();
    format!("{}.{}({})", function.schema, function.name, parameters.join(", "))
}

fn not_found_raw(call: &Call, of_type: &str) -> ApiError {
    let name = format!("{}.{}", call.schema, call.function);
    ApiError::new(
        StatusCode::NOT_FOUND,
        "PGRST202",
        format!("Could not find the function {name} in the schema cache"),
    )
    .with_details(format!(
        "Searched for the function {name} with a single unnamed {of_type} parameter, but no matches were found in the schema cache."
    ))
}

fn not_found_named(call: &Call, object: &Map<String, Value>, or_json: bool) -> ApiError {
    let name = format!("{}.{}", call.schema, call.function);
    let keys = object.keys().cloned().collect::<Vec<_>>().join(", ");
    let (short, long) = match object.len() {
        0 => (" without parameters".to_owned(), " without parameters".to_owned()),
        1 => (format!("({keys})"), format!(" with parameter {keys}")),
        _ => (format!("({keys})"), format!(" with parameters {keys}")),
    };
    let or = if or_json { " or with a single unnamed json/jsonb parameter" } else { "" };
    ApiError::new(
        StatusCode::NOT_FOUND,
        "PGRST202",
        format!("Could not find the function {name}{short} in the schema cache"),
    )
    .with_details(format!(
        "Searched for the function {name}{long}{or}, but no matches were found in the schema cache."
    ))
}
