//! Between devices without a server: of two rows that hold one unique value the same one loses on both.
//!
//! The row whose unique values were written last loses: it is parked as a whole, also where it stood, and
//! comes back when the value is free. A row that the server has accepted never yields to one that it has not:
//! there the server decides.

use cloudsync_shared::capture::base_clock;
use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges, TextChange};
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::flow::{Present, TableOutcome, merge_batch};
use cloudsync_shared::id::{RowId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::join_changes;
use cloudsync_shared::port::{Refusal, RowOutcome};
use cloudsync_shared::value::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::catalog::UniqueIndex;
use crate::error::Result;
use crate::sending::RowReader;
use crate::store::SqliteStore;
use crate::table::Table;
use crate::texts::tell;
use crate::value::Bound;
use crate::{inbox, parked, quote, refusal};

/// How often parked rows are tried again after one batch: each time some row may make room for another.
const MAX_ROUNDS: usize = 64;

/// Parks the rows of a batch from a peer that were refused, gives those their place that the rule gives it,
/// and tries parked rows again as long as that changes anything.
///
/// # Errors
/// The database failed.
pub fn settle(
    store: &mut SqliteStore<'_>,
    batch: &ChangeBatch,
    outcomes: &[TableOutcome],
    present: Present,
) -> Result<()> {
    let conn = store.connection();
    let mut changed = false;
    for (told, row, outcome) in each(batch, outcomes) {
        changed |= match outcome {
            RowOutcome::Refused(refusal) => refused(conn, told, row, refusal)?,
            // What was told may have freed a value.
            RowOutcome::Kept(_) | RowOutcome::Dead => true,
        };
    }
    if changed { retry(store, present) } else { Ok(()) }
}

/// Tries the parked rows of devices again, as long as that changes anything.
///
/// # Errors
/// The database failed.
pub fn retry(store: &mut SqliteStore<'_>, present: Present) -> Result<()> {
    let conn = store.connection();
    for _ in 0..MAX_ROUNDS {
        let mut again = in_order(conn, parked::of_peers(conn)?)?;
        if again.tables.is_empty() {
            return Ok(());
        }
        let outcomes = merge_batch(store, &mut again, present)?;
        let mut changed = false;
        for (told, row, outcome) in each(&again, &outcomes) {
            changed |= match outcome {
                RowOutcome::Refused(refusal) => refused(conn, told, row, refusal)?,
                RowOutcome::Kept(_) | RowOutcome::Dead => parked::release(conn, &told.table, &row.key)?,
            };
        }
        if !changed {
            return Ok(());
        }
    }
    Ok(())
}

/// The rows of a batch with what became of them.
fn each<'a>(
    batch: &'a ChangeBatch,
    outcomes: &'a [TableOutcome],
) -> impl Iterator<Item = (&'a TableChanges, &'a RowChange, &'a RowOutcome)> {
    batch.tables.iter().zip(outcomes).flat_map(|(told, outcome)| {
        let rows: &[RowOutcome] = match outcome {
            TableOutcome::Rows(rows) => rows,
            TableOutcome::UnknownTable => &[],
        };
        told.rows.iter().zip(rows).map(move |(row, outcome)| (told, row, outcome))
    })
}

/// The rows of each table in the order in which they have a claim to their values, so that none takes the
/// place of one before it.
fn in_order(conn: &Connection, parked: ChangeBatch) -> Result<ChangeBatch> {
    let mut ordered = ChangeBatch::default();
    for told in parked.tables {
        // A table that is not synced any more has nothing parked.
        let table = Table::require(conn, &told.table)?;
        let mut rows: Vec<RowChange> =
            told.rows.iter().map(|row| in_columns_of(&table, &told, row)).collect();
        rows.sort_by(|one, other| claim(&table, one).cmp(&claim(&table, other)));
        let empty = in_table(&table, Vec::new());
        ordered.tables.push(TableChanges { rows, ..empty });
    }
    Ok(ordered)
}

