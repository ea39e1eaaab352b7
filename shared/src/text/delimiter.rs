//! How a text is cut into lines, or words, and put together again.

use crate::error::{Error, Result};
use crate::text::cuts::Cuts;
use crate::text::limits::MAX_DELIMITER_BYTES;
use crate::text::words;

/// What stands between two lines: a line feed unless the column says otherwise; or nothing in particular,
/// where the text is cut into words.
///
/// It belongs to the column's definition, as its type does: replicas that sync a column must agree on
/// it, and a delta that was cut by another one is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter(Cut);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cut {
    Lines(String),
    Words,
}

impl Default for Delimiter {
    fn default() -> Delimiter {
        Delimiter(Cut::Lines(words::LINE_FEED.to_owned()))
    }
}

/// A text as its lines. `ending` says how many bytes of a delimiter follow the last one.
///
/// The text `"a\nb\n"` is the lines `a` and `b` with an ending of one byte, `"a\nb"` is the same lines
/// without, and `""` is no line at all. Where an empty line parts paragraphs, a text mostly ends with
/// half a delimiter: that line feed is not the last paragraph's, or appending would change it.
///
/// The same for words, which are `pieces` of the text as [`words::cut`] finds them. There the last line
/// has its line feed among them in any case, and `ending` says whether it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines<'a> {
    pub pieces: Vec<&'a str>,
    pub ending: usize,
}

impl Delimiter {
    /// A delimiter of the caller's choice.
    ///
    /// # Errors
    /// It is empty or longer than [`MAX_DELIMITER_BYTES`].
    pub fn new(text: &str) -> Result<Delimiter> {
        if text.is_empty() {
            return Err(Error::invalid_input("a delimiter must not be empty; a line feed is usual"));
        }
        if text.len() > MAX_DELIMITER_BYTES {
            return Err(Error::limit("the length of a delimiter", MAX_DELIMITER_BYTES));
        }
        Ok(Delimiter(Cut::Lines(text.to_owned())))
    }

    /// Cuts texts into words, so that edits of different words of one line all stand.
    pub fn words() -> Delimiter {
        Delimiter(Cut::Words)
    }

    /// The cut that a column's settings ask for: `merge` is `word`, or `line` as where it is not set; words
    /// are cut without a `delimiter`, which then is of no account.
    ///
    /// # Errors
    /// A setting has no such value.
    pub fn of_settings(merge: Option<&str>, delimiter: Option<&str>) -> Result<Delimiter> {
        let lines = delimiter.map_or_else(|| Ok(Delimiter::default()), Delimiter::new)?;
        match merge {
            None | Some("line") => Ok(lines),
            Some("word") => Ok(Delimiter::words()),
            Some(other) => Err(Error::invalid_input(format!(
                "the column setting 'merge' is 'line' or 'word', not '{other}'"
            ))),
        }
    }

    /// Whether texts are cut into words.
    pub fn is_by_words(&self) -> bool {
        self.0 == Cut::Words
    }

