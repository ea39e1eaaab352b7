//! Every limit and every rule of the format, reached from outside: each is an error of the right kind.

mod wire_support;

use cloudsync_shared::error::ErrorKind::{LimitExceeded, Malformed, Unsupported};
use cloudsync_shared::error::{Error, ErrorKind};
use cloudsync_shared::key::MAX_KEY_BYTES;
use cloudsync_shared::varint::{put_bytes, put_i64, put_u64};
use cloudsync_shared::wire::{decode, limits};
use wire_support::sealed;

const PAYLOAD: u8 = 1;

/// The body of a payload, piece by piece: one table with one column and one living row.
struct Body {
    sites: Vec<u8>,
    tables: Vec<u8>,
    algorithm: Vec<u8>,
    columns: Vec<u8>,
    rows: Vec<u8>,
    keys: Vec<u8>,
    row_ids: Vec<u8>,
    lengths: Vec<u8>,
    lives: Vec<u8>,
    pasts: Vec<u8>,
    presences: Vec<u8>,
    stamps: Vec<u8>,
    values: Vec<u8>,
    texts: Vec<u8>,
    rest: Vec<u8>,
}

impl Default for Body {
    fn default() -> Body {
        let mut sites = vec![1];
        sites.extend_from_slice(&[9; 16]);
        Body {
            sites,
            tables: vec![1, 1, b't'],
            algorithm: vec![1],
            columns: vec![1, 1, b'c'],
            rows: vec![1],
            keys: vec![2, 0, 14],
            row_ids: vec![0, 10],
            lengths: vec![1, 1],
            lives: vec![0, 1, 4],
            pasts: vec![1, 1],
            presences: vec![0],
            stamps: vec![0],
            values: vec![0, 1, 0, 6],
            texts: vec![0],
            rest: Vec::new(),
        }
    }
}

impl Body {
    fn seal(&self) -> Vec<u8> {
        let body = [
            &self.sites[..],
            &self.tables,
            &self.algorithm,
            &self.columns,
            &self.rows,
            &self.keys,
            &self.row_ids,
            &self.lengths,
            &self.lives,
            &self.pasts,
            &self.presences,
            &self.stamps,
            &self.values,
            &self.texts,
            &self.rest,
        ]
        .concat();
        sealed(1, PAYLOAD, 0, body.len(), &body)
    }
}

fn number(number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, number);
    out
}

fn signed(number: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_i64(&mut out, number);
    out
}

fn text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, text);
    out
}

#[track_caller]
fn refused(bytes: &[u8], kind: ErrorKind, says: &str) -> Error {
    let error = decode(bytes).expect_err(says);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "'{error}' does not say '{says}'");
    error
}

#[track_caller]
fn body_refused(kind: ErrorKind, says: &str, spoil: impl FnOnce(&mut Body)) {
    decode(&Body::default().seal()).expect("the body is sound before it is spoiled");
    let mut body = Body::default();
    spoil(&mut body);
    refused(&body.seal(), kind, says);
}

#[test]
fn a_newer_version_or_feature_is_told_apart_from_damage() {
    refused(&sealed(2, PAYLOAD, 0, 2, &[0, 0]), Unsupported, "format version 2");
    refused(&sealed(1, PAYLOAD, 0x8001, 2, &[0, 0]), Unsupported, "0x8000");
    refused(&sealed(1, 99, 0, 2, &[0, 0]), Unsupported, "kind 99");
    refused(&sealed(0, PAYLOAD, 0, 2, &[0, 0]), Malformed, "version 0");
    let mut damaged = sealed(2, PAYLOAD, 0, 2, &[0, 0]);
    damaged[16] = 1;
    refused(&damaged, Malformed, "checksum");
}

#[test]
fn other_bytes_are_not_a_message() {
    refused(b"", Malformed, "too early");
    refused(b"csyn", Malformed, "too early");
    refused(b"SQLite format 3\0 and more", Malformed, "not a cloudsync message");
}

