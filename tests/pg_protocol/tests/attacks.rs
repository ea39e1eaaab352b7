//! Payloads made by hand, by a user with valid credentials, to learn of hidden rows, to move clocks, or to
//! exhaust counters.

use cloudsync_pg_protocol::device::{Device, changes, now, text};
use cloudsync_pg_protocol::raw;
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::change::{ChangeBatch, RowChange};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{CausalLength, RowId};
use cloudsync_shared::message::{GoneRequest, Message, PushReply, PushRequest, RowResult};
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::Past;
use cloudsync_shared::wire;
use postgres::Client;

const NOTES: &str = "CREATE TABLE notes (id text PRIMARY KEY, owner name, body text);
    SELECT cloudsync_init('notes');
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes USING (owner = current_user);
    GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO cloudsync_alice, cloudsync_bob;
    INSERT INTO notes VALUES ('hidden', 'cloudsync_alice', 'secret'), ('dead', 'cloudsync_alice', 'secret');
    DELETE FROM notes WHERE id = 'dead'";
const COLUMNS: [&str; 2] = ["owner", "body"];
/// A key that the server never had, one that is deleted, one of a row that bob may not see.
const KEYS: [&str; 3] = ["never", "dead", "hidden"];

fn key(id: &str) -> Vec<Value> {
    vec![text(id)]
}

fn clocks(root: &mut Client) -> String {
    let sql = "SELECT string_agg(concat(k1, row_id, cloudsync.clock_json(clock)), ';' ORDER BY k1)
        FROM cloudsync.clock_1";
    root.query_one(sql, &[]).unwrap().get::<_, Option<String>>(0).unwrap_or_default()
}

fn length(root: &mut Client, id: &str) -> i64 {
    let sql =
        "SELECT (cloudsync.clock_json(clock)::json ->> 'length')::int8 FROM cloudsync.clock_1 WHERE k1 = $1";
    root.query_one(sql, &[&id]).unwrap().get(0)
}

/// What the server answers when bob pushes this row alone, for each of [`KEYS`] in a fresh database.
fn answers(name: &str, row: impl Fn(&mut Device, &str) -> RowChange) -> [PushReply; 3] {
    KEYS.map(|id| {
        let server = Server::new(&format!("{name}_{id}"), NOTES);
        let (mut device, mut bob) = (Device::new(2), server.client_as("cloudsync_bob"));
        let row = row(&mut device, id);
        let mut root = server.client();
        let before = clocks(&mut root);
        let reply = device.push(&mut bob, "notes", &COLUMNS, vec![row]).unwrap();
        let hidden: String =
            root.query_one("SELECT owner || body FROM notes WHERE id = 'hidden'", &[]).unwrap().get(0);
        assert_eq!(hidden, "cloudsync_alicesecret");
        if id == "hidden" {
            assert_eq!(clocks(&mut root), before, "the clock of a hidden row stays");
        }
        PushReply { server_time: Millis(0), epoch: cloudsync_shared::message::Epoch([0; 16]), ..reply }
    })
}

fn all_alike(answers: &[PushReply; 3]) {
    assert_eq!(answers[0], answers[1], "never was, and is deleted");
    assert_eq!(answers[0], answers[2], "never was, and is hidden");
}

#[test]
fn an_insert_that_a_policy_refuses_tells_nothing_of_the_key() {
    let foreign = [text("cloudsync_alice"), text("guess")];
    let refused = answers("guess_insert", |device, id| device.insert(&key(id), &foreign));
    assert!(matches!(&refused[0].results[0][0], RowResult::Refused(refusal) if refusal.sqlstate == "42501"));
    all_alike(&refused);
    all_alike(&answers("guess_old", |device, id| {
        let mut row = device.insert(&key(id), &foreign);
        row.life = Stamp::NEVER;
        row.cells.iter_mut().for_each(|cell| cell.stamp = Stamp::NEVER);
        row
    }));
    all_alike(&answers("guess_update", |device, id| device.update(&key(id), &[(1, text("guess"))])));
    all_alike(&answers("guess_nothing", |device, id| device.update(&key(id), &[])));
    all_alike(&answers("guess_long", |device, id| RowChange {
        length: CausalLength(3),
        ..device.insert(&key(id), &foreign)
    }));
    all_alike(&answers("guess_bound", |device, id| RowChange {
        length: CausalLength(65537),
        ..device.insert(&key(id), &foreign)
    }));
    all_alike(&answers("guess_id", |device, id| RowChange {
        row_id: Some(RowId(77)),
        ..device.insert(&key(id), &foreign)
    }));
}

