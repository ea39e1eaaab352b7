//! `cloudsync_changes`: every cell with its version, as far as the caller may see it.
//!
//! Who sees what: a row appears to those who may SELECT it, by grants on its key columns and by its
//! policies, and of its cells those whose column they may SELECT. A deleted row has nothing left that
//! a policy could be asked about, and its tombstone names its key; so tombstones appear only to those
//! whom no policy could bind: members of the table's owner, superusers and roles with BYPASSRLS.

use std::collections::{HashMap, VecDeque};
use std::vec::IntoIter;

use cloudsync_shared::cells::lines;
use cloudsync_shared::change::RowChange;
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::key::Key;
use cloudsync_shared::value::Value;
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

use super::rows::{ClockRow, newer_clocks_after, size_of, visible_changes};
use super::sites::SiteNames;
use super::spi::{Arg, Mode, query};
use super::table::{Table, find_tables};
use super::told::Telling;
use crate::error::{PgError, Result, SqlState, or_report};
use crate::ffi::forms::FixedForms;

/// Rows read in one step, at first and at most.
const FIRST_STEP: usize = 256;
const MAX_STEP: usize = 4096;
/// About how many bytes of values one step reads.
const STEP_BYTES: usize = 1 << 20;

/// One line of `cloudsync_changes`.
pub(super) struct ChangeLine {
    table: String,
    key: Vec<u8>,
    column: String,
    value: Option<Vec<u8>>,
    stamp: Stamp<SiteId>,
    length: u32,
    seq: i64,
}

/// `cloudsync_changes_select(min_db_version bigint, filter_site_id bytea) RETURNS TABLE (…)`: what is
/// newer than a version, and written by a site if one is given. Its order is that of the tables and
/// of their rows' arrival.
#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "the columns of cloudsync_changes, as PostgreSQL needs them")]
fn cloudsync_changes_select(
    min_db_version: Option<i64>,
    filter_site_id: Option<&[u8]>,
) -> TableIterator<
    'static,
    (
        name!(tbl, String),
        name!(pk, Vec<u8>),
        name!(col_name, String),
        name!(col_value, Option<Vec<u8>>),
        name!(col_version, i64),
        name!(db_version, i64),
        name!(site_id, Vec<u8>),
        name!(cl, i64),
        name!(seq, i64),
    ),
