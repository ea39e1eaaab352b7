//! What becomes of words that are written apart from one another: the cases of docs/text.md and their edges.

mod text_support;

use cloudsync_shared::error::ErrorKind;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::text::{Delimiter, Document, TextDelta};
use text_support::{Replica, agree, both_by_words as both, stamp};

fn replica(site: u8, text: &str) -> Replica {
    Replica::with_delimiter(site, text, Delimiter::words())
}

/// Whichever of two writes comes first in the text, both are there.
fn both_either(base: &str, left: &str, right: &str, possible: [&str; 2]) {
    let merged = both(base, left, right);
    assert!(possible.contains(&merged.as_str()), "{base:?} -> {left:?} | {right:?} = {merged:?}");
}

#[test]
fn edits_of_different_words_of_one_line_all_stand() {
    assert_eq!(both("Meet at 9", "Meet at 10", "Meet at 9, room 4"), "Meet at 10, room 4");
    assert_eq!(both("The quick fox\n", "The slow fox\n", "The quick dog\n"), "The slow dog\n");
    assert_eq!(both("f(a, b)", "f(a, c)", "f(x, b)"), "f(x, c)");
    assert_eq!(both("- [ ] task one\n", "- [x] task one\n", "- [ ] task 1\n"), "- [x] task 1\n");
    assert_eq!(
        both("1. one\n2. two\n", "1. one\n2. new\n3. two\n", "1. one!\n2. two things\n"),
        "1. one!\n2. new\n3. two things\n"
    );
    assert_eq!(
        both(
            "\u{6211}\u{660e}\u{5929}\u{5230}",
            "\u{6211}\u{540e}\u{5929}\u{5230}",
            "\u{4ed6}\u{660e}\u{5929}\u{5230}"
        ),
        "\u{4ed6}\u{540e}\u{5929}\u{5230}"
    );
}

#[test]
fn of_one_word_the_later_edit_stands_and_the_other_is_told() {
    assert_eq!(both("the colour", "the color", "the colours"), "the colours");
    assert_eq!(both("on 2026-11-21", "on 2026-12-21", "on 2027-11-21"), "on 2027-11-21");
    assert_eq!(both("quick brown", "slow red", "fast brown"), "fast red");
    assert_eq!(both("He is here", "He was here", "He is not here"), "He was not here");
    let (mut one, mut two) = (replica(1, "a b c\n"), replica(2, "a b c\n"));
    one.write_at(2000, "a one c\n");
    two.write_at(2001, "a two c\n");
    assert_eq!(agree(&mut one, &mut two), "a two c\n");
    for lost in [&one.lost, &two.lost] {
        let lost: Vec<_> =
            lost.iter().map(|lost| (lost.lost_text.as_str(), lost.kept_text.as_deref())).collect();
        assert_eq!(lost, [("one", Some("two"))], "and nothing of the end of the line");
    }
}

#[test]
fn words_that_come_and_go_take_their_space_with_them() {
    assert_eq!(both("a b c", "a c", "a b"), "a");
    assert_eq!(both("a b c", "b c", "a c"), "c");
    assert_eq!(both("a b c", "a c", "a b! c"), "a! c");
    assert_eq!(both("a b c", "a c", "a B c"), "a B c");
    assert_eq!(both("a b c", "b c", "a B c"), "B c");
    both_either("a b", "a x b", "a y b", ["a x y b", "a y x b"]);
    both_either("a b", "x a b", "y a b", ["x y a b", "y x a b"]);
    both_either("a", "a x", "a y", ["a x y", "a y x"]);
    both_either("a.", "a. One.", "a. Two.", ["a. One. Two.", "a. Two. One."]);
    both_either("a", "a, one", "a two", ["a, one two", "a two, one"]);
    both_either("a", "a!", "a two", ["a! two", "a two!"]);
    both_either("a", "(a)", "a two", ["(a) two", "(a two)"]);
    assert_eq!(both("the old red house", "the red house", "the old blue house"), "the blue house");
    both_either("a", "\"a\"", "a b", ["\"a\"b", "\"a b\""]);
    assert_eq!(both("a \"b\" c", "a \"b\" d c", "a \"x\" c"), "a \"x\" d c");
}

#[test]
fn runs_of_words_at_one_place_stay_together() {
    both_either("a z", "a 1 2 3 z", "a 4 5 6 z", ["a 1 2 3 4 5 6 z", "a 4 5 6 1 2 3 z"]);
}

#[test]
fn an_edited_word_of_a_deleted_line_stays_in_a_line_of_its_own() {
    let base = "Buy milk\nCall Bob now\nend\n";
    let edited = "Buy milk\nCall Robert now\nend\n";
    assert_eq!(both(base, "Buy milk\nend\n", edited), "Buy milk\nRobert\nend\n");
    assert_eq!(both(base, edited, "Buy milk\nend\n"), "Buy milk\nRobert\nend\n");
    assert_eq!(both("a\nb", "a", "a\nb c"), "a\nc");
    // A word that only goes keeps no line.
    assert_eq!(both(base, "Buy milk\nend\n", "Buy milk\nCall now\nend\n"), "Buy milk\nend\n");
}

