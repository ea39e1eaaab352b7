//! Payloads made by hand, by a user with valid credentials: under another's site id, with another's stamps.

use std::thread;
use std::time::Duration;

use cloudsync_pg_protocol::device::{Device, text};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::change::{RowChange, TextChange, TextOutcome};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::message::RowResult;
use cloudsync_shared::text::{Delimiter, Document};
use cloudsync_shared::value::Value;
use postgres::Client;

const BOARD: &str = "CREATE TABLE board (id text PRIMARY KEY, a text, b text);
    SELECT cloudsync_init('board');
    GRANT SELECT, INSERT, UPDATE, DELETE ON board TO cloudsync_alice, cloudsync_bob";
const COLUMNS: [&str; 2] = ["a", "b"];

/// Everything that a push can change.
fn state(root: &mut Client) -> String {
    let sql = "SELECT concat((SELECT string_agg(t::text, ';' ORDER BY id) FROM board t), '|',
        (SELECT string_agg(c::text, ';' ORDER BY row_id) FROM cloudsync.clock_1 c), '|',
        (SELECT string_agg(s::text, ';' ORDER BY ordinal) FROM cloudsync.sites s), '|',
        (SELECT count(*) FROM cloudsync.log), '|', (SELECT version FROM cloudsync.highest))";
    root.query_one(sql, &[]).unwrap().get(0)
}

fn claims(client: &mut Client, json: &str) {
    client.execute("SELECT set_config('request.jwt.claims', $1, false)", &[&json]).unwrap();
}

/// Pushes a row and expects the push to be refused as a whole, with nothing changed.
fn refused(server: &Server, client: &mut Client, device: &mut Device) -> (String, String) {
    let mut root = server.client();
    let before = state(&mut root);
    let row = device.insert(&[text("stolen")], &[text("a"), text("b")]);
    let error = device.push(client, "board", &COLUMNS, vec![row]).unwrap_err();
    assert_eq!(state(&mut root), before, "a refused push changes nothing");
    let error = error.as_db_error().unwrap();
    (error.code().code().to_owned(), error.message().to_owned())
}

fn push_one(client: &mut Client, device: &mut Device, id: &str) -> RowChange {
    let row = device.insert(&[text(id)], &[text("a"), text("b")]);
    let reply = device.push(client, "board", &COLUMNS, vec![row.clone()]).unwrap();
    assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{reply:?}");
    row
}

/// The sites that the stamps of a row name: that of its life, then those of its cells.
fn sites(server: &Server, id: &str) -> Vec<SiteId> {
    let mut device = Device::new(99);
    device.pull(&mut server.client(), &["board"]);
    let row = device.rows["board"].values().find(|row| row.key.decode(1).unwrap() == [text(id)]).unwrap();
    [row.life].into_iter().chain(row.cells.iter().map(|cell| cell.stamp)).map(|stamp| stamp.site).collect()
}

#[test]
fn anothers_site_id_is_refused_and_the_message_says_what_to_do() {
    let server = Server::new("site_taken", BOARD);
    let (mut alice, mut bob) = (server.client_as("cloudsync_alice"), server.client_as("cloudsync_bob"));
    let mut device = Device::new(1);
    push_one(&mut alice, &mut device, "hers");
    let (code, message) = refused(&server, &mut bob, &mut device);
    assert_eq!(code, "42501");
    assert!(message.contains("cloudsync_network_logout()"), "{message}");
    push_one(&mut alice, &mut device, "hers still");
    push_one(&mut bob, &mut Device::new(2), "his");
}

