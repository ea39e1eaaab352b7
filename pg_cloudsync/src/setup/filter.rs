//! Setting and clearing a table's row filter.

use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};

use super::{run, run_with, synced};
use crate::catalog::SyncedTable;
use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::AsOwner;
use crate::ffi::subxact::in_subtransaction;
use crate::quote;

/// The longest expression, in bytes.
const MAX_FILTER_BYTES: usize = 2048;
/// An empty table of the same columns, on which PostgreSQL judges an expression.
const TRIAL: &str = "cloudsync_filter_trial";
const TRIAL_INDEX: &str = "cloudsync_filter_trial_index";

/// What PostgreSQL made of an expression.
struct Parsed {
    /// The expression with every name outside `pg_catalog` qualified.
    expression: String,
    /// The columns that it reads, perhaps with the key: name, type as SQL text, collation where it is not
    /// the type's own.
    columns: Vec<(String, String, Option<String>)>,
}

/// Sets the filter of a table, which the caller owns.
///
/// # Errors
/// The table is not synced, or the expression cannot be a filter.
pub fn set(relation: pg_sys::Oid, expression: &str) -> Result<()> {
    let table = synced(relation)?;
    check_text(&table, expression)?;
    let parsed =
        in_subtransaction(|| parse(&table, expression)).map_err(|error| unfit(&table, &error.message))?;
    let _owner = AsOwner::enter()?;
    run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.qualified))?;
    forget(table.id)?;
    create(&table, &parsed)
}

/// Takes the filter of a table away, if it has one.
///
/// # Errors
/// The table is not synced.
pub fn clear(relation: pg_sys::Oid) -> Result<()> {
    let table = synced(relation)?;
    let _owner = AsOwner::enter()?;
    run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.qualified))?;
    forget(table.id)
}

/// The filter of a table, qualified.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn expression_of(id: i32) -> Result<Option<String>> {
    let _owner = AsOwner::enter()?;
    let sql = "SELECT expression FROM cloudsync.filters WHERE table_id = $1";
    Ok(Spi::connect(|client| {
        let found = client.select(sql, Some(1), &[id.into()])?;
        if found.is_empty() { Ok(None) } else { found.first().get_one() }
    })?)
}

/// Forgets the filter of a table. To be called as the extension's owner.
///
/// # Errors
/// The metadata cannot be written.
pub(super) fn forget(id: i32) -> Result<()> {
    let sql = "DELETE FROM cloudsync.filters WHERE table_id = $1 RETURNING function || '(' \
        || array_to_string(ARRAY(SELECT format_type(u.type, NULL) FROM unnest(types) WITH ORDINALITY AS u(type, place) \
            ORDER BY u.place), ', ') || ')'";
    let function: Option<String> = Spi::connect_mut(|client| {
        let found = client.update(sql, None, &[id.into()])?;
        if found.is_empty() { Ok(None) } else { found.first().get_one() }
    })?;
    let Some(function) = function else { return Ok(()) };
    run(&format!("ALTER EXTENSION cloudsync DROP FUNCTION {function}"))?;
    run(&format!("DROP FUNCTION {function}"))
}

/// An expression is put into statements: what could end it, or hide what follows, is refused beforehand.
fn check_text(table: &SyncedTable, expression: &str) -> Result<()> {
    if expression.len() > MAX_FILTER_BYTES {
        return Err(unfit(table, &format!("it is longer than {MAX_FILTER_BYTES} bytes")));
    }
    if expression.trim().is_empty() {
        return Err(unfit(table, "it is empty"));
    }
    if [";", "--", "/*"].iter().any(|sign| expression.contains(sign)) {
        return Err(unfit(table, "it must not hold ';' or comments, in texts neither"));
    }
    Ok(())
}

fn unfit(table: &SyncedTable, reason: &str) -> PgError {
    let message = format!(
        "the filter of table {} must be one SQL expression over the row's own columns, without subqueries, \
         parameters and functions that are not IMMUTABLE: {reason}",
        table.qualified
    );
    PgError::new(SqlState::INVALID_PARAMETER, message)
}

