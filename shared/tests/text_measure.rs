//! What texts cost: time and bytes. Prints figures when run with `--release -- --ignored --nocapture`.

mod text_support;

use std::time::{Duration, Instant};

use cloudsync_shared::clock::Stamp;
use cloudsync_shared::id::{SiteId, SiteOrdinal};
use cloudsync_shared::text::{Delimiter, Document, TextDelta};
use text_support::{Chance, Replica, stamp};

/// A text of 20,000 lines and about a megabyte.
fn long_text() -> String {
    let mut chance = Chance(7);
    let words = [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "a",
        "lazy",
        "dog",
        "- item",
        "## Heading",
        "`code`",
    ];
    let line = |number: usize| {
        let rest: Vec<_> = (0..9).map(|_| words[chance.below(words.len())]).collect();
        format!("{number} {}\n", rest.join(" "))
    };
    (0..20_000).map(line).collect()
}

fn with_line(text: &str, at: usize, line: &str) -> String {
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    let line = format!("{line}\n");
    let at = at.min(lines.len() - 1);
    lines[at] = &line;
    lines.concat()
}

fn ordinal(site: SiteId) -> Result<SiteOrdinal, std::convert::Infallible> {
    Ok(SiteOrdinal(u32::from(site.0[0])))
}

fn delta_sizes(delta: &TextDelta<SiteId>) -> (usize, usize) {
    let Ok(short) = delta.map_sites(ordinal);
    (short.to_bytes().len(), delta.to_bytes().len())
}

fn stored(document: &Document<SiteId>) -> usize {
    let Ok(document) = document.map_sites(ordinal);
    document.to_bytes().len()
}

fn timed<T>(what: &str, mut work: impl FnMut() -> T) -> T {
    let mut best = Duration::MAX;
    let mut result = work();
    for _ in 0..5 {
        let start = Instant::now();
        result = work();
        best = best.min(start.elapsed());
    }
    println!("{what}: {:.2} ms", best.as_secs_f64() * 1e3);
    result
}

const MINUTE: u64 = 60_000 << 16;
const START: u64 = 1_700_000_000_000 << 16;

fn at(minutes: u64, site: u8) -> Stamp<SiteId> {
    stamp(START + minutes * MINUTE, site)
}

#[test]
#[ignore = "prints figures"]
fn one_edit_of_a_long_text() {
    let text = long_text();
    println!("{} lines, {} bytes", text.lines().count(), text.len());
    let line = "this is the line that somebody wrote";
    measure_one_edit(&text, &with_line(&text, 11_111, line), line, &Delimiter::default());
    println!("\nby words, one of them edited:");
    let old = text.lines().nth(11_111).unwrap_or_default();
    let (start, _) = old.rsplit_once(' ').unwrap_or_default();
    let edited = with_line(&text, 11_111, &format!("{start} somebody's"));
    measure_one_edit(&text, &edited, "somebody's", &Delimiter::words());
}

#[test]
#[ignore = "prints figures"]
fn a_long_text_written_anew() {
    let old = long_text();
    let shuffled = |step: usize| {
        let words: Vec<_> = old.split(' ').collect();
        (0..words.len()).map(|at| words[at * step % words.len()]).collect::<Vec<_>>().join(" ")
    };
    for (what, new) in [("upper case", old.to_uppercase()), ("other words", shuffled(7919))] {
        for (unit, delimiter) in [("lines", Delimiter::default()), ("words", Delimiter::words())] {
            let implied = Document::implied(at(0, 1), &old, &delimiter).unwrap();
            let start = Instant::now();
            let deadline = Some(start + Duration::from_secs(1));
            let (document, delta) = implied.edit(&old, &new, &delimiter, at(1, 2), deadline).unwrap();
            println!(
                "{what}, {unit}: {:?}, {} runs, {} bytes for {}",
                start.elapsed(),
                document.run_count(),
                delta_sizes(&delta).0,
                new.len()
            );
        }
    }
}

