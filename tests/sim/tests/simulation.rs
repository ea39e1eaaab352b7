//! Many seeds: `CLOUDSYNC_SIM_SEEDS=n` runs the first n, `CLOUDSYNC_SIM_SEED=s` runs that one.

use std::env;
use std::ops::Range;

use cloudsync_shared::mem::Fault;
use cloudsync_sim::generate::generate;
use cloudsync_sim::print::to_rust;
use cloudsync_sim::run::run;
use cloudsync_sim::shrink::shrink;
use cloudsync_sim::{Counts, Options};

const SEEDS: u64 = 1_000;
const OPTIONS: Options = Options { wire: true, fault: Fault::None };

fn seeds() -> Range<u64> {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is not a number")))
    };
    match number("CLOUDSYNC_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CLOUDSYNC_SIM_SEEDS").unwrap_or(SEEDS),
    }
}

fn run_seed(seed: u64) -> Counts {
    let scenario = generate(seed);
    match run(&scenario, OPTIONS) {
        Ok(report) => report.counts,
        Err(failure) => {
            let (small, failure) = shrink(&scenario, OPTIONS).unwrap_or((scenario, failure));
            panic!(
                "seed {seed} fails (CLOUDSYNC_SIM_SEED={seed} runs it alone): {}\n\
                 at action {:?} of this scenario, made small:\n{}",
                failure.what,
                failure.action,
                to_rust(&small)
            );
        }
    }
}

#[test]
fn replicas_converge_to_what_the_oracle_says() {
    let seeds = seeds();
    let mut sum = Counts::default();
    for seed in seeds.clone() {
        sum += run_seed(seed);
    }
    println!("{} seeds: {sum:?}", seeds.end - seeds.start);
    if seeds.end - seeds.start >= SEEDS {
        let Counts { writes, raced, merged, crashed, lost, ties, dead, reborn } = sum;
        for (what, count) in [
            ("writes", writes),
            ("raced", raced),
            ("merged", merged),
            ("crashed", crashed),
            ("lost", lost),
            ("ties", ties),
            ("dead", dead),
            ("reborn", reborn),
        ] {
            assert!(count >= 500, "the seeds hardly meet what they are for: {what} {count}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in seeds().take(100) {
        assert_eq!(generate(seed), generate(seed));
        assert_eq!(run(&generate(seed), OPTIONS), run(&generate(seed), OPTIONS), "seed {seed}");
    }
}

/// How many of the first seeds notice a store with this fault.
fn noticed(fault: Fault) -> usize {
    let options = Options { fault, wire: false };
    let noticed = (0..200).filter(|seed| run(&generate(*seed), options).is_err()).count();
    println!("{fault:?}: noticed by {noticed} of 200 seeds");
    noticed
}

#[test]
fn a_store_that_ignores_what_happened_since_it_read_is_noticed() {
    assert!(noticed(Fault::IgnoreBefore) > 10);
}

#[test]
fn a_store_that_forgets_the_versions_of_others_is_noticed() {
    assert!(noticed(Fault::ForgetObserved) > 20);
}

#[test]
fn a_store_that_keeps_cells_of_the_life_before_is_noticed() {
    assert!(noticed(Fault::KeepOldCells) > 0);
}

#[test]
fn a_store_that_takes_columns_added_later_for_written_is_noticed() {
    assert!(noticed(Fault::LateAsEarly) > 20);
}

#[test]
fn a_store_that_captures_what_it_applies_is_noticed() {
    assert!(noticed(Fault::CaptureApplied) > 100);
}
