//! Where the pieces of a text are, if cutting it finds others than it was put together from.
//!
//! It happens with delimiters that overlap themselves, such as two line feeds, and where white space or
//! signs of several authors came to stand side by side.

use std::ops::Range;

use crate::text::delimiter::Delimiter;

/// The places where the pieces are others than those found, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cuts(pub Vec<Hunk>);

/// One such place: some of the pieces found, and those that stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hunk {
    /// How many pieces since the last hunk are as found.
    pub kept: usize,
    /// How many pieces that were found are none.
    pub dropped: usize,
    /// The pieces in their place: bytes since the one before, and length.
    pub pieces: Vec<(usize, usize)>,
}

impl Cuts {
    /// How `actual` pieces differ from those `found`, both of one text.
    pub fn between(found: &[&str], actual: &[&str], delimiter: &Delimiter) -> Cuts {
        let (found, actual) = (ranges(found, delimiter), ranges(actual, delimiter));
        let mut hunks = Vec::new();
        let (mut from, mut to) = (0, 0);
        loop {
            let start = from;
            while found.get(from).is_some_and(|range| actual.get(to) == Some(range)) {
                (from, to) = (from + 1, to + 1);
            }
            let kept = from - start;
            let (first_found, first_actual) = (from, to);
            while found.get(from) != actual.get(to) {
                let place = |range: &Range<usize>| (range.start, range.end);
                match (found.get(from).map(place), actual.get(to).map(place)) {
                    (Some(left), Some(right)) if left > right => to += 1,
                    (None, _) => to += 1,
                    _ => from += 1,
                }
            }
            if (first_found, first_actual) == (from, to) {
                return Cuts(hunks);
            }
            let mut end =
                first_actual.checked_sub(1).and_then(|at| actual.get(at)).map_or(0, |last| last.end);
            let mut pieces = Vec::with_capacity(to - first_actual);
            for range in actual.get(first_actual..to).unwrap_or_default() {
                pieces.push((range.start - end, range.len()));
                end = range.end;
            }
            hunks.push(Hunk { kept, dropped: from - first_found, pieces });
        }
    }

    /// The pieces of a text in which these were `found`, or `None` if it is another text.
    pub fn apply<'a>(
        &self,
        text: &'a str,
        found: Vec<&'a str>,
        delimiter: &Delimiter,
    ) -> Option<Vec<&'a str>> {
        if self.0.is_empty() {
            return Some(found);
        }
        let places = ranges(&found, delimiter);
        let mut pieces = Vec::with_capacity(found.len());
        let mut next = 0usize;
        for hunk in &self.0 {
            let until = next.checked_add(hunk.kept)?;
            pieces.extend_from_slice(found.get(next..until)?);
            let mut end = until.checked_sub(1).and_then(|at| places.get(at)).map_or(0, |last| last.end);
            for (gap, length) in &hunk.pieces {
                let start = end.checked_add(*gap)?;
                end = start.checked_add(*length)?;
                pieces.push(text.get(start..end)?);
            }
            next = until.checked_add(hunk.dropped)?;
        }
        pieces.extend_from_slice(found.get(next..)?);
        Some(pieces)
    }
}

/// Where each piece stands in the text that they make.
fn ranges(pieces: &[&str], delimiter: &Delimiter) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(pieces.len());
    let mut last: Option<&str> = None;
    for piece in pieces {
        let end = ranges.last().map_or(0, |range| range.end);
        let start = end + last.map_or(0, |last| delimiter.gap(last, piece));
        ranges.push(start..start + piece.len());
        last = Some(piece);
    }
    ranges
}
