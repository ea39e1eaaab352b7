//! `cloudsync_changes`: every cell with its version, as a read-only table.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::key::Key;
use cloudsync_shared::value::Value;
use rusqlite::Connection;
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection, VTabCursor,
    sqlite3_vtab, sqlite3_vtab_cursor,
};

use crate::error::Error;
use crate::ffi::Handle;
use crate::read::{Filter, collect};
use crate::value::Bound;

/// `col_name` of the row that tells that a row lives, with the version of its insert.
pub const COLUMN_ALIVE: &str = "__[NEW]__";
/// `col_name` of the row that tells that a row was deleted.
pub const COLUMN_DEAD: &str = "__[RIP]__";

const SCHEMA: &CStr = c"CREATE TABLE x(tbl TEXT NOT NULL, pk BLOB NOT NULL, col_name TEXT NOT NULL, col_value ANY, \
col_version INTEGER NOT NULL, db_version INTEGER NOT NULL, site_id BLOB NOT NULL, cl INTEGER NOT NULL, seq INTEGER NOT NULL)";

const TBL: c_int = 0;
const PK: c_int = 1;
const DB_VERSION: c_int = 5;
const SITE_ID: c_int = 6;
const SEQ: c_int = 8;

/// Registers the table.
///
/// # Errors
/// SQLite refuses the module.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    const MODULE: Module<'_, Changes> = Module::eponymous_only_module();
    conn.create_module(c"cloudsync_changes", &MODULE, None)
}

/// The table.
#[repr(C)]
pub struct Changes {
    /// Base class. Must be first.
    base: sqlite3_vtab,
    handle: Handle,
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

// SAFETY: the first field is `sqlite3_vtab` and the layout is C's.
#[allow(unsafe_code)]
unsafe impl<'vtab> VTab<'vtab> for Changes {
    type Aux = ();
    type Cursor = Cursor<'vtab>;

    fn connect(
        db: &mut VTabConnection,
        _: Option<&()>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Changes)> {
        db.config(VTabConfig::DirectOnly)?;
        Ok((Cow::Borrowed(SCHEMA), Changes { base: sqlite3_vtab::default(), handle: Handle::of(db) }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
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
        Ok(true)
    }

    fn open(&'vtab mut self) -> rusqlite::Result<Cursor<'vtab>> {
        Ok(Cursor {
            base: sqlite3_vtab_cursor::default(),
            handle: self.handle,
            lines: Vec::new(),
            at: 0,
            batch: ChangeBatch::default(),
            table: PhantomData,
        })
    }
}

/// Where the value of a line stands in the batch.
#[derive(Clone, Copy)]
struct Line {
    table: usize,
    row: usize,
    /// The cell, or the row's life.
    cell: Option<usize>,
    version: Version,
    seq: i64,
}

/// A walk through the changes, read as a whole when it begins.
#[repr(C)]
pub struct Cursor<'vtab> {
    /// Base class. Must be first.
    base: sqlite3_vtab_cursor,
    handle: Handle,
    batch: ChangeBatch,
    lines: Vec<Line>,
    at: usize,
    table: PhantomData<&'vtab Changes>,
}

impl Cursor<'_> {
    fn lines(batch: &ChangeBatch, filter: &Filter) -> Vec<Line> {
        let told = |stamp: Stamp<SiteId>| {
            stamp.version > filter.since
                && filter.until.is_none_or(|until| stamp.version <= until)
                && filter.site.is_none_or(|site| stamp.site == site)
        };
        let mut lines = Vec::new();
        for (table, changes) in batch.tables.iter().enumerate() {
            for (row, change) in changes.rows.iter().enumerate() {
                if told(change.life) {
                    lines.push(Line { table, row, cell: None, version: change.life.version, seq: 0 });
                }
                for (cell, told) in change.cells.iter().enumerate() {
                    let seq = i64::try_from(told.column).unwrap_or(i64::MAX - 1) + 1;
                    lines.push(Line { table, row, cell: Some(cell), version: told.stamp.version, seq });
                }
            }
        }
        lines.sort_by_key(|line| (line.version, line.seq));
        lines
    }

    fn set(&self, context: &mut Context, column: c_int) -> Option<rusqlite::Result<()>> {
        let line = self.lines.get(self.at)?;
        let table = self.batch.tables.get(line.table)?;
        let row = table.rows.get(line.row)?;
        let cell = line.cell.and_then(|cell| row.cells.get(cell));
        let stamp = cell.map_or(row.life, |cell| cell.stamp);
        let life = if row.length.is_alive() { COLUMN_ALIVE } else { COLUMN_DEAD };
        let name = match cell {
            Some(cell) => table.columns.get(cell.column)?.as_str(),
            None => life,
        };
        Some(match column {
            TBL => context.set_result(table.table.as_str()),
            PK => context.set_result(row.key.0.as_slice()),
            2 => context.set_result(name),
            3 => context.set_result(Bound(cell.map_or(&Value::Null, |cell| &cell.value))),
            4 | DB_VERSION => context.set_result(i64::try_from(stamp.version.0).unwrap_or(i64::MAX)),
            SITE_ID => context.set_result(stamp.site.0.as_slice()),
            7 => context.set_result(row.length.0),
            _ => context.set_result(line.seq),
        })
    }
}

/// A filter from the constraints that SQLite pushed down.
fn narrow(letters: &str, args: &Filters<'_>) -> rusqlite::Result<Option<Filter>> {
    let mut filter = Filter::default();
    for (at, letter) in letters.chars().enumerate() {
        match letter {
            't' => match args.get::<Option<String>>(at) {
                Ok(Some(name)) => filter.tables = Some(vec![name]),
                _ => return Ok(None),
            },
            'k' => match args.get::<Option<Vec<u8>>>(at) {
                Ok(Some(bytes)) => filter.key = Some(Key(bytes)),
                _ => return Ok(None),
            },
            's' => match args
                .get::<Option<Vec<u8>>>(at)
                .ok()
                .flatten()
                .and_then(|bytes| SiteId::from_slice(&bytes))
            {
                Some(site) => filter.site = Some(site),
                None => return Ok(None),
            },
            bound => {
                // A bound that is not a whole number is left to SQLite.
                let Ok(number) = args.get::<i64>(at) else { continue };
                narrow_version(&mut filter, bound, number);
            }
        }
    }
    Ok(Some(filter))
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

// SAFETY: the first field is `sqlite3_vtab_cursor` and the layout is C's.
#[allow(unsafe_code)]
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, letters: Option<&str>, args: &Filters<'_>) -> rusqlite::Result<()> {
        self.at = 0;
        self.lines.clear();
        let Some(filter) = narrow(letters.unwrap_or_default(), args)? else { return Ok(()) };
        let collected =
            self.handle.run(|conn| collect(conn, &filter)).map_err(|error: Error| module_error(&error))?;
        self.lines = Cursor::lines(&collected.batch, &filter);
        self.batch = collected.batch;
        Ok(())
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at >= self.lines.len()
    }

    fn column(&self, context: &mut Context, column: c_int) -> rusqlite::Result<()> {
        self.set(context, column).unwrap_or(Ok(()))
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(i64::try_from(self.at).unwrap_or(i64::MAX))
    }
}

fn module_error(error: &Error) -> rusqlite::Error {
    rusqlite::Error::ModuleError(error.to_string())
}
