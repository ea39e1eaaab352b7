//! Rows of one push that stand or fall together: the device wrote them in one transaction.
//!
//! All groups are tried at once. If some row of a group was refused and another was not, everything is
//! undone, and done again without these groups; leaving them out may break others that build on them. So
//! the work may be repeated, and what a push may have repeated is bounded.

use std::collections::{HashMap, HashSet};

use cloudsync_shared::change::{ChangeBatch, TableChanges};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::PushRequest;
use cloudsync_shared::port::{Refusal, RowOutcome};

use super::push::{Outcomes, Passes};
use super::refuse::fell_with_others;
use super::sites::SiteNames;
use super::table::Table;
use crate::error::{PgError, SqlState};
use crate::ffi::subxact::in_subtransaction;

/// How many rows a push may have written again because some group did not stand; beyond this all its groups
/// are refused. So one of the largest is done three times, and a small one, as devices send what they send
/// for the last time, as often as it has groups.
const MAX_REPEATED_ROWS: usize = 1 << 17;

/// The groups of a push.
#[derive(Default)]
pub(super) struct Groups {
    /// The group of each row that has one, by table name and key.
    of: HashMap<String, HashMap<Key, u32>>,
}

/// What the rows of a group came to.
#[derive(Clone, Copy, Default)]
struct Tally {
    refused: bool,
    taken: bool,
}

impl Groups {
    /// Reads the groups of a request.
    ///
    /// # Errors
    /// A row is in two of them.
    pub(super) fn of(request: &PushRequest) -> Result<Groups, PgError> {
        let mut groups = Groups::default();
        for (table, numbers) in request.changes.tables.iter().zip(&request.groups) {
            for (row, number) in table.rows.iter().zip(numbers).filter(|(_, number)| **number != 0) {
                let known = groups.of.entry(table.table.clone()).or_default();
                if known.insert(row.key.clone(), *number).is_some_and(|before| before != *number) {
                    let message = "a row of the push is in two groups: no device sends that";
                    return Err(PgError::new(SqlState::INVALID_BINARY, message));
                }
            }
        }
        Ok(groups)
    }

    fn of_row(&self, table: &str, key: &Key) -> Option<u32> {
        self.of.get(table)?.get(key).copied()
    }

    /// The groups with rows of tables that the caller cannot write: they do not stand.
    fn hopeless(&self, writable: &[Table]) -> HashSet<u32> {
        let lacking = self.of.iter().filter(|(name, _)| !is_among(writable, name));
        lacking.flat_map(|(_, rows)| rows.values().copied()).collect()
    }

    /// The groups of which some row was refused and another was not.
    fn mixed(&self, outcomes: &Outcomes) -> HashSet<u32> {
        let mut tallies: HashMap<u32, Tally> = HashMap::new();
        for (table, rows) in &outcomes.rows {
            for (key, outcome) in rows {
                let Some(group) = self.of_row(table, key) else { continue };
                let tally = tallies.entry(group).or_default();
                match outcome {
                    RowOutcome::Refused(_) => tally.refused = true,
                    RowOutcome::Kept(_) | RowOutcome::Dead => tally.taken = true,
                }
            }
        }
        let mixed = tallies.into_iter().filter(|(_, tally)| tally.refused && tally.taken);
        mixed.map(|(group, _)| group).collect()
    }

    /// The rows of a batch without those of some groups.
    fn without(&self, batch: &ChangeBatch, out: &HashSet<u32>) -> ChangeBatch {
        let part = |table: &TableChanges| {
            let is_in = |key: &Key| !self.of_row(&table.table, key).is_some_and(|group| out.contains(&group));
            let rows = table.rows.iter().filter(|row| is_in(&row.key)).cloned().collect();
            TableChanges { rows, columns: table.columns.clone(), table: table.table.clone(), ..*table }
        };
        let tables = batch.tables.iter().map(part).filter(|table| !table.rows.is_empty());
        ChangeBatch { tables: tables.collect() }
    }

    /// Refuses the rows of the groups that did not stand: with the reason of their own, if they have one.
    /// Of tables that cannot be written at all, nothing needs to be said.
    fn refuse(&self, out: &HashSet<u32>, writable: &[Table], mut reasons: Reasons, outcomes: &mut Outcomes) {
        for (table, rows) in self.of.iter().filter(|(name, _)| is_among(writable, name)) {
            let known = outcomes.rows.entry(table.clone()).or_default();
            for (key, _) in rows.iter().filter(|(_, group)| out.contains(group)) {
                let own = reasons.get_mut(table).and_then(|reasons| reasons.remove(key));
                known.insert(key.clone(), RowOutcome::Refused(own.unwrap_or_else(fell_with_others)));
            }
        }
    }

    /// Keeps why rows of these groups were refused.
    fn keep_reasons(&self, of: &HashSet<u32>, outcomes: Outcomes, reasons: &mut Reasons) {
        for (table, rows) in outcomes.rows {
            for (key, outcome) in rows {
                let RowOutcome::Refused(refusal) = outcome else { continue };
                if self.of_row(&table, &key).is_some_and(|group| of.contains(&group)) {
                    reasons.entry(table.clone()).or_default().insert(key, refusal);
                }
            }
        }
    }
}

fn is_among(tables: &[Table], name: &str) -> bool {
    tables.iter().any(|table| table.schema.name == name)
}

/// Why rows were refused, by table name and key.
type Reasons = HashMap<String, HashMap<Key, Refusal>>;

/// Carries out a push so that each group is taken as a whole or refused as a whole.
///
/// # Errors
/// As [`Passes::run`].
pub(super) fn run(passes: Passes<'_>, groups: &Groups, sites: SiteNames) -> Result<Outcomes, PgError> {
    if groups.of.is_empty() {
        return passes.run(sites);
    }
    let mut out = groups.hopeless(passes.tables);
    let mut reasons = Reasons::new();
    let mut left = MAX_REPEATED_ROWS;
    loop {
        let alive = groups.without(&passes.alive, &out);
        let dead = groups.without(&passes.dead, &out);
        let rows = alive.row_count() + dead.row_count();
        let round = Passes { alive, dead, ..passes };
        let mut undone = None;
        let done = in_subtransaction(|| {
            let outcomes = round.run(sites.clone())?;
            let mixed = groups.mixed(&outcomes);
            if mixed.is_empty() {
                return Ok(outcomes);
            }
            undone = Some((mixed, outcomes));
            Err(PgError::internal("cloudsync: a group of rows did not stand"))
        });
        let Some((mixed, outcomes)) = undone else {
            let mut outcomes = done?;
            groups.refuse(&out, passes.tables, reasons, &mut outcomes);
            return Ok(outcomes);
        };
        groups.keep_reasons(&mixed, outcomes, &mut reasons);
        out.extend(mixed);
        match left.checked_sub(rows) {
            Some(rest) => left = rest,
            None => out.extend(groups.of.values().flat_map(|rows| rows.values())),
        }
    }
}
