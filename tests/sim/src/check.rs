//! What must hold at every step, not only in the end.

use std::collections::BTreeMap;

use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::SiteId;
use cloudsync_shared::key::Key;
use cloudsync_shared::mem::{Dump, RowWrite, WriteCall, Written};
use cloudsync_shared::value::Value;

/// The length of each row's history, by table and key.
pub type Lengths = BTreeMap<(String, Key), u32>;

/// The lengths in a state.
pub fn lengths(dump: &Dump) -> Lengths {
    let rows = dump.iter().flat_map(|(name, table)| {
        table.clocks.iter().map(move |(key, clock)| ((name.clone(), key.clone()), clock.length.0))
    });
    rows.collect()
}

/// Lengths only grow, and within one length so do lives and cells; a row with a clock is there if it
/// is alive and only then.
pub fn state(before: &Dump, after: &Dump) -> Result<(), String> {
    for (name, table) in after {
        for (key, clock) in &table.clocks {
            if clock.length.is_alive() != table.rows.contains_key(key) {
                return Err(format!(
                    "{name} {key:?}: its length is {:?} but the row disagrees",
                    clock.length
                ));
            }
        }
        if let Some(key) = table.rows.keys().find(|key| !table.clocks.contains_key(*key)) {
            return Err(format!("{name} {key:?} has no clock"));
        }
    }
    for (name, table) in before {
        for (key, old) in &table.clocks {
            let Some(new) = after.get(name).and_then(|table| table.clocks.get(key)) else {
                return Err(format!("{name} {key:?} lost its clock"));
            };
            let same_life = new.length == old.length;
            if new.length < old.length || (same_life && new.life < old.life) {
                return Err(format!("the clock of {name} {key:?} moved back: from {old:?} to {new:?}"));
            }
            if let Some((column, _)) =
                old.cells.iter().find(|(column, stamp)| same_life && new.cells.get(*column) < Some(stamp))
            {
                return Err(format!("cell {column} of {name} {key:?} moved back: from {old:?} to {new:?}"));
            }
        }
    }
    Ok(())
}

/// What was written, by table, row, length of the row's history, column and stamp.
pub type Writes = BTreeMap<(String, Key, u32, String), BTreeMap<Stamp<SiteId>, Value>>;

/// Every cell holds what was written with its stamp, and NULL if that is no write at all.
pub fn values(state: &Dump, writes: &Writes) -> Result<(), String> {
    for (name, table) in state {
        for (key, row) in &table.rows {
            let Some(clock) = table.clocks.get(key) else { continue };
            for (column, value) in row {
                let stamp = clock.cells.get(column).copied().unwrap_or(Stamp::NEVER);
                let cell = (name.clone(), key.clone(), clock.length.0, column.clone());
                let written = writes.get(&cell).and_then(|writes| writes.get(&stamp));
                if written.or((stamp == Stamp::NEVER).then_some(&Value::Null)) != Some(value) {
                    return Err(format!(
                        "{name} {key:?} holds {value:?} in {column} with stamp {stamp:?} in length {}, but \
                         {written:?} was written",
                        clock.length.0
                    ));
                }
            }
        }
    }
    Ok(())
}

/// A local write begins or ends a life as it should, is stamped by its own replica, and its version
/// is the present or, if more was seen, one more than the highest version seen.
pub fn local_write(
    lengths: &mut Lengths,
    call: &WriteCall,
    written: &Written,
    site: SiteId,
    seen: Version,
) -> Result<(), String> {
    let length = lengths.entry((call.table.clone(), call.key.clone())).or_insert(0);
    let alive = *length % 2 == 1;
    let expected = match &call.write {
        RowWrite::Insert(_) if !alive => *length + 1,
        RowWrite::Replace(_) if !alive => *length + 1,
        RowWrite::Replace(_) | RowWrite::Update(_) if alive => *length,
        RowWrite::Delete if alive => *length + 1,
        _ => return Err(format!("{call:?} took effect on a row of length {length}")),
    };
    if written.length.0 != expected {
        return Err(format!("{call:?} made length {:?} of {length}", written.length));
    }
    *length = expected;
    let Millis(now) = call.now;
    let version = Version((now << 16).max(seen.0 + 1));
    if written.stamp.version != version || written.stamp.site != site {
        return Err(format!("{call:?} has stamp {:?}, not version {version:?} of {site}", written.stamp));
    }
    Ok(())
}
