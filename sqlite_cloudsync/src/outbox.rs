//! Local writes on their way to the server: what is unsent, and what became of it.
//!
//! A row is unsent from the version in its `unsent` column on. It is taken in the order of that
//! version, inserts and updates first with parents before children, then the groups of rows that must
//! stay together, then deletes with children before parents. Nothing is locked between taking and acknowledging: a row that was written again
//! in the meantime stays unsent.

mod grouped;

use cloudsync_shared::capture::base_clock;
use cloudsync_shared::change::{ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::id::RowId;
use cloudsync_shared::key::Key;
use cloudsync_shared::message::{Bases, PushReply, RowResult};
use rusqlite::{Connection, OptionalExtension, params};

use crate::apply;
use crate::bases;
use crate::conflicts;
use crate::error::{Error, Result};
use crate::fold;
use crate::groups;
use crate::horizon::{self, Collected};
use crate::inbox;
use crate::mapping;
use crate::rejections::{self, Rejection};
use crate::renewed::Renewed;
use crate::savepoint::in_savepoint;
use crate::sending::{BaseScan, RowReader, stored_length, value_bytes};
use crate::sent::{self, UNSENT_BULK};
use crate::standing;
use crate::store::{Origin, SqliteStore};
use crate::system;
use crate::table::Table;
use crate::texts::tell;
use crate::trigger::{OP_HINT, OP_HINT_PRIVATE};

/// The most rows in one request, whatever their size.
const MAX_ROWS: usize = 20_000;
/// The same in the last pass over refused rows. A server can tell the groups of a small request apart
/// however they depend on one another; of a large one it may have to refuse all.
const MAX_LAST_ROWS: usize = 1_000;

/// Which writes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Rows that are alive, parents first.
    Written,
    /// Rows that stand or fall together, group by group (see `grouped`).
    Grouped,
    /// Rows that are deleted, children first.
    Deleted,
}

/// The rows of a table are looked at in three walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    /// Rows that the index of unsent rows lists, in the order of their first unsent version.
    Indexed,
    /// Rows of bulk writes, which no index lists, in key order.
    Bulk,
    /// Rows that stood in the table before it was synced and have no clock, in key order.
    Base,
}

/// Where in the unsent rows a pass stands. A pass looks at every row once, so that a refused one
/// cannot hold up the rest.
#[derive(Clone, Debug)]
pub struct Pass {
    phase: Phase,
    /// How many tables of the phase are done.
    table: usize,
    walk: Walk,
    /// The last row looked at in this walk: its `unsent`, and its key.
    after: Option<(i64, Vec<u8>)>,
    /// The groups looked at.
    groups: groups::Walk,
    /// The most rows in one request.
    max_rows: usize,
    done: bool,
}

impl Default for Pass {
    fn default() -> Pass {
        Pass::of(Phase::Written, MAX_ROWS)
    }
}

impl Pass {
    /// A pass whose refusals are final.
    pub fn last() -> Pass {
        Pass::of(Phase::Written, MAX_LAST_ROWS)
    }

    fn of(phase: Phase, max_rows: usize) -> Pass {
        let groups = groups::Walk::default();
        Pass { phase, table: 0, walk: Walk::Indexed, after: None, groups, max_rows, done: false }
    }

    fn next_table(&mut self) {
        *self = Pass { table: self.table + 1, ..Pass::of(self.phase, self.max_rows) };
    }

    fn next_walk(&mut self) {
        self.after = None;
        match (self.walk, self.phase) {
            (Walk::Indexed, _) => self.walk = Walk::Bulk,
            (Walk::Bulk, Phase::Written) => self.walk = Walk::Base,
            (Walk::Bulk, _) | (Walk::Base, _) => self.next_table(),
        }
    }
}

/// A row as it was when it was taken.
struct Receipt {
    key: Key,
    /// The stored clock; `None` for a row that stood in the table before it was synced.
    clock: Option<Vec<u8>>,
}

