//! The C entry points of the loadable extension. Allowed to be unsafe.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::panic::catch_unwind;

use rusqlite::{Connection, ffi};

/// The entry point for `cloudsync.so`, and by name for the file under any other name.
///
/// # Safety
/// Called by SQLite, with pointers that it owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_cloudsync_init(
    db: *mut ffi::sqlite3,
    message: *mut *mut c_char,
    api: *mut ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: the three pointers are passed on as SQLite gave them.
    let load = || unsafe { Connection::extension_init2(db, message, api, register) };
    // A panic must not cross into C.
    catch_unwind(load).unwrap_or(ffi::SQLITE_ERROR)
}

/// The entry point that SQLite looks for first, whatever the file is called.
///
/// # Safety
/// As [`sqlite3_cloudsync_init`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_extension_init(
    db: *mut ffi::sqlite3,
    message: *mut *mut c_char,
    api: *mut ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: as above.
    unsafe { sqlite3_cloudsync_init(db, message, api) }
}

fn register(connection: Connection) -> rusqlite::Result<bool> {
    crate::register(&connection)?;
    // Stay loaded when this connection closes: others may hold function pointers.
    Ok(true)
}
