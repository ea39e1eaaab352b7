//! Texts that are merged by lines: edited by devices, on the server, at the same time.

use cloudsync_pg_protocol::device::{Device, now};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::change::TextOutcome;
use cloudsync_shared::flow::{Present, merge_batch};
use cloudsync_shared::hlc::{DEFAULT_MAX_DRIFT, Version};
use cloudsync_shared::id::ColumnId;
use cloudsync_shared::key::Key;
use cloudsync_shared::mem::{MemStore, RowWrite, WriteCall};
use cloudsync_shared::message::{Message, PullReply, PushReply, RowResult};
use cloudsync_shared::schema::{Algorithm, Column, TableSchema};
use cloudsync_shared::text::Delimiter;
use cloudsync_shared::value::Value;
use cloudsync_shared::wire;
use postgres::Client;

const TABLE: &str = "notes";
const SETUP: &str = "CREATE TABLE notes (id int8 PRIMARY KEY, title text, body text);
    SELECT cloudsync_init('notes', 'cls', 1);
    SELECT cloudsync_set_column('notes', 'body', 'algo', 'block');";

/// A device with a database in memory.
struct Replica {
    store: MemStore,
    device: Device,
    sent: Version,
}

impl Replica {
    fn new(number: u8) -> Replica {
        let device = Device::new(number);
        let mut store = MemStore::new(device.site);
        let column = |(name, id): (&str, u16)| Column { name: name.to_owned(), id: ColumnId(id) };
        let schema = TableSchema {
            name: TABLE.to_owned(),
            algorithm: Algorithm::Cls,
            key: vec!["id".to_owned()],
            columns: [("title", 1), ("body", 2)].map(column).to_vec(),
            texts: vec![(ColumnId(2), Delimiter::default())],
        };
        store.create_table(schema, Vec::new());
        Replica { store, device, sent: Version::NEVER }
    }

    fn write(&mut self, id: i64, write: RowWrite) {
        let call = WriteCall { now: now(), table: TABLE.into(), key: key(id), write };
        self.store.write(&call).expect("the table takes it");
    }

    fn insert(&mut self, id: i64, body: &str) {
        self.write(id, RowWrite::Insert(vec![("body".to_owned(), text(body))]));
    }

    fn set(&mut self, id: i64, body: &str) {
        self.set_value(id, "body", text(body));
    }

    fn set_value(&mut self, id: i64, column: &str, value: Value) {
        self.write(id, RowWrite::Update(vec![(column.to_owned(), value)]));
    }

    fn body(&self, id: i64) -> Option<Value> {
        self.store.dump()[TABLE].rows.get(&key(id)).map(|row| row["body"].clone())
    }

    /// Pushes what it wrote since the last time; answers how the rows fared.
    fn push(&mut self, client: &mut Client) -> Vec<RowResult> {
        let reply = self.try_push(client).expect("the push is taken");
        reply.results.concat()
    }

    fn try_push(&mut self, client: &mut Client) -> Result<PushReply, postgres::Error> {
        let (site, sent) = (self.device.site, self.sent);
        let batch = self.store.changes(|stamp| stamp.site == site && stamp.version > sent);
        self.sent = self.store.highest();
        self.device.push_batch(client, batch)
    }

    /// Pulls and merges; asks again for all where lines came of a text that it does not know. Answers the
    /// bytes of the replies, and whether it had to ask again.
    fn pull(&mut self, client: &mut Client) -> (usize, bool) {
        let mut pages = self.device.pull(client, &[TABLE]);
        let mut bytes = size(&pages);
        let is_short = self.merge(&mut pages);
        if is_short {
            self.device.cursor = None;
            let mut pages = self.device.pull(client, &[TABLE]);
            bytes += size(&pages);
            assert!(!self.merge(&mut pages), "a whole download is whole");
        }
        (bytes, is_short)
    }

    fn merge(&mut self, pages: &mut [PullReply]) -> bool {
        let mut is_short = false;
        for page in pages {
            let present = Present { now: now(), max_drift: DEFAULT_MAX_DRIFT };
            merge_batch(&mut self.store, &mut page.changes, present).expect("it merges");
            let rows = page.changes.tables.iter().flat_map(|table| &table.rows);
            is_short |= rows.flat_map(|row| &row.texts).any(|text| text.outcome == TextOutcome::Incomplete);
        }
        is_short
    }
}

fn size(pages: &[PullReply]) -> usize {
    pages.iter().map(|page| wire::encode(&Message::PullReply(page.clone())).expect("it is sound").len()).sum()
}

