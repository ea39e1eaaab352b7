//! Payloads made by hand, by a user with valid credentials, to hold locks, to make the server allocate, or
//! to have errors quote what is hidden.

use std::thread;
use std::time::{Duration, Instant};

use cloudsync_pg_protocol::device::{Device, changes, text};
use cloudsync_pg_protocol::raw::{self, PUSH_REQUEST, ZSTD, seal};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::message::{Message, PushRequest, RowResult};
use cloudsync_shared::value::Value;
use cloudsync_shared::wire;

const ITEMS: &str = "CREATE TABLE items (id text PRIMARY KEY, v text); SELECT cloudsync_init('items')";

#[test]
fn a_push_gives_up_waiting_for_a_stuck_transaction_and_can_be_repeated() {
    let server = Server::new("stuck", ITEMS);
    let (mut stuck, mut client) = (server.client(), server.client());
    client.batch_execute("INSERT INTO items VALUES ('1', 'a')").unwrap();
    stuck.batch_execute("BEGIN; UPDATE items SET v = 'b'").unwrap();
    let mut device = Device::new(1);
    let rows =
        vec![device.insert(&[text("0")], &[text("mine")]), device.update(&[text("1")], &[(0, text("mine"))])];
    let (mut pusher, sent) = (device.clone(), rows.clone());
    let waiting = thread::spawn(move || {
        let error = pusher.push(&mut client, "items", &["v"], sent).unwrap_err();
        (error.code().unwrap().code().to_owned(), client)
    });
    let began = Instant::now();
    while !waiting.is_finished() && began.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(waiting.is_finished(), "it waits for ever");
    let (code, mut client) = waiting.join().unwrap();
    assert_eq!(code, "55P03");
    let count: i64 = client.query_one("SELECT count(*) FROM items", &[]).unwrap().get(0);
    assert_eq!(count, 1, "nothing of the push stays");
    stuck.batch_execute("COMMIT").unwrap();
    let reply = device.push(&mut client, "items", &["v"], rows).unwrap();
    assert!(reply.results[0].iter().all(|result| matches!(result, RowResult::Accepted(_))), "{reply:?}");
    let timeout: String = client.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
    assert_eq!(timeout, "0", "the session's own setting is as before");
}

#[test]
fn a_small_message_that_expands_without_end_is_refused() {
    let server = Server::new("bomb", ITEMS);
    let mut client = server.client();
    let zeros = vec![0u8; 80 << 20];
    let bomb = zstd::bulk::compress(&zeros, 3).unwrap();
    assert!(bomb.len() < 10_000, "{} bytes", bomb.len());
    assert_eq!(raw::push(&mut client, &seal(PUSH_REQUEST, ZSTD, zeros.len(), &bomb)), "54000", "it says so");
    assert_eq!(
        raw::push(&mut client, &seal(PUSH_REQUEST, ZSTD, 1000, &bomb)),
        "22P03",
        "it claims to be small"
    );
    assert_eq!(
        raw::push(&mut client, &seal(PUSH_REQUEST, ZSTD, 64 << 20, &bomb[..100])),
        "22P03",
        "it is cut"
    );
    let full = zstd::bulk::compress(&zeros[..64 << 20], 3).unwrap();
    assert_eq!(raw::push(&mut client, &seal(PUSH_REQUEST, ZSTD, 64 << 20, &full)), "22P03", "just within");
}

#[test]
fn counts_that_the_message_cannot_hold_are_refused() {
    let server = Server::new("counts", ITEMS);
    let mut client = server.client();
    // The sender, without an epoch; one site; one table of one column: then the number of rows.
    let mut start = vec![7u8; 16];
    start.push(0);
    let device = Device::new(1);
    let empty = |rows: usize, columns: usize| {
        let mut device = device.clone();
        let columns: Vec<String> = (0..columns).map(|at| format!("c{at}")).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let rows = (0..rows).map(|at| device.insert(&[Value::Integer(at as i64)], &[])).collect();
        let changes = ChangeBatch { tables: vec![changes("items", &columns, rows)] };
        Message::PushRequest(PushRequest {
            site: device.site,
            epoch: None,
            changes,
            groups: Vec::new(),
            bases: Vec::new(),
        })
    };
    let body = wire::encode(&empty(0, 1)).unwrap()[wire::HEADER_BYTES..].to_vec();
    assert_eq!(body.last_chunk(), Some(&[0, 0]), "the number of rows comes last, but for the groups");
    for count in [1u64 << 20, (1 << 20) + 1, 1 << 32, u64::MAX] {
        let mut hostile = body[..body.len() - 2].to_vec();
        cloudsync_shared::varint::put_u64(&mut hostile, count);
        hostile.extend([0; 64]);
        let code = raw::push(&mut client, &seal(PUSH_REQUEST, 0, hostile.len(), &hostile));
        assert!(["22P03", "54000"].contains(&code.as_str()), "{count} rows: {code:?}");
    }
    assert!(wire::encode(&empty(1, (1 << 16) + 1)).is_err(), "too many columns to be written");
    let columns = wire::encode(&empty(1, 1 << 16)).unwrap();
    assert_eq!(raw::push(&mut client, &columns), "", "many columns that the table does not have");
}

