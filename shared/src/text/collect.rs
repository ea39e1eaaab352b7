//! Forgetting deleted lines, and noticing when somebody who was away tells of them again.

use std::collections::BTreeMap;

use crate::clock::Stamp;
use crate::error::Result;
use crate::hlc::Version;
use crate::id::SiteId;
use crate::text::delta::TextDelta;
use crate::text::document::Document;
use crate::text::run::Runs;
use crate::text::tree::WaypointIndex;

impl<S: Copy + Eq> Document<S> {
    /// The document without the lines that were deleted before a version; `None` if there are none.
    ///
    /// The text is the same. What replicas tell that had seen the deletes merges into the same text as before:
    /// they tell of such a line again only if they edit it, and an edit beats the delete that it had not seen.
    /// Who had not seen them may bring lines back: see [`TextDelta::tells_forgotten`].
    pub fn collect(&self, before: Version) -> Option<Document<S>> {
        let is_old = |deleted: Option<Stamp<S>>| deleted.is_some_and(|by| by.version < before);
        let runs = self.runs.as_slice();
        if !runs.iter().any(|run| is_old(run.state.deleted)) {
            return None;
        }
        let mut kept = Runs::with_capacity(runs.len());
        runs.iter().filter(|run| !is_old(run.state.deleted)).for_each(|run| kept.push(*run));
        let mut document = Document { runs: kept, ..self.clone() };
        document.tidy();
        Some(document)
    }
}

impl TextDelta<SiteId> {
    /// Whether this tells of lines as alive that were written before a version and that `document` does not
    /// have: they were deleted and forgotten, or were never told before. Replicas that remember the delete and
    /// such as do not would make different texts of them.
    ///
    /// # Errors
    /// The delta is malformed.
    pub fn tells_forgotten(&self, document: &Document<SiteId>, before: Version) -> Result<bool> {
        if self.epoch() != document.epoch() {
            return Ok(false);
        }
        let is_old = |version: Version| version < before;
        let runs = self.document.runs.as_slice().iter();
        let mut old = runs.filter(|run| run.state.is_alive() && is_old(run.state.content.version)).peekable();
        if old.peek().is_none() {
            return Ok(false);
        }
        let mut tree = document.tree.clone();
        let numbers = tree.graft(&self.document.tree)?;
        let mut known: BTreeMap<WaypointIndex, Vec<(i64, i64)>> = BTreeMap::new();
        for run in document.runs.as_slice() {
            known.entry(run.waypoint).or_default().push((run.start, run.end()));
        }
        known.values_mut().for_each(|ranges| ranges.sort_unstable());
        let is_known = |waypoint: WaypointIndex, start: i64, end: i64| {
            let ranges = known.get(&waypoint).map(Vec::as_slice).unwrap_or_default();
            let mut reached = start;
            for (from, to) in ranges {
                if *from <= reached && reached < *to {
                    reached = *to;
                }
            }
            reached >= end
        };
        Ok(old.any(|run| {
            let waypoint = numbers.get(run.waypoint as usize).copied().unwrap_or_default();
            !is_known(waypoint, run.start, run.end())
        }))
    }
}
