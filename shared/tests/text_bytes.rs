//! The bytes of documents and deltas: nothing is lost, and nothing that comes from outside does harm.

mod text_support;

use std::convert::Infallible;

use cloudsync_shared::error::ErrorKind;
use cloudsync_shared::id::{SiteId, SiteOrdinal};
use cloudsync_shared::text::{Delimiter, Document, TextDelta};
use proptest::prelude::*;
use text_support::{Chance, Replica, agree, stamp};

fn ordinal(site: SiteId) -> Result<SiteOrdinal, Infallible> {
    Ok(SiteOrdinal(u32::from(site.0[0])))
}

fn site(ordinal: SiteOrdinal) -> Result<SiteId, Infallible> {
    Ok(SiteId([ordinal.0 as u8; 16]))
}

/// Two copies after a few edits each, and the deltas of those edits.
fn history(seed: u64) -> (Replica, Vec<TextDelta<SiteId>>) {
    let mut chance = Chance(seed);
    let delimiter = match seed % 3 {
        0 => Delimiter::words(),
        1 => Delimiter::default(),
        _ => Delimiter::new("\n\n").unwrap(),
    };
    let mut replicas =
        [1, 2].map(|site| Replica::with_delimiter(site, "a\n\nb\n\nc\n\n\nd", delimiter.clone()));
    let mut sent = vec![replicas[0].whole()];
    for edit in 0..12u64 {
        let at = chance.below(2);
        let mut text = replicas[at].text.clone();
        let from = chance.below(text.len() + 1);
        let to = (from + chance.below(4)).min(text.len());
        text.replace_range(from..to, ["x\n\ny", "\n", "", "z\n\n\n", "  ", "(("][chance.below(6)]);
        let version = replicas[at].document.highest().0 + 1 + (edit % 3) * 100_000;
        sent.push(replicas[at].write_at(version, &text));
        if chance.below(4) == 0 {
            let [one, two] = &mut replicas;
            agree(one, two);
        }
    }
    let [one, _] = replicas;
    (one, sent)
}

proptest! {
    #[test]
    fn nothing_is_lost_in_bytes(seed: u64) {
        let (replica, sent) = history(seed);
        let Ok(document) = replica.document.map_sites(ordinal);
        let read = Document::from_bytes(&document.to_bytes()).unwrap();
        prop_assert_eq!(&read, &document);
        let Ok(back) = read.map_sites(site);
        prop_assert_eq!(back, replica.document);
        for delta in sent {
            prop_assert_eq!(&TextDelta::<SiteId>::from_bytes(&delta.to_bytes()).unwrap(), &delta);
            let Ok(short) = delta.map_sites(ordinal);
            prop_assert_eq!(TextDelta::<SiteOrdinal>::from_bytes(&short.to_bytes()).unwrap(), short);
        }
    }

    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Document::from_bytes(&bytes);
        let _ = TextDelta::<SiteId>::from_bytes(&bytes);
        let _ = TextDelta::<SiteOrdinal>::from_bytes(&bytes);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_a_delta_that_merges(
        seed: u64,
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        cut: Option<usize>,
    ) {
        let (mut replica, sent) = history(seed);
        let Ok(document) = replica.document.map_sites(ordinal);
        for mut bytes in sent.iter().map(TextDelta::<SiteId>::to_bytes).chain([document.to_bytes()]) {
            for (at, byte) in &damage {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            bytes.truncate(cut.map_or(bytes.len(), |cut| cut % bytes.len()));
            if let Ok(delta) = TextDelta::<SiteId>::from_bytes(&bytes)
                && let Ok(merged) = replica.document.merge(&replica.text, &delta, &replica.delimiter)
            {
                let text = merged.text.clone().unwrap_or_else(|| replica.text.clone());
                prop_assert!(merged.document.whole(&text, &replica.delimiter).is_ok());
                (replica.document, replica.text) = (merged.document, text);
            }
            if let Ok(stored) = Document::from_bytes(&bytes) {
                let stamp = stamp(stored.highest().0.saturating_add(1), 7);
                let Ok(stored) = stored.map_sites(site);
                let _ = stored.edit(&replica.text, "other\n", &replica.delimiter, stamp, None);
                let _ = stored.merge(&replica.text, &sent[0], &replica.delimiter);
            }
        }
    }
}

#[test]
fn what_is_cut_short_is_an_error() {
    for seed in 0..20 {
        let (_, sent) = history(seed);
        for delta in sent {
            let bytes = delta.to_bytes();
            for end in 0..bytes.len() {
                assert!(TextDelta::<SiteId>::from_bytes(&bytes[..end]).is_err());
            }
            assert!(TextDelta::<SiteId>::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
        }
    }
}

#[test]
fn a_few_bytes_cannot_claim_a_large_text() {
    // Format, epoch, flags, no waypoints, one run of deleted lines of the epoch: 2 to the 40.
    let mut bytes = vec![1, 10, 1, 1, 0, 1, 1, 0];
    bytes.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
    bytes.extend([0, 0, 1]);
    assert_eq!(
        Document::from_bytes(&bytes).map(|_| ()).map_err(|error| error.kind()),
        Err(ErrorKind::Malformed)
    );
}

#[test]
fn the_stored_form_is_what_it_was() {
    let mut one = Replica::new(1, "line a\nline b\nline c\n");
    let delta = one.write_at(70_000_000, "line a\nline B\nnew\nline c");
    let Ok(document) = one.document.map_sites(ordinal);
    let Ok(delta) = delta.map_sites(ordinal);
    assert_eq!(
        document.to_bytes(),
        [1, 232, 7, 1, 3, 216, 16, 128, 59, 1, 1, 1, 4, 0, 0, 128, 59, 1, 4, 2, 0, 10, 0, 38, 0, 18, 0],
        "a new form needs a new format byte"
    );
    assert_eq!(
        delta.to_bytes(),
        [
            1, 1, 10, 232, 7, 1, 2, 216, 16, 128, 59, 1, 1, 1, 4, 0, 0, 128, 59, 1, 2, 10, 2, 38, 0, 6, 108,
            105, 110, 101, 32, 66, 3, 110, 101, 119
        ],
    );
}

/// A delta of epoch 10 by one site with two lines, after its waypoints and runs.
fn by_hand(places: &[u8]) -> Vec<u8> {
    [&[1][..], &[7; 16], &[1, 1, b'\n', 10, 0, 0], places, &[1, b'a', 1, b'b']].concat()
}

#[test]
fn blocks_out_of_order_or_twice_are_refused() {
    let read = |places: &[u8]| TextDelta::<SiteId>::from_bytes(&by_hand(places));
    let kind = |places: &[u8]| read(places).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind(&[0, 2, 2, 10, 2, 2]), Ok(()), "numbers 5 and 7");
    assert_eq!(kind(&[0, 2, 2, 10, 2, 7]), Err(ErrorKind::Malformed), "numbers 5 and 2");
    assert_eq!(kind(&[0, 2, 2, 10, 2, 1]), Err(ErrorKind::Malformed), "number 5 twice");
    // Two waypoints of one name; no run tells them apart, the merge does.
    let twice = read(&[2, 1, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0, 2, 2, 10, 2, 2]).unwrap();
    let document = Document::implied(twice.epoch(), "text", &Delimiter::default()).unwrap();
    let merged = document.merge("text", &twice, &Delimiter::default());
    assert_eq!(merged.map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::Malformed));
}
