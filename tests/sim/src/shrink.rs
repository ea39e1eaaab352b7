//! Makes a failing scenario small by leaving out what it fails without.

use crate::run::{Failure, run};
use crate::scenario::Scenario;
use crate::world::Options;

/// The smallest scenario found that still fails, and how it fails; `None` if it does not.
pub fn shrink(scenario: &Scenario, options: Options) -> Option<(Scenario, Failure)> {
    let mut best = (scenario.clone(), run(scenario, options).err()?);
    loop {
        let size = best.0.actions.len();
        drop_actions(&mut best, options);
        drop_base_rows(&mut best, options);
        if best.0.actions.len() == size {
            return Some(best);
        }
    }
}

fn drop_actions(best: &mut (Scenario, Failure), options: Options) {
    let mut step = best.0.actions.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < best.0.actions.len() {
            let mut smaller = best.0.clone();
            let end = (at + step).min(smaller.actions.len());
            smaller.actions.drain(at..end);
            if !take(best, smaller, options) {
                at += step;
            }
        }
        if step == 1 {
            return;
        }
        step = step.div_ceil(2);
    }
}

fn drop_base_rows(best: &mut (Scenario, Failure), options: Options) {
    for table in 0..best.0.tables.len() {
        let mut at = 0;
        while at < best.0.tables[table].base.len() {
            let mut smaller = best.0.clone();
            smaller.tables[table].base.remove(at);
            if !take(best, smaller, options) {
                at += 1;
            }
        }
    }
}

/// Goes on with the smaller one if it fails too.
fn take(best: &mut (Scenario, Failure), smaller: Scenario, options: Options) -> bool {
    match run(&smaller, options) {
        Ok(_) => false,
        Err(failure) => {
            *best = (smaller, failure);
            true
        }
    }
}
