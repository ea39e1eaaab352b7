//! Which transaction a write belongs to, for tables with the setting `atomic`.
//!
//! SQLite tells no SQL statement its transaction. It does tell virtual tables when one begins that will
//! write them, and when it ends. So the triggers of atomic tables write to `cloudsync_transaction`, a
//! table that keeps nothing, and note the number that the function of the same name answers.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Result as SqlResult};

use crate::ffi;

/// The name of the table and of the function.
const NAME: &CStr = c"cloudsync_transaction";

/// What a trigger of an atomic table does first: it makes SQLite tell the table of the transaction.
pub const ENTER: &str = "INSERT INTO cloudsync_transaction VALUES(NULL);";
/// The number of the transaction, in SQL.
pub const NUMBER: &str = "cloudsync_transaction()";

/// How many of a number's bits, the lowest ones, are by chance; those above are the time in milliseconds.
const CHANCE_BITS: u32 = 20;

/// No transaction.
const NONE: i64 = 0;

/// The last number given in this process.
static LAST: AtomicI64 = AtomicI64::new(NONE);

/// The number of a connection's present transaction.
#[derive(Clone, Debug, Default)]
pub struct Current(Arc<AtomicI64>);

impl Current {
    /// A transaction begins.
    pub fn begin(&self) {
        self.0.store(fresh(), Ordering::Relaxed);
    }

    /// It ends, one way or the other.
    pub fn end(&self) {
        self.0.store(NONE, Ordering::Relaxed);
    }

    /// Its number.
    pub fn number(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|number| *number != NONE)
    }
}

/// A number that no other transaction has, in any process: later ones are higher, as far as clocks tell.
fn fresh() -> i64 {
    let bytes = uuid::Uuid::now_v7().as_u128();
    let millis = (bytes >> 80) as i64;
    let chance = (bytes as i64) & ((1 << CHANCE_BITS) - 1);
    let number = ((millis << CHANCE_BITS) | chance) & i64::MAX;
    let next = |last: i64| Some(number.max(last.saturating_add(1)));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(NONE);
    number.max(last.saturating_add(1))
}

/// Adds the table and the function to a connection.
///
/// # Errors
/// SQLite refuses one of them.
pub fn register(conn: &Connection) -> SqlResult<()> {
    let current = Current::default();
    ffi::register_transactions(conn, NAME, current.clone())?;
    // Not deterministic, and harmless: triggers call it also where the schema is not trusted.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("cloudsync_transaction", 0, flags, move |_| Ok(current.number()))
}