/// One request's worth of unsent rows.
#[derive(Default)]
pub struct Parcel {
    /// What to send.
    pub changes: ChangeBatch,
    /// Which of the rows stand or fall together, as a push request tells it.
    pub groups: Vec<Vec<u32>>,
    /// What the cells replaced, as a push request tells it.
    pub bases: Vec<Bases>,
    /// About how many bytes that is, before compression.
    pub bytes: usize,
    /// For each table of `changes`, its name and one receipt a row.
    receipts: Vec<(Table, Vec<Receipt>)>,
}

impl Parcel {
    /// Tells of the tables that stand behind the groups that their rows have none.
    fn pad_groups(&mut self) {
        if !self.groups.is_empty() {
            let rest = self.changes.tables.iter().skip(self.groups.len());
            self.groups.extend(rest.map(|table| vec![0; table.rows.len()]).collect::<Vec<_>>());
        }
    }

    /// Reads what the cells replaced, of tables whose conflicts are listed.
    fn take_bases(&mut self, conn: &Connection) -> Result<()> {
        for (changes, (table, _)) in self.changes.tables.iter().zip(&self.receipts) {
            self.bases.push(bases::take(conn, table, changes)?);
        }
        if self.bases.iter().flatten().all(Option::is_none) {
            self.bases.clear();
        }
        Ok(())
    }

    /// A row and the table's part that it belongs to.
    fn row(&self, table: usize, row: usize) -> Option<(&TableChanges, &RowChange)> {
        let changes = self.changes.tables.get(table)?;
        Some((changes, changes.rows.get(row)?))
    }

    /// The group of a row, 0 if it has none.
    fn group(&self, table: usize, row: usize) -> u32 {
        self.groups.get(table).and_then(|groups| groups.get(row)).copied().unwrap_or_default()
    }
}

/// Takes the next unsent rows, about `max_bytes` of values; `None` when the pass has seen them all.
///
/// # Errors
/// The database is busy or failed.
pub fn take(conn: &Connection, pass: &mut Pass, max_bytes: usize) -> Result<Option<Parcel>> {
    if pass.done {
        return Ok(None);
    }
    in_savepoint(conn, || {
        system::lock(conn)?;
        fold::fold(conn)?;
        fill(conn, pass, max_bytes)
    })
}

fn fill(conn: &Connection, pass: &mut Pass, max_bytes: usize) -> Result<Option<Parcel>> {
    let mut tables = Table::all(conn)?;
    tables.retain(|table| table.synced.enabled);
    let mut parcel = Parcel::default();
    let mut room = Room { bytes: max_bytes, rows: pass.max_rows, taken: 0 };
    while !pass.done && !room.is_full() {
        let at = match pass.phase {
            Phase::Written => Some(pass.table),
            Phase::Grouped => match grouped::take(conn, &tables, &mut pass.groups, &mut room, &mut parcel)? {
                true => None,
                false => break,
            },
            Phase::Deleted => tables.len().checked_sub(pass.table + 1),
        };
        match (at.and_then(|at| tables.get(at)), pass.phase) {
            (Some(table), _) => take_table(conn, table, pass, &mut room, &mut parcel)?,
            (None, Phase::Written) => *pass = Pass::of(Phase::Grouped, pass.max_rows),
            (None, Phase::Grouped) => *pass = Pass::of(Phase::Deleted, pass.max_rows),
            (None, Phase::Deleted) => pass.done = true,
        }
    }
    parcel.bytes = room.taken;
    parcel.pad_groups();
    parcel.take_bases(conn)?;
    standing::is_tried(conn, parcel.changes.highest())?;
    Ok((parcel.changes.row_count() > 0).then_some(parcel))
}

/// What still fits into a parcel.
struct Room {
    bytes: usize,
    rows: usize,
    /// Bytes that are in it already.
    taken: usize,
}

impl Room {
    fn is_full(&self) -> bool {
        self.bytes == 0 || self.rows == 0
    }

    fn fill(&mut self, change: &RowChange) {
        let bytes = change_bytes(change);
        self.taken += bytes;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.rows = self.rows.saturating_sub(1);
    }
}

/// About how many bytes a row takes on the wire.
fn change_bytes(change: &RowChange) -> usize {
    let values: usize = change.cells.iter().map(|cell| 8 + value_bytes(&cell.value)).sum();
    values + tell::bytes(change) + change.key.0.len() + 16
}

