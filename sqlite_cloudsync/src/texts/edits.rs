//! Local writes of texts, folded: from the text before and the present one to the document.

use std::time::{Duration, Instant};

use cloudsync_shared::capture::{LocalWrite, base_clock};
use cloudsync_shared::clock::{RowClock, Stamp};
use cloudsync_shared::id::{ColumnId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::merge::edit_text;
use cloudsync_shared::text::Document;

use rusqlite::Connection;

use crate::buried;
use crate::error::Result;
use crate::table::Table;
use crate::texts::before::{self, Before, Befores};
use crate::texts::{documents, tell};

/// How long the lines of two texts are compared; what is left then counts as replaced.
const COMPARE_FOR: Duration = Duration::from_secs(1);

/// What the writes of one fold did to the texts of one row.
#[derive(Debug, Default)]
pub struct Edited {
    /// The row was inserted, replaced or deleted.
    rewritten: bool,
    /// The cells that were set, with the stamps that they had before.
    cells: Vec<(ColumnId, Stamp<SiteOrdinal>)>,
}

impl Edited {
    /// Adds a write of the row with this clock.
    pub fn add(&mut self, table: &Table, before: Option<&RowClock<SiteOrdinal>>, write: &LocalWrite) {
        let columns = match write {
            LocalWrite::Update(columns) => columns,
            // A write that it has not seen may bring the row back, with its texts.
            LocalWrite::Delete if buried::keeps(table) => return,
            _ => {
                self.rewritten = true;
                return;
            }
        };
        let base = base_clock();
        let before = before.unwrap_or(&base);
        self.rewritten |= !before.length.is_alive();
        for column in columns.iter().filter(|column| table.schema.delimiter(**column).is_some()) {
            if !self.cells.iter().any(|(known, _)| known == column) {
                self.cells.push((*column, before.cell(*column)));
            }
        }
    }

    /// Moves the documents of the row, whose clock is now `after`.
    ///
    /// # Errors
    /// The database failed, or a document is damaged.
    pub fn keep(
        &self,
        conn: &Connection,
        table: &Table,
        key: &Key,
        after: &RowClock<SiteOrdinal>,
        befores: &mut Befores,
    ) -> Result<()> {
        if self.rewritten {
            befores.forget_row(table, key);
            return documents::forget_row(conn, table, key);
        }
        for (column, stamp) in &self.cells {
            let document = match befores.take(key, *column) {
                Before::Used => continue,
                Before::Unknown => None,
                Before::At(id) => edited(conn, table, (key, *column), (*stamp, after.cell(*column)), id)?,
            };
            documents::store(conn, table, &key.0, *column, document.as_ref())?;
        }
        Ok(())
    }
}

/// The document of a cell after an edit between two stamps; `None` if it counts as written whole.
fn edited(
    conn: &Connection,
    table: &Table,
    (key, column): (&Key, ColumnId),
    (from, to): (Stamp<SiteOrdinal>, Stamp<SiteOrdinal>),
    id: i64,
) -> Result<Option<Document<SiteOrdinal>>> {
    let old = before::read(conn, table, id)?;
    let (Some(new), Some(delimiter)) =
        (tell::standing(conn, table, key, column)?, table.schema.delimiter(column))
    else {
        return Ok(None);
    };
    let document = documents::load(conn, table, key, column)?;
    let deadline = Instant::now().checked_add(COMPARE_FOR);
    let edited = edit_text((from, &old, document.as_ref()), &new, delimiter, to, deadline);
    Ok(edited.map(|(document, _)| document))
}
