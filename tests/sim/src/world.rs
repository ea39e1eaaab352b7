//! The replicas, the network between them, and what one action does.

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::flow::{Present, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis, Version};
use cloudsync_shared::id::{ColumnId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::mem::{Dump, Fault, MemError, MemStore, RowWrite, WriteCall, Written};
use cloudsync_shared::message::Message;
use cloudsync_shared::schema::{Column, TableSchema};
use cloudsync_shared::value::Value;
use cloudsync_shared::wire;

use crate::check;
use crate::counts::Counts;
use crate::oracle::Event;
use crate::prng::Prng;
use crate::scenario::{Action, START_MILLIS, Scenario, TableSpec, Tells};

/// How a scenario is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Messages travel as bytes of the wire format.
    pub wire: bool,
    /// The promise that every replica's store breaks.
    pub fault: Fault,
}

pub(crate) struct Replica {
    pub store: MemStore,
    /// How many columns each table has by now.
    columns: Vec<usize>,
    offset: i64,
    seen: Version,
    crash: Option<u32>,
}

pub(crate) enum Packet {
    Values(ChangeBatch),
    /// The wire form, and what it has to say.
    Bytes(Vec<u8>, Message),
}

pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    options: Options,
    pub replicas: Vec<Replica>,
    pub on_the_way: Vec<(usize, Packet)>,
    now: u64,
    pub log: Vec<Event>,
    writes: check::Writes,
    pub trace: Vec<String>,
    pub counts: Counts,
}