fn take_table(
    conn: &Connection,
    table: &Table,
    pass: &mut Pass,
    room: &mut Room,
    parcel: &mut Parcel,
) -> Result<()> {
    let mut changes = TableChanges {
        table: table.schema.name.clone(),
        algorithm: Some(table.synced.algorithm),
        columns: table.schema.columns.iter().map(|column| column.name.clone()).collect(),
        rows: Vec::new(),
    };
    let mut receipts = Vec::new();
    let this = pass.table;
    while pass.table == this && !room.is_full() {
        let at_end = match pass.walk {
            Walk::Indexed | Walk::Bulk => take_unsent(conn, table, pass, room, &mut changes, &mut receipts)?,
            Walk::Base => take_base(conn, table, pass, room, &mut changes, &mut receipts)?,
        };
        if at_end {
            pass.next_walk();
        }
    }
    if !changes.rows.is_empty() {
        parcel.changes.tables.push(changes);
        parcel.receipts.push((table.clone(), receipts));
    }
    Ok(())
}

/// Rows with a clock. Answers whether the walk is at its end.
fn take_unsent(
    conn: &Connection,
    table: &Table,
    pass: &mut Pass,
    room: &mut Room,
    changes: &mut TableChanges,
    receipts: &mut Vec<Receipt>,
) -> Result<bool> {
    let condition = match pass.walk {
        Walk::Indexed => "unsent > 0 AND (unsent, key) > (?1, ?2) ORDER BY unsent, key".to_owned(),
        _ if !table.synced.bulk_unsent => return Ok(true),
        _ => format!("unsent = {UNSENT_BULK} AND key > ?2 AND ?1 <= ?1 ORDER BY key"),
    };
    let ungrouped = match groups::any(conn, table)? {
        true => format!(
            "NOT EXISTS (SELECT 1 FROM main.cloudsync_groups AS g WHERE g.table_id = {} AND g.key = c.key) AND",
            table.synced.id
        ),
        false => String::new(),
    };
    let sql = format!(
        "SELECT key, clock, row_id, unsent FROM {} AS c WHERE {ungrouped} {condition}",
        table.clocks()
    );
    let mut query = conn.prepare_cached(&sql)?;
    let (unsent, key) = pass.after.clone().unwrap_or((0, Vec::new()));
    let mut reader = RowReader::new(conn, table)?;
    let mut rows = query.query(params![unsent, key])?;
    while let Some(row) = rows.next()? {
        if room.is_full() {
            return Ok(false);
        }
        let (key, clock): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let (row_id, unsent): (Option<i64>, i64) = (row.get(2)?, row.get(3)?);
        pass.after = Some((unsent, key.clone()));
        let key = Key::from_bytes(key)?;
        let Some(mut change) = reader.change(&key, &clock, unsent)? else { continue };
        let phase = if change.length.is_alive() { Phase::Written } else { Phase::Deleted };
        if phase != pass.phase {
            continue;
        }
        change.row_id = row_id.map(|id| RowId(id.unsigned_abs()));
        room.fill(&change);
        changes.rows.push(change);
        receipts.push(Receipt { key, clock: Some(clock) });
    }
    Ok(true)
}

/// Rows that stood in the table before it was synced, until they have all been sent. Answers whether
/// the walk is at its end.
fn take_base(
    conn: &Connection,
    table: &Table,
    pass: &mut Pass,
    room: &mut Room,
    changes: &mut TableChanges,
    receipts: &mut Vec<Receipt>,
) -> Result<bool> {
    if !has_base_unsent(conn, table)? {
        return Ok(true);
    }
    let after = pass.after.take().map(|(_, key)| key);
    let mut found = false;
    for change in BaseScan::new(conn, table, after.as_deref())? {
        if room.is_full() {
            return Ok(false);
        }
        found = true;
        pass.after = Some((0, change.key.0.clone()));
        room.fill(&change);
        receipts.push(Receipt { key: change.key.clone(), clock: None });
        changes.rows.push(change);
    }
    Ok(!found)
}

