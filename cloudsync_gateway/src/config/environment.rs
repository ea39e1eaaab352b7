//! Environment variables over the file: `CLOUDSYNC_GATEWAY_` and the key, levels parted by `__`.

use toml::{Table, Value};

use crate::config::load::ConfigError;

/// What every variable begins with.
pub const PREFIX: &str = "CLOUDSYNC_GATEWAY_";

/// Names the file; it is not a key of the configuration.
const FILE_VARIABLE: &str = "CLOUDSYNC_GATEWAY_CONFIG";

/// Keys whose value is not a text. Numbers and booleans are written as in the file, lists with commas.
const NUMBERS: &[&str] = &[
    "shutdown_seconds",
    "trusted_proxies",
    "body_bytes",
    "request_seconds",
    "statement_timeout_ms",
    "requests_per_second",
    "burst",
    "pool_size",
    "pool_wait_seconds",
    "catalog_seconds",
];
const BOOLEANS: &[&str] = &["secret_is_base64", "require_api_key"];
const LISTS: &[&str] = &["cors_origins", "schemas", "extra_search_path", "functions"];

/// Writes the variables that concern us into the table.
///
/// # Errors
/// A value is not of its key's kind, or a key lies below something that is not a table.
pub fn overlay(
    table: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    let mut ours: Vec<_> =
        variables.filter(|(name, _)| name.starts_with(PREFIX) && name != FILE_VARIABLE).collect();
    ours.sort();
    for (name, text) in ours {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        let Some((key, tables)) = path.split_last() else { continue };
        let value = value(&name, key, &text)?;
        insert(table, tables, key, value)
            .map_err(|()| ConfigError::at(&name, "is no key of the configuration"))?;
    }
    Ok(())
}

fn value(name: &str, key: &str, text: &str) -> Result<Value, ConfigError> {
    if NUMBERS.contains(&key) {
        let number = text.trim().parse::<i64>();
        return number.map(Value::Integer).map_err(|_| ConfigError::at(name, "must be a whole number"));
    }
    if BOOLEANS.contains(&key) {
        let flag = text.trim().parse::<bool>();
        return flag.map(Value::Boolean).map_err(|_| ConfigError::at(name, "must be true or false"));
    }
    if LISTS.contains(&key) {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()));
    }
    Ok(Value::String(text.to_owned()))
}

fn insert(mut table: &mut Table, path: &[String], key: &str, value: Value) -> Result<(), ()> {
    for name in path {
        let entry = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
        table = entry.as_table_mut().ok_or(())?;
    }
    table.insert(key.to_owned(), value);
    Ok(())
}
