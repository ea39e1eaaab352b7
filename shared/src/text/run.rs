//! Runs: neighbouring blocks of one waypoint in the same state, kept as one entry.

use crate::clock::Stamp;
use crate::text::tree::{Position, WaypointIndex};

/// The state of a block. Of two states of one block the greater wins: that is the whole merge rule.
///
/// A delete keeps the stamp of the content that it saw. So it beats that content and everything older,
/// and an edit that it had not seen, being newer than the content, beats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State<S> {
    /// The write of the present content.
    pub content: Stamp<S>,
    /// The delete of that content.
    pub deleted: Option<Stamp<S>>,
}

impl<S: Copy> State<S> {
    pub fn alive(content: Stamp<S>) -> State<S> {
        State { content, deleted: None }
    }

    pub fn is_alive(&self) -> bool {
        self.deleted.is_none()
    }

    /// The stamp of the last write to the block.
    pub fn latest(&self) -> Stamp<S> {
        self.deleted.unwrap_or(self.content)
    }
}

/// Neighbouring blocks of one waypoint, numbered without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run<S> {
    pub waypoint: WaypointIndex,
    pub start: i64,
    pub count: usize,
    pub state: State<S>,
}

impl<S: Copy> Run<S> {
    pub fn first(&self) -> Position {
        Position { waypoint: self.waypoint, index: self.start }
    }

    pub fn last(&self) -> Position {
        Position { index: self.end().saturating_sub(1), ..self.first() }
    }

    /// The number after the last.
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.count as i64)
    }

    /// The first `count` blocks, and the rest if there is one.
    pub fn split(&self, count: usize) -> (Run<S>, Option<Run<S>>) {
        let count = count.min(self.count);
        let head = Run { count, ..*self };
        let rest = Run { start: head.end(), count: self.count - count, ..*self };
        (head, (rest.count > 0).then_some(rest))
    }
}

/// A list of runs in the order of the text, in which neighbours that can be one run are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs<S>(Vec<Run<S>>);

impl<S> Default for Runs<S> {
    fn default() -> Runs<S> {
        Runs(Vec::new())
    }
}

impl<S: Copy + Eq> Runs<S> {
    pub fn as_slice(&self) -> &[Run<S>] {
        &self.0
    }

    pub fn push(&mut self, run: Run<S>) {
        if run.count == 0 {
            return;
        }
        if let Some(last) = self.0.last_mut()
            && (last.waypoint, last.end(), last.state) == (run.waypoint, run.start, run.state)
        {
            last.count += run.count;
            return;
        }
        self.0.push(run);
    }

    /// Appends runs of which only the first may continue the last.
    pub fn extend(&mut self, runs: &[Run<S>]) {
        if let Some((first, rest)) = runs.split_first() {
            self.push(*first);
            self.0.extend_from_slice(rest);
        }
    }

    /// Gives waypoints other numbers.
    pub fn renumber(&mut self, numbers: &[WaypointIndex]) {
        for run in &mut self.0 {
            run.waypoint = numbers.get(run.waypoint as usize).copied().unwrap_or_default();
        }
    }

    pub fn with_capacity(capacity: usize) -> Runs<S> {
        Runs(Vec::with_capacity(capacity))
    }

    pub fn last(&self) -> Option<&Run<S>> {
        self.0.last()
    }

    /// How many blocks are alive.
    pub fn alive(&self) -> usize {
        self.0.iter().filter(|run| run.state.is_alive()).map(|run| run.count).sum()
    }
}