/// Lets PostgreSQL judge an expression, as the caller and in the caller's search path: the condition of an
/// index may be just what a filter may be.
fn parse(table: &SyncedTable, expression: &str) -> Result<Parsed> {
    let key = table.key.first().map(|key| quote::ident(&key.name)).unwrap_or_default();
    run(&format!("CREATE TEMPORARY TABLE {TRIAL} (LIKE {})", table.qualified))?;
    run(&format!("CREATE INDEX {TRIAL_INDEX} ON pg_temp.{TRIAL} ({key}) WHERE ({expression})"))?;
    let parsed = describe()?;
    run(&format!("DROP TABLE pg_temp.{TRIAL}"))?;
    Ok(parsed)
}

/// PostgreSQL leaves out a condition that is always true.
const COLUMNS: &str = "\
    SELECT a.attname::text, format_type(a.atttypid, NULL), \
        CASE WHEN a.attcollation <> ty.typcollation THEN (SELECT quote_ident(n.nspname) || '.' || quote_ident(co.collname) \
            FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace WHERE co.oid = a.attcollation) END, \
        coalesce(pg_get_expr(i.indpred, i.indrelid), 'true') \
    FROM pg_class x JOIN pg_index i ON i.indexrelid = x.oid \
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0 \
    JOIN pg_type ty ON ty.oid = a.atttypid \
    WHERE x.relname = $1 AND x.relnamespace = pg_my_temp_schema() AND EXISTS (SELECT FROM pg_depend d \
        WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid AND d.refclassid = 'pg_class'::regclass \
            AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum) \
    ORDER BY a.attnum";

fn describe() -> Result<Parsed> {
    let _owner = AsOwner::enter()?;
    let mut parsed = Parsed { expression: String::new(), columns: Vec::new() };
    Spi::connect(|client| {
        for row in client.select(COLUMNS, None, &[TRIAL_INDEX.into()])? {
            let text = |at: usize| row.get::<String>(at).map(Option::unwrap_or_default);
            parsed.columns.push((text(1)?, text(2)?, row.get(3)?));
            parsed.expression = text(4)?;
        }
        Ok::<_, PgError>(())
    })?;
    Ok(parsed)
}

/// Makes the function. A body that is parsed when it is made depends on no search path, and PostgreSQL
/// puts it in the place of its calls.
fn create(table: &SyncedTable, parsed: &Parsed) -> Result<()> {
    let number: Option<i64> = Spi::connect_mut(|client| {
        client.update("SELECT nextval('cloudsync.filter_number')", None, &[])?.first().get_one()
    })?;
    let function = format!("cloudsync_filter.rows_{}_{}", table.id, number.unwrap_or_default());
    let columns = &parsed.columns;
    let parameters: Vec<String> =
        columns.iter().map(|(name, kind, _)| format!("{} {kind}", quote::ident(name))).collect();
    let body = match columns.iter().any(|(_, _, collation)| collation.is_some()) {
        false => parsed.expression.clone(),
        true => {
            let collated = columns.iter().map(|(name, _, collation)| {
                let name = quote::ident(name);
                let collate = collation.as_ref().map(|collation| format!(" COLLATE {collation}"));
                format!("{name}{} AS {name}", collate.unwrap_or_default())
            });
            let collated: Vec<String> = collated.collect();
            // The parameters have the collation of their type; the columns count with their own.
            format!("(SELECT {} FROM (SELECT {}) AS row)", parsed.expression, collated.join(", "))
        }
    };
    run(&format!(
        "CREATE FUNCTION {function}({}) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ({body})",
        parameters.join(", ")
    ))?;
    let types: Vec<&str> = columns.iter().map(|(_, kind, _)| kind.as_str()).collect();
    run(&format!("ALTER EXTENSION cloudsync ADD FUNCTION {function}({})", types.join(", ")))?;
    let names: Vec<&str> = columns.iter().map(|(name, _, _)| name.as_str()).collect();
    let args: [DatumWithOid<'_>; 5] = [
        table.id.into(),
        parsed.expression.as_str().into(),
        function.as_str().into(),
        names.into(),
        table.relation.into(),
    ];
    run_with(
        "INSERT INTO cloudsync.filters (table_id, expression, function, columns, types) \
         SELECT $1, $2, $3, coalesce(array_agg(a.attnum ORDER BY u.place), '{}'), \
             coalesce(array_agg(a.atttypid ORDER BY u.place), '{}') \
         FROM unnest($4::text[]) WITH ORDINALITY AS u(name, place) \
         JOIN pg_attribute a ON a.attrelid = $5 AND a.attname = u.name AND NOT a.attisdropped",
        &args,
    )
}
