//! How a text is cut into lines and put together again.

use crate::error::{Error, Result};
use crate::text::limits::MAX_DELIMITER_BYTES;

/// What stands between two lines: a line feed unless the column says otherwise.
///
/// It belongs to the column's definition, as its type does: replicas that sync a column must agree on
/// it, and a delta that was cut by another one is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter(String);

impl Default for Delimiter {
    fn default() -> Delimiter {
        Delimiter("\n".to_owned())
    }
}

/// A text as its lines. `ending` says how many bytes of a delimiter follow the last one.
///
/// The text `"a\nb\n"` is the lines `a` and `b` with an ending of one byte, `"a\nb"` is the same lines
/// without, and `""` is no line at all. Where an empty line parts paragraphs, a text mostly ends with
/// half a delimiter: that line feed is not the last paragraph's, or appending would change it.
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
        Ok(Delimiter(text.to_owned()))
    }

    /// The delimiter itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Cuts a text that nobody has cut before.
    pub(crate) fn lines<'a>(&self, text: &'a str) -> Lines<'a> {
        let ends = self.0.char_indices().map(|(at, character)| at + character.len_utf8());
        let ending = ends.rev().find(|length| text.ends_with(self.ending(*length))).unwrap_or(0);
        let pieces = if text.is_empty() { Vec::new() } else { self.split(text, ending).unwrap_or_default() };
        Lines { pieces, ending }
    }

    /// The first `length` bytes of the delimiter; all of it, if those are no characters.
    fn ending(&self, length: usize) -> &str {
        self.0.get(..length).unwrap_or(self.as_str())
    }

    /// The pieces of a text that is not empty, or `None` if it has no such ending.
    pub(crate) fn split<'a>(&self, text: &'a str, ending: usize) -> Option<Vec<&'a str>> {
        let body = text.strip_suffix(self.ending(ending))?;
        let mut characters = self.0.chars();
        Some(match (characters.next(), characters.next()) {
            (Some(single), None) => body.split(single).collect(),
            _ => body.split(self.as_str()).collect(),
        })
    }

    /// The text of lines. No line gives the empty text, with or without an ending.
    pub(crate) fn join(&self, lines: &Lines<'_>) -> String {
        let mut text = lines.pieces.join(self.as_str());
        if !lines.pieces.is_empty() {
            text.push_str(self.ending(lines.ending));
        }
        text
    }

    /// The lines of a text of which the length of each is known.
    pub(crate) fn cut_by<'a>(&self, text: &'a str, lengths: &[usize], ending: usize) -> Option<Vec<&'a str>> {
        let mut rest = text;
        let mut pieces = Vec::with_capacity(lengths.len().min(text.len()));
        for (at, length) in lengths.iter().enumerate() {
            if at > 0 {
                rest = rest.strip_prefix(self.as_str())?;
            }
            let (piece, after) = rest.split_at_checked(*length)?;
            pieces.push(piece);
            rest = after;
        }
        let end = if lengths.is_empty() { "" } else { self.ending(ending) };
        (rest == end).then_some(pieces)
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

    proptest! {
        #[test]
        fn lines_put_together_are_the_text(text in "[ab\n\r\u{e9}\0]{0,30}", delimiter in "[ab\n]{1,3}") {
            let delimiter = Delimiter::new(&delimiter).unwrap();
            let lines = delimiter.lines(&text);
            prop_assert_eq!(delimiter.join(&lines), text.clone());
            let lengths: Vec<_> = lines.pieces.iter().map(|piece| piece.len()).collect();
            prop_assert_eq!(delimiter.cut_by(&text, &lengths, lines.ending), Some(lines.pieces));
        }
    }
}
