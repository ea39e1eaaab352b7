//! What texts were before the first write since the last fold: noted by triggers of plain SQL, in a table of
//! their own beside the journal, and gone after the fold.

use std::collections::HashMap;

use cloudsync_shared::id::ColumnId;
use cloudsync_shared::key::Key;
use cloudsync_shared::value::Value;
use rusqlite::Connection;

use crate::error::Result;
use crate::table::Table;
use crate::trigger::{self, Trigger};
use crate::{quote, value};

/// The name of a table's table of earlier texts.
pub fn before_table(table: &str) -> String {
    format!("{table}_cloudsync_before")
}

/// Creates the table. A `value` of NULL: the cell was, or became meanwhile, something else than text.
///
/// # Errors
/// The database cannot be written.
pub fn create(conn: &Connection, table: &Table) -> Result<()> {
    let name = before_table(&table.synced.name);
    let keys: Vec<String> = (0..table.info.key.len()).map(|at| format!("k{at}")).collect();
    let keys = keys.join(", ");
    conn.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {}(id INTEGER PRIMARY KEY, column_id INTEGER NOT NULL, {keys}, value);
         CREATE INDEX IF NOT EXISTS {} ON {}({keys}, column_id);",
        quote::main(&name),
        quote::main(&format!("{name}_row")),
        quote::ident(&name),
    ))?;
    Ok(())
}

/// Removes the table.
///
/// # Errors
/// The database cannot be written.
pub fn drop(conn: &Connection, name: &str) -> Result<()> {
    Ok(conn.execute_batch(&format!("DROP TABLE IF EXISTS {}", quote::main(&before_table(name))))?)
}

/// The triggers that fill it, one for each column.
pub fn triggers(table: &Table) -> Vec<Trigger> {
    let of_column = |(id, _): &(ColumnId, _)| {
        let name = table.column_name(*id)?;
        let info = table.info.stored_columns().find(|info| info.name == name)?;
        let event = format!("AFTER UPDATE OF {}", quote::ident(name));
        let when = format!(
            "{} AND {} AND {}",
            trigger::changed(info),
            trigger::same_key(table, "NEW", "OLD"),
            trigger::NOT_APPLYING
        );
        Some(Trigger::new(table, &format!("text_{}", id.0), &event, &when, &note(table, *id, name)))
    };
    table.schema.texts.iter().filter_map(of_column).collect()
}

fn note(table: &Table, id: ColumnId, name: &str) -> String {
    let before = quote::ident(&before_table(&table.synced.name));
    let keys: Vec<String> = (0..table.info.key.len()).map(|at| format!("k{at}")).collect();
    // Without the plus the key's affinity would keep SQLite from using the index.
    let values: Vec<String> =
        table.info.key.iter().map(|column| format!("+NEW.{}", quote::ident(&column.name))).collect();
    let is_row: String =
        keys.iter().zip(&values).map(|(key, value)| format!("{key} IS {value} AND ")).collect();
    let is_cell = format!("{is_row}column_id = {}", id.0);
    let (keys, values, name) = (keys.join(", "), values.join(", "), quote::ident(name));
    let are_texts = format!("typeof(OLD.{name}) = 'text' AND typeof(NEW.{name}) = 'text'");
    format!(
        "UPDATE {before} SET value = NULL WHERE {is_cell} AND NOT ({are_texts}); \
         INSERT INTO {before}(column_id, {keys}, value) \
         SELECT {}, {values}, CASE WHEN {are_texts} THEN OLD.{name} END \
         WHERE NOT EXISTS (SELECT 1 FROM {before} WHERE {is_cell});",
        id.0
    )
}

/// What is known of a cell before the writes that are being folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// It is in the row of this number.
    At(i64),
    /// It was used by an earlier batch of the same fold, up to the text that stands now.
    Used,
    /// Nothing: the cell was written whole.
    Unknown,
}

/// The earlier texts of one table, by cell. The texts themselves stay in the database until they are read.
#[derive(Debug, Default)]
pub struct Befores(HashMap<(Key, ColumnId), Before>);

impl Befores {
    /// Looks for them.
    ///
    /// # Errors
    /// The database failed.
    pub fn of(conn: &Connection, table: &Table) -> Result<Befores> {
        let mut found = HashMap::new();
        if table.schema.texts.is_empty() {
            return Ok(Befores(found));
        }
        let keys: String = (0..table.info.key.len()).map(|at| format!(", k{at}")).collect();
        let name = quote::main(&before_table(&table.synced.name));
        let mut query = conn.prepare(&format!("SELECT id, column_id{keys} FROM {name}"))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            // The fold tells of keys that cannot be synced.
            let Ok(key) = table.key_of(row, 2)? else { continue };
            found.insert((key, ColumnId(row.get(1)?)), Before::At(row.get(0)?));
        }
        Ok(Befores(found))
    }

    /// What is known of a cell; from now on that is used.
    pub fn take(&mut self, key: &Key, column: ColumnId) -> Before {
        let found = self.0.get_mut(&(key.clone(), column));
        found.map_or(Before::Unknown, |before| std::mem::replace(before, Before::Used))
    }

    /// A row was written whole: what its cells were before is of no account.
    pub fn forget_row(&mut self, table: &Table, key: &Key) {
        for (column, _) in &table.schema.texts {
            self.0.remove(&(key.clone(), *column));
        }
    }

    /// Empties the table: everything is folded.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn clear(&self, conn: &Connection, table: &Table) -> Result<()> {
        if !table.schema.texts.is_empty() {
            conn.execute(&format!("DELETE FROM {}", quote::main(&before_table(&table.synced.name))), [])?;
        }
        Ok(())
    }
}

/// An earlier text; NULL if there is none that could have been edited.
///
/// # Errors
/// The database failed.
pub fn read(conn: &Connection, table: &Table, id: i64) -> Result<Value> {
    let sql = format!("SELECT value FROM {} WHERE id = ?1", quote::main(&before_table(&table.synced.name)));
    let read = |row: &rusqlite::Row<'_>| Ok(value::from_sql(row.get_ref(0)?).unwrap_or(Value::Null));
    Ok(conn.prepare_cached(&sql)?.query_row([id], read)?)
}
