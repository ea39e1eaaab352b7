//! Identifiers and keys, taken apart and put together.

use cloudsync_shared::id::SiteId;
use cloudsync_shared::text::TextDelta;
use cloudsync_shared::value::{Value, parse_canonical_uuid, uuid_text};
use cloudsync_shared::varint::Reader;
use pgrx::pg_extern;

use crate::error::{PgError, Result, SqlState, or_report};

/// `cloudsync_uuid_text(id bytea, dash boolean) RETURNS text`.
#[pg_extern(sql = false)]
fn cloudsync_uuid_text(id: &[u8], dash: bool) -> String {
    let text = <[u8; 16]>::try_from(id).map(uuid_text);
    let text = or_report(text.map_err(|_| invalid("expected a 16-byte BLOB")));
    if dash { text } else { text.replace('-', "") }
}

/// `cloudsync_uuid_blob(id text) RETURNS bytea`: with or without dashes, in either case.
#[pg_extern(sql = false)]
fn cloudsync_uuid_blob(id: &str) -> Vec<u8> {
    let parsed =
        parse_canonical_uuid(id).or_else(|| uuid::Uuid::parse_str(id).ok().map(uuid::Uuid::into_bytes));
    or_report(parsed.ok_or_else(|| invalid("malformed UUID string"))).to_vec()
}

/// `cloudsync_pk_decode(pk bytea, index int) RETURNS text`: the value of a key's column counted from 1,
/// NULL if there are not so many. Bytes are told in hexadecimal, as `bytea` itself is.
#[pg_extern(sql = false)]
fn cloudsync_pk_decode(pk: &[u8], index: i32) -> Option<String> {
    or_report(pk_decode(pk, index))
}

fn pk_decode(pk: &[u8], index: i32) -> Result<Option<String>> {
    let mut reader = Reader::new(pk);
    let mut at = 1;
    while !reader.is_empty() {
        let value = Value::decode(&mut reader)?;
        if at == index {
            return text_of(value);
        }
        at += 1;
    }
    Ok(None)
}

/// `cloudsync_text_lines(col_value bytea) RETURNS jsonb`: what a line `__[LINES]__…` of `cloudsync_changes` tells.
#[pg_extern(sql = false)]
fn cloudsync_text_lines(col_value: &[u8]) -> pgrx::JsonB {
    or_report(text_lines(col_value))
}

fn text_lines(col_value: &[u8]) -> Result<pgrx::JsonB> {
    match Value::decode(&mut Reader::new(col_value))? {
        Value::Blob(bytes) => Ok(pgrx::JsonB(TextDelta::<SiteId>::from_bytes(&bytes)?.to_json())),
        _ => Err(invalid("expected the col_value of a line __[LINES]__ of cloudsync_changes")),
    }
}

fn text_of(value: Value) -> Result<Option<String>> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) if text.contains('\0') => {
            return Err(PgError::new(SqlState::INVALID_TEXT, "PostgreSQL cannot store NUL in text"));
        }
        Value::Text(text) => text,
        Value::Blob(bytes) => bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}")),
    }))
}

fn invalid(message: &str) -> PgError {
    PgError::new(SqlState::INVALID_PARAMETER, message)
}
