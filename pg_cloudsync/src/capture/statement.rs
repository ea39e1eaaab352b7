//! The text of the capture statements.

use pgrx::{Spi, pg_sys};

use crate::capture::delta::{self, TrackedColumn};
use crate::capture::{NEW_ROWS, OLD_ROWS};
use crate::catalog::{self, DataColumn, SyncedTable};
use crate::error::{PgError, Result};
use crate::ffi::trigger::Event;
use crate::quote;

/// How many columns one call of `row_delta` compares: a function takes at most 100 arguments.
const COLUMNS_PER_CALL: usize = 48;

const STAMP: &str = "(SELECT cloudsync.local_stamp(h.version) FROM cloudsync.highest h)";
const INSERTED: &str =
    "(SELECT cloudsync.insert_delta(cloudsync.local_stamp(h.version)) FROM cloudsync.highest h)";
const DELETED: &str =
    "(SELECT cloudsync.delete_delta(cloudsync.local_stamp(h.version)) FROM cloudsync.highest h)";

/// The statement that captures one kind of write on `relation`, the table itself or a partition.
///
/// # Errors
/// The catalog cannot be read.
pub fn capture(table: &SyncedTable, relation: pg_sys::Oid, event: Event) -> Result<String> {
    let touched = match event {
        Event::Insert => merge(table, &inserted(table)),
        Event::Update => merge(table, &updated(table)?),
        Event::Delete => merge(table, &deleted(table)),
        Event::Truncate => truncated(table, relation)?,
    };
    Ok(format!(
        "WITH touched AS ({touched} RETURNING c.row_id) \
         INSERT INTO cloudsync.log (xid, table_id, site, rows) \
         SELECT pg_catalog.pg_current_xact_id(), {}, 0, \
             cloudsync.pack_rows(pg_catalog.array_agg(touched.row_id)) \
         FROM touched HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0",
        table.id
    ))
}

/// Merges deltas into clocks. A row that is dead by its clock comes alive only if it is really
/// there: the same statement, or a trigger in it, may have written the row several times, and these
/// statements are not captured in the order in which they happened.
fn merge(table: &SyncedTable, deltas: &str) -> String {
    let keys = key_list(table);
    format!(
        "INSERT INTO {clock} AS c ({keys}, clock) {deltas} \
         ON CONFLICT ({keys}) DO UPDATE SET clock = cloudsync.clock_touch(c.clock, excluded.clock) \
         WHERE cloudsync.clock_is_alive(c.clock) OR {exists} IS NOT NULL",
        clock = table.clock,
        exists = lookup(table, |at| format!("excluded.{}", SyncedTable::clock_key(at))),
    )
}

fn inserted(table: &SyncedTable) -> String {
    format!("SELECT {}, {INSERTED} FROM {NEW_ROWS} n", columns_of("n", table))
}

fn deleted(table: &SyncedTable) -> String {
    let gone = lookup(table, |at| column_of("o", table, at));
    format!("SELECT {}, {DELETED} FROM {OLD_ROWS} o WHERE {gone} IS NULL", columns_of("o", table))
}

/// Old and new rows paired by key: a key that is only among the old ones was deleted, one that is
/// only among the new ones inserted, of the others the columns with another image were updated.
fn updated(table: &SyncedTable) -> Result<String> {
    let key = |row: &'static str| move |at| format!("{row}.{}", SyncedTable::clock_key(at));
    let join = equal(table, key("o"), key("n"));
    let keys: Vec<String> = (0..table.key.len())
        .map(|at| format!("COALESCE(n.{0}, o.{0}) AS {0}", SyncedTable::clock_key(at)))
        .collect();
    Ok(format!(
        "SELECT {keys}, d.delta FROM (\
             SELECT {select}, CASE WHEN o.here IS NULL THEN {INSERTED} WHEN n.here IS NULL THEN {DELETED} \
                 ELSE {changed} END AS delta \
             FROM ({old}) o FULL JOIN ({new}) n ON {join}\
         ) d WHERE d.delta IS NOT NULL",
        keys = key_list_of("d", table),
        select = keys.join(", "),
        changed = changed_columns(table)?,
        old = renamed(table, OLD_ROWS),
        new = renamed(table, NEW_ROWS),
    ))
}

