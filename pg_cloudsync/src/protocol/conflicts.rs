//! Values that lose a merge while a push is carried out: found, kept, and told to the device that sent them.

use std::collections::HashMap;

use cloudsync_shared::change::{ChangeBatch, LostReason, RowChange};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::id::{ColumnId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::{Base, LostCell, LostSide};
use cloudsync_shared::message::{LostText, LostValue, PushRequest};
use cloudsync_shared::text::digest;
use cloudsync_shared::value::Value;

use super::item::{Item, Work};
use super::rows::visible_values;
use super::set::Set;
use super::spi::{Arg, Mode, execute};
use super::table::{Table, TableColumn};
use crate::error::PgError;
use crate::ffi::owner::AsOwner;

/// The most lost lines that a reply tells. All are in the list on the server.
const MAX_TOLD_LINES: usize = 1_000;

/// What the cells of one table replaced on the device: by key, for each cell told its column in the request
/// and its base.
type TableBases = HashMap<Key, Vec<(usize, Option<Stamp<SiteId>>)>>;

/// What a push tells of the values that its cells replaced, by table.
#[derive(Default)]
pub(super) struct KnownBases(HashMap<String, TableBases>);

/// How the conflicts of one table are looked for.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    bases: Option<&'a TableBases>,
    /// Whether they are kept here.
    is_kept: bool,
}

/// A value that lost.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The number of the table, and its name.
    table: (i64, String),
    row_id: i64,
    key: Key,
    /// The index of the column in the request.
    told_column: usize,
    cell: LostCell,
    lost: Value,
    won: Value,
    is_kept: bool,
}

impl Found {
    /// What lost, if it is a line of a text.
    fn line(&self) -> Option<&String> {
        match &self.lost {
            Value::Text(line) if self.cell.reason == LostReason::NewerLine => Some(line),
            _ => None,
        }
    }
}

impl KnownBases {
    /// Those of a request.
    pub(super) fn of(request: &PushRequest) -> KnownBases {
        let mut known = KnownBases::default();
        for (table, bases) in request.changes.tables.iter().zip(&request.bases) {
            if bases.is_empty() {
                continue;
            }
            let mut bases = bases.iter().copied();
            let of_table = known.0.entry(table.table.clone()).or_default();
            for row in &table.rows {
                let of_row = row.cells.iter().map(|cell| cell.column).zip(bases.by_ref()).collect();
                of_table.insert(row.key.clone(), of_row);
            }
        }
        known
    }

    /// How to look for conflicts of a table; `None`: nobody wants to know.
    pub(super) fn watch(&self, table: &Table) -> Option<Watch<'_>> {
        let bases = self.0.get(&table.schema.name);
        let is_kept = table.keeps_conflicts;
        (bases.is_some() || is_kept).then_some(Watch { bases, is_kept })
    }
}

impl Watch<'_> {
    /// What is known of the value that a cell replaced where it was written.
    pub(super) fn base(&self, change: &RowChange, cell: usize) -> Base {
        let Some(bases) = self.bases else { return Base::Unknown };
        let column = change.cells.get(cell).map(|cell| cell.column);
        let of_row = bases.get(&change.key).map(Vec::as_slice).unwrap_or_default();
        let base = of_row.iter().find(|(told, _)| Some(*told) == column);
        base.and_then(|(_, base)| *base).map_or(Base::Repeated, Base::Saw)
    }
}

/// The values of rows before they are written, where some are about to lose or to win.
pub(super) struct Standing(HashMap<usize, Vec<Value>>);

/// Reads them, as the caller: of rows and columns that it may not see, nothing is kept.
///
/// # Errors
/// The table cannot be read.
pub(super) fn standing(work: &Work<'_>, items: &[Item<'_>]) -> Result<Standing, PgError> {
    let wanted: Vec<&Item<'_>> = items.iter().filter(|item| !item.lost.is_empty()).collect();
    if wanted.is_empty() || !work.table.can_select() {
        return Ok(Standing(HashMap::new()));
    }
    let keys: Vec<&[Value]> = wanted.iter().map(|item| item.keys.as_slice()).collect();
    let columns: Vec<&TableColumn> = work.table.readable().collect();
    let rows = visible_values(Mode::Write, work.table, &keys, &columns)?;
    let by_index = |(at, values): (usize, Vec<Value>)| Some((wanted.get(at)?.index, values));
    Ok(Standing(rows.into_iter().filter_map(by_index).collect()))
}

