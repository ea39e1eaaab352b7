//! The order of the tables: parents first, and foreign keys that close a circle last.

use std::collections::BTreeSet;

use super::plan::TablePlan;

/// The order in which tables are made.
#[derive(Debug)]
pub(super) struct Order {
    /// Places in the list of tables.
    pub(super) tables: Vec<usize>,
    /// Foreign keys that are added when all tables are there: the table and the place in its list.
    pub(super) late: BTreeSet<(usize, usize)>,
}

/// Orders tables; those that wait for nothing keep the order of the script.
pub(super) fn parents_first(plans: &[TablePlan]) -> Order {
    let mut order = Order { tables: Vec::new(), late: BTreeSet::new() };
    let mut made = vec![false; plans.len()];
    let mut waiting: Vec<usize> = (0..plans.len()).collect();
    while let Some(first) = waiting.first().copied() {
        let is_made = |at: usize| made.get(at).copied().unwrap_or(false);
        let is_ready = |at: &&usize| {
            let keys = plans.get(**at).map_or(&[][..], |plan| plan.foreign_keys.as_slice());
            keys.iter().filter_map(|key| key.parent).all(|parent| parent == **at || is_made(parent))
        };
        // Where all wait for one another, the first breaks the circle.
        let next = waiting.iter().find(is_ready).copied().unwrap_or(first);
        let keys = plans.get(next).map_or(&[][..], |plan| plan.foreign_keys.as_slice());
        for (which, key) in keys.iter().enumerate() {
            let is_missing = key.parent.is_some_and(|parent| parent != next && !is_made(parent));
            if is_missing || key.needs_own_index {
                order.late.insert((next, which));
            }
        }
        if let Some(flag) = made.get_mut(next) {
            *flag = true;
        }
        order.tables.push(next);
        waiting.retain(|at| *at != next);
    }
    order
}
