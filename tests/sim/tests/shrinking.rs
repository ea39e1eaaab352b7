//! A failure is worth what its scenario is worth: small, replayable, ready to paste.

use Action::*;
use Value::*;
use cloudsync_shared::mem::Fault;
use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::value::Value;
use cloudsync_sim::Options;
use cloudsync_sim::generate::generate;
use cloudsync_sim::print::to_rust;
use cloudsync_sim::run::run;
use cloudsync_sim::scenario::{Action, BaseRow, Scenario, TableSpec, Tells};
use cloudsync_sim::shrink::shrink;

fn with_fault(fault: Fault) -> Options {
    Options { fault, ..Options::default() }
}

/// Printed by a failing run of a store that keeps cells of the life before; every kind of value and
/// action was added by hand.
fn pasted() -> Scenario {
    Scenario {
        seed: 0,
        replicas: 2,
        tables: vec![TableSpec {
            name: "notes".into(),
            algorithm: Algorithm::Cls,
            key_columns: 2,
            columns: 2,
            base: vec![BaseRow {
                replica: 0,
                key: vec![Integer(-1), Text("\"\\\0".into())],
                values: vec![Null, Null],
            }],
        }],
        actions: vec![
            Insert {
                replica: 0,
                table: 0,
                key: vec![Integer(0), Text("a".into())],
                values: vec![Text("first".into()), Real(f64::from_bits(0x4028800000000000))],
            },
            Sync { from: 0, to: 1 },
            SetClock { replica: 0, offset: -3 },
            Crash { replica: 0, calls: 2 },
            During(Box::new(Replace {
                replica: 1,
                table: 0,
                key: vec![Integer(-1), Text("\"\\\0".into())],
                values: vec![Null, Null],
            })),
            Delete { replica: 1, table: 0, key: vec![Integer(0), Text("a".into())] },
            Insert {
                replica: 1,
                table: 0,
                key: vec![Integer(0), Text("a".into())],
                values: vec![Blob(vec![0, 255]), Null],
            },
            Wait { millis: 1 },
            Update {
                replica: 1,
                table: 0,
                key: vec![Integer(0), Text("a".into())],
                values: vec![(1, Integer(5))],
            },
            Send { from: 1, to: 0, tells: Tells::Since(vec![0, 0]) },
            Deliver { message: 51, again: true },
            Send { from: 1, to: 0, tells: Tells::Everything },
            Drop { message: 1 },
            Deliver { message: 0, again: false },
        ],
    }
}

#[test]
fn a_printed_scenario_is_its_own_source() {
    let without_layout = |text: &str| text.replace([' ', '\n', ','], "");
    let source = without_layout(include_str!("shrinking.rs"));
    assert!(source.contains(&without_layout(&to_rust(&pasted()))), "{}", to_rust(&pasted()));
}

#[test]
fn a_pasted_scenario_fails_as_it_did() {
    assert!(run(&pasted(), Options::default()).is_ok());
    assert!(run(&pasted(), with_fault(Fault::KeepOldCells)).is_err());
}

#[test]
fn a_failure_shrinks_to_a_few_actions_that_all_matter() {
    for (fault, most) in [
        (Fault::IgnoreBefore, 4),
        (Fault::KeepOldCells, 15),
        (Fault::ForgetObserved, 8),
        (Fault::CaptureApplied, 3),
    ] {
        let options = with_fault(fault);
        let seed = (0..).find(|seed| run(&generate(*seed), options).is_err()).expect("one fails");
        let (small, failure) = shrink(&generate(seed), options).expect("it fails");
        assert_eq!(run(&small, options), Err(failure), "the small one fails as told");
        assert!(small.actions.len() <= most, "{fault:?}: {}", to_rust(&small));
        for at in 0..small.actions.len() {
            let mut smaller = small.clone();
            smaller.actions.remove(at);
            assert!(run(&smaller, options).is_ok(), "{fault:?} fails without action {at} too");
        }
    }
}

#[test]
fn a_good_scenario_does_not_shrink() {
    assert_eq!(shrink(&pasted(), Options::default()), None);
}
