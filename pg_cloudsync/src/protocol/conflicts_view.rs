//! `cloudsync_conflicts`: the list, as far as the caller may see its rows now.
//!
//! A row is read again as the caller, so grants and policies of today decide, and of its cells those appear
//! whose column the caller may SELECT. Of a row that is deleted no policy could be asked: its conflicts appear
//! where its tombstone would.

use std::collections::{HashMap, HashSet};

use cloudsync_shared::key::Key;
use cloudsync_shared::value::Value;
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

use super::changes::readable_tables;
use super::rows::{ClockRow, clocks_of, visible_values};
use super::spi::{Arg, Mode, query};
use super::table::Table;
use crate::error::{Result, or_report};
use crate::ffi::forms::FixedForms;
use crate::ffi::owner::AsOwner;

/// A value, its version and its site.
type Side = (Option<String>, i64, Vec<u8>);

struct Kept {
    row_id: i64,
    column: i64,
    lost: Side,
    won: Side,
    reason: String,
    /// Milliseconds since 1970.
    noted_at: i64,
}

struct Line {
    table: String,
    key: Vec<u8>,
    column: String,
    kept: Kept,
}

/// `cloudsync_conflicts_select() RETURNS TABLE (…)`.
#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "the columns of cloudsync_conflicts, as PostgreSQL needs them")]
fn cloudsync_conflicts_select() -> TableIterator<
    'static,
    (
        name!(tbl, String),
        name!(pk, Vec<u8>),
        name!(col_name, String),
        name!(lost_value, Option<String>),
        name!(lost_version, i64),
        name!(lost_site, Vec<u8>),
        name!(won_value, Option<String>),
        name!(won_version, i64),
        name!(won_site, Vec<u8>),
        name!(reason, String),
        name!(noted_at, i64),
    ),
> {
    let lines = or_report(super::cleanly(lines));
    TableIterator::new(lines.into_iter().map(|Line { table, key, column, kept }| {
        let (lost, won) = (kept.lost, kept.won);
        (table, key, column, lost.0, lost.1, lost.2, won.0, won.1, won.2, kept.reason, kept.noted_at)
    }))
}

fn lines() -> Result<Vec<Line>> {
    let _forms = FixedForms::enter();
    let mut lines = Vec::new();
    for (table, shows_tombstones) in readable_tables()? {
        let kept = kept(&table)?;
        let ids: HashSet<u64> = kept.iter().map(|kept| kept.row_id.unsigned_abs()).collect();
        let ids: Vec<u64> = ids.into_iter().collect();
        let rows = clocks_of(Mode::Read, &table, &ids)?;
        let seen = seen(&table, &rows, shows_tombstones)?;
        for kept in kept {
            let Some(key) = seen.get(&kept.row_id.unsigned_abs()) else { continue };
            let column = table.readable().find(|column| i64::from(column.id.0) == kept.column);
            let Some(column) = column.map(|column| column.name.clone()) else { continue };
            lines.push(Line { table: table.schema.name.clone(), key: key.clone(), column, kept });
        }
    }
    Ok(lines)
}

/// The rows that the caller sees, with their keys.
fn seen(table: &Table, rows: &[ClockRow], shows_tombstones: bool) -> Result<HashMap<u64, Vec<u8>>> {
    let keys: Vec<&[Value]> = rows.iter().map(|row| row.keys.as_slice()).collect();
    let visible = visible_values(Mode::Read, table, &keys, &[])?;
    let visible: HashSet<usize> = visible.into_iter().map(|(at, _)| at).collect();
    let mut seen = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        if visible.contains(&at) || (shows_tombstones && !row.clock.length.is_alive()) {
            seen.insert(row.row_id, Key::encode(&row.keys)?.0);
        }
    }
    Ok(seen)
}

fn kept(table: &Table) -> Result<Vec<Kept>> {
    let sql = "SELECT row_id, CAST(col AS pg_catalog.int8), lost_value, lost_version, lost_site, won_value, \
            won_version, won_site, reason, \
            CAST(EXTRACT(epoch FROM noted_at) OPERATOR(pg_catalog.*) 1000 AS pg_catalog.int8) \
        FROM cloudsync.conflicts WHERE table_id OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.int4) ORDER BY id";
    let found = AsOwner::run(|| {
        query(Mode::Read, sql, vec![Arg::Long(table.id)], |row| {
            Ok(Kept {
                row_id: row.known_long(1)?,
                column: row.known_long(2)?,
                lost: (row.text(3)?, row.known_long(4)?, row.bytes(5)?.unwrap_or_default()),
                won: (row.text(6)?, row.known_long(7)?, row.bytes(8)?.unwrap_or_default()),
                reason: row.known_text(9)?,
                noted_at: row.known_long(10)?,
            })
        })
    })?;
    Ok(found)
}
