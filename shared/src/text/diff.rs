//! What happened to each line between two texts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

use crate::text::likeness;
use crate::text::limits::MAX_LIKENESS_PAIRS;

/// One step through the old lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many lines stay.
    Keep(usize),
    /// One line has new content, that of the numbered new line.
    Change(usize),
    /// So many lines go.
    Delete(usize),
    /// These new lines come.
    Insert(Range<usize>),
}

/// The steps that lead from the old lines to the new ones.
///
/// What is not compared when the deadline passes counts as replaced; the result is right in any case.
pub(crate) fn script(old: &[&str], new: &[&str], deadline: Option<Instant>) -> Vec<Step> {
    let (head, tail) = common_ends(old, new);
    let old_middle = old.get(head..old.len() - tail).unwrap_or_default();
    let new_middle = new.get(head..new.len() - tail).unwrap_or_default();

    let mut steps = Steps::default();
    steps.push(Step::Keep(head));
    if old_middle.is_empty() || new_middle.is_empty() {
        steps.push(Step::Delete(old_middle.len()));
        steps.push(Step::Insert(head..head + new_middle.len()));
    } else {
        let (old_numbers, new_numbers) = numbered(old_middle, new_middle);
        let ops = capture_diff_slices_deadline(Algorithm::Myers, &old_numbers, &new_numbers, deadline);
        for op in ops {
            match op {
                DiffOp::Equal { len, .. } => steps.push(Step::Keep(len)),
                DiffOp::Delete { old_len, .. } => steps.push(Step::Delete(old_len)),
                DiffOp::Insert { new_index, new_len, .. } => {
                    steps.push(Step::Insert(head + new_index..head + new_index + new_len));
                }
                DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                    let old = old_middle.get(old_index..old_index + old_len).unwrap_or_default();
                    let new = new_middle.get(new_index..new_index + new_len).unwrap_or_default();
                    steps.replace(old, new, head + new_index);
                }
            }
        }
    }
    steps.push(Step::Keep(tail));
    steps.list
}

/// How many lines both have at the beginning, and how many of the others at the end.
pub(crate) fn common_ends(old: &[&str], new: &[&str]) -> (usize, usize) {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let room = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(old, new)| old == new).count();
    (head, tail)
}

/// The lines as numbers, equal lines by equal numbers: they are compared many times.
pub(crate) fn numbered<T: Copy + Ord>(old: &[T], new: &[T]) -> (Vec<usize>, Vec<usize>) {
    let mut known: BTreeMap<T, usize> = BTreeMap::new();
    let mut number = |line: &T| {
        let next = known.len();
        *known.entry(*line).or_insert(next)
    };
    (old.iter().map(&mut number).collect(), new.iter().map(&mut number).collect())
}

/// Steps as they are found.
pub(crate) struct Steps {
    pub list: Vec<Step>,
    /// How many pairs may still be compared for likeness.
    pub budget: usize,
}

impl Default for Steps {
    fn default() -> Steps {
        Steps { list: Vec::new(), budget: MAX_LIKENESS_PAIRS }
    }
}

impl Steps {
    /// Adds a step, unless it is none.
    pub fn push(&mut self, step: Step) {
        match (self.list.last_mut(), step) {
            (_, Step::Keep(0) | Step::Delete(0)) => {}
            (_, Step::Insert(range)) if range.is_empty() => {}
            (Some(Step::Keep(last)), Step::Keep(count)) => *last += count,
            (Some(Step::Delete(last)), Step::Delete(count)) => *last += count,
            (Some(Step::Insert(last)), Step::Insert(range)) if last.end == range.start => {
                last.end = range.end
            }
            (_, step) => self.list.push(step),
        }
    }

    /// A region where old lines gave way to new ones, the first of which has the number `first`.
    fn replace(&mut self, old: &[&str], new: &[&str], first: usize) {
        let (mut from_old, mut from_new) = (0, 0);
        for (at_old, at_new) in likeness::pair(old, new, &mut self.budget) {
            self.push(Step::Delete(at_old - from_old));
            self.push(Step::Insert(first + from_new..first + at_new));
            self.push(Step::Change(first + at_new));
            (from_old, from_new) = (at_old + 1, at_new + 1);
        }
        self.push(Step::Delete(old.len() - from_old));
        self.push(Step::Insert(first + from_new..first + new.len()));
    }
}

/// Where steps lead: how many of the old lines they use, and what they make of them.
#[cfg(test)]
pub(crate) fn follow<'a>(steps: Vec<Step>, old: &[&'a str], new: &[&'a str]) -> (usize, Vec<&'a str>) {
    let (mut from, mut made) = (0, Vec::new());
    for step in steps {
        match step {
            Step::Keep(count) => {
                made.extend_from_slice(&old[from..from + count]);
                from += count;
            }
            Step::Change(at) => {
                made.push(new[at]);
                from += 1;
            }
            Step::Delete(count) => from += count,
            Step::Insert(range) => made.extend_from_slice(&new[range]),
        }
    }
    (from, made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_edits() {
        let old = ["a", "b", "c"];
        assert_eq!(script(&old, &old, None), [Step::Keep(3)]);
        assert_eq!(script(&old, &["a", "x", "c"], None), [Step::Keep(1), Step::Change(1), Step::Keep(1)]);
        assert_eq!(script(&old, &["a", "c"], None), [Step::Keep(1), Step::Delete(1), Step::Keep(1)]);
        assert_eq!(
            script(&old, &["a", "b", "x", "y", "c"], None),
            [Step::Keep(2), Step::Insert(2..4), Step::Keep(1)]
        );
    }

    proptest! {
        #[test]
        fn the_steps_lead_from_old_to_new(
            old in proptest::collection::vec("[ab]{0,2}", 0..12),
            new in proptest::collection::vec("[ab]{0,2}", 0..12),
            hurry: bool,
        ) {
            let old: Vec<_> = old.iter().map(String::as_str).collect();
            let new: Vec<_> = new.iter().map(String::as_str).collect();
            let deadline = hurry.then(Instant::now);
            let (from, made) = follow(script(&old, &new, deadline), &old, &new);
            prop_assert_eq!(from, old.len());
            prop_assert_eq!(made, new);
        }
    }
}
