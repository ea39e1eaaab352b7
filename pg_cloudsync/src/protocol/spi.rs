//! The only caller of SPI in the protocol: statements with typed arguments, rows read by closure.

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{SpiClient, SpiTupleTable};

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

impl Arg {
    /// The SQL type of the argument, for casts in a statement's text.
    pub(super) fn sql_type(&self) -> &'static str {
        match self {
            Arg::Texts(_) => "pg_catalog.text[]",
            Arg::Blobs(_) => "pg_catalog.bytea[]",
            Arg::Longs(_) => "pg_catalog.int8[]",
            Arg::Long(_) => "pg_catalog.int8",
            Arg::Text(_) => "pg_catalog.text",
            Arg::Bytes(_) => "pg_catalog.bytea",
        }
    }
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
