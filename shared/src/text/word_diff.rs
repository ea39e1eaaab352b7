//! What happened to each word between two texts: lines are compared first, and words only in those that
//! changed.

use std::time::Instant;

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

use crate::text::diff::{Step, Steps, common_ends, numbered};
use crate::text::likeness;
use crate::text::limits::MAX_WRAPPED_WORDS;
use crate::text::words::{LINE_FEED, is_word, join};

/// Lines that have this share of their words in common with those in their place are compared as one
/// piece of text: they were wrapped, split or joined, rather than replaced.
const WRAPPED: f32 = 0.75;

/// The steps that lead from the old words to the new ones.
///
/// What is not compared when the deadline passes counts as replaced; the result is right in any case.
pub(crate) fn script(old: &[&str], new: &[&str], deadline: Option<Instant>) -> Vec<Step> {
    let (head, tail) = common_lines(old, new);
    let old_lines = lines(old.get(head..old.len() - tail).unwrap_or_default());
    let new_lines = lines(new.get(head..new.len() - tail).unwrap_or_default());
    let mut writer = Writer { steps: Steps::default(), next: head, deadline };
    writer.steps.push(Step::Keep(head));
    let (old_numbers, new_numbers) = numbered(&old_lines, &new_lines);
    for op in capture_diff_slices_deadline(Algorithm::Myers, &old_numbers, &new_numbers, deadline) {
        let old = old_lines.get(op.old_range()).unwrap_or_default();
        let new = new_lines.get(op.new_range()).unwrap_or_default();
        match op {
            DiffOp::Equal { .. } => writer.keep(count(new)),
            DiffOp::Delete { .. } => writer.delete(count(old)),
            DiffOp::Insert { .. } => writer.insert(count(new)),
            DiffOp::Replace { .. } => writer.replace_lines(old, new),
        }
    }
    writer.steps.push(Step::Keep(tail));
    confirm_line_ends(writer.steps.list, new)
}

/// Has lines with new words write their line feed too: if another author, who did not know of them, deletes
/// the line, the words that stay do not run into the next one.
fn confirm_line_ends(found: Vec<Step>, new: &[&str]) -> Vec<Step> {
    let mut steps = Steps::default();
    let (mut next, mut is_edited) = (0, false);
    for step in found {
        match step {
            Step::Keep(count) => {
                let kept = new.get(next..next + count).unwrap_or_default();
                let line_feed = kept.iter().position(|word| *word == LINE_FEED).filter(|_| is_edited);
                let before = line_feed.unwrap_or(count);
                steps.push(Step::Keep(before));
                if line_feed.is_some() {
                    steps.push(Step::Change(next + before));
                    steps.push(Step::Keep(count - before - 1));
                    is_edited = false;
                }
                next += count;
            }
            Step::Change(at) => {
                is_edited = true;
                steps.push(Step::Change(at));
                next = at + 1;
            }
            Step::Delete(count) => steps.push(Step::Delete(count)),
            Step::Insert(range) => {
                let ends_line = new.get(range.clone()).is_some_and(|words| words.ends_with(&[LINE_FEED]));
                is_edited = !ends_line;
                next = range.end;
                steps.push(Step::Insert(range));
            }
        }
    }
    steps.list
}

/// How many words both texts have at the beginning, and how many of the others at the end, in whole lines.
fn common_lines(old: &[&str], new: &[&str]) -> (usize, usize) {
    let (mut head, _) = common_ends(old, new);
    if head < old.len() || head < new.len() {
        let whole = old.get(..head).and_then(|head| head.iter().rposition(|word| *word == LINE_FEED));
        head = whole.map_or(0, |at| at + 1);
    }
    let (_, mut tail) = common_ends(old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let begins_line = |words: &[&str], tail: usize| {
        let before = (words.len() - tail).checked_sub(1);
        before.is_none_or(|before| words.get(before) == Some(&LINE_FEED))
    };
    while tail > 0 && !(begins_line(old, tail) && begins_line(new, tail)) {
        tail -= 1;
    }
    (head, tail)
}

/// Words by lines, each with its line feed.
fn lines<'w, 'a>(words: &'w [&'a str]) -> Vec<&'w [&'a str]> {
    words.split_inclusive(|word| *word == LINE_FEED).collect()
}

