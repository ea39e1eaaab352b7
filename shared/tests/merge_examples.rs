//! The rule and its driver on small stories, each of which went wrong somewhere once.

mod merge_support;

use cloudsync_shared::capture::{LocalWrite, touch};
use cloudsync_shared::change::{CellChange, RowChange};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::error::ErrorKind;
use cloudsync_shared::flow::TableOutcome;
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis, Version};
use cloudsync_shared::id::{CausalLength, RowId, SiteId};
use cloudsync_shared::mem::{Fault, MemError, MemStore, RowWrite, WriteCall, Written};
use cloudsync_shared::port::{RowOutcome, Store};
use cloudsync_shared::schema::{Algorithm, TableSchema};
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::Past;
use merge_support::{COLUMNS, TABLE, batch, grow_only, key, merge_at, replica, schema, site};

const NOON: Millis = Millis(1_760_000_000_000);

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn set(columns: &[(&str, &str)]) -> Vec<(String, Value)> {
    columns.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
}

fn call(now: Millis, write: RowWrite) -> WriteCall {
    WriteCall { now, table: TABLE.into(), key: key(1), write }
}

fn write(store: &mut MemStore, now: Millis, write: RowWrite) -> Written {
    store.write(&call(now, write)).expect("the table takes it").expect("it touches the row")
}

fn tell(from: &MemStore, to: &mut MemStore, now: Millis) -> Vec<TableOutcome> {
    merge_at(to, from.changes(|_| true), now).expect("it merges")
}

fn title(store: &MemStore) -> Option<Value> {
    store.dump()[TABLE].rows.get(&key(1)).map(|row| row["title"].clone())
}

fn at(version: Version, author: SiteId) -> Stamp<SiteId> {
    Stamp { version, site: author }
}

#[test]
fn the_last_in_time_wins_not_the_one_who_typed_most() {
    let (mut busy, mut late) = (replica(0, schema(&COLUMNS, 0)), replica(1, schema(&COLUMNS, 0)));
    write(&mut busy, NOON, RowWrite::Insert(set(&[("title", "draft")])));
    tell(&busy, &mut late, NOON);
    for round in 0..50 {
        write(&mut busy, NOON, RowWrite::Update(set(&[("title", &format!("draft {round}"))])));
    }
    write(&mut late, Millis(NOON.0 + 1), RowWrite::Update(set(&[("title", "final")])));
    tell(&busy, &mut late, NOON);
    tell(&late, &mut busy, NOON);
    assert_eq!(title(&busy), Some(text("final")));
    assert_eq!(busy.dump(), late.dump());
}

#[test]
fn who_has_seen_a_write_writes_after_it_though_its_clock_is_slow() {
    let (mut fast, mut slow) = (replica(0, schema(&COLUMNS, 0)), replica(1, schema(&COLUMNS, 0)));
    write(&mut fast, Millis(NOON.0 + 200_000), RowWrite::Insert(set(&[("title", "fast")])));
    tell(&fast, &mut slow, NOON);
    write(&mut slow, NOON, RowWrite::Update(set(&[("title", "slow")])));
    tell(&slow, &mut fast, Millis(NOON.0 + 200_000));
    assert_eq!(title(&fast), Some(text("slow")));
}

#[test]
fn a_late_update_of_a_former_life_does_not_touch_the_new_one() {
    let (mut a, mut b) = (replica(0, schema(&COLUMNS, 0)), replica(1, schema(&COLUMNS, 0)));
    write(&mut a, NOON, RowWrite::Insert(set(&[("title", "first"), ("body", "old")])));
    tell(&a, &mut b, NOON);
    write(&mut a, NOON, RowWrite::Delete);
    write(&mut a, NOON, RowWrite::Insert(set(&[("title", "second")])));
    write(&mut b, Millis(NOON.0 + 60_000), RowWrite::Update(set(&[("body", "of the first life")])));
    tell(&b, &mut a, NOON);
    tell(&a, &mut b, NOON);
    assert_eq!(a.dump(), b.dump());
    assert_eq!(b.dump()[TABLE].rows[&key(1)]["body"], Value::Null);
}

#[test]
fn a_part_of_a_new_life_leaves_nothing_of_the_old_one() {
    let mut store = replica(0, schema(&COLUMNS, 0));
    write(&mut store, NOON, RowWrite::Insert(set(&[("title", "old"), ("body", "old")])));
    let stamp = at(Version::from_millis(Millis(NOON.0 + 1)), site(1));
    let part = RowChange {
        row_id: None,
        key: key(1),
        length: CausalLength(3),
        life: Stamp::NEVER,
        cells: vec![CellChange { column: 0, stamp, value: text("new") }],
        texts: Vec::new(),
        past: Past::default(),
    };
    merge_at(&mut store, batch(&COLUMNS, vec![part]), NOON).unwrap();
    let row = &store.dump()[TABLE].rows[&key(1)];
    assert_eq!((&row["title"], &row["body"]), (&text("new"), &Value::Null));
}

