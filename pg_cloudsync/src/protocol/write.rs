//! The statements that carry out decisions: base rows as the caller, clocks as the owner.

use std::collections::BTreeMap;

use cloudsync_shared::capture::{LocalWrite, touch};
use cloudsync_shared::clock::RowClock;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{ColumnId, SiteOrdinal};
use cloudsync_shared::value::Value;

use super::filter::{check_after, check_before};
use super::item::{Item, Shape, Work};
use super::known::read_known;
use super::refuse::passed_over;
use super::reread::{differing, read_before};
use super::set::{Set, base_join};
use super::sites::SiteNames;
use super::spi::{Arg, Mode, execute, query};
use super::table::{Table, TableColumn};
use super::texts::keep_documents;
use crate::error::PgError;
use crate::ffi::flag::applying;
use crate::ffi::owner::AsOwner;

/// What a batch of rows became.
pub(super) enum Written {
    /// For each item its row id, and whether the database stored something else than was pushed.
    Done(Vec<(i64, bool)>),
    /// Another transaction, or a trigger, changed a clock meanwhile: nothing of this may stay.
    Overtaken,
}

/// The time and the rest of the push that writing needs.
pub(super) struct Setting<'a> {
    /// The sites of the push.
    pub(super) sites: &'a SiteNames,
    /// The server's clock.
    pub(super) now: Millis,
    /// The highest version seen anywhere.
    pub(super) highest: Version,
    /// Whether deferrable constraints are checked with each batch.
    pub(super) check_now: bool,
    /// Whether a clock that moved while the row was written was moved by a trigger of the write.
    pub(super) triggers_touch: bool,
}

/// Writes a batch.
///
/// # Errors
/// The database refused one of the rows, or failed.
pub(super) fn write(work: &Work<'_>, items: &[Item<'_>], setting: &Setting<'_>) -> Result<Written, PgError> {
    let before = read_before(work, items, setting.triggers_touch)?;
    check_before(work.table, items)?;
    write_rows(work, items)?;
    check_after(work.table, items)?;
    // What the server writes itself: a write of the whole, of text too.
    let mut differing = differing(work, items, &before, setting.triggers_touch)?;
    for (columns, item) in differing.iter_mut().zip(items) {
        columns.extend(&item.renewed);
    }
    let clocks = final_clocks(work, items, setting, &differing)?;
    let mut stored: Vec<Vec<u8>> = Vec::with_capacity(items.len());
    let mut changed = Vec::with_capacity(items.len());
    for (clock, differs) in clocks {
        stored.push(clock.to_bytes());
        changed.push(differs);
    }
    let ids = if setting.triggers_touch {
        write_clocks(work.table, &touched_by_triggers(work.table, items)?, &stored)?
    } else {
        write_clocks(work.table, items, &stored)?
    };
    let Some(ids) = ids else { return Ok(Written::Overtaken) };
    if !work.table.lines.is_empty() {
        let rows: Vec<_> = items
            .iter()
            .zip(&ids)
            .zip(&differing)
            .map(|((item, id), columns)| (item, *id, columns.as_slice()))
            .collect();
        keep_documents(work, setting.sites, &rows)?;
    }
    if setting.check_now {
        execute("SET CONSTRAINTS ALL IMMEDIATE", Vec::new())?;
    }
    Ok(Written::Done(ids.into_iter().zip(changed).collect()))
}

/// The items with the clocks that triggers of their own write left.
fn touched_by_triggers<'a>(table: &Table, items: &[Item<'a>]) -> Result<Vec<Item<'a>>, PgError> {
    let keys: Vec<&[Value]> = items.iter().map(|item| item.keys.as_slice()).collect();
    let known = read_known(table, &keys)?;
    Ok(items.iter().zip(known).map(|(item, known)| Item { known, ..item.clone() }).collect())
}