/// What the acknowledging of one parcel came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Rows that the server has now.
    pub accepted: usize,
    /// Rows refused for good: rolled back here, and listed in `cloudsync_rejections`.
    pub rejected: usize,
    /// Rows refused that may succeed when the rest has been sent.
    pub postponed: usize,
    /// Tables that the server does not sync.
    pub unknown_tables: Vec<String>,
}

/// Notes what the server said of each row of a parcel. With `last_pass` a refusal is final.
///
/// # Errors
/// The reply does not fit the parcel, or the database is busy or failed.
pub fn acknowledge(
    conn: &Connection,
    parcel: &Parcel,
    mut reply: PushReply,
    last_pass: bool,
) -> Result<Acknowledged> {
    apply::in_transaction(conn, || {
        mapping::check_unchanged(conn, parcel.receipts.iter().map(|(table, _)| &table.synced))?;
        standing::stands(conn, parcel.changes.highest())?;
        settle(conn, parcel, &mut reply, last_pass)
    })
}

fn settle(
    conn: &Connection,
    parcel: &Parcel,
    reply: &mut PushReply,
    last_pass: bool,
) -> Result<Acknowledged> {
    let mut summary = Acknowledged::default();
    if reply.results.len() != parcel.receipts.len() {
        return Err(Error::network("the server's answer does not fit the request"));
    }
    let mut refused = Vec::new();
    let renewed = Renewed::of(&reply.restored);
    let held = grouped::held_back(conn, parcel, &reply.results)?;
    for (at, ((table, receipts), results)) in parcel.receipts.iter().zip(&reply.results).enumerate() {
        if results.len() != receipts.len() {
            return Err(Error::network("the server's answer does not fit the request"));
        }
        for (row, (receipt, result)) in receipts.iter().zip(results).enumerate() {
            if table.synced.conflicts && matches!(result, RowResult::Refused(_) | RowResult::UnknownTable) {
                bases::set_tried(conn, table, &receipt.key, false)?;
            }
            match result {
                RowResult::Accepted(id) => {
                    mark_sent(conn, table, receipt, Some(*id))?;
                    if let Some((changes, sent)) = parcel.row(at, row) {
                        renewed.follow(conn, table, sent)?;
                        if table.synced.conflicts {
                            bases::sent(conn, table, sent, &changes.columns)?;
                        }
                    }
                    summary.accepted += 1;
                }
                RowResult::Dead => {
                    summary.accepted += 1;
                    settle_dead(conn, table, receipt)?;
                }
                RowResult::Collected => {
                    let sent = receipt.clock.as_deref();
                    match horizon::settle_collected(conn, table, &receipt.key, sent)? {
                        Collected::Gone => summary.accepted += 1,
                        Collected::Anew | Collected::Open => summary.postponed += 1,
                    }
                }
                RowResult::UnknownTable => {
                    if !summary.unknown_tables.contains(&table.schema.name) {
                        summary.unknown_tables.push(table.schema.name.clone());
                    }
                }
                RowResult::Refused(_) if held.contains(&parcel.group(at, row)) => (),
                RowResult::Refused(_) if !last_pass => summary.postponed += 1,
                RowResult::Refused(refusal) => refused.push((at, row, table, receipt, refusal)),
            }
        }
    }
    for (at, row, table, receipt, refusal) in refused {
        summary.rejected += 1;
        if let Some((changes, change)) = parcel.row(at, row) {
            let change = &tell::with_standing(conn, table, change)?;
            rejections::record(conn, &Rejection { table, columns: &changes.columns, change, refusal })?;
        }
        if unchanged_since(conn, table, receipt)? {
            inbox::forget_row(conn, table, &receipt.key)?;
        }
    }
    for told in &reply.lost {
        let at = told.table as usize;
        let Some(sent) = parcel.changes.tables.get(at) else { continue };
        if let Some((table, _)) = parcel.receipts.get(at).filter(|(table, _)| table.synced.conflicts) {
            conflicts::record_told(conn, table, sent, told)?;
        }
    }
    if summary.accepted > 0 {
        sent::set_since_download(conn, true)?;
    }
    let mut store = SqliteStore::open(conn, Origin::Server)?;
    inbox::merge_server_rows(&mut store, &mut reply.restored, reply.server_time)?;
    Ok(summary)
}

