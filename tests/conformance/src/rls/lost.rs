//! No local write is lost in silence: after a sync each is on the server, or overtaken by a later write,
//! or among the rejections.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::rls::canary::Canaries;
use crate::rls::content::{COLUMNS, Content, cell};

/// Which rows the server ever had, and which of them were ever deleted.
#[derive(Debug, Default)]
pub struct History {
    now: BTreeSet<(String, String)>,
    deleted: BTreeSet<(String, String)>,
}

impl History {
    /// Takes note of what the server holds.
    pub fn observe(&mut self, content: &Content) {
        let keys = |(table, rows): (&String, &crate::rls::content::Rows)| {
            rows.keys().map(|key| (table.clone(), key.clone())).collect::<Vec<_>>()
        };
        let now: BTreeSet<(String, String)> = content.iter().flat_map(keys).collect();
        self.deleted.extend(self.now.difference(&now).cloned());
        self.now = now;
    }

    /// Takes note of keys whose row the server knows to have been deleted, inserted again or not: of what
    /// came and went in one sync nothing else is seen.
    pub fn observe_dead(&mut self, table: &str, keys: impl Iterator<Item = String>) {
        self.deleted.extend(keys.map(|key| (table.to_owned(), key)));
    }

    fn was_deleted(&self, table: &str, key: &str) -> bool {
        self.deleted.contains(&(table.to_owned(), key.to_owned()))
    }
}

/// A refused write as the application finds it.
pub struct Rejection {
    table: String,
    operation: String,
    columns: String,
}

/// The rejections of a device.
///
/// # Panics
/// They cannot be read.
pub fn rejections(conn: &Connection) -> Vec<Rejection> {
    let mut statement = conn
        .prepare("SELECT tbl, operation, columns FROM cloudsync_rejections")
        .expect("cloudsync_rejections");
    let rows = statement.query_map([], |row| {
        Ok(Rejection { table: row.get(0)?, operation: row.get(1)?, columns: row.get(2)? })
    });
    rows.expect("cloudsync_rejections").map(|row| row.expect("a rejection")).collect()
}

/// What a device wrote, and what has become of it.
pub struct Fate<'a> {
    /// What it held after its last sync.
    pub base: &'a Content,
    /// What it held before this one.
    pub local: &'a Content,
    /// What the server holds now, all of it.
    pub server: &'a Content,
    /// The server's past.
    pub history: &'a History,
    /// The refused writes.
    pub rejections: &'a [Rejection],
}

impl Fate<'_> {
    /// The local writes that are nowhere, a line each.
    pub fn lost(&self) -> Vec<String> {
        let mut lost = Vec::new();
        for (table, rows) in self.local {
            for (key, row) in rows {
                let old = self.base.get(table).and_then(|rows| rows.get(key));
                for column in ["a", "b", "n"] {
                    let value = cell(row, column);
                    if old.map(|old| cell(old, column)) == Some(value) {
                        continue;
                    }
                    if let Some(value) =
                        value.filter(|value| !self.is_accounted_for(table, key, column, value))
                    {
                        lost.push(format!(
                            "{table} {key}: {column} = {value} is neither on the server nor rejected"
                        ));
                    }
                }
            }
        }
        lost.extend(self.lost_deletes());
        lost
    }

    fn is_accounted_for(&self, table: &str, key: &str, column: &str, value: &str) -> bool {
        let rejected = |rejection: &Rejection| {
            rejection.table == table && rejection.columns.contains(key) && rejection.columns.contains(value)
        };
        if self.rejections.iter().any(rejected) || self.history.was_deleted(table, key) {
            return true;
        }
        debug_assert!(COLUMNS.contains(&column));
        let row = self.server.get(table).and_then(|rows| rows.get(key));
        // A later write of that cell is one whose canary was made later.
        row.and_then(|row| cell(row, column))
            .is_some_and(|found| found == value || Canaries::order(found) > Canaries::order(value))
    }

    fn lost_deletes(&self) -> Vec<String> {
        let mut lost = Vec::new();
        for (table, rows) in self.base {
            for key in rows.keys() {
                let stands =
                    |content: &Content| content.get(table).is_some_and(|rows| rows.contains_key(key));
                let rejected = |rejection: &Rejection| {
                    rejection.table == *table
                        && rejection.operation == "delete"
                        && rejection.columns.contains(key.as_str())
                };
                if !stands(self.local)
                    && stands(self.server)
                    && !self.history.was_deleted(table, key)
                    && !self.rejections.iter().any(rejected)
                {
                    lost.push(format!("{table} {key}: the delete is neither on the server nor rejected"));
                }
            }
        }
        lost
    }
}
