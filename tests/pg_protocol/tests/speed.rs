//! How fast: run by name, `cargo test --release -p cloudsync_pg_protocol --test speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use cloudsync_pg_protocol::device::{Device, text};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::change::RowChange;
use cloudsync_shared::message::RowResult;
use cloudsync_shared::value::{Value, uuid_text};

const TABLE: &str =
    "CREATE TABLE tasks (id uuid PRIMARY KEY, owner name, title text, body text, n int, x float8,
        done bool, at timestamptz, amount numeric(10,2));
    SELECT cloudsync_init('tasks');
    ALTER TABLE tasks ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON tasks USING (owner = (SELECT current_user));
    GRANT SELECT, INSERT, UPDATE, DELETE ON tasks TO cloudsync_alice, cloudsync_bob";
const COLUMNS: [&str; 8] = ["owner", "title", "body", "n", "x", "done", "at", "amount"];
const ROWS: usize = 100_000;
/// About a mebibyte of rows.
const CHUNK: usize = 8_000;

fn rows(device: &mut Device) -> Vec<RowChange> {
    (0..ROWS)
        .map(|at| {
            let mut id = [0u8; 16];
            id[..8].copy_from_slice(&(0x0190_a1b2_c3d4_7000_u64 + at as u64).to_be_bytes());
            id[8..].copy_from_slice(&(at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            let values = [
                text("cloudsync_alice"),
                text(&format!("Task number {at}")),
                text("Some words about what is to be done, and by whom"),
                Value::Integer(at as i64),
                Value::Real(at as f64 / 7.0),
                Value::Integer((at % 2) as i64),
                text("2026-02-28 13:14:15.123456+00"),
                text("12.50"),
            ];
            device.insert(&[text(&uuid_text(id))], &values)
        })
        .collect()
}

fn rate(what: &str, rows: usize, time: Duration) {
    println!("{what}: {rows} rows in {time:.2?}, {:.0} rows/s", rows as f64 / time.as_secs_f64());
}

#[test]
#[ignore = "a measurement"]
fn push_and_pull() {
    let server = Server::new("speed", TABLE);
    let mut one = Device::new(1);
    let mut alice = server.client_as("cloudsync_alice");
    let rows = rows(&mut one);
    let mut push = |what: &str, rows: &[RowChange]| {
        let began = Instant::now();
        for chunk in rows.chunks(CHUNK) {
            let reply = one.push(&mut alice, "tasks", &COLUMNS, chunk.to_vec()).unwrap();
            assert!(reply.results[0].iter().all(|result| matches!(result, RowResult::Accepted(_))));
        }
        rate(what, rows.len(), began.elapsed());
    };
    push("push of new rows", &rows);
    push("the same again", &rows);
    let mut newer = Device::new(2);
    let updates: Vec<RowChange> = rows
        .iter()
        .map(|row| {
            let keys = row.key.decode(1).unwrap();
            newer.update(&keys, &[(1, text("changed")), (3, Value::Integer(1))])
        })
        .collect();
    push("push of updates of two columns", &updates);
    server.client().batch_execute("ANALYZE tasks; ANALYZE cloudsync.clock_1").unwrap();
    for page in [1 << 20, 8 << 20] {
        let mut fresh = Device { page, ..Device::new(3) };
        let began = Instant::now();
        let pages = fresh.pull(&mut alice, &["tasks"]).len();
        rate(&format!("fresh pull in {pages} pages"), fresh.count("tasks"), began.elapsed());
        let began = Instant::now();
        let from = fresh.cursor.clone();
        fresh.gone(&mut alice, None);
        rate("which of all are gone", ROWS, began.elapsed());
        fresh.gone(&mut alice, from);
    }
}

#[test]
#[ignore = "a measurement"]
fn one_change_of_a_million() {
    let server = Server::new("million", TABLE);
    let mut root = server.client();
    root.batch_execute(
        "INSERT INTO tasks SELECT gen_random_uuid(), 'cloudsync_alice', 'Task ' || g, 'words', g, g / 7.0, true, now(), 1
            FROM generate_series(1, 1000000) g; ANALYZE",
    )
    .unwrap();
    let mut alice = server.client_as("cloudsync_alice");
    let mut device = Device::new(1);
    // Of no table: only the cursor.
    device.pull(&mut alice, &[]);
    let mut times = Vec::new();
    for n in 0..50 {
        root.batch_execute(&format!(
            "UPDATE tasks SET title = 'new {n}' WHERE id = (SELECT id FROM tasks OFFSET {n} LIMIT 1)"
        ))
        .unwrap();
        let began = Instant::now();
        let pages = device.pull(&mut alice, &["tasks"]);
        times.push(began.elapsed());
        assert_eq!(pages[0].changes.row_count(), 1, "{n}: {pages:?}");
    }
    times.sort();
    println!("one change of a million: median {:.2?}, worst {:.2?}", times[25], times[49]);
}
