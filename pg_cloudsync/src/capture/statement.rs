//! The text of the capture statements.

use pgrx::pg_sys;

use crate::capture::delta::{self, TrackedColumn};
use crate::capture::plan::Mode;
use crate::capture::{NEW_ROWS, OLD_ROWS};
use crate::catalog::{self, DataColumn, SyncedTable};
use crate::error::Result;
use crate::ffi::trigger::Event;
use crate::quote;

/// How many columns one call of `row_delta` compares: a function takes at most 100 arguments.
const COLUMNS_PER_CALL: usize = 48;

const STAMP: &str = "(SELECT cloudsync.local_stamp(h.version) FROM cloudsync.highest h)";
const INSERTED: &str =
    "(SELECT cloudsync.insert_delta(cloudsync.local_stamp(h.version)) FROM cloudsync.highest h)";

/// The delta of a delete.
fn deletion(table: &SyncedTable) -> String {
    format!(
        "(SELECT cloudsync.delete_delta(cloudsync.local_stamp(h.version), {}) FROM cloudsync.highest h)",
        table.algorithm.number()
    )
}

/// The statement that captures one kind of write on `relation`, the table itself or a partition.
///
/// # Errors
/// The catalog cannot be read.
pub fn capture(table: &SyncedTable, relation: pg_sys::Oid, event: Event, mode: Mode) -> Result<String> {
    let touched = match event {
        Event::Insert if mode == Mode::Fresh => format!("WITH t AS ({})", insert(table, &inserted(table))),
        Event::Insert => format!("WITH t AS ({})", merge(table, &inserted(table))),
        Event::Update => change(table, &updated(table)?),
        Event::Delete => change(table, &deleted(table, mode)),
        Event::Truncate => format!("WITH t AS ({})", truncated(table, relation)),
    };
    Ok(format!(
        "{touched} INSERT INTO cloudsync.log (xid, table_id, site, rows) \
         SELECT pg_catalog.pg_current_xact_id(), {}, 0, cloudsync.pack_rows(pg_catalog.array_agg(t.row_id)) \
         FROM t HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0",
        table.id
    ))
}

/// Moves the clocks of rows that have one, and makes those of rows that have none, which is rare: a
/// key that an UPDATE set, a row that was written while capture was off.
fn change(table: &SyncedTable, deltas: &str) -> String {
    let clock_key = |row: &'static str| move |at| format!("{row}.{}", SyncedTable::clock_key(at));
    let same = equal(table, clock_key("c"), clock_key("d"));
    let missing = format!(
        "SELECT {}, d.delta FROM d \
         WHERE (SELECT pg_catalog.count(*) FROM u) OPERATOR(pg_catalog.<) (SELECT pg_catalog.count(*) FROM d) \
         AND (SELECT true FROM {} c WHERE {same} LIMIT 1) IS NULL",
        key_list_of("d", table),
        table.clock,
    );
    format!(
        "WITH d AS MATERIALIZED ({deltas}), \
         u AS (UPDATE {clock} c SET clock = cloudsync.clock_touch(c.clock, d.delta, {algorithm}) FROM d \
             WHERE {same} AND (cloudsync.clock_is_alive(c.clock) OR {exists}) RETURNING c.row_id), \
         i AS ({inserted}), \
         t AS (SELECT u.row_id FROM u UNION ALL SELECT i.row_id FROM i)",
        algorithm = table.algorithm.number(),
        clock = table.clock,
        exists = exists(table, table.relation, clock_key("c")),
        inserted = merge(table, &missing),
    )
}

/// Merges deltas into clocks. A row that is dead by its clock comes alive only if it is really
/// there: the same statement, or a trigger in it, may have written the row several times, and these
/// statements are not captured in the order in which they happened.
fn merge(table: &SyncedTable, deltas: &str) -> String {
    let keys = key_list(table);
    format!(
        "INSERT INTO {clock} AS c ({keys}, clock) {deltas} \
         ON CONFLICT ({keys}) DO UPDATE SET clock = cloudsync.clock_touch(c.clock, excluded.clock, {algorithm}) \
         WHERE cloudsync.clock_is_alive(c.clock) OR {exists} RETURNING c.row_id",
        algorithm = table.algorithm.number(),
        clock = table.clock,
        exists = exists(table, table.relation, |at| format!("excluded.{}", SyncedTable::clock_key(at))),
    )
}

