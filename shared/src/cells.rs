//! Changes cell by cell, as `cloudsync_changes` shows them, and back.
//!
//! A row of changes is one line for its life, if it is told, one for each cell, one more for each text that was
//! edited by line, and one for what is behind the row, where there is something.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::change::{CellChange, ChangeBatch, RowChange, TableChanges, TextChange, TextOutcome};
use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::{CausalLength, SiteId};
use crate::key::Key;
use crate::merge::join_changes;
use crate::text::TextDelta;
use crate::value::Value;
use crate::varint::{self, Reader};
use crate::vector::{Past, Vector};

/// `col_name` of the line that tells that a row lives, with the version of its insert.
pub const COLUMN_ALIVE: &str = "__[NEW]__";
/// `col_name` of the line that tells that a row was deleted.
pub const COLUMN_DEAD: &str = "__[RIP]__";

/// `col_name` of the line that tells what is [behind](crate::clock::RowClock::past) a row. Its value is a
/// BLOB: [`Past::seen`] and [`Past::writes`], each as the number of its sites, and of each site its 16 bytes
/// and the version; numbers are varints.
pub const COLUMN_PAST: &str = "__[SEEN]__";

/// Before the column's name: `col_name` of what tells the lines of a text. Its value is a BLOB, a
/// [`TextDelta`]. Whoever has it needs not the value of the cell, which stands beside it.
pub const COLUMN_LINES: &str = "__[LINES]__";

/// The `col_name` of the line of a row's life.
pub fn life_name(length: CausalLength) -> &'static str {
    if length.is_alive() { COLUMN_ALIVE } else { COLUMN_DEAD }
}

/// What a line tells of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its life.
    Life,
    /// The cell of this index in [`RowChange::cells`].
    Cell(usize),
    /// The lines of the text of this index in [`RowChange::texts`].
    Lines(usize),
    /// What is behind it.
    Past,
}

/// A line of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it tells.
    pub part: Part,
    /// When the life began or the cell was written, and by whom. What is behind a row goes with the latest of
    /// what else is told of it.
    pub stamp: Stamp<SiteId>,
    /// Orders the lines of one version: 0 for the life, else the column's place counted from 1.
    pub seq: i64,
}

impl Line {
    /// The line's `col_name`; `columns` are those that the row's cells refer to.
    pub fn column<'a>(&self, row: &RowChange, columns: &'a [String]) -> Cow<'a, str> {
        let name =
            |column: Option<usize>| column.and_then(|column| columns.get(column)).map_or("", String::as_str);
        match self.part {
            Part::Life => life_name(row.length).into(),
            Part::Past => COLUMN_PAST.into(),
            Part::Cell(at) => name(row.cells.get(at).map(|cell| cell.column)).into(),
            Part::Lines(at) => {
                format!("{COLUMN_LINES}{}", name(row.texts.get(at).map(|text| text.column))).into()
            }
        }
    }

    /// The line's `col_value`; `None` for a life.
    pub fn value<'a>(&self, row: &'a RowChange) -> Option<Cow<'a, Value>> {
        match self.part {
            Part::Life => None,
            Part::Past => Some(Cow::Owned(Value::Blob(past_bytes(&row.past)))),
            Part::Cell(at) => row.cells.get(at).map(|cell| Cow::Borrowed(&cell.value)),
            Part::Lines(at) => {
                let delta = row.texts.get(at).and_then(|text| text.delta.as_ref());
                delta.map(|delta| Cow::Owned(Value::Blob(delta.to_bytes())))
            }
        }
    }
}

/// The lines of a row whose stamps are wanted.
pub fn lines(row: &RowChange, wanted: impl Fn(Stamp<SiteId>) -> bool) -> impl Iterator<Item = Line> {
    let cells = row.cells.iter().enumerate().map(|(at, cell)| {
        let seq = i64::try_from(cell.column).map_or(i64::MAX, |column| column.saturating_add(1));
        Line { part: Part::Cell(at), stamp: cell.stamp, seq }
    });
    let mut all = vec![Line { part: Part::Life, stamp: row.life, seq: 0 }];
    for cell in cells {
        all.push(cell);
        let column = match cell.part {
            Part::Cell(at) => row.cells.get(at).map(|cell| cell.column),
            _ => None,
        };
        let text = row.texts.iter().position(|text| Some(text.column) == column && text.delta.is_some());
        all.extend(text.map(|at| Line { part: Part::Lines(at), ..cell }));
    }
    let told = all.iter().map(|line| line.stamp).chain(row.past.stamps());
    let latest = told.filter(|stamp| wanted(*stamp)).max();
    all.retain(|line| wanted(line.stamp));
    let past = latest.filter(|_| !row.past.is_empty());
    all.extend(past.map(|stamp| Line { part: Part::Past, stamp, seq: 0 }));
    all.into_iter()
}

