//! Tables as they will be in PostgreSQL, before they are written down.

use super::problem::Position;
use super::types::{Affinity, PgType};

/// A column.
#[derive(Debug)]
pub(super) struct ColumnPlan {
    pub(super) name: String,
    pub(super) position: Position,
    /// `None`: its type was refused, or is known once its expression is.
    pub(super) pg: Option<PgType>,
    pub(super) affinity: Affinity,
    pub(super) not_null: bool,
    /// Whether text is declared to compare by its bytes.
    pub(super) is_bytewise: bool,
    /// SQL after `DEFAULT`.
    pub(super) default: Option<String>,
    /// SQL after `GENERATED ALWAYS AS`.
    pub(super) generated: Option<String>,
    pub(super) is_generated: bool,
    /// A generated column that is computed when it is read.
    pub(super) is_virtual: bool,
}

/// A primary key or a UNIQUE constraint: indexes of columns.
#[derive(Debug)]
pub(super) struct UniquePlan {
    pub(super) name: Option<String>,
    pub(super) columns: Vec<usize>,
    pub(super) is_key: bool,
}

/// A CHECK.
#[derive(Debug)]
pub(super) struct CheckPlan {
    pub(super) name: Option<String>,
    pub(super) condition: String,
}

/// A foreign key.
#[derive(Debug)]
pub(super) struct ForeignPlan {
    /// The index of the parent in the list of tables; `None`: it is not in the script.
    pub(super) parent: Option<usize>,
    /// Whether it needs an index of its own table, which comes after the table.
    pub(super) needs_own_index: bool,
    /// SQL from `CONSTRAINT` or `FOREIGN KEY` on.
    pub(super) sql: String,
}

/// An index.
#[derive(Debug)]
pub(super) struct IndexPlan {
    /// The columns, if it can stand for a UNIQUE constraint.
    pub(super) unique_columns: Option<Vec<usize>>,
    /// The whole statement.
    pub(super) sql: String,
}

/// A table.
#[derive(Debug)]
pub(super) struct TablePlan {
    pub(super) name: String,
    pub(super) position: Position,
    pub(super) if_not_exists: bool,
    pub(super) columns: Vec<ColumnPlan>,
    pub(super) uniques: Vec<UniquePlan>,
    pub(super) checks: Vec<CheckPlan>,
    pub(super) foreign_keys: Vec<ForeignPlan>,
    pub(super) indexes: Vec<IndexPlan>,
}

impl TablePlan {
    /// The place of a column among the columns; SQLite's names ignore the case of A to Z.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The columns of the primary key.
    pub(super) fn key(&self) -> &[usize] {
        self.uniques.iter().find(|unique| unique.is_key).map_or(&[], |unique| unique.columns.as_slice())
    }

    /// The names of columns at these places.
    pub(super) fn names_of(&self, columns: &[usize]) -> Vec<String> {
        columns.iter().filter_map(|at| self.columns.get(*at)).map(|column| column.name.clone()).collect()
    }
}
