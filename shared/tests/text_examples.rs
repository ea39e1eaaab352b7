//! What users see when two sites write one text at the same time; the pictures of `docs/text.md`.

mod text_support;

use cloudsync_shared::error::ErrorKind;
use cloudsync_shared::text::{Delimiter, Document};
use text_support::{Replica, agree, both, stamp};

#[test]
fn edits_of_different_lines_both_stand() {
    assert_eq!(both("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n"), "A\nb\nC\n");
    assert_eq!(both("a\nb\nc\n", "A\nb\nc\n", "a\nB\nc\n"), "A\nB\nc\n");
    assert_eq!(both("a\nb\nc\n", "b\nc\n", "a\nb\n"), "b\n");
    assert_eq!(both("a\nb\nc\n", "a\nx\nb\nc\n", "a\nb\nC\n"), "a\nx\nb\nC\n");
}

#[test]
fn of_one_line_the_later_edit_stands_and_the_other_is_told() {
    let (mut one, mut two) = (Replica::new(1, "a\nb\n"), Replica::new(2, "a\nb\n"));
    one.write_at(2000, "a\nb one\n");
    two.write_at(2001, "a\nb two\n");
    assert_eq!(agree(&mut one, &mut two), "a\nb two\n");
    for (replica, incoming) in [(&one, false), (&two, true)] {
        let [lost] = replica.lost.as_slice() else { panic!("one line is lost: {:?}", replica.lost) };
        assert_eq!((lost.lost, lost.lost_text.as_str()), (stamp(2000, 1), "b one"));
        assert_eq!((lost.kept, lost.kept_text.as_deref()), (stamp(2001, 2), Some("b two")));
        assert_eq!(lost.incoming, incoming);
    }
}

#[test]
fn an_edit_of_a_line_as_it_was_loses_nothing() {
    let (mut one, mut two) = (Replica::new(1, "a\nb\n"), Replica::new(2, "a\nb\n"));
    one.write("a\nB\n");
    agree(&mut one, &mut two);
    assert!(one.lost.is_empty() && two.lost.is_empty());
}

#[test]
fn appended_lines_stand_once_each_and_are_not_glued() {
    for base in ["x\n", "x"] {
        for end in ["\n", ""] {
            let merged = both(base, &format!("x\na{end}"), &format!("x\nb{end}"));
            assert!(merged == format!("x\na\nb{end}") || merged == format!("x\nb\na{end}"), "{merged:?}");
        }
    }
    assert_eq!(both("x", "x2", "x\nb"), "x2\nb");
    assert_eq!(both("x", "x\n", "x\n"), "x\n");
    assert_eq!(both("x", "x\n", "x\nb"), "x\nb\n");
    assert_eq!(both("x\n", "x", "x\nb\n"), "x\nb");
}

#[test]
fn texts_that_were_empty_take_the_lines_of_both() {
    let merged = both("", "a\n", "b\n");
    assert!(merged == "a\nb\n" || merged == "b\na\n", "{merged:?}");
    assert_eq!(both("a\nb\n", "", "a\nb\nc\n"), "c\n");
    assert_eq!(both("a\nb\n", "a\n", "b\n"), "");
}

#[test]
fn an_edited_line_survives_a_delete_that_had_not_seen_it() {
    assert_eq!(both("a\nb\nc\n", "a\nc\n", "a\nb edited\nc\n"), "a\nb edited\nc\n");
    assert_eq!(both("a\nb\nc\n", "a\nb edited\nc\n", "a\nc\n"), "a\nb edited\nc\n");
    assert_eq!(both("a\nb\nc\n", "a\nc\n", "a\nc\n"), "a\nc\n");
    // Whoever has seen the edit deletes it.
    let (mut one, mut two) = (Replica::new(1, "a\nb\n"), Replica::new(2, "a\nb\n"));
    let edit = one.write_at(2000, "a\nb edited\n");
    two.take(&edit);
    let delete = two.write("a\n");
    one.take(&delete);
    one.take(&edit);
    assert_eq!(one.text, "a\n");
}

#[test]
fn pasted_runs_stay_together() {
    let merged = both("a\nz\n", "a\n1\n2\n3\nz\n", "a\n4\n5\n6\nz\n");
    assert!(merged == "a\n1\n2\n3\n4\n5\n6\nz\n" || merged == "a\n4\n5\n6\n1\n2\n3\nz\n", "{merged:?}");
}

#[test]
fn a_later_whole_value_wins_over_all_edits() {
    let mut one = Replica::new(1, "a\nb\n");
    let edit = one.write_at(2000, "a\nB\n");
    let fresh = Document::implied(stamp(3000, 2), "new\n", &Delimiter::default()).unwrap();
    let whole = fresh.whole("new\n", &Delimiter::default()).unwrap();
    let mut two = one.clone();
    two.take(&whole);
    assert_eq!((two.text.as_str(), two.document.is_trivial()), ("new\n", true));
    two.take(&edit);
    assert_eq!(two.text, "new\n");
    let mut joined = edit.clone();
    joined.join(&whole).unwrap();
    assert_eq!(joined, whole);
}

