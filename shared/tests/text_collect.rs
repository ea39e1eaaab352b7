//! A replica that forgets deleted lines makes the same text of everything that those write who saw the deletes.

mod text_support;

use cloudsync_shared::hlc::Version;
use cloudsync_shared::text::{Delimiter, TextDelta};
use text_support::{Chance, Replica};

/// How many histories each test generates.
const HISTORIES: u64 = 300;

/// Inserts, edits and deletes of a few lines.
fn edited(replica: &Replica, chance: &mut Chance, number: &mut usize) -> String {
    let mut lines: Vec<String> = replica.lines().into_iter().map(str::to_owned).collect();
    for _ in 0..1 + chance.below(4) {
        let at = chance.below(lines.len() + 1);
        *number += 1;
        match chance.below(4) {
            0 => lines.insert(at, format!("line {number}")),
            1 if at < lines.len() => lines[at] = format!("edit {number}"),
            _ if at < lines.len() => drop(lines.remove(at)),
            _ => {}
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn collect(replica: &mut Replica, before: Version) {
    if let Some(document) = replica.document.collect(before) {
        replica.document = document;
    }
}

fn tombstones(replica: &Replica) -> usize {
    replica.document.blocks().iter().filter(|block| block.deleted.is_some()).count()
}

#[test]
fn a_replica_that_collected_ends_with_the_same_text() {
    let mut forgotten = 0;
    for seed in 0..HISTORIES {
        let (mut chance, mut number, mut version) = (Chance(seed), 0, 1000);
        let base: String = (0..chance.below(12)).map(|line| format!("base {line}\n")).collect();
        // The first plays the server: it alone collects.
        let mut replicas: Vec<Replica> = (1..=4).map(|site| Replica::new(site, &base)).collect();
        for _ in 0..5 {
            let mut sent: Vec<TextDelta<_>> = Vec::new();
            for _ in 0..6 {
                let site = chance.below(replicas.len());
                let text = edited(&replicas[site], &mut chance, &mut number);
                version += 1 + chance.below(50_000) as u64;
                let at = version.max(replicas[site].document.highest().0 + 1);
                sent.push(replicas[site].write_at(at, &text));
                if chance.below(3) == 0 {
                    let (to, what) = (chance.below(replicas.len()), chance.below(sent.len()));
                    replicas[to].take(&sent[what].clone());
                }
            }
            for replica in &mut replicas {
                let mut rest: Vec<usize> = (0..sent.len()).collect();
                while !rest.is_empty() {
                    replica.take(&sent[rest.swap_remove(chance.below(rest.len()))]);
                }
            }
            for replica in &replicas {
                assert_eq!(replica.text, replicas[0].text, "seed {seed}");
            }
            // All have seen everything. Some time between the oldest delete and now is the horizon.
            version = version.max(replicas[0].document.highest().0);
            let back = chance.below(2) as u64 * chance.below(60_000) as u64;
            let before = Version((version + 1).saturating_sub(back));
            forgotten += tombstones(&replicas[0]);
            let text = replicas[0].text.clone();
            collect(&mut replicas[0], before);
            forgotten -= tombstones(&replicas[0]);
            let whole = replicas[0].whole();
            assert_eq!(whole.line_count(), text.lines().count(), "the text stays");
            for replica in &replicas {
                assert!(
                    !replica.whole().tells_forgotten(&replicas[0].document, before).unwrap(),
                    "seed {seed}"
                );
            }
        }
    }
    assert!(forgotten > 1000, "{forgotten}");
}

#[test]
fn only_deletes_from_before_are_forgotten() {
    let mut replica = Replica::new(1, "a\nb\nc\n");
    assert!(replica.document.collect(Version::MAX).is_none(), "nothing is deleted");
    replica.write_at(2000, "a\nc\n");
    replica.write_at(3000, "a\n");
    assert!(replica.document.collect(Version(2000)).is_none());
    let later = replica.document.collect(Version(2001)).expect("one line is forgotten");
    assert_eq!((later.blocks().len(), later.line_count()), (2, 1));
    let all = replica.document.collect(Version(3001)).expect("both are");
    assert_eq!((all.blocks().len(), all.line_count()), (1, 1));
    assert!(all.whole("a\n", &Delimiter::default()).is_ok(), "it is the document of the same text");
}

#[test]
fn who_missed_a_forgotten_delete_tells_of_the_line_again() {
    let (mut server, mut away) = (Replica::new(1, "a\nb\nc\n"), Replica::new(2, "a\nb\nc\n"));
    server.write_at(2000, "a\nc\n");
    let before = Version(2500);
    assert!(!away.whole().tells_forgotten(&server.document, before).unwrap(), "the delete is remembered");
    collect(&mut server, before);
    assert!(away.whole().tells_forgotten(&server.document, before).unwrap());
    assert!(!away.whole().tells_forgotten(&server.document, Version(1000)).unwrap(), "it is too young");
    // An edit of another line tells nothing of it, and a new line is new.
    let edit = away.write_at(3000, "A\nb\nc\n");
    assert!(!edit.tells_forgotten(&server.document, before).unwrap());
    let edit = away.write_at(3001, "A\nb\nc\nd\n");
    assert!(!edit.tells_forgotten(&server.document, before).unwrap());
    // Of another epoch the later one counts as a whole.
    let other = Replica {
        document: server.document.map_stamps(|stamp| text_support::stamp(stamp.version.0 + 1, 1)),
        ..server.clone()
    };
    assert!(!away.whole().tells_forgotten(&other.document, before).unwrap());
}