    /// The delimiter itself; nothing where texts are cut into words.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Cut::Lines(delimiter) => delimiter,
            Cut::Words => "",
        }
    }

    /// Reads what [`Delimiter::as_str`] gives.
    pub(crate) fn from_str(text: &str) -> Result<Delimiter> {
        if text.is_empty() { Ok(Delimiter::words()) } else { Delimiter::new(text) }
    }

    /// Cuts a text that nobody has cut before.
    pub(crate) fn lines<'a>(&self, text: &'a str) -> Lines<'a> {
        let all = self.ending(usize::MAX);
        let ends = all.char_indices().map(|(at, character)| at + character.len_utf8());
        let ending = ends.rev().find(|length| text.ends_with(self.ending(*length))).unwrap_or(0);
        let pieces = if text.is_empty() { Vec::new() } else { self.split(text, ending).unwrap_or_default() };
        Lines { pieces, ending }
    }

    /// The first `length` bytes of what ends a text; all of it, if those are no characters.
    fn ending(&self, length: usize) -> &str {
        let all = match &self.0 {
            Cut::Lines(delimiter) => delimiter,
            Cut::Words => words::LINE_FEED,
        };
        all.get(..length).unwrap_or(all)
    }

    /// The pieces of a text that is not empty, or `None` if it has no such ending.
    pub(crate) fn split<'a>(&self, text: &'a str, ending: usize) -> Option<Vec<&'a str>> {
        let body = text.strip_suffix(self.ending(ending))?;
        let Cut::Lines(delimiter) = &self.0 else {
            let mut pieces = words::cut(body);
            pieces.push(words::LINE_FEED);
            return Some(pieces);
        };
        let mut characters = delimiter.chars();
        Some(match (characters.next(), characters.next()) {
            (Some(single), None) => body.split(single).collect(),
            _ => body.split(delimiter).collect(),
        })
    }

    /// The text of lines. No line gives the empty text, with or without an ending.
    pub(crate) fn join(&self, lines: &Lines<'_>) -> String {
        let (ending, pieces) = (self.ending(lines.ending), lines.pieces.as_slice());
        let (mut text, is_empty) = match (&self.0, pieces) {
            (Cut::Lines(delimiter), _) => (pieces.join(delimiter), pieces.is_empty()),
            (Cut::Words, [rest @ .., words::LINE_FEED]) => (words::join(rest), false),
            (Cut::Words, _) => (words::join(pieces), pieces.is_empty()),
        };
        if !is_empty {
            text.push_str(ending);
        }
        text
    }

    /// How many bytes stand between two neighbouring lines.
    pub(crate) fn gap(&self, left: &str, right: &str) -> usize {
        match &self.0 {
            Cut::Lines(delimiter) => delimiter.len(),
            Cut::Words if words::is_parted(left, right) => words::SPACE.len(),
            Cut::Words => 0,
        }
    }

    /// Where the lines of a text are, if they are others than it would be cut into.
    pub(crate) fn cuts(&self, text: &str, lines: &Lines<'_>) -> Option<Cuts> {
        let pieces = lines.pieces.as_slice();
        let is_found =
            self.is_by_words() && pieces.ends_with(&[words::LINE_FEED]) && words::is_stable(pieces);
        if is_found || (pieces.is_empty() && text.is_empty()) {
            return None;
        }
        let found = self.split(text, lines.ending).unwrap_or_default();
        (found != pieces).then(|| Cuts::between(&found, pieces, self))
    }

    /// The lines of a text of which it is known where they are.
    pub(crate) fn cut_by<'a>(&self, text: &'a str, cuts: &Cuts, ending: usize) -> Option<Vec<&'a str>> {
        let pieces = cuts.apply(text, self.split(text, ending)?, self)?;
        let lines = Lines { pieces, ending };
        (self.join(&lines) == text).then_some(lines.pieces)
    }

    /// Whether this can be one line of a text; what stands in a line is not asked.
    pub(crate) fn is_piece(&self, piece: &str) -> bool {
        !self.is_by_words() || words::is_piece(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines<'a>(delimiter: &str, text: &'a str) -> (Vec<&'a str>, usize) {
        let lines = Delimiter::new(delimiter).unwrap().lines(text);
        (lines.pieces, lines.ending)
    }

    #[test]
    fn an_ending_is_not_a_line() {
        assert_eq!(lines("\n", ""), (vec![], 0));
        assert_eq!(lines("\n", "\n"), (vec![""], 1));
        assert_eq!(lines("\n", "a"), (vec!["a"], 0));
        assert_eq!(lines("\n", "a\n\nb\n"), (vec!["a", "", "b"], 1));
        assert_eq!(lines("\n", "a\r\nb\r\n"), (vec!["a\r", "b\r"], 1));
        assert_eq!(lines("\n\n", "a\n\n\nb"), (vec!["a", "\nb"], 0));
        assert_eq!(lines("\n\n", "a\n\nb\n"), (vec!["a", "b"], 1));
        assert_eq!(lines("\n\n", "a\n\n"), (vec!["a"], 2));
    }

    #[test]
    fn a_delimiter_has_a_length() {
        assert!(Delimiter::new("").is_err());
        assert!(Delimiter::new(&"-".repeat(MAX_DELIMITER_BYTES)).is_ok());
        assert!(Delimiter::new(&"-".repeat(MAX_DELIMITER_BYTES + 1)).is_err());
    }

    #[test]
    fn the_last_line_has_its_line_feed_among_the_words() {
        let lines = |text: &'static str| {
            let lines = Delimiter::words().lines(text);
            (lines.pieces, lines.ending)
        };
        assert_eq!(lines(""), (vec![], 0));
        assert_eq!(lines("\n"), (vec!["\n"], 1));
        assert_eq!(lines("a b"), (vec!["a", "b", "\n"], 0));
        assert_eq!(lines("a b\n"), (vec!["a", "b", "\n"], 1));
        assert_eq!(lines("a\n\n"), (vec!["a", "\n", "\n"], 1));
        let words = Delimiter::words();
        assert_eq!(words.join(&Lines { pieces: vec!["a"], ending: 1 }), "a\n");
        assert_eq!(words.join(&Lines { pieces: vec!["\n"], ending: 0 }), "");
        assert_eq!(words.join(&Lines { pieces: vec![], ending: 1 }), "");
    }

    fn any_delimiter() -> impl Strategy<Value = Delimiter> {
        prop_oneof![
            Just(Delimiter::words()),
            "[ab\n]{1,3}".prop_map(|delimiter| Delimiter::new(&delimiter).unwrap())
        ]
    }

    proptest! {
        #[test]
        fn lines_put_together_are_the_text(text in "[ab, \n\r\u{e9}\0]{0,30}", delimiter in any_delimiter()) {
            let lines = delimiter.lines(&text);
            prop_assert_eq!(delimiter.join(&lines), text.clone());
            prop_assert_eq!(delimiter.cuts(&text, &lines), None);
        }

        /// Lines that were put together by several authors, who each cut another text.
        #[test]
        fn lines_are_found_where_they_were_put(
            texts in proptest::collection::vec("[ab,( \n\r]{0,5}", 0..5),
            delimiter in any_delimiter(),
            ending in 0..3usize,
        ) {
            let pieces: Vec<_> = texts.iter().flat_map(|text| delimiter.lines(text).pieces).collect();
            let lines = Lines { pieces, ending };
            let text = delimiter.join(&lines);
            let found = match delimiter.cuts(&text, &lines) {
                Some(cuts) => delimiter.cut_by(&text, &cuts, ending),
                None if lines.pieces.is_empty() => Some(Vec::new()),
                None => delimiter.split(&text, ending),
            };
            prop_assert_eq!(found, Some(lines.pieces));
        }
    }
}