#[test]
fn ten_thousand_tables_are_too_many_and_thousands_are_answered() {
    let server = Server::new("tables", ITEMS);
    let mut client = server.client();
    let mut device = Device::new(1);
    let mut many = |count: usize| ChangeBatch {
        tables: (0..count)
            .map(|at| changes(&format!("t{at}"), &["v"], vec![device.insert(&[text("k")], &[text("v")])]))
            .collect(),
    };
    let (fits, too_many) = (many(4000), many(10_000));
    let message = Message::PushRequest(PushRequest {
        site: device.site,
        epoch: None,
        changes: too_many,
        groups: Vec::new(),
        bases: Vec::new(),
    });
    assert!(wire::encode(&message).is_err());
    let mut hostile = vec![7u8; 16];
    hostile.extend([0, 0]);
    cloudsync_shared::varint::put_u64(&mut hostile, 10_000);
    hostile.extend(vec![0; 100_000]);
    let code = raw::push(&mut client, &seal(PUSH_REQUEST, 0, hostile.len(), &hostile));
    assert!(["22P03", "54000"].contains(&code.as_str()), "{code:?}");
    let reply = device.push_batch(&mut client, fits).unwrap();
    assert!(reply.results.iter().flatten().all(|result| *result == RowResult::UnknownTable));
}

#[test]
fn more_rows_than_a_server_takes_at_once_are_refused() {
    let server = Server::new("rows", ITEMS);
    let mut client = server.client();
    let mut device = Device::new(1);
    let rows = (0..140_000).map(|at| device.insert(&[text(&at.to_string())], &[text("v")])).collect();
    let error = device.push(&mut client, "items", &["v"], rows).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "54000");
}

#[test]
fn four_million_cells_are_the_most() {
    let server = Server::new("cells", ITEMS);
    let mut client = server.client();
    let mut device = Device::new(1);
    let columns: Vec<String> = (0..65).map(|at| format!("c{at}")).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let nulls = vec![Value::Null; 65];
    let rows: Vec<_> = (0..1 << 16).map(|at| device.insert(&[text(&at.to_string())], &nulls)).collect();
    let batch = ChangeBatch { tables: vec![changes("items", &columns, rows)] };
    let message = Message::PushRequest(PushRequest {
        site: device.site,
        epoch: None,
        changes: batch,
        groups: Vec::new(),
        bases: Vec::new(),
    });
    assert!(wire::encode(&message).is_err(), "2^16 rows of 65 cells cannot be written");
    // Two messages' bodies in one: each fits, both together do not.
    let half = |columns: &[&str], table: &str| {
        let mut device = Device::new(1);
        let nulls = vec![Value::Null; columns.len()];
        let rows = (0..1 << 16).map(|at| device.insert(&[text(&at.to_string())], &nulls)).collect();
        let changes = ChangeBatch { tables: vec![changes(table, columns, rows)] };
        let message = Message::PushRequest(PushRequest {
            site: device.site,
            epoch: None,
            changes,
            groups: Vec::new(),
            bases: Vec::new(),
        });
        let bytes = wire::encode(&message).unwrap();
        let body = if bytes[6] & 1 == 1 {
            zstd::bulk::decompress(&bytes[wire::HEADER_BYTES..], 64 << 20).unwrap()
        } else {
            bytes[wire::HEADER_BYTES..].to_vec()
        };
        // The sender, one site, and the number of tables, which is one; at the end, that no row has a group.
        let at = (17..body.len()).find(|at| body[*at..].starts_with(table.as_bytes())).unwrap() - 2;
        assert_eq!(body[at], 1);
        (body[..at].to_vec(), body[at + 1..].to_vec())
    };
    let (start, first) = half(&columns[..33], "items");
    let (_, second) = half(&columns[..33], "other");
    let body = [&start[..], &[2], &first[..first.len() - 1], &second].concat();
    assert_eq!(raw::push(&mut client, &seal(PUSH_REQUEST, 0, body.len(), &body)), "54000");
}