fn write_rows(work: &Work<'_>, items: &[Item<'_>]) -> Result<(), PgError> {
    let mut groups: BTreeMap<Shape, Vec<&Item<'_>>> = BTreeMap::new();
    for item in items {
        groups.entry(item.shape(work)).or_default().push(item);
    }
    let relation = u32::try_from(work.table.oid).unwrap_or_default().into();
    for (shape, group) in &groups {
        let (sql, set) = match shape {
            Shape::None => continue,
            Shape::Insert(ids) => insert(work, ids, group)?,
            Shape::Update(ids, reset) => update(work, ids, reset, group)?,
            Shape::Delete => delete(work, group)?,
        };
        let _applying = applying(relation);
        let touched = execute(&sql, set.into_args())?;
        if touched != group.len() {
            return Err(passed_over(&work.table.relation).into());
        }
    }
    Ok(())
}

fn insert(work: &Work<'_>, ids: &[ColumnId], group: &[&Item<'_>]) -> Result<(String, Set), PgError> {
    let table = work.table;
    let (set, columns) = group_set(work, ids, group)?;
    let mut names: Vec<&str> = table.keys.iter().map(|key| key.quoted.as_str()).collect();
    names.extend(columns.iter().map(|column| column.quoted.as_str()));
    let keys = (1..=table.keys.len()).map(|at| format!("u.k{at}"));
    let cells = columns.iter().enumerate().map(|(at, column)| column.kind.input(&format!("u.c{}", at + 1)));
    let values: Vec<String> = keys.chain(cells).collect();
    let sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}",
        table.relation,
        names.join(", "),
        values.join(", "),
        set.as_from_item()
    );
    Ok((sql, set))
}

fn update(
    work: &Work<'_>,
    ids: &[ColumnId],
    reset: &[ColumnId],
    group: &[&Item<'_>],
) -> Result<(String, Set), PgError> {
    let (set, columns) = group_set(work, ids, group)?;
    let cells = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("{} = {}", column.quoted, column.kind.input(&format!("u.c{}", at + 1))));
    let defaults =
        columns_of(work.table, reset).into_iter().map(|column| format!("{} = DEFAULT", column.quoted));
    let assignments: Vec<String> = cells.chain(defaults).collect();
    let sql = format!(
        "UPDATE {} AS t SET {} FROM {} WHERE {}",
        work.table.relation,
        assignments.join(", "),
        set.as_from_item(),
        base_join(&work.table.keys)
    );
    Ok((sql, set))
}

fn delete(work: &Work<'_>, group: &[&Item<'_>]) -> Result<(String, Set), PgError> {
    let (set, _) = group_set(work, &[], group)?;
    let sql = format!(
        "DELETE FROM {} AS t USING {} WHERE {}",
        work.table.relation,
        set.as_from_item(),
        base_join(&work.table.keys)
    );
    Ok((sql, set))
}

/// The group's keys as `k1`…, its cells as `c1`….
fn group_set<'a>(
    work: &Work<'a>,
    ids: &[ColumnId],
    group: &[&Item<'_>],
) -> Result<(Set, Vec<&'a TableColumn>), PgError> {
    let mut set = Set::default();
    let keys: Vec<&[Value]> = group.iter().map(|item| item.keys.as_slice()).collect();
    set.push_keys(&work.table.keys, &keys)?;
    let columns = columns_of(work.table, ids);
    let cells: Vec<Vec<(ColumnId, &Value)>> = group.iter().map(|item| item.cells(work)).collect();
    for (at, column) in columns.iter().enumerate() {
        let values = cells.iter().map(|row| row.get(at).map_or(&Value::Null, |(_, value)| *value));
        set.push_values(&format!("c{}", at + 1), column, values)?;
    }
    Ok((set, columns))
}

fn columns_of<'a>(table: &'a Table, ids: &[ColumnId]) -> Vec<&'a TableColumn> {
    ids.iter().filter_map(|id| table.column(*id)).collect()
}

