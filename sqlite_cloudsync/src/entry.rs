//! The C entry points of the loadable extension. Allowed to be unsafe.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::mem::{MaybeUninit, offset_of};
use std::panic::catch_unwind;
use std::ptr;

use rusqlite::ffi::sqlite3_api_routines as Routines;
use rusqlite::{Connection, ffi};

/// The entry point for `cloudsync.so`, and by name for the file under any other name.
///
/// # Safety
/// Called by SQLite, with pointers that it owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_cloudsync_init(
    db: *mut ffi::sqlite3,
    message: *mut *mut c_char,
    api: *mut Routines,
) -> c_int {
    let load = || {
        // SAFETY: SQLite passes its own table of functions.
        let Some(mut api) = (unsafe { known_routines(api) }) else { return ffi::SQLITE_ERROR };
        // SAFETY: `db` and `message` are passed on as SQLite gave them; the table is read, not kept.
        unsafe { Connection::extension_init2(db, message, &raw mut api, register) }
    };
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
    api: *mut Routines,
) -> c_int {
    // SAFETY: as above.
    unsafe { sqlite3_cloudsync_init(db, message, api) }
}

fn register(connection: Connection) -> rusqlite::Result<bool> {
    crate::register(&connection)?;
    // Stay loaded when this connection closes: others may hold function pointers.
    Ok(true)
}

/// The oldest SQLite that has everything the extension calls and asks (`pragma_table_list`).
const OLDEST: c_int = 3_037_000;

/// How far SQLite's table of functions reaches, by release: it only ever grows at its end.
const REACH: [(c_int, usize); 5] = [
    (3_044_000, size_of::<Routines>()),
    (3_041_000, offset_of!(Routines, stmt_explain)),
    (3_040_000, offset_of!(Routines, is_interrupted)),
    (3_038_000, offset_of!(Routines, deserialize)),
    (OLDEST, offset_of!(Routines, error_offset)),
];

/// The host's functions in a table of the size that the bindings were made for.
///
/// The bindings are made for one release and refuse every older host, though all that the extension
/// calls has been there since [`OLDEST`]. So an older host's table is filled up with nothing, and
/// its version is told as the bindings'. `None`: the host is too old.
///
/// # Safety
/// `host` is null or the table that SQLite passes to an extension.
unsafe fn known_routines(host: *const Routines) -> Option<Routines> {
    if host.is_null() {
        return None;
    }
    // SAFETY: the field has been in the table since the first release that loads extensions.
    let version = unsafe { (*host).libversion_number? };
    // SAFETY: a function of the host without arguments.
    let version = unsafe { version() };
    let reach = REACH.iter().find(|(since, _)| version >= *since).map(|(_, bytes)| *bytes)?;
    let mut table: MaybeUninit<Routines> = MaybeUninit::zeroed();
    // SAFETY: the host's table has at least `reach` bytes, ours all that the bindings know of.
    unsafe { ptr::copy_nonoverlapping(host.cast::<u8>(), table.as_mut_ptr().cast::<u8>(), reach) };
    // SAFETY: every field is an optional function, and zero is none.
    let mut table = unsafe { table.assume_init() };
    if version < ffi::SQLITE_VERSION_NUMBER {
        table.libversion_number = Some(bindings_version);
    }
    Some(table)
}

unsafe extern "C" fn bindings_version() -> c_int {
    ffi::SQLITE_VERSION_NUMBER
}
