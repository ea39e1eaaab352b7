//! Rows of synced tables: their clocks read as the owner, their values as the caller.

use cloudsync_shared::change::{CellChange, RowChange};
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::id::{RowId, SiteId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::value::Value;

use super::set::{Set, base_join, clock_join};
use super::sites::SiteNames;
use super::spi::{Arg, Mode, Row, query};
use super::table::{Table, TableColumn};
use super::told::{Lines, Telling};
use crate::error::{PgError, SqlState};
use crate::ffi::owner::AsOwner;

/// A row's entry in the table of clocks.
#[derive(Clone, Debug)]
pub(super) struct ClockRow {
    /// The row's id.
    pub(super) row_id: u64,
    /// The key's values.
    pub(super) keys: Vec<Value>,
    /// The clock.
    pub(super) clock: RowClock<SiteOrdinal>,
}

/// The next clock rows after a row id, at most `limit`, by row id.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn clocks_after(
    mode: Mode,
    table: &Table,
    after: u64,
    limit: usize,
) -> Result<Vec<ClockRow>, PgError> {
    let sql = format!(
        "SELECT {} FROM {} AS c WHERE c.row_id OPERATOR(pg_catalog.>) $1 ORDER BY c.row_id LIMIT $2",
        clock_outputs(table),
        table.clocks
    );
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let args = vec![Arg::Long(after), Arg::Long(i64::try_from(limit).unwrap_or(i64::MAX))];
    AsOwner::run(|| query(mode, &sql, args, |row| read_clock(table, row)))
}

/// As [`clocks_after`], of rows that have something newer than a version.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn newer_clocks_after(
    mode: Mode,
    table: &Table,
    than: i64,
    after: u64,
    limit: usize,
) -> Result<Vec<ClockRow>, PgError> {
    let sql = format!(
        "SELECT {} FROM {} AS c WHERE c.row_id OPERATOR(pg_catalog.>) $1 \
            AND cloudsync.clock_highest(c.clock) OPERATOR(pg_catalog.>) $3 ORDER BY c.row_id LIMIT $2",
        clock_outputs(table),
        table.clocks
    );
    let (after, limit) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
    let args = vec![Arg::Long(after), Arg::Long(limit), Arg::Long(than)];
    AsOwner::run(|| query(mode, &sql, args, |row| read_clock(table, row)))
}

/// The ids of the rows with these keys, as far as they have one, in no order.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn ids_of(mode: Mode, table: &Table, keys: &[&[Value]]) -> Result<Vec<u64>, PgError> {
    let mut set = Set::default();
    set.push_keys(&table.keys, keys)?;
    let sql = format!(
        "SELECT c.row_id FROM {} JOIN {} AS c ON {}",
        set.as_from_item(),
        table.clocks,
        clock_join(&table.keys)
    );
    AsOwner::run(|| query(mode, &sql, set.into_args(), |row| Ok(row.known_long(1)?.unsigned_abs())))
}

/// The clock rows of these ids, as far as they exist, by row id.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn clocks_of(mode: Mode, table: &Table, ids: &[u64]) -> Result<Vec<ClockRow>, PgError> {
    let sql = format!(
        "SELECT {} FROM {} AS c WHERE c.row_id OPERATOR(pg_catalog.=) ANY ($1) ORDER BY c.row_id",
        clock_outputs(table),
        table.clocks
    );
    let ids = ids.iter().filter_map(|id| i64::try_from(*id).ok()).collect();
    AsOwner::run(|| query(mode, &sql, vec![Arg::Longs(ids)], |row| read_clock(table, row)))
}

fn clock_outputs(table: &Table) -> String {
    let keys = table.keys.iter().enumerate();
    let keys: Vec<String> = keys.map(|(at, key)| key.kind.output(&format!("c.k{}", at + 1))).collect();
    format!("c.row_id, c.clock, {}", keys.join(", "))
}

fn read_clock(table: &Table, row: &Row<'_, '_>) -> Result<ClockRow, PgError> {
    let keys = table.keys.iter().enumerate().map(|(at, key)| key.kind.read(row, at + 3));
    Ok(ClockRow {
        row_id: row.known_long(1)?.unsigned_abs(),
        keys: keys.collect::<Result<_, PgError>>()?,
        clock: RowClock::from_bytes(&row.bytes(2)?.unwrap_or_default())?,
    })
}

