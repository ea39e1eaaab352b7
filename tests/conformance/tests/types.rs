//! Every type of PostgreSQL there and back: what the server holds comes to a device and from there to the
//! server again unchanged to the bit, whatever the settings of the sessions that push and pull.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;
use cloudsync_conformance::types::{self, PREPARATION, SAMPLES};

/// Settings that change how values are written and read, each another than the protocol's.
const ODD_SETTINGS: &[&str] = &[
    "datestyle = 'SQL, DMY'",
    "intervalstyle = 'postgres_verbose'",
    "timezone = 'America/St_Johns'",
    "bytea_output = 'escape'",
    "extra_float_digits = -5",
    "search_path = types, public",
    "array_nulls = off",
    "xmloption = 'document'",
    "quote_all_identifiers = on",
    "lc_monetary = 'de_DE.UTF-8'",
];

fn make_odd(server: &mut Server) {
    let database = server.dump("SELECT current_database()::text").concat().replace('"', "");
    for setting in ODD_SETTINGS {
        // A language that this machine does not have cannot be tested here.
        let set = format!("ALTER DATABASE {database} SET {setting}");
        if let Err(error) = server.client.batch_execute(&set) {
            assert!(setting.starts_with("lc_"), "{set}: {error:?}");
        }
    }
}

#[test]
fn what_the_server_holds_comes_back_unchanged_from_a_device() {
    let directory = tempfile::tempdir().expect("a directory");
    let names = types::names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut server = Server::create(&format!("{PREPARATION}{}", types::server_tables()), &names);
    for (table, sample) in names.iter().zip(SAMPLES) {
        for (at, value) in sample.values.iter().enumerate() {
            server.run(&format!("INSERT INTO {table} VALUES ('{at}', {value})"));
        }
        server.run(&format!("INSERT INTO {table} VALUES ('null', NULL)"));
    }
    make_odd(&mut server);
    let url = server.url.clone();
    let device = |name: &str| {
        let device = Device::create(directory.path(), name, &types::device_tables(), &names);
        device.connect(&url);
        device.sync();
        device
    };
    let one = device("one");
    assert_eq!(one.dump("SELECT * FROM cloudsync_parked"), Vec::<String>::new());
    for table in &names {
        one.run(&format!("INSERT INTO {table} SELECT 'copy ' || id, v FROM {table}"));
    }
    let before = content(&one, &names);
    one.sync();
    let refused = one.dump("SELECT tbl, sqlstate, message FROM cloudsync_rejections");
    assert_eq!(refused, Vec::<String>::new());
    let mut faults = Vec::new();
    for (table, sample) in names.iter().zip(SAMPLES) {
        let sql = format!(
            "SELECT a.id, a.v::text, b.v::text FROM {table} a FULL JOIN {table} b ON b.id = 'copy ' || a.id \
             WHERE (a.id IS NULL OR a.id NOT LIKE 'copy%') AND (b.id IS NULL OR b.id LIKE 'copy%') \
               AND (a.id IS NULL OR b.id IS NULL OR NOT record_image_eq(ROW(a.v), ROW(b.v)))"
        );
        faults.extend(server.dump(&sql).into_iter().map(|line| format!("{}: {line}", sample.server)));
    }
    assert_eq!(faults, Vec::<String>::new());
    one.sync();
    assert_eq!(content(&one, &names), before, "nothing was rewritten");
    assert_eq!(content(&device("two"), &names), before, "another device has the same");
}

fn content(device: &Device, tables: &[&str]) -> Vec<String> {
    let rows = |table: &&str| device.dump(&format!("SELECT '{table}', id, typeof(v), v FROM {table}"));
    tables.iter().flat_map(rows).collect()
}

/// Type of the server, what a device writes into a column without a type, and what it has after one sync.
const REWRITTEN: &[(&str, &str, &str)] = &[
    ("integer", "'12'", "12"),
    ("integer", "3.0", "3"),
    ("boolean", "'true'", "1"),
    ("boolean", "'no'", "0"),
    ("real", "0.1", "0.10000000149011612"),
    ("double precision", "9007199254740993", "9007199254740992.0"),
    ("double precision", "'1.5'", "1.5"),
    ("numeric", "1e3", r#""1000""#),
    ("numeric", "7", r#""7""#),
    ("numeric(6,2)", "'1.5'", r#""1.50""#),
    ("money", "1234.5", r#""$1,234.50""#),
    ("varchar(3)", "'abc  '", r#""abc""#),
    ("char(3)", "'a '", r#""a""#),
    ("bytea", "'é'", "x[c3, a9]"),
    ("uuid", "'{0190A1B2C3D47E5F8A9B0C1D2E3F4A5B}'", r#""0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b""#),
    ("date", "'2026/2/28'", r#""2026-02-28""#),
    ("time", "'13:14'", r#""13:14:00""#),
    ("time", "'23:59:60'", r#""24:00:00""#),
    ("time", "'13:14:15.1234567'", r#""13:14:15.123457""#),
    ("timestamp", "'2026-02-28T13:14'", r#""2026-02-28 13:14:00""#),
    ("timestamptz", "'2026-02-28T13:14:15.50+05:30'", r#""2026-02-28 07:44:15.5+00""#),
    ("timestamptz", "'2026-02-28 13:14:15'", r#""2026-02-28 13:14:15+00""#),
    ("interval", "'1 month -2 days'", r#""P1M-2D""#),
    ("json", "'{ \"b\" : 1.0 }'", r#""{ \"b\" : 1.0 }""#),
    ("jsonb", "'{\"b\":1.50e1,\"a\":2}'", r#""{\"a\": 2, \"b\": 15.0}""#),
    ("inet", "'10.0.0.1/32'", r#""10.0.0.1""#),
    ("integer[]", "'{ 1 , null }'", r#""{1,NULL}""#),
    ("int4range", "'[1,4]'", r#""[1,5)""#),
    ("tstzrange", "'[2026-01-01 02:00+02,]'", r#""[\"2026-01-01 00:00:00+00\",)""#),
];

#[test]
fn what_the_server_writes_otherwise_comes_back_in_the_same_sync() {
    let directory = tempfile::tempdir().expect("a directory");
    let columns = |kind: &dyn Fn(&str) -> String| -> String {
        let columns = REWRITTEN.iter().enumerate().map(|(at, (name, ..))| format!(", c{at} {}", kind(name)));
        format!("CREATE TABLE item (id TEXT PRIMARY KEY NOT NULL{});", columns.collect::<String>())
    };
    let mut server = Server::create(&columns(&str::to_owned), &["item"]);
    make_odd(&mut server);
    let device = Device::create(directory.path(), "one", &columns(&|_| String::new()), &["item"]);
    device.connect(&server.url);
    let values: Vec<&str> = REWRITTEN.iter().map(|(_, value, _)| *value).collect();
    device.run(&format!("INSERT INTO item VALUES ('a', {})", values.join(", ")));
    device.sync();
    assert_eq!(device.dump("SELECT message FROM cloudsync_rejections"), Vec::<String>::new());
    for (at, (name, value, after)) in REWRITTEN.iter().enumerate() {
        assert_eq!(device.dump(&format!("SELECT c{at} FROM item")), [*after], "{name}: {value}");
    }
}