impl<'a> World<'a> {
    pub fn new(scenario: &'a Scenario, options: Options) -> World<'a> {
        let mut world = World {
            scenario,
            options,
            replicas: Vec::new(),
            on_the_way: Vec::new(),
            now: START_MILLIS,
            log: Vec::new(),
            writes: check::Writes::new(),
            trace: Vec::new(),
            counts: Counts::default(),
        };
        let mut prng = Prng::new(scenario.seed);
        for index in 0..scenario.replicas {
            let mut site = [0; 16];
            site[..8].copy_from_slice(&prng.bits().to_be_bytes());
            // Two of three sites differ in their last byte only.
            site = if index % 3 == 0 { site } else { [7; 16] };
            site[15] = index as u8;
            let store = world.new_store(index, SiteId(site));
            let columns = scenario.tables.iter().map(TableSpec::early).collect();
            world.replicas.push(Replica { store, columns, offset: 0, seen: Version::BASE, crash: None });
        }
        world
    }

    fn new_store(&mut self, index: usize, site: SiteId) -> MemStore {
        // One of the replicas names rows, as the server does.
        let store = if index == 0 { MemStore::server(site) } else { MemStore::new(site) };
        let mut store = store.with_fault(self.options.fault);
        for table in &self.scenario.tables {
            let mut base = Vec::new();
            for row in table.base.iter().filter(|row| row.replica == index) {
                let (key, set) = (encode_key(&row.key), name_values(table, table.early(), &row.values));
                let stamp = Stamp { version: Version::BASE, site };
                self.enter(Event {
                    table: table.name.clone(),
                    key: key.clone(),
                    length: 1,
                    stamp,
                    whole: true,
                    set: set.clone(),
                });
                base.push((key, set));
            }
            store.create_table(schema_at(table, index), base);
        }
        store
    }

    /// Carries out one action. An error is a broken promise.
    pub fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Insert { .. }
            | Action::Replace { .. }
            | Action::Update { .. }
            | Action::Delete { .. } => match self.write_call(action) {
                Some((replica, call)) => self.write(replica, &call),
                None => Ok(()),
            },
            Action::During(write) => {
                if let Some((replica, call)) = self.write_call(write) {
                    self.replicas[replica].store.race(call);
                }
                Ok(())
            }
            Action::Crash { replica, calls } => {
                self.replicas[*replica].crash = Some(*calls);
                Ok(())
            }
            Action::Wait { millis } => {
                self.now += millis;
                Ok(())
            }
            Action::SetClock { replica, offset } => {
                self.replicas[*replica].offset = *offset;
                Ok(())
            }
            Action::Send { from, to, tells } => {
                let packet = self.pack(*from, tells)?;
                self.on_the_way.push((*to, packet));
                Ok(())
            }
            Action::Deliver { message, again } => self.deliver(*message, *again),
            Action::AddColumn { replica, table } => {
                self.add_column(*replica, *table);
                Ok(())
            }
            Action::Drop { message } => {
                if let Some(at) = message.checked_rem(self.on_the_way.len()) {
                    self.on_the_way.remove(at);
                    self.counts.lost += 1;
                }
                Ok(())
            }
            Action::Sync { from, to } => {
                let packet = self.pack(*from, &Tells::Everything)?;
                self.merge(*to, &packet).map(|_| ())
            }
        }
    }

    /// The states of all replicas.
    pub fn dumps(&self) -> Vec<Dump> {
        self.replicas.iter().map(|replica| replica.store.dump()).collect()
    }

    /// How many rows merges have written on all replicas.
    pub fn applied(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.store.applied()).sum()
    }

    /// What `Crash` asked for does not happen any more.
    pub fn calm(&mut self) {
        self.replicas.iter_mut().for_each(|replica| replica.crash = None);
    }

    /// Every replica gets the columns that its tables still lack.
    pub fn add_all_columns(&mut self) {
        for replica in 0..self.replicas.len() {
            for (table, spec) in self.scenario.tables.iter().enumerate() {
                (0..spec.late).for_each(|_| self.add_column(replica, table));
            }
        }
    }

    fn add_column(&mut self, replica: usize, table: usize) {
        let spec = &self.scenario.tables[table];
        let known = self.replicas[replica].columns[table];
        if let Some(name) = spec.column_names().get(known) {
            let replica = &mut self.replicas[replica];
            replica.store.add_column(&spec.name, name);
            replica.columns[table] += 1;
            self.trace.push(format!("{} gets {name}", spec.name));
        }
    }

    fn clock_of(&self, replica: usize) -> Millis {
        Millis(self.now.saturating_add_signed(self.replicas[replica].offset))
    }

    fn write_call(&self, action: &Action) -> Option<(usize, WriteCall)> {
        let spec = |table: usize| &self.scenario.tables[table];
        let named = |replica: usize, table: usize, values: &[Value]| {
            name_values(spec(table), self.replicas[replica].columns[table], values)
        };
        let (replica, table, key, write) = match action {
            Action::Insert { replica, table, key, values } => {
                (*replica, *table, key, RowWrite::Insert(named(*replica, *table, values)))
            }
            Action::Replace { replica, table, key, values } => {
                (*replica, *table, key, RowWrite::Replace(named(*replica, *table, values)))
            }
            Action::Update { replica, table, key, values } => {
                let names = spec(*table).column_names();
                let there = |column: usize| column < self.replicas[*replica].columns[*table];
                let set = values.iter().filter(|(column, _)| there(*column));
                let set = set.map(|(column, value)| (names[*column].clone(), value.clone()));
                (*replica, *table, key, RowWrite::Update(set.collect()))
            }
            Action::Delete { replica, table, key } => (*replica, *table, key, RowWrite::Delete),
            _ => return None,
        };
        let now = self.clock_of(replica);
        Some((replica, WriteCall { now, table: spec(table).name.clone(), key: encode_key(key), write }))
    }

    fn write(&mut self, at: usize, call: &WriteCall) -> Result<(), String> {
        let before = self.replicas[at].store.dump();
        let written = match self.replicas[at].store.write(call) {
            Ok(written) => written,
            // A grow-only table.
            Err(MemError::Core(error)) => {
                self.trace.push(error.to_string());
                None
            }
            Err(error @ MemError::Crashed) => return Err(error.to_string()),
        };
        self.note(at, &mut check::lengths(&before), call, written)?;
        self.check(at, &before)
    }

    /// Checks a write that took effect, and puts it into the log.
    fn note(
        &mut self,
        at: usize,
        lengths: &mut check::Lengths,
        call: &WriteCall,
        written: Option<Written>,
    ) -> Result<(), String> {
        self.trace.push(format!("{at} {call:?} {written:?}"));
        let Some(written) = written else { return Ok(()) };
        let replica = &mut self.replicas[at];
        check::local_write(lengths, call, &written, replica.store.site(), replica.seen)?;
        replica.seen = replica.seen.max(written.stamp.version);
        self.counts.writes += 1;
        self.enter(Event {
            table: call.table.clone(),
            key: call.key.clone(),
            length: written.length.0,
            stamp: written.stamp,
            whole: !matches!(call.write, RowWrite::Update(_)),
            set: written.set,
        });
        Ok(())
    }

    fn enter(&mut self, event: Event) {
        for (column, value) in &event.set {
            let cell = (event.table.clone(), event.key.clone(), event.length, column.clone());
            self.writes.entry(cell).or_default().insert(event.stamp, value.clone());
        }
        self.log.push(event);
    }

    fn check(&self, at: usize, before: &Dump) -> Result<(), String> {
        let after = self.replicas[at].store.dump();
        check::state(before, &after)?;
        check::values(&after, &self.writes)
    }

    /// What a replica tells, as it travels.
    pub fn pack(&self, from: usize, tells: &Tells) -> Result<Packet, String> {
        let batch = match tells {
            Tells::Everything => self.replicas[from].store.changes(|_| true),
            Tells::Since(times) => self.replicas[from].store.changes(|stamp| {
                let author = self.replicas.iter().position(|replica| replica.store.site() == stamp.site);
                let since = author.and_then(|author| times.get(author));
                since.is_some_and(|since| {
                    stamp.version.millis().0 > START_MILLIS.saturating_add_signed(*since)
                })
            }),
        };
        if !self.options.wire {
            return Ok(Packet::Values(batch));
        }
        let message = Message::Payload(batch);
        let bytes = wire::encode(&message).map_err(|error| format!("encoding failed: {error}"))?;
        Ok(Packet::Bytes(bytes, message))
    }

    fn deliver(&mut self, message: usize, again: bool) -> Result<(), String> {
        let Some(at) = message.checked_rem(self.on_the_way.len()) else { return Ok(()) };
        let (to, packet) = self.on_the_way.remove(at);
        let merged = self.merge(to, &packet)?;
        if again || !merged {
            self.on_the_way.push((to, packet));
        }
        Ok(())
    }

    /// Merges a message; false if the replica crashed, and then it is as before.
    pub fn merge(&mut self, at: usize, packet: &Packet) -> Result<bool, String> {
        let mut batch = match packet {
            Packet::Values(batch) => batch.clone(),
            Packet::Bytes(bytes, sent) => match wire::decode(bytes) {
                Ok(Message::Payload(batch)) if Message::Payload(batch.clone()) == *sent => batch,
                other => return Err(format!("{sent:?} became {other:?} on the wire")),
            },
        };
        let highest = batch.highest();
        let present = Present { now: self.clock_of(at), max_drift: DEFAULT_MAX_DRIFT };
        let before = self.replicas[at].store.dump();
        let replica = &mut self.replicas[at];
        let backup = replica.store.clone();
        replica.store.fail_after(replica.crash.take());
        let outcome = match merge_batch(&mut replica.store, &mut batch, present) {
            Ok(outcome) => outcome,
            Err(MemError::Crashed) => {
                replica.store = backup;
                self.counts.crashed += 1;
                self.trace.push(format!("{at} crashed"));
                return Ok(false);
            }
            Err(MemError::Core(error)) => return Err(format!("merging failed: {error}")),
        };
        replica.store.fail_after(None);
        self.trace.push(format!("{at} {outcome:?}"));
        self.counts.merged += 1;
        let mut lengths = check::lengths(&before);
        for (call, written) in self.replicas[at].store.take_raced() {
            self.counts.raced += usize::from(written.is_some());
            self.note(at, &mut lengths, &call, written)?;
        }
        let replica = &mut self.replicas[at];
        replica.seen = replica.seen.max(highest);
        self.check(at, &before)?;
        Ok(true)
    }
}

/// The table as one replica has it: no two replicas number or order its columns alike.
fn schema_at(table: &TableSpec, replica: usize) -> TableSchema {
    let names = table.column_names().into_iter().take(table.early());
    let mut columns: Vec<Column> = names
        .enumerate()
        .map(|(at, name)| Column { name, id: ColumnId((at * 3 + replica * 7) as u16) })
        .collect();
    let turn = replica.checked_rem(columns.len()).unwrap_or(0);
    columns.rotate_left(turn);
    TableSchema {
        name: table.name.clone(),
        algorithm: table.algorithm,
        key: table.key_names(),
        columns,
        texts: Vec::new(),
    }
}

/// Values with their columns' names, as far as the table has the columns.
fn name_values(table: &TableSpec, columns: usize, values: &[Value]) -> Vec<(String, Value)> {
    table.column_names().into_iter().take(columns).zip(values.iter().cloned()).collect()
}

fn encode_key(values: &[Value]) -> Key {
    Key::encode(values).expect("a scenario's keys are short and without NULL")
}
