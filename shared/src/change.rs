//! Changes as they travel: some cells of some rows, with the clocks that decide about them.

use std::collections::HashMap;

use crate::clock::Stamp;
use crate::hlc::Version;
use crate::id::{CausalLength, RowId, SiteId};
use crate::key::Key;
use crate::merge::{self, LostSide};
use crate::schema::Algorithm;
use crate::text::{Document, LostLine, TextDelta};
use crate::value::Value;
use crate::vector::Past;

/// One cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct CellChange {
    /// The index of its column in [`TableChanges::columns`].
    pub column: usize,
    /// When it was written and by whom.
    pub stamp: Stamp<SiteId>,
    /// What was written; of no account where [`RowChange::texts`] tell its lines.
    pub value: Value,
}

/// What is told of the lines of a cell, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TextChange {
    /// The index of the cell's column in [`TableChanges::columns`].
    pub column: usize,
    /// The lines told; `None` if the value was told whole.
    pub delta: Option<TextDelta<SiteId>>,
    /// What became of it here.
    pub outcome: TextOutcome,
}

/// What became of a cell of text, see [`resolve_texts`](crate::merge::resolve_texts).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TextOutcome {
    /// Nothing yet.
    #[default]
    Open,
    /// The cell's value is in place.
    Resolved {
        /// The document to keep with it; `None`: none.
        document: Option<Document<SiteId>>,
        /// The cell's stamp: that of the last write in the epoch that counts. It may be lower than the one that
        /// stood here before, if that was of an epoch that is over.
        stamp: Stamp<SiteId>,
        /// Whether value and stamp are to be written.
        changed: bool,
        /// What gave way: lines, or of two values of different epochs one.
        lost: Vec<LostPart>,
    },
    /// Lines were told of a text that is not known here: the row has to be asked for whole.
    Incomplete,
}

/// A part of a text that gave way.
#[derive(Clone, Debug, PartialEq)]
pub enum LostPart {
    /// A line.
    Line(LostLine),
    /// All of it.
    Whole {
        /// Whose it was.
        side: LostSide,
        /// The value; if lines of it were told only, these.
        value: Value,
    },
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
    /// The cells told, sorted by column, no column twice; none if the row is deleted, unless its table's
    /// algorithm [keeps them](Algorithm::keeps_deleted).
    pub cells: Vec<CellChange>,
    /// The lines of cells of text that were edited by line, by column.
    pub texts: Vec<TextChange>,
    /// What is behind the row, see [`RowClock::past`](crate::clock::RowClock::past).
    pub past: Past<SiteId>,
}

impl RowChange {
    /// What became of the lines of a cell, if it is one of text that is merged by lines.
    pub fn text(&self, column: usize) -> Option<&TextChange> {
        self.texts.iter().find(|text| text.column == column)
    }

    /// The highest version told.
    pub fn highest(&self) -> Version {
        let past = self.past.stamps().map(|stamp| stamp.version);
        let lines = self.texts.iter().filter_map(|text| text.delta.as_ref()).map(TextDelta::highest);
        let cells = self.cells.iter().map(|cell| cell.stamp.version);
        cells.chain(past).chain(lines).fold(self.life.version, Version::max)
    }
}

/// Why a value lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostReason {
    /// Another write of the cell is newer.
    NewerWrite,
    /// Another write of the line is newer, in a text that is merged by lines.
    NewerLine,
    /// The row was deleted, or has begun another life since.
    RowDeleted,
}

impl LostReason {
    /// As `cloudsync_conflicts` shows it.
    pub fn text(self) -> &'static str {
        match self {
            LostReason::NewerWrite => "newer write",
            LostReason::NewerLine => "newer write of the line",
            LostReason::RowDeleted => "row deleted",
        }
    }
}

/// Changes of one table. No key occurs twice (see [`TableChanges::fold`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableChanges {
    /// The name under which the table is synced.
    pub table: String,
    /// How the sender merges its rows; `None` if it does not tell.
    pub algorithm: Option<Algorithm>,
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
                Some(first) => merge::join_changes(self.algorithm, first, row),
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
