//! Columns of text that are merged by lines: which they are. `cloudsync_set_column` chooses them; a table
//! without any has nothing of what these modules keep, and no trigger for them.

pub mod before;
pub mod documents;
pub mod edits;
pub mod merged;
pub mod tell;

use cloudsync_shared::id::ColumnId;
use cloudsync_shared::schema::Column;
use cloudsync_shared::text::Delimiter;
use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use crate::catalog::Affinity;
use crate::error::{Error, Result};
use crate::savepoint::in_savepoint;
use crate::table::Table;
use crate::{fold, system, trigger};

/// Column setting: how its values merge.
const ALGORITHM: &str = "algo";
/// Value of [`ALGORITHM`]: by lines.
const BY_LINES: &str = "block";
/// Values of [`ALGORITHM`]: as every other column, which is also so where it is not set.
const AS_CELL: [&str; 2] = ["cls", "lww"];
/// Column setting: what stands between two lines.
const DELIMITER: &str = "delimiter";

/// Column setting: whether lines are merged, or the words in them.
const UNIT: &str = "merge";
/// Value of [`UNIT`]: the words.
const BY_WORDS: &str = "word";

/// Whether a column setting is one of these.
pub fn is_setting(key: &str) -> bool {
    [ALGORITHM, DELIMITER, UNIT].iter().any(|known| key.eq_ignore_ascii_case(known))
}

/// The columns of a table that are merged by lines, with their delimiters.
///
/// # Errors
/// The database cannot be read.
pub fn columns(conn: &Connection, table: &str, columns: &[Column]) -> Result<Vec<(ColumnId, Delimiter)>> {
    let sql = "SELECT a.col_name, m.value, d.value FROM main.cloudsync_table_settings AS a
               LEFT JOIN main.cloudsync_table_settings AS m
                 ON m.tbl_name = a.tbl_name AND m.col_name = a.col_name AND m.key = 'merge'
               LEFT JOIN main.cloudsync_table_settings AS d
                 ON d.tbl_name = a.tbl_name AND d.col_name = a.col_name AND d.key = 'delimiter'
               WHERE a.tbl_name = ?1 AND a.key = 'algo' AND a.value = 'block'";
    let mut query = conn.prepare_cached(sql)?;
    let rows = query.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (name, unit, delimiter): (String, Option<String>, Option<String>) = row?;
        let Some(column) = columns.iter().find(|column| column.name.eq_ignore_ascii_case(&name)) else {
            continue;
        };
        found.push((column.id, Delimiter::of_settings(unit.as_deref(), delimiter.as_deref())?));
    }
    Ok(found)
}

/// Chooses how a column merges, its delimiter, or whether by words; NULL takes the choice back. Values that stand already count
/// as written whole.
///
/// # Errors
/// The column cannot be merged by lines, or the setting has no such value.
pub fn set(conn: &Connection, name: &str, column: &str, key: &str, value: &SqlValue) -> Result<()> {
    let key = key.to_ascii_lowercase();
    in_savepoint(conn, || {
        // What was written before was written under the other choice.
        fold::fold(conn)?;
        let before = Table::require(conn, name)?;
        let value = match key.as_str() {
            ALGORITHM => algorithm(value)?,
            UNIT => unit(value)?,
            _ => delimiter(value)?,
        };
        let takes_back = value == SqlValue::Null || (key == ALGORITHM && is_as_cell(&value));
        if !takes_back {
            text_column(&before, column)?;
        }
        let found = before.info.columns.iter().find(|known| known.name.eq_ignore_ascii_case(column));
        let Some(column) = found.map(|found| &found.name) else { return Ok(()) };
        system::set_table_setting(conn, name, column, &key, &value)?;
        let after = Table::require(conn, name)?;
        if before.schema.texts == after.schema.texts {
            return Ok(());
        }
        prepare(conn, &after)?;
        if let Some(changed) = after.schema.column(column) {
            documents::forget_column(conn, &after, changed.id)?;
        }
        trigger::rebuild(conn, &after)?;
        if after.schema.texts.is_empty() {
            before::drop(conn, name)?;
        }
        system::remember_schema(conn)
    })
}

