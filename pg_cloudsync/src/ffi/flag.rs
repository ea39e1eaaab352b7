//! The echo guard: which statement of this backend writes what a device sent, and is therefore no
//! local write. It lives in the backend's memory, so nobody can set it from SQL.

use std::cell::RefCell;

use pgrx::callbacks::{PgXactCallbackEvent, register_xact_callback};
use pgrx::{direct_function_call, pg_sys};

thread_local! {
    static APPLYING: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy, PartialEq)]
struct Frame {
    relation: pg_sys::Oid,
    /// How deep in triggers the writer stands; its own statement's triggers are one deeper.
    depth: i32,
}

/// While it lives, statements that its maker itself issues on the relation are not captured. What
/// users' triggers write in turn, on this relation or another, is.
#[must_use = "capture resumes when the guard is dropped"]
pub struct Applying {
    frame: Frame,
}

/// Begins to write what a device sent.
pub fn applying(relation: pg_sys::Oid) -> Applying {
    let frame = Frame { relation, depth: trigger_depth() };
    let first = APPLYING.with_borrow_mut(|frames| {
        frames.push(frame);
        frames.len() == 1
    });
    if first {
        // The guard's own drop runs on every way out; this is for the one nobody thought of.
        register_xact_callback(PgXactCallbackEvent::Abort, || APPLYING.with_borrow_mut(Vec::clear));
    }
    Applying { frame }
}

/// Whether the trigger that asks was fired by such a statement on this relation.
pub fn is_applying(relation: pg_sys::Oid) -> bool {
    APPLYING.with_borrow(|frames| {
        !frames.is_empty() && frames.contains(&Frame { relation, depth: trigger_depth() - 1 })
    })
}

impl Drop for Applying {
    fn drop(&mut self) {
        APPLYING.with_borrow_mut(|frames| {
            if let Some(at) = frames.iter().rposition(|frame| *frame == self.frame) {
                frames.remove(at);
            }
        });
    }
}

fn trigger_depth() -> i32 {
    // SAFETY: the function takes no argument and reads one counter.
    unsafe { direct_function_call::<i32>(pg_sys::pg_trigger_depth, &[]) }.unwrap_or(0)
}
