//! Messages written once and kept: every later build must read them as they were meant, and write
//! the same bytes.
//!
//! A file under `tests/golden/v1` never changes. A new version of the format gets a new folder.

use std::path::PathBuf;

use cloudsync_shared::change::{
    CellChange, ChangeBatch, LostReason, RowChange, TableChanges, TextChange, TextOutcome,
};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{CausalLength, RowId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::{
    CreateReply, CreateRequest, Epoch, GoneReply, GoneRequest, LostText, LostValue, Message, Next, Progress,
    PullReply, PullRequest, PushReply, PushRequest, RowResult, Snapshot, TableWish, View,
};
use cloudsync_shared::port::Refusal;
use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::text::{Delimiter, Document};
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::{Past, Vector};
use cloudsync_shared::wire::{decode, encode};

const ALICE: SiteId = SiteId([0xaa; 16]);
const BOB: SiteId = SiteId([0xbb; 16]);
const EPOCH: Epoch = Epoch([0xee; 16]);
const NOON: Version = Version(0x0198_0000_0000_0000);

fn stamp(later: u64, site: SiteId) -> Stamp<SiteId> {
    Stamp { version: Version(NOON.0 + later), site }
}

fn uuid_key(last: u8) -> Key {
    Key::encode(&[Value::Text(format!("01980000-0000-7000-8000-0000000000{last:02x}"))]).unwrap()
}

fn row(key: Key, length: u32, life: Stamp<SiteId>, cells: Vec<CellChange>) -> RowChange {
    RowChange {
        row_id: None,
        key,
        length: CausalLength(length),
        life,
        cells,
        texts: Vec::new(),
        past: Past::default(),
    }
}

fn cell(column: usize, stamp: Stamp<SiteId>, value: Value) -> CellChange {
    CellChange { column, stamp, value }
}

/// Two rows inserted by Alice, one of which Bob edited, and one deleted.
fn tasks() -> TableChanges {
    let text = |text: &str| Value::Text(text.into());
    let first = vec![
        cell(0, stamp(0, ALICE), text("milk")),
        cell(1, stamp(0, ALICE), Value::Integer(3)),
        cell(2, stamp(0, ALICE), Value::Null),
    ];
    let second =
        vec![cell(0, stamp(1, ALICE), text("h\u{e9}")), cell(1, stamp(0x10_0000, BOB), Value::Integer(-1))];
    TableChanges {
        table: "tasks".into(),
        algorithm: Some(Algorithm::Cls),
        columns: vec!["title".into(), "rank".into(), "note".into()],
        rows: vec![
            row(uuid_key(1), 1, stamp(0, ALICE), first),
            row(uuid_key(2), 1, stamp(1, ALICE), second),
            row(uuid_key(3), 2, stamp(2, BOB), Vec::new()),
        ],
    }
}

/// Every tag, every form of key, row ids on some rows.
fn kinds() -> ChangeBatch {
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(-0.0),
        Value::Text("a\0b".into()),
        Value::Blob(vec![0, 255]),
        Value::Text("00112233-4455-6677-8899-aabbccddeeff".into()),
        Value::Real(f64::NAN),
    ];
    let numbered = values.into_iter().zip(1i64..).map(|(value, number)| {
        let life = stamp(number as u64, ALICE);
        let mut row =
            row(Key::encode(&[Value::Integer(number)]).unwrap(), 1, life, vec![cell(0, life, value)]);
        row.row_id = (number % 2 == 0).then_some(RowId(number as u64 + 100));
        row
    });
    let composite = Key::encode(&[Value::Integer(7), Value::Text("x".into())]).unwrap();
    let tables = vec![
        TableChanges {
            table: "any".into(),
            algorithm: None,
            columns: vec!["v".into()],
            rows: numbered.collect(),
        },
        TableChanges {
            table: "pairs".into(),
            algorithm: Some(Algorithm::Gos),
            columns: Vec::new(),
            rows: vec![row(composite, 3, Stamp::NEVER, Vec::new())],
        },
    ];
    ChangeBatch { tables }
}

/// A living and a deleted row with deletes behind them, and a deleted row that keeps its cells.
fn pasts() -> ChangeBatch {
    let (seen, writes) = (Vector::of([stamp(3, ALICE), stamp(4, BOB)]), Vector::default());
    let past = Past { seen, writes };
    let again = row(uuid_key(1), 3, stamp(5, BOB), vec![cell(0, stamp(5, BOB), Value::Integer(1))]);
    let gone = row(uuid_key(2), 2, stamp(4, BOB), Vec::new());
    let kept = row(uuid_key(3), 2, stamp(1, ALICE), vec![cell(0, stamp(1, ALICE), Value::Integer(2))]);
    let table = |table: &str, algorithm, rows: Vec<RowChange>| TableChanges {
        table: table.into(),
        algorithm: Some(algorithm),
        columns: vec!["v".into()],
        rows: rows.into_iter().map(|row| RowChange { past: past.clone(), ..row }).collect(),
    };
    let never = row(uuid_key(4), 1, stamp(6, ALICE), Vec::new());
    let mut tables =
        vec![table("deletes", Algorithm::Dws, vec![again, gone]), table("adds", Algorithm::Aws, vec![kept])];
    tables.iter_mut().for_each(|table| table.rows.push(never.clone()));
    tables[1].rows[1].past.writes = Vector::of([stamp(5, ALICE)]);
    ChangeBatch { tables }
}