fn key(id: i64) -> Key {
    Key::encode(&[Value::Integer(id)]).expect("a short key")
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn server_body(client: &mut Client, id: i64) -> Option<String> {
    client.query_opt("SELECT body FROM notes WHERE id = $1", &[&id]).expect("it is read")?.get(0)
}

fn set_on_server(client: &mut Client, id: i64, body: Option<&str>) {
    client.execute("UPDATE notes SET body = $2 WHERE id = $1", &[&id, &body]).expect("it is written");
}

fn assert_accepted(results: &[RowResult]) {
    assert!(results.iter().all(|result| matches!(result, RowResult::Accepted(_))), "{results:?}");
}

/// Two devices and the server with one note.
fn three(name: &str, body: &str) -> (Server, Client, Replica, Replica) {
    let server = Server::new(name, SETUP);
    let mut client = server.client();
    let (mut one, mut two) = (Replica::new(1), Replica::new(2));
    one.insert(1, body);
    assert_accepted(&one.push(&mut client));
    one.pull(&mut client);
    two.pull(&mut client);
    assert_eq!(two.body(1), Some(text(body)));
    (server, client, one, two)
}

fn assert_all(client: &mut Client, one: &mut Replica, two: &mut Replica, body: &str) {
    assert_eq!(server_body(client, 1).as_deref(), Some(body), "on the server");
    one.pull(client);
    two.pull(client);
    assert_eq!(one.body(1), Some(text(body)), "on the first device");
    assert_eq!(two.body(1), Some(text(body)), "on the second device");
}

#[test]
fn different_lines_edited_on_two_devices_and_in_sql_all_stand() {
    let (_server, mut client, mut one, mut two) = three("lines", "a\nb\nc\nd\n");
    one.set(1, "a1\nb\nc\nd\n");
    two.set(1, "a\nb\nc2\nd\n");
    assert_accepted(&one.push(&mut client));
    set_on_server(&mut client, 1, Some("a1\nb\nc\nserver\n"));
    assert_accepted(&two.push(&mut client));
    assert_all(&mut client, &mut one, &mut two, "a1\nb\nc2\nserver\n");
    set_on_server(&mut client, 1, Some("a1\nb\nc2\n"));
    one.set(1, "a1\nb one\nc2\nserver\n");
    assert_accepted(&one.push(&mut client));
    assert_all(&mut client, &mut one, &mut two, "a1\nb one\nc2\n");
}

#[test]
fn of_one_line_edited_twice_the_later_edit_stands() {
    let (_server, mut client, mut one, mut two) = three("same_line", "meet at 9\n");
    one.set(1, "meet at 10\n");
    std::thread::sleep(std::time::Duration::from_millis(5));
    two.set(1, "meet at 9, room 4\n");
    assert_accepted(&two.push(&mut client));
    assert_accepted(&one.push(&mut client));
    assert_all(&mut client, &mut one, &mut two, "meet at 9, room 4\n");
}

#[test]
fn null_and_whole_writes_begin_anew() {
    let (_server, mut client, mut one, mut two) = three("whole", "a\nb\n");
    one.set(1, "a1\nb\n");
    assert_accepted(&one.push(&mut client));
    set_on_server(&mut client, 1, None);
    let count = |client: &mut Client| -> i64 {
        let sql = "SELECT (SELECT count(*) FROM cloudsync.texts) + (SELECT count(*) FROM cloudsync.text_log)";
        client.query_one(sql, &[]).expect("it is read").get(0)
    };
    assert_eq!(count(&mut client), 0, "nothing is kept beside a NULL");
    one.pull(&mut client);
    assert_eq!(one.body(1), Some(Value::Null));
    set_on_server(&mut client, 1, Some("x\ny\n"));
    two.set(1, "a\nb2\n");
    assert_accepted(&two.push(&mut client));
    assert_all(&mut client, &mut one, &mut two, "x\ny\n");
    one.set(1, "x1\ny\n");
    two.set(1, "x\ny2\n");
    assert_accepted(&one.push(&mut client));
    assert_accepted(&two.push(&mut client));
    assert_all(&mut client, &mut one, &mut two, "x1\ny2\n");
    assert!(count(&mut client) > 0);
    client.execute("TRUNCATE notes", &[]).expect("it is emptied");
    assert_eq!(count(&mut client), 0, "nothing is kept of rows that are gone");
}

#[test]
fn a_deleted_row_is_not_brought_back_by_lines_and_a_new_life_begins_anew() {
    let (_server, mut client, mut one, mut two) = three("delete", "a\nb\n");
    one.set(1, "a1\nb\n");
    assert_accepted(&one.push(&mut client));
    client.execute("DELETE FROM notes", &[]).expect("it is deleted");
    two.set(1, "a\nb2\n");
    let results = two.push(&mut client);
    assert!(!matches!(results[0], RowResult::Accepted(_)), "{results:?}");
    assert_eq!(server_body(&mut client, 1), None);
    client.execute("INSERT INTO notes VALUES (1, NULL, E'p\\nq\\n')", &[]).expect("it is inserted");
    let mut three = Replica::new(3);
    assert!(!three.pull(&mut client).1);
    assert_eq!(three.body(1), Some(text("p\nq\n")));
    set_on_server(&mut client, 1, Some("p\nq2\n"));
    three.set(1, "p3\nq\n");
    assert_accepted(&three.push(&mut client));
    three.pull(&mut client);
    assert_eq!(three.body(1), Some(text("p3\nq2\n")));
    assert_eq!(server_body(&mut client, 1).as_deref(), Some("p3\nq2\n"));
}

#[test]
fn a_fresh_device_gets_all_lines_and_edits_on() {
    let (_server, mut client, mut one, _two) = three("fresh", "a\nb\nc\n");
    one.set(1, "a1\nb\nc\n");
    assert_accepted(&one.push(&mut client));
    let mut fresh = Replica::new(3);
    assert!(!fresh.pull(&mut client).1, "all at once");
    one.set(1, "a1\nb\nc1\n");
    fresh.set(1, "a1\nb3\nc\n");
    assert_accepted(&fresh.push(&mut client));
    assert_accepted(&one.push(&mut client));
    assert_all(&mut client, &mut one, &mut fresh, "a1\nb3\nc1\n");
}

#[test]
fn an_edit_of_a_long_text_is_told_in_few_bytes() {
    let long: String = (0..20_000).map(|line| format!("{line} {}\n", line * 7919 % 10_007)).collect();
    let (_server, mut client, mut one, mut two) = three("long", &long);
    let edited = long.replace("500 3955\n", "500, edited\n");
    one.set(1, &edited);
    assert_accepted(&one.push(&mut client));
    let (bytes, again) = two.pull(&mut client);
    assert_eq!(two.body(1), Some(text(&edited)));
    assert!(!again && bytes < 600, "{bytes} bytes");
    let edited = edited.replace("\n15000 ", "\n15000, edited ");
    set_on_server(&mut client, 1, Some(&edited));
    let (bytes, again) = two.pull(&mut client);
    assert_eq!(two.body(1), Some(text(&edited)));
    assert!(!again && bytes < 600, "{bytes} bytes");
    client.execute("UPDATE notes SET title = 'new'", &[]).expect("it is written");
    let (bytes, again) = two.pull(&mut client);
    assert!(!again && bytes < 600, "another column: {bytes} bytes");
    assert_eq!(two.body(1), Some(text(&edited)));
}

#[test]
fn whoever_was_away_longer_than_the_log_reaches_gets_the_whole() {
    let (_server, mut client, mut one, mut two) = three("log", "a\nb\n");
    for number in 0..40 {
        one.set(1, &format!("a {number} {}\nb\n", "x".repeat(500)));
        assert_accepted(&one.push(&mut client));
    }
    let sql = "SELECT count(*), sum(length(delta)) FROM cloudsync.text_log";
    let row = client.query_one(sql, &[]).expect("it is read");
    let (entries, bytes): (i64, i64) = (row.get(0), row.get(1));
    assert!(entries < 12 && bytes <= 4096, "the log is bounded: {entries} entries, {bytes} bytes");
    let body = server_body(&mut client, 1).expect("it is there");
    assert!(!two.pull(&mut client).1, "the whole came at once");
    assert_eq!(two.body(1), Some(text(&body)));
    one.set(1, "a\nb at the end\n");
    assert_accepted(&one.push(&mut client));
    assert_all(&mut client, &mut one, &mut two, "a\nb at the end\n");
}

#[test]
fn pushes_of_one_text_over_two_connections_lose_nothing() {
    let lines: String = (0..40).map(|line| format!("{line}\n")).collect();
    let (server, mut client, one, two) = three("together", &lines);
    let work = |mut replica: Replica, mut client: Client, odd: usize| {
        let mut body = (0..40).map(|line| line.to_string()).collect::<Vec<_>>();
        for line in (0..40).filter(|line| line % 2 == odd) {
            body[line] = format!("{line} by {odd}");
            replica.set(1, &(body.join("\n") + "\n"));
            assert_accepted(&replica.push(&mut client));
        }
        replica
    };
    let (left, right) = (server.client(), server.client());
    let (mut one, mut two) = std::thread::scope(|scope| {
        let one_at_work = scope.spawn(|| work(one, left, 0));
        let two_at_work = scope.spawn(|| work(two, right, 1));
        (one_at_work.join().expect("it succeeds"), two_at_work.join().expect("it succeeds"))
    });
    let expected: String = (0..40).map(|line| format!("{line} by {}\n", line % 2)).collect();
    assert_all(&mut client, &mut one, &mut two, &expected);
}

#[test]
fn lines_of_an_unknown_text_are_refused_and_the_whole_is_taken() {
    let (_server, mut client, mut one, _two) = three("unknown", "a\nb\n");
    client.batch_execute("SELECT cloudsync_set_column('notes', 'body', 'algo', 'cls')").expect("it is set");
    one.set(1, "a1\nb\n");
    let results = one.push(&mut client);
    assert!(matches!(&results[0], RowResult::Refused(refusal) if refusal.sqlstate == "55000"), "{results:?}");
    assert_eq!(server_body(&mut client, 1).as_deref(), Some("a\nb\n"));
    one.sent = Version::NEVER;
    assert_accepted(&one.push(&mut client));
    assert_eq!(server_body(&mut client, 1).as_deref(), Some("a1\nb\n"));
}

#[test]
fn a_text_that_a_trigger_changes_is_a_whole_write_of_the_server() {
    let (_server, mut client, mut one, mut two) = three("trigger", "a\nb\n");
    client
        .batch_execute(
            "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN NEW.body := upper(NEW.body); RETURN NEW; END $$;
            CREATE TRIGGER shout BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION shout()",
        )
        .expect("the trigger is made");
    one.set(1, "a1\nb\n");
    assert_accepted(&one.push(&mut client));
    assert_all(&mut client, &mut one, &mut two, "A1\nB\n");
}

#[test]
fn who_may_not_read_a_text_merges_nothing_into_it() {
    let server = Server::new(
        "lines_rights",
        &format!(
            "{SETUP} GRANT SELECT (id, title), UPDATE ON notes TO cloudsync_alice;
            GRANT SELECT, INSERT, UPDATE ON notes TO cloudsync_bob;
            ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY alice ON notes TO cloudsync_alice USING (true);
            CREATE POLICY bob ON notes TO cloudsync_bob USING (title IS DISTINCT FROM 'secret');"
        ),
    );
    let mut client = server.client();
    let (mut one, mut two, mut writer) = (Replica::new(1), Replica::new(2), Replica::new(3));
    writer.insert(1, "a\nb\nc\n");
    assert_accepted(&writer.push(&mut client));
    one.pull(&mut client);
    two.pull(&mut client);
    one.device.epoch = None;
    set_on_server(&mut client, 1, Some("a\nb\nhidden\n"));
    one.set(1, "a1\nb\nc\n");
    let mut alice = server.client_as("cloudsync_alice");
    let results = one.push(&mut alice);
    assert!(matches!(&results[0], RowResult::Refused(refusal) if refusal.sqlstate == "55000"), "{results:?}");
    client.batch_execute("UPDATE notes SET title = 'secret'").expect("it is hidden");
    let mut bob = server.client_as("cloudsync_bob");
    two.set(1, "a\nb2\nc\n");
    let reply = two.try_push(&mut bob).expect("the push is taken");
    assert!(matches!(reply.results[0][0], RowResult::Refused(_)), "{reply:?}");
    assert!(reply.restored.tables.is_empty(), "{reply:?}");
    assert_eq!(server_body(&mut client, 1).as_deref(), Some("a\nb\nhidden\n"));
}

#[test]
fn only_a_column_of_text_outside_the_key_can_be_merged_by_lines() {
    let server = Server::new(
        "settings",
        "CREATE TABLE t (id text PRIMARY KEY, n int, v varchar, d jsonb, b text); SELECT cloudsync_init('t')",
    );
    let mut client = server.client();
    for (column, algorithm) in [("id", "block"), ("n", "block"), ("d", "block"), ("no", "block"), ("b", "x")]
    {
        let set = format!("SELECT cloudsync_set_column('t', '{column}', 'algo', '{algorithm}')");
        assert!(client.batch_execute(&set).is_err(), "{column}");
    }
    client.batch_execute("SELECT cloudsync_set_column('t', 'v', 'algo', 'block')").expect("it is set");
    client.batch_execute("SELECT cloudsync_set_column('t', 'v', 'delimiter', E'\\n\\n')").expect("it is set");
    assert!(client.batch_execute("SELECT cloudsync_set_column('t', 'v', 'delimiter', '')").is_err());
    client.batch_execute("SELECT cloudsync_set_column('t', 'v', 'merge', 'word')").expect("it is set");
    assert!(client.batch_execute("SELECT cloudsync_set_column('t', 'v', 'merge', 'letter')").is_err());
    let sql = "SELECT cloudsync_text_materialize('t', 'v', 'key')";
    assert_eq!(client.query_one(sql, &[]).expect("it is called").get::<_, i32>(0), 1);
    assert!(client.query_one("SELECT cloudsync_text_materialize('t', 'b', 'key')", &[]).is_err());
    client.batch_execute("SELECT cloudsync_cleanup('t')").expect("it is forgotten");
}

/// How long it takes: run by name, `--ignored --nocapture`, against a server built for release.
#[test]
#[ignore = "prints figures"]
fn figures_of_a_long_text() {
    let line = "x".repeat(44);
    let long: String = (0..20_000).map(|number| format!("{number:05} {line}\n")).collect();
    let (_server, mut client, mut one, mut two) = three("figures", &long);
    let mut body = long;
    for round in 0..5 {
        let start = std::time::Instant::now();
        body = body.replacen(&format!("{:05} x", round * 4000 + 7), &format!("sql {round} x"), 1);
        set_on_server(&mut client, 1, Some(&body));
        println!("update in SQL: {:?}", start.elapsed());
        one.pull(&mut client);
        body = body.replacen(&format!("{:05} x", round * 4000 + 9), &format!("device {round} x"), 1);
        one.set(1, &body);
        let start = std::time::Instant::now();
        assert_accepted(&one.push(&mut client));
        println!("push with the device's own work: {:?}", start.elapsed());
        let start = std::time::Instant::now();
        let pages = two.device.pull(&mut client, &[TABLE]);
        println!("pull: {:?}, {} bytes", start.elapsed(), size(&pages));
    }
    let start = std::time::Instant::now();
    client
        .batch_execute("ALTER TABLE notes DISABLE TRIGGER USER; UPDATE notes SET body = body || 'x'")
        .expect("it is set");
    println!("the same update without triggers: {:?}", start.elapsed());
}

#[test]
fn a_row_trigger_that_edits_the_text_again_leaves_all_with_one_text() {
    let (_server, mut client, mut one, mut two) = three("nested", "a\nb\nc\n");
    client
        .batch_execute(
            "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                UPDATE notes SET body = replace(body, 'b', 'b again') WHERE id = NEW.id; RETURN NULL; END $$;
            CREATE TRIGGER again AFTER UPDATE ON notes FOR EACH ROW WHEN (pg_trigger_depth() = 0)
                EXECUTE FUNCTION again()",
        )
        .expect("the trigger is made");
    set_on_server(&mut client, 1, Some("a1\nb\nc\n"));
    assert_all(&mut client, &mut one, &mut two, "a1\nb again\nc\n");
    client.batch_execute("DROP TRIGGER again ON notes").expect("it goes");
    one.set(1, "a1\nb again\nc one\n");
    set_on_server(&mut client, 1, Some("a sql\nb again\nc\n"));
    assert_accepted(&one.push(&mut client));
    assert_all(&mut client, &mut one, &mut two, "a sql\nb again\nc one\n");
}

#[test]
fn a_payload_tells_lines_too_and_changes_show_the_whole_text() {
    let (_server, mut client, mut one, mut two) = three("payload", "a\nb\nc\n");
    one.set(1, "a\nb\nc one\n");
    let site = one.device.site;
    let sent = one.sent;
    let told = one.store.changes(|stamp| stamp.site == site && stamp.version > sent);
    set_on_server(&mut client, 1, Some("a sql\nb\nc\n"));
    let payload = wire::encode(&Message::Payload(told)).expect("it is sound");
    client.execute("SELECT cloudsync_payload_apply($1)", &[&payload]).expect("it is applied");
    assert_all(&mut client, &mut one, &mut two, "a sql\nb\nc one\n");
    let mut expected = Vec::new();
    text("a sql\nb\nc one\n").encode(&mut expected);
    let sql = "SELECT col_value FROM cloudsync_changes WHERE col_name = 'body'";
    assert_eq!(client.query_one(sql, &[]).expect("it is read").get::<_, Vec<u8>>(0), expected);
}
