//! What the server's tables are called on this device.

use rusqlite::Connection;

use super::description::TableDescription;
use crate::error::{Error, Result};
use crate::system::{self, SyncedTable};
use crate::{catalog, quote};

/// A name for each of the server's tables, in order: that of the table that is it already, or else one that
/// no other table has. A table has its plain name where the server syncs it under that; one whose name
/// another schema's table had first is `schema_table`, or if that is taken, `"schema.table"`.
///
/// # Errors
/// All these names of a table are taken, or the database cannot be read.
pub fn choose(conn: &Connection, tables: &[TableDescription]) -> Result<Vec<String>> {
    let synced = system::tables(conn)?;
    let mut names = known(&synced, tables);
    for (at, table) in tables.iter().enumerate() {
        if !is_open(&names, at) {
            continue;
        }
        let mut free = None;
        for (name, may_be_there) in candidates(table) {
            let is_given = names.iter().flatten().any(|given| given.eq_ignore_ascii_case(&name));
            let is_synced = synced.iter().any(|here| here.name.eq_ignore_ascii_case(&name));
            if !is_given && !is_synced && (may_be_there || catalog::describe(conn, &name)?.is_none()) {
                free = Some(name);
                break;
            }
        }
        let free = free.ok_or_else(|| taken(table))?;
        if let Some(name) = names.get_mut(at) {
            *name = Some(free);
        }
    }
    Ok(names.into_iter().flatten().collect())
}

/// Whether the table at this place has no name yet.
fn is_open(names: &[Option<String>], at: usize) -> bool {
    names.get(at).is_some_and(Option::is_none)
}

/// The tables here that are the server's already: mapped to them, or else not mapped and of their names, to the
/// letter or else but for case.
fn known(synced: &[SyncedTable], tables: &[TableDescription]) -> Vec<Option<String>> {
    type Is = fn(&SyncedTable, &TableDescription) -> bool;
    let ways: [Is; 3] = [
        |here, table| here.server_table.as_ref() == Some(&table.place),
        |here, table| here.server_table.is_none() && here.name == table.name,
        |here, table| here.server_table.is_none() && here.name.eq_ignore_ascii_case(&table.name),
    ];
    let mut names: Vec<Option<String>> = vec![None; tables.len()];
    for is_this in ways {
        for (at, table) in tables.iter().enumerate() {
            if !is_open(&names, at) {
                continue;
            }
            let is_free = |here: &&SyncedTable| !names.iter().flatten().any(|given| *given == here.name);
            let found = synced.iter().filter(is_free).find(|here| is_this(here, table));
            let found = found.map(|here| here.name.clone());
            if let Some(name) = names.get_mut(at) {
                *name = found;
            }
        }
    }
    names
}

/// Names in the order in which they are tried, and whether a table that stands there unsynced is meant.
fn candidates(table: &TableDescription) -> Vec<(String, bool)> {
    let (schema, name) = (&table.place.schema, &table.place.table);
    let mut candidates = Vec::new();
    if table.name == *name {
        candidates.push((name.clone(), true));
    }
    candidates.push((format!("{schema}_{name}"), false));
    candidates.push((format!("{schema}.{name}"), false));
    candidates
}

fn taken(table: &TableDescription) -> Error {
    let names: Vec<String> = candidates(table).iter().map(|(name, _)| quote::ident(name)).collect();
    Error::state(format!(
        "the server's table {} has no free name here, {} are taken: make it under another name, and map that by \
         cloudsync_set_schema",
        table.place.to_wire(),
        names.join(", ")
    ))
}
