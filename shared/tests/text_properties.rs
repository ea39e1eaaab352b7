//! Texts in generated histories: whatever is written and however it is delivered, all agree.

mod text_support;

use std::collections::{BTreeMap, BTreeSet};

use cloudsync_shared::id::SiteId;
use cloudsync_shared::text::{Delimiter, Path, TextDelta};
use text_support::model::Model;
use text_support::{Chance, Replica};

/// How many histories each test generates.
const HISTORIES: u64 = 400;

/// A history: replicas, everything that was ever sent, and how often it was delivered at random.
struct History {
    chance: Chance,
    replicas: Vec<Replica>,
    sent: Vec<TextDelta<SiteId>>,
    version: u64,
}

impl History {
    fn new(seed: u64, base: &str, delimiter: &Delimiter) -> History {
        let mut chance = Chance(seed);
        let sites = 2 + chance.below(4);
        let replica = |site| Replica::with_delimiter(site as u8, base, delimiter.clone());
        let replicas: Vec<_> = (1..=sites).map(replica).collect();
        let sent = vec![replicas[0].whole()];
        History { chance, replicas, sent, version: 1000 }
    }

    fn write(&mut self, site: usize, text: &str) {
        // Clocks are as hybrid clocks are: above what was seen, and mostly the later the greater.
        self.version += 1 + self.chance.below(3) as u64 * 40_000;
        let version = self.version.max(self.replicas[site].document.highest().0 + 1);
        let delta = self.replicas[site].write_at(version, text);
        assert_eq!(self.replicas[site].text, text, "the edit of one author is exact");
        self.sent.push(TextDelta::<SiteId>::from_bytes(&delta.to_bytes()).unwrap());
    }

    /// Gives one replica something that was sent, or several things as one, or another's whole state.
    fn deliver(&mut self) {
        let to = self.chance.below(self.replicas.len());
        let mut delta = self.sent[self.chance.below(self.sent.len())].clone();
        match self.chance.below(6) {
            0 => delta = self.replicas[self.chance.below(self.replicas.len())].whole(),
            1 | 2 => {
                for _ in 0..1 + self.chance.below(3) {
                    delta.join(&self.sent[self.chance.below(self.sent.len())]).unwrap();
                }
            }
            _ => {}
        }
        self.replicas[to].take(&delta);
    }

    /// Gives everybody everything, to each in another order, and looks whether they agree.
    fn settle(&mut self) -> String {
        for replica in 0..self.replicas.len() {
            let mut rest: Vec<_> = (0..self.sent.len()).collect();
            while !rest.is_empty() {
                let delta = &self.sent[rest.swap_remove(self.chance.below(rest.len()))];
                self.replicas[replica].take(delta);
            }
        }
        let first = &self.replicas[0];
        for replica in &self.replicas {
            assert_eq!(replica.text, first.text);
            assert_eq!(replica.document, first.document);
        }
        let mut model = Model::default();
        self.sent.iter().for_each(|delta| model.take(delta));
        let whole = first.whole();
        let lines: Vec<_> =
            whole.blocks().into_iter().filter_map(|(_, content)| content.map(str::to_owned)).collect();
        assert_eq!(lines, model.lines());
        first.text.clone()
    }
}

/// Any text over a few signs, so that lines repeat and delimiters overlap.
fn any_text(chance: &mut Chance, signs: &[&str], length: usize) -> String {
    (0..chance.below(length)).map(|_| signs[chance.below(signs.len())]).collect()
}

#[test]
fn all_agree_on_any_texts() {
    for seed in 0..HISTORIES {
        let delimiter = match ["\n", "", "\n\n", "aa", "\r\n"][seed as usize % 5] {
            "" => Delimiter::words(),
            delimiter => Delimiter::new(delimiter).unwrap(),
        };
        let signs = ["a", "b", "\n", "\r\n", "\n\n", "\0", "\u{e9}", "a b c ", " ", "(", ", ", "\u{4e00}"];
        let base = any_text(&mut Chance(seed), &signs, 20);
        let mut history = History::new(seed, &base, &delimiter);
        for _ in 0..20 {
            let site = history.chance.below(history.replicas.len());
            let mut text = history.replicas[site].text.clone();
            let (mut from, mut to) =
                (history.chance.below(text.len() + 1), history.chance.below(text.len() + 1));
            (from, to) = (from.min(to), from.max(to).min(from.min(to) + 6));
            while !text.is_char_boundary(from) {
                from -= 1;
            }
            while !text.is_char_boundary(to) {
                to += 1;
            }
            text.replace_range(from..to, &any_text(&mut history.chance, &signs, 6));
            history.write(site, &text);
            for _ in 0..history.chance.below(3) {
                history.deliver();
            }
        }
        history.settle();
    }
}

