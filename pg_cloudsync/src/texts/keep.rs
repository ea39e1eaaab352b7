//! What a write made of documents, stored set by set.

use pgrx::Spi;
use pgrx::datum::DatumWithOid;

use crate::error::Result;
use crate::ffi::owner::AsOwner;

/// How long the edits in the log of a text may be together, as a multiple of the text's length: beyond that
/// the whole is as cheap to tell.
const LOG_FACTOR: i64 = 1;
/// A short text has at least this room for edits, in bytes.
const MIN_LOG_BYTES: i64 = 4096;
/// The most edits in the log of a text: they are joined when they are told.
const MAX_LOG_ENTRIES: i64 = 1000;

/// What becomes of the document of one cell.
#[derive(Clone, Debug)]
pub enum Change {
    /// The value was written whole, or the row is gone.
    Forget,
    /// The text was edited.
    Edit {
        /// The document, in its stored form.
        document: Vec<u8>,
        /// Of which text it is.
        digest: i64,
        /// The length of that text in bytes.
        length: usize,
        /// The edit, in its stored form.
        delta: Vec<u8>,
        /// The `xmin` of the row's clock before. Where the document is the first of its epoch, whoever does not
        /// see that may lack the text that the epoch began with.
        since: i64,
    },
    /// A text came with its document.
    Replace {
        /// The document, in its stored form.
        document: Vec<u8>,
        /// Of which text it is.
        digest: i64,
    },
}

/// What becomes of the document of which cell.
#[derive(Clone, Debug)]
pub struct CellWrite {
    /// The row's id.
    pub row_id: i64,
    /// The column's number.
    pub attnum: i16,
    /// What becomes of it.
    pub change: Change,
}

