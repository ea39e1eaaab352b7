//! A text as its words: how it is cut where words are merged and not lines.
//!
//! Every replica must cut one text into the same words, so these rules are part of the format and ask no
//! table that a new version of Unicode would change.

use crate::text::signs::{Kind, kind, kind_of_ascii};

/// What ends a line; the last one of a text ends one even if the text does not have it.
pub(crate) const LINE_FEED: &str = "\n";
/// What stands between a word and what it follows, if nothing else does.
pub(crate) const SPACE: &str = " ";

/// Cuts a text into words, signs, white space and line feeds.
///
/// One space before a word that follows a word (or joining signs, as a comma) belongs to neither and is no
/// piece; any other white space is one.
pub(crate) fn cut(text: &str) -> Vec<&str> {
    let mut pieces = Vec::with_capacity(text.len() / 5);
    let (mut at, mut follows) = (0, false);
    // Up to where joining signs are known to join nothing.
    let mut closing = 0;
    while let Some((first, length)) = first_at(text, at) {
        let end = match first {
            Kind::LineFeed => at + length,
            Kind::White => {
                let end = skip(text, at, Kind::White);
                if follows && text.get(at..end) == Some(SPACE) && is_word_at(text, end) {
                    (at, follows) = (end, false);
                    continue;
                }
                end
            }
            Kind::Sign => skip_same(text, at, length),
            Kind::Joining | Kind::Letter if at >= closing => match word_end(text, at) {
                Some(end) => end,
                None => {
                    closing = skip(text, at, Kind::Joining);
                    skip_same(text, at, length)
                }
            },
            Kind::Joining | Kind::Letter => skip_same(text, at, length),
        };
        pieces.push(text.get(at..end).unwrap_or_default());
        follows = matches!(first, Kind::Joining | Kind::Letter);
        at = end;
    }
    pieces
}

/// The text of pieces, without what ends it.
pub(crate) fn join(pieces: &[&str]) -> String {
    let mut text = String::with_capacity(pieces.iter().map(|piece| piece.len() + SPACE.len()).sum());
    let mut last = None;
    for piece in pieces {
        if last.is_some_and(|last| is_parted(last, piece)) {
            text.push_str(SPACE);
        }
        text.push_str(piece);
        last = Some(*piece);
    }
    text
}

/// Whether a space that is no piece stands between two neighbouring pieces.
pub(crate) fn is_parted(left: &str, right: &str) -> bool {
    is_followed(left) && is_word(right)
}

/// Whether this is one piece, cut for itself.
pub(crate) fn is_piece(text: &str) -> bool {
    let Some((first, length)) = first_at(text, 0) else { return false };
    let end = match first {
        Kind::LineFeed => length,
        Kind::White => skip(text, 0, Kind::White),
        Kind::Sign => skip_same(text, 0, length),
        Kind::Joining | Kind::Letter => word_end(text, 0).unwrap_or_else(|| skip_same(text, 0, length)),
    };
    end == text.len()
}

/// Whether the text of these pieces would be cut into the same ones again. Pieces of several authors that
/// came to stand side by side may be cut otherwise: two of white space, for example, as one.
pub(crate) fn is_stable(pieces: &[&str]) -> bool {
    let [first, rest @ ..] = pieces else { return true };
    let (mut before, mut left) = (None, *first);
    for right in rest {
        let is_one = match (kind_of(left), kind_of(right)) {
            (Kind::White, Kind::White) => true,
            (Kind::Sign, Kind::Sign) | (Kind::Joining, Kind::Joining) => {
                left.chars().next() == right.chars().next()
            }
            (Kind::White, Kind::Letter) => left == SPACE && before.is_some_and(is_followed),
            _ => false,
        };
        if is_one {
            return false;
        }
        (before, left) = (Some(left), *right);
    }
    true
}

/// Whether a piece is a word: then it ends with a letter, which no other piece does.
pub(crate) fn is_word(piece: &str) -> bool {
    kind_of(piece) == Kind::Letter
}

fn is_followed(piece: &str) -> bool {
    matches!(kind_of(piece), Kind::Letter | Kind::Joining)
}

/// The kind of a piece: that of its last character.
#[inline]
fn kind_of(piece: &str) -> Kind {
    if let Some(kind) = piece.as_bytes().last().and_then(|byte| kind_of_ascii(*byte)) {
        return kind;
    }
    piece.chars().next_back().map_or(Kind::White, kind)
}

