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
    let device = |name: &str| {
        let device = Device::create(directory.path(), name, &types::device_tables(), &names);
        device.connect(&server.url);
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
               AND (a.id IS NULL OR b.id IS NULL OR NOT ROW(a.v) *= ROW(b.v))"
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