/// Lines and words: what stands between two of them, and how they are cut.
fn units() -> [(&'static str, Delimiter); 2] {
    [("\n", Delimiter::default()), (" ", Delimiter::words())]
}

fn split(text: &str, between: &str) -> Vec<String> {
    text.split(between).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

/// What is known of lines that all differ from one another.
#[derive(Default)]
struct Ledger {
    written: BTreeSet<String>,
    touched: BTreeSet<String>,
}

/// Edits, inserts and deletes of whole lines, each line unlike all others.
fn edit_lines(chance: &mut Chance, lines: &mut Vec<String>, ledger: &mut Ledger, name: &mut usize) {
    for _ in 0..1 + chance.below(3) {
        let at = chance.below(lines.len() + 1);
        match chance.below(5) {
            0 | 1 => {
                for offset in 0..1 + chance.below(4) {
                    *name += 1;
                    lines.insert(at + offset, format!("{:07}", *name * 7919 % 9_999_991));
                    ledger.written.insert(lines[at + offset].clone());
                }
            }
            2 | 3 if at < lines.len() => {
                *name += 1;
                let new = format!("{:07}", *name * 7919 % 9_999_991);
                ledger.written.insert(new.clone());
                ledger.touched.insert(std::mem::replace(&mut lines[at], new));
            }
            _ if at < lines.len() => {
                ledger.touched.insert(lines.remove(at));
            }
            _ => {}
        }
    }
}

fn positions(replica: &Replica) -> BTreeMap<String, Path<SiteId>> {
    let whole = replica.whole();
    whole
        .blocks()
        .into_iter()
        .filter_map(|(block, content)| Some((content?.to_owned(), block.position)))
        .collect()
}

#[test]
fn no_line_and_no_word_is_lost_invented_or_doubled() {
    for (between, delimiter) in units() {
        (0..HISTORIES).for_each(|seed| nothing_is_lost_or_doubled(seed, between, &delimiter));
    }
}

fn nothing_is_lost_or_doubled(seed: u64, between: &str, delimiter: &Delimiter) {
    let (mut ledger, mut name) = (Ledger::default(), 0);
    // Words of one line: one of them stays, so that it remains one.
    let first = if delimiter.is_by_words() { Some("first".to_owned()) } else { None };
    let lines = (0..Chance(seed).below(15)).map(|line| format!("base-{line}"));
    let base: Vec<_> = first.iter().cloned().chain(lines).collect();
    ledger.written.extend(base.iter().cloned());
    let mut history = History::new(seed, &base.join(between), delimiter);
    for _ in 0..25 {
        let site = history.chance.below(history.replicas.len());
        let replica = &history.replicas[site];
        let before = positions(replica);
        let mut lines = split(&replica.text, between);
        let kept = lines.drain(..first.iter().len()).collect::<Vec<_>>();
        edit_lines(&mut history.chance, &mut lines, &mut ledger, &mut name);
        history.write(site, &[kept, lines].concat().join(between));
        let after = positions(&history.replicas[site]);
        for (line, position) in before {
            assert!(after.get(&line).is_none_or(|now| *now == position), "{line} is where it was");
        }
        for _ in 0..history.chance.below(4) {
            history.deliver();
        }
    }
    let text = history.settle();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    split(&text, between).into_iter().for_each(|line| *counts.entry(line).or_default() += 1);
    for (line, count) in &counts {
        assert!(ledger.written.contains(line), "seed {seed}: {line} was written by nobody");
        assert_eq!(*count, 1, "seed {seed}: {line}");
    }
    for line in ledger.written.difference(&ledger.touched) {
        // A line that took the place of another competes with other edits of that line.
        let told =
            history.replicas.iter().flat_map(|replica| &replica.lost).any(|lost| lost.lost_text == *line);
        assert!(told || counts.contains_key(line.as_str()), "seed {seed}: {line} was lost");
    }
}

/// Puts lines of one site at one place, forward, backward or both, in several edits.
fn type_at(replica: &mut Replica, between: &str, chance: &mut Chance, anchor: &str, version: &mut u64) {
    let (count, way) = (1 + chance.below(6), chance.below(3));
    let (mut first, mut last) = (None, None);
    for line in 0..count {
        let mut lines = split(&replica.text, between);
        let start = lines.iter().position(|line| line == anchor).map_or(0, |at| at + 1);
        let (from, to) = (first.unwrap_or(start), last.unwrap_or(start));
        let at = match way {
            0 => to,
            1 => from,
            _ => from + chance.below(to - from + 1),
        };
        lines.insert(at, format!("site-{}-line-{line}", replica.site));
        (first, last) = (Some(from), Some(to + 1));
        *version += 1;
        replica.write_at(*version, &lines.join(between));
    }
}

#[test]
fn what_sites_insert_at_one_place_is_not_mixed() {
    for (between, delimiter) in units() {
        (0..HISTORIES).for_each(|seed| runs_are_not_mixed(seed, between, &delimiter));
    }
}

fn runs_are_not_mixed(seed: u64, between: &str, delimiter: &Delimiter) {
    let mut chance = Chance(seed);
    let mut history = History::new(seed, &["top", "end"].join(between), delimiter);
    // Sites take turns first, so that the place lies deep in the tree.
    let mut anchor = "top".to_owned();
    for turn in 0..chance.below(12) {
        let site = turn % history.replicas.len();
        let backward = chance.below(3) == 0;
        let line = format!("turn-{turn}");
        let place = if backward { [&line, &anchor] } else { [&anchor, &line] };
        let place = place.map(String::as_str).join(between);
        let text = history.replicas[site].text.replacen(&anchor, &place, 1);
        history.write(site, &text);
        history.settle();
        anchor = line;
    }
    let mut version = history.version;
    for replica in &mut history.replicas {
        type_at(replica, between, &mut chance, &anchor, &mut version);
    }
    history.sent.extend(history.replicas.iter().map(Replica::whole).collect::<Vec<_>>());
    let text = history.settle();
    for replica in &history.replicas {
        let mine = format!("site-{}-", replica.site);
        let mut runs: Vec<bool> = split(&text, between).iter().map(|line| line.starts_with(&mine)).collect();
        runs.dedup();
        assert!(runs.iter().filter(|mine| **mine).count() <= 1, "seed {seed}:\n{text}");
    }
}