#[test]
fn appended_lines_stand_once_each_and_are_not_glued() {
    for base in ["log\n", "log"] {
        for (left, right) in [("\n", "\n"), ("", ""), ("\n", ""), ("", "\n")] {
            let merged = both(base, &format!("log\nphone{left}"), &format!("log\nlaptop{right}"));
            let merged = merged.strip_suffix('\n').unwrap_or(&merged);
            assert!(["log\nphone\nlaptop", "log\nlaptop\nphone"].contains(&merged), "{base:?}: {merged:?}");
        }
    }
    assert_eq!(both("x", "x2", "x\nb"), "x2\nb");
    assert_eq!(both("x\n", "x", "x\nb\n"), "x\nb");
    both_either("", "a\n", "b\n", ["a\nb\n", "b\na\n"]);
    assert_eq!(both("a\nb\n", "", "a\nb\nc\n"), "c\n");
    assert_eq!(both("a\nb\nc\n", "a\nc\n", "a\nb\n"), "a\n");
}

#[test]
fn a_paragraph_can_be_wrapped_anew_while_somebody_deletes_a_word_of_it() {
    let wrapped = "one two three\nfour five six\n";
    assert_eq!(
        both("one two three four\nfive six\n", wrapped, "one two four\nfive six\n"),
        "one two\nfour five six\n"
    );
    assert_eq!(both("one two", "one\ntwo", "one 2"), "one\n2");
}

#[test]
fn pieces_of_two_authors_that_are_cut_as_one_are_kept_apart_by_the_clock() {
    // Both put white space and brackets at one place.
    let (mut one, mut two) = (replica(1, "a"), replica(2, "a"));
    one.write_at(2000, "a  ((");
    two.write_at(2001, "a  ");
    let text = agree(&mut one, &mut two);
    assert!(["a  ((  ", "a    (("].contains(&text.as_str()), "{text:?}");
    let written = two.write_at(3000, &format!("{text}("));
    one.take(&written);
    assert_eq!((&one.text, &one.document), (&two.text, &two.document));
    assert_eq!(one.document.whole(&one.text, &one.delimiter).unwrap(), two.whole());
}

#[test]
fn a_delta_of_words_is_no_delta_of_lines() {
    let mut words = replica(1, "a b\n");
    let mut lines = Replica::new(2, "a b\n");
    let (of_words, of_lines) = (words.write("a c\n"), lines.write("a d\n"));
    let kind = |replica: &Replica, delta: &TextDelta<SiteId>| {
        let merged = replica.document.merge(&replica.text, delta, &replica.delimiter);
        merged.map(|_| ()).map_err(|error| error.kind())
    };
    assert_eq!(kind(&words, &of_lines), Err(ErrorKind::SchemaMismatch));
    assert_eq!(kind(&lines, &of_words), Err(ErrorKind::SchemaMismatch));
}

#[test]
fn the_bytes_of_words_are_what_they_were() {
    let mut one = replica(1, "a b c\nd\n");
    let delta = one.write_at(70_000_000, "a bee c\nd\n");
    let bytes = delta.to_bytes();
    let (sites, rest) = bytes.split_at(17);
    assert_eq!(sites, [&[1][..], &[1; 16]].concat());
    // No delimiter; the word in place of the second, and the end of its line, which are
    // cut as they stand.
    let expected = [1, 0, 232, 7, 0, 0, 0, 2, 14, 2, 216, 16, 128, 59, 0, 10, 2];
    assert_eq!(rest, [&expected[..], &[4], b"bee\n", &[0]].concat());
    assert_eq!(TextDelta::<SiteId>::from_bytes(&bytes).unwrap(), delta);
}

#[test]
fn a_piece_that_is_no_word_is_refused() {
    let mut one = replica(1, "a b c\n");
    let delta = one.write("a x c\n");
    let mut bytes = delta.to_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'x').unwrap();
    for sign in *b"y \n(," {
        bytes[at] = sign;
        assert!(TextDelta::<SiteId>::from_bytes(&bytes).is_ok(), "another word, white space or sign");
    }
    // The text of both pieces, and that the first two are one.
    bytes.truncate(at - 1);
    bytes.extend([4, b'x', b' ', b'y', b'\n', 1, 0, 2, 1, 0, 3]);
    let kind = TextDelta::<SiteId>::from_bytes(&bytes).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::Malformed));
}

#[test]
fn a_text_that_was_never_edited_needs_no_clock() {
    let document = Document::implied(stamp(5, 1), "some words,\n\nand more", &Delimiter::words()).unwrap();
    assert!(document.is_trivial());
    assert_eq!(document.line_count(), 8);
}
