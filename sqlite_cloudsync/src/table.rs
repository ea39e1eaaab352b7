//! A synced table as this connection sees it now: registry, catalog and the core's schema in one.

use cloudsync_shared::id::ColumnId;
use cloudsync_shared::key::Key;
use cloudsync_shared::schema::{Column, TableSchema};
use cloudsync_shared::value::Value;
use cloudsync_shared::varint::Reader;
use rusqlite::{Connection, Row};

use crate::catalog::{self, Affinity, TableInfo};
use crate::error::{Error, Result};
use crate::quote;
use crate::system::{self, SyncedTable};
use crate::texts;
use crate::value::{self, NotUtf8};

/// Column ids in one integer of the journal: the first holds two bits of operation besides.
pub const MASK_BITS: u16 = 60;

/// A synced table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its entry in the registry.
    pub synced: SyncedTable,
    /// What the catalog says of it.
    pub info: TableInfo,
    /// What the core knows of it.
    pub schema: TableSchema,
    /// Columns that the registry does not know yet: an ALTER TABLE added them.
    pub unknown: Vec<String>,
}

impl Table {
    /// Loads a synced table; `None` if it has been dropped.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn load(conn: &Connection, synced: SyncedTable) -> Result<Option<Table>> {
        let Some(info) = catalog::describe(conn, &synced.name)? else { return Ok(None) };
        let ids = system::column_ids(conn, synced.id)?;
        let (mut columns, mut unknown) = (Vec::new(), Vec::new());
        for column in info.stored_columns() {
            match ids.iter().find(|(name, _)| *name == column.name) {
                Some((name, id)) => columns.push(Column { name: name.clone(), id: *id }),
                None => unknown.push(column.name.clone()),
            }
        }
        let texts = texts::columns(conn, &synced.name, &columns)?;
        let schema = TableSchema {
            name: synced.name.clone(),
            algorithm: synced.algorithm,
            key: info.key.iter().map(|column| column.name.clone()).collect(),
            columns,
            texts,
        };
        Ok(Some(Table { synced, info, schema, unknown }))
    }

    /// Loads a synced table by name.
    ///
    /// # Errors
    /// The table is not synced, or was dropped.
    pub fn require(conn: &Connection, name: &str) -> Result<Table> {
        let synced = system::require_table(conn, name)?;
        Table::load(conn, synced)?.ok_or_else(|| {
            Error::state(format!(
                "table {name} is synced but does not exist: create it again, or call cloudsync_cleanup('{name}')"
            ))
        })
    }

    /// All synced tables that exist, parents before children.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn all(conn: &Connection) -> Result<Vec<Table>> {
        let mut tables = Vec::new();
        for synced in system::tables(conn)? {
            tables.extend(Table::load(conn, synced)?);
        }
        parents_first(conn, tables)
    }

    /// The table of clocks, quoted.
    pub fn clocks(&self) -> String {
        quote::main(&clock_table(&self.synced.name))
    }

    /// The journal, quoted.
    pub fn journal(&self) -> String {
        quote::main(&journal_table(&self.synced.name))
    }

    /// The user's table, quoted.
    pub fn rows(&self) -> String {
        quote::main(&self.info.name)
    }

    /// How many integers beside `op` the journal needs for its columns.
    pub fn extra_masks(&self) -> u16 {
        self.schema.columns.iter().map(|column| column.id.number() / MASK_BITS).max().unwrap_or(0)
    }

    /// The key of a row whose key columns stand from `first` on.
    ///
    /// # Errors
    /// SQLite failed. The inner error says why the key cannot be synced.
    pub fn key_of(&self, row: &Row<'_>, first: usize) -> rusqlite::Result<std::result::Result<Key, String>> {
        let mut values = Vec::with_capacity(self.info.key.len());
        for (at, column) in self.info.key.iter().enumerate() {
            let cell = row.get_ref(first + at)?;
            match value::key_from_sql(cell, column.affinity != Affinity::None) {
                Ok(value) => values.push(value),
                Err(NotUtf8) => return Ok(Err(format!("key column {} is not valid UTF-8", column.name))),
            }
        }
        Ok(Key::encode(&values).map_err(|error| error.to_string()))
    }

    /// The values of a key that is known to be canonical, to be bound for
    /// [`TableInfo::key_condition`].
    ///
    /// # Errors
    /// The key does not have this table's number of columns.
    pub fn key_values(&self, key: &Key) -> Result<Vec<Value>> {
        let mut reader = Reader::new(&key.0);
        let mut values = Vec::with_capacity(self.info.key.len());
        for _ in &self.info.key {
            values.push(Value::decode(&mut reader)?);
        }
        match reader.is_empty() {
            true => Ok(values),
            false => Err(Error::state(format!("a key of table {} has too many columns", self.synced.name))),
        }
    }

    /// As [`Table::key_values`], of a key from another replica that is to be stored here.
    ///
    /// # Errors
    /// As [`Table::key_values`]; or a key column would store another value: a [`value::Unfit`], which is
    /// about this row alone.
    pub fn fitting_key(&self, key: &Key) -> Result<Vec<Value>> {
        let values = self.key_values(key)?;
        let misfit = self
            .info
            .key
            .iter()
            .zip(&values)
            .find_map(|(column, value)| value::check_key(column, value).err());
        match misfit {
            Some(unfit) => Err(Error::Sqlite(unfit.into())),
            None => Ok(values),
        }
    }

    /// The column of an id, if the table still has it.
    pub fn column_name(&self, id: ColumnId) -> Option<&str> {
        self.schema.columns.iter().find(|column| column.id == id).map(|column| column.name.as_str())
    }
}

/// The name of a table's table of clocks.
pub fn clock_table(table: &str) -> String {
    format!("{table}_cloudsync")
}

/// The name of a table's journal.
pub fn journal_table(table: &str) -> String {
    format!("{table}_cloudsync_journal")
}

/// Sorts by foreign keys; where they form a circle, the order of init decides.
fn parents_first(conn: &Connection, mut rest: Vec<Table>) -> Result<Vec<Table>> {
    let mut parents = Vec::with_capacity(rest.len());
    for table in &rest {
        parents.push((table.synced.id, catalog::parents(conn, &table.info.name)?));
    }
    let mut sorted: Vec<Table> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let waits = |table: &Table| {
            let of = parents.iter().find(|(id, _)| *id == table.synced.id).map(|(_, names)| names.as_slice());
            of.unwrap_or_default().iter().any(|parent| {
                rest.iter().any(|other| {
                    other.synced.id != table.synced.id && other.info.name.eq_ignore_ascii_case(parent)
                })
            })
        };
        let next = rest.iter().position(|table| !waits(table)).unwrap_or(0);
        sorted.push(rest.remove(next));
    }
    Ok(sorted)
}
