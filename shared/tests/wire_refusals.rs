//! Messages that break a rule or a limit are not written.

use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::error::ErrorKind::{self, InvalidInput, LimitExceeded};
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{CausalLength, RowId, SiteId};
use cloudsync_shared::key::{Key, MAX_KEY_BYTES};
use cloudsync_shared::message::{
    Epoch, GoneReply, GoneRequest, Message, Next, PullReply, PushReply, RowResult, Snapshot,
};
use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::Past;
use cloudsync_shared::wire::{encode, limits};

const SITE: SiteId = SiteId([9; 16]);
const EPOCH: Epoch = Epoch([8; 16]);
const LIFE: Stamp<SiteId> = Stamp { version: Version(5), site: SITE };

fn table() -> TableChanges {
    let cell = |column| CellChange { column, stamp: LIFE, value: Value::Integer(1) };
    let row = RowChange {
        row_id: None,
        key: Key::encode(&[Value::Integer(1)]).unwrap(),
        length: CausalLength::FIRST,
        life: LIFE,
        cells: vec![cell(0), cell(1)],
        texts: Vec::new(),
        past: Past::default(),
    };
    TableChanges {
        table: "tasks".into(),
        algorithm: None,
        columns: vec!["a".into(), "b".into()],
        rows: vec![row],
    }
}

#[track_caller]
fn refused(message: &Message, kind: ErrorKind, says: &str) {
    let error = encode(message).expect_err(says);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "'{error}' does not say '{says}'");
}

#[track_caller]
fn table_refused(kind: ErrorKind, says: &str, spoil: impl FnOnce(&mut TableChanges)) {
    let payload = |table| Message::Payload(ChangeBatch { tables: vec![table] });
    encode(&payload(table())).expect("the table is sound before it is spoiled");
    let mut table = table();
    spoil(&mut table);
    refused(&payload(table), kind, says);
}

fn push_reply(results: Vec<RowResult>) -> Message {
    let results = vec![results];
    Message::PushReply(PushReply {
        epoch: EPOCH,
        server_time: Millis(1),
        results,
        restored: ChangeBatch::default(),
        lost: Vec::new(),
    })
}

#[test]
fn rows_keep_their_rules() {
    table_refused(InvalidInput, "table tasks is deleted and yet has cells", |table| {
        table.rows[0].length = CausalLength(2);
    });
    table_refused(InvalidInput, "not sorted", |table| table.rows[0].cells.swap(0, 1));
    table_refused(InvalidInput, "not sorted", |table| table.rows[0].cells[1].column = 0);
    table_refused(InvalidInput, "not named", |table| table.rows[0].cells[1].column = 2);
    table_refused(InvalidInput, "causal length", |table| table.rows[0].length = CausalLength::NEVER);
    table_refused(InvalidInput, "causal length", |table| {
        table.rows[0].length = CausalLength(CausalLength::MAX.0 + 1);
    });
    let beyond = Version(Version::MAX.0 + 1);
    table_refused(InvalidInput, "version", |table| table.rows[0].life.version = beyond);
    table_refused(InvalidInput, "version", |table| table.rows[0].cells[0].stamp.version = beyond);
    table_refused(InvalidInput, "row id", |table| table.rows[0].row_id = Some(RowId(0)));
    table_refused(InvalidInput, "row id", |table| table.rows[0].row_id = Some(RowId(1 << 63)));
    table_refused(InvalidInput, "column twice", |table| table.columns[1] = "a".into());
}

#[test]
fn batches_keep_their_limits() {
    table_refused(LimitExceeded, "primary key", |table| {
        table.rows[0].key = Key(vec![0; MAX_KEY_BYTES + 1]);
    });
    table_refused(LimitExceeded, "name", |table| table.table = "t".repeat(limits::MAX_NAME_BYTES + 1));
    table_refused(LimitExceeded, "name", |table| table.columns[0] = "c".repeat(limits::MAX_NAME_BYTES + 1));
    table_refused(LimitExceeded, "columns", |table| {
        table.columns = (0..=limits::MAX_COLUMNS).map(|column| column.to_string()).collect();
    });
    table_refused(LimitExceeded, "message, in bytes", |table| {
        table.rows[0].cells[0].value = Value::Blob(vec![0; limits::MAX_BODY_BYTES]);
    });
    let tables = vec![TableChanges::default(); limits::MAX_TABLES + 1];
    refused(&Message::Payload(ChangeBatch { tables }), LimitExceeded, "tables");
    refused(&push_reply(vec![RowResult::Dead; limits::MAX_ROWS + 1]), LimitExceeded, "rows");
}

#[test]
fn refusals_keep_their_rules() {
    let refusal = |sqlstate: &str, message: String| {
        push_reply(vec![RowResult::Refused(Refusal { sqlstate: sqlstate.into(), message })])
    };
    encode(&refusal("23505", "m".repeat(limits::MAX_REFUSAL_BYTES))).expect("within the limit");
    refused(&refusal("23505", "m".repeat(limits::MAX_REFUSAL_BYTES + 1)), LimitExceeded, "refusal");
    for sqlstate in ["2350", "235050", "2350a", ""] {
        refused(&refusal(sqlstate, String::new()), InvalidInput, "SQLSTATE");
    }
    refused(&push_reply(vec![RowResult::Accepted(RowId(0))]), InvalidInput, "row id");
}

#[test]
fn snapshots_times_and_sets_keep_their_rules() {
    let request = |from: String, held| {
        Message::GoneRequest(GoneRequest { site: SITE, epoch: EPOCH, from: Some(Snapshot(from)), held })
    };
    encode(&request("1:2:1".into(), Vec::new())).expect("a sound request");
    refused(&request("1:2: 1".into(), Vec::new()), InvalidInput, "snapshot");
    refused(&request("1".repeat(limits::MAX_SNAPSHOT_BYTES + 1), Vec::new()), LimitExceeded, "snapshot");
    let reply = |set| Message::GoneReply(GoneReply { epoch: EPOCH, gone: vec![("tasks".into(), set)] });
    let mut many = roaring::RoaringTreemap::new();
    many.insert_range(1..=limits::MAX_IDS + 1);
    refused(&reply(many), LimitExceeded, "row ids");
    let strewn = (1..=limits::MAX_ID_BLOCKS as u64 + 1).map(|block| block << 16);
    refused(&reply(strewn.collect()), LimitExceeded, "blocks of row ids");
    refused(&reply([0u64].into_iter().collect()), InvalidInput, "row id");
    refused(&reply([1u64 << 63].into_iter().collect()), InvalidInput, "row id");
    let late = PullReply {
        epoch: EPOCH,
        server_time: Millis(limits::MAX_MILLIS.0 + 1),
        views: Vec::new(),
        changes: ChangeBatch::default(),
        hidden: false,
        next: Next::Done(Snapshot("1:1:".into())),
        collected: Version::NEVER,
    };
    refused(&Message::PullReply(late), InvalidInput, "time");
}
