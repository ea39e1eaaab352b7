//! The one statement that calls a function.

use std::borrow::Cow;

use tokio_postgres::types::Type;

use crate::database::catalog::{Function, Parameter};
use crate::database::transaction::{Bound, Statement};
use crate::rpc::arguments::Arguments;
use crate::rpc::media::Output;

/// A call's text and the value of its only parameter, if it has one.
pub struct CallStatement<'a> {
    sql: String,
    value: Option<Given<'a>>,
}

enum Given<'a> {
    Bytes(&'a [u8]),
    Text(Cow<'a, str>),
}

impl<'a> CallStatement<'a> {
    /// The statement that calls `function` with `arguments` and writes the result as `output` says. Its
    /// columns are the body, and the headers and the status that the function chose.
    pub fn new(function: &Function, arguments: Arguments<'a>, output: &Output) -> CallStatement<'a> {
        let name = format!("{}.{}", quote(&function.schema), quote(&function.name));
        let (call, from, value) = match arguments {
            Arguments::Bytes(bytes) => (format!("{name}($1)"), String::new(), Some(Given::Bytes(bytes))),
            Arguments::Text(text) => {
                let type_name = function.parameters.first().map_or("text", |only| only.type_name.as_str());
                (format!("{name}($1::{type_name})"), String::new(), Some(Given::Text(text.into())))
            }
            Arguments::Named { names, json } => {
                let given: Vec<&Parameter> =
                    function.parameters.iter().filter(|parameter| names.contains(&parameter.name)).collect();
                if given.is_empty() {
                    (format!("{name}()"), String::new(), None)
                } else {
                    let (list, from) = by_name(&given);
                    (format!("{name}({list})"), from, Some(Given::Text(json)))
                }
            }
        };
        CallStatement { sql: text(&call, &from, function, output), value }
    }

    /// As the transaction runs it.
    pub fn bound(&self) -> Statement<'_> {
        let parameters: Vec<Bound<'_>> = match &self.value {
            None => Vec::new(),
            Some(Given::Bytes(bytes)) => vec![(bytes, Type::BYTEA)],
            Some(Given::Text(text)) => vec![(text, Type::TEXT)],
        };
        Statement { sql: self.sql.clone(), parameters }
    }
}

/// Arguments out of one JSON object, each read as the type of its parameter.
fn by_name(given: &[&Parameter]) -> (String, String) {
    let names = given.iter().map(|p| format!("{0} := a.{0}", quote(&p.name)));
    let columns = given.iter().map(|p| format!("{} {}", quote(&p.name), p.type_name));
    let from = format!(
        " FROM pg_catalog.json_to_record($1::pg_catalog.json) AS a({})",
        columns.collect::<Vec<_>>().join(", ")
    );
    (names.collect::<Vec<_>>().join(", "), from)
}

/// OFFSET 0 keeps the call in a query of its own, so that it runs once, and before the settings that it
/// may leave are read.
fn text(call: &str, from: &str, function: &Function, output: &Output) -> String {
    let bytes = |json: &str| format!("pg_catalog.convert_to({json}, 'UTF8')");
    let body = match output {
        Output::Raw(_) if function.returns.is_bytes => "c.r::pg_catalog.bytea".to_owned(),
        Output::Raw(_) => bytes("c.r::pg_catalog.text"),
        // A column that nothing looks at would not be computed, and the function not called.
        Output::Json if function.returns.is_void => {
            "CASE WHEN c.r IS NULL THEN NULL::pg_catalog.bytea END".to_owned()
        }
        Output::Json if function.returns.is_set => {
            bytes("coalesce(pg_catalog.json_agg(c.r), '[]')::pg_catalog.text")
        }
        Output::Json => bytes("coalesce(pg_catalog.to_json(c.r)::pg_catalog.text, 'null')"),
    };
    format!(
        "SELECT {body}, pg_catalog.current_setting('response.headers', true), \
         pg_catalog.current_setting('response.status', true) FROM (SELECT {call} AS r{from} OFFSET 0) AS c"
    )
}

/// An identifier as SQL.
fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A list of schemas as the value of `search_path`.
pub fn search_path(schemas: &[String]) -> String {
    schemas.iter().map(|schema| quote(schema)).collect::<Vec<_>>().join(", ")
}
