//! Local writes of texts that are merged by lines.
//!
//! Before the clocks of a statement's rows are moved, their stamps are read: an edit is one of the text of that
//! stamp. After that the texts themselves are compared, some rows at a time, and documents and log moved on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::id::{ColumnId, SiteOrdinal};
use cloudsync_shared::merge::edit_text;
use cloudsync_shared::text::digest;
use cloudsync_shared::value::Value;
use pgrx::spi::SpiClient;

use crate::capture::statement;
use crate::capture::{NEW_ROWS, OLD_ROWS};
use crate::catalog::SyncedTable;
use crate::error::{PgError, Result};
use crate::ffi::trigger::Event;
use crate::texts::{CellWrite, Change, Stored, keep};

/// How many texts are compared before their documents are stored.
const STEP: i64 = 64;
/// How long two texts are compared; what is left then counts as replaced.
const EDIT_TIME: Duration = Duration::from_millis(500);

/// What has to be done for the texts of a table beside moving its clocks.
pub struct TextCapture {
    table: SyncedTable,
    before: String,
    changed: String,
    gone: [String; 2],
}

/// The rows of an update before their clocks moved.
pub struct Before(HashMap<i64, (RowClock<SiteOrdinal>, i64)>);

impl TextCapture {
    /// For a statement of that kind; `None` if it can touch no document.
    pub fn of(table: &SyncedTable, event: Event) -> Option<TextCapture> {
        if table.schema.texts.is_empty() || event == Event::Insert {
            return None;
        }
        Some(TextCapture {
            before: statement_before(table),
            changed: statement_changed(table),
            gone: ["texts", "text_log"].map(|name| statement_gone(table, event, name)),
            table: table.clone(),
        })
    }

    /// Reads the clocks of rows whose texts an update changed.
    ///
    /// # Errors
    /// The metadata cannot be read.
    pub fn before(&self, client: &SpiClient<'_>, event: Event) -> Result<Before> {
        let mut before = HashMap::new();
        if event == Event::Update {
            for row in client.select(&self.before, None, &[])? {
                let clock = RowClock::from_bytes(row.get::<&[u8]>(2)?.unwrap_or_default())?;
                before.insert(row.get(1)?.unwrap_or_default(), (clock, row.get(3)?.unwrap_or_default()));
            }
        }
        Ok(Before(before))
    }

    /// Moves the documents, after the clocks were.
    ///
    /// # Errors
    /// The metadata cannot be written.
    pub fn after(&self, client: &mut SpiClient<'_>, before: &Before) -> Result<()> {
        for statement in &self.gone {
            client.update(statement, None, &[])?;
        }
        if before.0.is_empty() {
            return Ok(());
        }
        let mut cursor = client.try_open_cursor(&self.changed, &[])?;
        loop {
            let mut writes = Vec::new();
            let rows = cursor.fetch(STEP)?;
            let is_last = rows.is_empty();
            for row in rows {
                let text =
                    |column| Ok::<_, PgError>(row.get::<String>(column)?.map_or(Value::Null, Value::Text));
                let row_id: i64 = row.get(1)?.unwrap_or_default();
                let attnum: i16 = row.get(2)?.unwrap_or_default();
                let stored = match (row.get(6)?, row.get(7)?) {
                    (Some(document), Some(digest)) => Some(Stored::new(document, digest)),
                    _ => None,
                };
                let Some((clock, xmin)) = before.0.get(&row_id) else { continue };
                let written = RowClock::from_bytes(row.get::<&[u8]>(5)?.unwrap_or_default())?;
                let column = ColumnId(attnum as u16);
                let stamps = (clock.cell(column), written.cell(column));
                let change = self.edited(column, stamps, (text(3)?, text(4)?), stored, *xmin)?;
                writes.push(CellWrite { row_id, attnum, change });
            }
            if is_last {
                return Ok(());
            }
            keep(self.table.id, &writes)?;
        }
    }

