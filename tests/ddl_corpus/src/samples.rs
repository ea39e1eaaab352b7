//! Values as they travel between the engines: the same mapping that the PostgreSQL extension has.

use rusqlite::types::Value;

use crate::hex;

/// A value as text that the server casts to the column's type.
pub fn to_server(value: &Value, pg_type: &str) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(number) if pg_type == "boolean" => Some((*number != 0).to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) if number.abs() < 1e18 => Some(number.to_string()),
        Value::Real(number) => Some(format!("{number:e}")),
        Value::Text(text) => Some(text.clone()),
        Value::Blob(bytes) => Some(format!("\\x{}", hex(bytes))),
    }
}

/// A value from the text that the server prints, in the kind in which it travels.
pub fn from_server(text: Option<&str>, pg_type: &str) -> Value {
    let Some(text) = text else { return Value::Null };
    match pg_type {
        "smallint" | "integer" | "bigint" => Value::Integer(text.parse().expect("an integer")),
        "boolean" => Value::Integer(i64::from(text == "true")),
        "double precision" => Value::Real(match text {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => text.parse().expect("a float"),
        }),
        "bytea" => Value::Blob(
            (2..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
                .collect(),
        ),
        _ => Value::Text(text.to_owned()),
    }
}

/// Values that a sane application would store in a column that is declared so.
pub fn candidates(declared: &str, row: usize) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    let words = declared.split('(').next().unwrap_or_default().trim().to_ascii_uppercase();
    let choices = match words.as_str() {
        "UUID" => vec![Value::Text(format!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a{row:02x}"))],
        "BOOLEAN" | "BOOL" => vec![Value::Integer(1), Value::Integer(0)],
        "JSON" | "JSONB" => vec![text("{\"b\": [1, 2.50],  \"a\": null}"), text("[]"), text("7")],
        "DATE" => vec![text("2024-02-29"), text("29.2.2024"), Value::Integer(20_240_229)],
        "TIME" => vec![text("13:14:15"), text("7:05")],
        "DATETIME" | "TIMESTAMP" | "TIMESTAMPTZ" => vec![
            text("2024-02-29 13:14:15"),
            text("2024-02-29T13:14:15.120Z"),
            Value::Integer(1_709_212_455),
            Value::Real(1_709_212_455.25),
        ],
        "NUMERIC" | "DECIMAL" | "NUMBER" => {
            vec![Value::Real(12.34), Value::Integer(5), Value::Real(0.1), Value::Integer(-3)]
        }
        _ if words.contains("INT") || matches!(words.as_str(), "LONG" | "UNSIGNED" | "SERIAL") => {
            vec![Value::Integer(1), Value::Integer(0), Value::Integer(1 << 40), Value::Integer(i64::MIN)]
        }
        _ if words.contains("CHAR") || words.contains("TEXT") || words.contains("CLOB") => {
            vec![Value::Text(format!("k{row}")), text("Ünï'cödé \\ \n"), text("007"), text("")]
        }
        _ if words.contains("BLOB") || words == "BYTEA" || words.ends_with("BINARY") => {
            vec![Value::Blob(vec![0, 255, row as u8]), Value::Blob(Vec::new())]
        }
        _ if ["REAL", "FLOA", "DOUB"].iter().any(|part| words.contains(part)) => {
            vec![Value::Real(1.5), Value::Real(3.0), Value::Real(1e300), Value::Real(0.1)]
        }
        _ => vec![text("word"), Value::Integer(7), Value::Real(1.5)],
    };
    choices[row % choices.len()].clone()
}
