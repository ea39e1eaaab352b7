//! Scenarios from seeds. Each seed draws its own habits first (how often messages are lost, how many
//! keys are hot, how wild the clocks are), so that seeds differ in kind and not only in detail.

use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::value::Value;

use crate::prng::Prng;
use crate::scenario::{Action, BaseRow, MAX_OFFSET_MILLIS, Scenario, TableSpec, Tells};

/// The fewest actions of a scenario.
const MIN_ACTIONS: i64 = 10;
/// The most actions of a scenario.
const MAX_ACTIONS: i64 = 150;

/// The scenario of a seed.
pub fn generate(seed: u64) -> Scenario {
    let mut prng = Prng::new(seed);
    let replicas = 2 + prng.below(4);
    let tables = 1 + prng.below(3);
    let mut maker =
        Maker { habits: Habits::draw(&mut prng), replicas, tables: Vec::new(), elapsed: 0, written: 0, prng };
    maker.tables = (0..tables).map(|at| maker.table(at)).collect();
    let count = maker.prng.between(MIN_ACTIONS, MAX_ACTIONS);
    let mut actions = Vec::new();
    for _ in 0..count {
        let action = maker.action();
        actions.push(action);
        if maker.prng.chance(maker.habits.rebirths) {
            maker.rebirth(&mut actions);
        }
    }
    Scenario { seed, replicas, tables: maker.tables, actions }
}

/// What one seed is like.
struct Habits {
    keys: usize,
    /// Weights of insert, replace, update, delete.
    writes: [usize; 4],
    /// Weights of write, write during, crash, wait, set clock, send, deliver, drop, sync.
    actions: [usize; 9],
    /// How many in a hundred messages arrive more than once.
    again: usize,
    /// How many in a hundred messages tell everything.
    everything: usize,
    /// How many in a hundred actions are followed by the story of a row that dies and lives again.
    rebirths: usize,
    max_wait: i64,
    max_offset: i64,
}

impl Habits {
    fn draw(prng: &mut Prng) -> Habits {
        let mut some = |most: usize| prng.below(most + 1);
        Habits {
            keys: [1, 1, 2, 3, 5][some(4)],
            writes: [3 + some(3), some(3), 3 + some(8), 1 + some(4)],
            actions: [30, some(15), some(5), some(8), some(3), 6 + some(20), 5 + some(25), some(6), some(5)],
            again: some(40),
            everything: some(60),
            rebirths: some(8),
            max_wait: [0, 1, 50, 5_000, 60_000][some(4)],
            max_offset: [0, 3, 1_000, MAX_OFFSET_MILLIS][some(3)],
        }
    }
}

struct Maker {
    prng: Prng,
    habits: Habits,
    replicas: usize,
    tables: Vec<TableSpec>,
    elapsed: i64,
    written: i64,
}

impl Maker {
    fn table(&mut self, at: usize) -> TableSpec {
        let mut table = TableSpec {
            name: ["notes", "Order items", "tags"][at].into(),
            algorithm: if self.prng.chance(20) { Algorithm::Gos } else { Algorithm::Cls },
            key_columns: 1 + self.prng.below(2),
            columns: self.prng.below(5),
            base: Vec::new(),
        };
        if self.prng.chance(30) {
            for replica in 0..self.replicas {
                let key = self.key(&table);
                let values = self.values(table.columns);
                table.base.push(BaseRow { replica, key, values });
            }
        }
        table
    }

    fn action(&mut self) -> Action {
        match self.prng.weighted(&self.habits.actions) {
            0 => self.write(),
            1 => Action::During(Box::new(self.write())),
            2 => Action::Crash { replica: self.replica(), calls: self.prng.below(10) as u32 },
            3 => {
                let millis = self.prng.between(0, self.habits.max_wait);
                self.elapsed += millis;
                Action::Wait { millis: millis as u64 }
            }
            4 => {
                let offset = self.prng.between(-self.habits.max_offset, self.habits.max_offset);
                Action::SetClock { replica: self.replica(), offset }
            }
            5 => {
                let (from, to) = self.pair();
                Action::Send { from, to, tells: self.tells() }
            }
            6 => Action::Deliver { message: self.prng.below(64), again: self.prng.chance(self.habits.again) },
            7 => Action::Drop { message: self.prng.below(64) },
            _ => {
                let (from, to) = self.pair();
                Action::Sync { from, to }
            }
        }
    }