#[test]
fn the_length_in_the_header_is_checked() {
    refused(&sealed(1, PAYLOAD, 0, 3, &[0, 0]), Malformed, "not as long");
    refused(&sealed(1, PAYLOAD, 0, limits::MAX_BODY_BYTES + 1, &[0, 0]), LimitExceeded, "67108864");
    // A claim that no zstd frame of that size can fulfil is refused before memory is given to it.
    refused(&sealed(1, PAYLOAD, 1, limits::MAX_BODY_BYTES, &[0; 100]), Malformed, "too short");
    let frame = zstd::bulk::compress(&[0; 1000], 1).unwrap();
    refused(&sealed(1, PAYLOAD, 1, 999, &frame), Malformed, "expanded");
    refused(&sealed(1, PAYLOAD, 1, 1001, &frame), Malformed, "not as long");
    refused(&sealed(1, PAYLOAD, 1, 2, b"not zstd"), Malformed, "expanded");
}

#[test]
fn counts_are_checked_before_anything_is_allocated() {
    let huge = u64::MAX;
    body_refused(LimitExceeded, "sites", |body| body.sites = number(huge));
    body_refused(Malformed, "more is claimed", |body| body.sites = number(limits::MAX_SITES as u64));
    body_refused(LimitExceeded, "tables", |body| body.tables = number(limits::MAX_TABLES as u64 + 1));
    body_refused(Malformed, "more is claimed", |body| body.tables = number(limits::MAX_TABLES as u64));
    body_refused(LimitExceeded, "columns", |body| body.columns = number(limits::MAX_COLUMNS as u64 + 1));
    body_refused(Malformed, "more is claimed", |body| body.columns = number(limits::MAX_COLUMNS as u64));
    body_refused(LimitExceeded, "rows", |body| body.rows = number(limits::MAX_ROWS as u64 + 1));
    body_refused(Malformed, "more is claimed", |body| body.rows = number(limits::MAX_ROWS as u64));
    body_refused(LimitExceeded, "name", |body| body.tables = [number(1), number(1025)].concat());
    body_refused(Malformed, "too early", |body| {
        body.values = [&[0, 3][..], &number(1 << 30)].concat();
    });
    body_refused(Malformed, "longer than the message", |body| {
        (body.rows, body.keys) = (vec![2], vec![2, 0, 14, 16]);
        (body.row_ids, body.lengths) = (vec![1], vec![1, 2]);
        (body.lives, body.values) = (vec![0, 2, 4, 2], [&[0, 3][..], &number(huge), &number(huge)].concat());
    });
}

#[test]
fn cells_are_limited_over_the_whole_message() {
    let (rows, columns) = (limits::MAX_CELLS / 4096 + 1, 4096);
    let mut body = Body { columns: number(columns as u64), ..Body::default() };
    for column in 0..columns {
        body.columns.extend(text(format!("{column}").as_bytes()));
    }
    body.rows = number(rows as u64);
    body.keys = [&[2, 0][..], &vec![0; rows]].concat();
    body.row_ids = vec![1];
    body.lengths = [number(1), number(rows as u64)].concat();
    body.lives = [&[0][..], &number(rows as u64), &vec![0; rows]].concat();
    body.presences = vec![0; columns];
    refused(&body.seal(), LimitExceeded, "cells");
    // Just within the limit, the cells claimed are still more than the message can hold.
    body.presences[columns - 4..].fill(1);
    refused(&body.seal(), Malformed, "more is claimed");
}

