//! Local writes: what a statement did to a synced table moves the clocks of the rows it touched.
//!
//! Statement triggers with transition tables hand over all rows of a statement at once. One plan a
//! table and kind of statement turns them into *delta clocks* and merges these into the clock table
//! in one statement, which also writes the one log row.

pub mod delta;
mod plan;
mod statement;

use cloudsync_shared::schema::Algorithm;
use pgrx::Spi;

use crate::error::{PgError, Result, SqlState};
use crate::ffi::flag;
use crate::ffi::owner::AsOwner;
use crate::ffi::trigger::{Event, Firing};

/// The names under which the triggers know the rows of before and after.
pub const OLD_ROWS: &str = "cloudsync_old";
/// See [`OLD_ROWS`].
pub const NEW_ROWS: &str = "cloudsync_new";

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
    let _owner = AsOwner::enter()?;
    Spi::connect_mut(|client| {
        firing.register(client)?;
        let Some(plan) = plan::find(client, relation, firing.table_id()?, event)? else {
            return Ok(());
        };
        if plan.algorithm == Algorithm::Gos && event != Event::Insert {
            return Err(refused(event, &plan.table));
        }
        client.update(&plan.statement, None, &[])?;
        Ok(())
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
