//! Each algorithm against its definition: generated histories on 2 to 5 replicas, and a model that knows of
//! every write only which others its author had seen. The model has no clocks, lengths or vectors.

mod merge_support;

use std::collections::{BTreeMap, BTreeSet};

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Millis;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::mem::{MemStore, RowWrite, WriteCall};
use cloudsync_shared::schema::{Algorithm, TableSchema};
use cloudsync_shared::value::Value;
use merge_support::{COLUMNS, TABLE, key, merge_at, schema, site};
use proptest::prelude::*;

const START: u64 = 1_000_000;

/// What happens to one of two rows at one replica.
#[derive(Clone, Debug)]
enum Step {
    Insert,
    Replace,
    Update(usize),
    Delete,
    /// The replica tells another all that it knows of the row.
    Tell(usize),
}

/// A write that was carried out.
#[derive(Clone, Debug)]
struct Event {
    /// Numbers of the events that the replica knew of.
    seen: BTreeSet<usize>,
    stamp: Stamp<SiteId>,
    deletes: bool,
    set: BTreeMap<String, Value>,
}

/// A row's value by column, `None` if it is not there.
type Row = Option<BTreeMap<String, Value>>;

fn any_history() -> impl Strategy<Value = (usize, Vec<(usize, u8, i64, Step)>)> {
    let step = |replicas: usize| {
        prop_oneof![
            2 => Just(Step::Insert),
            1 => Just(Step::Replace),
            4 => (0..COLUMNS.len()).prop_map(Step::Update),
            3 => Just(Step::Delete),
            6 => (0..replicas).prop_map(Step::Tell),
        ]
    };
    (2usize..=5).prop_flat_map(move |replicas| {
        let steps = proptest::collection::vec((0..replicas, 0u8..2, -3i64..4, step(replicas)), 1..60);
        (Just(replicas), steps)
    })
}

struct World {
    replicas: Vec<MemStore>,
    /// By replica and row the events that it knows of.
    known: Vec<BTreeMap<u8, BTreeSet<usize>>>,
    events: BTreeMap<u8, Vec<Event>>,
}

impl World {
    fn new(replicas: usize, algorithm: Algorithm) -> World {
        let table = || TableSchema { algorithm, ..schema(&COLUMNS, 0) };
        let new = |number| {
            let mut store = MemStore::new(site(number as u8));
            store.create_table(table(), Vec::new());
            store
        };
        World {
            replicas: (0..replicas).map(new).collect(),
            known: vec![BTreeMap::new(); replicas],
            events: BTreeMap::new(),
        }
    }

    fn run(&mut self, steps: &[(usize, u8, i64, Step)]) {
        for (number, (at, row, skew, step)) in steps.iter().enumerate() {
            let now = Millis(START.saturating_add_signed(number as i64 / 4 + skew));
            let value = |column: &str| (column.to_owned(), Value::Integer(number as i64));
            let all = || COLUMNS.iter().take(2).map(|column| value(column)).collect();
            match step {
                Step::Insert => self.write(*at, *row, now, RowWrite::Insert(all())),
                Step::Replace => self.write(*at, *row, now, RowWrite::Replace(all())),
                Step::Update(column) => {
                    let set = COLUMNS.get(*column).map(|column| value(column)).into_iter().collect();
                    self.write(*at, *row, now, RowWrite::Update(set));
                }
                Step::Delete => self.write(*at, *row, now, RowWrite::Delete),
                Step::Tell(to) => self.tell(*at, *to, Some(*row)),
            }
        }
    }

    fn write(&mut self, at: usize, row: u8, now: Millis, write: RowWrite) {
        let deletes = write == RowWrite::Delete;
        let call = WriteCall { now, table: TABLE.into(), key: key(row), write };
        // A grow-only table refuses some writes: then nothing has happened.
        let Ok(Some(written)) = self.replicas[at].write(&call) else { return };
        let known = self.known[at].entry(row).or_default();
        let events = self.events.entry(row).or_default();
        let set = written.set.into_iter().collect();
        events.push(Event { seen: known.clone(), stamp: written.stamp, deletes, set });
        known.insert(events.len() - 1);
    }