#[test]
fn a_delete_tells_nothing_of_the_key() {
    for length in [2, 4, 65536, 65538] {
        let answers = answers(&format!("guess_delete{length}"), |device, id| RowChange {
            length: CausalLength(length),
            ..device.delete(&key(id))
        });
        assert_eq!(answers[0].results[0][0] == RowResult::Dead, length <= 65536);
        all_alike(&answers);
    }
}

#[test]
fn without_the_right_to_delete_a_delete_tells_nothing_of_the_key() {
    let answers = KEYS.map(|id| {
        let server = Server::new(&format!("no_delete_{id}"), NOTES);
        server.client().batch_execute("REVOKE DELETE ON notes FROM cloudsync_bob").unwrap();
        let mut device = Device::new(2);
        let row = device.delete(&key(id));
        device.push(&mut server.client_as("cloudsync_bob"), "notes", &COLUMNS, vec![row]).unwrap().results
    });
    assert!(matches!(&answers[0][0][0], RowResult::Refused(refusal) if refusal.sqlstate == "42501"));
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[test]
fn what_others_hear_of_a_delete_tells_nothing_of_the_key() {
    let heard = KEYS.map(|id| {
        let server = Server::new(&format!("echo_{id}"), NOTES);
        let (mut device, mut second) = (Device::new(2), Device::new(3));
        let mut bob = server.client_as("cloudsync_bob");
        second.pull(&mut bob, &["notes"]);
        let row = device.delete(&key(id));
        device.push(&mut bob, "notes", &COLUMNS, vec![row]).unwrap();
        second.pull(&mut bob, &["notes"]).iter().any(|page| page.hidden)
    });
    assert_eq!(heard, [false; 3]);
}

#[test]
fn a_delete_of_a_row_that_the_device_knew_is_refused_when_it_was_hidden_meanwhile() {
    let server = Server::new("known_hidden", NOTES);
    let (mut device, mut bob, mut root) =
        (Device::new(2), server.client_as("cloudsync_bob"), server.client());
    root.batch_execute("INSERT INTO notes VALUES ('his', 'cloudsync_bob', 'b')").unwrap();
    device.pull(&mut bob, &["notes"]);
    root.batch_execute("UPDATE notes SET owner = 'cloudsync_alice' WHERE id = 'his'").unwrap();
    for row in [device.delete(&key("his")), device.update(&key("his"), &[(1, text("late"))])] {
        let reply = device.push(&mut bob, "notes", &COLUMNS, vec![device.naming(row)]).unwrap();
        assert!(
            matches!(&reply.results[0][0], RowResult::Refused(refusal) if refusal.sqlstate == "42501"),
            "{reply:?}"
        );
    }
}

#[test]
fn rows_that_may_not_be_written_keep_their_clocks() {
    let server = Server::new(
        "clocks",
        "CREATE TABLE notes (id text PRIMARY KEY, owner name, body text);
         SELECT cloudsync_init('notes');
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY reading ON notes FOR SELECT USING (id <> 'hidden');
         CREATE POLICY writing ON notes USING (owner = current_user);
         GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO cloudsync_bob;
         INSERT INTO notes VALUES ('hidden', 'cloudsync_alice', 'hers'), ('seen', 'cloudsync_alice', 'hers')",
    );
    let (mut bob, mut root) = (server.client_as("cloudsync_bob"), server.client());
    let mut device = Device::new(2);
    device.pull(&mut bob, &["notes"]);
    let before = clocks(&mut root);
    for id in ["hidden", "seen"] {
        for length in [1, 2, 3, 4, 65535] {
            for cells in [&[][..], &[(1, text("mine"))], &[(0, text("cloudsync_bob")), (1, text("mine"))]] {
                let mut row = device.update(&key(id), cells);
                row.life = device.stamp();
                row.length = CausalLength(length);
                if length % 2 == 0 {
                    row.cells.clear();
                }
                let named = device.naming(row.clone());
                for row in [row, named] {
                    device.push(&mut bob, "notes", &COLUMNS, vec![row]).unwrap();
                    assert_eq!(clocks(&mut root), before, "{id}, length {length}");
                }
            }
        }
    }
}

#[test]
fn an_insert_on_an_old_tombstone_begins_a_new_life_and_says_so() {
    let server = Server::new("relive", NOTES);
    let (mut fresh, mut other) = (Device::new(2), Device::new(3));
    let (mut bob, mut root) = (server.client_as("cloudsync_bob"), server.client());
    other.pull(&mut root, &["notes"]);
    let row = fresh.insert(&key("dead"), &[text("cloudsync_bob"), text("fresh")]);
    // The second time the reply to the first has been lost, the third time the row was edited since.
    let mut edited = row.clone();
    edited.cells[1].stamp = fresh.stamp();
    edited.cells[1].value = text("edited");
    for (row, body) in [(row.clone(), "fresh"), (row, "fresh"), (edited, "edited")] {
        let reply = fresh.push(&mut bob, "notes", &COLUMNS, vec![row]).unwrap();
        assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{reply:?}");
        let restored = &reply.restored.tables[0].rows[0];
        assert_eq!((restored.length, &restored.cells[1].value), (CausalLength(3), &text(body)));
        other.pull(&mut root, &["notes"]);
        assert_eq!(other.values("notes", &key("dead")).unwrap()[1], text(body));
    }
    // Another device that knew nothing of it either: the two rows are one, cell by cell.
    let second = Device::new(4).push(
        &mut bob,
        "notes",
        &COLUMNS,
        vec![
            Device { site: cloudsync_shared::id::SiteId([4; 16]), ..fresh.clone() }
                .insert(&key("dead"), &[text("cloudsync_bob"), text("second")]),
        ],
    );
    assert!(matches!(second.unwrap().results[0][0], RowResult::Accepted(_)));
    other.pull(&mut root, &["notes"]);
    assert_eq!(other.values("notes", &key("dead")).unwrap()[1], text("second"));
}

#[test]
fn an_edit_that_names_the_id_of_a_deleted_row_is_dead() {
    let server = Server::new("named_dead", NOTES);
    let (mut device, mut bob, mut root) =
        (Device::new(2), server.client_as("cloudsync_bob"), server.client());
    root.batch_execute("INSERT INTO notes VALUES ('his', 'cloudsync_bob', 'b')").unwrap();
    device.pull(&mut bob, &["notes"]);
    root.batch_execute("DELETE FROM notes WHERE id = 'his'").unwrap();
    let edit = device.update(&key("his"), &[(1, text("late"))]);
    let named = device.naming(edit);
    assert!(named.row_id.is_some());
    let reply = device.push(&mut bob, "notes", &COLUMNS, vec![named.clone()]).unwrap();
    assert_eq!(reply.results[0], [RowResult::Dead]);
    assert_eq!(length(&mut root, "his"), 2);
    // An id of another life of the server proves nothing.
    device.epoch = Some(cloudsync_shared::message::Epoch([7; 16]));
    let reply = device.push(&mut bob, "notes", &COLUMNS, vec![named]).unwrap();
    assert!(!matches!(reply.results[0][0], RowResult::Dead), "{reply:?}");
}

#[test]
fn a_push_repeated_after_someone_deleted_the_row_is_dead() {
    let server = Server::new("repeat_dead", NOTES);
    let (mut device, mut bob, mut root) =
        (Device::new(2), server.client_as("cloudsync_bob"), server.client());
    let mut other = Device::new(3);
    for (id, by_push) in [("x", false), ("y", true)] {
        let row = device.insert(&key(id), &[text("cloudsync_bob"), text("b")]);
        device.push(&mut bob, "notes", &COLUMNS, vec![row.clone()]).unwrap();
        if by_push {
            let delete = other.delete(&key(id));
            other.push(&mut root, "notes", &COLUMNS, vec![delete.clone()]).unwrap();
            let again = RowChange { life: other.stamp(), ..delete };
            other.push(&mut root, "notes", &COLUMNS, vec![again]).unwrap();
        } else {
            root.batch_execute("DELETE FROM notes WHERE id = 'x'").unwrap();
        }
        let reply = device.push(&mut bob, "notes", &COLUMNS, vec![row]).unwrap();
        assert_eq!(reply.results[0], [RowResult::Dead], "{id}");
        assert_eq!(length(&mut root, id), 2);
    }
}

#[test]
fn a_causal_length_far_beyond_the_stored_one_is_refused() {
    let server = Server::new("lengths", NOTES);
    let (mut device, mut root) = (Device::new(2), server.client());
    let values = [text("cloudsync_bob"), text("b")];
    let cases: [(&str, u32, bool); 6] = [
        ("a", 65535, true),
        ("b", 65536, true),
        ("c", 65537, false),
        ("d", CausalLength::MAX.0, false),
        ("e", CausalLength::MAX.0 - 1, false),
        ("dead", 65539, false),
    ];
    for (id, length, fits) in cases {
        let mut row = device.insert(&key(id), &values);
        row.length = CausalLength(length);
        if length % 2 == 0 {
            row.cells.clear();
        }
        let good = device.insert(&key(&format!("good {id}")), &values);
        let reply = device.push(&mut root, "notes", &COLUMNS, vec![row, good]).unwrap();
        let refused =
            matches!(&reply.results[0][0], RowResult::Refused(refusal) if refusal.sqlstate == "54000");
        assert_eq!(refused, !fits, "{id}: {reply:?}");
        assert!(matches!(reply.results[0][1], RowResult::Accepted(_)), "the others are taken");
    }
    assert_eq!(length(&mut root, "dead"), 2);
    let longest: i64 = root
        .query_one(
            "SELECT max((cloudsync.clock_json(clock)::json ->> 'length')::int8) FROM cloudsync.clock_1",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(longest, 65536);
}

#[test]
fn lengths_cannot_be_driven_to_where_no_message_carries_them() {
    let server = Server::new("drive", NOTES);
    let (mut device, mut root) = (Device::new(2), server.client());
    let near = "UPDATE cloudsync.clock_1 SET clock = decode('01' || $1 || '0100', 'hex') WHERE k1 = 'dead'";
    // Half of the greatest length, as a varint.
    root.execute(&near.replace("$1", "'8080808002'"), &[]).unwrap();
    let half = length(&mut root, "dead");
    assert_eq!(half, i64::from(CausalLength::MAX.0 / 2));
    device.pull(&mut root, &["notes"]);
    let id: i64 =
        root.query_one("SELECT row_id FROM cloudsync.clock_1 WHERE k1 = 'dead'", &[]).unwrap().get(0);
    for length in [half + 2, half + 65536] {
        let row_id = Some(RowId(id.unsigned_abs()));
        let row = RowChange { row_id, length: CausalLength(length as u32), ..device.delete(&key("dead")) };
        let reply = device.push(&mut root, "notes", &COLUMNS, vec![row]).unwrap();
        assert!(matches!(&reply.results[0][0], RowResult::Refused(refusal) if refusal.sqlstate == "54000"));
    }
    assert_eq!(length(&mut root, "dead"), half);
    // Those who write here may go on, and a pull still carries it.
    root.batch_execute("INSERT INTO notes VALUES ('dead', 'cloudsync_bob', 'again')").unwrap();
    device.pull(&mut root, &["notes"]);
    assert_eq!(device.values("notes", &key("dead")).unwrap()[1], text("again"));
}

#[test]
fn lengths_and_versions_out_of_range_are_malformed() {
    let server = Server::new("ranges", NOTES);
    let (device, mut root) = (Device::new(2), server.client());
    let before = clocks(&mut root);
    let message = |length: u32, version: u64| {
        let life = Stamp { version: Version(version), site: device.site };
        let key = cloudsync_shared::key::Key::encode(&[text("k")]).unwrap();
        let row = RowChange {
            row_id: None,
            key,
            length: CausalLength(length),
            life,
            cells: Vec::new(),
            texts: Vec::new(),
            past: Past::default(),
        };
        let changes = ChangeBatch { tables: vec![changes("notes", &COLUMNS, vec![row])] };
        Message::PushRequest(PushRequest {
            site: device.site,
            epoch: None,
            changes,
            groups: Vec::new(),
            bases: Vec::new(),
        })
    };
    let beyond = CausalLength::MAX.0 + 1;
    let varint = |mut number: u64| {
        let mut bytes = Vec::new();
        while number > 127 {
            bytes.push(number as u8 | 128);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    for (what, bytes) in [
        ("length 0", raw::patched(&message(1, 5), &message(3, 5), &[0])),
        (
            "a length beyond the greatest",
            raw::patched(&message(1, 5), &message(3, 5), &varint(beyond.into())),
        ),
        ("a length of 64 bits", raw::patched(&message(1, 5), &message(3, 5), &varint(u64::MAX))),
        ("a negative version", raw::patched(&message(1, 5), &message(1, 6), &[1])),
        ("the least version", raw::patched(&message(1, 5), &message(1, 6), &varint(u64::MAX))),
    ] {
        assert_eq!(raw::push(&mut root, &bytes), "22P03", "{what}");
    }
    assert_eq!(clocks(&mut root), before);
}

#[test]
fn versions_of_the_future_refuse_the_push_wherever_they_stand() {
    let server = Server::new("future", NOTES);
    let (mut device, mut root) = (Device::new(2), server.client());
    let before = clocks(&mut root);
    let soon = Version::from_millis(Millis(now().0 + 6 * 60 * 1000));
    for version in [Version::MAX, Version(Version::MAX.0 - 1), soon] {
        let row = device.insert(&key("k"), &[text("cloudsync_bob"), text("b")]);
        let (mut life, mut cell) = (row.clone(), row);
        life.life.version = version;
        cell.cells[1].stamp.version = version;
        for row in
            [life, cell, RowChange { life: Stamp { version, site: device.site }, ..device.delete(&key("k")) }]
        {
            let error = device.push(&mut root, "notes", &COLUMNS, vec![row]).unwrap_err();
            assert_eq!(error.code().unwrap().code(), "22008");
        }
    }
    assert_eq!(clocks(&mut root), before);
    let highest: i64 = root.query_one("SELECT version FROM cloudsync.highest", &[]).unwrap().get(0);
    assert_eq!(highest, 0);
}

#[test]
fn a_version_ahead_of_time_pins_no_cell() {
    let server = Server::new("pin", NOTES);
    let (mut device, mut root) = (Device::new(2), server.client());
    device.highest = Version::from_millis(Millis(now().0 + 4 * 60 * 1000));
    let row = device.insert(&key("k"), &[text("cloudsync_bob"), text("pinned")]);
    device.push(&mut root, "notes", &COLUMNS, vec![row]).unwrap();
    root.batch_execute("UPDATE notes SET body = 'free' WHERE id = 'k'").unwrap();
    let mut reader = Device::new(3);
    reader.pull(&mut root, &["notes"]);
    assert_eq!(reader.values("notes", &key("k")).unwrap()[1], text("free"));
    // Whoever has seen it writes above it.
    reader.highest = reader.rows["notes"].values().map(RowChange::highest).max().unwrap();
    let edit = reader.update(&key("k"), &[(1, text("freer"))]);
    reader.push(&mut root, "notes", &COLUMNS, vec![edit]).unwrap();
    let body: String = root.query_one("SELECT body FROM notes WHERE id = 'k'", &[]).unwrap().get(0);
    assert_eq!(body, "freer");
}

#[test]
fn who_may_write_nothing_does_not_move_the_servers_clock() {
    let server = Server::new("ahead", NOTES);
    let (mut device, mut root) = (Device::new(2), server.client());
    root.batch_execute("REVOKE INSERT, UPDATE, DELETE ON notes FROM cloudsync_bob").unwrap();
    device.highest = Version::from_millis(Millis(now().0 + 4 * 60 * 1000));
    let rows = vec![
        device.insert(&key("k"), &[text("cloudsync_bob"), text("b")]),
        device.delete(&key("dead")),
        device.update(&key("hidden"), &[(1, text("b"))]),
    ];
    let reply = device.push(&mut server.client_as("cloudsync_bob"), "notes", &COLUMNS, rows).unwrap();
    assert!(reply.results[0].iter().all(|result| matches!(result, RowResult::Refused(_))), "{reply:?}");
    let highest: i64 = root.query_one("SELECT version FROM cloudsync.highest", &[]).unwrap().get(0);
    assert_eq!(highest, 0);
}

/// Someone who claims to hold all ids once heard which of the hidden rows had been written, and how many.
#[test]
fn whoever_claims_to_hold_all_rows_does_not_hear_which_hidden_ones_were_written() {
    let server = Server::new("gone_ids", NOTES);
    let mut root = server.client();
    root.batch_execute("INSERT INTO notes SELECT 'k' || n, 'cloudsync_bob' FROM generate_series(1, 100) n")
        .unwrap();
    let mut alice = server.client_as("cloudsync_alice");
    let mut device = Device::new(1);
    device.pull(&mut alice, &["notes"]);
    let gone = |alice: &mut Client| {
        let request = GoneRequest {
            site: device.site,
            epoch: device.epoch.expect("it has pulled"),
            from: device.cursor.clone(),
            held: vec![("notes".to_owned(), (1..=1000).collect())],
        };
        let request = wire::encode(&Message::GoneRequest(request)).unwrap();
        let reply: Vec<u8> = alice.query_one("SELECT cloudsync_pull($1)", &[&request]).unwrap().get(0);
        match wire::decode(&reply).unwrap() {
            Message::GoneReply(reply) => reply.gone,
            other => panic!("not a gone reply: {other:?}"),
        }
    };
    assert_eq!(gone(&mut alice), []);
    root.batch_execute("UPDATE notes SET body = 'x' WHERE id = 'k7'").unwrap();
    let one = gone(&mut alice);
    assert!(one[0].1.len() > 900, "{one:?}");
    root.batch_execute("UPDATE notes SET body = 'y' WHERE id > 'k5'; DELETE FROM notes WHERE id = 'k1'")
        .unwrap();
    assert_eq!(gone(&mut alice), one);
}
