//! What is pushed comes back on another device, value for value.

use cloudsync_pg_protocol::device::{Device, text};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::message::RowResult;
use cloudsync_shared::value::Value;

const TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN price AS numeric(10, 2) CHECK (VALUE >= 0);
    CREATE TABLE kinds (id uuid PRIMARY KEY, i2 int2, i4 int4, i8 int8, b bool, f4 float4, f8 float8, t text,
        v varchar(20), c char(4), m mood, n numeric, p price, d date, ti time, ts timestamp, tz timestamptz,
        j json, jb jsonb, a int[], r int4range, ip inet, by bytea, iv interval, u uuid);
    SELECT cloudsync_init('kinds')";

const COLUMNS: [&str; 24] = [
    "i2", "i4", "i8", "b", "f4", "f8", "t", "v", "c", "m", "n", "p", "d", "ti", "ts", "tz", "j", "jb", "a",
    "r", "ip", "by", "iv", "u",
];

fn values() -> Vec<Value> {
    vec![
        Value::Integer(-7),
        Value::Integer(i64::from(i32::MAX)),
        Value::Integer(i64::MIN),
        Value::Integer(1),
        Value::Real(0.5),
        Value::Real(-0.0),
        text("größe \u{1F600} 'quoted' \\ {brace},NULL"),
        text("short"),
        text("ab"),
        text("happy"),
        text("12345678901234567890.0100"),
        text("3.50"),
        text("2026-02-28"),
        text("13:14:15.5"),
        text("2026-02-28 13:14:15.123456"),
        text("2026-02-28 13:14:15+00"),
        text("{\"b\": 1,  \"a\": 2}"),
        text("{\"a\": 2, \"b\": 1}"),
        text("{1,NULL,3}"),
        text("[1,5)"),
        text("10.0.0.1"),
        Value::Blob(vec![0, 255, 1]),
        text("P1Y2M3DT4H5M6S"),
        text("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c"),
    ]
}

#[test]
fn every_type_comes_back_as_it_was_sent() {
    let server = Server::new("types", TYPES);
    let (mut one, mut two) = (Device::new(1), Device::new(2));
    let mut client = server.client();
    let key = [text("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")];
    let nulls = [text("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5d")];
    let rows = vec![one.insert(&key, &values()), one.insert(&nulls, &vec![Value::Null; 24])];
    let reply = one.push(&mut client, "kinds", &COLUMNS, rows).unwrap();
    assert!(reply.results[0].iter().all(|result| matches!(result, RowResult::Accepted(_))), "{reply:?}");
    two.pull(&mut client, &["kinds"]);
    assert_eq!(two.values("kinds", &key).unwrap(), values());
    assert_eq!(two.values("kinds", &nulls).unwrap(), vec![Value::Null; 24]);
    one.pull(&mut client, &["kinds"]);
    let own = one.rows["kinds"].values().flat_map(|row| &row.cells);
    assert!(own.into_iter().all(|cell| cell.stamp.site == one.site), "nothing was rewritten on the way");
}

#[test]
fn floats_survive_to_the_bit() {
    let server = Server::new(
        "floats",
        "CREATE TABLE f (id int8 PRIMARY KEY, x float8); SELECT cloudsync_init('f', 'cls', 1)",
    );
    let (mut one, mut two) = (Device::new(1), Device::new(2));
    let mut client = server.client();
    let floats = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        5e-324,
        f64::MAX,
        0.1 + 0.2,
        1e18,
        9007199254740993.0,
    ];
    let keys = 0i64..;
    let rows = keys.zip(floats).map(|(id, x)| one.insert(&[Value::Integer(id)], &[Value::Real(x)])).collect();
    one.push(&mut client, "f", &["x"], rows).unwrap();
    two.pull(&mut client, &["f"]);
    for (id, x) in (0i64..).zip(floats) {
        assert_eq!(two.values("f", &[Value::Integer(id)]), Some(vec![Value::Real(x)]));
    }
}

