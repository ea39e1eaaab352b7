//! Rows that the server is to take or refuse together: unsent ones of tables with the setting `atomic`.
//!
//! Which transactions wrote which unsent row is kept in `cloudsync_groups`. A row has one clock, so two
//! transactions that wrote the same row cannot be told apart any more: they are one group, and so is
//! everything that is linked this way.

use std::collections::HashSet;

use cloudsync_shared::key::Key;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, params};

use crate::error::{Error, Result};
use crate::savepoint::in_savepoint;
use crate::table::{Table, journal_table};
use crate::{catalog, fold, system, trigger};

/// The table setting: 1 keeps the rows of a transaction together, 0 or NULL does not.
pub const SETTING: &str = "atomic";

/// Turns the setting on or off. What is unsent and was written before it was on has no group; when it is
/// turned off, groups lose their rows of this table.
///
/// # Errors
/// The value is none of the setting's, or the table is not synced.
pub fn set_atomic(conn: &Connection, name: &str, value: &SqlValue) -> Result<()> {
    let known = match value {
        SqlValue::Null | SqlValue::Integer(0 | 1) => true,
        SqlValue::Text(text) => text == "0" || text == "1",
        _ => false,
    };
    if !known {
        return Err(Error::state("the table setting 'atomic' is 1 or 0"));
    }
    in_savepoint(conn, || {
        // The journal is read as it was written: with transactions or without.
        fold::fold(conn)?;
        system::set_table_setting(conn, name, "*", SETTING, value)?;
        let table = Table::require(conn, name)?;
        prepare(conn, &table)?;
        if !table.synced.atomic {
            conn.execute("DELETE FROM main.cloudsync_groups WHERE table_id = ?1", [table.synced.id])?;
        }
        trigger::rebuild(conn, &table)?;
        system::remember_schema(conn)
    })
}

/// Gives an atomic table's journal the column for the transaction.
///
/// # Errors
/// The database cannot be written.
pub fn prepare(conn: &Connection, table: &Table) -> Result<()> {
    if !table.synced.atomic || catalog::has_column(conn, &journal_table(&table.synced.name), "txn")? {
        return Ok(());
    }
    Ok(conn.execute_batch(&format!("ALTER TABLE {} ADD COLUMN txn", table.journal()))?)
}

/// Notes that a transaction wrote a row.
///
/// # Errors
/// The database cannot be written.
pub fn join(conn: &Connection, table: &Table, key: &Key, transaction: i64) -> Result<()> {
    let sql =
        "INSERT INTO main.cloudsync_groups(table_id, key, txn) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![table.synced.id, key.0, transaction])?;
    Ok(())
}

/// Forgets who wrote a row: it is not unsent any more.
///
/// # Errors
/// The database cannot be written.
pub fn leave(conn: &Connection, table: &Table, key: &Key) -> Result<()> {
    conn.prepare_cached("DELETE FROM main.cloudsync_groups WHERE table_id = ?1 AND key = ?2")?
        .execute(params![table.synced.id, key.0])?;
    Ok(())
}

/// Whether any row of a table has a group.
///
/// # Errors
/// The database cannot be read.
pub fn any(conn: &Connection, table: &Table) -> Result<bool> {
    let sql = "SELECT 1 FROM main.cloudsync_groups WHERE table_id = ?1";
    Ok(conn.prepare_cached(sql)?.exists([table.synced.id])?)
}

/// A walk over the groups, those of older transactions first. A group that a transaction joins after it
/// was seen is seen again.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    after: i64,
    seen: HashSet<i64>,
}

/// The rows of one group.
#[derive(Debug, Default)]
pub struct Group {
    /// The transactions that wrote them.
    transactions: HashSet<i64>,
    /// Number of the table, and key.
    pub rows: Vec<(i64, Vec<u8>)>,
}

impl Walk {
    /// The next group, which stays the next one until it is [passed](Walk::pass).
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn next(&mut self, conn: &Connection) -> Result<Option<Group>> {
        loop {
            let sql = "SELECT min(txn) FROM main.cloudsync_groups WHERE txn > ?1";
            let next: Option<i64> = conn.prepare_cached(sql)?.query_row([self.after], |row| row.get(0))?;
            match next {
                None => return Ok(None),
                Some(transaction) if self.seen.contains(&transaction) => self.after = transaction,
                Some(transaction) => return Ok(Some(linked(conn, transaction)?)),
            }
        }
    }

    /// Goes on behind a group.
    pub fn pass(&mut self, group: &Group) {
        self.seen.extend(&group.transactions);
    }
}

/// Everything that hangs together with a transaction.
fn linked(conn: &Connection, transaction: i64) -> Result<Group> {
    let mut rows_of =
        conn.prepare_cached("SELECT table_id, key FROM main.cloudsync_groups WHERE txn = ?1")?;
    let mut writers_of =
        conn.prepare_cached("SELECT txn FROM main.cloudsync_groups WHERE table_id = ?1 AND key = ?2")?;
    let mut group = Group::default();
    let mut known: HashSet<(i64, Vec<u8>)> = HashSet::new();
    let mut open = vec![transaction];
    group.transactions.insert(transaction);
    while let Some(transaction) = open.pop() {
        let rows = rows_of.query_map([transaction], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in rows.collect::<rusqlite::Result<Vec<(i64, Vec<u8>)>>>()? {
            if !known.insert(row.clone()) {
                continue;
            }
            let writers = writers_of.query_map(params![row.0, row.1], |row| row.get(0))?;
            for writer in writers.collect::<rusqlite::Result<Vec<i64>>>()? {
                if group.transactions.insert(writer) {
                    open.push(writer);
                }
            }
            group.rows.push(row);
        }
    }
    Ok(group)
}