    /// One replica deletes a row, inserts it again, sets some columns and tells only the last of it:
    /// whoever hears that first knows a part of a life whose beginning it missed.
    fn rebirth(&mut self, actions: &mut Vec<Action>) {
        let (replica, to) = self.pair();
        let table = self.prng.below(self.tables.len());
        let spec = self.tables[table].clone();
        let key = self.key(&spec);
        actions.push(Action::Delete { replica, table, key: key.clone() });
        actions.push(Action::Insert { replica, table, key: key.clone(), values: self.values(spec.columns) });
        if spec.columns > 0 {
            self.elapsed += 1;
            actions.push(Action::Wait { millis: 1 });
            let column = self.prng.below(spec.columns);
            actions.push(Action::Update { replica, table, key, values: vec![(column, self.value())] });
        }
        let tells = Tells::Since(vec![self.elapsed - 1; self.replicas]);
        actions.push(Action::Send { from: replica, to, tells });
        if self.prng.chance(50) {
            actions.push(Action::Deliver { message: self.prng.below(64), again: false });
        }
    }

    fn write(&mut self) -> Action {
        let replica = self.replica();
        let table = self.prng.below(self.tables.len());
        let spec = self.tables[table].clone();
        let key = self.key(&spec);
        match self.prng.weighted(&self.habits.writes) {
            0 => Action::Insert { replica, table, key, values: self.values(spec.columns) },
            1 => Action::Replace { replica, table, key, values: self.values(spec.columns) },
            2 => {
                let chosen = (0..spec.columns).filter(|_| self.prng.chance(50)).collect::<Vec<_>>();
                let values = chosen.into_iter().map(|column| (column, self.value())).collect();
                Action::Update { replica, table, key, values }
            }
            _ => Action::Delete { replica, table, key },
        }
    }

    fn tells(&mut self) -> Tells {
        if self.prng.chance(self.habits.everything) {
            return Tells::Everything;
        }
        let mut times = Vec::new();
        for _ in 0..self.replicas {
            let back = self.prng.between(0, 2 * self.habits.max_wait + self.habits.max_offset + 1);
            times.push(self.elapsed - back);
        }
        times.truncate(1 + self.prng.below(self.replicas));
        Tells::Since(times)
    }

    fn replica(&mut self) -> usize {
        self.prng.below(self.replicas)
    }

    fn pair(&mut self) -> (usize, usize) {
        let from = self.replica();
        (from, (from + 1 + self.prng.below(self.replicas - 1)) % self.replicas)
    }

    fn key(&mut self, table: &TableSpec) -> Vec<Value> {
        let number = self.prng.below(self.habits.keys) as i64;
        let texts = ["a", "", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"];
        let mut key = vec![Value::Integer(number)];
        key.extend((1..table.key_columns).map(|_| Value::Text(texts[self.prng.below(texts.len())].into())));
        key
    }

    fn values(&mut self, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.value()).collect()
    }

    /// A value that no other write has, most of the time.
    fn value(&mut self) -> Value {
        self.written += 1;
        match self.prng.below(10) {
            0 => Value::Null,
            1 => Value::Real(self.written as f64 / 4.0),
            2 => Value::Blob(self.written.to_be_bytes().to_vec()),
            3 => Value::Text(format!("0190a1b2-c3d4-7e5f-8a9b-{:012x}", self.written)),
            4..=5 => Value::Text(format!("text {}", self.written)),
            _ => Value::Integer(self.written),
        }
    }
}