#[inline]
fn first_at(text: &str, at: usize) -> Option<(Kind, usize)> {
    let byte = *text.as_bytes().get(at)?;
    if let Some(kind) = kind_of_ascii(byte) {
        return Some((kind, 1));
    }
    let first = text.get(at..)?.chars().next()?;
    Some((kind(first), first.len_utf8()))
}

/// Where the characters of one kind end.
fn skip(text: &str, mut at: usize, wanted: Kind) -> usize {
    while let Some((found, length)) = first_at(text, at)
        && found == wanted
    {
        at += length;
    }
    at
}

/// Where the repetitions of one character end.
fn skip_same(text: &str, at: usize, length: usize) -> usize {
    let sign = text.get(at..at + length).unwrap_or_default();
    let mut end = at + length;
    while text.get(end..).is_some_and(|rest| rest.starts_with(sign)) {
        end += length;
    }
    end
}

fn is_word_at(text: &str, at: usize) -> bool {
    first_at(text, skip(text, at, Kind::Joining)).is_some_and(|(kind, _)| kind == Kind::Letter)
}

/// Where a word ends: letters, and the joining signs before and among them, but not those after. `None` if
/// there is no letter.
fn word_end(text: &str, at: usize) -> Option<usize> {
    let (mut signs, mut end) = (skip(text, at, Kind::Joining), None);
    loop {
        let letters = skip(text, signs, Kind::Letter);
        if letters == signs {
            return end;
        }
        end = Some(letters);
        signs = skip(text, letters, Kind::Joining);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_space_between_words_belongs_to_neither() {
        assert_eq!(cut("one two"), ["one", "two"]);
        assert_eq!(cut("one, two. Three"), ["one", ",", "two", ".", "Three"]);
        assert_eq!(cut("one  two"), ["one", "  ", "two"]);
        assert_eq!(cut(" one "), [" ", "one", " "]);
        assert_eq!(cut("one (two) three"), ["one", " ", "(", "two", ")", "three"]);
        assert_eq!(cut("one - two , three"), ["one", " ", "-", "two", " ", ",", "three"]);
        assert_eq!(cut("- item\n\n## Heading\n"), ["-", "item", "\n", "\n", "##", "Heading", "\n"]);
    }

    #[test]
    fn what_joining_signs_join_is_one_word() {
        for word in ["don't", "2026-11-21", "3.14", "-5", "10:30", "e-mail", "https://a.b/c?d=e", "caf\u{e9}"]
        {
            assert_eq!(cut(word), [word]);
        }
        assert_eq!(cut("(a.b), c..."), ["(", "a.b", ")", ",", "c", "..."]);
        assert_eq!(cut("**bold**,"), ["**", "bold", "**", ","]);
        assert_eq!(cut("\u{4f60}\u{597d}\u{3002}"), ["\u{4f60}", "\u{597d}", "\u{3002}"]);
    }

    fn any_pieces() -> impl Strategy<Value = Vec<String>> {
        let piece = prop_oneof![
            "[a\u{e9}]{1,2}",
            "[,]{1,2}|-",
            "[ ]{1,2}|\t",
            Just("\n".to_owned()),
            "[(]{1,2}",
            "\u{4e00}|[,]a"
        ];
        proptest::collection::vec(piece, 0..8)
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_the_text(text in "[ab, .()\t\n\r\0\u{e9}\u{4e00}\u{a0}\u{2019}\u{301}-]{0,30}") {
            let pieces = cut(&text);
            prop_assert_eq!(join(&pieces), text.as_str());
            prop_assert!(is_stable(&pieces));
            for piece in pieces {
                prop_assert!(is_piece(piece), "{:?}", piece);
                prop_assert_eq!(piece.ends_with('\n'), piece == LINE_FEED);
            }
        }

        #[test]
        fn a_piece_is_what_is_cut_into_itself(text in "[ab, .()\n\u{4e00}-]{0,4}") {
            prop_assert_eq!(is_piece(&text), cut(&text) == [text.as_str()]);
        }

        #[test]
        fn pieces_are_stable_that_are_found_again(pieces in any_pieces()) {
            let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
            prop_assert!(pieces.iter().all(|piece| is_piece(piece)));
            prop_assert_eq!(is_stable(&pieces), cut(&join(&pieces)) == pieces);
        }
    }
}
