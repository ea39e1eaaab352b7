//! Local writes: what a statement did to a synced table moves the clocks of the rows it touched.
//!
//! Statement triggers with transition tables hand over all rows of a statement at once. One plan a
//! table and kind of statement turns them into *delta clocks* and merges these into the clock table
//! in one statement, which also writes the one log row.

pub mod delta;
mod plan;
mod statement;

use std::cell::RefCell;

use cloudsync_shared::schema::Algorithm;
use pgrx::Spi;

use crate::capture::plan::Purpose;
use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::AsOwner;
use crate::ffi::{flag, server};
use crate::ffi::trigger::{Event, Firing};

/// The names under which the triggers know the rows of before and after.
pub const OLD_ROWS: &str = "cloudsync_old";
/// See [`OLD_ROWS`].
pub const NEW_ROWS: &str = "cloudsync_new";

thread_local! {
    /// A transaction and the tables of which it captured a write.
    static CAPTURED: RefCell<(u64, Vec<i32>)> = const { RefCell::new((0, Vec::new())) };
}

/// Captures one statement.
///
/// # Errors
/// The statement is not allowed on the table (grow-only), or the metadata cannot be written.
pub fn fire(firing: &Firing<'_>) -> Result<()> {
    let relation = firing.relation();
    if !firing.touched_rows() || flag::is_applying(relation) {
        return Ok(());
    }
    let event = firing.event()?;
    let owner = AsOwner::enter()?;
    owner.plan_by_index();
    Spi::connect_mut(|client| {
        firing.register(client)?;
        let table = firing.table_id()?;
        let purpose = Purpose { relation, table, event, again: capturing_again(table) };
        let Some(plan) = plan::find(client, purpose)? else {
            return Ok(());
        };
        if plan.algorithm == Algorithm::Gos && event != Event::Insert {
            return Err(refused(event, &plan.table));
        }
        client.update(&plan.statement, None, &[])?;
        Ok(())
    })
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
