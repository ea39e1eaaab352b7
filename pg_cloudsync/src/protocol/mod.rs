//! The protocol between devices and this server: push and pull.

use pgrx::pg_extern;

use crate::error::{PgError, SqlState};

#[pg_extern(sql = false)]
fn cloudsync_push(_request: &[u8]) -> Vec<u8> {
    PgError::new(SqlState::NOT_SUPPORTED, "cloudsync_push is not built in").report()
}

#[pg_extern(sql = false)]
fn cloudsync_pull(_request: &[u8]) -> Vec<u8> {
    PgError::new(SqlState::NOT_SUPPORTED, "cloudsync_pull is not built in").report()
}