fn past_bytes(past: &Past<SiteId>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for vector in [&past.seen, &past.writes] {
        varint::put_u64(&mut bytes, vector.stamps().len() as u64);
        for stamp in vector.stamps() {
            bytes.extend_from_slice(&stamp.site.0);
            varint::put_u64(&mut bytes, stamp.version.0);
        }
    }
    bytes
}

fn read_past(value: &Value) -> Result<Past<SiteId>> {
    let Value::Blob(bytes) = value else {
        return Err(Error::invalid_input(format!("col_value of a line {COLUMN_PAST} is not a BLOB")));
    };
    let mut input = Reader::new(bytes);
    let past = Past { seen: read_vector(&mut input)?, writes: read_vector(&mut input)? };
    match input.is_empty() {
        true => Ok(past),
        false => Err(Error::malformed(input.offset(), "a line tells more than what is behind a row")),
    }
}

fn read_lines(value: &Value) -> Result<TextDelta<SiteId>> {
    match value {
        Value::Blob(bytes) => TextDelta::<SiteId>::from_bytes(bytes),
        _ => Err(Error::invalid_input(format!("col_value of a line {COLUMN_LINES} is not a BLOB"))),
    }
}

fn read_vector(input: &mut Reader<'_>) -> Result<Vector<SiteId>> {
    let mut vector = Vector::default();
    for _ in 0..input.u64()? {
        let site = SiteId(input.array()?);
        let version = Version(input.u64()?);
        if version > Version::MAX {
            return Err(Error::malformed(input.offset(), "a version behind a row is out of range"));
        }
        vector.add(Stamp { version, site });
    }
    Ok(vector)
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
    ///
    /// # Errors
    /// It is to tell what is behind a row, and its value does not.
    pub fn add(&mut self, table: &str, told: Told) -> Result<()> {
        let known = self.names.get(table).copied();
        let at = known.unwrap_or_else(|| {
            let changes = TableChanges { table: table.to_owned(), ..TableChanges::default() };
            self.tables.push(TableCollector { changes, ..TableCollector::default() });
            self.names.insert(table.to_owned(), self.tables.len() - 1);
            self.tables.len() - 1
        });
        match self.tables.get_mut(at) {
            Some(table) => table.add(told),
            None => Ok(()),
        }
    }

    /// The lines as a batch: tables, columns and rows in the order in which they were first met.
    pub fn finish(self) -> ChangeBatch {
        ChangeBatch { tables: self.tables.into_iter().map(|table| table.changes).collect() }
    }
}