    fn edited(
        &self,
        column: ColumnId,
        (before, after): (Stamp<SiteOrdinal>, Stamp<SiteOrdinal>),
        (old, new): (Value, Value),
        stored: Option<Stored>,
        xmin: i64,
    ) -> Result<Change> {
        let (Value::Text(old_text), Value::Text(text), Some(delimiter)) =
            (&old, &new, self.table.schema.delimiter(column))
        else {
            return Ok(Change::Forget);
        };
        let document = match &stored {
            // A document of another text: this statement is not captured in the order in which it happened,
            // or the text was written behind the clock's back.
            Some(stored) => match stored.of(old_text)? {
                None => return Ok(Change::Forget),
                document => document,
            },
            None => None,
        };
        let deadline = Some(Instant::now() + EDIT_TIME);
        let edit = edit_text((before, &old, document.as_ref()), &new, delimiter, after, deadline);
        Ok(edit.map_or(Change::Forget, |(document, delta)| Change::Edit {
            document: document.to_bytes(),
            digest: digest(text),
            length: text.len(),
            delta: delta.to_bytes(),
            since: xmin,
        }))
    }
}

/// The texts that an update changed, as `v(attnum, old, new)` beside the keys in `d`.
fn changed_texts(table: &SyncedTable) -> String {
    let key = |row: &'static str| move |at| format!("{row}.{}", SyncedTable::clock_key(at));
    let keys: Vec<String> =
        (0..table.key.len()).map(|at| format!("n.{}", SyncedTable::clock_key(at))).collect();
    let columns = || table.schema.texts.iter().map(|(column, _)| column.0);
    let pairs: Vec<String> = columns().map(|at| format!("o.c{at} AS o{at}, n.c{at} AS n{at}")).collect();
    let values: Vec<String> = columns()
        .map(|at| format!("({at}::pg_catalog.int2, d.o{at}::pg_catalog.text, d.n{at}::pg_catalog.text)"))
        .collect();
    format!(
        "(SELECT o.here AND n.here AS stayed, {}, {} FROM ({}) o FULL JOIN ({}) n ON {} OFFSET 0) d \
         CROSS JOIN LATERAL (VALUES {}) v(attnum, old, new) \
         JOIN {} c ON {}",
        keys.join(", "),
        pairs.join(", "),
        statement::renamed(table, OLD_ROWS),
        statement::renamed(table, NEW_ROWS),
        statement::equal(table, key("o"), key("n")),
        values.join(", "),
        table.clock,
        statement::equal(table, key("c"), key("d")),
    )
}

const CHANGED: &str =
    "d.stayed AND v.old COLLATE pg_catalog.\"C\" IS DISTINCT FROM v.new COLLATE pg_catalog.\"C\"";

fn statement_before(table: &SyncedTable) -> String {
    format!(
        "SELECT c.row_id, c.clock, c.xmin::pg_catalog.text::pg_catalog.int8 FROM {} WHERE {CHANGED}",
        changed_texts(table)
    )
}

fn statement_changed(table: &SyncedTable) -> String {
    format!(
        "SELECT c.row_id, v.attnum, v.old, v.new, c.clock, x.document, x.digest FROM {} \
         LEFT JOIN cloudsync.texts x ON x.table_id OPERATOR(pg_catalog.=) {} \
             AND x.row_id OPERATOR(pg_catalog.=) c.row_id AND x.attnum OPERATOR(pg_catalog.=) v.attnum \
         WHERE {CHANGED}",
        changed_texts(table),
        table.id
    )
}

/// Forgets what belongs to rows that are gone.
fn statement_gone(table: &SyncedTable, event: Event, name: &str) -> String {
    let key = |row: &'static str| move |at| format!("{row}.{}", SyncedTable::clock_key(at));
    let (rows, which) = match event {
        Event::Truncate => (String::new(), "NOT cloudsync.clock_is_alive(c.clock)".to_owned()),
        Event::Delete => (
            format!(", ({}) o", statement::renamed(table, OLD_ROWS)),
            statement::equal(table, key("c"), key("o")),
        ),
        _ => {
            let stays = statement::equal(table, key("c"), key("o"));
            let rows = format!(", ({}) o", statement::renamed(table, OLD_ROWS));
            (rows, format!("{stays} AND NOT cloudsync.clock_is_alive(c.clock)"))
        }
    };
    format!(
        "DELETE FROM cloudsync.{name} x USING {} c{rows} WHERE x.table_id OPERATOR(pg_catalog.=) {} \
             AND x.row_id OPERATOR(pg_catalog.=) c.row_id AND {which}",
        table.clock, table.id
    )
}
