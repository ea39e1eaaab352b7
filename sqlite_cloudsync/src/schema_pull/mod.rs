//! `cloudsync_network_pull_schema`: makes the tables that the server syncs and its user may read.

mod description;
mod names;

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use crate::catalog::{self, TableInfo};
use crate::error::{Error, Result};
use crate::network::{Interrupt, Transport};
use crate::savepoint::in_savepoint;
use crate::{functions, init, mapping, quote, system};
use description::{ColumnDescription, TableDescription};

/// What the server is told: nothing yet.
const REQUEST: &[u8] = b"{}";

/// Asks the server for its tables, makes those that are not here and adds columns that are missing, and
/// syncs them all, in one transaction. Answers how many tables were made.
///
/// # Errors
/// A transaction is open, the server cannot be reached, a table is here and has other columns, or one
/// cannot be synced. Nothing is changed then.
pub fn pull(conn: &Connection, transport: &mut dyn Transport) -> Result<usize> {
    if !conn.is_autocommit() {
        return Err(Error::state("a schema cannot be pulled inside a transaction: COMMIT first"));
    }
    let answer = transport.pull_schema(REQUEST, &Interrupt::of(conn))?;
    make(conn, &description::read(&answer)?)
}

fn make(conn: &Connection, tables: &[TableDescription]) -> Result<usize> {
    in_savepoint(conn, || {
        let names = names::choose(conn, tables)?;
        let (mut made, mut differences) = (0, Vec::new());
        for (table, name) in tables.iter().zip(&names) {
            match catalog::describe(conn, name)? {
                None => {
                    conn.execute_batch(&create_table(table, name))?;
                    made += 1;
                }
                Some(info) => {
                    let found = differences_of(&info, table);
                    if found.is_empty() {
                        add_missing(conn, &info, table)?;
                    }
                    differences.extend(found);
                }
            }
        }
        if !differences.is_empty() {
            let list = differences.join("; ");
            return Err(Error::state(format!("the server's tables do not fit those here: {list}")));
        }
        for (table, name) in tables.iter().zip(&names) {
            sync(conn, table, name)?;
        }
        Ok(made)
    })
}

/// Begins to sync a table, with the server's settings. The server has decided that its keys and its
/// columns without a default will do.
fn sync(conn: &Connection, table: &TableDescription, name: &str) -> Result<()> {
    let flags = init::ALLOW_INTEGER_KEY | init::ALLOW_NOT_NULL;
    init::init(conn, name, &table.algorithm, flags)?;
    let synced = system::require_table(conn, name)?;
    if synced.server_table.is_none() && synced.name != table.name {
        mapping::set(conn, &synced.name, Some(&table.place.to_wire()))?;
    }
    let on_table = table.settings.iter().map(|setting| ("*", setting));
    let on_columns = table
        .columns
        .iter()
        .flat_map(|column| column.settings.iter().map(move |setting| (column.name.as_str(), setting)));
    for (column, (key, value)) in on_table.chain(on_columns) {
        if system::table_setting(conn, &synced.name, column, key)?.as_ref() != Some(value) {
            functions::set_setting(conn, &synced.name, column, key, &SqlValue::Text(value.clone()))?;
        }
    }
    Ok(())
}

fn create_table(table: &TableDescription, name: &str) -> String {
    let mut lines: Vec<String> =
        table.columns.iter().map(|column| define(column, table.key.contains(&column.name))).collect();
    lines.push(format!("PRIMARY KEY ({})", quote::list(table.key.iter().map(String::as_str))));
    format!("CREATE TABLE {} (\n    {}\n)", quote::main(name), lines.join(",\n    "))
}

fn define(column: &ColumnDescription, is_key: bool) -> String {
    let mut sql = format!("{} {}", quote::ident(&column.name), column.declared);
    if column.not_null || is_key {
        sql.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default {
        sql.push_str(&format!(" DEFAULT {}", default.sql));
    }
    sql
}

/// Why a table that is here is not the server's.
fn differences_of(info: &TableInfo, table: &TableDescription) -> Vec<String> {
    let same = |here: &str, there: &str| here.eq_ignore_ascii_case(there);
    let mut found = Vec::new();
    let here: Vec<&str> = info.key.iter().map(|column| column.name.as_str()).collect();
    if here.len() != table.key.len() || !here.iter().zip(&table.key).all(|(here, there)| same(here, there)) {
        let (here, there) = (here.join(", "), table.key.join(", "));
        found.push(format!("table {} has the key ({here}), and on the server ({there})", info.name));
    }
    for column in info.stored_columns() {
        if !table.columns.iter().any(|there| same(&column.name, &there.name)) {
            found.push(format!(
                "table {} has a column {} that the server does not have, or not for this user: drop it, or \
                 add it there",
                info.name, column.name
            ));
        }
    }
    found
}

/// Adds the columns that only the server has. One whose default SQLite does not add afterwards may be NULL.
fn add_missing(conn: &Connection, info: &TableInfo, table: &TableDescription) -> Result<()> {
    for column in &table.columns {
        let is_here = |here: &catalog::ColumnInfo| here.name.eq_ignore_ascii_case(&column.name);
        if info.key.iter().chain(&info.columns).any(is_here) {
            continue;
        }
        let default = column.default.clone().filter(|default| default.is_constant);
        let not_null = column.not_null && default.is_some();
        let added = ColumnDescription { default, not_null, ..column.clone() };
        let definition = define(&added, false);
        conn.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {definition}", quote::main(&info.name)))?;
    }
    Ok(())
}