/// The server has the row as it was when it was taken; what was written since stays unsent.
fn mark_sent(conn: &Connection, table: &Table, receipt: &Receipt, id: Option<RowId>) -> Result<()> {
    let clocks = table.clocks();
    let id = id.map(|id| id.0 as i64);
    match &receipt.clock {
        Some(clock) => conn
            .prepare_cached(&format!(
                "UPDATE {clocks} SET row_id = ?1, unsent = CASE WHEN clock = ?2 THEN NULL ELSE unsent END \
                 WHERE key = ?3"
            ))?
            .execute(params![id, clock, receipt.key.0])?,
        None => conn
            .prepare_cached(&format!(
                "INSERT INTO {clocks} (key, clock, row_id) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (key) DO UPDATE SET row_id = excluded.row_id"
            ))?
            .execute(params![receipt.key.0, base_clock().to_bytes(), id])?,
    };
    if table.synced.atomic && unchanged_since(conn, table, receipt)? {
        groups::leave(conn, table, &receipt.key)?;
    }
    Ok(())
}

/// The row is deleted on the server. Our own delete is thereby sent; a row that still lives here goes.
fn settle_dead(conn: &Connection, table: &Table, receipt: &Receipt) -> Result<()> {
    let alive = match &receipt.clock {
        Some(clock) => stored_length(clock)?.is_alive(),
        None => true,
    };
    if !alive {
        return mark_sent(conn, table, receipt, None);
    }
    if unchanged_since(conn, table, receipt)? {
        inbox::forget_row(conn, table, &receipt.key)?;
    }
    Ok(())
}

/// Whether the row has the same clock as when it was taken.
fn unchanged_since(conn: &Connection, table: &Table, receipt: &Receipt) -> Result<bool> {
    let clocks = table.clocks();
    let clock: Option<Vec<u8>> = conn
        .prepare_cached(&format!("SELECT clock FROM {clocks} WHERE key = ?1"))?
        .query_row([&receipt.key.0], |row| row.get(0))
        .optional()?;
    Ok(clock == receipt.clock)
}

/// After everything was sent: rows that stood in their tables before they were synced, and those of
/// bulk writes, need not be looked for again.
///
/// # Errors
/// The database is busy or failed.
pub fn all_sent(conn: &Connection) -> Result<()> {
    sent::settle_bulk(conn)?;
    conn.execute("UPDATE main.cloudsync_tables SET base_done = 1 WHERE base AND NOT base_done", [])?;
    Ok(())
}

/// How many rows are unsent, those in the journals counted by write. Rows that stood in a table before
/// it was synced are not counted one by one: `true` says that there are some.
///
/// # Errors
/// The database failed.
pub fn unsent(conn: &Connection) -> Result<(u64, bool)> {
    let (mut rows, mut base) = (0u64, false);
    for table in Table::all(conn)? {
        base |= has_base_unsent(conn, &table)?;
        let (clocks, journal) = (table.clocks(), table.journal());
        if table.synced.filter.is_some() {
            let hints = format!("{OP_HINT}, {OP_HINT_PRIVATE}");
            let sql = format!("SELECT count(*) FROM {journal} WHERE op NOT IN ({hints})");
            let written: i64 = conn.query_row(&sql, [], |row| row.get(0))?;
            rows += written.unsigned_abs() + sent::count_told(conn, &table)?;
            continue;
        }
        let count: i64 = conn.query_row(
            &format!(
                "SELECT (SELECT count(*) FROM {clocks} WHERE unsent IS NOT NULL) + (SELECT count(*) FROM {journal})"
            ),
            [],
            |row| row.get(0),
        )?;
        rows += count.unsigned_abs();
    }
    Ok((rows, base))
}

/// Whether rows that stood in the table before it was synced may still have to be sent.
fn has_base_unsent(conn: &Connection, table: &Table) -> Result<bool> {
    let sql = "SELECT base AND NOT base_done FROM main.cloudsync_tables WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([table.synced.id], |row| row.get(0))?)
}