/// Parks a row, or those that it displaces. Answers whether anything may stand now that did not before.
fn refused(conn: &Connection, told: &TableChanges, row: &RowChange, refusal: &Refusal) -> Result<bool> {
    let table = Table::require(conn, &told.table)?;
    let mut merged = in_columns_of(&table, told, row);
    tell::settled(&table, &mut merged)?;
    let algorithm = Some(table.synced.algorithm);
    if let Some(parked) = parked::row(conn, &told.table, &row.key)? {
        join_changes(
            algorithm,
            &mut merged,
            in_columns_of(&table, &parked, parked.rows.first().unwrap_or(row)),
        );
    }
    let standing = whole(conn, &table, &row.key)?;
    let stands = standing.is_some();
    if let Some(standing) = standing {
        join_changes(algorithm, &mut merged, standing);
    }
    if refusal.sqlstate != refusal::UNIQUE {
        parked::park(conn, &in_table(&table, Vec::new()), &merged, refusal)?;
        return Ok(false);
    }
    let rivals = rivals(conn, &table, &tell::rendered(&merged))?;
    let wins_over = |rival: &RowChange| match (merged.row_id.is_some(), rival.row_id.is_some()) {
        (true, false) => true,
        (false, true) => false,
        _ => claim(&table, &merged) < claim(&table, rival),
    };
    if rivals.is_empty() || !rivals.iter().all(wins_over) {
        if stands && merged.row_id.is_some() {
            // It stays as the server has it; what came from the device is still to be sent.
            merged.row_id = None;
        } else if stands {
            inbox::forget_row(conn, &table, &merged.key)?;
        }
        parked::park(conn, &in_table(&table, Vec::new()), &merged, refusal)?;
        return Ok(false);
    }
    for loser in &rivals {
        parked::park(conn, &in_table(&table, Vec::new()), loser, refusal)?;
        inbox::forget_row(conn, &table, &loser.key)?;
    }
    // The next round writes it.
    parked::park(conn, &in_table(&table, Vec::new()), &merged, refusal)?;
    Ok(true)
}

/// When the unique values of a row were written; the key decides between rows of one write.
fn claim<'a>(table: &Table, row: &'a RowChange) -> (Stamp<SiteId>, &'a Key) {
    let names = table.info.unique.iter().flat_map(|index| index.columns.iter().flatten());
    let names: Vec<&String> = names.map(|(name, _)| name).collect();
    let is_unique = |cell: &&CellChange| {
        table.schema.columns.get(cell.column).is_some_and(|column| names.contains(&&column.name))
    };
    let stamps = row.cells.iter().filter(is_unique).map(|cell| cell.stamp);
    (stamps.max().unwrap_or(row.life), &row.key)
}

/// A told row with its cells by the columns of the table; what the table does not have is left out.
pub fn in_columns_of(table: &Table, told: &TableChanges, row: &RowChange) -> RowChange {
    let place = |column: usize| {
        let name = told.columns.get(column)?;
        table.schema.columns.iter().position(|column| column.name == *name)
    };
    let cells = row.cells.iter().filter_map(|cell| Some((place(cell.column)?, cell)));
    let mut cells: Vec<CellChange> =
        cells.map(|(column, cell)| CellChange { column, ..cell.clone() }).collect();
    cells.sort_by_key(|cell| cell.column);
    let texts = row.texts.iter().filter_map(|text| Some((place(text.column)?, text)));
    let texts = texts.map(|(column, text)| TextChange { column, ..text.clone() }).collect();
    RowChange { cells, texts, ..row.clone() }
}

fn in_table(table: &Table, rows: Vec<RowChange>) -> TableChanges {
    let columns = table.schema.columns.iter().map(|column| column.name.clone()).collect();
    let algorithm = Some(table.synced.algorithm);
    TableChanges { table: table.schema.name.clone(), algorithm, columns, rows }
}