/// A text of three lines, one of which was edited: only that one is told.
fn texts() -> ChangeBatch {
    let delimiter = Delimiter::default();
    let document = Document::implied(stamp(0, ALICE), "a\nb\nc\n", &delimiter).unwrap();
    let edit = document.edit("a\nb\nc\n", "a\nB\nc\n", &delimiter, stamp(9, BOB), None);
    let mut told = row(uuid_key(1), 1, stamp(0, ALICE), vec![cell(0, stamp(9, BOB), Value::Null)]);
    told.texts = vec![TextChange { column: 0, delta: Some(edit.unwrap().1), outcome: TextOutcome::Open }];
    let columns = vec!["body".into()];
    let table =
        TableChanges { table: "notes".into(), algorithm: Some(Algorithm::Cls), columns, rows: vec![told] };
    ChangeBatch { tables: vec![table] }
}

fn ids(ids: &[u64]) -> roaring::RoaringTreemap {
    ids.iter().copied().collect()
}

/// Two groups that span tables, and rows without one.
fn push_request_groups() -> PushRequest {
    let mut pairs = kinds();
    pairs.tables.insert(0, tasks());
    let groups = vec![vec![2, 1, 1], vec![2, 0, 0, 0, 0, 0, 1], vec![2]];
    PushRequest { site: ALICE, epoch: Some(EPOCH), changes: pairs, groups, bases: Vec::new() }
}

/// Bases of some cells of one table; the other table has none.
fn push_request_bases() -> PushRequest {
    let mut request = push_request_groups();
    request.changes.tables.truncate(2);
    request.groups = Vec::new();
    let tasks =
        vec![Some(stamp(0, BOB)), Some(Stamp::NEVER), None, Some(stamp(1, ALICE)), Some(stamp(9, BOB))];
    PushRequest { bases: vec![tasks, Vec::new()], ..request }
}

/// A cell that lost against a newer one, one whose row is gone, and a line of a text.
fn push_reply_lost() -> PushReply {
    let value = Value::Text("theirs".into());
    let (reason, won) = (LostReason::NewerWrite, stamp(3, BOB));
    let newer = LostValue { table: 0, row: 1, column: 2, reason, won, value, line: None };
    let deleted = LostValue { row: 0, reason: LostReason::RowDeleted, value: Value::Null, ..newer.clone() };
    let line = Some(LostText { version: Version(7), text: "mine".into() });
    let line = LostValue { row: 2, reason: LostReason::NewerLine, line, ..newer.clone() };
    PushReply { lost: vec![newer, deleted, line], ..push_reply() }
}

fn push_reply() -> PushReply {
    let refused = Refusal { sqlstate: "42501".into(), message: "not allowed by a policy".into() };
    PushReply {
        epoch: EPOCH,
        server_time: Millis(1_755_820_800_000),
        results: vec![
            vec![RowResult::Accepted(RowId(101)), RowResult::Accepted(RowId(102)), RowResult::Dead],
            vec![RowResult::Refused(refused), RowResult::UnknownTable],
        ],
        restored: ChangeBatch::default(),
        lost: Vec::new(),
    }
}

fn progress() -> Progress {
    Progress { until: Snapshot("783:785:783".into()), table: "tasks".into(), after: RowId(500) }
}

fn pull_request() -> PullRequest {
    PullRequest {
        site: ALICE,
        epoch: Some(EPOCH),
        tables: vec!["tasks".into(), "any".into()],
        from: Some(Snapshot("700:700:".into())),
        progress: Some(progress()),
        max_bytes: 1 << 20,
        held: vec![("any".into(), ids(&[4, 5]))],
    }
}