fn measure_one_edit(text: &str, edited: &str, line: &str, delimiter: &Delimiter) {
    let implied = timed("implied", || Document::implied(at(0, 1), text, delimiter).unwrap());
    let (document, delta) =
        timed("edit of one line", || implied.edit(text, edited, delimiter, at(1, 2), None).unwrap());
    timed("implied and edit", || {
        let implied = Document::implied(at(0, 1), text, delimiter).unwrap();
        implied.edit(text, edited, delimiter, at(1, 2), None).unwrap()
    });
    let merged = timed("merge of that edit", || implied.merge(text, &delta, delimiter).unwrap());
    assert_eq!((merged.text.as_deref(), &merged.document), (Some(edited), &document));
    timed("edit to bytes", || delta.to_bytes());
    let (short, long) = delta_sizes(&delta);
    println!("delta: {} bytes beyond the line, {} with its own sites", short - line.len(), long - line.len());
    println!("stored clock: {} bytes", stored(&document));

    let whole = timed("whole", || document.whole(edited, delimiter).unwrap());
    let bytes = timed("whole to bytes", || whole.to_bytes());
    println!("whole: {} bytes beyond the text", bytes.len() as i64 - edited.len() as i64);
    let read = timed("whole from bytes", || TextDelta::<SiteId>::from_bytes(&bytes).unwrap());
    let fresh = Document::implied(stamp(1, 9), "", delimiter).unwrap();
    let first = timed("first transfer, merge into nothing", || fresh.merge("", &read, delimiter).unwrap());
    assert_eq!(first.text.as_deref(), Some(edited));
}

#[test]
#[ignore = "prints figures"]
fn a_text_with_a_long_history() {
    let text = long_text();
    let delimiter = Delimiter::default();
    let mut chance = Chance(11);
    let mut replicas: Vec<_> = (1..=3).map(|site| Replica::new(site, &text)).collect();
    for replica in &mut replicas {
        replica.document = Document::implied(at(0, 1), &text, &delimiter).unwrap();
    }
    let (mut times, mut merges, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for edit in 1..=10_000u64 {
        let site = chance.below(3);
        let count = replicas[site].text.lines().count();
        let line = format!("edit {edit} by {site}");
        let place = chance.below(count);
        let new = match edit % 4 {
            0 => with_line(&replicas[site].text, place, &format!("a line before\n{line}")),
            1 => with_line(&replicas[site].text, place, &format!("{line}\nand one after")),
            _ => with_line(&replicas[site].text, place, &line),
        };
        let replica = &mut replicas[site];
        let old = std::mem::replace(&mut replica.text, new);
        let start = Instant::now();
        let (document, delta) =
            replica.document.edit(&old, &replica.text, &delimiter, at(edit, site as u8 + 1), None).unwrap();
        times.push(start.elapsed());
        replica.document = document;
        sizes.push(delta_sizes(&delta).0);
        for other in (0..3).filter(|other| *other != site) {
            let start = Instant::now();
            replicas[other].take(&delta);
            merges.push(start.elapsed());
        }
    }
    assert!(replicas.iter().all(|replica| replica.document == replicas[0].document));
    let late = |times: &mut [Duration]| {
        let last = times.len() * 9 / 10;
        let last = &mut times[last..];
        last.sort();
        (last[last.len() / 2], last[last.len() * 99 / 100])
    };
    sizes.sort_unstable();
    println!(
        "after 10,000 edits, the last tenth (median, 99 %): edit {:?}, merge {:?}",
        late(&mut times),
        late(&mut merges)
    );
    println!("delta bytes: median {}, 99 % {}, most {}", sizes[5000], sizes[9900], sizes[9999]);
    println!(
        "{} runs, stored clock {} bytes",
        replicas[0].document.run_count(),
        stored(&replicas[0].document)
    );
}

#[test]
#[ignore = "prints figures"]
fn a_log_that_two_sites_append_to_by_turns() {
    for backward in [false, true] {
        let mut replicas = [Replica::new(1, "first\n"), Replica::new(2, "first\n")];
        let mut sizes = Vec::new();
        for turn in 1..=4000u64 {
            let line = format!("line {turn}\n");
            let [one, two] = &mut replicas;
            let (writer, reader) = if turn % 2 == 0 { (one, two) } else { (two, one) };
            let text =
                if backward { format!("{line}{}", writer.text) } else { format!("{}{line}", writer.text) };
            let delta = writer.write_at(START + turn * MINUTE, &text);
            reader.take(&delta);
            sizes.push(delta_sizes(&delta).0 - line.len());
        }
        sizes.sort_unstable();
        println!(
            "by turns, backward {backward}: most {} bytes beyond the line, clock {}",
            sizes[3999],
            stored(&replicas[0].document)
        );
    }
}
