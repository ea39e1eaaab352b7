//! Which line of a changed region is which: an edited line keeps its identity.

/// How alike two lines must be to count as one that was edited; 1.0 is equal.
const THRESHOLD: f32 = 0.5;

/// Pairs of (old, new) lines, ascending in both, that are edits of one another.
///
/// A line that was replaced alone, between two unchanged ones, is the same line however much it
/// changed. A blank line is nobody's: what is written into it is a new line.
///
/// `budget` is how many lines may still be compared, old ones times new ones; a region that needs more
/// is taken as deleted and written anew.
pub(crate) fn pair(old: &[&str], new: &[&str], budget: &mut usize) -> Vec<(usize, usize)> {
    let cost = old.len().saturating_mul(new.len());
    let affordable = cost <= *budget;
    *budget = if affordable { *budget - cost } else { *budget };
    let found = if affordable { alike(old, new) } else { Vec::new() };
    let mut pairs = Vec::new();
    let (mut from_old, mut from_new) = (0, 0);
    for (at_old, at_new) in found.into_iter().chain([(old.len(), new.len())]) {
        if at_old == from_old + 1 && at_new == from_new + 1 {
            let both = (old.get(from_old), new.get(from_new));
            if both.0.zip(both.1).is_some_and(|(old, new)| !is_blank(old) && !is_blank(new)) {
                pairs.push((from_old, from_new));
            }
        }
        if at_old < old.len() {
            pairs.push((at_old, at_new));
        }
        (from_old, from_new) = (at_old + 1, at_new + 1);
    }
    pairs
}

/// The ascending pairs whose likeness is the greatest in sum.
fn alike(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let (old_words, new_words): (Vec<_>, Vec<_>) =
        (old.iter().map(|line| Words::of(line)).collect(), new.iter().map(|line| Words::of(line)).collect());
    let width = new.len() + 1;
    let mut best = vec![0f32; (old.len() + 1) * width];
    let mut likeness = vec![0f32; old.len() * new.len()];
    let at = |table: &[f32], index: usize| table.get(index).copied().unwrap_or(0.0);
    for (row, old) in old_words.iter().enumerate().rev() {
        for (column, new) in new_words.iter().enumerate().rev() {
            let score = old.likeness(new);
            let score = if score >= THRESHOLD { score } else { 0.0 };
            let here = row * width + column;
            let skip = at(&best, here + 1).max(at(&best, here + width));
            let take = if score > 0.0 { score + at(&best, here + width + 1) } else { 0.0 };
            if let Some(entry) = best.get_mut(here) {
                *entry = skip.max(take);
            }
            if let Some(entry) = likeness.get_mut(row * new_words.len() + column) {
                *entry = score;
            }
        }
    }
    let mut pairs = Vec::new();
    let (mut row, mut column) = (0, 0);
    while row < old.len() && column < new.len() {
        let here = row * width + column;
        let score = at(&likeness, row * new.len() + column);
        if score > 0.0 && at(&best, here) == score + at(&best, here + width + 1) {
            pairs.push((row, column));
            (row, column) = (row + 1, column + 1);
        } else if at(&best, here) == at(&best, here + 1) {
            column += 1;
        } else {
            row += 1;
        }
    }
    pairs
}

/// The share of bytes in pieces that both have, wherever they stand; white space does not count.
pub(crate) fn share(old: &[&str], new: &[&str]) -> f32 {
    Words::among("", old.iter().copied()).share(&Words::among("", new.iter().copied()))
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// A line as the words and signs in it, sorted.
struct Words<'a> {
    line: &'a str,
    sorted: Vec<&'a str>,
    bytes: usize,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Words<'a> {
        let mut words = Vec::new();
        for part in line.split_whitespace() {
            let mut rest = part;
            while let Some(first) = rest.chars().next() {
                let word = rest.find(|character: char| !character.is_alphanumeric()).unwrap_or(rest.len());
                let (head, tail) = rest.split_at(word.max(first.len_utf8()).min(rest.len()));
                words.push(head);
                rest = tail;
            }
        }
        Words::among(line, words.into_iter())
    }

    fn among(line: &'a str, words: impl Iterator<Item = &'a str>) -> Words<'a> {
        let mut sorted: Vec<_> = words.filter(|word| !is_blank(word)).collect();
        sorted.sort_unstable();
        let bytes = sorted.iter().map(|word| word.len()).sum();
        Words { line, sorted, bytes }
    }

    /// The share of bytes in words that both have, or at both ends, whichever is greater.
    fn likeness(&self, other: &Words<'_>) -> f32 {
        if self.bytes == 0 || other.bytes == 0 {
            return 0.0;
        }
        let words = self.share(other);
        let (one, two) = (self.line.as_bytes(), other.line.as_bytes());
        let head = one.iter().zip(two).take_while(|(one, two)| one == two).count();
        let room = one.len().min(two.len()) - head;
        let tail =
            one.iter().rev().zip(two.iter().rev()).take(room).take_while(|(one, two)| one == two).count();
        words.max((head + tail) as f32 / one.len().max(two.len()) as f32)
    }

    /// The share of bytes in words that both have.
    fn share(&self, other: &Words<'_>) -> f32 {
        2.0 * self.common(other) as f32 / (self.bytes + other.bytes).max(1) as f32
    }

    fn common(&self, other: &Words<'_>) -> usize {
        let (mut one, mut two) = (self.sorted.iter().peekable(), other.sorted.iter().peekable());
        let mut bytes = 0;
        while let (Some(left), Some(right)) = (one.peek(), two.peek()) {
            match left.cmp(right) {
                std::cmp::Ordering::Less => drop(one.next()),
                std::cmp::Ordering::Greater => drop(two.next()),
                std::cmp::Ordering::Equal => {
                    bytes += left.len();
                    one.next();
                    two.next();
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    fn pair(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
        super::pair(old, new, &mut 1000)
    }

    #[test]
    fn an_edited_line_is_found_among_new_ones() {
        let old = ["The quick brown fox jumps", "second line of the text"];
        let new =
            ["An entirely different thing", "The quick red fox jumps", "Nothing", "second line of a text"];
        assert_eq!(pair(&old, &new), [(0, 1), (1, 3)]);
    }

    #[test]
    fn a_line_replaced_alone_is_the_same_line() {
        assert_eq!(pair(&["alpha"], &["omega"]), [(0, 0)]);
        assert_eq!(pair(&["alpha", "one two three"], &["omega", "one two four"]), [(0, 0), (1, 1)]);
        assert_eq!(pair(&["alpha", "beta"], &["x", "y"]), []);
    }

    #[test]
    fn a_blank_line_is_never_paired() {
        assert_eq!(pair(&[""], &["words"]), []);
        assert_eq!(pair(&["words"], &["  "]), []);
    }

    #[test]
    fn what_there_is_no_budget_for_is_not_compared() {
        let mut budget = 5;
        assert_eq!(super::pair(&["one two", "b"], &["one two 3", "b"], &mut budget).len(), 2);
        assert_eq!(super::pair(&["one two", "b"], &["one two 3", "b"], &mut budget), []);
        assert_eq!(budget, 1);
    }
}
