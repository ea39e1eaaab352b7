//! Prepared capture statements, kept for the life of the backend and made anew when a table changes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cloudsync_shared::schema::Algorithm;
use pgrx::pg_sys;
use pgrx::spi::{OwnedPreparedStatement, SpiClient};

use crate::capture::statement;
use crate::capture::texts::TextCapture;
use crate::catalog;
use crate::error::Result;
use crate::ffi::invalidate;
use crate::ffi::trigger::Event;

/// What may be taken for granted of the rows of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The transaction captures a write of the table for the first time.
    First,
    /// It did before: what is captured as deleted may be there again.
    Again,
    /// Many rows were inserted, all of keys never seen. If that is wrong, the statement fails with a
    /// unique violation.
    Fresh,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Purpose {
    /// The relation: the table or a partition.
    pub relation: pg_sys::Oid,
    /// The number of the synced table.
    pub table: i32,
    /// The kind of statement.
    pub event: Event,
    /// What may be taken for granted.
    pub mode: Mode,
}

/// A prepared statement and what else capture must know of the table.
pub struct Plan {
    /// The statement; it has no parameters.
    pub statement: OwnedPreparedStatement,
    /// The table's algorithm.
    pub algorithm: Algorithm,
    /// The table's name, for messages.
    pub table: String,
    /// What else is to be done for texts that are merged by lines.
    pub texts: Option<TextCapture>,
    generation: u64,
}

type Cache = HashMap<Purpose, Rc<Plan>>;

thread_local! {
    static PLANS: RefCell<Option<Cache>> = const { RefCell::new(None) };
}

/// The plan for a purpose; `None` if the table is not synced any more.
///
/// # Errors
/// The catalog cannot be read, or the statement does not parse.
pub fn find(client: &SpiClient<'_>, purpose: Purpose) -> Result<Option<Rc<Plan>>> {
    let relation = purpose.relation;
    let generation = invalidate::generation(relation);
    let known = PLANS.with_borrow(|plans| plans.as_ref().and_then(|map| map.get(&purpose).cloned()));
    if let Some(known) = known
        && known.generation == generation
    {
        return Ok(Some(known));
    }
    let Some(table) = catalog::by_id(purpose.table)? else { return Ok(None) };
    let text = statement::capture(&table, relation, purpose.event, purpose.mode)?;
    let plan = Rc::new(Plan {
        statement: client.prepare_mut(&text, &[])?.keep(),
        algorithm: table.algorithm,
        texts: TextCapture::of(&table, purpose.event),
        table: table.qualified,
        generation,
    });
    // Dropped after the map is free again: dropping a plan calls PostgreSQL.
    let old = PLANS.with_borrow_mut(|plans| plans.get_or_insert_default().insert(purpose, Rc::clone(&plan)));
    drop(old);
    Ok(Some(plan))
}
