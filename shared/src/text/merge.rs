//! The merge of two states of one text: for each block the greater state, all in one order.

use std::cmp::Ordering;

use crate::clock::Stamp;
use crate::error::Result;
use crate::id::SiteId;
use crate::text::delimiter::Delimiter;
use crate::text::delta::TextDelta;
use crate::text::document::Document;
use crate::text::run::{Run, Runs, State};
use crate::text::tree::{Position, Tree};

/// What a merge made of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The new clock.
    pub document: Document<SiteId>,
    /// The new text; `None` if it is the same as before.
    pub text: Option<String>,
    /// Lines that gave way to another writer's.
    pub lost: Vec<LostLine>,
}

/// Content of a line that lost to later content of the same line by another site.
///
/// If the loser [came in](LostLine::incoming), its author had not seen the winner. If it stood here, the
/// winner's author may have seen it and edited on: it is a conflict if `lost` was never sent to anyone.
/// Lines as the epoch began with are never reported, for every editor has seen them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostLine {
    /// The write that won.
    pub kept: Stamp<SiteId>,
    /// Its content; `None` if the line was deleted after that.
    pub kept_text: Option<String>,
    /// The write that lost.
    pub lost: Stamp<SiteId>,
    /// Its content.
    pub lost_text: String,
    /// Whether the loser came with the delta.
    pub incoming: bool,
}

impl Document<SiteId> {
    /// The document of what both know: this one with its `text`, and the delta.
    ///
    /// Of two epochs the later one wins as a whole. The result is the same in whatever order, grouping and
    /// repetition deltas come.
    ///
    /// # Errors
    /// `text` is not this document's, the delta is malformed or was cut by another delimiter, or a limit
    /// is reached. Nothing has changed then.
    pub fn merge(&self, text: &str, delta: &TextDelta<SiteId>, delimiter: &Delimiter) -> Result<Merged> {
        delta.check_delimiter(delimiter)?;
        delta.check_order()?;
        let lines = self.cut(text, delimiter)?;
        if delta.epoch() < self.epoch {
            return Ok(Merged { document: self.clone(), text: None, lost: Vec::new() });
        }
        let empty = Document::empty(delta.epoch());
        let left = if delta.epoch() > self.epoch {
            Known { document: &empty, lines: Vec::new() }
        } else {
            Known { document: self, lines }
        };
        let joined = join(left, Known { document: &delta.document, lines: delta.lines() })?;
        let mut document = joined.document;
        if !joined.changed && delta.epoch() == self.epoch {
            document.cuts = self.cuts.clone();
            return Ok(Merged { document, text: None, lost: joined.lost });
        }
        let new_text = document.render(joined.lines, delimiter);
        let text = (new_text != text).then_some(new_text);
        Ok(Merged { document, text, lost: joined.lost })
    }
}

/// A document and the content of its living blocks.
pub(crate) struct Known<'a> {
    pub document: &'a Document<SiteId>,
    pub lines: Vec<&'a str>,
}

/// What two documents know together.
pub(crate) struct Joined<'a> {
    pub document: Document<SiteId>,
    pub lines: Vec<&'a str>,
    pub lost: Vec<LostLine>,
    /// Whether it is more than the left one knew.
    pub changed: bool,
}

/// Joins two documents of one epoch.
pub(crate) fn join<'a>(left: Known<'a>, right: Known<'a>) -> Result<Joined<'a>> {
    let mut tree = left.document.tree.clone();
    let numbers = tree.graft(&right.document.tree)?;
    let renumber = |run: &Run<SiteId>| Run {
        waypoint: numbers.get(run.waypoint as usize).copied().unwrap_or_default(),
        ..*run
    };
    let renumbered: Vec<_> = right.document.runs.as_slice().iter().map(renumber).collect();
    let mut joiner = Joiner {
        tree: &tree,
        epoch: left.document.epoch,
        left: Cursor::new(left.document.runs.as_slice(), left.lines),
        right: Cursor::new(&renumbered, right.lines),
        runs: Runs::default(),
        lines: Vec::new(),
        lost: Vec::new(),
        changed: false,
    };
    joiner.walk();
    let Joiner { runs, lines, lost, changed, .. } = joiner;
    let ending = left.document.ending.max(right.document.ending);
    let complete = left.document.complete || right.document.complete;
    let changed = changed || (ending, complete) != (left.document.ending, left.document.complete);
    let mut document = Document { epoch: left.document.epoch, complete, ending, tree, runs, cuts: None };
    document.check_blocks()?;
    document.tidy();
    Ok(Joined { document, lines, lost, changed })
}

/// Where one of the two lists has been read to.
struct Cursor<'r, 'a> {
    next: Option<Run<SiteId>>,
    rest: &'r [Run<SiteId>],
    lines: Vec<&'a str>,
    line: usize,
}

impl<'r, 'a> Cursor<'r, 'a> {
    fn new(runs: &'r [Run<SiteId>], lines: Vec<&'a str>) -> Cursor<'r, 'a> {
        let mut cursor = Cursor { next: None, rest: runs, lines, line: 0 };
        cursor.advance();
        cursor
    }

