//! What SQLite's C interface demands: a connection from a callback, and the shell of a virtual
//! table. Allowed to be unsafe.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use rusqlite::functions::Context;
use rusqlite::types::ValueRef;
use rusqlite::vtab::{
    Context as Cell, CreateVTab, Filters, IndexInfo, Inserts, Module, TransactionVTab, UpdateVTab, Updates,
    VTab, VTabConfig, VTabConnection, VTabCursor, VTabKind, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Result as SqlResult};

use crate::error::Result;
use crate::transaction::Current;

/// Runs `work` on the connection that calls an SQL function.
///
/// # Errors
/// Whatever `work` answers.
pub fn with_connection<T>(
    context: &Context<'_>,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> SqlResult<T> {
    // SAFETY: the borrowed connection does not outlive this call, during which SQLite keeps the
    // connection open and on this thread; it does not own the handle, so it does not close it.
    let connection = unsafe { context.get_connection() }?;
    work(&connection).map_err(rusqlite::Error::from)
}

/// The content of a read-only virtual table, read as a whole when a walk through it begins.
pub trait Content: Default + 'static {
    /// The statement that declares its columns.
    const SCHEMA: &'static CStr;

    /// Chooses the constraints that [`Content::read`] is to get, and tells how in the index string.
    fn plan(info: &mut IndexInfo);

    /// Reads what the constraints ask for.
    ///
    /// # Errors
    /// The content cannot be read.
    fn read(conn: &Connection, plan: &str, args: &Filters<'_>) -> Result<Self>;

    /// How many rows there are.
    fn count(&self) -> usize;

    /// Answers one column of one row.
    ///
    /// # Errors
    /// The value cannot be given to SQLite.
    fn cell(&self, row: usize, column: c_int, cell: &mut Cell) -> SqlResult<()>;
}

/// Registers a virtual table that exists without being created.
///
/// # Errors
/// SQLite refuses the module.
pub fn register_table<C: Content>(conn: &Connection, name: &CStr) -> SqlResult<()> {
    conn.create_module(name, Shell::<C>::MODULE, None)
}

/// The table as SQLite sees it.
#[repr(C)]
struct Shell<C> {
    /// Base class. Must be first.
    base: sqlite3_vtab,
    handle: *mut rusqlite::ffi::sqlite3,
    content: PhantomData<C>,
}

impl<C: Content> Shell<C> {
    const MODULE: &'static Module<'static, Shell<C>> = &Module::eponymous_only_module();
}

// SAFETY: the first field is `sqlite3_vtab` and the layout is C's.
unsafe impl<'vtab, C: Content> VTab<'vtab> for Shell<C> {
    type Aux = ();
    type Cursor = Cursor<'vtab, C>;

