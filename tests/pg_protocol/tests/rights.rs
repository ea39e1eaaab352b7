//! What the server refuses, and what it hides: rights, row-level security, constraints.

use cloudsync_pg_protocol::device::{Device, changes, text};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::message::{PushReply, RowResult};
use cloudsync_shared::value::Value;

const NOTES: &str = "CREATE TABLE notes (id text PRIMARY KEY, owner name, body text);
    SELECT cloudsync_init('notes');
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes USING (owner = current_user);
    GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO cloudsync_alice, cloudsync_bob";
const COLUMNS: [&str; 2] = ["owner", "body"];

fn refused(result: &RowResult) -> &str {
    match result {
        RowResult::Refused(refusal) => &refusal.sqlstate,
        _ => "accepted",
    }
}

fn refusals(reply: &PushReply) -> Vec<&str> {
    reply.results.iter().flatten().map(refused).collect()
}

#[test]
fn one_bad_row_of_each_kind_does_not_stop_the_others() {
    let server = Server::new(
        "bad_rows",
        "CREATE TABLE parent (id text PRIMARY KEY);
         CREATE TABLE t (id text PRIMARY KEY, parent text REFERENCES parent, n int CHECK (n < 100), u text UNIQUE,
            s varchar(5));
         CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'MY001'; END$$;
         CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.u = 'no') EXECUTE FUNCTION no();
         SELECT cloudsync_init('parent'), cloudsync_init('t');
         INSERT INTO parent VALUES ('p'); INSERT INTO t VALUES ('taken', 'p', 1, 'taken', 'x')",
    );
    let mut one = Device::new(1);
    let mut client = server.client();
    let columns = ["parent", "n", "u", "s"];
    let good = |at: usize| vec![text("p"), Value::Integer(7), text(&format!("u{at}")), text("s")];
    let mut rows = Vec::new();
    for at in 0..200 {
        let mut values = good(at);
        match at {
            10 => values[0] = text("nobody"),
            20 => values[1] = Value::Integer(100),
            30 => values[2] = text("taken"),
            40 => values[3] = text("too long"),
            50 => values[1] = text("abc"),
            60 => values[3] = text("a\0b"),
            70 => values[2] = text("no"),
            80 => values[1] = Value::Integer(1 << 40),
            90 => values[1] = Value::Blob(vec![1]),
            _ => {}
        }
        rows.push(one.insert(&[text(&format!("k{at:03}"))], &values));
    }
    let reply = one.push(&mut client, "t", &columns, rows).unwrap();
    let found = refusals(&reply);
    let expected = [
        (10, "23503"),
        (20, "23514"),
        (30, "23505"),
        (40, "22001"),
        (50, "22P02"),
        (60, "22021"),
        (70, "MY001"),
        (80, "22003"),
        (90, "42804"),
    ];
    for (at, sqlstate) in found.iter().enumerate() {
        let wanted = expected.iter().find(|(bad, _)| *bad == at).map_or("accepted", |(_, state)| state);
        assert_eq!(*sqlstate, wanted, "row {at}");
    }
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).unwrap().get(0);
    assert_eq!(count, 192);
    let clocks: i64 = client.query_one("SELECT count(*) FROM cloudsync.clock_2", &[]).unwrap().get(0);
    assert_eq!(clocks, 192, "a refused row leaves no clock");
}

#[test]
fn parents_and_children_arrive_and_leave_in_any_order() {
    let schema = |deferrable: &str| {
        format!(
            "CREATE TABLE parent (id text PRIMARY KEY, v text);
             CREATE TABLE child (id text PRIMARY KEY, parent text REFERENCES parent {deferrable});
             SELECT cloudsync_init('child'), cloudsync_init('parent')"
        )
    };
    for (name, deferrable) in [("fk", ""), ("fk_deferred", "DEFERRABLE INITIALLY DEFERRED")] {
        let server = Server::new(name, &schema(deferrable));
        let mut one = Device::new(1);
        let mut client = server.client();
        let children =
            vec![one.insert(&[text("c")], &[text("p")]), one.insert(&[text("orphan")], &[text("none")])];
        let parents = vec![one.insert(&[text("p")], &[text("v")])];
        let batch = ChangeBatch {
            tables: vec![changes("child", &["parent"], children), changes("parent", &["v"], parents)],
        };
        let reply = one.push_batch(&mut client, batch).unwrap();
        assert_eq!(refusals(&reply), ["accepted", "23503", "accepted"], "{name}");
        let batch = ChangeBatch {
            tables: vec![
                changes("parent", &["v"], vec![one.delete(&[text("p")])]),
                changes("child", &["parent"], vec![one.delete(&[text("c")])]),
            ],
        };
        let reply = one.push_batch(&mut client, batch).unwrap();
        assert_eq!(reply.results, [[RowResult::Dead], [RowResult::Dead]], "{name}");
        let left: i64 = client.query_one("SELECT count(*) FROM parent", &[]).unwrap().get(0);
        assert_eq!(left, 0);
    }
}

