//! Replicas of one text cell, as an engine would keep them.
#![allow(dead_code, reason = "each test uses its part")]

pub mod model;

use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::text::{Delimiter, Document, LostLine, TextDelta};

/// A stamp.
pub fn stamp(version: u64, site: u8) -> Stamp<SiteId> {
    Stamp { version: Version(version), site: SiteId([site; 16]) }
}

/// A small generator of numbers, the same on every machine (splitmix64).
#[derive(Clone)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

/// One site's copy.
#[derive(Clone)]
pub struct Replica {
    pub site: u8,
    pub text: String,
    pub document: Document<SiteId>,
    pub delimiter: Delimiter,
    pub lost: Vec<LostLine>,
}

impl Replica {
    /// A copy of a text that was written whole at version 1000 by site 1.
    pub fn new(site: u8, text: &str) -> Replica {
        Replica::with_delimiter(site, text, Delimiter::default())
    }

    pub fn with_delimiter(site: u8, text: &str, delimiter: Delimiter) -> Replica {
        let document = Document::implied(stamp(1000, 1), text, &delimiter).unwrap();
        Replica { site, text: text.to_owned(), document, delimiter, lost: Vec::new() }
    }

    /// Writes a new text just after everything seen.
    pub fn write(&mut self, text: &str) -> TextDelta<SiteId> {
        let version = self.document.highest().0 + 1;
        self.write_at(version, text)
    }

    pub fn write_at(&mut self, version: u64, text: &str) -> TextDelta<SiteId> {
        let stamp = stamp(version, self.site);
        let (document, delta) =
            self.document.edit(&self.text, text, &self.delimiter, stamp, None).expect("an edit is possible");
        self.document = document;
        self.text = text.to_owned();
        assert_eq!(
            self.document.whole(text, &self.delimiter).map(|whole| whole.is_complete()).ok(),
            Some(true)
        );
        delta
    }

    pub fn take(&mut self, delta: &TextDelta<SiteId>) {
        let merged = self.document.merge(&self.text, delta, &self.delimiter).expect("a delta can be merged");
        if let Some(text) = merged.text {
            assert_ne!(text, self.text, "a text that is the same is not given back");
            self.text = text;
        }
        self.document = merged.document;
        self.lost.extend(merged.lost);
    }

    pub fn whole(&self) -> TextDelta<SiteId> {
        self.document.whole(&self.text, &self.delimiter).unwrap()
    }

    pub fn lines(&self) -> Vec<&str> {
        self.text.lines().collect()
    }
}

/// Brings two copies to the same state, each from what the other wrote, and gives the text.
pub fn agree(left: &mut Replica, right: &mut Replica) -> String {
    let (from_left, from_right) = (left.whole(), right.whole());
    left.take(&from_right);
    right.take(&from_left);
    assert_eq!(left.text, right.text);
    assert_eq!(left.document, right.document);
    left.text.clone()
}

/// What two sites make of a text when both write at the same time; site 2 is the later one.
pub fn both(base: &str, left: &str, right: &str) -> String {
    both_cut_by(&Delimiter::default(), base, left, right)
}

/// The same where words are merged.
pub fn both_by_words(base: &str, left: &str, right: &str) -> String {
    both_cut_by(&Delimiter::words(), base, left, right)
}

fn both_cut_by(delimiter: &Delimiter, base: &str, left: &str, right: &str) -> String {
    let replica = |site| Replica::with_delimiter(site, base, delimiter.clone());
    let (mut one, mut two) = (replica(1), replica(2));
    let (from_one, from_two) = (one.write_at(2000, left), two.write_at(2001, right));
    one.take(&from_two);
    two.take(&from_one);
    assert_eq!(one.text, two.text, "{base:?} -> {left:?} | {right:?}");
    assert_eq!(one.document, two.document);
    one.text
}