/// The clocks to store: the decided ones, with a local write on top where the database stored
/// something else than was pushed, so that the device hears of it.
fn final_clocks(
    work: &Work<'_>,
    items: &[Item<'_>],
    setting: &Setting<'_>,
    differing: &[Vec<ColumnId>],
) -> Result<Vec<(RowClock<SiteOrdinal>, bool)>, PgError> {
    let algorithm = work.table.schema.algorithm;
    let clocks = items.iter().zip(differing).map(|(item, columns)| {
        let clock = setting.sites.with_ordinals(&item.after)?;
        let columns: Vec<ColumnId> = columns.iter().chain(&item.lifted).copied().collect();
        if columns.is_empty() {
            return Ok((clock, false));
        }
        let write = LocalWrite::Update(columns);
        Ok((touch(algorithm, Some(&clock), &write, setting.now, setting.highest), true))
    });
    clocks.collect()
}

/// Stores clocks where they still are what the decision rested on; `None` if one is not.
fn write_clocks(table: &Table, items: &[Item<'_>], stored: &[Vec<u8>]) -> Result<Option<Vec<i64>>, PgError> {
    let mut ids = vec![0i64; items.len()];
    let mut fresh = Vec::new();
    let (mut known_ids, mut known_before, mut known_after) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (item, bytes)) in items.iter().zip(stored).enumerate() {
        match &item.known {
            None => fresh.push((at, item, bytes)),
            Some(known) => {
                if let Some(id) = ids.get_mut(at) {
                    *id = known.row_id;
                }
                known_ids.push(known.row_id);
                known_before.push(Some(known.bytes.clone()));
                known_after.push(Some(bytes.clone()));
            }
        }
    }
    AsOwner::run(|| {
        let wanted = known_ids.len();
        if wanted > 0 && update_clocks(table, known_ids, known_before, known_after)? != wanted {
            return Ok(None);
        }
        if fresh.is_empty() {
            return Ok(Some(ids));
        }
        let new_ids = reserve_ids(table, fresh.len())?;
        let keys: Vec<&[Value]> = fresh.iter().map(|(_, item, _)| item.keys.as_slice()).collect();
        let clocks = fresh.iter().map(|(_, _, bytes)| Some((*bytes).clone())).collect();
        for ((at, _, _), new_id) in fresh.iter().zip(&new_ids) {
            if let Some(id) = ids.get_mut(*at) {
                *id = *new_id;
            }
        }
        let wanted = new_ids.len();
        let inserted = insert_clocks(table, &keys, new_ids, clocks)?;
        Ok((inserted == wanted).then_some(ids))
    })
}

fn update_clocks(
    table: &Table,
    ids: Vec<i64>,
    before: Vec<Option<Vec<u8>>>,
    after: Vec<Option<Vec<u8>>>,
) -> Result<usize, PgError> {
    let mut set = Set::default();
    set.push("row_id", Arg::Longs(ids));
    set.push("after", Arg::Blobs(after));
    set.push("before", Arg::Blobs(before));
    let sql = format!(
        "UPDATE {} AS c SET clock = u.after FROM {} WHERE c.row_id OPERATOR(pg_catalog.=) u.row_id \
            AND c.clock OPERATOR(pg_catalog.=) u.before",
        table.clocks,
        set.as_from_item()
    );
    execute(&sql, set.into_args())
}

fn reserve_ids(table: &Table, count: usize) -> Result<Vec<i64>, PgError> {
    // The sequence is looked up once, not for each row.
    let sql = "SELECT pg_catalog.nextval((SELECT CAST(pg_catalog.pg_get_serial_sequence($1, 'row_id') \
            AS pg_catalog.regclass))) FROM pg_catalog.generate_series(1, $2)";
    let args = vec![Arg::Text(table.clocks.clone()), Arg::Long(i64::try_from(count).unwrap_or_default())];
    query(Mode::Write, sql, args, |row| row.known_long(1))
}

fn insert_clocks(
    table: &Table,
    keys: &[&[Value]],
    ids: Vec<i64>,
    clocks: Vec<Option<Vec<u8>>>,
) -> Result<usize, PgError> {
    let mut set = Set::default();
    set.push_keys(&table.keys, keys)?;
    set.push("row_id", Arg::Longs(ids));
    set.push("clock", Arg::Blobs(clocks));
    let names: Vec<String> = (1..=table.keys.len()).map(|at| format!("k{at}")).collect();
    let values: Vec<String> = names.iter().map(|name| format!("u.{name}")).collect();
    let sql = format!(
        "INSERT INTO {} (row_id, {}, clock) OVERRIDING SYSTEM VALUE SELECT u.row_id, {}, u.clock FROM {} \
            ON CONFLICT DO NOTHING",
        table.clocks,
        names.join(", "),
        values.join(", "),
        set.as_from_item()
    );
    execute(&sql, set.into_args())
}