#[test]
fn users_see_and_write_their_own_rows_only() {
    let server = Server::new("rls", NOTES);
    let (mut a, mut b) = (Device::new(1), Device::new(2));
    let (mut alice, mut bob) = (server.client_as("cloudsync_alice"), server.client_as("cloudsync_bob"));
    let mut root = server.client();
    let rows: Vec<_> = (0..20)
        .map(|at| {
            let owner = if at % 5 == 0 { "cloudsync_bob" } else { "cloudsync_alice" };
            a.insert(&[text(&format!("alice-{at}"))], &[text(owner), text("secret")])
        })
        .collect();
    let reply = a.push(&mut alice, "notes", &COLUMNS, rows).unwrap();
    for (at, sqlstate) in refusals(&reply).iter().enumerate() {
        assert_eq!(*sqlstate, if at % 5 == 0 { "42501" } else { "accepted" }, "WITH CHECK, row {at}");
    }
    let pages = b.pull(&mut bob, &["notes"]);
    assert_eq!(b.count("notes"), 0);
    assert!(!format!("{pages:?}").contains("secret"));
    // A row of another user's that exists is neither updated, deleted, taken over nor told of.
    let key = [text("alice-1")];
    let update = b.update(&key, &[(1, text("stolen"))]);
    let delete = b.delete(&[text("alice-2")]);
    let insert = b.insert(&[text("alice-3")], &[text("cloudsync_bob"), text("mine now")]);
    let stale = b.update(&[text("alice-4")], &[]);
    let own = b.insert(&[text("bob-1")], &[text("cloudsync_bob"), text("fine")]);
    let reply = b.push(&mut bob, "notes", &COLUMNS, vec![update, delete, insert, stale, own]).unwrap();
    assert_eq!(refusals(&reply), ["42501", "accepted", "23505", "42501", "accepted"]);
    assert_eq!(reply.results[0][1], RowResult::Dead, "as plain SQL says of a delete that finds nothing");
    assert_eq!(reply.restored.row_count(), 0, "nothing of others is sent in place of a refused row");
    let stolen: i64 = root
        .query_one("SELECT count(*) FROM notes WHERE owner = 'cloudsync_alice' AND body = 'secret'", &[])
        .unwrap()
        .get(0);
    assert_eq!(stolen, 16);
    // The row moves out of bob's sight: hidden, and gone when asked for.
    b.cursor = None;
    b.pull(&mut bob, &["notes"]);
    assert_eq!(b.count("notes"), 1);
    root.batch_execute("UPDATE notes SET owner = 'cloudsync_alice' WHERE id = 'bob-1'").unwrap();
    let pages = b.pull(&mut bob, &["notes"]);
    assert!(pages[0].hidden);
    assert_eq!(b.count("notes"), 0);
    a.pull(&mut alice, &["notes"]);
    assert_eq!(a.values("notes", &[text("bob-1")]).unwrap()[1], text("fine"));
}

#[test]
fn a_refused_update_brings_the_servers_row_back() {
    let server = Server::new(
        "restore",
        "CREATE TABLE notes (id text PRIMARY KEY, owner name, body text);
         SELECT cloudsync_init('notes');
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY reading ON notes FOR SELECT USING (true);
         CREATE POLICY writing ON notes FOR UPDATE USING (owner = current_user);
         GRANT SELECT, INSERT, UPDATE ON notes TO cloudsync_bob;
         INSERT INTO notes VALUES ('1', 'cloudsync_alice', 'hers')",
    );
    let mut b = Device::new(2);
    let mut bob = server.client_as("cloudsync_bob");
    let update = b.update(&[text("1")], &[(1, text("mine"))]);
    let reply = b.push(&mut bob, "notes", &COLUMNS, vec![update]).unwrap();
    assert_eq!(refusals(&reply), ["42501"], "an update that a policy filters silently is refused");
    assert_eq!(reply.restored.tables[0].rows[0].cells[1].value, text("hers"));
}

