//! What merging needs of a database: a few verbs, each about many rows.

use crate::clock::RowClock;
use crate::hlc::Version;
use crate::id::{ColumnId, RowId, SiteId};
use crate::key::Key;
use crate::merge::{StoredText, TablePlan};
use crate::schema::TableSchema;

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// It was carried out, or it told nothing new and the row is alive.
    Kept(Option<RowId>),
    /// The row is deleted here, by this change or by a later life: the sender should not have it.
    Dead,
    /// The database refused it; the row is as it was before.
    Refused(Refusal),
}

/// Why a database refused a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The five characters of the SQLSTATE, or the nearest one on engines without it.
    pub sqlstate: String,
    /// The database's message, free of other rows' data.
    pub message: String,
}

/// A database that holds synced tables. One implementer an engine; all of them behave alike, which
/// the conformance suite checks.
pub trait Store {
    /// The engine's error.
    type Error: From<crate::error::Error>;

    /// The description of a synced table, `None` if there is none of that name.
    ///
    /// # Errors
    /// The catalog cannot be read.
    fn schema(&mut self, table: &str) -> Result<Option<TableSchema>, Self::Error>;

    /// The clocks of these rows, in order; `None` for a row that was never seen. A row that stood in
    /// the table before it was synced has [`base_clock`](crate::capture::base_clock).
    ///
    /// From here to [`Store::apply`] nobody else changes these rows, or `apply` finds out by
    /// [`PlannedRow::before`](crate::merge::PlannedRow::before).
    ///
    /// # Errors
    /// The database failed.
    fn clocks(
        &mut self,
        schema: &TableSchema,
        keys: &[&Key],
    ) -> Result<Vec<Option<RowClock<SiteId>>>, Self::Error>;

    /// Of each of these cells of rows the value and the document as they stand, or as they are kept of a deleted
    /// row ([`Algorithm::keeps_deleted`](crate::schema::Algorithm::keeps_deleted)); `None` where the row is not there. Asked for rows that [`Store::clocks`] has just answered, and for columns of text that is merged
    /// by lines.
    ///
    /// # Errors
    /// The database failed.
    fn texts(
        &mut self,
        schema: &TableSchema,
        cells: &[(&Key, ColumnId)],
    ) -> Result<Vec<Option<StoredText>>, Self::Error>;

    /// Carries out a plan; one outcome for each planned row, in order. What it writes is not
    /// captured as local writes. A refused row changes nothing and stops no other.
    ///
    /// With the cells go the documents that [`RowChange::texts`](crate::change::RowChange::texts) tell to keep.
    ///
    /// # Errors
    /// The database failed as a whole: nothing of the plan may stay.
    fn apply(&mut self, plan: &TablePlan<'_>) -> Result<Vec<RowOutcome>, Self::Error>;

    /// Remembers that this version was seen, so that later local writes are above it.
    ///
    /// # Errors
    /// The database failed.
    fn observe(&mut self, highest: Version) -> Result<(), Self::Error>;
}