/// Makes clocks of rows that have none.
fn insert(table: &SyncedTable, deltas: &str) -> String {
    format!("INSERT INTO {} AS c ({}, clock) {deltas} RETURNING c.row_id", table.clock, key_list(table))
}

/// In key order, so that the index of the clock table is walked and not jumped about in.
fn inserted(table: &SyncedTable) -> String {
    let keys = columns_of("n", table);
    format!("SELECT {keys}, {INSERTED} FROM {NEW_ROWS} n ORDER BY {keys}")
}

fn deleted(table: &SyncedTable, mode: Mode) -> String {
    let gone = if mode == Mode::Again {
        let exists = exists(table, table.relation, |at| column_of("o", table, at));
        format!(" WHERE NOT {exists}")
    } else {
        String::new()
    };
    let keys: Vec<String> = (0..table.key.len())
        .map(|at| format!("{} AS {}", column_of("o", table, at), SyncedTable::clock_key(at)))
        .collect();
    let order = columns_of("o", table);
    format!(
        "SELECT {}, {} AS delta FROM {OLD_ROWS} o{gone} ORDER BY {order}",
        keys.join(", "),
        deletion(table)
    )
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
             SELECT {select}, CASE WHEN o.here IS NULL THEN {INSERTED} WHEN n.here IS NULL THEN {deleted} \
                 ELSE {changed} END AS delta \
             FROM ({old}) o FULL JOIN ({new}) n ON {join}\
         ) d WHERE d.delta IS NOT NULL",
        keys = key_list_of("d", table),
        select = keys.join(", "),
        deleted = deletion(table),
        changed = changed_columns(table)?,
        old = renamed(table, OLD_ROWS),
        new = renamed(table, NEW_ROWS),
    ))
}

/// The rows of a transition table under names that no user's column can collide with.
pub(super) fn renamed(table: &SyncedTable, rows: &str) -> String {
    let mut list = vec!["true AS here".to_owned()];
    let keys = table.key.iter().enumerate();
    list.extend(
        keys.map(|(at, key)| format!("r.{} AS {}", quote::ident(&key.name), SyncedTable::clock_key(at))),
    );
    let columns = table.columns.iter();
    list.extend(columns.map(|column| format!("r.{} AS c{}", quote::ident(&column.name), column.attnum)));
    format!("SELECT {} FROM {rows} r", list.join(", "))
}

fn truncated(table: &SyncedTable, relation: pg_sys::Oid) -> String {
    let within = if relation == table.relation {
        String::new()
    } else {
        let key = |at| format!("c.{}", SyncedTable::clock_key(at));
        format!(" AND {}", exists(table, relation, key))
    };
    format!(
        "UPDATE {clock} c SET clock = cloudsync.clock_touch(c.clock, {deleted}, {algorithm}) \
         WHERE cloudsync.clock_is_alive(c.clock){within} RETURNING c.row_id",
        deleted = deletion(table),
        algorithm = table.algorithm.number(),
        clock = table.clock,
    )
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

/// A call that answers whether the row with this key is in the table.
fn exists(table: &SyncedTable, relation: pg_sys::Oid, key: impl Fn(usize) -> String) -> String {
    let keys: Vec<String> = (0..table.key.len()).map(key).collect();
    format!("cloudsync.row_exists({}, {}::pg_catalog.oid, {})", table.id, relation.to_u32(), keys.join(", "))
}

/// Keys compared as the primary key's index compares them.
pub(super) fn equal(
    table: &SyncedTable,
    left: impl Fn(usize) -> String,
    right: impl Fn(usize) -> String,
) -> String {
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