#[test]
fn ranges_are_checked() {
    body_refused(Malformed, "causal length", |body| body.lengths = vec![0, 1]);
    body_refused(Malformed, "causal length", |body| {
        body.lengths = [number((1 << 30) + 1), number(1)].concat();
    });
    body_refused(Malformed, "version", |body| body.lives = vec![0, 1, 3]);
    body_refused(Malformed, "version", |body| {
        body.stamps = [&[1, 0, 1][..], &signed(i64::MAX)].concat();
    });
    body_refused(Malformed, "version", |body| body.stamps = vec![1, 0, 1, 5]);
    body_refused(Malformed, "site", |body| body.lives = vec![1, 1, 4]);
    body_refused(Malformed, "site", |body| body.stamps = vec![1, 2, 1, 0]);
    body_refused(Malformed, "row id", |body| body.row_ids = vec![0, 0]);
    body_refused(Malformed, "row id", |body| body.row_ids = vec![0, 1]);
    body_refused(LimitExceeded, "primary key", |body| {
        body.keys = [&[0][..], &text(&vec![b'k'; MAX_KEY_BYTES + 1])].concat();
    });
}

#[test]
fn what_is_behind_a_row_and_the_lines_of_its_texts_are_checked() {
    body_refused(Malformed, "unknown algorithm", |body| body.algorithm = vec![5]);
    body_refused(Malformed, "site", |body| body.pasts = vec![0, 1, 1, 1, 1]);
    body_refused(Malformed, "behind a row is out of range", |body| body.pasts = vec![0, 1, 0, 0, 1]);
    body_refused(Malformed, "behind a row is empty", |body| body.pasts = vec![0, 0, 1]);
    body_refused(Malformed, "names a site twice", |body| body.pasts = vec![0, 2, 0, 1, 0, 2, 1]);
    body_refused(LimitExceeded, "sites behind one row", |body| {
        body.pasts = [&[0][..], &number(1 << 20)].concat();
    });
    body_refused(Malformed, "no cell", |body| body.texts = vec![1, 1, 0, 0]);
    body_refused(Malformed, "no cell", |body| body.texts = vec![1, 0, 1, 0]);
    body_refused(Malformed, "more is claimed", |body| body.texts = vec![1, 0, 0, 9]);
}

#[test]
fn rules_of_streams_are_checked() {
    body_refused(Malformed, "goes on", |body| body.rest = vec![0]);
    body_refused(Malformed, "too early", |body| body.values = vec![0, 1, 0, 0x80]);
    body_refused(Malformed, "run", |body| body.lengths = vec![1, 0]);
    body_refused(Malformed, "run", |body| body.lengths = vec![1, 2]);
    body_refused(Malformed, "bit beyond", |body| body.presences = vec![2, 2]);
    body_refused(Malformed, "unknown form", |body| body.presences = vec![3]);
    body_refused(Malformed, "unknown form", |body| body.keys = vec![3, 0, 14]);
    body_refused(Malformed, "unknown form", |body| body.stamps = vec![2]);
    body_refused(Malformed, "tag", |body| body.values = vec![0, 0]);
    body_refused(Malformed, "tag", |body| body.values = vec![0, 6]);
    body_refused(Malformed, "tag", |body| body.values = vec![1, 6]);
    body_refused(Malformed, "unknown form", |body| body.values = vec![2, 1]);
    body_refused(Malformed, "one twice", |body| {
        (body.columns, body.presences) = (vec![2, 1, b'c', 1, b'c'], vec![0, 1]);
    });
    // A dead row has no place for a cell: what would be one is left over.
    body_refused(Malformed, "goes on", |body| body.lengths = vec![2, 1]);
}

#[test]
fn rules_of_values_are_checked() {
    body_refused(Malformed, "UTF-8", |body| body.values = vec![0, 3, 1, 0xff]);
    body_refused(Malformed, "UTF-8", |body| body.tables = vec![1, 1, 0xff]);
    body_refused(Malformed, "NaN", |body| body.values = [&[0, 2, 0][..], &[0xff; 8]].concat());
    body_refused(Malformed, "dictionary", |body| {
        body.values = [&[0, 2, 1, 1][..], &[0; 8], &[1]].concat();
    });
    // One character of two bytes, shared by two texts of one byte.
    body_refused(Malformed, "within a character", |body| {
        (body.rows, body.keys) = (vec![2], vec![2, 0, 14, 16]);
        (body.row_ids, body.lengths) = (vec![1], vec![1, 2]);
        (body.lives, body.values) = (vec![0, 2, 4, 2], vec![0, 3, 1, 1, 0xc3, 0xa9]);
    });
}

