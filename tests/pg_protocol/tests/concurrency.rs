//! Several backends at once: nothing is missed, nothing newer is overwritten.

use std::thread;
use std::time::Duration;

use cloudsync_pg_protocol::device::{Device, text};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::change::RowChange;
use cloudsync_shared::message::{PushReply, RowResult};
use cloudsync_shared::value::Value;
use postgres::Client;

const ITEMS: &str =
    "CREATE TABLE items (id text PRIMARY KEY, a text, b text, n int8); SELECT cloudsync_init('items')";
const COLUMNS: [&str; 3] = ["a", "b", "n"];

fn key(at: usize) -> Vec<Value> {
    vec![text(&format!("k{at:04}"))]
}

#[test]
fn a_transaction_that_began_first_and_commits_last_is_not_missed() {
    let server = Server::new("commit_order", ITEMS);
    let (mut slow, mut fast, mut reader) = (server.client(), server.client(), server.client());
    let mut device = Device::new(1);
    device.pull(&mut reader, &["items"]);
    let mut transaction = slow.transaction().unwrap();
    transaction.batch_execute("INSERT INTO items VALUES ('slow', 'a')").unwrap();
    fast.batch_execute("INSERT INTO items VALUES ('fast', 'a')").unwrap();
    device.pull(&mut reader, &["items"]);
    assert_eq!(device.count("items"), 1);
    device.pull(&mut reader, &["items"]);
    transaction.commit().unwrap();
    device.pull(&mut reader, &["items"]);
    assert_eq!(device.count("items"), 2);
}

#[test]
fn pages_are_complete_while_writers_write() {
    let server = Server::new("pages", ITEMS);
    let mut client = server.client();
    client
        .batch_execute("INSERT INTO items SELECT 'k' || g, 'a', 'b', 0 FROM generate_series(1, 2000) g")
        .unwrap();
    let mut writer = server.client();
    let writing = thread::spawn(move || {
        for round in 0..100 {
            writer
                .batch_execute(&format!(
                    "UPDATE items SET n = n + 1 WHERE id LIKE 'k%{}'; INSERT INTO items VALUES ('new{round}', 'a', 'b', 0)",
                    round % 10
                ))
                .unwrap();
        }
    });
    let mut device = Device::new(1);
    device.page = 4000;
    let mut pages = 0;
    while !writing.is_finished() {
        pages += device.pull(&mut client, &["items"]).len();
    }
    writing.join().unwrap();
    pages += device.pull(&mut client, &["items"]).len();
    assert!(pages > 10, "{pages} pages");
    let rows = client.query("SELECT id, n FROM items", &[]).unwrap();
    assert_eq!(device.count("items"), rows.len());
    for row in rows {
        let (id, n): (String, i64) = (row.get(0), row.get(1));
        assert_eq!(device.values("items", &[text(&id)]).unwrap()[2], Value::Integer(n), "row {id}");
    }
}

