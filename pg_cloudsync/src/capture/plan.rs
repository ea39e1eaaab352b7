//! Prepared capture statements, kept for the life of the backend and made anew when a table changes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cloudsync_shared::schema::Algorithm;
use pgrx::pg_sys;
use pgrx::spi::{OwnedPreparedStatement, SpiClient};

use crate::capture::statement;
use crate::catalog;
use crate::error::Result;
use crate::ffi::invalidate;
use crate::ffi::trigger::Event;

/// A prepared statement and what else capture must know of the table.
pub struct Plan {
    /// The statement; it has no parameters.
    pub statement: OwnedPreparedStatement,
    /// The table's algorithm.
    pub algorithm: Algorithm,
    /// The table's name, for messages.
    pub table: String,
}

type Cache = HashMap<(pg_sys::Oid, i32, Event), Rc<Plan>>;

thread_local! {
    static PLANS: RefCell<Option<Cache>> = const { RefCell::new(None) };
}

/// The plan for statements of this kind on this relation, which is synced table `id` or one of its
/// partitions; `None` if the table is not synced any more.
///
/// # Errors
/// The catalog cannot be read, or the statement does not parse.
pub fn find(
    client: &SpiClient<'_>,
    relation: pg_sys::Oid,
    id: i32,
    event: Event,
) -> Result<Option<Rc<Plan>>> {
    if invalidate::is_unchanged(relation) {
        let known = PLANS
            .with_borrow(|plans| plans.as_ref().and_then(|map| map.get(&(relation, id, event)).cloned()));
        if known.is_some() {
            return Ok(known);
        }
    } else {
        forget(relation);
        // Before the catalog is read, so that a change in between is noticed.
        invalidate::watch(relation);
    }
    let Some(table) = catalog::by_id(id)? else { return Ok(None) };
    let text = statement::capture(&table, relation, event)?;
    let plan = Rc::new(Plan {
        statement: client.prepare_mut(&text, &[])?.keep(),
        algorithm: table.algorithm,
        table: table.qualified,
    });
    PLANS.with_borrow_mut(|plans| {
        plans.get_or_insert_default().insert((relation, id, event), Rc::clone(&plan));
    });
    Ok(Some(plan))
}

fn forget(relation: pg_sys::Oid) {
    // Dropped after the map is free again: dropping a plan calls PostgreSQL.
    let old: Vec<Rc<Plan>> = PLANS.with_borrow_mut(|plans| {
        let Some(map) = plans.as_mut() else { return Vec::new() };
        let keys: Vec<_> = map.keys().filter(|key| key.0 == relation).copied().collect();
        keys.iter().filter_map(|key| map.remove(key)).collect()
    });
    drop(old);
}
