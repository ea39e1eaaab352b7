//! A batch of changes: its sites, then table by table, each attribute of all rows together.

use std::collections::BTreeSet;

use crate::change::{ChangeBatch, RowChange, TableChanges};
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::schema::Algorithm;
use crate::varint::Reader;
use crate::wire::allowance::Allowance;
use crate::wire::column::{self, ColumnCells};
use crate::wire::limits::{MAX_COLUMNS, MAX_ROWS, MAX_TABLES};
use crate::wire::past;
use crate::wire::rows;
use crate::wire::sites::{SiteIndex, Sites};
use crate::wire::stream::{self, Subset};
use crate::wire::texts;

const TABLES: &str = "the number of tables in one message";
const COLUMNS: &str = "the number of columns in one message";
const ROWS: &str = "the number of rows in one message";

/// Appends a batch.
///
/// # Errors
/// A limit is exceeded, or a row breaks the rules of [`RowChange`].
pub fn put(out: &mut Vec<u8>, batch: &ChangeBatch) -> Result<()> {
    let mut tables = Vec::new();
    let mut sites = SiteIndex::default();
    let mut allowance = Allowance::default();
    stream::put_count(&mut tables, batch.tables.len(), TABLES, MAX_TABLES)?;
    for table in &batch.tables {
        allowance.take_rows(table.rows.len())?;
        allowance.take_cells(table.rows.iter().map(|row| row.cells.len()).sum())?;
        allowance.take_columns(table.columns.len())?;
        put_table(&mut tables, table, &mut sites)?;
    }
    sites.put(out)?;
    out.append(&mut tables);
    Ok(())
}

fn put_table(out: &mut Vec<u8>, table: &TableChanges, sites: &mut SiteIndex) -> Result<()> {
    stream::put_name(out, &table.table)?;
    out.push(table.algorithm.map_or(UNTOLD, Algorithm::number));
    stream::put_count(out, table.columns.len(), COLUMNS, MAX_COLUMNS)?;
    for column in &table.columns {
        stream::put_name(out, column)?;
    }
    if repeats(&table.columns) {
        return Err(Error::invalid_input(format!("changes of table {} name a column twice", table.table)));
    }
    stream::put_count(out, table.rows.len(), ROWS, MAX_ROWS)?;
    if table.rows.is_empty() {
        return Ok(());
    }
    rows::put(out, &table.rows, sites)?;
    past::put(out, &table.rows, sites)?;
    let (living, columns) = by_column(table, sites)?;
    for column in &columns {
        column.put_presence(out, living);
    }
    for column in &columns {
        column.put(out);
    }
    texts::put(out, &table.rows)
}

/// How many rows may have cells, and the cells of each column.
fn by_column(table: &TableChanges, sites: &mut SiteIndex) -> Result<(usize, Vec<ColumnCells>)> {
    let mut columns: Vec<ColumnCells> = Vec::new();
    columns.resize_with(table.columns.len(), ColumnCells::default);
    let mut living = 0usize;
    for row in &table.rows {
        check_cells(table, row)?;
        for cell in &row.cells {
            if let Some(column) = columns.get_mut(cell.column) {
                column.push(living, row.life, cell, sites);
            }
        }
        living += usize::from(may_have_cells(row));
    }
    Ok((living, columns))
}

/// A deleted row that could come back tells its cells too.
fn may_have_cells(row: &RowChange) -> bool {
    row.length.is_alive() || !row.past.is_empty()
}

/// In the place of an algorithm's number: the sender does not tell it.
const UNTOLD: u8 = 0;

fn read_algorithm(input: &mut Reader<'_>) -> Result<Option<Algorithm>> {
    let offset = input.offset();
    match input.byte()? {
        UNTOLD => Ok(None),
        number => match Algorithm::from_number(number) {
            Some(algorithm) => Ok(Some(algorithm)),
            None => Err(Error::malformed(offset, "a table has an unknown algorithm")),
        },
    }
}

