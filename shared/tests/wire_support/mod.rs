//! Generators of arbitrary messages, shared by the tests of the wire format.
#![allow(dead_code, reason = "each test file uses a part")]

use cloudsync_shared::change::{
    CellChange, ChangeBatch, LostReason, RowChange, TableChanges, TextChange, TextOutcome,
};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{CausalLength, RowId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::{
    Bases, CreateReply, CreateRequest, Epoch, GoneReply, GoneRequest, LostText, LostValue, Message, Next,
    Progress, PullReply, PullRequest, PushReply, PushRequest, RowResult, Snapshot, TableWish, View,
};
use cloudsync_shared::port::Refusal;
use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::text::{Delimiter, Document};
use cloudsync_shared::value::{Value, uuid_text};
use cloudsync_shared::vector::{Past, Vector};
use cloudsync_shared::wire::{HEADER_BYTES, limits};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use roaring::RoaringTreemap;

/// So many cases, and no file of past failures: a failure becomes a named test.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Any message of any kind.
pub fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        3 => batch().prop_map(Message::Payload),
        1 => push_request(),
        2 => push_reply(),
        1 => pull_request(),
        1 => pull_reply(),
        1 => gone_request(),
        1 => (epoch(), id_sets()).prop_map(|(epoch, gone)| Message::GoneReply(GoneReply { epoch, gone })),
        1 => create_request(),
        1 => vec(".{0,8}", 0..4).prop_map(|tables| Message::CreateReply(CreateReply { tables })),
    ]
}

fn create_request() -> impl Strategy<Value = Message> {
    let wish = (".{0,8}", 1..=4u8, ".{0,8}").prop_map(|(name, number, synced_as)| TableWish {
        name,
        algorithm: Algorithm::from_number(number).expect("four algorithms"),
        synced_as,
    });
    (".{0,40}", vec(wish, 0..4))
        .prop_map(|(script, tables)| Message::CreateRequest(CreateRequest { script, tables }))
}

/// Any batch of changes that keeps the rules of its types.
pub fn batch() -> impl Strategy<Value = ChangeBatch> {
    vec(table(), 0..4).prop_map(|tables| ChangeBatch { tables })
}

fn push_request() -> impl Strategy<Value = Message> {
    (
        site(),
        proptest::option::of(epoch()),
        batch(),
        vec(any::<u32>(), 0..8),
        vec(proptest::option::of(stamp()), 0..5),
    )
        .prop_map(|(site, epoch, changes, numbers, bases)| {
            let groups = groups(&changes, &numbers);
            let bases = bases_of(&changes, &bases);
            Message::PushRequest(PushRequest { site, epoch, changes, groups, bases })
        })
}

/// These bases in turn, for every other table; none if all would be `None`.
fn bases_of(changes: &ChangeBatch, bases: &[Option<Stamp<SiteId>>]) -> Vec<Bases> {
    let mut bases = bases.iter().cycle().copied();
    let cells = |table: &TableChanges| table.rows.iter().map(|row| row.cells.len()).sum();
    let of_table = |(at, table)| bases.by_ref().take(if at % 2 == 0 { cells(table) } else { 0 }).collect();
    let all: Vec<Bases> = changes.tables.iter().enumerate().map(of_table).collect();
    let fit =
        all.iter().zip(&changes.tables).all(|(bases, table)| bases.is_empty() || bases.len() == cells(table));
    if fit && all.iter().flatten().any(Option::is_some) { all } else { Vec::new() }
}

/// Groups by these numbers in turn; none if there are no numbers.
fn groups(changes: &ChangeBatch, numbers: &[u32]) -> Vec<Vec<u32>> {
    let highest = changes.row_count() as u32;
    let mut numbers = numbers.iter().cycle().map(|number| number % (highest + 1));
    let of_table = |table: &TableChanges| numbers.by_ref().take(table.rows.len()).collect();
    let groups: Vec<Vec<u32>> = changes.tables.iter().map(of_table).collect();
    let fit = groups.iter().zip(&changes.tables).all(|(numbers, table)| numbers.len() == table.rows.len());
    if fit && groups.iter().flatten().any(|number| *number != 0) { groups } else { Vec::new() }
}

fn push_reply() -> impl Strategy<Value = Message> {
    (epoch(), millis(), vec(vec(row_result(), 0..12), 0..4), batch(), vec(lost(), 0..5)).prop_map(
        |(epoch, server_time, results, restored, lost)| {
            Message::PushReply(PushReply { epoch, server_time, results, restored, lost })
        },
    )
}

fn lost() -> impl Strategy<Value = LostValue> {
    let whole = prop_oneof![Just(LostReason::NewerWrite), Just(LostReason::RowDeleted)];
    let line = (stamp(), ".{0,8}").prop_map(|(stamp, text)| LostText { version: stamp.version, text });
    let lost = prop_oneof![
        whole.prop_map(|reason| (reason, None)),
        line.prop_map(|line| (LostReason::NewerLine, Some(line)))
    ];
    (any::<[u32; 3]>(), lost, stamp(), value(8)).prop_map(
        |([table, row, column], (reason, line), won, value)| LostValue {
            table,
            row,
            column,
            reason,
            won,
            value,
            line,
        },
    )
}

