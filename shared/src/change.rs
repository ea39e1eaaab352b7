//! Changes as they travel: some cells of some rows, with the clocks that decide about them.

use std::collections::HashMap;

use crate::clock::Stamp;
use crate::hlc::Version;
use crate::id::{CausalLength, RowId, SiteId};
use crate::key::Key;
use crate::merge;
use crate::value::Value;

/// One cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct CellChange {
    /// The index of its column in [`TableChanges::columns`].
    pub column: usize,
    /// When it was written and by whom.
    pub stamp: Stamp<SiteId>,
    /// What was written.
    pub value: Value,
}

/// What one replica tells of one row: its life, and some or all of its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The server's name of the row, where the sender knows it.
    pub row_id: Option<RowId>,
    /// The primary key.
    pub key: Key,
    /// Alive or deleted.
    pub length: CausalLength,
    /// The insert or delete that began this length; [`Stamp::NEVER`] where the sender does not know it.
    pub life: Stamp<SiteId>,
    /// The cells told, sorted by column, no column twice; none if the row is deleted.
    pub cells: Vec<CellChange>,
}

impl RowChange {
    /// The highest version told.
    pub fn highest(&self) -> Version {
        self.cells.iter().map(|cell| cell.stamp.version).fold(self.life.version, Version::max)
    }
}

/// Why a value lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostReason {
    /// Another write of the cell is newer.
    NewerWrite,
    /// The row was deleted, or has begun another life since.
    RowDeleted,
}

impl LostReason {
    /// As `cloudsync_conflicts` shows it.
    pub fn text(self) -> &'static str {
        match self {
            LostReason::NewerWrite => "newer write",
            LostReason::RowDeleted => "row deleted",
        }
    }
}

/// Changes of one table. No key occurs twice (see [`TableChanges::fold`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableChanges {
    /// The name under which the table is synced.
    pub table: String,
    /// The names of the columns that cells refer to.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<RowChange>,
}

impl TableChanges {
    /// Joins changes of the same row, so that each key occurs once: engines write sets, and a set
    /// statement must not touch a row twice.
    pub fn fold(&mut self) {
        let mut seen: HashMap<Key, usize> = HashMap::with_capacity(self.rows.len());
        let mut folded: Vec<RowChange> = Vec::with_capacity(self.rows.len());
        for row in self.rows.drain(..) {
            match seen.get(&row.key).and_then(|at| folded.get_mut(*at)) {
                Some(first) => merge::join_changes(first, row),
                None => {
                    seen.insert(row.key.clone(), folded.len());
                    folded.push(row);
                }
            }
        }
        self.rows = folded;
    }
}

/// Changes of several tables, parents before children where the sender knows the order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeBatch {
    /// One entry a table; a table may occur more than once.
    pub tables: Vec<TableChanges>,
}

impl ChangeBatch {
    /// How many rows are told of.
    pub fn row_count(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    /// The highest version told.
    pub fn highest(&self) -> Version {
        let rows = self.tables.iter().flat_map(|table| &table.rows);
        rows.map(RowChange::highest).fold(Version::NEVER, Version::max)
    }
}
