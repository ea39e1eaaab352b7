//! The limits of texts: reaching one is an error, and the value can still be written whole.

mod text_support;

use std::time::{Duration, Instant};

use cloudsync_shared::error::ErrorKind;
use cloudsync_shared::text::limits::{MAX_BLOCKS, MAX_DEPTH};
use cloudsync_shared::text::{Delimiter, Document};
use text_support::{Replica, stamp};

#[test]
fn insertions_within_insertions_have_a_depth() {
    let mut replicas = [1, 2, 3].map(|site| Replica::new(site, "a\nz\n"));
    let (mut at, mut turn) = (1, 0);
    let error = loop {
        assert!(turn < 10 * MAX_DEPTH, "the limit is never reached");
        turn += 1;
        let writer = &mut replicas[turn % 3];
        let mut lines: Vec<_> = writer.lines().into_iter().map(str::to_owned).collect();
        lines.insert(at, format!("turn {turn}"));
        // Always between the last two: first before the last one, then after it.
        at += turn % 2;
        let text = lines.join("\n");
        let version = stamp(2000 + turn as u64, writer.site);
        match writer.document.edit(&writer.text, &text, &writer.delimiter, version, None) {
            Ok((document, delta)) => {
                (writer.document, writer.text) = (document, text);
                replicas.iter_mut().for_each(|replica| replica.take(&delta));
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let [one, two, _] = &replicas;
    assert_eq!((&one.text, &one.document), (&two.text, &two.document));
    let fresh = Document::implied(stamp(900_000, 1), &one.text, &one.delimiter).unwrap();
    let mut late = two.clone();
    late.take(&fresh.whole(&one.text, &one.delimiter).unwrap());
    assert!(late.document.is_trivial());
}

#[test]
fn a_text_has_so_many_lines() {
    let text = "\n".repeat(MAX_BLOCKS + 1);
    let delimiter = Delimiter::default();
    let kind = |text: &str| {
        Document::implied(stamp(1, 1), text, &delimiter).map(|_| ()).map_err(|error| error.kind())
    };
    assert_eq!(kind(&text), Err(ErrorKind::LimitExceeded));
    assert_eq!(kind(&text[1..]), Ok(()));
}

#[test]
fn a_text_written_anew_within_a_deadline_is_exact() {
    for delimiter in [Delimiter::default(), Delimiter::words()] {
        let lines =
            |seed: usize| (0..3000).map(|line| format!("{}\n", line * seed % 1009)).collect::<String>();
        let (old, new) = (lines(7), lines(11));
        let mut one = Replica::with_delimiter(1, &old, delimiter);
        for deadline in [Duration::ZERO, Duration::from_millis(2)] {
            let deadline = Some(Instant::now() + deadline);
            let (document, delta) =
                one.document.edit(&old, &new, &one.delimiter, stamp(2000, 2), deadline).unwrap();
            let merged = one.document.merge(&old, &delta, &one.delimiter).unwrap();
            assert_eq!((merged.text.as_deref(), &merged.document), (Some(new.as_str()), &document));
        }
        one.write(&new);
        assert_eq!(one.text, new);
    }
}

#[test]
fn a_text_has_so_many_words() {
    let text = "(a".repeat(MAX_BLOCKS / 2);
    let kind = |text: &str| {
        let implied = Document::implied(stamp(1, 1), text, &Delimiter::words());
        implied.map(|_| ()).map_err(|error| error.kind())
    };
    assert_eq!(kind(&text), Err(ErrorKind::LimitExceeded), "as many, and the end of the line");
    assert_eq!(kind(&text[1..]), Ok(()));
}

/// Signs that may begin a word are looked through once, not once each.
#[test]
fn a_long_row_of_signs_is_cut_in_linear_time() {
    let text = ",.".repeat(1 << 20) + "  " + &" , ".repeat(1 << 18);
    let document = Document::implied(stamp(1, 1), &text, &Delimiter::words()).unwrap();
    assert_eq!(document.line_count(), (2 << 20) + (2 << 18) + 2);
}
