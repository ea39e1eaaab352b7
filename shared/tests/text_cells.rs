//! Cells of text that is merged by lines, in rows: beside other cells, with values that are no text, with
//! whole writes, deletes and new lives, told in any order and through the wire format.

mod merge_support;

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::hlc::Millis;
use cloudsync_shared::id::ColumnId;
use cloudsync_shared::mem::{MemStore, RowWrite, WriteCall};
use cloudsync_shared::message::Message;
use cloudsync_shared::schema::{Algorithm, TableSchema};
use cloudsync_shared::text::Delimiter;
use cloudsync_shared::value::Value;
use cloudsync_shared::wire;
use merge_support::{COLUMNS, TABLE, key, merge_at, replica, schema};
use proptest::prelude::*;

const START: u64 = 1_000_000;
const BODY: &str = COLUMNS[1];

/// The table with its second column merged by lines.
fn by_lines() -> TableSchema {
    with_algorithm(Algorithm::Cls)
}

fn with_algorithm(algorithm: Algorithm) -> TableSchema {
    TableSchema { algorithm, texts: vec![(ColumnId(1), Delimiter::default())], ..schema(&COLUMNS, 0) }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn write(store: &mut MemStore, millis: u64, write: RowWrite) {
    let call = WriteCall { now: Millis(START + millis), table: TABLE.into(), key: key(1), write };
    store.write(&call).expect("the table takes it");
}

fn set_body(store: &mut MemStore, millis: u64, body: &str) {
    write(store, millis, RowWrite::Update(vec![(BODY.to_owned(), text(body))]));
}

fn insert(store: &mut MemStore, millis: u64, body: &str) {
    write(store, millis, RowWrite::Insert(vec![(BODY.to_owned(), text(body))]));
}

fn tell(from: &MemStore, to: &mut MemStore) {
    let bytes = wire::encode(&Message::Payload(from.changes(|_| true))).expect("it is sound");
    let Ok(Message::Payload(batch)) = wire::decode(&bytes) else { panic!("not a payload") };
    merge(to, batch);
}

fn merge(to: &mut MemStore, batch: ChangeBatch) {
    merge_at(to, batch, Millis(START + 100_000)).expect("it merges");
}

fn body(store: &MemStore) -> Option<Value> {
    store.dump()[TABLE].rows.get(&key(1)).map(|row| row[BODY].clone())
}

fn pair(body: &str) -> (MemStore, MemStore) {
    let (mut one, mut other) = (replica(0, by_lines()), replica(1, by_lines()));
    insert(&mut one, 0, body);
    tell(&one, &mut other);
    (one, other)
}

#[test]
fn edits_of_different_lines_both_stand() {
    let (mut one, mut other) = pair("a\nb\nc\n");
    set_body(&mut one, 1, "a1\nb\nc\n");
    set_body(&mut other, 2, "a\nb\nc2\nd\n");
    tell(&one, &mut other);
    tell(&other, &mut one);
    assert_eq!(body(&one), Some(text("a1\nb\nc2\nd\n")));
    assert_eq!(one.dump(), other.dump());
}

#[test]
fn a_whole_write_after_an_edit_takes_its_place() {
    let (mut one, mut other) = pair("a\nb\n");
    set_body(&mut one, 1, "a1\nb\n");
    write(&mut other, 2, RowWrite::Update(vec![(BODY.to_owned(), Value::Null)]));
    set_body(&mut one, 3, "a3\nb\n");
    tell(&one, &mut other);
    tell(&other, &mut one);
    assert_eq!(body(&one), Some(Value::Null), "the last write of the whole value counts");
    assert_eq!(one.dump(), other.dump());
}

#[test]
fn only_the_lines_that_changed_are_told() {
    let long: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    let (mut one, mut other) = pair(&long);
    let seen = one.highest();
    set_body(&mut one, 5, &long.replace("line 500\n", "line 500, edited\n"));
    let told = one.changes(|stamp| stamp.version > seen);
    let bytes = wire::encode(&Message::Payload(told.clone())).expect("it is sound");
    assert!(bytes.len() < 200, "{} bytes", bytes.len());
    merge(&mut other, told);
    assert_eq!(body(&one), body(&other));
}

#[test]
fn a_part_of_an_unknown_text_changes_nothing() {
    let (mut one, _) = pair("a\nb\n");
    let seen = one.highest();
    set_body(&mut one, 1, "a\nb1\n");
    let mut told = one.changes(|stamp| stamp.version > seen);
    told.tables[0].rows[0].life = one.changes(|_| true).tables[0].rows[0].life;
    let mut stranger = replica(2, by_lines());
    merge(&mut stranger, told);
    assert_eq!(body(&stranger), Some(Value::Null));
    tell(&one, &mut stranger);
    assert_eq!(body(&stranger), Some(text("a\nb1\n")));
    assert_eq!(one.dump(), stranger.dump());
}

#[test]
fn a_replica_that_does_not_merge_lines_holds_the_whole_text() {
    let (mut one, mut plain) = (replica(0, by_lines()), replica(1, schema(&COLUMNS, 0)));
    insert(&mut one, 0, "a\nb\n");
    set_body(&mut one, 1, "a\nb1\n");
    tell(&one, &mut plain);
    assert_eq!(body(&plain), Some(text("a\nb1\n")));
    set_body(&mut plain, 2, "a2\nb1\n");
    tell(&plain, &mut one);
    assert_eq!(body(&one), Some(text("a2\nb1\n")));
}

#[derive(Clone, Debug)]
enum Step {
    Insert,
    Delete,
    Null,
    Whole(u8),
    /// Replaces, deletes or adds a line near this place.
    Edit(u8, u8),
    Title,
    Tell(usize),
}

fn any_step(replicas: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Insert),
        1 => Just(Step::Delete),
        1 => Just(Step::Null),
        1 => any::<u8>().prop_map(Step::Whole),
        8 => (any::<u8>(), any::<u8>()).prop_map(|(place, what)| Step::Edit(place, what)),
        1 => Just(Step::Title),
        6 => (0..replicas).prop_map(Step::Tell),
    ]
}