#[test]
fn concurrent_pushes_and_local_writes_lose_nothing() {
    const ROWS: usize = 40;
    const ROUNDS: usize = 60;
    let server = Server::new("writers", ITEMS);
    let mut pushers = Vec::new();
    for number in 1..=3u8 {
        let mut client = server.client();
        pushers.push(thread::spawn(move || {
            let mut device = Device::new(number);
            let mut sent = Vec::new();
            for round in 0..ROUNDS {
                // Each in an order of its own, so that locks are taken criss-cross if at all.
                let rows: Vec<_> = (0..ROWS)
                    .map(|at| (at * 7 + usize::from(number) * 13 + round) % ROWS)
                    .filter(|at| (at + round) % 3 != 0)
                    .map(|at| {
                        device.insert(
                            &key(at),
                            &[text("x"), text(&format!("{number}-{round}")), Value::Integer(0)],
                        )
                    })
                    .collect();
                loop {
                    match device.push(&mut client, "items", &COLUMNS, rows.clone()) {
                        Ok(reply) => {
                            assert_eq!(reply.results[0].len(), rows.len());
                            let refused = format!("{:?}", reply.results);
                            assert!(!refused.contains("Refused"), "{refused}");
                            break;
                        }
                        Err(error) if error.code().is_some_and(|code| code.code().starts_with("40")) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                sent.extend(rows);
            }
            sent
        }));
    }
    let mut local = server.client();
    let writer = thread::spawn(move || {
        for round in 0..ROUNDS * 4 {
            let id = format!("k{:04}", (round * 11) % ROWS);
            let sql =
                "INSERT INTO items VALUES ($1, $2, 'local', 0) ON CONFLICT (id) DO UPDATE SET a = excluded.a";
            local.execute(sql, &[&id, &format!("local-{round}")]).unwrap();
        }
    });
    let sent: Vec<_> = pushers.into_iter().flat_map(|pusher| pusher.join().unwrap()).collect();
    writer.join().unwrap();
    let mut client = server.client();
    let mut device = Device::new(9);
    device.pull(&mut client, &["items"]);
    assert_eq!(device.count("items"), ROWS);
    for (row_key, row) in &device.rows["items"] {
        for (column, cell) in row.cells.iter().enumerate() {
            let pushed = sent.iter().filter(|other| other.key == *row_key).flat_map(|other| &other.cells);
            let newest = pushed.filter(|other| other.column == column).max_by_key(|other| other.stamp);
            let Some(newest) = newest else { continue };
            assert!(cell.stamp >= newest.stamp, "a newer cell was overwritten: {cell:?} < {newest:?}");
            if cell.stamp == newest.stamp {
                assert_eq!(cell.value, newest.value, "clock and value belong together");
            }
        }
    }
}

/// Runs `first` in a transaction, pushes `row` from another connection meanwhile, then commits.
fn overtake(
    server: &Server,
    device: &mut Device,
    row: RowChange,
    first: impl FnOnce(&mut Client),
) -> PushReply {
    let (mut slow, mut fast) = (server.client(), server.client());
    slow.batch_execute("BEGIN").unwrap();
    first(&mut slow);
    thread::scope(|scope| {
        let pushing = scope.spawn(|| device.push(&mut fast, "items", &COLUMNS, vec![row]).unwrap());
        thread::sleep(Duration::from_millis(500));
        assert!(!pushing.is_finished(), "the push waits for the row");
        slow.batch_execute("COMMIT").unwrap();
        pushing.join().unwrap()
    })
}

fn reads(server: &Server, at: usize) -> Vec<Value> {
    let mut device = Device::new(9);
    device.pull(&mut server.client(), &["items"]);
    device.values("items", &key(at)).expect("the row is there")
}

#[test]
fn a_push_that_waited_decides_again() {
    let server = Server::new("waited", ITEMS);
    let (mut one, mut two) = (Device::new(1), Device::new(2));
    let values = |text_of_a: &str| [text(text_of_a), text("b"), Value::Integer(1)];
    let base: Vec<_> = (0..3).map(|at| one.insert(&key(at), &values("base"))).collect();
    one.push(&mut server.client(), "items", &COLUMNS, base).unwrap();

    let older = two.update(&key(0), &[(0, text("older")), (1, text("other cell"))]);
    one.highest = two.highest;
    let newer = one.update(&key(0), &[(0, text("newer"))]);
    overtake(&server, &mut two, older, |client| {
        one.push(client, "items", &COLUMNS, vec![newer]).unwrap();
    });
    assert_eq!(reads(&server, 0)[..2], [text("newer"), text("other cell")], "against a push");

    let older = two.update(&key(1), &[(0, text("older"))]);
    overtake(&server, &mut two, older, |client| {
        client.batch_execute("UPDATE items SET a = 'local' WHERE id = 'k0001'").unwrap();
    });
    assert_eq!(reads(&server, 1)[0], text("local"), "against a local write");

    let older = two.insert(&key(7), &values("older"));
    one.highest = two.highest;
    let newer = one.insert(&key(7), &values("newer"));
    overtake(&server, &mut two, older, |client| {
        one.push(client, "items", &COLUMNS, vec![newer]).unwrap();
    });
    assert_eq!(reads(&server, 7)[0], text("newer"), "of a new row, against a push");

    let older = two.insert(&key(8), &values("older"));
    overtake(&server, &mut two, older, |client| {
        client.batch_execute("INSERT INTO items VALUES ('k0008', 'local')").unwrap();
    });
    assert_eq!(reads(&server, 8)[0], text("local"), "of a new row, against a local write");

    two.pull(&mut server.client(), &["items"]);
    let update = two.update(&key(2), &[(0, text("too late"))]);
    let update = two.naming(update);
    let reply = overtake(&server, &mut two, update, |client| {
        client.batch_execute("DELETE FROM items WHERE id = 'k0002'").unwrap();
    });
    assert_eq!(reply.results[0], [RowResult::Dead], "against a delete");
}