#[test]
fn a_text_that_was_never_edited_needs_no_clock() {
    let mut one = Replica::new(1, "a\nb\n");
    assert!(one.document.is_trivial());
    let text = one.text.clone();
    assert!(one.write(&text).is_empty());
    assert!(one.document.is_trivial(), "writing the same again is no edit");
    one.write("a\nB\n");
    assert!(!one.document.is_trivial());
}

#[test]
fn edits_that_come_before_their_text_wait_for_it() {
    let mut one = Replica::new(1, "a\nb\nc\n");
    let whole = one.whole();
    let edit = one.write("a\nB\nc\n");
    let mut late = Replica::new(3, "old");
    late.document = Document::implied(stamp(10, 3), "old", &late.delimiter).unwrap();
    late.take(&edit);
    assert!(!late.document.is_complete());
    late.take(&whole);
    assert!(late.document.is_complete());
    assert_eq!((late.text.as_str(), &late.document), ("a\nB\nc\n", &one.document));
}

/// What two sites make of paragraphs, and the copies that they then have.
fn both_paragraphs(base: &str, left: &str, right: &str) -> [Replica; 2] {
    let replica = |site| Replica::with_delimiter(site, base, Delimiter::new("\n\n").unwrap());
    let (mut one, mut two) = (replica(1), replica(2));
    one.write_at(2000, left);
    two.write_at(2001, right);
    agree(&mut one, &mut two);
    [one, two]
}

#[test]
fn paragraphs_appended_after_half_a_delimiter_change_no_paragraph() {
    let [one, _] = both_paragraphs("a\n\nb\n", "a\n\nb!\n", "a\n\nb\n\nc\n");
    assert_eq!((one.text.as_str(), one.lost.len()), ("a\n\nb!\n\nc\n", 0));
    let [one, _] = both_paragraphs("b\n", "b\n\nc\n", "b\n\nd\n");
    assert!(["b\n\nc\n\nd\n", "b\n\nd\n\nc\n"].contains(&one.text.as_str()), "{:?}", one.text);
}

#[test]
fn paragraphs_survive_line_feeds_at_their_edges() {
    let [mut one, mut two] = both_paragraphs("a\n\nb", "a\n\nb\n\n\n", "a\n\nb\n\n\nc");
    let text = one.text.replace('a', "A");
    let delta = one.write(&text);
    two.take(&delta);
    assert_eq!((&two.text, &two.document), (&text, &one.document));
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let mut one = Replica::new(1, "a\nb\n");
    let delta = one.write("a\nB\n");
    let line_feeds = Delimiter::default();
    let other = Delimiter::new("\r\n").unwrap();
    let kind =
        |result: cloudsync_shared::error::Result<_>| result.map(|_: ()| ()).map_err(|error| error.kind());
    assert_eq!(
        kind(one.document.merge("a\nB\n", &delta, &other).map(|_| ())),
        Err(ErrorKind::SchemaMismatch)
    );
    assert_eq!(
        kind(one.document.merge("one line", &delta, &line_feeds).map(|_| ())),
        Err(ErrorKind::InvalidInput)
    );
    let early = one.document.edit("a\nB\n", "c", &line_feeds, stamp(1001, 9), None);
    assert_eq!(kind(early.map(|_| ())), Err(ErrorKind::InvalidInput));
}

#[test]
fn stamping_anew_keeps_the_lines_where_they_are() {
    let mut one = Replica::new(1, "a\nz\n");
    let mut two = Replica::new(2, "a\nz\n");
    one.write_at(9_000_000, "a\n1\nz\n");
    two.write_at(2000, "a\n2\nz\n");
    let later = one.document.map_stamps(|stamp| match stamp.version.0 {
        9_000_000 => text_support::stamp(2500, 1),
        _ => stamp,
    });
    one.document = later;
    assert_eq!(one.document.highest().0, 2500);
    let text = agree(&mut one, &mut two);
    assert_eq!(text.lines().count(), 4);
    // The clock comes to the time that it once told: the names of that time are not given again.
    let delta = one.write_at(9_000_000, &format!("top\n{text}"));
    two.take(&delta);
    assert_eq!((&two.text, &two.document), (&one.text, &one.document));
}

#[test]
fn a_replica_restored_from_a_backup_numbers_no_line_twice() {
    for backward in [false, true] {
        let (mut one, mut two) = (Replica::new(2, "a\nz\n"), Replica::new(3, "a\nz\n"));
        let between = |lines: &[&str]| format!("a\n{}\nz\n", lines.join("\n"));
        two.take(&one.write_at(2000, &between(&["first"])));
        let backup = one.clone();
        let lost = if backward { ["lost", "first"] } else { ["first", "lost"] };
        two.take(&one.write_at(3000, &between(&lost)));
        one = backup;
        let later = if backward { ["later", "first"] } else { ["first", "later"] };
        one.write_at(4000, &between(&later));
        let text = agree(&mut one, &mut two);
        assert!(text.contains("lost") && text.contains("later"), "{text}");
    }
}

#[test]
fn two_contents_under_one_stamp_end_as_one() {
    let (mut one, mut copy) = (Replica::new(1, "a\nb\n"), Replica::new(1, "a\nb\n"));
    one.write_at(2000, "a\nb here\n");
    copy.write_at(2000, "a\nb there\n");
    assert_eq!(agree(&mut one, &mut copy), "a\nb there\n");
}
