//! Setting a table up: `cloudsync_init` and its kin.

use pgrx::pg_extern;

use crate::error::{PgError, Result, SqlState, or_report};
use crate::settings;
use crate::setup::{self, Options, names};

/// `cloudsync_init(table text, algorithm text, flags int) RETURNS bytea`: the site id. The table `*` means
/// all that the caller owns in the current schema; those that cannot be synced are named in notices.
#[pg_extern(sql = false)]
fn cloudsync_init(table: Option<&str>, algorithm: Option<&str>, flags: Option<i32>) -> Vec<u8> {
    or_report(init(table, algorithm, flags))
}

fn init(table: Option<&str>, algorithm: Option<&str>, flags: Option<i32>) -> Result<Vec<u8>> {
    let options = Options::read(algorithm, flags)?;
    match given(table)? {
        "*" => {
            for relation in names::eligible()? {
                let unfit = [SqlState::INVALID_TABLE, SqlState::WRONG_OBJECT];
                match setup::init(relation, options) {
                    Err(error) if unfit.contains(&error.sqlstate) => pgrx::notice!("{}", error.message),
                    outcome => outcome?,
                }
            }
        }
        name => setup::init(names::resolve_owned(name)?, options)?,
    }
    Ok(settings::site_id()?.0.to_vec())
}

/// `cloudsync_cleanup(table text) RETURNS boolean`.
#[pg_extern(sql = false)]
fn cloudsync_cleanup(table: Option<&str>) -> bool {
    or_report(given(table).and_then(names::resolve_owned).and_then(setup::cleanup));
    true
}

/// `cloudsync_enable(table text) RETURNS boolean`.
#[pg_extern(sql = false)]
fn cloudsync_enable(table: Option<&str>) -> bool {
    or_report(given(table).and_then(names::resolve_owned).and_then(|table| setup::set_enabled(table, true)));
    true
}

/// `cloudsync_disable(table text) RETURNS boolean`.
#[pg_extern(sql = false)]
fn cloudsync_disable(table: Option<&str>) -> bool {
    or_report(given(table).and_then(names::resolve_owned).and_then(|table| setup::set_enabled(table, false)));
    true
}

/// `cloudsync_is_enabled(table text) RETURNS boolean`: false for a table that is not synced.
#[pg_extern(sql = false)]
fn cloudsync_is_enabled(table: Option<&str>) -> bool {
    or_report(given(table).and_then(setup::is_enabled))
}

fn given(table: Option<&str>) -> Result<&str> {
    table.ok_or_else(|| PgError::new(SqlState::INVALID_PARAMETER, "the table argument is NULL"))
}
