//! Cells of text that is merged by lines, in memory.

use crate::capture::LocalWrite;
use crate::change::{RowChange, TextChange, TextOutcome};
use crate::clock::Stamp;
use crate::id::{ColumnId, SiteId, SiteOrdinal};
use crate::key::Key;
use crate::merge::{TablePlan, edit_text, told_text};
use crate::text::{Delimiter, Document};
use crate::value::Value;

use super::Table;

/// A cell of text before a local write.
pub(super) struct TextBefore {
    column: ColumnId,
    delimiter: Delimiter,
    stamp: Stamp<SiteId>,
    value: Value,
}

impl Table {
    /// The cells of text of a row that is there.
    pub(super) fn texts(&self, key: &Key, sites: &[SiteId]) -> Vec<TextBefore> {
        let Some(clock) = self.clock(key).filter(|_| self.rows.contains_key(key)) else { return Vec::new() };
        let site = |ordinal: SiteOrdinal| sites.get(ordinal.0 as usize).copied().unwrap_or(SiteId::NIL);
        let before = |(column, delimiter): &(ColumnId, Delimiter)| {
            let stamp = clock.cell(*column);
            TextBefore {
                column: *column,
                delimiter: delimiter.clone(),
                stamp: Stamp { version: stamp.version, site: site(stamp.site) },
                value: self.value(key, *column),
            }
        };
        self.schema.texts.iter().map(before).collect()
    }

    /// Moves the documents of a row that was written locally.
    pub(super) fn edit_texts(
        &mut self,
        key: &Key,
        before: Vec<TextBefore>,
        write: &LocalWrite,
        stamp: Stamp<SiteId>,
    ) {
        for text in before {
            let written = match write {
                LocalWrite::Update(columns) => columns.contains(&text.column),
                _ => true,
            };
            if !written {
                continue;
            }
            let place = (key.clone(), text.column);
            let edited = matches!(write, LocalWrite::Update(_)).then(|| {
                let document = self.documents.get(&place);
                let after = self.value(key, text.column);
                edit_text((text.stamp, &text.value, document), &after, &text.delimiter, stamp, None)
            });
            match edited.flatten() {
                Some((document, _)) => drop(self.documents.insert(place, document)),
                None => drop(self.documents.remove(&place)),
            }
        }
    }

    /// What is told of the lines of a cell.
    pub(super) fn told_text(
        &self,
        key: &Key,
        index: usize,
        column: ColumnId,
        tells: impl Fn(Stamp<SiteId>) -> bool,
    ) -> Option<TextChange> {
        let delimiter = self.schema.delimiter(column)?;
        let document = self.documents.get(&(key.clone(), column));
        let delta = told_text(document, &self.value(key, column), delimiter, tells);
        let delta = delta.expect("a document fits its text")?;
        Some(TextChange { column: index, delta: Some(delta), outcome: TextOutcome::Open })
    }

    /// Keeps the documents that come with the cells of a change that was carried out.
    pub(super) fn keep_documents(&mut self, plan: &TablePlan<'_>, change: &RowChange) {
        if !self.rows.contains_key(&change.key) {
            self.documents.retain(|(key, _), _| *key != change.key);
            return;
        }
        for text in &change.texts {
            let column = plan.columns.get(text.column).copied().flatten();
            let (Some(column), TextOutcome::Resolved { document, .. }) = (column, &text.outcome) else {
                continue;
            };
            let place = (change.key.clone(), column);
            match document {
                Some(document) => {
                    drop::<Option<Document<SiteId>>>(self.documents.insert(place, document.clone()))
                }
                None => drop(self.documents.remove(&place)),
            }
        }
    }
}
