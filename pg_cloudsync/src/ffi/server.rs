//! Facts about the server that no SQL function tells on primary and standby alike.

use pgrx::pg_sys;

use crate::error::{PgError, Result};

/// The number that `initdb` gave the cluster.
pub fn system_identifier() -> u64 {
    // SAFETY: reads the control file's copy in shared memory, there since start-up.
    unsafe { pg_sys::GetSystemIdentifier() }
}

/// The timeline that is written, or on a standby replayed.
pub fn timeline() -> u32 {
    // SAFETY: both read shared memory under PostgreSQL's own locks; which of them may be asked
    // depends on recovery, and a promotion between the two calls is answered by the old timeline.
    unsafe {
        if pg_sys::RecoveryInProgress() {
            let mut timeline: pg_sys::TimeLineID = 0;
            pg_sys::GetXLogReplayRecPtr(&mut timeline);
            timeline
        } else {
            write_timeline()
        }
    }
}

#[cfg(not(feature = "pg14"))]
unsafe fn write_timeline() -> u32 {
    // SAFETY: the caller has seen that recovery is over.
    unsafe { pg_sys::GetWALInsertionTimeLine() }
}

#[cfg(feature = "pg14")]
unsafe fn write_timeline() -> u32 {
    // SAFETY: a word that is set before the first statement of a backend.
    unsafe { pg_sys::ThisTimeLineID }
}

/// The transaction's number; one is assigned if it had none.
pub fn transaction() -> u64 {
    // SAFETY: called by functions that write, inside a transaction.
    unsafe { pg_sys::GetTopFullTransactionId() }.value
}

/// Sixteen random bytes, as strong as PostgreSQL's own.
///
/// # Errors
/// The system has no source of randomness.
pub fn random_bytes() -> Result<[u8; 16]> {
    let mut bytes = [0u8; 16];
    // SAFETY: the buffer has the length that is told.
    if unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), bytes.len()) } {
        Ok(bytes)
    } else {
        Err(PgError::internal("cloudsync: the system gives no random bytes"))
    }
}
