//! Merged texts beside those of diff3 and of a sequence CRDT by others.

mod text_support;

use std::path::Path;
use std::process::Command;

use text_support::{Chance, Replica, both};
use yrs::updates::decoder::Decode;
use yrs::{Array, Doc, ReadTxn, StateVector, Transact, Update};

/// Some edits of lines that are unlike all others, below `from`.
fn edited(base: &[String], chance: &mut Chance, who: &str) -> Vec<String> {
    let mut lines = base.to_vec();
    for edit in 0..1 + chance.below(3) {
        let at = chance.below(lines.len());
        match chance.below(3) {
            0 => lines[at] = format!("{who}{edit} {at} {}", lines[at]),
            1 => lines.insert(at, format!("{who}{edit} new")),
            _ => drop(lines.remove(at)),
        }
    }
    lines
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What diff3 makes of it; `None` if it sees a conflict.
fn diff3(directory: &Path, base: &str, one: &str, two: &str) -> Option<String> {
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (one, base, two) = (file("one", one), file("base", base), file("two", two));
    let output = Command::new("diff3").arg("-m").args([&one, &base, &two]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn where_diff3_sees_no_conflict_the_result_is_the_same() {
    if Command::new("diff3").arg("--version").output().is_err() {
        println!("diff3 is not installed: nothing was compared");
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("diff3");
    std::fs::create_dir_all(&directory).unwrap();
    let mut compared = 0;
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let base: Vec<_> = (0..12).map(|line| format!("line {} of the base", line * line)).collect();
        let (one, two) = (edited(&base, &mut chance, "x"), edited(&base, &mut chance, "y"));
        let (base, one, two) = (text(&base), text(&one), text(&two));
        if let Some(expected) = diff3(&directory, &base, &one, &two) {
            assert_eq!(both(&base, &one, &two), expected, "seed {seed}:\n{base}\n{one}\n{two}");
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} of 300 had no conflict");
}

fn lines_of(doc: &Doc) -> Vec<String> {
    let array = doc.get_or_insert_array("lines");
    let transaction = doc.transact();
    array.iter(&transaction).map(|value| value.to_string(&transaction)).collect()
}

fn exchange(docs: &[Doc]) {
    let updates: Vec<_> =
        docs.iter().map(|doc| doc.transact().encode_state_as_update_v1(&StateVector::default())).collect();
    for doc in docs {
        for update in &updates {
            doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
        }
    }
}

/// Whether the lines of each site are neighbours.
fn together(lines: &[String], round: usize, sites: usize) -> bool {
    (0..sites).all(|site| {
        let mark = format!("round {round} site {site} ");
        let mut mine: Vec<_> = lines.iter().map(|line| line.starts_with(&mark)).collect();
        mine.dedup();
        mine.iter().filter(|mine| **mine).count() <= 1
    })
}

#[test]
fn a_sequence_crdt_ends_with_the_same_lines() {
    let (mut same_order, mut rounds) = (0, 0);
    for seed in 0..60 {
        let mut chance = Chance(seed);
        let sites = 2 + chance.below(2);
        let mut ours: Vec<_> = (1..=sites).map(|site| Replica::new(site as u8 + 1, "")).collect();
        let theirs: Vec<_> = (1..=sites).map(|site| Doc::with_client_id(site as u64)).collect();
        let mut version = 2000;
        for round in 0..6 {
            let start = chance.below(lines_of(&theirs[0]).len() + 1);
            for site in 0..sites {
                let array = theirs[site].get_or_insert_array("lines");
                for line in 0..1 + chance.below(4) {
                    let mut lines: Vec<_> = ours[site].lines().into_iter().map(str::to_owned).collect();
                    let new = format!("round {round} site {site} line {line}");
                    array.insert(&mut theirs[site].transact_mut(), (start + line) as u32, new.clone());
                    lines.insert(start + line, new);
                    version += 1;
                    ours[site].write_at(version, &text(&lines));
                }
                if chance.below(2) == 0 && start > 0 {
                    let at = chance.below(start);
                    let mut lines: Vec<_> = ours[site].lines().into_iter().map(str::to_owned).collect();
                    array.remove(&mut theirs[site].transact_mut(), at as u32);
                    lines.remove(at);
                    version += 1;
                    ours[site].write_at(version, &text(&lines));
                }
            }
            exchange(&theirs);
            let deltas: Vec<_> = ours.iter().map(Replica::whole).collect();
            ours.iter_mut().for_each(|replica| deltas.iter().for_each(|delta| replica.take(delta)));
            let (mut mine, mut other) =
                (ours[0].lines().into_iter().map(str::to_owned).collect::<Vec<_>>(), lines_of(&theirs[0]));
            assert!(
                together(&mine, round, sites) && together(&other, round, sites),
                "seed {seed}: {mine:#?}"
            );
            rounds += 1;
            same_order += usize::from(mine == other);
            mine.sort();
            other.sort();
            assert_eq!(mine, other, "seed {seed}, round {round}");
            // The rounds that follow begin from one text on both.
            if lines_of(&theirs[0]) != ours[0].lines() {
                break;
            }
        }
    }
    println!("{rounds} rounds, {same_order} in the same order");
}
