//! The protocol between devices and this server: two functions, bytes in and bytes out.
//!
//! Both run as their caller. Users' tables are read and written as the caller, so that rights and
//! row-level security decide; the metadata is read and written as the owner, in scopes that run
//! nothing of the caller's. No function keeps state between calls.
//!
//! Import order: `printed`, `spi` → `types` → `set` → `entries` → `table` → `identity` → `sites`, `cursor`, `horizon`, `rows`, `known` →
//! `visible`, `view`, `item`, `lock`, `reread`, `sight`, `conflicts`, `texts` → `write` → `store` → `push`, `groups`, `cycles`, `pull`, `gone`, `changes`, `conflicts_view`, `description` →
//! `payload`.

mod blame;
mod changes;
mod conflicts;
mod conflicts_view;
mod cursor;
mod cycles;
mod description;
mod entries;
mod filter;
mod gone;
mod groups;
mod horizon;
mod identity;
mod item;
mod known;
mod lock;
mod payload;
mod printed;
mod pull;
mod push;
mod refuse;
mod reread;
mod rows;
mod set;
mod sight;
mod sites;
mod spi;
mod store;
mod table;
mod texts;
mod told;
mod types;
mod view;
mod visible;
mod write;

pub(crate) use view::relations_read;

use std::panic::AssertUnwindSafe;

use cloudsync_shared::message::{CreateReply, Message};
use cloudsync_shared::wire;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, pg_extern};

use crate::error::{PgError, Result, SqlState, or_report};
use crate::setup::create;

/// `cloudsync_push(bytea) returns bytea`: takes a device's writes.
#[pg_extern(sql = false)]
fn cloudsync_push(request: &[u8]) -> Vec<u8> {
    or_report(cleanly(|| answer_push(request)))
}

/// `cloudsync_pull(bytea) returns bytea`: tells a device what is new, or what is gone. Writes nothing.
#[pg_extern(sql = false)]
fn cloudsync_pull(request: &[u8]) -> Vec<u8> {
    or_report(cleanly(|| answer_pull(request)))
}

/// `cloudsync_create_tables(bytea, schema text) returns bytea`: makes a device's tables, and syncs them.
#[pg_extern(sql = false)]
fn cloudsync_create_tables(request: Option<&[u8]>, schema: Option<&str>) -> Vec<u8> {
    or_report(cleanly(|| answer_create(request.unwrap_or_default(), schema)))
}

/// `cloudsync_pull_schema(bytea) returns bytea`: tells a device which tables its user may read.
#[pg_extern(sql = false)]
fn cloudsync_pull_schema(request: &[u8]) -> Vec<u8> {
    or_report(cleanly(|| description::describe(request)))
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

fn answer_create(request: &[u8], schema: Option<&str>) -> Result<Vec<u8>> {
    match wire::decode(request)? {
        Message::CreateRequest(request) => {
            let tables = create::for_device(&request, schema)?;
            Ok(wire::encode(&Message::CreateReply(CreateReply { tables }))?)
        }
        _ => Err(wrong_message("cloudsync_create_tables takes a create request")),
    }
}

/// Runs an answer; an error of PostgreSQL's on the way goes on with its SQLSTATE and sentence alone,
/// without the details that may quote rows, and without a trace of this code.
fn cleanly<T>(answer: impl FnOnce() -> Result<T>) -> Result<T> {
    PgTryBuilder::new(AssertUnwindSafe(answer))
        .catch_others(|error| match error {
            CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
                let sqlstate = SqlState::from_code(report.sql_error_code() as i32);
                Err(PgError::new(sqlstate, report.message().to_owned()))
            }
            CaughtError::RustPanic { .. } => Err(PgError::internal("cloudsync failed: please report this")),
        })
        .execute()
}

fn wrong_message(message: &str) -> PgError {
    PgError::new(SqlState::INVALID_PARAMETER, message)
}
