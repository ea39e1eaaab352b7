//! The clock of a text: which blocks there are, in order, and who wrote each of them when.

use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::hlc::Version;
use crate::text::cuts::Cuts;
use crate::text::delimiter::{Delimiter, Lines};
use crate::text::limits::{MAX_BLOCKS, MAX_TEXT_BYTES};
use crate::text::run::{Run, Runs, State};
use crate::text::tree::{ROOT, Tree};

/// How many bytes of a delimiter follow the last line: a register of its own, the greater write wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ending<S> {
    pub stamp: Stamp<S>,
    pub length: usize,
}

/// The clock of a text cell. It holds no text: its n-th living block is the n-th line of the value in
/// the user's row.
///
/// Two replicas that know the same writes hold equal documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<S> {
    pub(crate) epoch: Stamp<S>,
    /// Whether the lines that the epoch began with are known here, and not only later edits.
    pub(crate) complete: bool,
    pub(crate) ending: Option<Ending<S>>,
    pub(crate) tree: Tree<S>,
    pub(crate) runs: Runs<S>,
    /// Where the lines are, if cutting the text would find others.
    pub(crate) cuts: Option<Cuts>,
}

impl<S: Copy + Eq> Document<S> {
    /// The document of a text that was written whole under `epoch` and never edited.
    ///
    /// It follows from the text and the stamp, so it need not be stored or sent.
    ///
    /// # Errors
    /// The text is too long.
    pub fn implied(epoch: Stamp<S>, text: &str, delimiter: &Delimiter) -> Result<Document<S>> {
        check_length(text)?;
        let lines = delimiter.lines(text);
        let mut document = Document::empty(epoch);
        document.complete = true;
        document.ending = Some(Ending { stamp: epoch, length: lines.ending });
        document.runs.push(Run {
            waypoint: ROOT,
            start: 0,
            count: lines.pieces.len(),
            state: State::alive(epoch),
        });
        document.check_blocks()?;
        Ok(document)
    }

    /// A document of which nothing is known yet.
    pub(crate) fn empty(epoch: Stamp<S>) -> Document<S> {
        Document {
            epoch,
            complete: false,
            ending: None,
            tree: Tree::default(),
            runs: Runs::default(),
            cuts: None,
        }
    }

    /// The stamp of the last write of the whole value: the stamp that the cell has among other cells.
    pub fn epoch(&self) -> Stamp<S> {
        self.epoch
    }

    /// Whether the text that the epoch began with is known. If not, only edits of it have arrived so
    /// far, and the whole should be asked for before the text is shown.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether this is what [`Document::implied`] gives, so that nothing need be stored.
    pub fn is_trivial(&self) -> bool {
        let implied_run =
            |run: &Run<S>| (run.waypoint, run.start, run.state) == (ROOT, 0, State::alive(self.epoch));
        self.complete
            && self.cuts.is_none()
            && self.ending.is_some_and(|ending| ending.stamp == self.epoch)
            && self.runs.as_slice().len() <= 1
            && self.runs.as_slice().iter().all(implied_run)
    }

    /// How many lines the text has.
    pub fn line_count(&self) -> usize {
        self.runs.alive()
    }

    /// How many runs the clock holds: what it costs to store, whatever the length of the text.
    pub fn run_count(&self) -> usize {
        self.runs.as_slice().len()
    }

    /// Every stamp in the document: the epoch, and the writes and deletes of its lines.
    pub fn stamps(&self) -> impl Iterator<Item = Stamp<S>> {
        let runs = self.runs.as_slice().iter();
        let runs = runs.flat_map(|run| [Some(run.state.content), run.state.deleted]).flatten();
        runs.chain(self.ending.map(|ending| ending.stamp)).chain([self.epoch])
    }

    /// The highest version in the document. A local edit needs a higher one.
    pub fn highest(&self) -> Version {
        self.stamps().map(|stamp| stamp.version).fold(Version::NEVER, Version::max)
    }

