//! Cells of text that is merged by lines: what a change makes of one, before the row is decided.
//!
//! Such a cell has two states: the stamp of its last write, as every cell, and a
//! [document](crate::text::Document) whose epoch is the stamp of the last write of the *whole* value. The
//! greater epoch wins, with its value and stamp, even over a later edit of the one before; within one epoch
//! lines are merged and the greater stamp stays. A value that comes without lines is a write of the whole. A
//! cell without a stored document has the one that follows from its value, with its stamp for the epoch.

use crate::change::{CellChange, LostPart, RowChange, TextChange, TextOutcome};
use crate::clock::{RowClock, Stamp};
use crate::error::Result;
use crate::hlc::Version;
use crate::id::{ColumnId, SiteId};
use crate::merge::lost::LostSide;
use crate::merge::row::{column_of, life_of};
use crate::merge::rule::{Life, cell_wins};
use crate::schema::TableSchema;
use crate::text::{Delimiter, Document, TextDelta};
use crate::value::Value;

/// A cell as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredText {
    /// Its value.
    pub value: Value,
    /// Its document, if it was edited since its value was last written whole.
    pub document: Option<Document<SiteId>>,
}

/// Works out what becomes of the lines that a change tells of, and of the values that it writes over such
/// lines: cells get their merged values, and [`RowChange::texts`] say which documents to keep.
///
/// `stored` answers for a column of this replica the cell as it stands, `None` if the row is not there. May
/// be called again on the same change, for another state of the row.
///
/// # Errors
/// A delta is malformed, a stored document does not fit its text, or a limit is reached.
pub fn resolve_texts(
    schema: &TableSchema,
    columns: &[Option<ColumnId>],
    local: Option<&RowClock<SiteId>>,
    change: &mut RowChange,
    stored: impl Fn(ColumnId) -> Option<StoredText>,
) -> Result<()> {
    if schema.texts.is_empty() && change.texts.is_empty() {
        return Ok(());
    }
    let life = local.map(|local| life_of(schema.algorithm, change, local));
    let stands = local.is_some_and(|local| local.length.is_alive() || schema.algorithm.keeps_deleted());
    let same_life = stands && life == Some(Life::Same);
    let mut texts = std::mem::take(&mut change.texts);
    texts.retain(|text| text.delta.is_some());
    if life == Some(Life::Over) {
        // Nothing of it is written: what it tells is of account as a loss at most.
        texts.iter_mut().for_each(|text| text.outcome = TextOutcome::Open);
        change.texts = texts;
        return Ok(());
    }
    for cell in &mut change.cells {
        let Some(column) = column_of(columns, cell.column) else { continue };
        let at = texts.iter().position(|text| text.column == cell.column);
        let delta = at.and_then(|at| texts.get(at)).and_then(|text| text.delta.as_ref());
        let delimiter = schema.delimiter(column);
        if delimiter.is_none() && delta.is_none() {
            continue;
        }
        let standing = match local.filter(|_| same_life) {
            Some(local) => stored(column).map(|stored| (local.cell(column), stored)),
            None => None,
        };
        let outcome = resolve(cell, standing, delta, delimiter)?;
        match at.and_then(|at| texts.get_mut(at)) {
            Some(text) => text.outcome = outcome,
            None => texts.push(TextChange { column: cell.column, delta: None, outcome }),
        }
    }
    change.cells.retain(|cell| {
        let of_cell = texts.iter().find(|text| text.column == cell.column);
        of_cell.is_none_or(|text| text.outcome != TextOutcome::Incomplete)
    });
    change.texts = texts;
    Ok(())
}

/// One cell: `standing` is the local one with its stamp, if the change is about the life it belongs to.
fn resolve(
    cell: &mut CellChange,
    standing: Option<(Stamp<SiteId>, StoredText)>,
    delta: Option<&TextDelta<SiteId>>,
    delimiter: Option<&Delimiter>,
) -> Result<TextOutcome> {
    if let (None, Some(delta)) = (delimiter, delta) {
        return without_lines(cell, standing, delta);
    }
    let told_epoch = delta.map_or(cell.stamp, TextDelta::epoch);
    let Some((stamp, stored)) = standing else {
        return whole(cell, delta);
    };
    let epoch = stored.document.as_ref().map_or(stamp, Document::epoch);
    if told_epoch < epoch {
        let told = match delta {
            Some(delta) => Value::Text(delta.shown()?),
            None => std::mem::replace(&mut cell.value, Value::Null),
        };
        let outcome = keep(cell, stamp, stored);
        return Ok(with_lost(outcome, LostSide::Incoming, told));
    }
    if told_epoch > epoch {
        let outcome = whole(cell, delta)?;
        return Ok(with_lost(outcome, LostSide::Stored, stored.value));
    }
    let (Some(delta), Some(delimiter), Value::Text(text)) = (delta, delimiter, &stored.value) else {
        return Ok(keep(cell, stamp, stored));
    };
    let document = match &stored.document {
        Some(document) => document.clone(),
        None => Document::implied(epoch, text, delimiter)?,
    };
    let merged = document.merge(text, delta, delimiter)?;
    let changed = merged.document != document || cell.stamp > stamp;
    let value = merged.text.unwrap_or_else(|| text.clone());
    cell.value = Value::Text(value);
    let stamp = stamp.max(cell.stamp);
    let lost = merged.lost.into_iter().map(LostPart::Line).collect();
    Ok(TextOutcome::Resolved { document: Some(merged.document), stamp, changed, lost })
}