fn edited(before: &str, place: u8, what: u8, number: usize) -> String {
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    let at = usize::from(place) % (lines.len() + 1);
    match (what % 3, at < lines.len()) {
        (0, true) => lines[at] = format!("edited {number}"),
        (1, true) => drop(lines.remove(at)),
        _ => lines.insert(at, format!("line {number}")),
    }
    lines.join("\n") + if what.is_multiple_of(5) { "" } else { "\n" }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replicas_agree_in_the_end(
        algorithm in proptest::sample::select(&[Algorithm::Cls, Algorithm::Dws, Algorithm::Aws][..]),
        steps in proptest::collection::vec((0usize..3, any_step(3)), 1..50),
    ) {
        let mut replicas: Vec<MemStore> = (0..3).map(|number| replica(number, with_algorithm(algorithm))).collect();
        for (number, (at, step)) in steps.iter().enumerate() {
            let millis = number as u64;
            let now = body(&replicas[*at]);
            match (step, now) {
                (Step::Insert, _) => insert(&mut replicas[*at], millis, "first\nsecond\nthird\n"),
                (Step::Delete, _) => write(&mut replicas[*at], millis, RowWrite::Delete),
                (Step::Null, _) => {
                    let null = vec![(BODY.to_owned(), Value::Null)];
                    write(&mut replicas[*at], millis, RowWrite::Update(null));
                }
                (Step::Whole(what), _) => {
                    let whole: String = (0..what % 5).map(|line| format!("new {number} {line}\n")).collect();
                    set_body(&mut replicas[*at], millis, &whole);
                }
                (Step::Edit(place, what), Some(Value::Text(before))) => {
                    let after = edited(&before, *place, *what, number);
                    set_body(&mut replicas[*at], millis, &after);
                    prop_assert_eq!(body(&replicas[*at]), Some(text(&after)), "an edit is exact");
                }
                (Step::Edit(..), _) => {}
                (Step::Title, _) => {
                    let title = vec![(COLUMNS[0].to_owned(), Value::Integer(number as i64))];
                    write(&mut replicas[*at], millis, RowWrite::Update(title));
                }
                (Step::Tell(to), _) if to != at => {
                    let from = replicas[*at].clone();
                    tell(&from, &mut replicas[*to]);
                }
                (Step::Tell(_), _) => {}
            }
        }
        for _ in 0..2 {
            for from in 0..3 {
                let teller = replicas[from].clone();
                (0..3).filter(|to| *to != from).for_each(|to| tell(&teller, &mut replicas[to]));
            }
        }
        prop_assert_eq!(replicas[0].dump(), replicas[1].dump());
        prop_assert_eq!(replicas[0].dump(), replicas[2].dump());
    }
}