/// What an item's losses come to: two values that differ.
pub(super) fn found<'a>(
    work: &'a Work<'_>,
    item: &'a Item<'_>,
    standing: &'a Standing,
) -> impl Iterator<Item = Found> + 'a {
    item.lost.iter().filter_map(move |cell| {
        let told = item.change.cells.get(cell.cell)?;
        let stands =
            (item.is_alive() && item.change.length == item.after.length) || cell.side == LostSide::Stored;
        let stored = match stands {
            true => value_of(work.table, standing.0.get(&item.index)?, cell.column)?,
            false => &Value::Null,
        };
        let (lost, won) = match (&cell.values, cell.side) {
            (Some((lost, won)), _) => (lost, won),
            (None, LostSide::Incoming) => (&told.value, stored),
            (None, LostSide::Stored) => (stored, &told.value),
        };
        (cell.reason == LostReason::RowDeleted || lost != won).then(|| Found {
            table: (work.table.id, work.table.schema.name.clone()),
            row_id: item.known.as_ref().map_or(0, |known| known.row_id),
            key: item.change.key.clone(),
            told_column: told.column,
            cell: LostCell { values: None, ..cell.clone() },
            lost: lost.clone(),
            won: won.clone(),
            is_kept: work.watch.is_some_and(|watch| watch.is_kept),
        })
    })
}

fn value_of<'a>(table: &Table, values: &'a [Value], column: ColumnId) -> Option<&'a Value> {
    values.get(table.readable().position(|readable| readable.id == column)?)
}

/// Those of the request's own cells that lost, as the reply tells them to a device that gave bases.
pub(super) fn told(found: &[Found], bases: &KnownBases, places: &Places) -> Vec<LostValue> {
    let mut lines = 0;
    let own = found.iter().filter(|found| found.cell.side == LostSide::Incoming).filter(|found| {
        lines += usize::from(found.cell.reason == LostReason::NewerLine);
        found.cell.reason != LostReason::NewerLine || lines <= MAX_TOLD_LINES
    });
    let told = own.filter_map(|found| {
        bases.0.get(&found.table.1)?.get(&found.key)?;
        let (table, row) = *places.0.get(&(found.table.1.clone(), found.key.clone()))?;
        Some(LostValue {
            table,
            row,
            column: u32::try_from(found.told_column).ok()?,
            reason: found.cell.reason,
            won: found.cell.won,
            value: found.won.clone(),
            line: found.line().map(|text| LostText { version: found.cell.lost.version, text: text.clone() }),
        })
    });
    told.collect()
}

/// Where each row stands in a request.
#[derive(Default)]
pub(super) struct Places(HashMap<(String, Key), (u32, u32)>);

impl Places {
    /// Those of a request that gives bases; of others nothing is told.
    pub(super) fn of(changes: &ChangeBatch, bases: &KnownBases) -> Places {
        let mut places = Places::default();
        for (at, table) in (0u32..).zip(&changes.tables) {
            if !bases.0.contains_key(&table.table) {
                continue;
            }
            for (row, change) in (0u32..).zip(&table.rows) {
                places.0.insert((table.table.clone(), change.key.clone()), (at, row));
            }
        }
        places
    }
}

