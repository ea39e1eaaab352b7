//! What the core knows of a synced table: names, never types or SQL.

use crate::error::{Error, Result};
use crate::id::ColumnId;
use crate::text::Delimiter;

/// How concurrent writes of one row are merged; chosen per table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Causal-length set: the later life of a row wins, and within a life the last write of each cell.
    #[default]
    Cls,
    /// Grow-only set: rows are only added; concurrent inserts of one key converge cell by cell.
    Gos,
    /// Delete-wins set: a delete ends every life that had not seen it, re-inserts included.
    Dws,
    /// Add-wins set: an insert or update that a delete had not seen keeps the row, or brings it back whole.
    Aws,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 4] = [Algorithm::Cls, Algorithm::Gos, Algorithm::Dws, Algorithm::Aws];

    /// Its number: on the wire, and within the engines' SQL.
    pub fn number(self) -> u8 {
        match self {
            Algorithm::Cls => 1,
            Algorithm::Gos => 2,
            Algorithm::Dws => 3,
            Algorithm::Aws => 4,
        }
    }

    /// The algorithm of a number.
    pub fn from_number(number: u8) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|known| known.number() == number)
    }

    /// Whether the cells of a deleted row are kept and told: a later write may bring it back.
    pub fn keeps_deleted(self) -> bool {
        self == Algorithm::Aws
    }

    /// The name under which users choose it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Cls => "cls",
            Algorithm::Gos => "gos",
            Algorithm::Dws => "dws",
            Algorithm::Aws => "aws",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// There is no such algorithm.
    pub fn from_name(name: &str) -> Result<Algorithm> {
        let known = Algorithm::ALL.iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name));
        known.copied().ok_or_else(|| {
            Error::invalid_input(format!("unknown algorithm '{name}': use 'cls', 'gos', 'dws' or 'aws'"))
        })
    }
}

/// A column that is not part of the primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the two sides know it.
    pub name: String,
    /// Its number in this replica's clocks.
    pub id: ColumnId,
}

/// A synced table of this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// The name under which it is synced.
    pub name: String,
    /// How its rows merge.
    pub algorithm: Algorithm,
    /// The names of the key columns, in key order.
    pub key: Vec<String>,
    /// The other columns, in the order of the table; generated columns are not among them.
    pub columns: Vec<Column>,
    /// Those of them whose text is merged by lines, with what stands between two lines.
    pub texts: Vec<(ColumnId, Delimiter)>,
}

impl TableSchema {
    /// What stands between two lines of a column's text; `None` if it is not merged by lines.
    pub fn delimiter(&self, column: ColumnId) -> Option<&Delimiter> {
        self.texts.iter().find(|(id, _)| *id == column).map(|(_, delimiter)| delimiter)
    }

    /// The column of that name, unless it is part of the key or does not exist.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