> {
    let mut walk = or_report(Filter::read(min_db_version, filter_site_id).and_then(Walk::begin));
    TableIterator::new(std::iter::from_fn(move || {
        let line = or_report(walk.next())?;
        let version = i64::try_from(line.stamp.version.0).unwrap_or(i64::MAX);
        let site = line.stamp.site.0.to_vec();
        let length = i64::from(line.length);
        Some((line.table, line.key, line.column, line.value, version, version, site, length, line.seq))
    }))
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Filter {
    than: i64,
    site: Option<SiteId>,
}

impl Filter {
    fn read(min_db_version: Option<i64>, site: Option<&[u8]>) -> Result<Filter> {
        let site = site.map(|bytes| {
            SiteId::from_slice(bytes).ok_or_else(|| {
                PgError::new(SqlState::INVALID_PARAMETER, "filter_site_id must have 16 bytes, or be NULL")
            })
        });
        // A cell that was never written has version 0 and is no change.
        Ok(Filter { than: min_db_version.unwrap_or(0).max(0), site: site.transpose()? })
    }

    fn wants(self, stamp: Stamp<SiteId>) -> bool {
        stamp.version > Version(self.than.unsigned_abs()) && self.site.is_none_or(|site| stamp.site == site)
    }
}

/// A way through the tables, a set of rows at a time.
struct Walk {
    filter: Filter,
    tables: IntoIter<(Table, bool)>,
    /// The table in hand, and whether its tombstones are shown.
    current: Option<(Table, bool)>,
    after: u64,
    step: usize,
    sites: SiteNames,
    ready: VecDeque<ChangeLine>,
}

impl Walk {
    fn begin(filter: Filter) -> Result<Walk> {
        let tables = super::cleanly(readable_tables)?;
        let mut tables = tables.into_iter();
        let current = tables.next();
        let (sites, ready) = (SiteNames::default(), VecDeque::new());
        Ok(Walk { filter, tables, current, after: 0, step: FIRST_STEP, sites, ready })
    }

    fn next(&mut self) -> Result<Option<ChangeLine>> {
        while self.ready.is_empty() && self.current.is_some() {
            super::cleanly(|| self.fill())?;
        }
        Ok(self.ready.pop_front())
    }

    /// Makes the lines of the next rows.
    fn fill(&mut self) -> Result<()> {
        let Some((table, shows_tombstones)) = &self.current else { return Ok(()) };
        let _forms = FixedForms::enter();
        let clocks = newer_clocks_after(Mode::Read, table, self.filter.than, self.after, self.step)?;
        let Some(last) = clocks.last() else {
            (self.current, self.after, self.step) = (self.tables.next(), 0, FIRST_STEP);
            return Ok(());
        };
        self.after = last.row_id;
        let changes = visible_changes(Mode::Read, table, &mut self.sites, &clocks, Telling::Whole)?;
        let bytes: usize = changes.iter().flatten().map(size_of).sum();
        self.step = (STEP_BYTES / (bytes / clocks.len()).max(1)).clamp(1, MAX_STEP);
        if *shows_tombstones {
            self.sites.learn(Mode::Read, clocks.iter().map(|row| &row.clock))?;
        }
        for (clock, change) in clocks.iter().zip(changes) {
            let change = match change {
                None if *shows_tombstones && !clock.clock.length.is_alive() => tombstone(&self.sites, clock)?,
                None => continue,
                Some(change) => with_places(table, with_values(change, self.filter)?),
            };
            tell(table, &change, self.filter, &mut self.ready);
        }
        Ok(())
    }
}

/// The tables that the caller may read, each with whether it sees the tombstones.
///
/// # Errors
/// The catalog cannot be read.
pub(super) fn readable_tables() -> Result<Vec<(Table, bool)>> {
    let tables: Vec<Table> = find_tables(Mode::Read, None)?.into_iter().filter(Table::can_select).collect();
    let oids = tables.iter().map(|table| table.oid).collect();
    let rights =
        query(Mode::Read, RIGHTS, vec![Arg::Longs(oids)], |row| Ok((row.known_long(1)?, row.flag(2)?)))?;
    let rights: HashMap<i64, bool> = rights.into_iter().collect();
    Ok(tables.into_iter().filter_map(|table| rights.get(&table.oid).map(|shows| (table, *shows))).collect())
}

/// The tables of `$1` whose schema the caller may use, each with whether no policy could bind it.
const RIGHTS: &str = r"
SELECT CAST(c.oid AS pg_catalog.int8), pg_catalog.pg_has_role(c.relowner, 'USAGE')
    OR EXISTS (SELECT FROM pg_catalog.pg_roles r
        WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND r.rolbypassrls)
FROM pg_catalog.pg_class c
WHERE c.oid OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.oid[]))
    AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')";

fn tombstone(sites: &SiteNames, row: &ClockRow) -> Result<RowChange> {
    let clock = sites.with_ids(&row.clock)?;
    let key = Key::encode(&row.keys)?;
    let (length, life, past) = (clock.length, clock.life, clock.past);
    Ok(RowChange { row_id: None, key, length, life, cells: Vec::new(), texts: Vec::new(), past })
}

/// The change with the values of its texts beside their lines, and of those what is asked for.
fn with_values(mut change: RowChange, filter: Filter) -> Result<RowChange> {
    for text in &mut change.texts {
        let Some(delta) = &text.delta else { continue };
        let value = Value::Text(delta.rendered()?.1);
        change.cells.iter_mut().filter(|cell| cell.column == text.column).for_each(|cell| {
            cell.value.clone_from(&value);
        });
        text.delta = Some(delta.wanted(|stamp| filter.wants(stamp)));
    }
    Ok(change)
}

/// The change with its cells' columns counted among all columns of the table, not only among those
/// that the caller may read: a line's place must not depend on who looks.
fn with_places(table: &Table, mut change: RowChange) -> RowChange {
    let places: Vec<usize> = (0..table.columns.len())
        .filter(|at| table.columns.get(*at).is_some_and(|column| column.can_select))
        .collect();
    let texts = change.texts.iter_mut().map(|text| &mut text.column);
    for column in change.cells.iter_mut().map(|cell| &mut cell.column).chain(texts) {
        *column = places.get(*column).copied().unwrap_or(*column);
    }
    change
}

fn tell(table: &Table, change: &RowChange, filter: Filter, ready: &mut VecDeque<ChangeLine>) {
    let columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    for line in lines(change, |stamp| filter.wants(stamp)) {
        ready.push_back(ChangeLine {
            table: table.schema.name.clone(),
            key: change.key.0.clone(),
            column: line.column(change, &columns).into_owned(),
            value: line.value(change).map(|value| encoded(&value)),
            stamp: line.stamp,
            length: change.length.0,
            seq: line.seq,
        });
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}
