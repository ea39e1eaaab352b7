//! The documents of texts that were edited by line. They hold no text: that stands in the user's row.

use cloudsync_shared::id::{ColumnId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::text::{Delimiter, Document};
use cloudsync_shared::value::Value;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::table::Table;

/// The table's name.
pub const TABLE: &str = "cloudsync_texts";

/// Creates the table, when a column is first to be merged by lines.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS main.cloudsync_texts (
    table_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    column_id INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (table_id, key, column_id)
) WITHOUT ROWID";

/// The document of a cell; `None`: it is implied.
///
/// # Errors
/// It is damaged, or the database failed.
pub fn load(
    conn: &Connection,
    table: &Table,
    key: &Key,
    column: ColumnId,
) -> Result<Option<Document<SiteOrdinal>>> {
    let sql = "SELECT document FROM main.cloudsync_texts WHERE table_id = ?1 AND key = ?2 AND column_id = ?3";
    let stored: Option<Vec<u8>> = conn
        .prepare_cached(sql)?
        .query_row(params![table.synced.id, key.0, column.0], |row| row.get(0))
        .optional()?;
    Ok(stored.map(|bytes| Document::from_bytes(&bytes)).transpose()?)
}

/// The documents of a row.
///
/// # Errors
/// One is damaged, or the database failed.
pub fn of_row(
    conn: &Connection,
    table: &Table,
    key: &[u8],
) -> Result<Vec<(ColumnId, Document<SiteOrdinal>)>> {
    let mut documents = Vec::new();
    if table.schema.texts.is_empty() {
        return Ok(documents);
    }
    let sql = "SELECT column_id, document FROM main.cloudsync_texts WHERE table_id = ?1 AND key = ?2";
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query(params![table.synced.id, key])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(1)?;
        documents.push((ColumnId(row.get(0)?), Document::from_bytes(&bytes)?));
    }
    Ok(documents)
}

/// Keeps the document of a cell, or forgets it (`None`): it is implied from now on.
///
/// # Errors
/// The database cannot be written.
pub fn store(
    conn: &Connection,
    table: &Table,
    key: &[u8],
    column: ColumnId,
    document: Option<&Document<SiteOrdinal>>,
) -> Result<()> {
    let Some(document) = document else {
        let sql = "DELETE FROM main.cloudsync_texts WHERE table_id = ?1 AND key = ?2 AND column_id = ?3";
        conn.prepare_cached(sql)?.execute(params![table.synced.id, key, column.0])?;
        return Ok(());
    };
    let sql = "INSERT INTO main.cloudsync_texts(table_id, key, column_id, document) VALUES(?1, ?2, ?3, ?4)
               ON CONFLICT(table_id, key, column_id) DO UPDATE SET document = excluded.document";
    conn.prepare_cached(sql)?.execute(params![table.synced.id, key, column.0, document.to_bytes()])?;
    Ok(())
}

/// Forgets the documents of a row.
///
/// # Errors
/// The database cannot be written.
pub fn forget_row(conn: &Connection, table: &Table, key: &Key) -> Result<()> {
    if table.schema.texts.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM main.cloudsync_texts WHERE table_id = ?1 AND key = ?2";
    conn.prepare_cached(sql)?.execute(params![table.synced.id, key.0])?;
    Ok(())
}

/// Forgets the documents of a column.
///
/// # Errors
/// The database cannot be written.
pub fn forget_column(conn: &Connection, table: &Table, column: ColumnId) -> Result<()> {
    if !exists(conn)? {
        return Ok(());
    }
    let sql = "DELETE FROM main.cloudsync_texts WHERE table_id = ?1 AND column_id = ?2";
    conn.prepare_cached(sql)?.execute(params![table.synced.id, column.0])?;
    Ok(())
}

/// Forgets the documents of a table.
///
/// # Errors
/// The database cannot be written.
pub fn forget_table(conn: &Connection, table_id: i64) -> Result<()> {
    if exists(conn)? {
        conn.execute("DELETE FROM main.cloudsync_texts WHERE table_id = ?1", [table_id])?;
    }
    Ok(())
}

fn exists(conn: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS(SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1)";
    Ok(conn.prepare_cached(sql)?.query_row([TABLE], |row| row.get(0))?)
}

/// The document if it is that of this value. Where a value was changed while nothing was captured it may not
/// be; then the value counts as written whole.
pub fn fitting<S: Copy + Eq>(
    document: Option<Document<S>>,
    value: &Value,
    delimiter: &Delimiter,
) -> Option<Document<S>> {
    let Value::Text(text) = value else { return None };
    document.filter(|document| document.part(text, delimiter, |_| false).is_ok())
}