/// Gives a table with such columns the places that it needs.
///
/// # Errors
/// The database cannot be written.
pub fn prepare(conn: &Connection, table: &Table) -> Result<()> {
    if table.schema.texts.is_empty() {
        return Ok(());
    }
    conn.execute_batch(documents::CREATE)?;
    before::create(conn, table)
}

/// Forgets everything kept for a table.
///
/// # Errors
/// The database cannot be written.
pub fn cleanup(conn: &Connection, name: &str, table_id: i64) -> Result<()> {
    before::drop(conn, name)?;
    documents::forget_table(conn, table_id)
}

/// Makes the same choices in a table that another one of its name had.
///
/// # Errors
/// As [`set`].
pub fn restore(conn: &Connection, table: &Table) -> Result<()> {
    for (column, delimiter) in &table.schema.texts {
        let Some(column) = table.column_name(*column) else { continue };
        let (key, value) = match delimiter.is_by_words() {
            true => (UNIT, BY_WORDS),
            false => (DELIMITER, delimiter.as_str()),
        };
        set(conn, &table.synced.name, column, key, &SqlValue::Text(value.to_owned()))?;
        set(conn, &table.synced.name, column, ALGORITHM, &SqlValue::Text(BY_LINES.to_owned()))?;
    }
    Ok(())
}

/// `cloudsync_text_materialize`: the text always stands in its row, so there is nothing to do.
///
/// # Errors
/// The column is not merged by lines.
pub fn materialize(conn: &Connection, name: &str, column: &str) -> Result<()> {
    let table = Table::require(conn, name)?;
    let (column, id) = text_column(&table, column)?;
    match table.schema.delimiter(id) {
        Some(_) => Ok(()),
        None => Err(Error::state(format!(
            "column {column} of table {name} is not merged by lines: \
             SELECT cloudsync_set_column('{name}', '{column}', 'algo', 'block')"
        ))),
    }
}

/// A column that can be merged by lines, by its name as declared.
fn text_column(table: &Table, name: &str) -> Result<(String, ColumnId)> {
    let refuse = |why: &str| {
        let table = &table.synced.name;
        Err(Error::state(format!("column {name} of table {table} cannot be merged by lines: {why}")))
    };
    let is_named = |known: &&crate::catalog::ColumnInfo| known.name.eq_ignore_ascii_case(name);
    if table.info.key.iter().any(|known| is_named(&known)) {
        return refuse("it is part of the primary key");
    }
    let Some(info) = table.info.columns.iter().find(is_named) else {
        return refuse("there is no such column");
    };
    let Some(column) = table.schema.column(&info.name) else {
        return refuse("it is generated, or was added by an ALTER TABLE that is not committed yet");
    };
    match info.affinity {
        Affinity::Text => Ok((info.name.clone(), column.id)),
        _ => refuse("it does not hold text: declare it TEXT"),
    }
}

fn algorithm(value: &SqlValue) -> Result<SqlValue> {
    match value {
        SqlValue::Null => Ok(SqlValue::Null),
        SqlValue::Text(name) if is_as_cell(value) => Ok(SqlValue::Text(name.to_ascii_lowercase())),
        SqlValue::Text(name) if name.eq_ignore_ascii_case(BY_LINES) => {
            Ok(SqlValue::Text(BY_LINES.to_owned()))
        }
        _ => Err(Error::state(format!("the column setting 'algo' is '{BY_LINES}' or '{}'", AS_CELL[0]))),
    }
}

fn is_as_cell(value: &SqlValue) -> bool {
    matches!(value, SqlValue::Text(name) if AS_CELL.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

fn unit(value: &SqlValue) -> Result<SqlValue> {
    match value {
        SqlValue::Null => Ok(SqlValue::Null),
        SqlValue::Text(name) => {
            let name = name.to_ascii_lowercase();
            Delimiter::of_settings(Some(&name), None)?;
            Ok(SqlValue::Text(name))
        }
        _ => Err(Error::state("the column setting 'merge' must be a text")),
    }
}

fn delimiter(value: &SqlValue) -> Result<SqlValue> {
    match value {
        SqlValue::Null => {}
        SqlValue::Text(text) => drop(Delimiter::new(text)?),
        _ => return Err(Error::state("the column setting 'delimiter' must be a text")),
    }
    Ok(value.clone())
}
