//! Changes of a text as they travel: blocks with their clocks and their content.

use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::id::SiteId;
use crate::text::delimiter::{Delimiter, Lines};
use crate::text::document::{Document, check_length};
use crate::text::merge::{Known, join};
use crate::text::run::{Run, Runs};

/// A part of a document, or all of it, with the content of its living blocks.
///
/// It needs nothing else to be understood: positions stand alone. Deltas may arrive in any order, more
/// than once, and joined to one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextDelta<S> {
    pub(crate) delimiter: Delimiter,
    pub(crate) document: Document<S>,
    /// The contents of the living blocks, in order.
    pub(crate) pieces: Vec<String>,
}

impl<S: Copy + Eq> Document<S> {
    /// All that is known of the text, tombstones included.
    ///
    /// # Errors
    /// `text` is not this document's.
    pub fn whole(&self, text: &str, delimiter: &Delimiter) -> Result<TextDelta<S>> {
        let pieces = self.cut(text, delimiter)?.into_iter().map(str::to_owned).collect();
        let document = Document { cuts: None, ..self.clone() };
        Ok(TextDelta { delimiter: delimiter.clone(), document, pieces })
    }

    /// What was written with stamps that are `wanted`, and nothing else: for example all that another
    /// replica has not seen.
    ///
    /// # Errors
    /// `text` is not this document's.
    pub fn part(
        &self,
        text: &str,
        delimiter: &Delimiter,
        wanted: impl Fn(Stamp<S>) -> bool,
    ) -> Result<TextDelta<S>> {
        Ok(self.part_of_lines(&self.cut(text, delimiter)?, delimiter, wanted))
    }

    pub(crate) fn part_of_lines(
        &self,
        lines: &[&str],
        delimiter: &Delimiter,
        wanted: impl Fn(Stamp<S>) -> bool,
    ) -> TextDelta<S> {
        let mut document = Document::empty(self.epoch);
        document.ending = self.ending.filter(|ending| wanted(ending.stamp));
        let mut runs = Runs::default();
        let mut pieces = Vec::new();
        let mut from = 0usize;
        for run in self.runs.as_slice() {
            let to = if run.state.is_alive() { from + run.count } else { from };
            if wanted(run.state.latest()) || (!run.state.is_alive() && wanted(run.state.content)) {
                runs.push(*run);
                pieces.extend(lines.get(from..to).unwrap_or_default().iter().map(|line| (*line).to_owned()));
            }
            from = to;
        }
        let (tree, numbers) = self.tree.part(runs.as_slice().iter().map(|run| run.waypoint));
        runs.renumber(&numbers);
        (document.runs, document.tree) = (runs, tree);
        TextDelta { delimiter: delimiter.clone(), document, pieces }
    }
}

impl<S: Copy + Eq> TextDelta<S> {
    /// The epoch that the blocks belong to.
    pub fn epoch(&self) -> Stamp<S> {
        self.document.epoch
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.document.runs.as_slice().is_empty() && self.document.ending.is_none() && !self.document.complete
    }

    /// Whether it holds the text that the epoch began with, so that the whole text follows from it.
    pub fn is_complete(&self) -> bool {
        self.document.complete
    }

    /// The highest version in the delta.
    pub fn highest(&self) -> Version {
        self.document.highest()
    }

    /// What of it was written with stamps that are `wanted`; all of it, if that is true of its epoch.
    #[must_use]
    pub fn wanted(&self, wanted: impl Fn(Stamp<S>) -> bool) -> TextDelta<S> {
        match wanted(self.epoch()) {
            true => self.clone(),
            false => self.document.part_of_lines(&self.lines(), &self.delimiter, wanted),
        }
    }

    /// Every stamp in the delta.
    pub fn stamps(&self) -> impl Iterator<Item = Stamp<S>> {
        self.document.stamps()
    }

    /// How many lines it carries the content of.
    pub fn line_count(&self) -> usize {
        self.pieces.len()
    }

    /// The same delta with other stamps: see [`Document::map_stamps`].
    pub fn map_stamps(&self, renew: impl Fn(Stamp<S>) -> Stamp<S>) -> TextDelta<S> {
        TextDelta { document: self.document.map_stamps(renew), ..self.clone() }
    }

    /// The same delta with its sites named otherwise.
    ///
    /// # Errors
    /// Whatever `rename` answers for a site that it does not know.
    pub fn map_sites<T: Copy + Eq, E>(
        &self,
        rename: impl FnMut(S) -> std::result::Result<T, E>,
    ) -> std::result::Result<TextDelta<T>, E> {
        let document = self.document.map_sites(rename)?;
        Ok(TextDelta { document, delimiter: self.delimiter.clone(), pieces: self.pieces.clone() })
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        self.pieces.iter().map(String::as_str).collect()
    }
}

impl TextDelta<SiteId> {
    /// Takes in another delta. The result says what both say; of two epochs only the later one counts.
    ///
    /// # Errors
    /// The delimiters differ, or `other` is not in order.
    pub fn join(&mut self, other: &TextDelta<SiteId>) -> Result<()> {
        self.check_delimiter(&other.delimiter)?;
        other.check_order()?;
        if other.epoch() > self.epoch() {
            *self = other.clone();
            return Ok(());
        }
        if other.epoch() < self.epoch() {
            return Ok(());
        }
        let left = Known { document: &self.document, lines: self.lines() };
        let right = Known { document: &other.document, lines: other.lines() };
        let joined = join(left, right)?;
        let pieces = joined.lines.into_iter().map(str::to_owned).collect();
        (self.document, self.pieces) = (joined.document, pieces);
        Ok(())
    }

    /// The document and the text of a [complete](TextDelta::is_complete) delta, for a replica that knows
    /// nothing of the text.
    ///
    /// # Errors
    /// The delta is malformed, or a limit is reached.
    pub fn rendered(&self) -> Result<(Document<SiteId>, String)> {
        self.check_order()?;
        self.document.check_blocks()?;
        let mut document = self.document.clone();
        let text = document.render(self.lines(), &self.delimiter);
        check_length(&text)?;
        Ok((document, text))
    }

    /// The text, or if only lines of it are told, these.
    ///
    /// # Errors
    /// The delta is malformed, or a limit is reached.
    pub fn shown(&self) -> Result<String> {
        match self.is_complete() {
            true => Ok(self.rendered()?.1),
            false => Ok(self.delimiter.join(&Lines { pieces: self.lines(), ending: 0 })),
        }
    }

    pub(crate) fn check_delimiter(&self, delimiter: &Delimiter) -> Result<()> {
        if self.delimiter != *delimiter {
            return Err(Error::schema_mismatch(
                "a text was cut by another delimiter, or into words and not lines; set the same on all replicas",
            ));
        }
        Ok(())
    }

    /// Refuses deltas that no edit can have made: blocks out of order or twice, a wrong number of lines, or
    /// words that are none.
    pub(crate) fn check_order(&self) -> Result<()> {
        let runs = self.document.runs.as_slice();
        let ascending = |pair: &[Run<SiteId>]| match pair {
            [left, right] => self.document.tree.compare(left.last(), right.first()).is_lt(),
            _ => true,
        };
        if !runs.windows(2).all(ascending) || self.document.runs.alive() != self.pieces.len() {
            return Err(Error::malformed(0, "the blocks of a text are not in order"));
        }
        if !self.pieces.iter().all(|piece| self.delimiter.is_piece(piece)) {
            return Err(Error::malformed(0, "a text that is cut into words has a piece that is not one"));
        }
        Ok(())
    }
}