    fn advance(&mut self) {
        self.next = self.rest.split_first().map(|(first, rest)| {
            self.rest = rest;
            *first
        });
    }

    /// The next blocks, at most `count`, all of one run.
    fn take(&mut self, count: usize) -> Option<(Run<SiteId>, &[&'a str])> {
        let (head, rest) = self.next?.split(count);
        match rest {
            Some(_) => self.next = rest,
            None => self.advance(),
        }
        let from = self.line;
        if head.state.is_alive() {
            self.line += head.count;
        }
        Some((head, self.lines.get(from..self.line).unwrap_or_default()))
    }
}

struct Joiner<'r, 'a> {
    tree: &'r Tree<SiteId>,
    epoch: Stamp<SiteId>,
    left: Cursor<'r, 'a>,
    right: Cursor<'r, 'a>,
    runs: Runs<SiteId>,
    lines: Vec<&'a str>,
    lost: Vec<LostLine>,
    changed: bool,
}

impl Joiner<'_, '_> {
    fn walk(&mut self) {
        while let (Some(left), Some(right)) = (self.left.next, self.right.next) {
            match self.tree.compare(left.first(), right.first()) {
                Ordering::Equal => self.join_blocks(left.count.min(right.count)),
                Ordering::Less => {
                    copy_before(self.tree, &mut self.left, right.first(), &mut self.runs, &mut self.lines);
                }
                Ordering::Greater => {
                    copy_before(self.tree, &mut self.right, left.first(), &mut self.runs, &mut self.lines);
                    self.changed = true;
                }
            }
        }
        self.changed |= self.right.next.is_some();
        for cursor in [&mut self.left, &mut self.right] {
            self.runs.extend(cursor.next.as_slice());
            self.runs.extend(cursor.rest);
            self.lines.extend(cursor.lines.get(cursor.line..).unwrap_or_default());
        }
    }

    /// Joins blocks that both lists have next.
    fn join_blocks(&mut self, count: usize) {
        let epoch = self.epoch;
        let (Some((left, left_lines)), Some((right, right_lines))) =
            (self.left.take(count), self.right.take(count))
        else {
            return;
        };
        let state = left.state.max(right.state);
        self.runs.push(Run { state, ..left });
        self.changed |= state != left.state;
        if left.state == right.state {
            // One write has one content. If a replica was copied with its site id there may be two after
            // all, and everyone must choose the same.
            let both = left_lines.iter().zip(right_lines);
            self.changed |= both.clone().any(|(left, right)| right > left);
            self.lines.extend(both.map(|(left, right)| left.max(right)));
            return;
        }
        let incoming = state == left.state;
        let (kept, lost) = if incoming { (left_lines, right_lines) } else { (right_lines, left_lines) };
        self.lines.extend(kept);
        let loser = if incoming { right.state } else { left.state };
        if is_loss(epoch, state, loser) {
            for (at, text) in lost.iter().enumerate() {
                let kept_text = kept.get(at).map(|text| (*text).to_owned());
                if kept_text.as_deref() != Some(*text) {
                    let (kept, lost, lost_text) = (state.content, loser.content, (*text).to_owned());
                    self.lost.push(LostLine { kept, kept_text, lost, lost_text, incoming });
                }
            }
        }
    }
}

/// Whether content that gave way may have been unknown to the author of what it gave way to.
fn is_loss(epoch: Stamp<SiteId>, winner: State<SiteId>, loser: State<SiteId>) -> bool {
    loser.content != winner.content && loser.content != epoch && loser.content.site != winner.content.site
}

/// Copies all blocks that come before `bound`; the next one does.
fn copy_before<'a>(
    tree: &Tree<SiteId>,
    cursor: &mut Cursor<'_, 'a>,
    bound: Position,
    runs: &mut Runs<SiteId>,
    lines: &mut Vec<&'a str>,
) {
    // Where the next run begins before the bound too, all of this one does. Neighbours are likely.
    let before = |run: &Run<SiteId>| tree.compare(run.first(), bound).is_lt();
    let mut reach = 1;
    while cursor.rest.get(reach - 1).is_some_and(before) {
        reach *= 2;
    }
    let within = cursor.rest.get(..reach.min(cursor.rest.len())).unwrap_or_default();
    let whole = within.partition_point(before);
    for _ in 0..whole {
        copy(cursor, usize::MAX, runs, lines);
    }
    let Some(run) = cursor.next else { return };
    let count = match tree.spot_in(bound, run.waypoint) {
        Some(spot) => {
            // The block of that number itself is looked at again, unless it is the first.
            usize::try_from(spot.index.saturating_sub(run.start)).unwrap_or(1).max(1)
        }
        None => usize::MAX,
    };
    copy(cursor, count, runs, lines);
}

fn copy<'a>(cursor: &mut Cursor<'_, 'a>, count: usize, runs: &mut Runs<SiteId>, lines: &mut Vec<&'a str>) {
    if let Some((run, taken)) = cursor.take(count) {
        runs.push(run);
        lines.extend_from_slice(taken);
    }
}
