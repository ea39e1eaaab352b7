//! The rule's promises, on generated changes: any order, grouping and repetition of the same
//! changes gives the same clocks and the same values, and those are the maxima of what was told.

mod merge_support;

use std::collections::BTreeMap;

use cloudsync_shared::change::{CellChange, RowChange, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::mem::{ClockDump, MemStore, TableDump};
use cloudsync_shared::merge::{RowAction, join_changes, plan_table};
use cloudsync_shared::port::Store;
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::Past;
use merge_support::{
    COLUMNS, TABLE, assert_not_back, batch, grow_only, key, merge_all, replica, schema, site,
};
use proptest::prelude::*;
use proptest::sample::Index;

/// What stands in a cell depends on the write alone: one stamp, one value.
fn value_of(row: u8, length: CausalLength, column: usize, stamp: Stamp<SiteId>) -> Value {
    if stamp == Stamp::NEVER {
        return Value::Null;
    }
    Value::Text(format!("{row}/{}/{column}/{}/{}", length.0, stamp.version.0, stamp.site))
}

fn any_stamp() -> impl Strategy<Value = Stamp<SiteId>> {
    // Few versions and few sites, so that ties are common; sometimes one that is not known.
    let known =
        (1u64..5, 0u8..3).prop_map(|(version, at)| Stamp { version: Version(version), site: site(at) });
    prop_oneof![9 => known, 1 => Just(Stamp::NEVER)]
}

fn any_change_of(rows: u8, max_length: u32) -> impl Strategy<Value = RowChange> {
    let cells = proptest::collection::btree_map(0..COLUMNS.len(), any_stamp(), 0..=COLUMNS.len());
    (0..rows, 1..=max_length, any_stamp(), cells).prop_map(|(row, length, life, cells)| {
        let length = CausalLength(length);
        let cells = cells.into_iter().filter(|_| length.is_alive()).map(|(column, stamp)| {
            let value = value_of(row, length, column, stamp);
            CellChange { column, stamp, value }
        });
        RowChange {
            row_id: None,
            key: key(row),
            length,
            life,
            cells: cells.collect(),
            texts: Vec::new(),
            past: Past::default(),
        }
    })
}

fn any_changes() -> impl Strategy<Value = Vec<RowChange>> {
    proptest::collection::vec(any_change_of(2, 4), 1..12)
}

/// What a replica has to hold after these changes, in the words of the rule.
fn maxima(changes: &[RowChange], columns: &[&str]) -> TableDump {
    let mut dump = TableDump::default();
    for row in 0u8..2 {
        let of_row = || changes.iter().filter(move |change| change.key == key(row));
        let Some(length) = of_row().map(|change| change.length).max() else { continue };
        let of_life: Vec<&RowChange> = of_row().filter(|change| change.length == length).collect();
        let life = of_life.iter().map(|change| change.life).max().expect("there is one");
        let mut cells = BTreeMap::new();
        if length.is_alive() {
            let mut values = BTreeMap::new();
            for (at, name) in columns.iter().enumerate() {
                let told = of_life.iter().flat_map(|change| &change.cells).filter(|cell| cell.column == at);
                let stamp = told.map(|cell| cell.stamp).max().unwrap_or(Stamp::NEVER);
                cells.insert((*name).to_owned(), stamp);
                values.insert((*name).to_owned(), value_of(row, length, at, stamp));
            }
            dump.rows.insert(key(row), values);
        }
        dump.clocks.insert(key(row), ClockDump { length, life, cells, past: Past::default() });
    }
    dump
}

fn merged(batches: &[Vec<RowChange>]) -> TableDump {
    let mut store = replica(9, schema(&COLUMNS, 0));
    merge_all(&mut store, &COLUMNS, batches);
    store.dump().remove(TABLE).expect("the table is there")
}

fn one_by_one(changes: &[RowChange]) -> Vec<Vec<RowChange>> {
    changes.iter().map(|change| vec![change.clone()]).collect()
}

/// The same changes in another order, some more than once, cut into batches somewhere.
fn delivered_otherwise(changes: &[RowChange], order: &[Index], cuts: &[Index]) -> Vec<Vec<RowChange>> {
    let mut rest = changes.to_vec();
    let mut sent = Vec::new();
    for at in order {
        let change = &changes[at.index(changes.len())];
        sent.push(change.clone());
        rest.retain(|other| other != change);
    }
    sent.extend(rest);
    let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(sent.len())).collect();
    let mut batches = vec![Vec::new()];
    for (at, change) in sent.into_iter().enumerate() {
        if cuts.contains(&at) {
            batches.push(Vec::new());
        }
        batches.last_mut().expect("there is one").push(change);
    }
    batches
}