#[test]
fn no_refusal_and_no_error_quotes_a_hidden_row() {
    let server = Server::new(
        "quotes",
        "CREATE EXTENSION IF NOT EXISTS btree_gist;
         CREATE TABLE parent (id text PRIMARY KEY, who name);
         CREATE TABLE t (id text PRIMARY KEY, who name, u text UNIQUE, n int CHECK (n < 100), f text REFERENCES parent,
            d int4range, q text NOT NULL DEFAULT 'topsecret9', EXCLUDE USING gist (d WITH &&),
            CHECK (id <> 'x' OR q <> 'topsecret9'));
         SELECT cloudsync_init('parent'), cloudsync_init('t');
         ALTER TABLE t ENABLE ROW LEVEL SECURITY;
         ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON t USING (who = current_user);
         CREATE POLICY own ON parent USING (who = current_user);
         GRANT SELECT, INSERT, UPDATE, DELETE ON t, parent TO cloudsync_bob;
         INSERT INTO parent VALUES ('hers', 'cloudsync_alice'), ('his', 'cloudsync_bob');
         INSERT INTO t VALUES ('topsecret1', 'cloudsync_alice', 'topsecret2', 1, 'hers', '[10,20)', 'topsecret3'),
            ('topsecret4', 'cloudsync_alice', NULL, 1, 'his', NULL, 'topsecret5')",
    );
    let mut bob = server.client_as("cloudsync_bob");
    let mut device = Device::new(2);
    let columns = ["who", "u", "n", "f", "d"];
    let row = |device: &mut Device, id: &str, u: &str, n: i64, f: &str, d: &str| {
        device.insert(&[text(id)], &[text("cloudsync_bob"), text(u), Value::Integer(n), text(f), text(d)])
    };
    let rows = vec![
        row(&mut device, "topsecret1", "a", 1, "his", "[50,51)"),
        row(&mut device, "unique", "topsecret2", 1, "his", "[51,52)"),
        row(&mut device, "check", "b", 100, "his", "[52,53)"),
        row(&mut device, "x", "b2", 10, "his", "[58,59)"),
        row(&mut device, "foreign", "c", 1, "none", "[53,54)"),
        row(&mut device, "exclusion", "d", 1, "his", "[15,16)"),
        row(&mut device, "fine", "e", 1, "his", "[70,71)"),
    ];
    let reply = device.push(&mut bob, "t", &columns, rows).unwrap();
    let states: Vec<&str> = reply.results[0]
        .iter()
        .map(|result| match result {
            RowResult::Refused(refusal) => refusal.sqlstate.as_str(),
            _ => "accepted",
        })
        .collect();
    assert_eq!(states, ["23505", "23505", "23514", "23514", "23503", "23P01", "accepted"]);
    let delete = device.delete(&[text("his")]);
    let other = device.push(&mut bob, "parent", &["who"], vec![delete]).unwrap();
    assert!(matches!(&other.results[0][0], RowResult::Refused(refusal) if refusal.sqlstate == "23503"));
    for told in [format!("{:?}", reply.results), format!("{other:?}")] {
        for word in ["secret", "contains", "Failing", "Key (", "[10,20)", "conflicts with existing", ".rs"] {
            let own = told.replace("\"topsecret1\"", "");
            assert!(!own.contains(word), "{word} in {told}");
        }
    }
}