fn check_cells(table: &TableChanges, row: &RowChange) -> Result<()> {
    let refuse =
        |what: &str| Err(Error::invalid_input(format!("a changed row of table {} {what}", table.table)));
    if !row.cells.is_empty() && !may_have_cells(row) {
        return refuse("is deleted and yet has cells");
    }
    if !row.cells.is_sorted_by(|a, b| a.column < b.column) {
        return refuse("has cells that are not sorted by column");
    }
    if row.cells.last().is_some_and(|cell| cell.column >= table.columns.len()) {
        return refuse("has a cell of a column that is not named");
    }
    if row.cells.iter().any(|cell| cell.stamp.version > Version::MAX) {
        return refuse("has a cell whose version is out of range");
    }
    Ok(())
}

fn repeats(names: &[String]) -> bool {
    let distinct: BTreeSet<&String> = names.iter().collect();
    distinct.len() != names.len()
}

/// Reads a batch.
///
/// # Errors
/// The input is cut short, exceeds a limit, or is not what [`put`] writes.
pub fn read(input: &mut Reader<'_>) -> Result<ChangeBatch> {
    let sites = Sites::read(input)?;
    let mut allowance = Allowance::default();
    let count = stream::count(input, 3, TABLES, MAX_TABLES)?;
    let mut tables = Vec::with_capacity(count);
    for _ in 0..count {
        tables.push(read_table(input, &sites, &mut allowance)?);
    }
    Ok(ChangeBatch { tables })
}

fn read_table(input: &mut Reader<'_>, sites: &Sites, allowance: &mut Allowance) -> Result<TableChanges> {
    let table = stream::name(input)?;
    let algorithm = read_algorithm(input)?;
    let offset = input.offset();
    let columns = stream::count(input, 1, COLUMNS, MAX_COLUMNS)?;
    allowance.take_columns(columns)?;
    let columns = (0..columns).map(|_| stream::name(input)).collect::<Result<Vec<_>>>()?;
    if repeats(&columns) {
        return Err(Error::malformed(offset, &format!("the columns of table {table} name one twice")));
    }
    let count = stream::count(input, 1, ROWS, MAX_ROWS)?;
    allowance.take_rows(count)?;
    if count == 0 {
        return Ok(TableChanges { table, algorithm, columns, rows: Vec::new() });
    }
    let mut rows = rows::read(input, count, sites)?;
    past::read(input, &mut rows, sites, allowance)?;
    read_cells(input, columns.len(), &mut rows, sites, allowance)?;
    texts::read(input, &mut rows, allowance)?;
    Ok(TableChanges { table, algorithm, columns, rows })
}

fn read_cells(
    input: &mut Reader<'_>,
    columns: usize,
    rows: &mut [RowChange],
    sites: &Sites,
    allowance: &mut Allowance,
) -> Result<()> {
    let mut living: Vec<&mut RowChange> = rows.iter_mut().filter(|row| may_have_cells(row)).collect();
    let mut presences = Vec::with_capacity(columns);
    let offset = input.offset();
    for _ in 0..columns {
        let presence = Subset::read(input, living.len())?;
        allowance.take_cells(presence.count(living.len()))?;
        presences.push(presence);
    }
    reserve_cells(input, offset, &presences, &mut living)?;
    for (column, presence) in presences.into_iter().enumerate() {
        column::read(input, column, presence, &mut living, sites)?;
    }
    Ok(())
}

/// Gives each row room for its cells, but no more than the rest of the message can fill: a cell takes
/// at least one byte.
fn reserve_cells(
    input: &Reader<'_>,
    offset: usize,
    presences: &[Subset<'_>],
    living: &mut [&mut RowChange],
) -> Result<()> {
    let total: usize = presences.iter().map(|presence| presence.count(living.len())).sum();
    stream::check_room(input, offset, total, 1)?;
    for (index, row) in living.iter_mut().enumerate() {
        let count = presences.iter().filter(|presence| presence.contains(index)).count();
        row.cells.reserve_exact(count);
    }
    Ok(())
}