impl TableCollector {
    fn add(&mut self, told: Told) -> Result<()> {
        let mut row = RowChange {
            row_id: None,
            key: told.key,
            length: told.length,
            life: Stamp::NEVER,
            cells: Vec::new(),
            texts: Vec::new(),
            past: Past::default(),
        };
        if told.column == COLUMN_ALIVE || told.column == COLUMN_DEAD {
            row.life = told.stamp;
        } else if told.column == COLUMN_PAST {
            row.past = read_past(&told.value)?;
        } else if let Some(name) = told.column.strip_prefix(COLUMN_LINES) {
            let column = self.column(name.to_owned());
            row.cells.push(CellChange { column, stamp: told.stamp, value: Value::Null });
            let delta = Some(read_lines(&told.value)?);
            row.texts.push(TextChange { column, delta, outcome: TextOutcome::Open });
        } else {
            let column = self.column(told.column);
            row.cells.push(CellChange { column, stamp: told.stamp, value: told.value });
        }
        match self.rows.get(&row.key).and_then(|at| self.changes.rows.get_mut(*at)) {
            Some(known) => {
                leave_to_lines(known, &row);
                leave_to_lines(&mut row, known);
                join_changes(None, known, row);
            }
            None => {
                self.rows.insert(row.key.clone(), self.changes.rows.len());
                self.changes.rows.push(row);
            }
        }
        Ok(())
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

/// Takes out the values of `row` whose lines `other` tells.
fn leave_to_lines(row: &mut RowChange, other: &RowChange) {
    let RowChange { cells, texts, .. } = row;
    cells.retain(|cell| {
        let is_told = |known: &CellChange| known.column == cell.column && known.stamp == cell.stamp;
        texts.iter().any(|text| text.column == cell.column)
            || other.text(cell.column).is_none()
            || !other.cells.iter().any(is_told)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Delimiter, Document};

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
        RowChange {
            row_id: None,
            key,
            length: CausalLength::FIRST,
            life: stamp(5),
            cells,
            texts: Vec::new(),
            past: Past::default(),
        }
    }

    fn told(row: &RowChange, line: Line, columns: &[&str]) -> Told {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        Told {
            key: row.key.clone(),
            column: line.column(row, &columns).into_owned(),
            value: line.value(row).map_or(Value::Null, Cow::into_owned),
            stamp: line.stamp,
            length: row.length,
        }
    }

    #[test]
    fn lines_in_any_order_make_the_batch_again() {
        let mut rows = [row(1, &[(0, 5), (1, 9)]), row(2, &[(1, 6)])];
        rows[1].past.seen = Vector::of([stamp(3), Stamp { version: Version(7), site: SiteId([9; 16]) }]);
        rows[1].past.writes = Vector::of([stamp(4)]);
        let columns = ["a", "b"];
        let mut all: Vec<Told> =
            rows.iter().flat_map(|row| lines(row, |_| true).map(|line| told(row, line, &columns))).collect();
        for _ in 0..all.len() {
            all.rotate_left(1);
            let mut collector = Collector::default();
            all.iter().for_each(|told| collector.add("t", told.clone()).unwrap());
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

    /// In whatever order they come: the value beside them would be a write of the whole text.
    #[test]
    fn a_text_whose_lines_are_told_needs_no_value() {
        let lines_of = Delimiter::default();
        let document = Document::implied(stamp(5), "a\nb", &lines_of).unwrap();
        let edit = document.edit("a\nb", "a\nc", &lines_of, stamp(9), None).unwrap().1;
        let mut row = row(1, &[(0, 5), (1, 9)]);
        row.cells[1].value = Value::Text("a\nc".to_owned());
        row.texts.push(TextChange { column: 1, delta: Some(edit.clone()), outcome: TextOutcome::Open });
        let mut all: Vec<Told> = lines(&row, |_| true).map(|line| told(&row, line, &["a", "b"])).collect();
        let place = all.iter().position(|told| told.column == "__[LINES]__b").unwrap();
        assert_eq!(all[place - 1].column, "b");
        for _ in 0..all.len() {
            all.rotate_left(1);
            let mut collector = Collector::default();
            all.iter().for_each(|told| collector.add("t", told.clone()).unwrap());
            let batch = collector.finish();
            let column = batch.tables[0].columns.iter().position(|name| name == "b").unwrap();
            let told = &batch.tables[0].rows[0];
            assert_eq!(told.text(column).and_then(|text| text.delta.as_ref()), Some(&edit));
            assert_eq!(told.cells.iter().find(|cell| cell.column == column).unwrap().value, Value::Null);
            assert_eq!(told.cells.len(), 2);
        }
    }

    #[test]
    fn a_delete_collected_after_its_cells_takes_the_row() {
        let alive = row(1, &[(0, 5)]);
        let dead = RowChange { length: CausalLength(2), life: stamp(8), cells: Vec::new(), ..alive.clone() };
        let mut collector = Collector::default();
        for told in lines(&alive, |_| true).map(|line| told(&alive, line, &["a"])) {
            collector.add("t", told).unwrap();
        }
        let gone = lines(&dead, |_| true).map(|line| told(&dead, line, &[]));
        gone.for_each(|told| collector.add("t", told).unwrap());
        assert_eq!(collector.finish().tables[0].rows, [dead]);
    }

    #[test]
    fn only_wanted_stamps_become_lines() {
        let row = row(1, &[(0, 5), (2, 9)]);
        let wanted: Vec<Line> = lines(&row, |stamp| stamp.version > Version(5)).collect();
        assert_eq!(wanted, [Line { part: Part::Cell(1), stamp: stamp(9), seq: 3 }]);
    }
}