/// Stores what became of documents of a table's cells. The rows are locked by this transaction.
///
/// # Errors
/// The metadata cannot be written.
pub fn keep(table: i32, writes: &[CellWrite]) -> Result<()> {
    let is_edit = |write: &&CellWrite| matches!(write.change, Change::Edit { .. });
    let (edits, others): (Vec<&CellWrite>, Vec<&CellWrite>) = writes.iter().partition(is_edit);
    let _owner = AsOwner::enter()?;
    if !others.is_empty() {
        let (rows, columns) = cells(&others);
        run(FORGET, &[table.into(), rows.clone().into(), columns.clone().into()])?;
        run(FORGET_LOG, &[table.into(), rows.into(), columns.into()])?;
    }
    store_documents(table, writes)?;
    if edits.is_empty() {
        return Ok(());
    }
    let (rows, columns) = cells(&edits);
    let (mut deltas, mut since, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
    for edit in &edits {
        if let Change::Edit { delta, since: bound, length, .. } = &edit.change {
            deltas.push(delta.clone());
            since.push(*bound);
            let length = i64::try_from(*length).unwrap_or(i64::MAX);
            bounds.push(length.saturating_mul(LOG_FACTOR).max(MIN_LOG_BYTES));
        }
    }
    let args: [DatumWithOid<'_>; 5] =
        [table.into(), rows.clone().into(), columns.clone().into(), deltas.into(), since.into()];
    run(LOG, &args)?;
    run(BOUND, &[table.into(), rows.into(), columns.into(), bounds.into(), MAX_LOG_ENTRIES.into()])
}

/// Forgets all documents of a column: its lines are cut otherwise from now on, or not at all.
///
/// # Errors
/// The metadata cannot be written.
pub fn forget_column(table: i32, attnum: i16) -> Result<()> {
    let _owner = AsOwner::enter()?;
    run("DELETE FROM cloudsync.texts WHERE table_id = $1 AND attnum = $2", &[table.into(), attnum.into()])?;
    run("DELETE FROM cloudsync.text_log WHERE table_id = $1 AND attnum = $2", &[table.into(), attnum.into()])
}

fn store_documents(table: i32, writes: &[CellWrite]) -> Result<()> {
    let (mut rows, mut columns, mut documents, mut digests) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut begun: (Vec<i64>, Vec<i16>) = (Vec::new(), Vec::new());
    for write in writes {
        let (document, digest) = match &write.change {
            Change::Forget => continue,
            Change::Edit { document, digest, .. } => (document, digest),
            Change::Replace { document, digest } => {
                begun.0.push(write.row_id);
                begun.1.push(write.attnum);
                (document, digest)
            }
        };
        rows.push(write.row_id);
        columns.push(write.attnum);
        documents.push(document.clone());
        digests.push(*digest);
    }
    if rows.is_empty() {
        return Ok(());
    }
    run(STORE, &[table.into(), rows.into(), columns.into(), documents.into(), digests.into()])?;
    if begun.0.is_empty() {
        return Ok(());
    }
    run(BEGIN_LOG, &[table.into(), begun.0.into(), begun.1.into()])
}

fn cells(writes: &[&CellWrite]) -> (Vec<i64>, Vec<i16>) {
    writes.iter().map(|write| (write.row_id, write.attnum)).unzip()
}

fn run(sql: &str, args: &[DatumWithOid<'_>]) -> Result<()> {
    Ok(Spi::connect_mut(|client| client.update(sql, None, args).map(|_| ()))?)
}

const FORGET: &str = "DELETE FROM cloudsync.texts x USING unnest($2::int8[], $3::int2[]) u(row_id, attnum) \
    WHERE x.table_id = $1 AND x.row_id = u.row_id AND x.attnum = u.attnum";

const FORGET_LOG: &str = "DELETE FROM cloudsync.text_log x USING unnest($2::int8[], $3::int2[]) u(row_id, attnum) \
    WHERE x.table_id = $1 AND x.row_id = u.row_id AND x.attnum = u.attnum";

const STORE: &str = "INSERT INTO cloudsync.texts (table_id, row_id, attnum, document, digest) \
    SELECT $1, u.* FROM unnest($2::int8[], $3::int2[], $4::bytea[], $5::int8[]) u(row_id, attnum, document, digest) \
    ON CONFLICT (table_id, row_id, attnum) DO UPDATE SET document = excluded.document, digest = excluded.digest";

const BEGIN_LOG: &str = "INSERT INTO cloudsync.text_log (table_id, row_id, attnum, xid) \
    SELECT $1, u.*, pg_current_xact_id() FROM unnest($2::int8[], $3::int2[]) u(row_id, attnum)";

/// The bound first, then the edit. An `xmin` is the lower half of the number of a transaction at most 2^32
/// back; should it be older, a later one is named, which is safe.
const LOG: &str = "INSERT INTO cloudsync.text_log (table_id, row_id, attnum, xid, delta) \
    SELECT $1, u.row_id, u.attnum, e.xid, e.delta \
    FROM unnest($2::int8[], $3::int2[], $4::bytea[], $5::int8[]) WITH ORDINALITY u(row_id, attnum, delta, since, ord), \
        LATERAL (SELECT pg_current_xact_id()::text::int8 AS number) now, \
        LATERAL (VALUES (0, (now.number - ((now.number - u.since) & 4294967295))::text::xid8, NULL::bytea), \
            (1, pg_current_xact_id(), u.delta)) e(step, xid, delta) \
    WHERE e.step = 1 OR NOT EXISTS (SELECT FROM cloudsync.text_log l \
        WHERE l.table_id = $1 AND l.row_id = u.row_id AND l.attnum = u.attnum) ORDER BY u.ord, e.step";

/// Drops the oldest edits beyond the bound of a text; the newest of them stays as a bound. Whoever sees that one
/// sees the older ones: a row's writers come one after the other. Only a standby, which tells what a device has
/// seen by the number alone, may take it otherwise for transactions with a higher number: they stay as bounds too.
const BOUND: &str = "WITH old AS ( \
        SELECT l.* FROM unnest($2::int8[], $3::int2[], $4::int8[]) u(row_id, attnum, bytes) \
        CROSS JOIN LATERAL (SELECT l.id, l.row_id, l.attnum, l.xid, l.delta, \
                sum(length(l.delta)) OVER w AS total, count(*) OVER w AS place \
            FROM cloudsync.text_log l \
            WHERE l.table_id = $1 AND l.row_id = u.row_id AND l.attnum = u.attnum \
            WINDOW w AS (ORDER BY l.id DESC)) l \
        WHERE l.total > u.bytes OR l.place > $5 \
    ), cut AS (SELECT DISTINCT ON (o.row_id, o.attnum) o.row_id, o.attnum, o.id, o.xid FROM old o \
        WHERE o.delta IS NOT NULL ORDER BY o.row_id, o.attnum, o.id DESC), \
    gone AS (DELETE FROM cloudsync.text_log l USING old o, cut c \
        WHERE c.row_id = o.row_id AND c.attnum = o.attnum AND o.id < c.id AND o.xid <= c.xid \
            AND l.table_id = $1 AND l.row_id = o.row_id AND l.attnum = o.attnum AND l.id = o.id) \
    UPDATE cloudsync.text_log l SET delta = NULL FROM old o, cut c \
    WHERE c.row_id = o.row_id AND c.attnum = o.attnum AND (o.id = c.id OR (o.id < c.id AND o.xid > c.xid)) \
        AND l.table_id = $1 AND l.row_id = o.row_id AND l.attnum = o.attnum AND l.id = o.id";