#[test]
fn a_renewed_token_keeps_the_site_id_and_another_subject_or_role_does_not() {
    let server = Server::new("site_claims", BOARD);
    let mut client = server.client_as("cloudsync_alice");
    let mut device = Device::new(1);
    claims(&mut client, r#"{"sub": "user-1", "exp": 1}"#);
    push_one(&mut client, &mut device, "1");
    claims(&mut client, r#"{"exp": 2, "sub": "user-1", "aal": "aal2"}"#);
    push_one(&mut client, &mut device, "2");
    claims(&mut client, r#"{"sub": "user-2", "exp": 2}"#);
    assert_eq!(refused(&server, &mut client, &mut device).0, "42501");
    claims(&mut client, "");
    assert_eq!(refused(&server, &mut client, &mut device).0, "42501");
    let mut other_role = server.client_as("cloudsync_bob");
    claims(&mut other_role, r#"{"sub": "user-1"}"#);
    assert_eq!(refused(&server, &mut other_role, &mut device).0, "42501");
}

#[test]
fn the_servers_own_site_id_and_that_of_nobody_never_push() {
    let server = Server::new("site_own", BOARD);
    let mut root = server.client();
    let own: Vec<u8> = root.query_one("SELECT cloudsync_siteid()", &[]).unwrap().get(0);
    let mut device = Device { site: SiteId::from_slice(&own).unwrap(), ..Device::new(1) };
    assert_eq!(refused(&server, &mut server.client_as("cloudsync_bob"), &mut device).0, "42501");
    assert_eq!(refused(&server, &mut root, &mut device).0, "42501", "not for the superuser either");
    device.site = SiteId::NIL;
    assert_eq!(refused(&server, &mut root, &mut device).0, "42501");
}

#[test]
fn of_two_identities_that_race_for_a_site_id_one_gets_it() {
    let server = Server::new("site_race", BOARD);
    let (mut alice, mut bob) = (server.client_as("cloudsync_alice"), server.client_as("cloudsync_bob"));
    // The site is known already, as the author of a relayed row, and belongs to nobody yet.
    let mut device = Device::new(1);
    let relayed = device.insert(&[text("relayed")], &[text("a"), text("b")]);
    Device::new(7).push(&mut server.client(), "board", &COLUMNS, vec![relayed]).unwrap();
    alice.batch_execute("BEGIN").unwrap();
    push_one(&mut alice, &mut device, "first");
    let mut thief = device.clone();
    thread::scope(|scope| {
        let stealing = scope.spawn(move || {
            let row = thief.insert(&[text("second")], &[text("a"), text("b")]);
            thief.push(&mut bob, "board", &COLUMNS, vec![row])
        });
        thread::sleep(Duration::from_millis(500));
        alice.batch_execute("COMMIT").unwrap();
        let error = stealing.join().unwrap().unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501");
    });
}

#[test]
fn a_pull_under_anothers_site_id_takes_nothing_from_its_owner() {
    let server = Server::new("site_pull", BOARD);
    let (mut alice, mut bob) = (server.client_as("cloudsync_alice"), server.client_as("cloudsync_bob"));
    let (mut hers, mut his) = (Device::new(1), Device::new(1));
    push_one(&mut alice, &mut hers, "1");
    hers.pull(&mut alice, &["board"]);
    his.pull(&mut bob, &["board"]);
    assert_eq!((hers.count("board"), his.count("board")), (1, 1));
    push_one(&mut bob, &mut Device::new(2), "2");
    his.pull(&mut bob, &["board"]);
    hers.pull(&mut alice, &["board"]);
    assert_eq!((hers.count("board"), his.count("board")), (2, 2));
}

#[test]
fn a_stamp_that_names_anothers_site_becomes_the_pushers_own() {
    let server = Server::new("stamps", BOARD);
    let (mut alice, mut bob) = (server.client_as("cloudsync_alice"), server.client_as("cloudsync_bob"));
    let (mut hers, mut his) = (Device::new(1), Device::new(2));
    push_one(&mut alice, &mut hers, "1");
    push_one(&mut bob, &mut Device::new(3), "his other device's");
    let own: Vec<u8> = server.client().query_one("SELECT cloudsync_siteid()", &[]).unwrap().get(0);
    let unknown = SiteId([0xaa; 16]);
    let forged = [
        ("alice's", hers.site, his.site),
        ("the server's", SiteId::from_slice(&own).unwrap(), his.site),
        ("another device's of the same user", SiteId([3; 16]), SiteId([3; 16])),
        ("one that never synced", unknown, unknown),
        ("the pusher's", his.site, his.site),
    ];
    for (id, named, stored) in forged {
        let mut row = his.insert(&[text(id)], &[text("a"), text("b")]);
        row.life.site = named;
        row.cells.iter_mut().for_each(|cell| cell.stamp.site = named);
        his.push(&mut bob, "board", &COLUMNS, vec![row]).unwrap();
        assert_eq!(sites(&server, id), [stored; 3], "{id}");
    }
    // The same for an update, and for a delete.
    let mut update = his.update(&[text("1")], &[(0, text("forged"))]);
    update.cells[0].stamp.site = hers.site;
    his.push(&mut bob, "board", &COLUMNS, vec![update]).unwrap();
    assert_eq!(sites(&server, "1"), [hers.site, his.site, hers.site]);
    let mut delete = his.delete(&[text("1")]);
    delete.life.site = hers.site;
    his.push(&mut bob, "board", &COLUMNS, vec![delete]).unwrap();
    let clock: String = server
        .client()
        .query_one(
            "SELECT encode(s.site_id, 'hex') FROM cloudsync.clock_1 c JOIN cloudsync.sites s
             ON s.ordinal = (cloudsync.clock_json(c.clock)::json -> 'life' ->> 1)::int WHERE c.k1 = '1'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(clock, his.site.to_string());
}

/// Lines of a text have stamps of their own: those of a foreign site were once kept as they were told.
#[test]
fn a_line_that_names_anothers_site_becomes_the_pushers_own() {
    let server = Server::new("lines", BOARD);
    server.client().execute("SELECT cloudsync_set_column('board', 'b', 'algo', 'block')", &[]).unwrap();
    let (mut alice, mut bob) = (server.client_as("cloudsync_alice"), server.client_as("cloudsync_bob"));
    let (mut hers, mut his) = (Device::new(1), Device::new(2));
    let lines = Delimiter::default();
    let born = hers.insert(&[text("1")], &[text("a"), text("first\nsecond")]);
    let epoch = born.cells[1].stamp;
    hers.push(&mut alice, "board", &COLUMNS, vec![born]).unwrap();

    let mut forged = his.update(&[text("1")], &[(1, Value::Null)]);
    let written = forged.cells[0].stamp;
    let document = Document::implied(epoch, "first\nsecond", &lines).unwrap();
    let stamp = Stamp { site: hers.site, ..written };
    let edit = document.edit("first\nsecond", "first\nforged", &lines, stamp, None).unwrap().1;
    forged.texts.push(TextChange { column: 1, delta: Some(edit), outcome: TextOutcome::Open });
    let reply = his.push(&mut bob, "board", &COLUMNS, vec![forged]).unwrap();
    assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{reply:?}");

    let mut reader = Device::new(99);
    reader.pull(&mut server.client(), &["board"]);
    let row = reader.rows["board"].values().next().unwrap();
    let stamps: Vec<_> = row.texts[0].delta.as_ref().unwrap().stamps().collect();
    assert!(stamps.contains(&written) && !stamps.contains(&stamp), "{stamps:?}");
    assert!(stamps.contains(&epoch), "what the text has stays as it is");
}

#[test]
fn a_relayed_stamp_that_the_server_has_changes_nothing() {
    let server = Server::new("relay", BOARD);
    let (mut alice, mut bob) = (server.client_as("cloudsync_alice"), server.client_as("cloudsync_bob"));
    let (mut hers, mut his) = (Device::new(1), Device::new(2));
    let row = push_one(&mut alice, &mut hers, "1");
    push_one(&mut bob, &mut his, "2");
    let mut root = server.client();
    let before = state(&mut root);
    let reply = his.push(&mut bob, "board", &COLUMNS, vec![row]).unwrap();
    assert!(matches!(reply.results[0][0], RowResult::Accepted(_)));
    assert_eq!(state(&mut root), before);
}

#[test]
fn a_push_cannot_strew_site_ids() {
    let server = Server::new("strew", BOARD);
    let mut bob = server.client_as("cloudsync_bob");
    let mut his = Device::new(2);
    let rows: Vec<RowChange> = (0..5000u32)
        .map(|at| {
            let mut row = his.insert(&[text(&at.to_string())], &[text("a"), text("b")]);
            row.life.site.0[..4].copy_from_slice(&at.to_be_bytes());
            row
        })
        .collect();
    let error = his.push(&mut bob, "board", &COLUMNS, rows).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "54000");
    let sites: i64 = server.client().query_one("SELECT count(*) FROM cloudsync.sites", &[]).unwrap().get(0);
    assert_eq!(sites, 1);
}