/// The values of the rows with these keys that the caller may see and that the filter lets out, each with its index in `keys`.
///
/// # Errors
/// A policy failed, or the table cannot be read.
pub(super) fn visible_values(
    mode: Mode,
    table: &Table,
    keys: &[&[Value]],
    columns: &[&TableColumn],
) -> Result<Vec<(usize, Vec<Value>)>, PgError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut set = Set::default();
    set.push_keys(&table.keys, keys)?;
    let mut outputs = vec!["u.ord".to_owned()];
    outputs.extend(columns.iter().map(|column| column.kind.output(&format!("t.{}", column.quoted))));
    let sql = format!(
        "SELECT {} FROM {} JOIN {} AS t ON {}{}",
        outputs.join(", "),
        set.as_from_item(),
        table.relation,
        base_join(&table.keys),
        table.where_shared()
    );
    query(mode, &sql, set.into_args(), |row| {
        let index = usize::try_from(row.known_long(1)?).unwrap_or_default().saturating_sub(1);
        let values = columns.iter().enumerate().map(|(at, column)| column.kind.read(row, at + 2));
        Ok((index, values.collect::<Result<_, PgError>>()?))
    })
}

/// The rows of these clocks that are alive and that the caller may see, whole, in order; `None` in
/// place of the others.
///
/// # Errors
/// As [`visible_values`].
pub(super) fn visible_changes(
    mode: Mode,
    table: &Table,
    sites: &mut SiteNames,
    clocks: &[ClockRow],
    telling: Telling<'_>,
) -> Result<Vec<Option<RowChange>>, PgError> {
    let alive: Vec<(usize, &ClockRow)> =
        clocks.iter().enumerate().filter(|(_, row)| row.clock.length.is_alive()).collect();
    let keys: Vec<&[Value]> = alive.iter().map(|(_, row)| row.keys.as_slice()).collect();
    let columns: Vec<&TableColumn> = table.readable().collect();
    let found = visible_values(mode, table, &keys, &columns)?;
    sites.learn(mode, alive.iter().map(|(_, row)| &row.clock))?;
    let lines = Lines::read(mode, table, &alive, telling)?;
    let mut changes: Vec<Option<RowChange>> = clocks.iter().map(|_| None).collect();
    for (index, values) in found {
        let Some((at, row)) = alive.get(index) else { continue };
        if let Some(place) = changes.get_mut(*at) {
            // A key that is too long to travel, and compresses so well that an index holds it, is as good
            // as hidden: the other rows go on.
            *place = match change(sites, row, &columns, values) {
                Err(error) if error.sqlstate.as_str() == SqlState::LIMIT_EXCEEDED.as_str() => None,
                change => {
                    let mut change = change?;
                    lines.tell(mode, table, sites, &columns, &mut change)?;
                    Some(change)
                }
            };
        }
    }
    Ok(changes)
}

fn change(
    sites: &SiteNames,
    row: &ClockRow,
    columns: &[&TableColumn],
    values: Vec<Value>,
) -> Result<RowChange, PgError> {
    let stamp = |stamp: Stamp<SiteOrdinal>| -> Result<Stamp<SiteId>, PgError> {
        Ok(Stamp { version: stamp.version, site: sites.name(stamp.site)? })
    };
    let cells = columns.iter().zip(values).enumerate().map(|(at, (column, value))| {
        Ok(CellChange { column: at, stamp: stamp(row.clock.cell(column.id))?, value })
    });
    let past = row.clock.past.map_sites(|site| sites.name(site))?;
    Ok(RowChange {
        row_id: Some(RowId(row.row_id)),
        key: Key::encode(&row.keys)?,
        length: row.clock.length,
        life: stamp(row.clock.life)?,
        cells: cells.collect::<Result<_, PgError>>()?,
        texts: Vec::new(),
        past,
    })
}

/// Roughly how many bytes the values of a row take.
pub(super) fn size_of(change: &RowChange) -> usize {
    let values = change.cells.iter().map(|cell| match &cell.value {
        Value::Null => 1,
        Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len() + 1,
        Value::Blob(bytes) => bytes.len() + 1,
    });
    let texts =
        change.texts.iter().filter_map(|text| text.delta.as_ref()).map(|delta| delta.to_bytes().len());
    change.key.0.len() + values.sum::<usize>() + texts.sum::<usize>()
}