/// How many words lines have.
fn count(lines: &[&[&str]]) -> usize {
    lines.iter().map(|line| line.len()).sum()
}

/// Writes steps, and knows which of the new words is the next.
struct Writer {
    steps: Steps,
    next: usize,
    deadline: Option<Instant>,
}

impl Writer {
    fn keep(&mut self, count: usize) {
        self.steps.push(Step::Keep(count));
        self.next += count;
    }

    fn delete(&mut self, count: usize) {
        self.steps.push(Step::Delete(count));
    }

    fn insert(&mut self, count: usize) {
        self.steps.push(Step::Insert(self.next..self.next + count));
        self.next += count;
    }

    fn change(&mut self) {
        self.steps.push(Step::Change(self.next));
        self.next += 1;
    }

    /// A region where old lines gave way to new ones.
    fn replace_lines(&mut self, old: &[&[&str]], new: &[&[&str]]) {
        if count(old) + count(new) <= MAX_WRAPPED_WORDS {
            let (old_words, new_words) = (old.concat(), new.concat());
            if likeness::share(&old_words, &new_words) >= WRAPPED {
                return self.compare(&old_words, &new_words);
            }
        }
        let texts = |lines: &[&[&str]]| lines.iter().map(|line| join(line)).collect::<Vec<_>>();
        let (old_texts, new_texts) = (texts(old), texts(new));
        let (old_texts, new_texts): (Vec<&str>, Vec<&str>) =
            (old_texts.iter().map(String::as_str).collect(), new_texts.iter().map(String::as_str).collect());
        let (mut from_old, mut from_new) = (0, 0);
        for (at_old, at_new) in likeness::pair(&old_texts, &new_texts, &mut self.steps.budget) {
            self.delete(count(old.get(from_old..at_old).unwrap_or_default()));
            self.insert(count(new.get(from_new..at_new).unwrap_or_default()));
            if let (Some(old), Some(new)) = (old.get(at_old), new.get(at_new)) {
                self.compare(old, new);
            }
            (from_old, from_new) = (at_old + 1, at_new + 1);
        }
        self.delete(count(old.get(from_old..).unwrap_or_default()));
        self.insert(count(new.get(from_new..).unwrap_or_default()));
    }

    /// Text that was edited, word by word.
    fn compare(&mut self, old: &[&str], new: &[&str]) {
        let (head, tail) = common_ends(old, new);
        let old = old.get(head..old.len() - tail).unwrap_or_default();
        let new = new.get(head..new.len() - tail).unwrap_or_default();
        self.keep(head);
        let (old_numbers, new_numbers) = numbered(old, new);
        for op in capture_diff_slices_deadline(Algorithm::Myers, &old_numbers, &new_numbers, self.deadline) {
            let old = old.get(op.old_range()).unwrap_or_default();
            let new = new.get(op.new_range()).unwrap_or_default();
            match op {
                DiffOp::Equal { .. } => self.keep(new.len()),
                DiffOp::Delete { .. } => self.delete(old.len()),
                DiffOp::Insert { .. } => self.insert(new.len()),
                DiffOp::Replace { .. } => self.replace_words(old, new),
            }
        }
        self.keep(tail);
    }

    /// Words that gave way to others: those that are alike are the same, and between them word for word.
    fn replace_words(&mut self, old: &[&str], new: &[&str]) {
        let pairs = likeness::pair(old, new, &mut self.steps.budget);
        let (mut from_old, mut from_new) = (0, 0);
        for (at_old, at_new) in pairs.into_iter().chain([(old.len(), new.len())]) {
            self.word_for_word(
                old.get(from_old..at_old).unwrap_or_default(),
                new.get(from_new..at_new).unwrap_or_default(),
            );
            if at_old < old.len() {
                self.change();
            }
            (from_old, from_new) = (at_old + 1, at_new + 1);
        }
    }