#[test]
fn a_version_from_too_far_ahead_is_refused_and_nothing_is_written() {
    let (mut ahead, mut here) = (replica(0, schema(&COLUMNS, 0)), replica(1, schema(&COLUMNS, 0)));
    let edge = Millis(NOON.0 + DEFAULT_MAX_DRIFT.0);
    write(&mut ahead, edge, RowWrite::Insert(set(&[("title", "just in time")])));
    tell(&ahead, &mut here, NOON);
    let (before, highest) = (here.dump(), here.highest());
    write(&mut ahead, Millis(edge.0 + 1), RowWrite::Update(set(&[("title", "too early")])));
    match merge_at(&mut here, ahead.changes(|_| true), NOON) {
        Err(MemError::Core(error)) => {
            assert_eq!(error.kind(), ErrorKind::ClockAhead);
            assert!(error.to_string().contains(TABLE), "{error}");
        }
        other => panic!("it was taken: {other:?}"),
    }
    assert_eq!((here.dump(), here.highest()), (before, highest));
    // Some time later it is no future any more.
    tell(&ahead, &mut here, Millis(NOON.0 + 1));
    assert_eq!(here.dump(), ahead.dump());
}

#[test]
fn a_grow_only_table_refuses_updates_and_deletes_here_and_from_others() {
    let mut here = replica(0, grow_only(schema(&COLUMNS, 0)));
    write(&mut here, NOON, RowWrite::Insert(set(&[("title", "stays")])));
    for refused in [
        RowWrite::Update(set(&[("title", "changed")])),
        RowWrite::Replace(set(&[("title", "changed")])),
        RowWrite::Delete,
    ] {
        assert!(matches!(here.write(&call(NOON, refused)), Err(MemError::Core(_))));
    }
    let mut gone = here.changes(|_| true);
    let row = &mut gone.tables[0].rows[0];
    (row.length, row.cells) = (CausalLength(2), Vec::new());
    assert!(merge_at(&mut here, gone, NOON).is_err());
    assert_eq!(title(&here), Some(text("stays")));
}

#[test]
fn replicas_of_another_algorithm_are_refused_by_name() {
    let mut here = replica(0, TableSchema { algorithm: Algorithm::Dws, ..schema(&COLUMNS, 0) });
    let mut other = replica(1, schema(&COLUMNS, 0));
    write(&mut other, NOON, RowWrite::Insert(set(&[("title", "theirs")])));
    let refused = merge_at(&mut here, other.changes(|_| true), NOON).unwrap_err().to_string();
    assert!(refused.contains("algorithm cls there and with dws here"), "{refused}");
    assert_eq!(title(&here), None);
}

#[test]
fn a_write_between_reading_clocks_and_writing_rows_is_not_lost() {
    let (mut a, mut b) = (replica(0, schema(&COLUMNS, 0)), replica(1, schema(&COLUMNS, 0)));
    write(&mut a, NOON, RowWrite::Insert(set(&[("title", "remote"), ("body", "remote")])));
    b.race(call(Millis(NOON.0 + 1), RowWrite::Insert(set(&[("title", "local"), ("body", "local")]))));
    tell(&a, &mut b, NOON);
    assert_eq!(title(&b), Some(text("local")));
    tell(&b, &mut a, NOON);
    assert_eq!(a.dump(), b.dump());
}

#[test]
fn rows_that_stood_in_both_tables_before_they_were_synced_become_one() {
    let base = |number: u8, value: &str| {
        let mut store = MemStore::new(site(number));
        store.create_table(schema(&COLUMNS, 0), vec![(key(1), set(&[("title", value)]))]);
        store
    };
    let (mut a, mut b) = (base(0, "of a"), base(1, "of b"));
    tell(&a, &mut b, NOON);
    tell(&b, &mut a, NOON);
    assert_eq!(a.dump(), b.dump());
    assert_eq!(title(&a), Some(text("of b")), "nobody wrote: the greater site id decides");
    write(&mut a, NOON, RowWrite::Update(set(&[("title", "written")])));
    tell(&a, &mut b, NOON);
    assert_eq!(title(&b), Some(text("written")));
}

#[test]
fn one_row_told_twice_in_a_batch_is_applied_once() {
    let stamp = |counter: u64| at(Version(Version::from_millis(NOON).0 + counter), site(3));
    let told = |counter: u64, column: usize, value: &str| RowChange {
        row_id: None,
        key: key(1),
        length: CausalLength(1),
        life: stamp(0),
        cells: vec![CellChange { column, stamp: stamp(counter), value: text(value) }],
        texts: Vec::new(),
        past: Past::default(),
    };
    let rows = vec![told(2, 0, "newer"), told(1, 0, "older"), told(1, 1, "body")];
    let mut store = replica(0, schema(&COLUMNS, 0));
    let outcome = merge_at(&mut store, batch(&COLUMNS, rows), NOON).unwrap();
    assert_eq!(outcome, [TableOutcome::Rows(vec![RowOutcome::Kept(None)])]);
    let row = &store.dump()[TABLE].rows[&key(1)];
    assert_eq!((&row["title"], &row["body"]), (&text("newer"), &text("body")));
}

