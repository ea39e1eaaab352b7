//! Delta clocks: a local write in the form of a stored row clock, so that it can travel through SQL
//! and is, for a row that has no clock yet, the right clock itself.
//!
//! An even length is a delete; a life of [`Version::BASE`] or older with cells is an update of these
//! cells; anything else is an insert. See [`touch`].

use cloudsync_shared::capture::{self, LocalWrite};
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{CausalLength, ColumnId, SiteOrdinal};
use cloudsync_shared::schema::Algorithm;
use pgrx::pg_extern;
use roaring::RoaringTreemap;

use crate::error::{PgError, Result, or_report};
use crate::settings;

/// A column whose changes are tracked, as `row_delta` must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedColumn {
    /// Its number in clocks.
    pub id: ColumnId,
    /// Its type's `typlen`.
    pub length: i16,
    /// Its type's `typbyval`.
    pub by_value: bool,
}

const COLUMN_BYTES: usize = 5;

/// Columns as bytes, to be written into a statement.
pub fn write_columns(columns: &[TrackedColumn]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(columns.len() * COLUMN_BYTES);
    for column in columns {
        bytes.extend_from_slice(&column.id.0.to_le_bytes());
        bytes.extend_from_slice(&column.length.to_le_bytes());
        bytes.push(u8::from(column.by_value));
    }
    bytes
}

/// Reads what [`write_columns`] wrote.
///
/// # Errors
/// The bytes are something else.
pub fn read_columns(bytes: &[u8]) -> Result<Vec<TrackedColumn>> {
    let (columns, rest) = bytes.as_chunks::<COLUMN_BYTES>();
    if !rest.is_empty() {
        return Err(PgError::internal("cloudsync: a list of columns has the wrong length"));
    }
    let read = |[id0, id1, length0, length1, by_value]: &[u8; COLUMN_BYTES]| TrackedColumn {
        id: ColumnId(u16::from_le_bytes([*id0, *id1])),
        length: i16::from_le_bytes([*length0, *length1]),
        by_value: *by_value != 0,
    };
    Ok(columns.iter().map(read).collect())
}

/// The delta of an update of these columns.
pub fn update(stamp: i64, columns: &[ColumnId]) -> Vec<u8> {
    let mut delta = capture::base_clock();
    for column in columns {
        delta.set_cell(*column, local(stamp));
    }
    delta.to_bytes()
}

/// A clock after the write that a delta tells of.
pub fn touch(
    algorithm: Algorithm,
    clock: &RowClock<SiteOrdinal>,
    delta: &RowClock<SiteOrdinal>,
) -> RowClock<SiteOrdinal> {
    let version = delta.highest();
    let write = if !delta.length.is_alive() {
        LocalWrite::Delete
    } else if delta.life.version <= Version::BASE && !delta.own_cells().is_empty() {
        LocalWrite::Update(delta.own_cells().iter().map(|(column, _)| *column).collect())
    } else {
        LocalWrite::Insert
    };
    let before = Version(version.0.saturating_sub(1));
    capture::touch(algorithm, Some(clock), &write, version.millis(), before).remembering(Some(clock))
}

fn algorithm(number: i32) -> Algorithm {
    u8::try_from(number).ok().and_then(Algorithm::from_number).unwrap_or_default()
}

fn local(stamp: i64) -> Stamp<SiteOrdinal> {
    Stamp { version: Version(stamp.max(0) as u64), site: SiteOrdinal::SELF }
}

fn read(clock: &[u8]) -> RowClock<SiteOrdinal> {
    or_report(RowClock::from_bytes(clock).map_err(PgError::from))
}

/// `cloudsync.local_stamp(highest bigint) RETURNS bigint`: the version of a local write now.
#[pg_extern(sql = false)]
fn cloudsync_local_stamp(highest: i64) -> i64 {
    Version::tick(settings::now(), Version(highest.max(0) as u64)).0 as i64
}

