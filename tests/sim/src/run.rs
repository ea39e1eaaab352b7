//! A scenario from start to quiet, and what must hold then.

use cloudsync_shared::mem::Dump;

use crate::counts::Counts;
use crate::oracle;
use crate::scenario::{Scenario, Tells};
use crate::world::{Options, World};

/// What a good run gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every step's outcome, for comparing two runs.
    pub trace: Vec<String>,
    /// The state on which all replicas agree.
    pub state: Dump,
    /// What the run met.
    pub counts: Counts,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The index of the action, or nothing if it showed only when all had become quiet.
    pub action: Option<usize>,
    /// What is wrong.
    pub what: String,
}

/// Runs a scenario, then lets everybody tell everything to everybody until nothing changes, and
/// compares the replicas with each other and with the oracle.
///
/// # Errors
/// A promise is broken.
pub fn run(scenario: &Scenario, options: Options) -> Result<Report, Failure> {
    let mut world = World::new(scenario, options);
    for (at, action) in scenario.actions.iter().enumerate() {
        world.act(action).map_err(|what| Failure { action: Some(at), what })?;
    }
    let state = finish(scenario, &mut world).map_err(|what| Failure { action: None, what })?;
    let clocks = || state.values().flat_map(|table| table.clocks.values());
    world.counts.ties = oracle::ties(&world.log);
    world.counts.dead = clocks().filter(|clock| !clock.length.is_alive()).count();
    world.counts.reborn = clocks().filter(|clock| clock.length.0 > 2).count();
    Ok(Report { trace: world.trace, state, counts: world.counts })
}

fn finish(scenario: &Scenario, world: &mut World<'_>) -> Result<Dump, String> {
    world.calm();
    world.add_all_columns();
    become_quiet(scenario, world)?;
    let expected = oracle::expected(&scenario.tables, &world.log);
    all_hold(world, &expected, "after quiet")?;
    // What was late on its way was said before: it tells nothing new, and nothing is written.
    let applied = world.applied();
    for (to, packet) in std::mem::take(&mut world.on_the_way) {
        world.merge(to, &packet)?;
    }
    all_hold(world, &expected, "after late messages")?;
    if world.applied() != applied {
        return Err(format!("late messages wrote {} known rows again", world.applied() - applied));
    }
    Ok(expected)
}

fn become_quiet(scenario: &Scenario, world: &mut World<'_>) -> Result<(), String> {
    // One round spreads what the first replica knows, the second what the last one does; writes that
    // wait for a merge happen in the first.
    const MAX_ROUNDS: usize = 5;
    for _ in 0..MAX_ROUNDS {
        let before = world.dumps();
        for from in 0..scenario.replicas {
            for to in (0..scenario.replicas).filter(|to| *to != from) {
                let packet = world.pack(from, &Tells::Everything)?;
                world.merge(to, &packet)?;
            }
        }
        if world.dumps() == before {
            return Ok(());
        }
    }
    Err(format!("the replicas still change after {MAX_ROUNDS} rounds of telling everything"))
}

fn all_hold(world: &World<'_>, expected: &Dump, when: &str) -> Result<(), String> {
    for (at, dump) in world.dumps().iter().enumerate() {
        for (name, table) in expected {
            let Some(found) = dump.get(name) else { return Err(format!("replica {at} lost table {name}")) };
            if found.rows != table.rows {
                return Err(format!(
                    "{when} replica {at} holds in {name} {:?}, but what was written gives {:?}",
                    found.rows, table.rows
                ));
            }
            if found.clocks != table.clocks {
                return Err(format!(
                    "{when} replica {at} has in {name} the clocks {:?}, but what was written gives {:?}",
                    found.clocks, table.clocks
                ));
            }
        }
    }
    Ok(())
}
