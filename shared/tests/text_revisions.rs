//! Real documents: the texts of several versions of the crates that cargo has fetched for this build.

mod text_support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cloudsync_shared::text::Delimiter;
use similar::{Algorithm, DiffTag, capture_diff_slices};
use text_support::{Chance, Replica, agree};

/// Files that most crates have, and that change from version to version.
const FILES: &[&str] =
    &["README.md", "CHANGELOG.md", "RELEASE-NOTES.md", "CHANGES.md", "Cargo.toml", "src/lib.rs"];

fn registry() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    Some(home.join("registry").join("src"))
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

/// Pairs of texts of one file in neighbouring versions.
fn revisions() -> Vec<(String, String, String)> {
    let mut crates: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for package in registry()
        .map(|path| directories(&path))
        .unwrap_or_default()
        .iter()
        .flat_map(|index| directories(index))
    {
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version =
            name.match_indices('-').find(|(at, _)| name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
        let Some((at, _)) = version else { continue };
        crates.entry(name[..at].to_owned()).or_default().push(package);
    }
    let mut pairs = Vec::new();
    for versions in crates.values() {
        for pair in versions.windows(2) {
            for file in FILES {
                let read = |package: &Path| fs::read_to_string(package.join(file)).ok();
                if let (Some(old), Some(new)) = (read(&pair[0]), read(&pair[1])) {
                    pairs.push((format!("{} {file}", pair[1].display()), old, new));
                }
            }
        }
    }
    pairs
}

/// How many lines a shortest script inserts.
fn inserted(old: &str, new: &str) -> usize {
    let (old, new): (Vec<_>, Vec<_>) = (old.split('\n').collect(), new.split('\n').collect());
    let ops = capture_diff_slices(Algorithm::RawMyers, &old, &new);
    ops.iter().filter(|op| op.tag() != DiffTag::Equal).map(|op| op.new_range().len()).sum()
}

#[test]
fn edits_between_revisions_are_exact_and_small() {
    let pairs = revisions();
    println!("{} pairs of revisions", pairs.len());
    for (what, old, new) in pairs {
        let (mut one, mut two) = (Replica::new(1, &old), Replica::new(2, &old));
        let delta = one.write(&new);
        two.take(&delta);
        assert_eq!(two.text, new, "{what}");
        let least = inserted(&old, &new);
        assert!(
            delta.line_count() <= least + least / 4 + 4,
            "{what}: {} lines for {least}",
            delta.line_count()
        );
        let back = two.write(&old);
        one.take(&back);
        assert_eq!(one.text, old, "{what}");
    }
}

#[test]
fn edits_by_word_between_revisions_are_exact_and_small() {
    let (mut words, mut lines) = (0, 0);
    for (what, old, new) in revisions() {
        let [mut one, mut two] = [1, 2].map(|site| Replica::with_delimiter(site, &old, Delimiter::words()));
        let delta = one.write(&new);
        two.take(&delta);
        assert_eq!(two.text, new, "{what}");
        words += delta.to_bytes().len();
        lines += Replica::new(1, &old).write(&new).to_bytes().len();
        let back = two.write(&old);
        one.take(&back);
        assert_eq!(one.text, old, "{what}");
    }
    println!("all edits: {words} bytes by word, {lines} by line");
    assert!(words <= lines, "{words} bytes by word, {lines} by line");
}

#[test]
fn a_word_of_another_hand_stands_in_a_new_revision() {
    let without_white = |text: &str| text.split_whitespace().collect::<String>();
    for (seed, (what, old, new)) in revisions().into_iter().enumerate() {
        let mut chance = Chance(seed as u64);
        let note = "aNoteByAnotherHand";
        let spaces: Vec<_> = old.match_indices(' ').map(|(at, _)| at).collect();
        let between_words = |at: &&usize| {
            let bytes = old.as_bytes();
            [**at - 1, **at + 1].map(|at| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric)) == [true; 2]
        };
        let spaces: Vec<_> = spaces.iter().filter(|at| **at > 0).filter(between_words).collect();
        if spaces.is_empty() {
            continue;
        }
        let [mut one, mut two] = [1, 2].map(|site| Replica::with_delimiter(site, &old, Delimiter::words()));
        one.write_at(5000, &new);
        let mut noted = old.clone();
        noted.insert_str(*spaces[chance.below(spaces.len())], &format!(" {note}"));
        two.write_at(5001, &noted);
        let text = agree(&mut one, &mut two);
        assert_eq!(text.matches(note).count(), 1, "{what}");
        assert_eq!(without_white(&text.replace(note, " ")), without_white(&new), "{what}");
    }
}

#[test]
fn lines_of_another_hand_stand_beside_a_new_revision() {
    for (seed, (what, old, new)) in revisions().into_iter().enumerate() {
        let mut chance = Chance(seed as u64);
        for delimiter in ["\n", "\r\n", "\n## "].map(|text| Delimiter::new(text).unwrap()) {
            let replica = |site| Replica::with_delimiter(site, &old, delimiter.clone());
            let (mut one, mut two) = (replica(1), replica(2));
            one.write_at(5000, &new);
            let note = "a note by another hand";
            let mut parts: Vec<_> = old.split(delimiter.as_str()).collect();
            parts.insert(chance.below(parts.len()), note);
            two.write_at(5001, &parts.join(delimiter.as_str()));
            let text = agree(&mut one, &mut two);
            assert_eq!(text.matches(note).count(), 1, "{what}");
            let rest: Vec<_> = text.split(delimiter.as_str()).filter(|part| *part != note).collect();
            let expected: Vec<_> = new.split(delimiter.as_str()).collect();
            assert!(
                rest == expected,
                "{what} {delimiter:?}: {:?}",
                rest.iter().zip(&expected).find(|(a, b)| a != b)
            );
        }
    }
}
