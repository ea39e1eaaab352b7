//! Rows that no other replica could hold: text that is not UTF-8, which SQLite stores as it comes. Such a
//! row stays on this device, unsent, until it is changed; it is listed in `cloudsync_rejections`, and
//! holds up no other row.

use cloudsync_shared::capture::base_clock;
use cloudsync_shared::change::{CellChange, RowChange};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use crate::error::Result;
use crate::rejections::{self, Rejection};
use crate::sent::UNSENT_WHOLE;
use crate::table::Table;
use crate::value::{self, NOT_IN_REPERTOIRE, NotUtf8};

/// The cells of a row as they are read for sending.
pub struct Cells {
    /// The cells.
    pub told: Vec<CellChange>,
    /// The first column whose value no other replica could hold; its cell has the bytes.
    pub unsendable: Option<String>,
}

impl Cells {
    /// Reads a value; one that cannot be sent becomes its bytes.
    pub fn read(&mut self, column: &str, value: ValueRef<'_>) -> Value {
        value::from_sql(value).unwrap_or_else(|NotUtf8| {
            self.unsendable.get_or_insert_with(|| column.to_owned());
            bytes_of(value)
        })
    }
}

fn bytes_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
        other => value::from_sql(other).unwrap_or(Value::Null),
    }
}

/// Notes a row that stays here, once for each state of it.
///
/// # Errors
/// The database failed.
pub fn note(conn: &Connection, table: &Table, change: &RowChange, column: &str) -> Result<()> {
    let message = format!(
        "column {column} holds text that is not UTF-8: the row stays on this device until that is changed, \
         or stored as a BLOB"
    );
    note_refusal(conn, table, change, message)
}

/// As [`note`], of a row whose key cannot be sent, for the `reason` given. The key columns stand from
/// `first` on.
///
/// # Errors
/// The database failed.
pub fn note_key(conn: &Connection, table: &Table, row: &Row<'_>, first: usize, reason: &str) -> Result<()> {
    let mut values = Vec::with_capacity(table.info.key.len());
    for at in 0..table.info.key.len() {
        let cell = row.get_ref(first + at)?;
        values.push(value::from_sql(cell).unwrap_or_else(|NotUtf8| bytes_of(cell)));
    }
    // A key that is refused for its length or a NULL has no bytes to be listed under.
    let Ok(key) = Key::encode(&values) else { return Ok(()) };
    let life = Stamp { version: Version::NEVER, site: SiteId::NIL };
    let change = RowChange {
        texts: Vec::new(),
        row_id: None,
        key,
        length: CausalLength::FIRST,
        life,
        cells: Vec::new(),
        past: Default::default(),
    };
    note_refusal(
        conn,
        table,
        &change,
        format!("{reason}: the row stays on this device until that is changed"),
    )
}

fn note_refusal(conn: &Connection, table: &Table, change: &RowChange, message: String) -> Result<()> {
    let columns: Vec<String> = table.schema.columns.iter().map(|column| column.name.clone()).collect();
    let refusal = Refusal { sqlstate: NOT_IN_REPERTOIRE.to_owned(), message };
    rejections::record_once(conn, &Rejection { table, columns: &columns, change, refusal: &refusal })
}

/// Gives a row that stood in its table before it was synced a clock of its own: its table will count as
/// sent, and the row is not.
///
/// # Errors
/// The database failed.
pub fn keep_base_row(conn: &Connection, table: &Table, key: &Key) -> Result<()> {
    let sql = format!(
        "INSERT INTO {} (key, clock, unsent) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING",
        table.clocks()
    );
    conn.prepare_cached(&sql)?.execute(params![key.0, base_clock().to_bytes(), UNSENT_WHOLE])?;
    Ok(())
}