#[test]
fn rules_of_the_other_messages_are_checked() {
    let message = |kind: u8, pieces: &[&[u8]]| {
        let body = pieces.concat();
        sealed(1, kind, 0, body.len(), &body)
    };
    let site = [9u8; 16];
    decode(&message(6, &[&site, &site, &[0, 0]])).expect("a sound gone request");
    refused(&message(6, &[&site, &site, &[2]]), Malformed, "flag");
    refused(&message(6, &[&site, &site, &[1], &text(b"1:2:x"), &[0]]), Malformed, "snapshot");
    let long = vec![b'1'; limits::MAX_SNAPSHOT_BYTES + 1];
    refused(&message(6, &[&site, &site, &[1], &text(&long), &[0]]), LimitExceeded, "snapshot");
    decode(&message(3, &[&site, &[0, 1, 1, 2], b"23505", &[0, 0, 0]])).expect("a sound refusal");
    refused(&message(3, &[&site, &[0, 1, 1, 2], b"2350a", &[0, 0, 0]]), Malformed, "SQLSTATE");
    refused(&message(3, &[&site, &[0, 1, 1, 5], &[0, 0]]), Malformed, "unknown kind");
    let pull_reply = |next: u8, rest: &[u8]| message(5, &[&site, &[0, 0, next, 0, 0, 0], rest]);
    decode(&pull_reply(2, &[])).expect("a sound reply");
    decode(&pull_reply(2, &[1])).expect("a sound reply that tells what was collected");
    refused(&pull_reply(3, &[]), Malformed, "unknown form");
    refused(&pull_reply(2, &[0]), Malformed, "collected");
    refused(&pull_reply(2, &number(1 << 63)), Malformed, "collected");
    refused(&message(3, &[&site, &number(1 << 47), &[0, 0, 0]]), Malformed, "time");
    let long = number(limits::MAX_REFUSAL_BYTES as u64 + 1);
    refused(&message(3, &[&site, &[0, 1, 1, 2], b"23505", &long]), LimitExceeded, "refusal");
}

#[test]
fn sets_of_row_ids_are_limited() {
    let set = |pieces: &[&[u8]]| {
        let body = [&[9u8; 16][..], &[1, 1, b't'], &pieces.concat()].concat();
        decode(&sealed(1, 7, 0, body.len(), &body))
    };
    let kind = |result: cloudsync_shared::error::Result<_>| result.map_err(|error: Error| error.kind());
    assert!(set(&[&[1, 1, 0]]).is_ok());
    assert_eq!(kind(set(&[&[1, 0, 0]])), Err(Malformed));
    assert_eq!(kind(set(&[&[1], &number(1 << 63), &[0]])), Err(Malformed));
    assert_eq!(kind(set(&[&[1], &number(u64::MAX), &number(u64::MAX)])), Err(Malformed));
    assert_eq!(kind(set(&[&[1, 1], &number(limits::MAX_IDS)])), Err(LimitExceeded));
    assert_eq!(kind(set(&[&number(limits::MAX_ID_RUNS as u64 + 1)])), Err(LimitExceeded));
    let strewn =
        |count: usize| [number(count as u64), number(1 << 16).repeat(count), vec![0; count]].concat();
    assert!(set(&[&strewn(limits::MAX_ID_BLOCKS)]).is_ok());
    assert_eq!(kind(set(&[&strewn(limits::MAX_ID_BLOCKS + 1)])), Err(LimitExceeded));
    assert_eq!(kind(set(&[&number(limits::MAX_ID_RUNS as u64)])), Err(Malformed));
}