fn messages() -> Vec<(&'static str, Message)> {
    let batch = || ChangeBatch { tables: vec![tasks()] };
    vec![
        ("payload", Message::Payload(batch())),
        ("payload_kinds", Message::Payload(kinds())),
        ("payload_pasts", Message::Payload(pasts())),
        ("payload_texts", Message::Payload(texts())),
        (
            "push_request",
            Message::PushRequest(PushRequest {
                site: ALICE,
                epoch: None,
                changes: ChangeBatch::default(),
                groups: Vec::new(),
                bases: Vec::new(),
            }),
        ),
        ("push_request_groups", Message::PushRequest(push_request_groups())),
        ("push_request_bases", Message::PushRequest(push_request_bases())),
        ("push_reply", Message::PushReply(push_reply())),
        ("push_reply_lost", Message::PushReply(push_reply_lost())),
        (
            "push_reply_collected",
            Message::PushReply(PushReply {
                results: vec![vec![RowResult::Collected, RowResult::Accepted(RowId(7))]],
                ..push_reply()
            }),
        ),
        ("pull_request", Message::PullRequest(pull_request())),
        (
            "pull_reply",
            Message::PullReply(PullReply {
                epoch: EPOCH,
                server_time: Millis(1_755_820_800_000),
                views: vec![View { columns: 1, rows: 2 }, View { columns: 3, rows: u64::MAX }],
                changes: ChangeBatch::default(),
                hidden: true,
                next: Next::More(progress()),
                collected: Version::NEVER,
            }),
        ),
        (
            "pull_reply_expired",
            Message::PullReply(PullReply {
                epoch: EPOCH,
                server_time: Millis(1_755_820_800_000),
                views: Vec::new(),
                changes: ChangeBatch::default(),
                hidden: false,
                next: Next::Expired,
                collected: Version(0x0198_0000_0000_0000),
            }),
        ),
        (
            "gone_request",
            Message::GoneRequest(GoneRequest {
                site: ALICE,
                epoch: EPOCH,
                from: None,
                held: vec![("tasks".into(), ids(&[1, 2, 3, 10, 1 << 40])), ("any".into(), ids(&[]))],
            }),
        ),
        (
            "gone_reply",
            Message::GoneReply(GoneReply { epoch: EPOCH, gone: vec![("tasks".into(), ids(&[2]))] }),
        ),
        ("create_request", creation()),
        ("create_reply", Message::CreateReply(CreateReply { tables: vec!["tasks".into()] })),
    ]
}

/// A table, and one that it refers to, which the device calls otherwise than the server.
fn creation() -> Message {
    let wish = |name: &str, algorithm, synced_as: &str| TableWish {
        name: name.into(),
        algorithm,
        synced_as: synced_as.into(),
    };
    Message::CreateRequest(CreateRequest {
        script: "CREATE TABLE tasks (id TEXT PRIMARY KEY, list TEXT REFERENCES lists);".into(),
        tables: vec![
            wish("tasks", Algorithm::Cls, "tasks"),
            wish("lists", Algorithm::Gos, "\"my.app\".\"Lists\""),
        ],
    })
}

/// Long enough to be compressed. What zstd writes may differ between its versions, so this one is
/// only read.
fn compressed() -> Message {
    let rows = (0..100u8).map(|index| {
        let life = stamp(u64::from(index), ALICE);
        row(uuid_key(index), 1, life, vec![cell(0, life, Value::Text("the same text".into()))])
    });
    let columns = vec!["title".into()];
    Message::Payload(ChangeBatch {
        tables: vec![TableChanges {
            table: "tasks".into(),
            algorithm: Some(Algorithm::Cls),
            columns,
            rows: rows.collect(),
        }],
    })
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/v1").join(name).with_extension("bin")
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{}: {error}", path(name).display()))
}

#[test]
fn golden_files_read_as_they_were_meant() {
    for (name, message) in messages() {
        assert_eq!(decode(&golden(name)).unwrap(), message, "{name}");
    }
    assert_eq!(decode(&golden("payload_zstd")).unwrap(), compressed());
}

#[test]
fn golden_messages_are_written_as_they_were() {
    for (name, message) in messages() {
        assert_eq!(encode(&message).unwrap(), golden(name), "{name}");
    }
}

#[test]
#[ignore = "writes the golden files that do not exist yet"]
fn write_golden_files() {
    let compressed = [("payload_zstd", compressed())];
    for (name, message) in messages().into_iter().chain(compressed) {
        if !path(name).exists() {
            std::fs::write(path(name), encode(&message).unwrap()).unwrap();
        }
    }
}

/// The second cells of the example's table, put together, are the bytes of the file.
#[test]
fn the_worked_example_is_the_golden_payload() {
    let page =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/wire-format.md"))
            .unwrap();
    let (_, example) = page.split_once("A worked example").expect("the page has an example");
    let mut bytes = Vec::new();
    for line in example.lines().take_while(|line| !line.starts_with("## ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Ok(offset) = usize::from_str_radix(cells.get(1).unwrap_or(&""), 16) else { continue };
        assert_eq!(offset, bytes.len(), "{line}");
        let hex = cells[2].trim_matches('`').split(' ');
        bytes.extend(hex.map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits")));
    }
    assert_eq!(bytes, golden("payload"));
}