#[test]
fn an_error_carries_its_code_and_its_sentence_alone() {
    let server = Server::new(
        "fields",
        "CREATE TABLE t (id text PRIMARY KEY, who name, v text); SELECT cloudsync_init('t');
         CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'the sentence' USING ERRCODE = '57000', DETAIL = 'secret detail',
              HINT = 'secret hint', COLUMN = 'secret', TABLE = 'secret'; END$$;
         CREATE TRIGGER stop BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stop()",
    );
    let mut client = server.client();
    let mut device = Device::new(1);
    let row = device.insert(&[text("k")], &[text("w"), text("v")]);
    let error = device.push(&mut client, "t", &["who", "v"], vec![row]).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.message()), ("57000", "the sentence"));
    assert_eq!((error.detail(), error.hint(), error.where_()), (None, None, None), "{error:?}");
    assert_eq!((error.table(), error.column(), error.constraint()), (None, None, None), "{error:?}");
    assert_eq!((error.schema(), error.datatype()), (None, None), "{error:?}");
    assert!(error.position().is_none(), "{error:?}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    for bytes in [vec![], b"csyn".to_vec(), seal(PUSH_REQUEST, 0, 3, &[1, 2, 3]), seal(99, 0, 0, &[])] {
        let error = client.query_one("SELECT cloudsync_push($1)", &[&bytes]).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!((error.where_(), error.table()), (None, None), "{error:?}");
        assert!(!format!("{error:?}").contains("backtrace"), "{error:?}");
    }
}

/// Each group builds on the one before, and the first falls: they fall one after the other, but what may be
/// repeated for them is bounded.
#[test]
fn groups_that_fall_in_turn_do_not_keep_the_server_busy() {
    let server = Server::new(
        "groups",
        "CREATE TABLE items (id text PRIMARY KEY, parent text REFERENCES items, v int CHECK (v > 0));
         CREATE INDEX ON items (parent);
         SELECT cloudsync_init('items')",
    );
    let mut client = server.client();
    let mut device = Device::new(1);
    // Each group has a row that stands alone, and one that refers to that of the group before.
    let mut push = |groups: u32, alone: u32| {
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for group in 0..groups {
            let parent = if group == 0 { Value::Null } else { text(&format!("{groups}/{}", group - 1)) };
            let v = Value::Integer(i64::from(group > 0));
            rows.push(
                device.insert(&[text(&format!("{groups}/{group}"))], &[Value::Null, Value::Integer(1)]),
            );
            rows.push(device.insert(&[text(&format!("{groups}/child of {group}"))], &[parent, v]));
            numbers.extend([group + 1, group + 1]);
        }
        for at in 0..alone {
            rows.push(
                device.insert(&[text(&format!("{groups} alone {at}"))], &[Value::Null, Value::Integer(1)]),
            );
            numbers.push(0);
        }
        let changes = ChangeBatch { tables: vec![changes("items", &["parent", "v"], rows)] };
        let request =
            PushRequest { site: device.site, epoch: None, changes, groups: vec![numbers], bases: Vec::new() };
        let reply = device.push_request(&mut client, request).unwrap();
        let refused = reply.results[0].iter().filter(|result| matches!(result, RowResult::Refused(_)));
        let stored: i64 = client.query_one("SELECT count(*) FROM items", &[]).unwrap().get(0);
        client.batch_execute("DELETE FROM items").unwrap();
        (refused.count() as u32, stored as u32)
    };
    assert_eq!(push(30, 10), (60, 10), "one after the other");
    assert_eq!(push(5_000, 20_000), (10_000, 20_000), "not one after the other for ever");
}

/// A hundred thousand rows, in groups of which half must fall: twice the work, not a thousand times.
#[test]
fn alternating_refusals_in_one_large_push_are_told_apart() {
    let server = Server::new(
        "alternating",
        "CREATE TABLE items (id text PRIMARY KEY, v int CHECK (v > 0)); SELECT cloudsync_init('items')",
    );
    let mut client = server.client();
    let mut device = Device::new(1);
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    for at in 0..100_000u32 {
        let group = at / 100;
        let falls = group % 2 == 0 && at % 100 == 7;
        rows.push(device.insert(&[text(&at.to_string())], &[Value::Integer(i64::from(!falls))]));
        numbers.push(group + 1);
    }
    let one: Vec<u32> = vec![1; numbers.len()];
    let changes = ChangeBatch { tables: vec![changes("items", &["v"], rows)] };
    for (numbers, stored) in [(one, 0), (numbers, 50_000)] {
        let request = PushRequest {
            site: device.site,
            epoch: None,
            changes: changes.clone(),
            groups: vec![numbers],
            bases: Vec::new(),
        };
        let reply = device.push_request(&mut client, request).unwrap();
        let taken = reply.results[0].iter().filter(|result| matches!(result, RowResult::Accepted(_))).count();
        let count: i64 = client.query_one("SELECT count(*) FROM items", &[]).unwrap().get(0);
        assert_eq!((taken as i64, count), (stored, stored));
    }
}
