//! What every replica has to hold in the end, computed from the log of all writes and nothing else.
//!
//! This is the definition of the rule in its own words, without clocks, plans or merging: of each row
//! the longest history counts; a row alive by it holds in each column the value that was written last
//! in this life.

use std::collections::{BTreeMap, BTreeSet};

use cloudsync_shared::clock::Stamp;
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::mem::{ClockDump, Dump};
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::Past;

use crate::scenario::TableSpec;

/// One write that some application made, and that its database took.
#[derive(Clone, Debug)]
pub struct Event {
    /// The table.
    pub table: String,
    /// The row.
    pub key: Key,
    /// The length of the row's history with this write.
    pub length: u32,
    /// When and by whom.
    pub stamp: Stamp<SiteId>,
    /// It inserted, replaced or deleted the row: it did not only set columns.
    pub whole: bool,
    /// The columns that it set.
    pub set: Vec<(String, Value)>,
}

/// The state that follows from these writes, whoever told whom what in which order.
pub fn expected(tables: &[TableSpec], events: &[Event]) -> Dump {
    let mut dump: Dump = tables.iter().map(|table| (table.name.clone(), Default::default())).collect();
    for ((name, key), events) in by_row(events) {
        let Some(length) = events.iter().map(|event| event.length).max() else { continue };
        let last: Vec<&Event> = events.into_iter().filter(|event| event.length == length).collect();
        let Some(table) = dump.get_mut(name) else { continue };
        let alive = length % 2 == 1;
        let mut clock = ClockDump {
            length: CausalLength(length),
            life: latest(last.iter().filter(|event| event.whole).map(|event| (event.stamp, ()))).0,
            cells: BTreeMap::new(),
            past: Past::default(),
        };
        if alive {
            let mut row = BTreeMap::new();
            let spec = tables.iter().find(|table| table.name == *name);
            for column in spec.map(TableSpec::column_names).unwrap_or_default() {
                let writes = last.iter().flat_map(|event| event.set.iter().map(|set| (event.stamp, set)));
                let of_column = writes.filter(|(_, (set, _))| *set == column);
                let (stamp, value) = latest(of_column.map(|(stamp, (_, value))| (stamp, value.clone())));
                clock.cells.insert(column.clone(), stamp);
                row.insert(column, value.unwrap_or(Value::Null));
            }
            table.rows.insert(key.clone(), row);
        }
        table.clocks.insert(key.clone(), clock);
    }
    dump
}

/// How many cells were written by two replicas with the same version in the same life: ties that
/// only the site ids decide.
pub fn ties(events: &[Event]) -> usize {
    let cells: BTreeSet<_> = events
        .iter()
        .flat_map(|event| event.set.iter().map(move |(column, _)| (event, column)))
        .map(|(event, column)| {
            (&event.table, &event.key, event.length, column, event.stamp.version, event.stamp.site)
        })
        .collect();
    let sites_apart: BTreeSet<_> = cells
        .iter()
        .map(|(table, key, length, column, version, _)| (table, key, length, column, version))
        .collect();
    cells.len() - sites_apart.len()
}

fn by_row(events: &[Event]) -> BTreeMap<(&String, &Key), Vec<&Event>> {
    let mut rows: BTreeMap<_, Vec<&Event>> = BTreeMap::new();
    for event in events {
        rows.entry((&event.table, &event.key)).or_default().push(event);
    }
    rows
}

/// The latest of these writes by version, then by site; what was never written is NULL.
fn latest<T>(writes: impl Iterator<Item = (Stamp<SiteId>, T)>) -> (Stamp<SiteId>, Option<T>) {
    let mut found = (Stamp::NEVER, None);
    for (stamp, what) in writes {
        let order = |stamp: Stamp<SiteId>| (stamp.version.0, stamp.site.0);
        if order(stamp) > order(found.0) {
            found = (stamp, Some(what));
        }
    }
    found
}
