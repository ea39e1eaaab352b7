//! From what a user typed to a table.

use cloudsync_shared::qualified::identifiers;
use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};

use crate::error::{PgError, Result, SqlState};
use crate::quote;

/// The longest table argument, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// The table of this name, which the caller must own.
///
/// The name is read as SQL reads it (`tasks`, `app.tasks`, `"My Tasks"`), and if there is no such
/// table as it stands: `MyTasks` finds `"MyTasks"` when there is no `mytasks`.
///
/// # Errors
/// There is no such table, or it belongs to somebody else.
pub fn resolve_owned(name: &str) -> Result<pg_sys::Oid> {
    let relation = resolve(name)?.ok_or_else(|| {
        PgError::new(SqlState::UNDEFINED_TABLE, format!("table {name} does not exist"))
            .with_hint("Name the schema too if it is not in the search path: 'app.tasks'.")
    })?;
    let sql = "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c \
               WHERE c.oid OPERATOR(pg_catalog.=) $1";
    let owned: Option<bool> =
        Spi::connect(|client| client.select(sql, Some(1), &[relation.into()])?.first().get_one())?;
    if owned != Some(true) {
        let message = format!("must be owner of table {name}");
        return Err(PgError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
    }
    Ok(relation)
}

/// The table of this name, if there is one.
///
/// # Errors
/// The name is too long.
pub fn resolve(name: &str) -> Result<Option<pg_sys::Oid>> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        let message = format!("a table name has 1 to {MAX_NAME_BYTES} bytes");
        return Err(PgError::new(SqlState::INVALID_PARAMETER, message));
    }
    let verbatim = || Some(name.split('.').map(str::to_owned).collect());
    let readings = [identifiers(name), verbatim(), Some(vec![name.to_owned()])];
    for parts in readings.into_iter().flatten() {
        if let Some(relation) = lookup(&parts)? {
            return Ok(Some(relation));
        }
    }
    Ok(None)
}

/// The caller's own ordinary and partitioned tables in the current schema.
///
/// # Errors
/// The catalog cannot be read.
pub fn eligible() -> Result<Vec<pg_sys::Oid>> {
    let sql = "SELECT c.oid FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
        WHERE n.nspname OPERATOR(pg_catalog.=) pg_catalog.current_schema() \
        AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p}') AND NOT c.relispartition \
        AND c.relpersistence OPERATOR(pg_catalog.=) 'p' \
        AND pg_catalog.pg_has_role(c.relowner, 'USAGE') \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid OPERATOR(pg_catalog.=) c.oid \
            AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.deptype OPERATOR(pg_catalog.=) 'e') ORDER BY c.relname";
    let mut found = Vec::new();
    Spi::connect(|client| {
        for row in client.select(sql, None, &[])? {
            found.extend(row.get::<pg_sys::Oid>(1)?);
        }
        Ok::<_, PgError>(found)
    })
}

fn lookup(parts: &[String]) -> Result<Option<pg_sys::Oid>> {
    if parts.is_empty() || parts.len() > 2 || parts.iter().any(String::is_empty) {
        return Ok(None);
    }
    let quoted: Vec<String> = parts.iter().map(|part| quote::ident(part)).collect();
    let args: [DatumWithOid<'_>; 1] = [quoted.join(".").into()];
    let sql = "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid";
    Ok(Spi::connect(|client| client.select(sql, Some(1), &args)?.first().get_one())?)
}