    /// The first old word became the first new one, and so on; signs and white space go and come.
    fn word_for_word(&mut self, old: &[&str], new: &[&str]) {
        let places = |words: &[&str]| {
            let words = words.iter().enumerate().filter(|(_, word)| is_word(word));
            words.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let (mut from_old, mut from_new) = (0, 0);
        for (at_old, at_new) in places(old).into_iter().zip(places(new)) {
            self.delete(at_old - from_old);
            self.insert(at_new - from_new);
            self.change();
            (from_old, from_new) = (at_old + 1, at_new + 1);
        }
        self.delete(old.len() - from_old);
        self.insert(new.len() - from_new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::diff::follow;
    use crate::text::words::cut;
    use proptest::prelude::*;

    fn steps(old: &str, new: &str) -> Vec<Step> {
        script(&cut(old), &cut(new), None)
    }

    #[test]
    fn a_word_is_changed_where_it_stands_and_confirms_its_line() {
        let changed = [Step::Keep(1), Step::Change(1), Step::Keep(1), Step::Change(3), Step::Keep(2)];
        assert_eq!(steps("a b c\nd\n", "a x c\nd\n"), changed);
        assert_eq!(steps("a b\n", "a b x y\n"), [Step::Keep(2), Step::Insert(2..4), Step::Change(4)]);
        assert_eq!(
            steps("one two three\n", "1 2 3 4\n"),
            [Step::Change(0), Step::Change(1), Step::Change(2), Step::Insert(3..4), Step::Change(4)]
        );
    }

    #[test]
    fn a_word_that_is_deleted_confirms_nothing() {
        assert_eq!(steps("a b c\n", "a c\n"), [Step::Keep(1), Step::Delete(1), Step::Keep(2)]);
    }

    #[test]
    fn whole_lines_come_and_go() {
        assert_eq!(
            steps("the b\nend\n", "the a\nthe b\nend\n"),
            [Step::Insert(0..3), Step::Keep(5)],
            "and not `a⏎the` within the first one"
        );
        assert_eq!(steps("the a\nthe b\nend\n", "the b\nend\n"), [Step::Delete(3), Step::Keep(5)]);
    }

    #[test]
    fn a_paragraph_that_is_wrapped_anew_keeps_its_words() {
        let changed = steps("one two three four\nfive six\n", "one two three\nfour five six\n");
        assert_eq!(
            changed,
            [Step::Keep(3), Step::Insert(3..4), Step::Keep(1), Step::Delete(1), Step::Keep(3)]
        );
    }

    #[test]
    fn words_are_compared_in_the_line_that_is_alike() {
        let changed = steps("top\nThe quick brown fox\nend\n", "top\nSomething\nThe quick red fox\nend\n");
        let insert = [Step::Keep(2), Step::Insert(2..4)];
        let change = [Step::Keep(2), Step::Change(6), Step::Keep(1), Step::Change(8), Step::Keep(2)];
        let expected = [insert.as_slice(), &change].concat();
        assert_eq!(changed, expected);
    }

    proptest! {
        #[test]
        fn the_steps_lead_from_old_to_new(
            old in proptest::collection::vec("[ab]{0,2}|\n|[,]", 0..16),
            new in proptest::collection::vec("[ab]{0,2}|\n|[,]", 0..16),
            hurry: bool,
        ) {
            let old: Vec<_> = old.iter().map(String::as_str).collect();
            let new: Vec<_> = new.iter().map(String::as_str).collect();
            let steps = script(&old, &new, hurry.then(Instant::now));
            let (from, made) = follow(steps, &old, &new);
            prop_assert_eq!(from, old.len());
            prop_assert_eq!(made, new);
        }
    }
}