#[test]
fn a_table_that_is_not_synced_here_does_not_stop_the_others() {
    let mut store = replica(0, schema(&COLUMNS, 0));
    let mut other = replica(1, schema(&COLUMNS, 0));
    write(&mut other, NOON, RowWrite::Insert(set(&[("title", "there")])));
    let mut told = other.changes(|_| true);
    let mut strange = told.tables[0].clone();
    strange.table = "strange".into();
    told.tables.insert(0, strange);
    let outcomes = merge_at(&mut store, told, NOON).unwrap();
    assert_eq!(outcomes[0], TableOutcome::UnknownTable);
    assert_eq!(title(&store), Some(text("there")));
}

#[test]
fn the_server_names_a_row_once_and_for_all_its_lives() {
    let mut server = MemStore::server(site(0));
    server.create_table(schema(&COLUMNS, 0), Vec::new());
    let mut device = replica(1, schema(&COLUMNS, 0));
    write(&mut device, NOON, RowWrite::Insert(set(&[("title", "first")])));
    let named = [TableOutcome::Rows(vec![RowOutcome::Kept(Some(RowId(1)))])];
    assert_eq!(tell(&device, &mut server, NOON), named);
    write(&mut device, NOON, RowWrite::Delete);
    assert_eq!(tell(&device, &mut server, NOON), [TableOutcome::Rows(vec![RowOutcome::Dead])]);
    write(&mut device, NOON, RowWrite::Insert(set(&[("title", "second")])));
    assert_eq!(tell(&device, &mut server, NOON), named);
    tell(&server, &mut device, NOON);
    assert_eq!(device.changes(|_| true).tables[0].rows[0].row_id, Some(RowId(1)));
}

#[test]
fn a_failure_in_the_middle_is_an_error_of_the_batch() {
    let mut device = replica(1, schema(&COLUMNS, 0));
    write(&mut device, NOON, RowWrite::Insert(set(&[("title", "there")])));
    for calls in 0..4 {
        let mut store = replica(0, schema(&COLUMNS, 0));
        store.fail_after(Some(calls));
        assert!(matches!(merge_at(&mut store, device.changes(|_| true), NOON), Err(MemError::Crashed)));
    }
    let mut store = replica(0, schema(&COLUMNS, 0));
    store.fail_after(Some(4));
    assert!(merge_at(&mut store, device.changes(|_| true), NOON).is_ok());
}

#[test]
fn a_local_write_is_above_its_row_even_if_the_highest_version_was_forgotten() {
    let mut store = replica(0, schema(&COLUMNS, 0));
    let mut other = replica(1, schema(&COLUMNS, 0));
    write(&mut other, Millis(NOON.0 + 60_000), RowWrite::Insert(set(&[("title", "ahead")])));
    tell(&other, &mut store, NOON);
    let clocks = store.clocks(&schema(&COLUMNS, 0), &[&key(1)]).unwrap();
    let clock = clocks[0].clone().unwrap();
    let stored = clock.map_sites(|_| Ok::<_, ()>(cloudsync_shared::id::SiteOrdinal(1))).unwrap();
    let after = touch(Algorithm::Cls, Some(&stored), &LocalWrite::Delete, NOON, Version::NEVER);
    assert!(after.life.version > clock.highest());
}

/// A newer device wrote a column that this one added only later, when the row was here already.
fn device_that_gained_a_column(fault: Fault) -> (MemStore, MemStore) {
    let mut newer = replica(0, schema(&COLUMNS, 0));
    let mut older = replica(1, schema(&COLUMNS[..2], 0)).with_fault(fault);
    write(&mut newer, NOON, RowWrite::Insert(set(&[("title", "t"), ("done", "yes")])));
    tell(&newer, &mut older, NOON);
    older.add_column(TABLE, "done");
    tell(&newer, &mut older, NOON);
    tell(&older, &mut newer, NOON);
    (newer, older)
}

#[test]
fn a_column_added_later_takes_what_others_wrote_in_it_before() {
    let (newer, older) = device_that_gained_a_column(Fault::None);
    assert_eq!(older.dump()[TABLE].rows[&key(1)]["done"], text("yes"));
    assert_eq!(newer.dump(), older.dump());
}

#[test]
fn a_life_that_stood_for_added_columns_too_would_part_replicas_for_ever() {
    let (newer, older) = device_that_gained_a_column(Fault::LateAsEarly);
    assert_eq!(newer.dump()[TABLE].clocks, older.dump()[TABLE].clocks);
    assert_ne!(newer.dump()[TABLE].rows, older.dump()[TABLE].rows);
}

#[test]
fn an_insert_writes_columns_that_were_added_before_it() {
    let (_, mut older) = device_that_gained_a_column(Fault::None);
    let written = write(&mut older, NOON, RowWrite::Replace(set(&[("done", "again")])));
    assert_eq!(older.dump()[TABLE].clocks[&key(1)].cells["done"], written.stamp);
}
