//! Row filters: rows outside a table's filter are as hidden from a sync as by a policy.
//!
//! The expression is kept as a function of the columns that it reads, parsed once by its owner's search
//! path. It runs with the rights of whoever syncs, beside that role's policies and after them.

use cloudsync_shared::value::Value;

use super::item::Item;
use super::refuse::outside_filter;
use super::set::{Set, base_join};
use super::spi::{Arg, Mode, query};
use super::table::Table;
use cloudsync_shared::merge::RowAction;

use crate::error::{PgError, SqlState};
use crate::ffi::owner::{AsOwner, caller};

/// The filter of one table.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// Its table's number in the catalog of synced tables.
    table: i64,
    /// Its call, of a row `t`.
    pub(super) call: String,
    /// All that makes it this filter and no other.
    pub(super) digest: String,
    /// Whether the caller may read what it reads.
    pub(super) is_readable: bool,
    /// Whether the columns that it reads are still there, with the types that they had.
    fits: bool,
}

/// The filters of synced tables: for each its call with the columns as they are called now, whether they
/// are still what they were, and whether the role `$1` may read them.
const FILTERS: &str = "\
    SELECT f.table_id::int8, \
        format('%s(%s)', f.function, string_agg('t.' || quote_ident(a.attname), ', ' ORDER BY u.place)), \
        concat_ws(' ', f.function::regproc::oid, f.expression), \
        coalesce(bool_and(has_column_privilege($1::oid, t.relation, a.attnum, 'SELECT')), true), \
        count(a.attnum) = cardinality(f.columns) AND coalesce(bool_and(a.atttypid = f.types[u.place]), true) \
    FROM cloudsync.filters f JOIN cloudsync.tables t ON t.id = f.table_id \
    JOIN pg_class c ON c.oid = t.relation \
    LEFT JOIN LATERAL unnest(f.columns) WITH ORDINALITY AS u(attnum, place) ON true \
    LEFT JOIN pg_attribute a ON a.attrelid = t.relation AND a.attnum = u.attnum AND NOT a.attisdropped \
    GROUP BY f.table_id, t.id";

/// Reads the filters of all synced tables.
///
/// # Errors
/// The metadata cannot be read.
pub(super) fn read(mode: Mode) -> Result<Vec<Filter>, PgError> {
    let role = i64::from(caller().to_u32());
    AsOwner::run(|| {
        query(mode, FILTERS, vec![Arg::Long(role)], |row| {
            Ok(Filter {
                table: row.known_long(1)?,
                call: row.known_text(2)?,
                digest: row.known_text(3)?,
                is_readable: row.flag(4)?,
                fits: row.flag(5)?,
            })
        })
    })
}

/// Takes out the filter of a table.
///
/// # Errors
/// The table has changed so that it cannot be asked.
pub(super) fn take(filters: &mut Vec<Filter>, table: i64, name: &str) -> Result<Option<Filter>, PgError> {
    let Some(at) = filters.iter().position(|filter| filter.table == table) else { return Ok(None) };
    let filter = filters.swap_remove(at);
    if filter.fits {
        return Ok(Some(filter));
    }
    let message = format!("table {name} has changed, and its row filter does not fit it any more");
    Err(PgError::new(SqlState::NOT_IN_STATE, message)
        .with_hint("The owner of the table calls cloudsync_set_filter() or cloudsync_clear_filter()."))
}

impl Table {
    /// ` WHERE …` with the filter, for a query whose rows of the table are called `t`; nothing without one.
    pub(super) fn where_shared(&self) -> String {
        self.filter.as_ref().map_or(String::new(), |filter| format!(" WHERE {}", filter.call))
    }
}

/// Refuses a batch that writes rows which stand outside the filter, before it is written.
///
/// # Errors
/// One does.
pub(super) fn check_before(table: &Table, items: &[Item<'_>]) -> Result<(), PgError> {
    let stands = |item: &&Item<'_>| matches!(item.action, RowAction::Update { .. } | RowAction::Delete);
    check(table, items.iter().filter(stands))
}

/// Refuses a batch that has written rows which stand outside the filter now.
///
/// # Errors
/// One does.
pub(super) fn check_after(table: &Table, items: &[Item<'_>]) -> Result<(), PgError> {
    let stands =
        |item: &&Item<'_>| matches!(item.action, RowAction::Insert { .. } | RowAction::Update { .. });
    check(table, items.iter().filter(stands))
}

fn check<'a, 'b: 'a>(table: &Table, items: impl Iterator<Item = &'a Item<'b>>) -> Result<(), PgError> {
    let Some(filter) = &table.filter else { return Ok(()) };
    let keys: Vec<&[Value]> = items.map(|item| item.keys.as_slice()).collect();
    if keys.is_empty() || !table.can_select() {
        return Ok(());
    }
    let mut set = Set::default();
    set.push_keys(&table.keys, &keys)?;
    let sql = format!(
        "SELECT 1 FROM {} JOIN {} AS t ON {} WHERE ({}) IS NOT TRUE LIMIT 1",
        set.as_from_item(),
        table.relation,
        base_join(&table.keys),
        filter.call
    );
    let found = query(Mode::Write, &sql, set.into_args(), |_| Ok(()))?;
    if found.is_empty() { Ok(()) } else { Err(outside_filter(&table.relation).into()) }
}
