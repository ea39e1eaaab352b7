//! Changes cell by cell, as `cloudsync_changes` shows them, and back.
//!
//! A row of changes is one line for its life, if it is told, and one for each cell.

use std::collections::HashMap;

use crate::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use crate::clock::Stamp;
use crate::id::{CausalLength, SiteId};
use crate::key::Key;
use crate::merge::join_changes;
use crate::value::Value;

/// `col_name` of the line that tells that a row lives, with the version of its insert.
pub const COLUMN_ALIVE: &str = "__[NEW]__";
/// `col_name` of the line that tells that a row was deleted.
pub const COLUMN_DEAD: &str = "__[RIP]__";

/// The `col_name` of the line of a row's life.
pub fn life_name(length: CausalLength) -> &'static str {
    if length.is_alive() { COLUMN_ALIVE } else { COLUMN_DEAD }
}

/// Where a line of a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The index in [`RowChange::cells`]; `None` for the row's life.
    pub cell: Option<usize>,
    /// When the life began or the cell was written, and by whom.
    pub stamp: Stamp<SiteId>,
    /// Orders the lines of one version: 0 for the life, else the column's place counted from 1.
    pub seq: i64,
}

/// The lines of a row whose stamps are wanted.
pub fn lines(row: &RowChange, wanted: impl Fn(Stamp<SiteId>) -> bool) -> impl Iterator<Item = Line> {
    let life = Line { cell: None, stamp: row.life, seq: 0 };
    let cells = row.cells.iter().enumerate().map(|(at, cell)| {
        let seq = i64::try_from(cell.column).map_or(i64::MAX, |column| column.saturating_add(1));
        Line { cell: Some(at), stamp: cell.stamp, seq }
    });
    [life].into_iter().chain(cells).filter(move |line| wanted(line.stamp))
}

/// One line on its way back into a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The row's key.
    pub key: Key,
    /// The column, or the name of the line of a life.
    pub column: String,
    /// The value; of no account for a life.
    pub value: Value,
    /// When it was written and by whom.
    pub stamp: Stamp<SiteId>,
    /// The row's causal length.
    pub length: CausalLength,
}

/// Collects lines, in whatever order, into a batch.
#[derive(Debug, Default)]
pub struct Collector {
    tables: Vec<TableCollector>,
    names: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct TableCollector {
    changes: TableChanges,
    columns: HashMap<String, usize>,
    rows: HashMap<Key, usize>,
}

impl Collector {
    /// Adds a line of a table.
    pub fn add(&mut self, table: &str, told: Told) {
        let known = self.names.get(table).copied();
        let at = known.unwrap_or_else(|| {
            let changes = TableChanges { table: table.to_owned(), ..TableChanges::default() };
            self.tables.push(TableCollector { changes, ..TableCollector::default() });
            self.names.insert(table.to_owned(), self.tables.len() - 1);
            self.tables.len() - 1
        });
        if let Some(table) = self.tables.get_mut(at) {
            table.add(told);
        }
    }

    /// The lines as a batch: tables, columns and rows in the order in which they were first met.
    pub fn finish(self) -> ChangeBatch {
        ChangeBatch { tables: self.tables.into_iter().map(|table| table.changes).collect() }
    }
}

impl TableCollector {
    fn add(&mut self, told: Told) {
        let mut row = RowChange {
            row_id: None,
            key: told.key,
            length: told.length,
            life: Stamp::NEVER,
            cells: Vec::new(),
        };
        if told.column == COLUMN_ALIVE || told.column == COLUMN_DEAD {
            row.life = told.stamp;
        } else {
            let column = self.column(told.column);
            row.cells.push(CellChange { column, stamp: told.stamp, value: told.value });
        }
        match self.rows.get(&row.key).and_then(|at| self.changes.rows.get_mut(*at)) {
            Some(known) => join_changes(known, row),
            None => {
                self.rows.insert(row.key.clone(), self.changes.rows.len());
                self.changes.rows.push(row);
            }
        }
    }

    fn column(&mut self, name: String) -> usize {
        if let Some(at) = self.columns.get(&name) {
            return *at;
        }
        let at = self.changes.columns.len();
        self.columns.insert(name.clone(), at);
        self.changes.columns.push(name);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hlc::Version;

    fn stamp(version: u64) -> Stamp<SiteId> {
        Stamp { version: Version(version), site: SiteId([7; 16]) }
    }

    fn row(key: i64, cells: &[(usize, u64)]) -> RowChange {
        let cells = cells
            .iter()
            .map(|(column, version)| CellChange {
                column: *column,
                stamp: stamp(*version),
                value: Value::Integer(*version as i64),
            })
            .collect();
        let key = Key::encode(&[Value::Integer(key)]).unwrap();
        RowChange { row_id: None, key, length: CausalLength::FIRST, life: stamp(5), cells }
    }

    fn told(row: &RowChange, line: Line, columns: &[&str]) -> Told {
        let cell = line.cell.map(|at| &row.cells[at]);
        Told {
            key: row.key.clone(),
            column: cell.map_or(life_name(row.length), |cell| columns[cell.column]).to_owned(),
            value: cell.map_or(Value::Null, |cell| cell.value.clone()),
            stamp: line.stamp,
            length: row.length,
        }
    }

    #[test]
    fn lines_in_any_order_make_the_batch_again() {
        let rows = [row(1, &[(0, 5), (1, 9)]), row(2, &[(1, 6)])];
        let columns = ["a", "b"];
        let mut all: Vec<Told> =
            rows.iter().flat_map(|row| lines(row, |_| true).map(|line| told(row, line, &columns))).collect();
        for _ in 0..all.len() {
            all.rotate_left(1);
            let mut collector = Collector::default();
            all.iter().for_each(|told| collector.add("t", told.clone()));
            let mut batch = collector.finish();
            let [changes] = batch.tables.as_mut_slice() else { panic!("one table") };
            if changes.columns == ["b", "a"] {
                changes.columns.reverse();
                for row in &mut changes.rows {
                    row.cells.iter_mut().for_each(|cell| cell.column = 1 - cell.column);
                    row.cells.reverse();
                }
            }
            changes.rows.sort_by(|one, other| one.key.cmp(&other.key));
            assert_eq!(changes.rows, rows);
        }
    }

    #[test]
    fn a_delete_collected_after_its_cells_takes_the_row() {
        let alive = row(1, &[(0, 5)]);
        let dead = RowChange { length: CausalLength(2), life: stamp(8), cells: Vec::new(), ..alive.clone() };
        let mut collector = Collector::default();
        for told in lines(&alive, |_| true).map(|line| told(&alive, line, &["a"])) {
            collector.add("t", told);
        }
        let gone = lines(&dead, |_| true).map(|line| told(&dead, line, &[]));
        gone.for_each(|told| collector.add("t", told));
        assert_eq!(collector.finish().tables[0].rows, [dead]);
    }

    #[test]
    fn only_wanted_stamps_become_lines() {
        let row = row(1, &[(0, 5), (2, 9)]);
        let wanted: Vec<Line> = lines(&row, |stamp| stamp.version > Version(5)).collect();
        assert_eq!(wanted, [Line { cell: Some(1), stamp: stamp(9), seq: 3 }]);
    }
}
