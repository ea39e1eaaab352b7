//! Statements that may fail without failing the whole: a subtransaction around a closure.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, pg_sys};

use crate::error::{PgError, Result, SqlState};

unsafe extern "C-unwind" {
    /// The SQLSTATE of the error being raised; only callable from an error context callback.
    fn geterrcode() -> c_int;
}

thread_local! {
    /// The SQLSTATE last raised. PostgreSQL allows any five characters, the binding knows only the
    /// standard ones: an error of a user's trigger with its own SQLSTATE would lose it.
    static LAST_CODE: Cell<c_int> = const { Cell::new(0) };
}

/// Runs `action` in a subtransaction. If it fails, by a PostgreSQL error or by returning one,
/// everything it did is undone and the error is the result.
///
/// # Errors
/// The error that `action` returned or raised. A cancelled query and the end of the connection are
/// not caught: they go on.
pub fn in_subtransaction<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: the pair of begin and release/rollback below is balanced on every path; resource owner
    // and memory context are restored to those of before, as PL/pgSQL does for its exception blocks.
    let (context, owner) = unsafe {
        let saved = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = saved.0;
        saved
    };
    let outcome = catch(action);
    // SAFETY: as above.
    unsafe {
        match outcome {
            Ok(_) => pg_sys::ReleaseCurrentSubTransaction(),
            Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::CurrentMemoryContext = context;
        pg_sys::CurrentResourceOwner = owner;
    }
    match outcome {
        Err(Failure::Fatal(error)) => error.rethrow(),
        Err(Failure::Refused(error)) => Err(error),
        Ok(value) => Ok(value),
    }
}

enum Failure {
    /// To be handed back.
    Refused(PgError),
    /// To be raised again once the subtransaction is gone.
    Fatal(Box<CaughtError>),
}

fn catch<T>(action: impl FnOnce() -> Result<T>) -> std::result::Result<T, Failure> {
    let mut callback = pg_sys::ErrorContextCallback {
        previous: std::ptr::null_mut(),
        callback: Some(note_code),
        arg: std::ptr::null_mut(),
    };
    // SAFETY: the callback lives on this frame and is unlinked below, before the frame ends: neither
    // a PostgreSQL error (turned into an unwind that is caught here) nor a panic leaves it.
    let previous = unsafe {
        let previous = pg_sys::error_context_stack;
        callback.previous = previous;
        pg_sys::error_context_stack = &mut callback;
        previous
    };
    LAST_CODE.set(0);
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| action().map_err(Failure::Refused)))
        .catch_others(|error| Err(judge(error)))
        .execute();
    // SAFETY: see above.
    unsafe { pg_sys::error_context_stack = previous };
    outcome
}

fn judge(error: CaughtError) -> Failure {
    let (CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)) = &error else {
        return Failure::Fatal(Box::new(error));
    };
    let mut sqlstate = SqlState::from_code(report.sql_error_code() as c_int);
    if sqlstate == SqlState::INTERNAL && LAST_CODE.get() != 0 {
        sqlstate = SqlState::from_code(LAST_CODE.get());
    }
    // Operator intervention (a cancel, a timeout, a shutdown) is about the session, not the row.
    if sqlstate.as_str().starts_with("57") {
        return Failure::Fatal(Box::new(error));
    }
    Failure::Refused(PgError {
        sqlstate,
        message: report.message().to_owned(),
        detail: report.detail().map(str::to_owned),
        hint: report.hint().map(str::to_owned),
    })
}

unsafe extern "C-unwind" fn note_code(_arg: *mut c_void) {
    // SAFETY: PostgreSQL calls this while it raises an error, which is when `geterrcode` may be asked.
    LAST_CODE.set(unsafe { geterrcode() });
}