/// The rows of a transition table under names that no user's column can collide with.
fn renamed(table: &SyncedTable, rows: &str) -> String {
    let mut list = vec!["true AS here".to_owned()];
    let keys = table.key.iter().enumerate();
    list.extend(
        keys.map(|(at, key)| format!("r.{} AS {}", quote::ident(&key.name), SyncedTable::clock_key(at))),
    );
    let columns = table.columns.iter();
    list.extend(columns.map(|column| format!("r.{} AS c{}", quote::ident(&column.name), column.attnum)));
    format!("SELECT {} FROM {rows} r", list.join(", "))
}

fn truncated(table: &SyncedTable, relation: pg_sys::Oid) -> Result<String> {
    let (from, within) = if relation == table.relation {
        (String::new(), String::new())
    } else {
        let within =
            equal(table, |at| column_of("b", table, at), |at| format!("c.{}", SyncedTable::clock_key(at)));
        (format!(" FROM {} b", relation_name(relation)?), format!(" AND {within}"))
    };
    Ok(format!(
        "UPDATE {clock} c SET clock = cloudsync.clock_touch(c.clock, {DELETED}){from} \
         WHERE cloudsync.clock_is_alive(c.clock){within}",
        clock = table.clock,
    ))
}

/// A call that answers the delta of a row's changed columns, NULL if none changed.
fn changed_columns(table: &SyncedTable) -> Result<String> {
    let layouts = catalog::layouts(table.relation)?;
    let mut columns = Vec::new();
    for column in &table.columns {
        let Some((_, length, by_value)) = layouts.iter().find(|(attnum, ..)| *attnum == column.attnum) else {
            continue;
        };
        columns.push((column, *length, *by_value));
    }
    let call = |chunk: &[(&DataColumn, i16, bool)]| {
        let tracked: Vec<TrackedColumn> = chunk
            .iter()
            .map(|(column, length, by_value)| TrackedColumn {
                id: cloudsync_shared::id::ColumnId(column.attnum as u16),
                length: *length,
                by_value: *by_value,
            })
            .collect();
        let pairs: Vec<String> =
            chunk.iter().map(|(column, ..)| format!("o.c{0}, n.c{0}", column.attnum)).collect();
        let list = hex(&delta::write_columns(&tracked));
        format!("cloudsync.row_delta({list}, {STAMP}, {})", pairs.join(", "))
    };
    let calls = columns.chunks(COLUMNS_PER_CALL).map(call);
    Ok(calls
        .reduce(|joined, next| format!("cloudsync.join_deltas({joined}, {next})"))
        .unwrap_or_else(|| "NULL::pg_catalog.bytea".to_owned()))
}

/// A subquery that answers true if the row with this key is in the table, NULL if not. As a scalar
/// subquery it is always an index lookup for each row; as a join, a plan made for a statement of many
/// rows would read the whole table for one of one row.
fn lookup(table: &SyncedTable, key: impl Fn(usize) -> String) -> String {
    let same = equal(table, |at| column_of("b", table, at), key);
    format!("(SELECT true FROM {} b WHERE {same} LIMIT 1)", table.qualified)
}

fn equal(table: &SyncedTable, left: impl Fn(usize) -> String, right: impl Fn(usize) -> String) -> String {
    let pairs = table.key.iter().enumerate();
    let terms: Vec<String> =
        pairs.map(|(at, key)| format!("{} {} {}", left(at), key.equal, right(at))).collect();
    terms.join(" AND ")
}

fn column_of(row: &str, table: &SyncedTable, at: usize) -> String {
    let name = table.key.get(at).map(|key| key.name.as_str()).unwrap_or_default();
    format!("{row}.{}", quote::ident(name))
}

fn columns_of(row: &str, table: &SyncedTable) -> String {
    let names: Vec<String> = (0..table.key.len()).map(|at| column_of(row, table, at)).collect();
    names.join(", ")
}

/// The key columns of the clock table.
pub fn key_list(table: &SyncedTable) -> String {
    let names: Vec<String> = (0..table.key.len()).map(SyncedTable::clock_key).collect();
    names.join(", ")
}

fn key_list_of(row: &str, table: &SyncedTable) -> String {
    let names: Vec<String> =
        (0..table.key.len()).map(|at| format!("{row}.{}", SyncedTable::clock_key(at))).collect();
    names.join(", ")
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{digits}'::pg_catalog.bytea")
}

fn relation_name(relation: pg_sys::Oid) -> Result<String> {
    let sql = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    let name = Spi::connect(|client| client.select(sql, Some(1), &[relation.into()])?.first().get_one())?;
    name.ok_or_else(|| PgError::internal("cloudsync: a table vanished while its trigger ran"))
}