#[test]
fn without_a_right_every_row_is_refused_and_an_unknown_table_is_told() {
    let server =
        Server::new("no_right", "CREATE TABLE s (id text PRIMARY KEY, v text); SELECT cloudsync_init('s')");
    let mut b = Device::new(2);
    let mut bob = server.client_as("cloudsync_bob");
    let rows: Vec<_> = (0..3).map(|at| b.insert(&[text(&at.to_string())], &[text("v")])).collect();
    let reply = b.push(&mut bob, "s", &["v"], rows.clone()).unwrap();
    assert_eq!(refusals(&reply), ["42501"; 3]);
    let reply = b.push(&mut bob, "nothing", &["v"], rows).unwrap();
    assert_eq!(reply.results[0], vec![RowResult::UnknownTable; 3]);
    b.pull(&mut bob, &["s"]);
    assert_eq!(b.count("s"), 0);
}

#[test]
fn a_clock_too_far_ahead_refuses_the_push_and_bad_bytes_are_an_error() {
    let server =
        Server::new("drift", "CREATE TABLE s (id text PRIMARY KEY, v text); SELECT cloudsync_init('s')");
    let mut one = Device::new(1);
    let mut client = server.client();
    one.highest = cloudsync_shared::hlc::Version::from_millis(cloudsync_shared::hlc::Millis(
        cloudsync_pg_protocol::device::now().0 + 6 * 60 * 1000,
    ));
    let row = one.insert(&[text("1")], &[text("v")]);
    let error = one.push(&mut client, "s", &["v"], vec![row]).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22008");
    for length in [0, 1, 7, 40] {
        for function in ["cloudsync_push", "cloudsync_pull"] {
            let bytes = vec![0x5a_u8; length];
            let error = client.query_one(&format!("SELECT {function}($1)"), &[&bytes]).unwrap_err();
            assert_eq!(error.code().unwrap().code(), "22P03", "{function} of {length} bytes: {error:?}");
        }
    }
    one.pull(&mut client, &["s"]);
    let request = cloudsync_shared::message::PullRequest {
        site: one.site,
        epoch: one.epoch,
        tables: vec!["s".into()],
        from: Some(cloudsync_shared::message::Snapshot("9:3:".into())),
        progress: None,
        max_bytes: 1000,
        held: Vec::new(),
    };
    let error = one.pull_page(&mut client, request).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.detail()), ("22P02", None), "no backtrace for the client");
}

#[test]
fn a_key_that_the_type_writes_otherwise_is_refused() {
    let server = Server::new(
        "keys",
        "CREATE TABLE k (id uuid, n numeric, PRIMARY KEY (id, n)); SELECT cloudsync_init('k')",
    );
    let mut one = Device::new(1);
    let mut client = server.client();
    let id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let keys = [
        [text(id), text("1.5")],
        [text(&id.to_uppercase()), text("1.5")],
        [text(id), text("01.5")],
        [text("nonsense"), text("1")],
        [text(id), text("x")],
    ];
    let rows = keys.iter().map(|key| one.insert(key, &[])).collect();
    let reply = one.push(&mut client, "k", &[], rows).unwrap();
    assert_eq!(refusals(&reply), ["accepted", "22P02", "22P02", "22P02", "22P02"]);
}

#[test]
fn a_trigger_that_writes_the_pushed_row_again_wins_its_cells() {
    let server = Server::new(
        "own_trigger",
        "CREATE TABLE s (id text PRIMARY KEY, v text, at text); SELECT cloudsync_init('s');
         CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN UPDATE s SET at = 'set' WHERE id = NEW.id AND at IS DISTINCT FROM 'set'; RETURN NULL; END$$;
         CREATE TRIGGER again AFTER INSERT OR UPDATE OF v ON s FOR EACH ROW EXECUTE FUNCTION again()",
    );
    let mut one = Device::new(1);
    let mut client = server.client();
    let rows: Vec<_> =
        (0..5).map(|at| one.insert(&[text(&at.to_string())], &[text("v"), Value::Null])).collect();
    let reply = one.push(&mut client, "s", &["v", "at"], rows).unwrap();
    assert_eq!(refusals(&reply), ["accepted"; 5]);
    one.pull(&mut client, &["s"]);
    for at in 0..5 {
        assert_eq!(one.values("s", &[text(&at.to_string())]).unwrap(), [text("v"), text("set")]);
    }
}

#[test]
fn a_pull_runs_in_a_read_only_transaction() {
    let server = Server::new(
        "read_only",
        "CREATE TABLE s (id text PRIMARY KEY, v text); SELECT cloudsync_init('s');
        INSERT INTO s VALUES ('1', 'v')",
    );
    let mut one = Device::new(1);
    let mut client = server.client();
    client.batch_execute("SET default_transaction_read_only = on").unwrap();
    one.pull(&mut client, &["s"]);
    one.pull(&mut client, &["s"]);
    assert_eq!(one.count("s"), 1);
}