#[test]
fn what_the_server_stores_otherwise_goes_back_to_the_pusher() {
    let server = Server::new(
        "canonical",
        "CREATE TABLE c (id int8 PRIMARY KEY, n numeric(10,2), j jsonb, t text, at text);
         CREATE FUNCTION upper_t() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN NEW.t := upper(NEW.t); NEW.at := 'set'; RETURN NEW; END$$;
         CREATE TRIGGER u BEFORE UPDATE ON c FOR EACH ROW EXECUTE FUNCTION upper_t();
         SELECT cloudsync_init('c', 'cls', 1)",
    );
    let mut one = Device::new(1);
    let mut client = server.client();
    let columns = ["n", "j", "t", "at"];
    let key = [Value::Integer(1)];
    let row = one.insert(&key, &[text("1.005"), text("{\"a\":1}"), text("x"), Value::Null]);
    one.push(&mut client, "c", &columns, vec![row]).unwrap();
    one.pull(&mut client, &["c"]);
    assert_eq!(one.values("c", &key).unwrap(), [text("1.01"), text("{\"a\": 1}"), text("x"), Value::Null]);
    let row = one.update(&key, &[(2, text("y"))]);
    one.push(&mut client, "c", &columns, vec![row]).unwrap();
    one.pull(&mut client, &["c"]);
    assert_eq!(one.values("c", &key).unwrap(), [text("1.01"), text("{\"a\": 1}"), text("Y"), text("set")]);
}

#[test]
fn a_repeated_push_changes_nothing() {
    let server =
        Server::new("repeat", "CREATE TABLE r (id text PRIMARY KEY, v text); SELECT cloudsync_init('r')");
    let (mut one, mut two) = (Device::new(1), Device::new(2));
    let mut client = server.client();
    let rows: Vec<_> = (0..50).map(|at| one.insert(&[text(&format!("k{at}"))], &[text("v")])).collect();
    let first = one.push(&mut client, "r", &["v"], rows.clone()).unwrap();
    two.pull(&mut client, &["r"]);
    let again = one.push(&mut client, "r", &["v"], rows.clone()).unwrap();
    assert_eq!(first.results, again.results);
    let pages = two.pull(&mut client, &["r"]);
    assert_eq!(pages.iter().map(|page| page.changes.row_count()).sum::<usize>(), 0, "nothing new was told");
    let twice = [rows.clone(), rows].concat();
    let folded = one.push(&mut client, "r", &["v"], twice).unwrap();
    assert_eq!(folded.results[0].len(), 100, "a result for each row as sent");
    assert_eq!(folded.results[0][..50], first.results[0][..]);
}

#[test]
fn a_deleted_row_is_hidden_then_gone_and_never_named() {
    let server = Server::new(
        "gone",
        "CREATE TABLE g (id int8 PRIMARY KEY, v text); SELECT cloudsync_init('g', 'cls', 1)",
    );
    let (mut one, mut two, mut three) = (Device::new(1), Device::new(2), Device::new(3));
    let mut client = server.client();
    let rows = (1..=3).map(|id| one.insert(&[Value::Integer(id)], &[text("v")])).collect();
    one.push(&mut client, "g", &["v"], rows).unwrap();
    two.pull(&mut client, &["g"]);
    assert_eq!(two.count("g"), 3);
    let delete = one.delete(&[Value::Integer(2)]);
    let reply = one.push(&mut client, "g", &["v"], vec![delete]).unwrap();
    assert_eq!(reply.results[0], [RowResult::Dead]);
    let pages = two.pull(&mut client, &["g"]);
    assert!(pages[0].hidden && pages[0].changes.row_count() == 0);
    assert_eq!(two.count("g"), 2);
    three.pull(&mut client, &["g"]);
    assert_eq!(three.count("g"), 2, "a fresh device sees no tombstone");
    client.batch_execute("DELETE FROM g WHERE id = 1").unwrap();
    two.pull(&mut client, &["g"]);
    assert_eq!(two.count("g"), 1);
    let late = three.update(&[Value::Integer(1)], &[(0, text("late"))]);
    let late = three.naming(late);
    assert_eq!(three.push(&mut client, "g", &["v"], vec![late]).unwrap().results[0], [RowResult::Dead]);
}

#[test]
fn another_epoch_empties_the_answer() {
    let server = Server::new(
        "epoch",
        "CREATE TABLE e (id int8 PRIMARY KEY, v text); SELECT cloudsync_init('e', 'cls', 1)",
    );
    let mut one = Device::new(1);
    let mut client = server.client();
    client.batch_execute("INSERT INTO e VALUES (1, 'a')").unwrap();
    one.pull(&mut client, &["e"]);
    let old = one.epoch;
    client.batch_execute("UPDATE cloudsync.settings SET value = md5(value) WHERE key = 'epoch'").unwrap();
    client.batch_execute("INSERT INTO e VALUES (2, 'b')").unwrap();
    let pages = one.pull(&mut client, &["e"]);
    assert_eq!(pages[0].changes.row_count(), 0);
    assert_ne!(one.epoch, old);
    let old_epoch = Device { epoch: old, ..one.clone() }.gone(&mut client, None);
    assert!(old_epoch.gone.is_empty());
    one.cursor = None;
    one.pull(&mut client, &["e"]);
    assert_eq!(one.count("e"), 2);
}
