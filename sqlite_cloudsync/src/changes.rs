//! `cloudsync_changes`: every cell with its version, as a read-only table.

use std::ffi::{CStr, c_int};

use cloudsync_shared::cells;
use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::key::Key;
use cloudsync_shared::value::Value;
use rusqlite::vtab::{Context, Filters, IndexConstraintOp, IndexInfo};
use rusqlite::{Connection, Result as SqlResult};

use crate::error::Result;
use crate::ffi::{Content, register_table};
use crate::read::{Filter, collect};
use crate::value::Bound;

const TBL: c_int = 0;
const PK: c_int = 1;
const DB_VERSION: c_int = 5;
const SITE_ID: c_int = 6;
const SEQ: c_int = 8;

/// Registers the table.
///
/// # Errors
/// SQLite refuses the module.
pub fn register(conn: &Connection) -> SqlResult<()> {
    register_table::<Changes>(conn, c"cloudsync_changes")
}

/// What a pushed-down constraint narrows, as one letter of the index string.
fn letter(column: c_int, operator: &IndexConstraintOp) -> Option<char> {
    use IndexConstraintOp as Op;
    Some(match (column, operator) {
        (TBL, Op::SQLITE_INDEX_CONSTRAINT_EQ) => 't',
        (PK, Op::SQLITE_INDEX_CONSTRAINT_EQ) => 'k',
        (SITE_ID, Op::SQLITE_INDEX_CONSTRAINT_EQ) => 's',
        (DB_VERSION, Op::SQLITE_INDEX_CONSTRAINT_EQ) => '=',
        (DB_VERSION, Op::SQLITE_INDEX_CONSTRAINT_GT) => '>',
        (DB_VERSION, Op::SQLITE_INDEX_CONSTRAINT_GE) => 'g',
        (DB_VERSION, Op::SQLITE_INDEX_CONSTRAINT_LT) => '<',
        (DB_VERSION, Op::SQLITE_INDEX_CONSTRAINT_LE) => 'l',
        _ => return None,
    })
}

/// Where the value of a line stands in the batch.
#[derive(Clone, Copy)]
struct Line {
    table: usize,
    row: usize,
    line: cells::Line,
}

/// The changes that a walk goes through.
#[derive(Default)]
struct Changes {
    batch: ChangeBatch,
    lines: Vec<Line>,
}

impl Changes {
    fn lines(batch: &ChangeBatch, filter: &Filter) -> Vec<Line> {
        let told = |stamp: Stamp<SiteId>| {
            stamp.version > filter.since
                && filter.until.is_none_or(|until| stamp.version <= until)
                && filter.site.is_none_or(|site| stamp.site == site)
        };
        let mut lines = Vec::new();
        for (table, changes) in batch.tables.iter().enumerate() {
            for (row, change) in changes.rows.iter().enumerate() {
                lines.extend(cells::lines(change, told).map(|line| Line { table, row, line }));
            }
        }
        lines.sort_by_key(|line| (line.line.stamp.version, line.line.seq));
        lines
    }

    fn answer(&self, row: usize, column: c_int, context: &mut Context) -> Option<SqlResult<()>> {
        let line = self.lines.get(row)?;
        let table = self.batch.tables.get(line.table)?;
        let row = table.rows.get(line.row)?;
        let stamp = line.line.stamp;
        Some(match column {
            TBL => context.set_result(&table.table),
            PK => context.set_result(&row.key.0),
            2 => context.set_result(&line.line.column(row, &table.columns)),
            3 => context.set_result(&Bound(line.line.value(row).as_deref().unwrap_or(&Value::Null))),
            4 | DB_VERSION => context.set_result(&i64::try_from(stamp.version.0).unwrap_or(i64::MAX)),
            SITE_ID => context.set_result(&stamp.site.0.as_slice()),
            7 => context.set_result(&row.length.0),
            _ => context.set_result(&line.line.seq),
        })
    }
}

/// A filter from the constraints that SQLite pushed down; `None` if nothing can fit them.
fn narrow(letters: &str, args: &Filters<'_>) -> Option<Filter> {
    let mut filter = Filter { with_values: true, ..Filter::default() };
    for (at, letter) in letters.chars().enumerate() {
        match letter {
            't' => match args.get::<Option<String>>(at) {
                Ok(Some(name)) => filter.tables = Some(vec![name]),
                _ => return None,
            },
            'k' => match args.get::<Option<Vec<u8>>>(at) {
                Ok(Some(bytes)) => filter.key = Some(Key(bytes)),
                _ => return None,
            },
            's' => match args
                .get::<Option<Vec<u8>>>(at)
                .ok()
                .flatten()
                .and_then(|bytes| SiteId::from_slice(&bytes))
            {
                Some(site) => filter.site = Some(site),
                None => return None,
            },
            bound => {
                // A bound that is not a whole number is left to SQLite.
                let Ok(number) = args.get::<i64>(at) else { continue };
                narrow_version(&mut filter, bound, number);
            }
        }
    }
    Some(filter)
}

fn narrow_version(filter: &mut Filter, bound: char, number: i64) {
    let above = |number: i64| Version(u64::try_from(number).unwrap_or(0));
    let (since, until) = match bound {
        '=' => (Some(above(number.saturating_sub(1))), Some(above(number))),
        '>' => (Some(above(number)), None),
        'g' => (Some(above(number.saturating_sub(1))), None),
        '<' => (None, Some(above(number.saturating_sub(1)))),
        _ => (None, Some(above(number))),
    };
    filter.since = filter.since.max(since.unwrap_or(Version::NEVER));
    filter.until = match (filter.until, until) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

impl Content for Changes {
    const SCHEMA: &'static CStr = c"CREATE TABLE x(tbl TEXT NOT NULL, pk BLOB NOT NULL, col_name TEXT NOT NULL, col_value ANY, \
col_version INTEGER NOT NULL, db_version INTEGER NOT NULL, site_id BLOB NOT NULL, cl INTEGER NOT NULL, seq INTEGER NOT NULL)";

    fn plan(info: &mut IndexInfo) {
        let mut letters = String::new();
        for (constraint, mut usage) in info.constraints_and_usages() {
            if !constraint.is_usable() {
                continue;
            }
            if let Some(letter) = letter(constraint.column(), &constraint.operator()) {
                letters.push(letter);
                // SQLite still tests the constraint itself: we narrow, it decides.
                usage.set_argv_index(c_int::try_from(letters.len()).unwrap_or(c_int::MAX));
            }
        }
        let wanted: Vec<(c_int, bool)> =
            info.order_bys().map(|order| (order.column(), order.is_order_by_desc())).collect();
        let ours = [(DB_VERSION, false), (SEQ, false)];
        if !wanted.is_empty() && ours.starts_with(&wanted) {
            info.set_order_by_consumed(true);
        }
        let narrowed = i32::try_from(letters.len()).unwrap_or(0);
        info.set_estimated_cost(1_000_000.0 / f64::from(10i32.pow(narrowed.min(6).unsigned_abs())));
        info.set_idx_str(&letters);
    }

    fn read(conn: &Connection, plan: &str, args: &Filters<'_>) -> Result<Changes> {
        let Some(filter) = narrow(plan, args) else { return Ok(Changes::default()) };
        let batch = collect(conn, &filter)?.batch;
        let lines = Changes::lines(&batch, &filter);
        Ok(Changes { batch, lines })
    }

    fn count(&self) -> usize {
        self.lines.len()
    }

    fn cell(&self, row: usize, column: c_int, context: &mut Context) -> SqlResult<()> {
        self.answer(row, column, context).unwrap_or(Ok(()))
    }
}