    /// The same document with other stamps. `renew` keeps their order.
    ///
    /// The names of places stay as they are: they say nothing about time.
    pub fn map_stamps(&self, renew: impl Fn(Stamp<S>) -> Stamp<S>) -> Document<S> {
        let mut runs = Runs::default();
        for run in self.runs.as_slice() {
            let state = State { content: renew(run.state.content), deleted: run.state.deleted.map(&renew) };
            runs.push(Run { state, ..*run });
        }
        Document {
            epoch: renew(self.epoch),
            ending: self.ending.map(|ending| Ending { stamp: renew(ending.stamp), ..ending }),
            runs,
            ..self.clone()
        }
    }

    /// The same document with its sites named otherwise.
    ///
    /// # Errors
    /// Whatever `rename` answers for a site that it does not know.
    pub fn map_sites<T: Copy + Eq, E>(
        &self,
        mut rename: impl FnMut(S) -> std::result::Result<T, E>,
    ) -> std::result::Result<Document<T>, E> {
        let mut map =
            |stamp: Stamp<S>| Ok::<_, E>(Stamp { version: stamp.version, site: rename(stamp.site)? });
        let mut runs = Runs::default();
        for run in self.runs.as_slice() {
            let content = map(run.state.content)?;
            let state = State { content, deleted: run.state.deleted.map(&mut map).transpose()? };
            runs.push(Run { waypoint: run.waypoint, start: run.start, count: run.count, state });
        }
        let ending = match self.ending {
            Some(ending) => Some(Ending { stamp: map(ending.stamp)?, length: ending.length }),
            None => None,
        };
        let epoch = map(self.epoch)?;
        let (complete, cuts) = (self.complete, self.cuts.clone());
        Ok(Document { epoch, complete, ending, tree: self.tree.map_sites(map)?, runs, cuts })
    }

    /// The text of lines that are this document's living blocks. Remembers where they are, if the delimiter
    /// does not tell.
    pub(crate) fn render(&mut self, pieces: Vec<&str>, delimiter: &Delimiter) -> String {
        let lines = Lines { pieces, ending: self.ending_length() };
        let text = delimiter.join(&lines);
        self.cuts = delimiter.cuts(&text, &lines);
        text
    }

    pub(crate) fn ending_length(&self) -> usize {
        self.ending.map_or(0, |ending| ending.length)
    }

    /// The lines of the text that this is the clock of.
    ///
    /// # Errors
    /// The text has other lines: it was changed behind the clock's back.
    pub(crate) fn cut<'a>(&self, text: &'a str, delimiter: &Delimiter) -> Result<Vec<&'a str>> {
        check_length(text)?;
        let (count, ending) = (self.runs.alive(), self.ending_length());
        let pieces = match &self.cuts {
            Some(cuts) => delimiter.cut_by(text, cuts, ending),
            None if count == 0 && text.is_empty() => Some(Vec::new()),
            None => delimiter.split(text, ending),
        };
        pieces.filter(|pieces| pieces.len() == count).ok_or_else(|| {
            Error::invalid_input(
                "a text and its clock disagree on the number of lines; write the value whole again",
            )
        })
    }

    /// Drops waypoints that lead nowhere and numbers the others by their order in the text, so that
    /// equal documents look equal.
    pub(crate) fn tidy(&mut self) {
        let (tree, numbers) = self.tree.part(self.runs.as_slice().iter().map(|run| run.waypoint));
        if !numbers.iter().zip(0..).all(|(new, old)| *new == old) {
            self.runs.renumber(&numbers);
        }
        self.tree = tree;
    }

    pub(crate) fn check_blocks(&self) -> Result<()> {
        let blocks = self.runs.as_slice().iter().fold(0usize, |sum, run| sum.saturating_add(run.count));
        if blocks > MAX_BLOCKS {
            return Err(Error::limit("the number of lines of a text", MAX_BLOCKS));
        }
        Ok(())
    }
}

/// Refuses texts that are longer than [`MAX_TEXT_BYTES`].
pub(crate) fn check_length(text: &str) -> Result<()> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::limit("the length of a text", MAX_TEXT_BYTES));
    }
    Ok(())
}