/// A cell whose lines do not matter here: the later value wins, if all of it is told.
fn without_lines(
    cell: &mut CellChange,
    standing: Option<(Stamp<SiteId>, StoredText)>,
    delta: &TextDelta<SiteId>,
) -> Result<TextOutcome> {
    match standing {
        Some((stamp, stored)) if !cell_wins(cell.stamp, stamp) => Ok(keep(cell, stamp, stored)),
        _ if !delta.is_complete() => Ok(TextOutcome::Incomplete),
        _ => {
            cell.value = Value::Text(delta.rendered()?.1);
            Ok(resolved(None, cell.stamp, true))
        }
    }
}

/// The cell as it stands: what is told of it is over.
fn keep(cell: &mut CellChange, stamp: Stamp<SiteId>, stored: StoredText) -> TextOutcome {
    cell.value = stored.value;
    resolved(stored.document, stamp, false)
}

/// The cell as it is told, with nothing of what stood here.
fn whole(cell: &mut CellChange, delta: Option<&TextDelta<SiteId>>) -> Result<TextOutcome> {
    let Some(delta) = delta else { return Ok(resolved(None, cell.stamp, true)) };
    if !delta.is_complete() {
        return Ok(TextOutcome::Incomplete);
    }
    let (document, text) = delta.rendered()?;
    cell.value = Value::Text(text);
    let is_implied = document.is_trivial() && document.epoch() == cell.stamp;
    Ok(resolved((!is_implied).then_some(document), cell.stamp, true))
}

fn resolved(document: Option<Document<SiteId>>, stamp: Stamp<SiteId>, changed: bool) -> TextOutcome {
    TextOutcome::Resolved { document, stamp, changed, lost: Vec::new() }
}

/// The same outcome, after a value of another epoch gave way.
fn with_lost(mut outcome: TextOutcome, side: LostSide, value: Value) -> TextOutcome {
    if let TextOutcome::Resolved { lost, .. } = &mut outcome {
        lost.push(LostPart::Whole { side, value });
    }
    outcome
}

/// How a cell is told: its lines, if it was edited since its value was last written whole; else (`None`) its
/// value. All of them, if that write is `wanted` itself.
///
/// # Errors
/// The document does not fit the text.
pub fn told_text(
    document: Option<&Document<SiteId>>,
    value: &Value,
    delimiter: &Delimiter,
    wanted: impl Fn(Stamp<SiteId>) -> bool,
) -> Result<Option<TextDelta<SiteId>>> {
    let (Some(document), Value::Text(text)) = (document, value) else { return Ok(None) };
    let delta = match wanted(document.epoch()) {
        true => document.whole(text, delimiter)?,
        false => document.part(text, delimiter, wanted)?,
    };
    Ok(Some(delta))
}

/// The document after a local write of a cell, with the edit as it is told; `None` if the value counts as
/// written whole: it was or is no text, has become too large to be merged, or had given way to one that is still
/// to come.
///
/// `stamp` is that of the write, `before` the cell before it, with the stamp that it had.
pub fn edit_text<S: Copy + Eq>(
    before: (Stamp<S>, &Value, Option<&Document<S>>),
    after: &Value,
    delimiter: &Delimiter,
    stamp: Stamp<S>,
    deadline: Option<std::time::Instant>,
) -> Option<(Document<S>, TextDelta<S>)> {
    let (epoch, value, document) = before;
    let (Value::Text(old), Value::Text(new)) = (value, after) else { return None };
    let has_given_way = document.is_some_and(|document| document.epoch().version == Version::NEVER);
    if epoch.version == Version::NEVER || has_given_way {
        return None;
    }
    let implied = match document {
        Some(_) => None,
        None => Document::implied(epoch, old, delimiter).ok(),
    };
    document.or(implied.as_ref())?.edit(old, new, delimiter, stamp, deadline).ok()
}
