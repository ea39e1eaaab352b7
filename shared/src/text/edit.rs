//! A local edit: from the old text and the new one to the new clock, and what to send.

use std::time::Instant;

use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::text::delimiter::Delimiter;
use crate::text::delta::TextDelta;
use crate::text::diff::{self, Step};
use crate::text::document::{Document, Ending, check_length};
use crate::text::place::{Gap, Minter};
use crate::text::run::{Run, Runs, State};
use crate::text::word_diff;

impl<S: Copy + Eq> Document<S> {
    /// The clock after a local edit from `old` to `new`, and the edit as others need it.
    ///
    /// Lines are compared until `deadline`; what is left then counts as replaced. `stamp` must be later
    /// than everything in the document.
    ///
    /// # Errors
    /// `old` is not this document's text, `stamp` is too early, or a limit is reached. In the latter case
    /// the value can still be written whole, under a new epoch.
    pub fn edit(
        &self,
        old: &str,
        new: &str,
        delimiter: &Delimiter,
        stamp: Stamp<S>,
        deadline: Option<Instant>,
    ) -> Result<(Document<S>, TextDelta<S>)> {
        if stamp.version <= self.highest() {
            return Err(Error::invalid_input("the edit of a text must be later than all that it edits"));
        }
        let old_lines = self.cut(old, delimiter)?;
        if old == new {
            let delta = self.part_of_lines(&old_lines, delimiter, |_| false);
            return Ok((self.clone(), delta));
        }
        check_length(new)?;
        let new_lines = delimiter.lines(new);
        let script = if delimiter.is_by_words() { word_diff::script } else { diff::script };
        let steps = script(&old_lines, &new_lines.pieces, deadline);
        let mut document =
            Document { complete: self.complete, ending: self.ending, ..Document::empty(self.epoch) };
        document.tree = self.tree.clone();
        document.runs = Runs::with_capacity(self.run_count() + steps.len() + 1);
        Rewriter::new(self, &mut document, stamp).follow(&steps)?;
        if document.ending_length() != new_lines.ending && !new.is_empty() {
            document.ending = Some(Ending { stamp, length: new_lines.ending });
        }
        document.tidy();
        document.check_blocks()?;
        let delta = document.part_of_lines(&new_lines.pieces, delimiter, |written| written == stamp);
        Ok((document, delta))
    }
}

/// Writes the runs anew, step by step.
struct Rewriter<'a, S> {
    minter: Minter<'a, S>,
    out: &'a mut Runs<S>,
    next: Option<Run<S>>,
    rest: std::slice::Iter<'a, Run<S>>,
    stamp: Stamp<S>,
}

impl<'a, S: Copy + Eq> Rewriter<'a, S> {
    fn new(from: &'a Document<S>, to: &'a mut Document<S>, stamp: Stamp<S>) -> Rewriter<'a, S> {
        let mut rest = from.runs.as_slice().iter();
        let next = rest.next().copied();
        Rewriter { minter: Minter::new(&mut to.tree, to.epoch, stamp), out: &mut to.runs, next, rest, stamp }
    }

    fn follow(mut self, steps: &[Step]) -> Result<()> {
        let stamp = self.stamp;
        for step in steps {
            match step {
                Step::Keep(count) => self.take(*count, |state| state),
                Step::Change(_) => self.take(1, |_| State::alive(stamp)),
                Step::Delete(count) => self.take(*count, |state| State { deleted: Some(stamp), ..state }),
                Step::Insert(lines) => self.insert(lines.len())?,
            }
        }
        while let Some(run) = self.next {
            self.out.push(run);
            self.next = self.rest.next().copied();
        }
        Ok(())
    }

    /// Gives the next living blocks another state. Tombstones on the way stay.
    fn take(&mut self, mut count: usize, change: impl Fn(State<S>) -> State<S>) {
        while count > 0
            && let Some(run) = self.next
        {
            if !run.state.is_alive() {
                self.out.push(run);
                self.next = self.rest.next().copied();
                continue;
            }
            let (head, rest) = run.split(count);
            count -= head.count;
            self.out.push(Run { state: change(head.state), ..head });
            self.next = rest.or_else(|| self.rest.next().copied());
        }
    }

    /// Puts new blocks right after what was written last.
    fn insert(&mut self, count: usize) -> Result<()> {
        let gap = Gap { left: self.out.last().map(Run::last), right: self.next.map(|run| run.first()) };
        let place = self.minter.mint(gap, count)?;
        let state = State::alive(self.stamp);
        self.out.push(Run { waypoint: place.waypoint, start: place.index, count, state });
        Ok(())
    }
}
