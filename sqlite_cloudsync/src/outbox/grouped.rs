//! Groups of rows in the outbox: a parcel has all of a group or nothing.

use std::collections::HashSet;

use cloudsync_shared::change::{RowChange, TableChanges};
use cloudsync_shared::id::RowId;
use cloudsync_shared::key::Key;
use cloudsync_shared::message::RowResult;
use rusqlite::{Connection, OptionalExtension};

use super::{Parcel, Receipt, Room, change_bytes, unchanged_since};
use crate::error::{Error, Result};
use crate::groups::{Group, Walk};
use crate::sending::RowReader;
use crate::table::Table;

/// The most rows of a group: a server takes up to 131,072 rows at once.
const MAX_GROUP_ROWS: usize = 100_000;
/// The most bytes of a group, roughly: a message has up to 64 MiB.
const MAX_GROUP_BYTES: usize = 48 << 20;

/// One table's part of a parcel.
struct Part<'a> {
    table: &'a Table,
    reader: RowReader<'a>,
    changes: TableChanges,
    receipts: Vec<Receipt>,
    groups: Vec<u32>,
}

/// A row to be sent: which part it belongs to, and what is told of it.
type Taken = (usize, RowChange, Receipt);

/// Takes groups as long as they fit. Answers whether the walk is at its end.
///
/// # Errors
/// A group is too large to be sent, or the database failed.
pub(super) fn take(
    conn: &Connection,
    tables: &[Table],
    walk: &mut Walk,
    room: &mut Room,
    parcel: &mut Parcel,
) -> Result<bool> {
    let mut parts = tables.iter().map(|table| Part::new(conn, table)).collect::<Result<Vec<_>>>()?;
    let is_empty = parcel.changes.tables.is_empty();
    let (mut number, mut at_end) = (0u32, false);
    while !room.is_full() {
        let Some(group) = walk.next(conn)? else {
            at_end = true;
            break;
        };
        let Some(rows) = read(conn, &mut parts, &group)?.filter(|rows| !rows.is_empty()) else {
            walk.pass(&group);
            continue;
        };
        let bytes: usize = rows.iter().map(|(_, change, _)| change_bytes(change)).sum();
        check_size(&rows, bytes)?;
        if (rows.len() > room.rows || bytes > room.bytes) && !(is_empty && number == 0) {
            room.rows = 0;
            break;
        }
        number += 1;
        for (part, change, receipt) in rows {
            room.fill(&change);
            if let Some(part) = parts.get_mut(part) {
                part.changes.rows.push(change);
                part.receipts.push(receipt);
                part.groups.push(number);
            }
        }
        walk.pass(&group);
    }
    add(parcel, parts);
    Ok(at_end)
}

impl<'a> Part<'a> {
    fn new(conn: &'a Connection, table: &'a Table) -> Result<Part<'a>> {
        let changes = TableChanges {
            table: table.schema.name.clone(),
            algorithm: Some(table.synced.algorithm),
            columns: table.schema.columns.iter().map(|column| column.name.clone()).collect(),
            rows: Vec::new(),
        };
        let reader = RowReader::new(conn, table)?;
        Ok(Part { table, reader, changes, receipts: Vec::new(), groups: Vec::new() })
    }
}

/// Puts the parts into the parcel. The rows that it has already have no group.
fn add(parcel: &mut Parcel, parts: Vec<Part<'_>>) {
    for part in parts.into_iter().filter(|part| !part.changes.rows.is_empty()) {
        let without = parcel.changes.tables.iter().skip(parcel.groups.len());
        let without: Vec<Vec<u32>> = without.map(|table| vec![0; table.rows.len()]).collect();
        parcel.groups.extend(without);
        parcel.groups.push(part.groups);
        parcel.changes.tables.push(part.changes);
        parcel.receipts.push((part.table.clone(), part.receipts));
    }
}

/// The unsent rows of a group; `None` if part of it cannot be sent now, because capture is turned off for
/// its table.
fn read(conn: &Connection, parts: &mut [Part<'_>], group: &Group) -> Result<Option<Vec<Taken>>> {
    let mut taken = Vec::with_capacity(group.rows.len());
    for (table_id, key) in &group.rows {
        let Some(at) = parts.iter().position(|part| part.table.synced.id == *table_id) else {
            return Ok(None);
        };
        let Some(part) = parts.get_mut(at) else { continue };
        let sql = format!(
            "SELECT clock, row_id, unsent FROM {} WHERE key = ?1 AND unsent IS NOT NULL",
            part.table.clocks()
        );
        let found: Option<(Vec<u8>, Option<i64>, i64)> = conn
            .prepare_cached(&sql)?
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((clock, row_id, unsent)) = found else { continue };
        let key = Key::from_bytes(key.clone())?;
        let Some(mut change) = part.reader.change(&key, &clock, unsent)? else {
            // The others of the group wait for a row that has to stay here.
            if part.reader.has_unsendable() {
                return Ok(None);
            }
            continue;
        };
        change.row_id = row_id.map(|id| RowId(id.unsigned_abs()));
        taken.push((at, change, Receipt { key, clock: Some(clock) }));
    }
    Ok(Some(taken))
}

fn check_size(rows: &[Taken], bytes: usize) -> Result<()> {
    if rows.len() <= MAX_GROUP_ROWS && bytes <= MAX_GROUP_BYTES {
        return Ok(());
    }
    Err(Error::state(format!(
        "transactions that have to be sent together wrote {} rows ({bytes} bytes), more than {MAX_GROUP_ROWS} rows \
         or {MAX_GROUP_BYTES} bytes: SELECT cloudsync_set_table('your_table', 'atomic', '0') lets them be sent \
         row by row",
        rows.len()
    )))
}

/// The groups that stay as they are although rows of them were refused: the server lacks a table of theirs,
/// or one of their rows has been written again since it was taken, so that rolling back the others would
/// leave a part of the group. They are sent again by the next sync, with what has joined them.
///
/// # Errors
/// The database failed.
pub(super) fn held_back(
    conn: &Connection,
    parcel: &Parcel,
    results: &[Vec<RowResult>],
) -> Result<HashSet<u32>> {
    let mut held = HashSet::new();
    if parcel.groups.is_empty() {
        return Ok(held);
    }
    for (at, ((table, receipts), results)) in parcel.receipts.iter().zip(results).enumerate() {
        for (row, (receipt, result)) in receipts.iter().zip(results).enumerate() {
            let group = parcel.group(at, row);
            if group == 0 || held.contains(&group) {
                continue;
            }
            if *result == RowResult::UnknownTable || !unchanged_since(conn, table, receipt)? {
                held.insert(group);
            }
        }
    }
    Ok(held)
}
