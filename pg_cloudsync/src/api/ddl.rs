//! From a device's `CREATE TABLE` to PostgreSQL's, and to a table.

use cloudsync_shared::ddl;
use pgrx::pg_extern;

use crate::error::{PgError, Result, SqlState, or_report};
use crate::setup::{Options, create};

/// `cloudsync_translate_ddl(ddl text) RETURNS text`: a script of SQLite's in PostgreSQL's words.
#[pg_extern(sql = false)]
fn cloudsync_translate_ddl(script: &str) -> String {
    or_report(ddl::translate_to_text(script).map_err(PgError::from))
}

/// `cloudsync_create_table(ddl text, schema text, algorithm text, flags int) RETURNS text[]`: makes the
/// tables of a script of SQLite's and begins to sync them; their names.
#[pg_extern(sql = false)]
fn cloudsync_create_table(
    script: Option<&str>,
    schema: Option<&str>,
    algorithm: Option<&str>,
    flags: Option<i32>,
) -> Vec<String> {
    or_report(create_table(script, schema, algorithm, flags))
}

fn create_table(
    script: Option<&str>,
    schema: Option<&str>,
    algorithm: Option<&str>,
    flags: Option<i32>,
) -> Result<Vec<String>> {
    let script =
        script.ok_or_else(|| PgError::new(SqlState::INVALID_PARAMETER, "the ddl argument is NULL"))?;
    let schema = schema.ok_or_else(create::no_schema)?;
    create::create(script, schema, Options::read(algorithm, flags)?)
}
