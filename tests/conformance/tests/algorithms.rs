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
    fn sql(self) -> String {
        match self {
            Insert(text) => format!("INSERT INTO note VALUES ('k', '{text}', '{text}')"),
            Title(text) => format!("UPDATE note SET title = '{text}'"),
            Body(text) => format!("UPDATE note SET body = '{text}'"),
            Delete => "DELETE FROM note".to_owned(),
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

/// One case: what both have seen, what either does then, and what the row is in the end. `first` writes
/// earlier than `second`, but they sync in either order.
struct Case {
    before: &'static [Write],
    first: &'static [Write],
    second: &'static [Write],
    ends: Option<(&'static str, &'static str)>,
}

fn check(algorithm: Algorithm, case: &Case) {
    for first_syncs_first in [true, false] {
        let found = on_memory(algorithm, case, first_syncs_first);
        assert_eq!(found, case.ends.map(owned), "memory, the earlier first: {first_syncs_first}");
        for (engine, found) in on_engines(algorithm, case, first_syncs_first) {
            let expected: Vec<String> =
                case.ends.iter().map(|(title, body)| format!("{title:?}|{body:?}")).collect();
            assert_eq!(found, expected, "{engine}, the earlier first: {first_syncs_first}");
        }
    }
}

fn owned((title, body): (&str, &str)) -> (String, String) {
    (title.to_owned(), body.to_owned())
}

fn on_memory(algorithm: Algorithm, case: &Case, first_syncs_first: bool) -> Option<(String, String)> {
    let mut replicas = [1, 2].map(|number| {
        let mut store = MemStore::new(SiteId([number; 16]));
        let columns = COLUMNS.iter().zip(1..);
        let columns = columns.map(|(name, id)| Column { name: (*name).into(), id: ColumnId(id) }).collect();
        let schema = TableSchema { name: "note".into(), algorithm, key: vec!["id".into()], columns };
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

fn on_engines(
    algorithm: Algorithm,
    case: &Case,
    first_syncs_first: bool,
) -> Vec<(&'static str, Vec<String>)> {
    let directory = tempfile::tempdir().expect("a directory");
    let init = format!("SELECT cloudsync_init('note', '{}')", algorithm.name());
    let mut server = Server::create("CREATE TABLE note (id text PRIMARY KEY, title text, body text)", &[]);
    server.run(&init);
    let device = |name: &str| {
        let ddl = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT)";
        let device = Device::create(directory.path(), name, ddl, &[]);
        device.text(&init);
        device.connect(&server.url);
        device
    };
    let (first, second) = (device("first"), device("second"));
    let write = |device: &Device, writes: &[Write]| {
        for write in writes {
            device.run(&write.sql());
            // Versions must not tie: who is later is part of the case.
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    };
    write(&first, case.before);
    first.sync();
    second.sync();
    write(&first, case.first);
    write(&second, case.second);
    let (one, other) = if first_syncs_first { (&first, &second) } else { (&second, &first) };
    for device in [one, other, one, other] {
        device.sync();
    }
    vec![("SQLite", one.dump(DUMP)), ("SQLite", other.dump(DUMP)), ("PostgreSQL", server.dump(DUMP))]
}

/// A test for each algorithm of each case.
macro_rules! cases {
    ($($name:ident: $before:expr, $first:expr, $second:expr => $($algorithm:ident $ends:expr),+;)*) => {$(
        mod $name {
            use super::*;
            $(#[test]
            fn $algorithm() {
                let case = Case { before: &$before, first: &$first, second: &$second, ends: $ends };
                let name = stringify!($algorithm);
                check(Algorithm::from_name(name).expect("an algorithm"), &case);
            })+
        }
    )*};
}

cases! {
    inserts_of_one_key: [], [Insert("a")], [Insert("b")] =>
        cls Some(("b", "b")), gos Some(("b", "b")), dws Some(("b", "b")), aws Some(("b", "b"));
    updates_of_one_cell: [Insert("0")], [Title("a")], [Title("b")] =>
        cls Some(("b", "0")), dws Some(("b", "0")), aws Some(("b", "0"));
    updates_of_two_cells: [Insert("0")], [Title("a")], [Body("b")] =>
        cls Some(("a", "b")), dws Some(("a", "b")), aws Some(("a", "b"));
    a_delete_and_a_later_update: [Insert("0")], [Delete], [Title("b")] =>
        cls None, dws None, aws Some(("b", "0"));
    an_update_and_a_later_delete: [Insert("0")], [Title("a")], [Delete] =>
        cls None, dws None, aws Some(("a", "0"));
    two_deletes: [Insert("0")], [Delete], [Delete] =>
        cls None, dws None, aws None;
    a_delete_and_a_later_reinsert: [Insert("0")], [Delete], [Delete, Insert("b")] =>
        cls Some(("b", "b")), dws None, aws Some(("b", "b"));
    a_reinsert_and_a_later_delete: [Insert("0")], [Delete, Insert("a")], [Delete] =>
        cls Some(("a", "a")), dws None, aws Some(("a", "a"));
    an_update_and_a_later_reinsert: [Insert("0")], [Title("a")], [Delete, Insert("b")] =>
        cls Some(("b", "b")), dws Some(("b", "b")), aws Some(("b", "b"));
    a_reinsert_and_a_later_update: [Insert("0")], [Delete, Insert("a")], [Title("b")] =>
        cls Some(("a", "a")), dws Some(("a", "a")), aws Some(("b", "a"));
    reinserts_of_one_key: [Insert("0")], [Delete, Insert("a")], [Delete, Insert("b")] =>
        cls Some(("b", "b")), dws None, aws Some(("b", "b"));
    a_reinsert_that_knew_of_the_delete: [Insert("0"), Delete], [Insert("a")], [] =>
        cls Some(("a", "a")), dws Some(("a", "a")), aws Some(("a", "a"));
    a_delete_of_what_was_updated_before: [Insert("0"), Title("1")], [Delete], [] =>
        cls None, dws None, aws None;
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
