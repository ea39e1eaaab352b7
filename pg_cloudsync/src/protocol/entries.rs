//! Which synced tables a request means: by the name under which they are synced, or by schema and name.

use cloudsync_shared::qualified::QualifiedName;
use cloudsync_shared::schema::Algorithm;

use super::spi::{Arg, Mode, Row, query};
use crate::error::PgError;

/// An entry of the catalog of synced tables.
pub(super) struct Entry {
    /// Its number.
    pub(super) id: i64,
    /// The table's oid.
    pub(super) oid: i64,
    /// The name by which it was asked for.
    pub(super) name: String,
    /// Whether that is its schema and name.
    pub(super) is_by_schema: bool,
    /// How its rows merge.
    pub(super) algorithm: Algorithm,
    /// Whether values that lose a merge are kept.
    pub(super) keeps_conflicts: bool,
}

/// Reads the entries of these names; `None`: all, by the names under which they are synced. To be called as
/// the owner.
///
/// # Errors
/// The catalog cannot be read.
pub(super) fn read(mode: Mode, names: Option<&[String]>) -> Result<Vec<Entry>, PgError> {
    let Some(names) = names else {
        let sql = format!("SELECT {FACTS}, tables.name FROM cloudsync.tables ORDER BY id");
        return query(mode, &sql, Vec::new(), |row| read_entry(row, false));
    };
    let (by_schema, plain): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| QualifiedName::from_wire(name).is_some());
    let list = |names: Vec<&String>| vec![Arg::Texts(names.into_iter().cloned().map(Some).collect())];
    let mut entries = Vec::new();
    if !plain.is_empty() {
        let sql = format!(
            "SELECT {FACTS}, tables.name FROM cloudsync.tables \
             WHERE tables.name OPERATOR(pg_catalog.=) ANY ($1) ORDER BY id"
        );
        entries.extend(query(mode, &sql, list(plain), |row| read_entry(row, false))?);
    }
    if !by_schema.is_empty() {
        let sql = format!("SELECT {FACTS}, told.name FROM cloudsync.tables {BY_SCHEMA} ORDER BY id");
        entries.extend(query(mode, &sql, list(by_schema), |row| read_entry(row, true))?);
    }
    Ok(entries)
}

fn read_entry(row: &Row<'_, '_>, is_by_schema: bool) -> Result<Entry, PgError> {
    Ok(Entry {
        id: row.known_long(1)?,
        oid: row.known_long(2)?,
        algorithm: Algorithm::from_name(&row.known_text(3)?)?,
        keeps_conflicts: row.flag(4)?,
        name: row.known_text(5)?,
        is_by_schema,
    })
}

const FACTS: &str = "CAST(tables.id AS pg_catalog.int8), CAST(tables.relation AS pg_catalog.int8), \
    tables.algorithm, \
    EXISTS (SELECT FROM cloudsync.table_settings s WHERE s.table_id OPERATOR(pg_catalog.=) tables.id \
        AND s.col_name OPERATOR(pg_catalog.=) '*' AND s.key OPERATOR(pg_catalog.=) 'conflicts' \
        AND s.value OPERATOR(pg_catalog.=) 'on')";

/// Each table's schema and name as [`QualifiedName::to_wire`] writes them.
const BY_SCHEMA: &str = r#"
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) tables.relation
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    CROSS JOIN LATERAL (SELECT pg_catalog.concat(
        '"', pg_catalog.replace(CAST(n.nspname AS pg_catalog.text), '"', '""'), '"."',
        pg_catalog.replace(CAST(c.relname AS pg_catalog.text), '"', '""'), '"') AS name) told
    WHERE told.name OPERATOR(pg_catalog.=) ANY ($1)"#;
