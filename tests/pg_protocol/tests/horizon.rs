//! What was deleted long ago is forgotten: who names it by id is told so, and who comes back with a cursor from
//! before has to start anew.

use std::time::Duration;

use cloudsync_pg_protocol::device::{Device, text};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::change::RowChange;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{CausalLength, RowId};
use cloudsync_shared::message::{Next, PullRequest, RowResult};
use cloudsync_shared::value::Value;
use postgres::Client;

/// How often a collection is tried, with a pause in between: what others have open at the moment holds it up.
const MAX_TRIES: usize = 6000;
const PAUSE: Duration = Duration::from_millis(10);

fn setup(algorithm: &str) -> String {
    format!(
        "CREATE TABLE notes (id text PRIMARY KEY, owner text, body text);
         SELECT cloudsync_init('notes', '{algorithm}');
         GRANT ALL ON notes TO cloudsync_alice, cloudsync_bob;
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON notes USING (owner = current_user);"
    )
}

const COLUMNS: [&str; 2] = ["owner", "body"];

fn key(id: &str) -> [Value; 1] {
    [text(id)]
}

fn count(client: &mut Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).expect("a count").get(0)
}

const CLOCKS: &str = "SELECT count(*) FROM cloudsync.clock_1";
const TOMBSTONES: &str = "SELECT count(*) FROM cloudsync.clock_1 WHERE NOT cloudsync.clock_is_alive(clock)";

/// Collects all that happened until now.
fn collect(root: &mut Client) {
    for _ in 0..MAX_TRIES {
        root.batch_execute("SELECT cloudsync_collect(0)").expect("a collection");
        if count(root, "SELECT count(*) FROM cloudsync.log") == 0 && count(root, TOMBSTONES) == 0 {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("something is never collected");
}

/// A server that has forgotten bob's row `x`, and bob's device, which still holds it.
fn forgotten(name: &str, algorithm: &str) -> (Server, Client, Client, Device) {
    let server = Server::new(name, &setup(algorithm));
    let (mut bob, mut root) = (server.client_as("cloudsync_bob"), server.client());
    let mut device = Device::new(2);
    root.batch_execute("INSERT INTO notes VALUES ('x', 'cloudsync_bob', 'b')").unwrap();
    device.pull(&mut bob, &["notes"]);
    root.batch_execute("DELETE FROM notes").unwrap();
    collect(&mut root);
    (server, bob, root, device)
}

#[test]
fn a_change_that_names_a_forgotten_row_is_no_insert() {
    for (name, algorithm) in [("forgotten_cls", "cls"), ("forgotten_dws", "dws")] {
        let (_server, mut bob, mut root, mut device) = forgotten(name, algorithm);
        let update = device.update(&key("x"), &[(1, text("late"))]);
        let whole = device.insert(&key("x"), &[text("cloudsync_bob"), text("late")]);
        let again = RowChange { length: CausalLength(3), ..whole.clone() };
        let delete = device.delete(&key("x"));
        for change in [update, whole.clone(), again, delete] {
            let named = device.naming(change);
            assert!(named.row_id.is_some());
            let reply = device.push(&mut bob, "notes", &COLUMNS, vec![named.clone()]).unwrap();
            assert_eq!(reply.results[0], [RowResult::Collected], "{algorithm}: {named:?}");
            assert_eq!(count(&mut root, CLOCKS), 0, "{algorithm}: not even a clock is left");
        }
        // Who never heard of it inserts.
        let reply = device.push(&mut bob, "notes", &COLUMNS, vec![whole]).unwrap();
        assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{reply:?}");
    }
}

#[test]
fn where_adds_win_a_write_of_a_forgotten_row_is_an_insert() {
    let (_server, mut bob, mut root, mut device) = forgotten("forgotten_aws", "aws");
    let whole = device.insert(&key("x"), &[text("cloudsync_bob"), text("late")]);
    let named = device.naming(whole);
    let reply = device.push(&mut bob, "notes", &COLUMNS, vec![named]).unwrap();
    assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{reply:?}");
    assert_eq!(count(&mut root, "SELECT count(*) FROM notes WHERE body = 'late'"), 1);
}

#[test]
fn what_stands_under_the_key_of_a_forgotten_row_is_given_to_those_who_may_see_it() {
    let (_server, mut bob, mut root, mut device) = forgotten("forgotten_other", "cls");
    for (owner, sees) in [("cloudsync_alice", false), ("cloudsync_bob", true)] {
        root.batch_execute(&format!("DELETE FROM notes; INSERT INTO notes VALUES ('x', '{owner}', 'new')"))
            .unwrap();
        let (update, delete) = (device.update(&key("x"), &[(1, text("late"))]), device.delete(&key("x")));
        for change in [update, delete] {
            let named = device.naming(change);
            let reply = device.push(&mut bob, "notes", &COLUMNS, vec![named]).unwrap();
            assert_eq!(reply.results[0], [RowResult::Collected], "{owner}");
            assert_eq!(reply.restored.row_count(), usize::from(sees), "{owner}");
        }
        assert_eq!(count(&mut root, "SELECT count(*) FROM notes WHERE body = 'new'"), 1);
    }
}

#[test]
fn an_id_that_was_never_collected_proves_nothing() {
    let (_server, mut bob, _root, mut device) = forgotten("forgotten_never", "cls");
    let row = device.insert(&key("y"), &[text("cloudsync_bob"), text("b")]);
    let named = RowChange { row_id: Some(RowId(1 << 40)), ..row };
    let reply = device.push(&mut bob, "notes", &COLUMNS, vec![named]).unwrap();
    assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{reply:?}");
}

#[test]
fn a_cursor_from_before_the_horizon_has_expired_whatever_its_owner_may_see() {
    let (server, mut bob, _root, mut device) = forgotten("expired", "cls");
    let mut alice = server.client_as("cloudsync_alice");
    let ask = |device: &Device| PullRequest {
        site: device.site,
        epoch: device.epoch,
        tables: vec!["notes".into()],
        from: device.cursor.clone(),
        progress: None,
        held: Vec::new(),
        max_bytes: 1 << 20,
    };
    for client in [&mut bob, &mut alice] {
        let reply = device.pull_page(client, ask(&device)).unwrap();
        assert_eq!(reply.next, Next::Expired);
        assert!(reply.changes.tables.is_empty() && reply.views.is_empty() && !reply.hidden);
        assert!(reply.collected > Version::NEVER);
    }
    // Of all that it holds it may still ask what is gone, and then begin again.
    let from = device.cursor.clone();
    let gone = device.gone(&mut bob, from);
    assert_eq!(gone.gone.len(), 1);
    device.cursor = None;
    device.pull(&mut bob, &["notes"]);
    let reply = device.pull_page(&mut bob, ask(&device)).unwrap();
    assert!(matches!(reply.next, Next::Done(_)));
}

#[test]
fn a_row_that_somebody_holds_is_collected_later() {
    let server = Server::new("held_up", &setup("cls"));
    let (mut root, mut other) = (server.client(), server.client());
    root.batch_execute("INSERT INTO notes VALUES ('x', 'cloudsync_bob', 'b'); DELETE FROM notes").unwrap();
    other.batch_execute("BEGIN; INSERT INTO notes VALUES ('x', 'cloudsync_bob', 'again')").unwrap();
    root.batch_execute("SELECT cloudsync_collect(0)").unwrap();
    other.batch_execute("COMMIT").unwrap();
    collect(&mut root);
    assert_eq!(count(&mut root, CLOCKS), 1);
    assert_eq!(count(&mut root, "SELECT count(*) FROM notes WHERE body = 'again'"), 1);
}
