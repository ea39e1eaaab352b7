//! The only caller of SPI in the protocol: statements with typed arguments, rows read by closure.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiTupleTable};

use crate::error::PgError;

/// One argument of a statement; arrays become the columns of a set by `unnest`.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    /// `text[]`.
    Texts(Vec<Option<String>>),
    /// `bytea[]`.
    Blobs(Vec<Option<Vec<u8>>>),
    /// `bigint[]`.
    Longs(Vec<i64>),
    /// `bigint`.
    Long(i64),
    /// `text`.
    Text(String),
    /// `bytea`.
    Bytes(Vec<u8>),
}

/// Whether a statement may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It sees the snapshot of the calling query and writes nothing: fit for a standby.
    Read,
    /// It sees everything committed before it began, and may lock and write.
    Write,
}

/// A row of a result, columns counted from 1.
pub(super) struct Row<'a, 'conn>(&'a SpiTupleTable<'conn>);

impl Row<'_, '_> {
    /// A `text` column.
    pub(super) fn text(&self, column: usize) -> Result<Option<String>, PgError> {
        Ok(self.0.get::<String>(column)?)
    }

    /// A `text` column that is never NULL.
    pub(super) fn known_text(&self, column: usize) -> Result<String, PgError> {
        Ok(self.text(column)?.unwrap_or_default())
    }

    /// A `bigint` column.
    pub(super) fn long(&self, column: usize) -> Result<Option<i64>, PgError> {
        Ok(self.0.get::<i64>(column)?)
    }

    /// A `bigint` column that is never NULL.
    pub(super) fn known_long(&self, column: usize) -> Result<i64, PgError> {
        Ok(self.long(column)?.unwrap_or_default())
    }

    /// A `double precision` column.
    pub(super) fn real(&self, column: usize) -> Result<Option<f64>, PgError> {
        Ok(self.0.get::<f64>(column)?)
    }

    /// A `boolean` column, NULL as false.
    pub(super) fn flag(&self, column: usize) -> Result<bool, PgError> {
        Ok(self.0.get::<bool>(column)?.unwrap_or_default())
    }

    /// A `bytea` column.
    pub(super) fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, PgError> {
        Ok(self.0.get::<Vec<u8>>(column)?)
    }
}

/// Runs a statement and reads its rows.
///
/// # Errors
/// What `read` answers. An error of the statement itself is raised, not returned: a subtransaction
/// catches it.
pub(super) fn query<T>(
    mode: Mode,
    sql: &str,
    args: Vec<Arg>,
    mut read: impl FnMut(&Row<'_, '_>) -> Result<T, PgError>,
) -> Result<Vec<T>, PgError> {
    run(mode, sql, args, |mut table| {
        let mut rows = Vec::with_capacity(table.len());
        while table.next().is_some() {
            rows.push(read(&Row(&table))?);
        }
        Ok(rows)
    })
}

/// As [`query`], of a statement that only reads, with a list of numbers as its one argument. Its plan
/// is made once a session: for statements whose planning costs more than their run.
///
/// # Errors
/// As [`query`].
pub(super) fn query_kept<T>(
    sql: &'static str,
    numbers: Vec<i64>,
    mut read: impl FnMut(&Row<'_, '_>) -> Result<T, PgError>,
) -> Result<Vec<T>, PgError> {
    let kept =
        KEPT.with_borrow(|kept| kept.iter().find(|(text, _)| *text == sql).map(|(_, plan)| plan.clone()));
    Spi::connect(|client| {
        let plan = match kept {
            Some(plan) => plan,
            None => {
                let types = [pg_sys::PgOid::from(pg_sys::INT8ARRAYOID)];
                let plan = Rc::new(client.prepare(sql, &types)?.keep());
                KEPT.with_borrow_mut(|kept| kept.push((sql, plan.clone())));
                plan
            }
        };
        let mut table = client.select(&*plan, None, &[datum(Arg::Longs(numbers))])?;
        let mut rows = Vec::with_capacity(table.len());
        while table.next().is_some() {
            rows.push(read(&Row(&table))?);
        }
        Ok(rows)
    })
}

thread_local! {
    /// The plans of [`query_kept`]; PostgreSQL itself notices when one is out of date.
    static KEPT: RefCell<Vec<(&'static str, Rc<OwnedPreparedStatement>)>> = const { RefCell::new(Vec::new()) };
}

/// Runs a statement that writes and returns nothing; answers how many rows it touched.
///
/// # Errors
/// As [`query`].
pub(super) fn execute(sql: &str, args: Vec<Arg>) -> Result<usize, PgError> {
    run(Mode::Write, sql, args, |table| Ok(table.len()))
}

fn run<T>(
    mode: Mode,
    sql: &str,
    args: Vec<Arg>,
    read: impl FnOnce(SpiTupleTable<'_>) -> Result<T, PgError>,
) -> Result<T, PgError> {
    match mode {
        Mode::Read => Spi::connect(|client: &SpiClient<'_>| {
            let args: Vec<DatumWithOid<'_>> = args.into_iter().map(datum).collect();
            read(client.select(sql, None, &args)?)
        }),
        Mode::Write => Spi::connect_mut(|client| {
            let args: Vec<DatumWithOid<'_>> = args.into_iter().map(datum).collect();
            read(client.update(sql, None, &args)?)
        }),
    }
}

fn datum(arg: Arg) -> DatumWithOid<'static> {
    match arg {
        Arg::Texts(texts) => texts.into(),
        Arg::Blobs(blobs) => blobs.into(),
        Arg::Longs(longs) => longs.into(),
        Arg::Long(long) => long.into(),
        Arg::Text(text) => text.into(),
        Arg::Bytes(bytes) => bytes.into(),
    }
}