    fn tell(&mut self, from: usize, to: usize, row: Option<u8>) {
        if from == to {
            return;
        }
        let mut told: ChangeBatch = self.replicas[from].changes(|_| true);
        for table in &mut told.tables {
            table.rows.retain(|change| row.is_none_or(|row| change.key == key(row)));
        }
        merge_at(&mut self.replicas[to], told, Millis(START + 1_000)).expect("it merges");
        for (of, events) in self.known[from].clone() {
            if row.is_none_or(|row| row == of) {
                self.known[to].entry(of).or_default().extend(events);
            }
        }
    }

    fn tell_all(&mut self) {
        for _ in 0..2 {
            for from in 0..self.replicas.len() {
                (0..self.replicas.len()).for_each(|to| self.tell(from, to, None));
            }
        }
    }
}

/// The row as the definition has it.
fn expected(algorithm: Algorithm, events: &[Event]) -> Row {
    let deletes: Vec<usize> = numbers(events, |event| event.deletes);
    let writes = numbers(events, |event| !event.deletes);
    let counting: Vec<usize> = match algorithm {
        Algorithm::Gos => writes,
        // Every delete must have been seen by a write that is to count.
        Algorithm::Dws => {
            let counts = |at: &usize| deletes.iter().all(|delete| events[*at].seen.contains(delete));
            writes.into_iter().filter(counts).collect()
        }
        // One write that no delete had seen is enough, and then all count.
        Algorithm::Aws => {
            let stands = |at: &usize| deletes.iter().all(|delete| !events[*delete].seen.contains(at));
            if writes.iter().any(stands) { writes } else { Vec::new() }
        }
        Algorithm::Cls => unreachable!("the simulation has its oracle"),
    };
    (!counting.is_empty()).then(|| {
        let value = |column: &str| {
            let of_column = counting.iter().filter(|at| events[**at].set.contains_key(column));
            let last = of_column.max_by_key(|at| events[**at].stamp);
            last.map_or(Value::Null, |at| events[*at].set[column].clone())
        };
        COLUMNS.iter().map(|column| ((*column).to_owned(), value(column))).collect()
    })
}

fn numbers(events: &[Event], which: impl Fn(&Event) -> bool) -> Vec<usize> {
    events.iter().enumerate().filter(|(_, event)| which(event)).map(|(at, _)| at).collect()
}

fn check(algorithm: Algorithm, replicas: usize, steps: &[(usize, u8, i64, Step)]) {
    let mut world = World::new(replicas, algorithm);
    world.run(steps);
    for (at, store) in world.replicas.iter().enumerate() {
        for (row, known) in &world.known[at] {
            // A replica that knows a part of the history holds what follows from that part.
            let order: Vec<usize> = known.iter().copied().collect();
            let place = |at: &usize| order.iter().position(|known| known == at);
            let part = order
                .iter()
                .map(|at| &world.events[row][*at])
                .map(|event| Event { seen: event.seen.iter().filter_map(place).collect(), ..event.clone() });
            let part: Vec<Event> = part.collect();
            let held = store.dump()[TABLE].rows.get(&key(*row)).cloned();
            assert_eq!(held, expected(algorithm, &part), "row {row} of replica {at}");
        }
    }
    world.tell_all();
    let first = world.replicas[0].dump();
    assert!(world.replicas.iter().all(|store| store.dump() == first), "the replicas differ");
    for (row, events) in &world.events {
        assert_eq!(first[TABLE].rows.get(&key(*row)).cloned(), expected(algorithm, events), "row {row}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deletes_win_where_they_are_to((replicas, steps) in any_history()) {
        check(Algorithm::Dws, replicas, &steps);
    }

    #[test]
    fn adds_win_where_they_are_to((replicas, steps) in any_history()) {
        check(Algorithm::Aws, replicas, &steps);
    }

    #[test]
    fn grow_only_tables_only_grow((replicas, steps) in any_history()) {
        check(Algorithm::Gos, replicas, &steps);
    }
}
