//! Local writes: what a statement did to a synced table moves the clocks of the rows it touched.
//!
//! Statement triggers with transition tables hand over all rows of a statement at once. One plan a
//! table and kind of statement turns them into *delta clocks* and merges these into the clock table
//! in one statement, which also writes the one log row.

pub mod delta;
mod plan;
mod statement;
mod texts;

use std::cell::{Cell, RefCell};

use cloudsync_shared::schema::Algorithm;
use pgrx::Spi;
use pgrx::spi::SpiClient;

use crate::capture::plan::{Mode, Purpose};
use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::AsOwner;
use crate::ffi::subxact::in_subtransaction;
use crate::ffi::trigger::{Event, Firing};
use crate::ffi::{flag, server};

/// The names under which the triggers know the rows of before and after.
pub const OLD_ROWS: &str = "cloudsync_old";
/// See [`OLD_ROWS`].
pub const NEW_ROWS: &str = "cloudsync_new";

/// From how many inserted rows on it is worth a subtransaction to hope that all are new.
const MANY_ROWS: i64 = 500;

thread_local! {
    /// The table of which many rows were inserted last and were not all new.
    static NOT_FRESH: Cell<Option<i32>> = const { Cell::new(None) };
    /// A transaction and the tables of which it captured a write.
    static CAPTURED: RefCell<(u64, Vec<i32>)> = const { RefCell::new((0, Vec::new())) };
}

/// Captures one statement.
///
/// # Errors
/// The statement is not allowed on the table (grow-only), or the metadata cannot be written.
pub fn fire(firing: &Firing<'_>) -> Result<()> {
    let relation = firing.relation();
    let rows = firing.rows();
    if rows == Some(0) || flag::is_applying(relation) {
        return Ok(());
    }
    let event = firing.event()?;
    let table = firing.table_id()?;
    let mode = if capturing_again(table) { Mode::Again } else { Mode::First };
    let purpose = Purpose { relation, table, event, mode };
    let owner = AsOwner::enter()?;
    owner.plan_by_index();
    Spi::connect_mut(|client| {
        firing.register(client)?;
        if event == Event::Insert && rows >= Some(MANY_ROWS) && insert_fresh(client, purpose)? {
            return Ok(());
        }
        run(client, purpose)
    })
}

fn run(client: &mut SpiClient<'_>, purpose: Purpose) -> Result<()> {
    let Some(plan) = plan::find(client, purpose)? else { return Ok(()) };
    if plan.algorithm == Algorithm::Gos && purpose.event != Event::Insert {
        return Err(refused(purpose.event, &plan.table));
    }
    let Some(texts) = &plan.texts else {
        client.update(&plan.statement, None, &[])?;
        return Ok(());
    };
    let before = texts.before(client, purpose.event)?;
    client.update(&plan.statement, None, &[])?;
    texts.after(client, &before)
}

/// Tries to capture many inserted rows as rows never seen, which is a third cheaper than to look
/// for the clock of each; false if one was seen, and nothing is done.
fn insert_fresh(client: &mut SpiClient<'_>, purpose: Purpose) -> Result<bool> {
    let purpose = Purpose { mode: Mode::Fresh, ..purpose };
    // If the last try was in vain, this is a table whose rows come back: do not try each time.
    if NOT_FRESH.take() == Some(purpose.table) {
        return Ok(false);
    }
    match in_subtransaction(|| run(client, purpose)) {
        Ok(()) => Ok(true),
        Err(error) if error.sqlstate == SqlState::UNIQUE_VIOLATION => {
            NOT_FRESH.set(Some(purpose.table));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether this transaction captured a write of the table before; from now on it has.
///
/// Then statements may not be captured in the order in which they happened: what a row trigger wrote
/// comes before the statement that fired it, and the parts of one statement (a DELETE and an INSERT
/// in a WITH) come in any order.
fn capturing_again(table: i32) -> bool {
    let transaction = server::transaction();
    CAPTURED.with_borrow_mut(|(of, tables)| {
        if *of != transaction {
            *of = transaction;
            tables.clear();
        }
        let again = tables.contains(&table);
        if !again {
            tables.push(table);
        }
        again
    })
}

fn refused(event: Event, table: &str) -> PgError {
    let verb = match event {
        Event::Insert => "INSERT",
        Event::Update => "UPDATE",
        Event::Delete => "DELETE",
        Event::Truncate => "TRUNCATE",
    };
    PgError::new(SqlState::NOT_IN_STATE, format!("{verb} operation is not allowed on table {table}"))
        .with_detail("The table is synced with algorithm 'gos': rows are only added.")
}