    fn connect(
        db: &mut VTabConnection,
        _: Option<&()>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> SqlResult<(Cow<'static, CStr>, Shell<C>)> {
        db.config(VTabConfig::DirectOnly)?;
        // SAFETY: the pointer is only kept; a virtual table is disconnected before its connection closes.
        let handle = unsafe { db.handle() };
        Ok((Cow::Borrowed(C::SCHEMA), Shell { base: sqlite3_vtab::default(), handle, content: PhantomData }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> SqlResult<bool> {
        C::plan(info);
        Ok(true)
    }

    fn open(&'vtab mut self) -> SqlResult<Cursor<'vtab, C>> {
        let base = sqlite3_vtab_cursor::default();
        Ok(Cursor { base, handle: self.handle, content: C::default(), at: 0, table: PhantomData })
    }
}

/// A walk through the table.
#[repr(C)]
struct Cursor<'vtab, C> {
    /// Base class. Must be first.
    base: sqlite3_vtab_cursor,
    handle: *mut rusqlite::ffi::sqlite3,
    content: C,
    at: usize,
    table: PhantomData<&'vtab Shell<C>>,
}

// SAFETY: the first field is `sqlite3_vtab_cursor` and the layout is C's.
unsafe impl<C: Content> VTabCursor for Cursor<'_, C> {
    fn filter(&mut self, _: c_int, plan: Option<&str>, args: &Filters<'_>) -> SqlResult<()> {
        self.at = 0;
        self.content = C::default();
        // SAFETY: SQLite calls this while the connection is open and on this thread; the borrowed
        // connection does not own the handle, so it does not close it.
        let connection = unsafe { Connection::from_handle(self.handle) }?;
        let read = C::read(&connection, plan.unwrap_or_default(), args);
        self.content = read.map_err(|error| match error.is_busy() {
            true => rusqlite::Error::from(error),
            false => rusqlite::Error::ModuleError(error.to_string()),
        })?;
        Ok(())
    }

    fn next(&mut self) -> SqlResult<()> {
        self.at += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at >= self.content.count()
    }

    fn column(&self, context: &mut Cell, column: c_int) -> SqlResult<()> {
        self.content.cell(self.at, column, context)
    }

    fn rowid(&self) -> SqlResult<i64> {
        Ok(i64::try_from(self.at).unwrap_or(i64::MAX))
    }
}

/// Registers the table that is told of transactions.
///
/// # Errors
/// SQLite refuses the module.
pub fn register_transactions(conn: &Connection, name: &CStr, current: Current) -> SqlResult<()> {
    const MODULE: &Module<'static, Transactions> = &Module::update_module_with_tx();
    conn.create_module(name, MODULE, Some(current))
}

/// A table that keeps nothing and knows the transaction that writes it.
#[repr(C)]
struct Transactions {
    /// Base class. Must be first.
    base: sqlite3_vtab,
    current: Current,
}

// SAFETY: the first field is `sqlite3_vtab` and the layout is C's.
unsafe impl VTab<'_> for Transactions {
    type Aux = Current;
    type Cursor = NoRows;

    fn connect(
        db: &mut VTabConnection,
        current: Option<&Current>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> SqlResult<(Cow<'static, CStr>, Transactions)> {
        // Triggers write it, also where the schema is not trusted: it holds and does nothing.
        db.config(VTabConfig::Innocuous)?;
        let current = current.cloned().unwrap_or_default();
        Ok((Cow::Borrowed(c"CREATE TABLE x(note)"), Transactions { base: sqlite3_vtab::default(), current }))
    }

    fn best_index(&self, _: &mut IndexInfo) -> SqlResult<bool> {
        Ok(true)
    }

    fn open(&mut self) -> SqlResult<NoRows> {
        Ok(NoRows { base: sqlite3_vtab_cursor::default() })
    }
}

impl CreateVTab<'_> for Transactions {
    const KIND: VTabKind = VTabKind::EponymousOnly;
}

impl UpdateVTab<'_> for Transactions {
    fn delete(&mut self, _: ValueRef<'_>) -> SqlResult<()> {
        Ok(())
    }

    fn insert(&mut self, _: &Inserts<'_>) -> SqlResult<i64> {
        Ok(0)
    }

    fn update(&mut self, _: &Updates<'_>) -> SqlResult<()> {
        Ok(())
    }
}

impl TransactionVTab<'_> for Transactions {
    fn begin(&mut self) -> SqlResult<()> {
        self.current.begin();
        Ok(())
    }

    fn commit(&mut self) -> SqlResult<()> {
        self.current.end();
        Ok(())
    }

    fn rollback(&mut self) -> SqlResult<()> {
        self.current.end();
        Ok(())
    }
}

/// A walk through no rows.
#[repr(C)]
struct NoRows {
    /// Base class. Must be first.
    base: sqlite3_vtab_cursor,
}

// SAFETY: the first field is `sqlite3_vtab_cursor` and the layout is C's.
unsafe impl VTabCursor for NoRows {
    fn filter(&mut self, _: c_int, _: Option<&str>, _: &Filters<'_>) -> SqlResult<()> {
        Ok(())
    }

    fn next(&mut self) -> SqlResult<()> {
        Ok(())
    }

    fn eof(&self) -> bool {
        true
    }

    fn column(&self, _: &mut Cell, _: c_int) -> SqlResult<()> {
        Ok(())
    }

    fn rowid(&self) -> SqlResult<i64> {
        Ok(0)
    }
}
