//! What each algorithm makes of two writes that did not know of one another: the cases of docs/algorithms.md,
//! each on memory, and on two devices with SQLite and a server with PostgreSQL between them.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;
use cloudsync_shared::flow::{Present, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Millis};
use cloudsync_shared::id::{ColumnId, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::mem::{MemStore, RowWrite, WriteCall};
use cloudsync_shared::schema::{Algorithm, Column, TableSchema};
use cloudsync_shared::value::Value;

const COLUMNS: [&str; 2] = ["title", "body"];
const DUMP: &str = "SELECT title, body FROM note";

/// What one replica does to the one row.
#[derive(Clone, Copy)]
enum Write {
    Insert(&'static str),
    Title(&'static str),
    Body(&'static str),
    Delete,
}

use Write::{Body, Delete, Insert, Title};

impl Write {
    fn sql(self, key: &str) -> String {
        match self {
            Insert(text) => format!("INSERT INTO note VALUES ('{key}', '{text}', '{text}')"),
            Title(text) => format!("UPDATE note SET title = '{text}' WHERE id = '{key}'"),
            Body(text) => format!("UPDATE note SET body = '{text}' WHERE id = '{key}'"),
            Delete => format!("DELETE FROM note WHERE id = '{key}'"),
        }
    }

    fn row(self) -> RowWrite {
        let set = |name: &str, text: &str| (name.to_owned(), Value::Text(text.to_owned()));
        match self {
            Insert(text) => RowWrite::Insert(COLUMNS.iter().map(|name| set(name, text)).collect()),
            Title(text) => RowWrite::Update(vec![set("title", text)]),
            Body(text) => RowWrite::Update(vec![set("body", text)]),
            Delete => RowWrite::Delete,
        }
    }
}

/// One case: what both have seen, what either does then, and what the row is in the end, by algorithm.
/// `first` writes earlier than `second`, but they sync in either order.
struct Case {
    name: &'static str,
    before: &'static [Write],
    first: &'static [Write],
    second: &'static [Write],
    ends: &'static [(Algorithm, Ends)],
}

type Ends = Option<(&'static str, &'static str)>;

/// All cases of an algorithm, each with a row of its own in both orders of syncing.
fn check(algorithm: Algorithm) {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut server, device) = world(directory.path(), algorithm.name());
    let (first, second) = (device("first"), device("second"));
    let mut count = 0;
    for case in CASES {
        let Some((_, ends)) = case.ends.iter().find(|(of, _)| *of == algorithm) else { continue };
        for first_syncs_first in [true, false] {
            let what = format!("{}, the earlier first: {first_syncs_first}", case.name);
            assert_eq!(on_memory(algorithm, case, first_syncs_first), ends.map(owned), "memory: {what}");
            count += 1;
            let key = format!("k{count}");
            play(case, first_syncs_first, &key, &first, &second);
            let expected: Vec<String> =
                ends.iter().map(|(title, body)| format!("{title:?}|{body:?}")).collect();
            let dump = format!("SELECT title, body FROM note WHERE id = '{key}'");
            assert_eq!(first.dump(&dump), expected, "SQLite: {what}");
            assert_eq!(second.dump(&dump), expected, "SQLite: {what}");
            assert_eq!(server.dump(&dump), expected, "PostgreSQL: {what}");
        }
    }
    assert!(count > 0);
}

fn owned((title, body): (&str, &str)) -> (String, String) {
    (title.to_owned(), body.to_owned())
}

fn on_memory(algorithm: Algorithm, case: &Case, first_syncs_first: bool) -> Option<(String, String)> {
    let mut replicas = [1, 2].map(|number| {
        let mut store = MemStore::new(SiteId([number; 16]));
        let columns = COLUMNS.iter().zip(1..);
        let columns = columns.map(|(name, id)| Column { name: (*name).into(), id: ColumnId(id) }).collect();
        let schema = TableSchema {
            name: "note".into(),
            algorithm,
            key: vec!["id".into()],
            columns,
            texts: Vec::new(),
        };
        store.create_table(schema, Vec::new());
        store
    });
    let mut now = 1_000_000;
    let mut write = |store: &mut MemStore, writes: &[Write]| {
        for write in writes {
            now += 1;
            let key = Key::encode(&[Value::Text("k".to_owned())]).expect("a key");
            let call = WriteCall { now: Millis(now), table: "note".into(), key, write: write.row() };
            store.write(&call).expect("it is taken").expect("it touches the row");
        }
    };
    let [first, second] = &mut replicas;
    write(first, case.before);
    tell(first, second);
    write(first, case.first);
    write(second, case.second);
    let (one, other) = if first_syncs_first { (first, second) } else { (second, first) };
    tell(one, other);
    tell(other, one);
    assert_eq!(one.dump(), other.dump());
    let dump = one.dump();
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    dump["note"].rows.values().next().map(|row| (text(&row["title"]), text(&row["body"])))
}

fn tell(from: &MemStore, to: &mut MemStore) {
    let present = Present { now: Millis(2_000_000), max_drift: DEFAULT_MAX_DRIFT };
    merge_batch(to, &mut from.changes(|_| true), present).expect("it merges");
}

fn play(case: &Case, first_syncs_first: bool, key: &str, first: &Device, second: &Device) {
    let write = |device: &Device, writes: &[Write]| {
        for write in writes {
            device.run(&write.sql(key));
            // Versions must not tie: who is later is part of the case.
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    };
    write(first, case.before);
    first.sync();
    second.sync();
    write(first, case.first);
    write(second, case.second);
    let (one, other) = if first_syncs_first { (first, second) } else { (second, first) };
    for device in [one, other, one, other] {
        device.sync();
    }
}

macro_rules! cases {
    ($($name:ident: $before:expr, $first:expr, $second:expr => $($algorithm:ident $ends:expr),+;)*) => {
        /// The cases of docs/algorithms.md.
        const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            before: &$before,
            first: &$first,
            second: &$second,
            ends: &[$((Algorithm::$algorithm, $ends)),+],
        }),*];
    };
}

cases! {
    inserts_of_one_key: [], [Insert("a")], [Insert("b")] =>
        Cls Some(("b", "b")), Gos Some(("b", "b")), Dws Some(("b", "b")), Aws Some(("b", "b"));
    updates_of_one_cell: [Insert("0")], [Title("a")], [Title("b")] =>
        Cls Some(("b", "0")), Dws Some(("b", "0")), Aws Some(("b", "0"));
    updates_of_two_cells: [Insert("0")], [Title("a")], [Body("b")] =>
        Cls Some(("a", "b")), Dws Some(("a", "b")), Aws Some(("a", "b"));
    a_delete_and_a_later_update: [Insert("0")], [Delete], [Title("b")] =>
        Cls None, Dws None, Aws Some(("b", "0"));
    an_update_and_a_later_delete: [Insert("0")], [Title("a")], [Delete] =>
        Cls None, Dws None, Aws Some(("a", "0"));
    two_deletes: [Insert("0")], [Delete], [Delete] =>
        Cls None, Dws None, Aws None;
    a_delete_and_a_later_reinsert: [Insert("0")], [Delete], [Delete, Insert("b")] =>
        Cls Some(("b", "b")), Dws None, Aws Some(("b", "b"));
    a_reinsert_and_a_later_delete: [Insert("0")], [Delete, Insert("a")], [Delete] =>
        Cls Some(("a", "a")), Dws None, Aws Some(("a", "a"));
    an_update_and_a_later_reinsert: [Insert("0")], [Title("a")], [Delete, Insert("b")] =>
        Cls Some(("b", "b")), Dws Some(("b", "b")), Aws Some(("b", "b"));
    a_reinsert_and_a_later_update: [Insert("0")], [Delete, Insert("a")], [Title("b")] =>
        Cls Some(("a", "a")), Dws Some(("a", "a")), Aws Some(("b", "a"));
    reinserts_of_one_key: [Insert("0")], [Delete, Insert("a")], [Delete, Insert("b")] =>
        Cls Some(("b", "b")), Dws None, Aws Some(("b", "b"));
    a_reinsert_that_knew_of_the_delete: [Insert("0"), Delete], [Insert("a")], [] =>
        Cls Some(("a", "a")), Dws Some(("a", "a")), Aws Some(("a", "a"));
    a_delete_of_what_was_updated_before: [Insert("0"), Title("1")], [Delete], [] =>
        Cls None, Dws None, Aws None;
}

#[test]
fn causal_length() {
    check(Algorithm::Cls);
}

#[test]
fn grow_only() {
    check(Algorithm::Gos);
}

#[test]
fn deletes_win() {
    check(Algorithm::Dws);
}

#[test]
fn adds_win() {
    check(Algorithm::Aws);
}

#[test]
fn a_device_with_another_algorithm_is_told_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Server::create("CREATE TABLE note (id text PRIMARY KEY, title text, body text)", &[]);
    server.run("SELECT cloudsync_init('note', 'aws')");
    server.run("INSERT INTO note VALUES ('s', 'server', 'server')");
    let ddl = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT)";
    let device = Device::create(directory.path(), "other", ddl, &["note"]);
    device.connect(&server.url);
    for statement in ["SELECT 1", "INSERT INTO note VALUES ('d', 'device', 'device')"] {
        device.run(statement);
        let error = device.sync_error();
        assert!(error.contains("note") && error.contains("aws") && error.contains("cls"), "{error}");
    }
    assert_eq!(device.dump("SELECT id FROM note"), [r#""d""#]);
    assert_eq!(server.dump("SELECT id FROM note"), [r#""s""#]);
}

/// Where deletes win, a key that was deleted once is not lost to those who were never told of it.
#[test]
fn a_new_device_may_insert_a_key_that_was_deleted_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut server, device) = world(directory.path(), "dws");
    let (old, new) = (device("old"), device("new"));
    old.run("INSERT INTO note VALUES ('k', 'old', 'old')");
    old.sync();
    old.run("DELETE FROM note");
    old.sync();
    new.run("INSERT INTO note VALUES ('k', 'new', 'new')");
    new.sync();
    old.sync();
    // And it is one row from then on: what either does is about the same life.
    old.run("UPDATE note SET title = 'both'");
    old.sync();
    new.run("UPDATE note SET body = 'both'");
    for device in [&new, &old, &new] {
        device.sync();
    }
    for dump in [server.dump(DUMP), old.dump(DUMP), new.dump(DUMP)] {
        assert_eq!(dump, [r#""both"|"both""#]);
    }
}

/// Where adds win, a row comes back with what its writer had: the server keeps no values of deleted rows,
/// which a later one might not have been meant for the writer's eyes.
#[test]
fn a_row_comes_back_with_what_its_writer_had() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut server, device) = world(directory.path(), "aws");
    let (writer, other) = (device("writer"), device("other"));
    writer.run("INSERT INTO note VALUES ('k', 'first', 'first')");
    writer.sync();
    other.sync();
    other.run("UPDATE note SET title = 'not for the writer'");
    other.sync();
    other.run("DELETE FROM note");
    other.sync();
    writer.run("UPDATE note SET body = 'second'");
    for device in [&writer, &other, &writer] {
        device.sync();
    }
    for dump in [server.dump(DUMP), writer.dump(DUMP), other.dump(DUMP)] {
        assert_eq!(dump, [r#""first"|"second""#]);
    }
}

/// A server with a table of this algorithm, and how to make devices of it.
fn world<'a>(directory: &'a std::path::Path, algorithm: &'a str) -> (Server, impl Fn(&str) -> Device + 'a) {
    let init = format!("SELECT cloudsync_init('note', '{algorithm}')");
    let mut server = Server::create("CREATE TABLE note (id text PRIMARY KEY, title text, body text)", &[]);
    server.run(&init);
    let url = server.url.clone();
    let device = move |name: &str| {
        let ddl = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT)";
        let device = Device::create(directory, name, ddl, &[]);
        device.text(&init);
        device.connect(&url);
        device
    };
    (server, device)
}

/// Once the device lifted its row to the server's life and kept its own cells in it.
#[test]
fn a_row_that_was_beaten_while_unsent_does_not_live_on_in_the_servers_life() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut server, device) = world(directory.path(), "dws");
    let device = device("device");
    device.run("INSERT INTO note VALUES ('k', 'mine', 'mine')");
    std::thread::sleep(std::time::Duration::from_millis(2));
    server.run("INSERT INTO note VALUES ('k', 'first', 'first')");
    server.run("DELETE FROM note");
    server.run("INSERT INTO note VALUES ('k', 'second', 'second')");
    std::thread::sleep(std::time::Duration::from_millis(2));
    device.run("UPDATE note SET title = 'mine, later'");
    device.sync();
    device.sync();
    assert_eq!(server.dump(DUMP), [r#""second"|"second""#]);
    assert_eq!(device.dump(DUMP), [r#""second"|"second""#]);
}

/// Once it was listed as lost to the delete that it had overcome.
#[test]
fn a_write_that_brings_its_row_back_is_no_conflict() {
    let directory = tempfile::tempdir().expect("a directory");
    for (algorithm, listed) in [("aws", 0), ("cls", 1)] {
        let directory = directory.path().join(algorithm);
        std::fs::create_dir(&directory).expect("a directory");
        let (mut server, device) = world(&directory, algorithm);
        let on = "SELECT cloudsync_set_table('note', 'conflicts', 'on')";
        server.run(on);
        let (writer, other) = (device("writer"), device("other"));
        writer.run(on);
        writer.run("INSERT INTO note VALUES ('k', 'first', 'first')");
        writer.sync();
        other.sync();
        other.run("DELETE FROM note");
        other.sync();
        writer.run("UPDATE note SET title = 'second'");
        writer.sync();
        let count = [format!("{listed}")];
        assert_eq!(writer.dump("SELECT count(*) FROM cloudsync_conflicts"), count, "{algorithm}");
        assert_eq!(server.dump("SELECT count(*) FROM cloudsync_conflicts"), count, "{algorithm}");
    }
}