fn pull_request() -> impl Strategy<Value = Message> {
    use proptest::option;
    (
        site(),
        option::of(epoch()),
        vec(".{0,12}", 0..4),
        option::of(snapshot()),
        option::of(progress()),
        any::<u32>(),
        id_sets(),
    )
        .prop_map(|(site, epoch, tables, from, progress, max_bytes, held)| {
            Message::PullRequest(PullRequest { site, epoch, tables, from, progress, max_bytes, held })
        })
}

fn pull_reply() -> impl Strategy<Value = Message> {
    let next =
        prop_oneof![progress().prop_map(Next::More), snapshot().prop_map(Next::Done), Just(Next::Expired)];
    let collected = prop_oneof![Just(Version::NEVER), (1..=Version::MAX.0).prop_map(Version)];
    let view = any::<(u64, u64)>().prop_map(|(columns, rows)| View { columns, rows });
    (epoch(), millis(), vec(view, 0..4), batch(), any::<bool>(), next, collected).prop_map(
        |(epoch, server_time, views, changes, hidden, next, collected)| {
            Message::PullReply(PullReply { epoch, server_time, views, changes, hidden, next, collected })
        },
    )
}

fn gone_request() -> impl Strategy<Value = Message> {
    (site(), epoch(), proptest::option::of(snapshot()), id_sets())
        .prop_map(|(site, epoch, from, held)| Message::GoneRequest(GoneRequest { site, epoch, from, held }))
}

fn table() -> impl Strategy<Value = TableChanges> {
    let algorithm = prop_oneof![Just(None), select(&Algorithm::ALL[..]).prop_map(Some)];
    (".{0,12}", algorithm, btree_set(".{0,8}", 0..6), any::<bool>()).prop_flat_map(
        |(table, algorithm, columns, whole)| {
            let columns: Vec<String> = columns.into_iter().collect();
            (Just((table, algorithm)), rows(columns.len(), whole), Just(columns)).prop_map(
                |((table, algorithm), rows, columns)| TableChanges { table, algorithm, columns, rows },
            )
        },
    )
}

/// Rows of one table: keys mostly of one kind, row ids sometimes, and cells of some or all columns.
fn rows(columns: usize, whole: bool) -> impl Strategy<Value = Vec<RowChange>> {
    (0u8..4, 0u8..3, vec(value_kind(), columns..=columns))
        .prop_flat_map(move |(keys, ids, kinds)| vec(row(keys, ids, kinds, whole), 0..40))
}

fn row(keys: u8, ids: u8, kinds: Vec<u8>, whole: bool) -> impl Strategy<Value = RowChange> {
    let id = match ids {
        0 => Just(None).boxed(),
        1 => row_id().prop_map(Some).boxed(),
        _ => proptest::option::of(row_id()).boxed(),
    };
    let cells: Vec<_> = kinds.into_iter().map(move |kind| cell(kind, whole)).collect();
    (id, key(keys), length(), stamp(), past(), cells).prop_map(|(row_id, key, length, life, past, cells)| {
        let cells = cells.into_iter().enumerate().filter_map(|(column, cell)| {
            let (stamp, value) = cell.filter(|_| length.is_alive() || !past.is_empty())?;
            Some(CellChange { column, stamp: stamp.unwrap_or(life), value })
        });
        let cells: Vec<CellChange> = cells.collect();
        let texts = cells.first().filter(|cell| cell.value == Value::Null && !past.is_empty()).map(text);
        RowChange { row_id, key, length, life, cells, texts: texts.into_iter().collect(), past: past.clone() }
    })
}

/// Lines that are told of a cell.
fn text(cell: &CellChange) -> TextChange {
    let delimiter = Delimiter::default();
    let document = Document::implied(cell.stamp, "one\ntwo\n", &delimiter).expect("a short text");
    let delta = document.whole("one\ntwo\n", &delimiter).expect("it is its own");
    TextChange { column: cell.column, delta: Some(delta), outcome: TextOutcome::Open }
}

/// What is behind a row: mostly nothing.
fn past() -> impl Strategy<Value = Past<SiteId>> {
    let any = (vec(stamp(), 0..4), vec(stamp(), 0..2));
    let any = any.prop_map(|(seen, writes)| Past { seen: Vector::of(seen), writes: Vector::of(writes) });
    prop_oneof![3 => Just(Past::default()), 1 => any]
}

fn cell(kind: u8, whole: bool) -> impl Strategy<Value = Option<(Option<Stamp<SiteId>>, Value)>> {
    if whole {
        return value(kind).prop_map(|value| Some((None, value))).boxed();
    }
    proptest::option::weighted(0.7, (proptest::option::of(stamp()), value(kind))).boxed()
}

/// The kind of a column: one tag, one tag and NULL, few different values, or anything.
fn value_kind() -> impl Strategy<Value = u8> {
    0u8..9
}

