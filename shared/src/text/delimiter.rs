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

/// A text as its lines. `ending` says whether a delimiter follows the last one.
///
/// The text `"a\nb\n"` is the lines `a` and `b` with an ending, `"a\nb"` is the same lines without,
/// and `""` is no line at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines<'a> {
    pub pieces: Vec<&'a str>,
    pub ending: bool,
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
        let ending = text.ends_with(self.as_str());
        let pieces = if text.is_empty() { Vec::new() } else { self.split(text, ending).unwrap_or_default() };
        Lines { pieces, ending }
    }

    /// The pieces of a text that is not empty, or `None` if it has no ending and should.
    pub(crate) fn split<'a>(&self, text: &'a str, ending: bool) -> Option<Vec<&'a str>> {
        let body = if ending { text.strip_suffix(self.as_str())? } else { text };
        let mut characters = self.0.chars();
        Some(match (characters.next(), characters.next()) {
            (Some(single), None) => body.split(single).collect(),
            _ => body.split(self.as_str()).collect(),
        })
    }

    /// The text of lines. No line gives the empty text, with or without an ending.
    pub(crate) fn join(&self, lines: &Lines<'_>) -> String {
        let mut text = lines.pieces.join(self.as_str());
        if lines.ending && !lines.pieces.is_empty() {
            text.push_str(self.as_str());
        }
        text
    }

    /// The lines of a text of which the length of each is known.
    pub(crate) fn cut_by<'a>(&self, text: &'a str, lengths: &[usize], ending: bool) -> Option<Vec<&'a str>> {
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
        let end = if ending && !lengths.is_empty() { self.as_str() } else { "" };
        (rest == end).then_some(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines<'a>(delimiter: &str, text: &'a str) -> (Vec<&'a str>, bool) {
        let lines = Delimiter::new(delimiter).unwrap().lines(text);
        (lines.pieces, lines.ending)
    }

    #[test]
    fn an_ending_is_not_a_line() {
        assert_eq!(lines("\n", ""), (vec![], false));
        assert_eq!(lines("\n", "\n"), (vec![""], true));
        assert_eq!(lines("\n", "a"), (vec!["a"], false));
        assert_eq!(lines("\n", "a\n\nb\n"), (vec!["a", "", "b"], true));
        assert_eq!(lines("\n", "a\r\nb\r\n"), (vec!["a\r", "b\r"], true));
        assert_eq!(lines("\n\n", "a\n\n\nb"), (vec!["a", "\nb"], false));
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
