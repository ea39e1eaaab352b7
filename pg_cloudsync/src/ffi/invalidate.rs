//! Hears which tables' definitions change, so that what was derived from them is derived anew.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use pgrx::pg_sys;

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    /// The watched tables, and whether each changed since it was last asked for.
    static WATCHED: RefCell<Option<HashMap<pg_sys::Oid, bool>>> = const { RefCell::new(None) };
}

/// Begins to watch a table, from now on without a change.
pub fn watch(relation: pg_sys::Oid) {
    if !REGISTERED.replace(true) {
        // SAFETY: a function of this library, which is never unloaded, is registered once a backend.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(note), pg_sys::Datum::from(0)) };
    }
    WATCHED.with_borrow_mut(|watched| {
        watched.get_or_insert_default().insert(relation, false);
    });
}

/// Whether a table is watched and has not changed since.
pub fn is_unchanged(relation: pg_sys::Oid) -> bool {
    WATCHED.with_borrow(|watched| watched.as_ref().and_then(|map| map.get(&relation)) == Some(&false))
}

unsafe extern "C-unwind" fn note(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    WATCHED.with(|watched| {
        // Nobody holds the map while calling PostgreSQL, so this never fails.
        let Ok(mut watched) = watched.try_borrow_mut() else { return };
        let Some(map) = watched.as_mut() else { return };
        if relation == pg_sys::InvalidOid {
            map.values_mut().for_each(|changed| *changed = true);
        } else if let Some(changed) = map.get_mut(&relation) {
            *changed = true;
        }
    });
}