fn value(kind: u8) -> BoxedStrategy<Value> {
    let integer = prop_oneof![0i64..300, any::<i64>()].prop_map(Value::Integer);
    let real = prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        Just(f64::NAN),
        Just(-0.0),
        Just(f64::NEG_INFINITY),
        (0i32..9000).prop_map(|cents| f64::from(cents) / 100.0),
    ]
    .prop_map(Value::Real);
    let text = ".{0,24}".prop_map(Value::Text);
    let uuid = any::<[u8; 16]>().prop_map(|bytes| Value::Text(uuid_text(bytes)));
    let blob = vec(any::<u8>(), 0..24).prop_map(Value::Blob);
    let few = (0u8..3).prop_map(|byte| Value::Text(uuid_text([byte; 16])));
    match kind {
        0 => integer.boxed(),
        1 => real.boxed(),
        2 => text.boxed(),
        3 => uuid.boxed(),
        4 => blob.boxed(),
        5 => Just(Value::Null).boxed(),
        6 => prop_oneof![integer, Just(Value::Null)].boxed(),
        7 => few.boxed(),
        _ => prop_oneof![integer, real, text, uuid, blob, Just(Value::Null)].boxed(),
    }
}

fn key(kind: u8) -> BoxedStrategy<Key> {
    let encode = |values: &[Value]| Key::encode(values).expect("no NULL");
    match kind {
        0 => any::<[u8; 16]>().prop_map(move |bytes| encode(&[Value::Text(uuid_text(bytes))])).boxed(),
        1 => any::<i64>().prop_map(move |number| encode(&[Value::Integer(number)])).boxed(),
        2 => (any::<i64>(), ".{0,8}")
            .prop_map(move |(number, text)| encode(&[Value::Integer(number), Value::Text(text)]))
            .boxed(),
        // The wire does not look into keys; whoever applies them does.
        _ => vec(any::<u8>(), 0..20).prop_map(Key).boxed(),
    }
}

fn site() -> impl Strategy<Value = SiteId> {
    prop_oneof![
        8 => (0u8..4).prop_map(|byte| SiteId([byte; 16])),
        1 => any::<[u8; 16]>().prop_map(SiteId),
    ]
}

fn stamp() -> impl Strategy<Value = Stamp<SiteId>> {
    let version = prop_oneof![0..=Version::MAX.0, 0u64..5, Just(Version::MAX.0)];
    (version, site()).prop_map(|(version, site)| Stamp { version: Version(version), site })
}

fn length() -> impl Strategy<Value = CausalLength> {
    prop_oneof![8 => Just(1u32), 2 => 1u32..5, 1 => 1..=CausalLength::MAX.0].prop_map(CausalLength)
}

fn row_id() -> impl Strategy<Value = RowId> {
    prop_oneof![1u64..1000, 1..=i64::MAX as u64].prop_map(RowId)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<[u8; 16]>().prop_map(Epoch)
}

fn millis() -> impl Strategy<Value = Millis> {
    (0..=limits::MAX_MILLIS.0).prop_map(Millis)
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    "[0-9]{1,6}:[0-9]{1,6}:([0-9]{1,6}(,[0-9]{1,6}){0,3})?".prop_map(Snapshot)
}

fn progress() -> impl Strategy<Value = Progress> {
    let after = prop_oneof![Just(RowId(0)), row_id()];
    (snapshot(), ".{0,12}", after).prop_map(|(until, table, after)| Progress { until, table, after })
}

fn row_result() -> impl Strategy<Value = RowResult> {
    prop_oneof![
        4 => row_id().prop_map(RowResult::Accepted),
        1 => Just(RowResult::Dead),
        1 => ("[0-9A-Z]{5}", ".{0,20}")
            .prop_map(|(sqlstate, message)| RowResult::Refused(Refusal { sqlstate, message })),
        1 => Just(RowResult::UnknownTable),
        1 => Just(RowResult::Collected),
    ]
}

fn id_sets() -> impl Strategy<Value = Vec<(String, RoaringTreemap)>> {
    vec((".{0,12}", id_set()), 0..4)
}

/// Some lone ids and some long runs.
fn id_set() -> impl Strategy<Value = RoaringTreemap> {
    (vec(row_id(), 0..30), vec((1u64..1 << 40, 1u64..20_000), 0..4)).prop_map(|(ids, runs)| {
        let mut set: RoaringTreemap = ids.into_iter().map(|id| id.0).collect();
        for (first, length) in runs {
            set.insert_range(first..first + length);
        }
        set
    })
}

/// Puts the right checksum into a message that was tampered with.
pub fn repair_checksum(bytes: &mut [u8]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let (header, body) = bytes.split_at_mut(HEADER_BYTES);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..12]);
    hasher.update(body);
    header[12..].copy_from_slice(&hasher.finalize().to_le_bytes());
}

/// A message made by hand: any kind, features and body, with a sound checksum.
pub fn sealed(version: u8, kind: u8, features: u16, length: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"csyn".to_vec();
    bytes.extend_from_slice(&[version, kind]);
    bytes.extend_from_slice(&features.to_le_bytes());
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(body);
    repair_checksum(&mut bytes);
    bytes
}
