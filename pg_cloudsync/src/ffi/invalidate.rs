//! Hears which tables' definitions change, so that what was derived from them is derived anew.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use pgrx::pg_sys;

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    /// The tables asked for, and how often each changed since it first was.
    static CHANGES: RefCell<Option<HashMap<pg_sys::Oid, u64>>> = const { RefCell::new(None) };
}

/// A number that is another after a table's definition changed. Ask before reading the definition,
/// and keep the number with what was read.
pub fn generation(relation: pg_sys::Oid) -> u64 {
    if !REGISTERED.replace(true) {
        // SAFETY: a function of this library, which is never unloaded, is registered once a backend.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(note), pg_sys::Datum::from(0)) };
    }
    CHANGES.with_borrow_mut(|changes| *changes.get_or_insert_default().entry(relation).or_insert(0))
}

unsafe extern "C-unwind" fn note(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    CHANGES.with(|changes| {
        // Nobody holds the map while calling PostgreSQL, so this never fails.
        let Ok(mut changes) = changes.try_borrow_mut() else { return };
        let Some(map) = changes.as_mut() else { return };
        if relation == pg_sys::InvalidOid {
            map.values_mut().for_each(|count| *count += 1);
        } else if let Some(count) = map.get_mut(&relation) {
            *count += 1;
        }
    });
}