/// Keeps what was found, once for each loss, and lets the oldest go.
///
/// # Errors
/// The metadata cannot be written.
pub(super) fn keep(found: &[Found]) -> Result<(), PgError> {
    let found: Vec<&Found> = found.iter().filter(|found| found.is_kept).collect();
    if found.is_empty() {
        return Ok(());
    }
    let version = |stamp: Stamp<SiteId>| i64::try_from(stamp.version.0).unwrap_or(i64::MAX);
    let longs = |get: &dyn Fn(&Found) -> i64| Arg::Longs(found.iter().map(|found| get(found)).collect());
    let texts =
        |get: &dyn Fn(&Found) -> Option<String>| Arg::Texts(found.iter().map(|found| get(found)).collect());
    let blobs =
        |get: &dyn Fn(&Found) -> Vec<u8>| Arg::Blobs(found.iter().map(|found| Some(get(found))).collect());
    let mut set = Set::default();
    set.push("table_id", longs(&|found| found.table.0));
    set.push("row_id", longs(&|found| found.row_id));
    set.push("col", longs(&|found| i64::from(found.cell.column.0)));
    set.push("lost_value", texts(&|found| shown(&found.lost)));
    set.push("lost_version", longs(&|found| version(found.cell.lost)));
    set.push("lost_site", blobs(&|found| found.cell.lost.site.0.to_vec()));
    set.push("won_value", texts(&|found| shown(&found.won)));
    set.push("won_version", longs(&|found| version(found.cell.won)));
    set.push("won_site", blobs(&|found| found.cell.won.site.0.to_vec()));
    // One write may have lost several lines.
    set.push("line", longs(&|found| found.line().map_or(0, |line| digest(line))));
    set.push("reason", texts(&|found| Some(found.cell.reason.text().to_owned())));
    let sql = format!("{KEEP} FROM {} ORDER BY u.ord ON CONFLICT DO NOTHING", set.as_from_item());
    let mut tables: Vec<i64> = found.iter().map(|found| found.table.0).collect();
    tables.dedup();
    AsOwner::run(|| {
        execute(&sql, set.into_args())?;
        execute(LET_GO, vec![Arg::Longs(tables)])
    })?;
    Ok(())
}

const KEEP: &str = "INSERT INTO cloudsync.conflicts (table_id, row_id, col, lost_value, lost_version, \
        lost_site, won_value, won_version, won_site, line, reason) \
    SELECT CAST(u.table_id AS pg_catalog.int4), u.row_id, CAST(u.col AS pg_catalog.int4), u.lost_value, \
        u.lost_version, u.lost_site, u.won_value, u.won_version, u.won_site, u.line, u.reason";

/// Removes from the lists of the tables `$1` what is too old or too much. What another push is removing at
/// the same time is left to it.
const LET_GO: &str = r"
WITH limits AS (
    SELECT t.id,
        COALESCE((SELECT CAST(s.value AS pg_catalog.int4) FROM cloudsync.table_settings s
            WHERE s.table_id OPERATOR(pg_catalog.=) t.id AND s.col_name OPERATOR(pg_catalog.=) '*'
                AND s.key OPERATOR(pg_catalog.=) 'conflicts_days'), 30) AS days,
        COALESCE((SELECT CAST(s.value AS pg_catalog.int4) FROM cloudsync.table_settings s
            WHERE s.table_id OPERATOR(pg_catalog.=) t.id AND s.col_name OPERATOR(pg_catalog.=) '*'
                AND s.key OPERATOR(pg_catalog.=) 'conflicts_rows'), 10000) AS rows
    FROM cloudsync.tables t WHERE t.id OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.int4[]))
), old AS (
    SELECT c.table_id, c.id FROM cloudsync.conflicts c JOIN limits l ON c.table_id OPERATOR(pg_catalog.=) l.id
    WHERE c.noted_at OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp()
            OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => l.days))
        OR c.id OPERATOR(pg_catalog.<=) (SELECT n.id FROM cloudsync.conflicts n
            WHERE n.table_id OPERATOR(pg_catalog.=) l.id ORDER BY n.id DESC OFFSET l.rows LIMIT 1)
    FOR UPDATE OF c SKIP LOCKED
)
DELETE FROM cloudsync.conflicts c USING old
WHERE c.table_id OPERATOR(pg_catalog.=) old.table_id AND c.id OPERATOR(pg_catalog.=) old.id";

/// A value as the list shows it.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("\\x{digits}"))
        }
    }
}