/// All that is known here of a row that stands.
fn whole(conn: &Connection, table: &Table, key: &Key) -> Result<Option<RowChange>> {
    let sql = format!("SELECT clock, row_id FROM {} WHERE key = ?1", table.clocks());
    let stored: Option<(Vec<u8>, Option<i64>)> =
        conn.prepare_cached(&sql)?.query_row([&key.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (clock, row_id) = stored.unwrap_or_else(|| (base_clock().to_bytes(), None));
    if !RowClock::from_bytes(&clock)?.length.is_alive() {
        return Ok(None);
    }
    let row = RowReader::new(conn, table)?.change(key, &clock, 0)?;
    Ok(row.map(|row| RowChange { row_id: row_id.map(|id| RowId(id.unsigned_abs())), ..row }))
}

/// The rows here that hold a unique value of this one.
fn rivals(conn: &Connection, table: &Table, row: &RowChange) -> Result<Vec<RowChange>> {
    let names: Vec<String> = table.schema.key.iter().cloned().chain(named(table, row)).collect();
    let values: Vec<Value> = row
        .key
        .decode(table.schema.key.len())?
        .into_iter()
        .chain(row.cells.iter().map(|cell| cell.value.clone()))
        .collect();
    let mut rivals: Vec<RowChange> = Vec::new();
    for index in &table.info.unique {
        let Some(sql) = rivals_of(table, index, &names) else { continue };
        let mut query = conn.prepare_cached(&sql)?;
        let mut rows = query.query(params_from_iter(values.iter().map(Bound)))?;
        while let Some(found) = rows.next()? {
            let Ok(key) = table.key_of(found, 0)? else { continue };
            if key != row.key && !rivals.iter().any(|rival| rival.key == key) {
                rivals.extend(whole(conn, table, &key)?);
            }
        }
    }
    Ok(rivals)
}

fn named<'a>(table: &'a Table, row: &'a RowChange) -> impl Iterator<Item = String> + 'a {
    row.cells.iter().map(|cell| {
        let column = table.schema.columns.get(cell.column);
        column.map_or_else(String::new, |column| column.name.clone())
    })
}

/// Finds the keys of rows with the values of `names` in the columns of an index.
fn rivals_of(table: &Table, index: &UniqueIndex, names: &[String]) -> Option<String> {
    let columns: Vec<&(String, String)> = index.columns.iter().flatten().collect();
    let equal = columns.iter().map(|(name, collation)| {
        names.contains(name).then(|| {
            let name = quote::ident(name);
            format!("o.{name} = n.{name} COLLATE {}", quote::ident(collation))
        })
    });
    let mut terms = equal.collect::<Option<Vec<String>>>()?;
    let holes = names.iter().enumerate().map(|(at, name)| format!("?{} AS {}", at + 1, quote::ident(name)));
    let holes = holes.collect::<Vec<_>>().join(", ");
    let mut new = format!("(SELECT {holes}) AS n");
    let mut old = format!("{} AS o", table.rows());
    if let Some(condition) = &index.condition {
        old = format!("(SELECT * FROM {} WHERE {condition}) AS o", table.rows());
        // The condition may read columns that the row was not told with: they are as a new row has them.
        let rest = table.info.columns.iter().filter(|column| !names.contains(&column.name));
        let rest: String = rest.map(|column| format!(", NULL AS {}", quote::ident(&column.name))).collect();
        new = format!("(SELECT * FROM (SELECT {holes}{rest}) WHERE {condition}) AS n");
    }
    // Every parameter must be used, or it cannot be bound.
    terms.push("1".to_owned());
    let keys = table.info.key.iter().map(|column| format!("o.{}", quote::ident(&column.name)));
    let keys = keys.collect::<Vec<_>>().join(", ");
    Some(format!("SELECT {keys} FROM {new}, {old} WHERE {}", terms.join(" AND ")))
}