/// `cloudsync.insert_delta(stamp bigint) RETURNS bytea`.
#[pg_extern(sql = false)]
fn cloudsync_insert_delta(stamp: i64) -> Vec<u8> {
    RowClock::new(CausalLength::FIRST, local(stamp)).to_bytes()
}

/// `cloudsync.delete_delta(stamp bigint, algorithm int) RETURNS bytea`.
#[pg_extern(sql = false)]
fn cloudsync_delete_delta(stamp: i64, number: i32) -> Vec<u8> {
    let delta = RowClock::new(CausalLength::FIRST.deleted(), local(stamp));
    touch(algorithm(number), &capture::base_clock(), &delta).to_bytes()
}

/// `cloudsync.join_deltas(a bytea, b bytea) RETURNS bytea`: two updates of one row as one.
#[pg_extern(sql = false)]
fn cloudsync_join_deltas(first: Option<&[u8]>, second: Option<&[u8]>) -> Option<Vec<u8>> {
    let (first, second) = match (first, second) {
        (Some(first), Some(second)) => (first, second),
        (one, other) => return one.or(other).map(<[u8]>::to_vec),
    };
    let mut joined = read(first);
    for (column, stamp) in read(second).own_cells() {
        joined.set_cell(*column, *stamp);
    }
    Some(joined.to_bytes())
}

/// `cloudsync.clock_touch(clock bytea, delta bytea, algorithm int) RETURNS bytea`.
#[pg_extern(sql = false)]
fn cloudsync_clock_touch(clock: &[u8], delta: &[u8], number: i32) -> Vec<u8> {
    touch(algorithm(number), &read(clock), &read(delta)).to_bytes()
}

/// `cloudsync.clock_is_alive(clock bytea) RETURNS bool`.
#[pg_extern(sql = false)]
fn cloudsync_clock_is_alive(clock: &[u8]) -> bool {
    read(clock).length.is_alive()
}

/// `cloudsync.clock_highest(clock bytea) RETURNS bigint`: no cell of the row has a higher version.
#[pg_extern(sql = false)]
fn cloudsync_clock_highest(clock: &[u8]) -> i64 {
    i64::try_from(read(clock).highest().0).unwrap_or(i64::MAX)
}

/// `cloudsync.base_clock() RETURNS bytea`: the clock of rows that stood in a table before `init`.
#[pg_extern(sql = false)]
fn cloudsync_base_clock() -> Vec<u8> {
    capture::base_clock().to_bytes()
}

/// `cloudsync.pack_rows(bigint[]) RETURNS bytea`: row ids as a serialized roaring bitmap.
#[pg_extern(sql = false)]
fn cloudsync_pack_rows(rows: pgrx::Array<'_, i64>) -> Vec<u8> {
    let rows: RoaringTreemap = rows.iter_deny_null().map(|row| row as u64).collect();
    let mut bytes = Vec::with_capacity(rows.serialized_size());
    match rows.serialize_into(&mut bytes) {
        Ok(()) => bytes,
        Err(error) => PgError::internal(format!("cloudsync: row ids cannot be packed: {error}")).report(),
    }
}

/// `cloudsync.clock_json(clock bytea) RETURNS text`: a clock for people: its length, when and where
/// (site number) its life began, and the columns written since.
#[pg_extern(sql = false)]
fn cloudsync_clock_json(clock: &[u8]) -> String {
    let clock = read(clock);
    let stamp = |stamp: &Stamp<SiteOrdinal>| format!("[{},{}]", stamp.version.0, stamp.site.0);
    let cells: Vec<String> =
        clock.own_cells().iter().map(|(column, at)| format!("\"{}\":{}", column.0, stamp(at))).collect();
    format!(
        "{{\"length\":{},\"life\":{},\"cells\":{{{}}}}}",
        clock.length.0,
        stamp(&clock.life),
        cells.join(",")
    )
}
