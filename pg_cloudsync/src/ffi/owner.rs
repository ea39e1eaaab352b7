//! Acting as the extension's owner for a while: the only way to the metadata.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

use crate::error::{PgError, Result, SqlState};

/// The search path while acting as the owner: nothing that a user can put objects into goes first.
const OWNER_PATH: &CStr = c"pg_catalog, pg_temp";
const SCHEMA: &CStr = c"cloudsync";

/// While it lives, the current user is the extension's owner and the search path is
/// `pg_catalog, pg_temp`. Never run anything of the caller's (a statement on a user's table, a
/// function of theirs) inside it.
///
/// The owner is taken to be that of schema `cloudsync`, which `CREATE EXTENSION` makes the same
/// role: the catalog cache answers that at once and hears of changes.
#[must_use = "the role is given back when the guard is dropped"]
pub struct AsOwner {
    user: pg_sys::Oid,
    context: c_int,
    nest_level: c_int,
}

impl AsOwner {
    /// Becomes the owner.
    ///
    /// # Errors
    /// The extension is not installed in this database.
    pub fn enter() -> Result<AsOwner> {
        let owner = owner()?;
        let mut user = pg_sys::InvalidOid;
        let mut context: c_int = 0;
        // SAFETY: plain reads and writes of backend state, on the backend's only thread. If an error
        // leaves this scope by force, the abort of the (sub)transaction restores user, security
        // context and settings to what they were at its start: every caller is inside one.
        let nest_level = unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            let nest_level = pg_sys::NewGUCNestLevel();
            pg_sys::SetUserIdAndSecContext(owner, context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as c_int);
            set_option(c"search_path", OWNER_PATH);
            nest_level
        };
        Ok(AsOwner { user, context, nest_level })
    }

    /// Runs `action` as the owner.
    ///
    /// # Errors
    /// Those of [`AsOwner::enter`] and of `action`.
    pub fn run<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
        let _owner = AsOwner::enter()?;
        action()
    }

    /// Switches off, until the guard is dropped, every way of planning but lookups by index. A kept
    /// plan is made once: by a first statement of a hundred thousand rows, or on a table that is still
    /// empty, it would be made to read the whole table for each statement to come.
    ///
    /// What is switched off is priced beyond reason, which would make PostgreSQL compile each such plan
    /// before it runs: 0.2 to 0.5 s a statement. So that is switched off too.
    pub fn plan_by_index(&self) {
        let options =
            [c"enable_seqscan", c"enable_bitmapscan", c"enable_hashjoin", c"enable_mergejoin", c"jit"];
        for option in options {
            // SAFETY: the guard's nest level is open, so the settings of before come back with it.
            unsafe { set_option(option, c"off") };
        }
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        // A PostgreSQL error is on its way: the abort that follows restores everything itself, and
        // may not be anticipated, for settings are on a stack.
        if std::thread::panicking() {
            return;
        }
        // SAFETY: the values are those read by `enter`; guards nest as scopes do, so the nest level
        // is the innermost one.
        unsafe {
            pg_sys::AtEOXact_GUC(true, self.nest_level);
            pg_sys::SetUserIdAndSecContext(self.user, self.context);
        }
    }
}

/// Sets an option for as long as the innermost nest level lasts.
pub(super) unsafe fn set_option(name: &CStr, value: &CStr) {
    // SAFETY: the caller has opened a nest level; both strings end in NUL.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        )
    };
}

/// While it lives, the current user is a table's owner and row-level security does not apply to that
/// role on its own tables, as in PostgreSQL's own foreign key checks.
///
/// Whoever plans a query on a table may run what its owner wrote: a constant function in the
/// expression of an index is evaluated while planning. So capture reads users' tables as their
/// owners, never as the extension's.
#[must_use = "the role is given back when the guard is dropped"]
pub struct AsTableOwner {
    user: pg_sys::Oid,
    context: c_int,
}

impl AsTableOwner {
    /// Becomes this role, which must own the table that is about to be read. The search path stays.
    pub fn enter(owner: pg_sys::Oid) -> AsTableOwner {
        let mut user = pg_sys::InvalidOid;
        let mut context: c_int = 0;
        let flags = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_NOFORCE_RLS;
        // SAFETY: as in `AsOwner::enter`.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            pg_sys::SetUserIdAndSecContext(owner, context | flags as c_int);
        }
        AsTableOwner { user, context }
    }
}

impl Drop for AsTableOwner {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // SAFETY: as in `AsOwner::drop`.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) };
    }
}

/// The role that is current now.
pub fn caller() -> pg_sys::Oid {
    // SAFETY: a plain read of backend state, on the backend's only thread.
    unsafe { pg_sys::GetUserId() }
}

/// The role that owns the extension.
///
/// # Errors
/// The extension is not installed in this database.
pub fn owner() -> Result<pg_sys::Oid> {
    // SAFETY: a catalog cache entry is read while it is held, then released; the struct is the fixed
    // part of a pg_namespace row.
    let owner = unsafe {
        let schema = pg_sys::get_namespace_oid(SCHEMA.as_ptr(), true);
        let cache = pg_sys::SysCacheIdentifier::NAMESPACEOID as c_int;
        let tuple = pg_sys::SearchSysCache1(cache, schema.into());
        if tuple.is_null() {
            None
        } else {
            let row = pg_sys::GETSTRUCT(tuple) as pg_sys::Form_pg_namespace;
            let owner = (*row).nspowner;
            pg_sys::ReleaseSysCache(tuple);
            Some(owner)
        }
    };
    owner.ok_or_else(|| {
        PgError::new(SqlState::NOT_IN_STATE, "extension cloudsync is not installed in this database")
            .with_hint("CREATE EXTENSION cloudsync;")
    })
}