fn tell_everything(from: &MemStore, to: &mut MemStore) {
    for TableChanges { columns, rows, .. } in from.changes(|_| true).tables {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        merge_all(to, &columns, &[rows]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_replica_holds_the_maxima_of_what_it_was_told(changes in any_changes()) {
        prop_assert_eq!(merged(&one_by_one(&changes)), maxima(&changes, &COLUMNS));
    }

    #[test]
    fn order_repetition_and_grouping_do_not_matter(
        changes in any_changes(),
        order in proptest::collection::vec(any::<Index>(), 0..30),
        cuts in proptest::collection::vec(any::<Index>(), 0..6),
    ) {
        let other = delivered_otherwise(&changes, &order, &cuts);
        prop_assert_eq!(merged(&one_by_one(&changes)), merged(&other));
    }

    #[test]
    fn telling_everything_again_changes_nothing(changes in any_changes()) {
        let mut store = replica(9, schema(&COLUMNS, 0));
        merge_all(&mut store, &COLUMNS, &one_by_one(&changes));
        let before = store.dump();
        merge_all(&mut store, &COLUMNS, &one_by_one(&changes));
        merge_all(&mut store, &COLUMNS, std::slice::from_ref(&changes));
        prop_assert_eq!(store.dump(), before);
    }

    #[test]
    fn what_is_known_is_not_written_again(changes in any_changes()) {
        let schema = schema(&COLUMNS, 0);
        let mut store = replica(9, schema.clone());
        merge_all(&mut store, &COLUMNS, &one_by_one(&changes));
        for change in changes {
            let known = batch(&COLUMNS, vec![change]).tables.remove(0);
            let clocks = store.clocks(&schema, &[&known.rows[0].key]).unwrap();
            let plan = plan_table(&schema, &known, clocks).unwrap();
            prop_assert_eq!(&plan.rows[0].action, &RowAction::Nothing);
        }
    }

    #[test]
    fn clocks_never_move_back(changes in any_changes()) {
        let mut store = replica(9, schema(&COLUMNS, 0));
        let mut before = store.dump();
        for batch in one_by_one(&changes) {
            merge_all(&mut store, &COLUMNS, &[batch]);
            let after = store.dump();
            assert_not_back(&before, &after);
            before = after;
        }
    }

    #[test]
    fn joining_two_changes_agrees_with_applying_both(
        known in any_changes(), first in any_change_of(1, 3), second in any_change_of(1, 3),
    ) {
        let mut joined = first.clone();
        join_changes(None, &mut joined, second.clone());
        let mut at_once = one_by_one(&known);
        at_once.push(vec![joined]);
        let mut both = known;
        both.extend([first, second]);
        prop_assert_eq!(merged(&at_once), merged(&one_by_one(&both)));
    }

    #[test]
    fn joining_is_commutative_associative_and_idempotent(
        a in any_change_of(1, 3), b in any_change_of(1, 3), c in any_change_of(1, 3),
    ) {
        let join = |left: &RowChange, right: &RowChange| {
            let mut joined = left.clone();
            join_changes(None, &mut joined, right.clone());
            joined
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a);
    }

    #[test]
    fn two_replicas_that_tell_each_other_everything_agree(
        left in any_changes(), right in any_changes(),
    ) {
        // Column numbers and their order differ between replicas.
        let mut a = replica(7, schema(&COLUMNS, 0));
        let mut b = replica(8, schema(&[COLUMNS[2], COLUMNS[0], COLUMNS[1]], 40));
        merge_all(&mut a, &COLUMNS, &one_by_one(&left));
        merge_all(&mut b, &COLUMNS, &one_by_one(&right));
        tell_everything(&a, &mut b);
        tell_everything(&b, &mut a);
        prop_assert_eq!(a.dump(), b.dump());
        let all: Vec<RowChange> = left.into_iter().chain(right).collect();
        prop_assert_eq!(&a.dump()[TABLE], &maxima(&all, &COLUMNS));
    }

    #[test]
    fn a_replica_without_a_column_agrees_on_the_others(changes in any_changes()) {
        let mut narrow = replica(9, schema(&COLUMNS[..2], 5));
        merge_all(&mut narrow, &COLUMNS, &one_by_one(&changes));
        prop_assert_eq!(&narrow.dump()[TABLE], &maxima(&changes, &COLUMNS[..2]));
    }

    #[test]
    fn columns_added_later_hold_the_maxima_once_all_is_told_again(
        before in any_changes(), after in any_changes(),
    ) {
        let mut store = replica(9, schema(&COLUMNS[..1], 0));
        merge_all(&mut store, &COLUMNS, &one_by_one(&before));
        COLUMNS[1..].iter().for_each(|column| store.add_column(TABLE, column));
        merge_all(&mut store, &COLUMNS, &one_by_one(&after));
        merge_all(&mut store, &COLUMNS, &one_by_one(&before));
        let all: Vec<RowChange> = before.into_iter().chain(after).collect();
        prop_assert_eq!(&store.dump()[TABLE], &maxima(&all, &COLUMNS));
    }

    #[test]
    fn rows_of_keys_alone_live_and_die(changes in any_changes()) {
        let bare: Vec<RowChange> =
            changes.into_iter().map(|change| RowChange { cells: Vec::new(), ..change }).collect();
        let mut store = replica(9, schema(&[], 0));
        merge_all(&mut store, &[], &one_by_one(&bare));
        prop_assert_eq!(&store.dump()[TABLE], &maxima(&bare, &[]));
    }

    #[test]
    fn grow_only_rows_converge_cell_by_cell(
        changes in proptest::collection::vec(any_change_of(2, 1), 1..12),
    ) {
        let mut forth = replica(9, grow_only(schema(&COLUMNS, 0)));
        merge_all(&mut forth, &COLUMNS, &one_by_one(&changes));
        let mut back = replica(9, grow_only(schema(&COLUMNS, 0)));
        let reversed: Vec<RowChange> = changes.iter().rev().cloned().collect();
        merge_all(&mut back, &COLUMNS, &[reversed]);
        prop_assert_eq!(forth.dump(), back.dump());
        prop_assert_eq!(&forth.dump()[TABLE], &maxima(&changes, &COLUMNS));
    }
}
