//! The protocol between devices and this server: two functions, bytes in and bytes out.
//!
//! Both run as their caller. Users' tables are read and written as the caller, so that rights and
//! row-level security decide; the metadata is read and written as the owner, in scopes that run
//! nothing of the caller's. No function keeps state between calls.
//!
//! Import order: `types`, `spi` → `set` → `table` → `sites`, `cursor`, `rows`, `known` → `item`,
//! `lock`, `reread` → `write` → `store` → `push`, `pull`, `gone`.

mod cursor;
mod gone;
mod item;
mod known;
mod lock;
mod pull;
mod push;
mod refuse;
mod reread;
mod rows;
mod set;
mod sites;
mod spi;
mod store;
mod table;
mod types;
mod write;

use cloudsync_shared::message::Message;
use cloudsync_shared::wire;
use pgrx::pg_extern;

use crate::error::{PgError, Result, SqlState, or_report};

/// `cloudsync_push(bytea) returns bytea`: takes a device's writes.
#[pg_extern(sql = false)]
fn cloudsync_push(request: &[u8]) -> Vec<u8> {
    or_report(answer_push(request))
}

/// `cloudsync_pull(bytea) returns bytea`: tells a device what is new, or what is gone. Writes nothing.
#[pg_extern(sql = false)]
fn cloudsync_pull(request: &[u8]) -> Vec<u8> {
    or_report(answer_pull(request))
}

fn answer_push(request: &[u8]) -> Result<Vec<u8>> {
    match wire::decode(request)? {
        Message::PushRequest(request) => Ok(wire::encode(&Message::PushReply(push::push(request)?))?),
        _ => Err(wrong_message("cloudsync_push takes a push request")),
    }
}

fn answer_pull(request: &[u8]) -> Result<Vec<u8>> {
    let reply = match wire::decode(request)? {
        Message::PullRequest(request) => Message::PullReply(pull::pull(&request)?),
        Message::GoneRequest(request) => Message::GoneReply(gone::gone(&request)?),
        _ => return Err(wrong_message("cloudsync_pull takes a pull request or a gone request")),
    };
    Ok(wire::encode(&reply)?)
}

fn wrong_message(message: &str) -> PgError {
    PgError::new(SqlState::INVALID_PARAMETER, message)
}
