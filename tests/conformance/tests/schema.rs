//! Tables that a device makes as the server describes them, and a server as a device does.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::gateway::{Gateway, token};
use cloudsync_conformance::server::Server;

const ANNA: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// Every way in which a value travels, keys of two columns, defaults that a device has and has not.
const SERVER_DDL: &str = r#"
CREATE TABLE lists (id text PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL DEFAULT 'it''s new');
CREATE TABLE "Kinds of" (a int, "B c" uuid, i bigint NOT NULL DEFAULT -1, b bool NOT NULL DEFAULT true,
    r float8 DEFAULT 1.5, n numeric(10,2) NOT NULL DEFAULT 0.50, x bytea DEFAULT '\x00ff', at timestamptz DEFAULT now(),
    d date, j jsonb DEFAULT '{"a": 1}', s text DEFAULT lower('A'), must text NOT NULL,
    g int GENERATED ALWAYS AS (a + 1) STORED, PRIMARY KEY ("B c", a));
CREATE TABLE numbered (id int PRIMARY KEY, v text);
SELECT cloudsync_init('"Kinds of"', 'cls', 2), cloudsync_init('numbered', 'gos', 1);
"#;

fn empty(directory: &tempfile::TempDir, name: &str) -> Device {
    Device::create(directory.path(), name, "", &[])
}

fn pull(device: &Device) -> i64 {
    let made = device.conn.query_row("SELECT cloudsync_network_pull_schema()", [], |row| row.get(0));
    made.unwrap_or_else(|error| panic!("{error}"))
}

fn pull_error(device: &Device) -> String {
    let made =
        device.conn.query_row("SELECT cloudsync_network_pull_schema()", [], |row| row.get::<_, i64>(0));
    made.expect_err("a schema that cannot be pulled").to_string()
}

#[test]
fn a_new_device_starts_with_three_calls() {
    let mut server = Server::create(SERVER_DDL, &["lists"]);
    server.run(
        r#"INSERT INTO lists VALUES ('l1', 'from the server');
        INSERT INTO "Kinds of" (a, "B c", n, d, must)
            VALUES (1, '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b', 12345678.90, '2026-01-02', 'm');
        INSERT INTO numbered VALUES (7, 'seven');"#,
    );
    let directory = tempfile::tempdir().expect("a directory");
    let device = empty(&directory, "new");
    device.connect(&server.url);
    assert_eq!(pull(&device), 3);
    device.sync();
    assert_eq!(device.dump("SELECT * FROM lists"), [r#""l1"|"from the server""#]);
    assert_eq!(
        device.dump(r#"SELECT a, "B c", i, b, r, n, x, d, j, s, must FROM "Kinds of""#),
        [
            r#"1|"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"|-1|1|1.5|"12345678.90"|x[00, ff]|"2026-01-02"|"{\"a\": 1}"|"a"|"m""#
        ]
    );
    assert_eq!(device.dump("SELECT * FROM numbered"), [r#"7|"seven""#]);
    // Its own writes take the server's defaults, and go back.
    device.run(
        r#"INSERT INTO lists(id) VALUES ('l2'); INSERT INTO lists DEFAULT VALUES;
        INSERT INTO "Kinds of"(a, "B c", must) VALUES (2, '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c', 'n');"#,
    );
    let report = device.sync();
    assert!(report.contains("\"synced\""), "{report}");
    assert_eq!(server.dump("SELECT title FROM lists WHERE id <> 'l1'"), [r#""it's new""#, r#""it's new""#]);
    assert_eq!(
        server.dump(r#"SELECT i, b, r, n::text, x, j::text, s, at > now() - interval '1 hour', g FROM "Kinds of" WHERE a = 2"#),
        [r#"-1|1|1.5|"0.50"|x[00, ff]|"{\"a\": 1}"|NULL|1|3"#]
    );
    assert!(device.conn.execute(r#"INSERT INTO "Kinds of"(a, "B c") VALUES (3, 'u')"#, []).is_err());
    assert!(device.conn.execute("INSERT INTO numbered(v) VALUES ('no key')", []).is_err());
    assert!(device.conn.execute("UPDATE numbered SET v = 'added only'", []).is_err());
    assert_eq!(pull(&device), 0, "everything is there");
}

#[test]
fn a_pulled_schema_brings_new_columns_and_settings() {
    let mut server = Server::create("CREATE TABLE t (id text PRIMARY KEY, a text)", &["t"]);
    let directory = tempfile::tempdir().expect("a directory");
    let device = empty(&directory, "old");
    device.connect(&server.url);
    assert_eq!(pull(&device), 1);
    device.run("INSERT INTO t VALUES ('1', 'one')");
    device.sync();
    server.run(
        "ALTER TABLE t ADD COLUMN b int NOT NULL DEFAULT 5, ADD COLUMN c text NOT NULL DEFAULT gen_random_uuid();
        SELECT cloudsync_set_table('t', 'atomic', '1'), cloudsync_set_table('t', 'conflicts', 'on')",
    );
    server.run("UPDATE t SET c = 'set'");
    assert_eq!(pull(&device), 0);
    device.sync();
    assert_eq!(device.dump("SELECT * FROM t"), [r#""1"|"one"|5|"set""#]);
    let settings = "SELECT key, value FROM cloudsync_table_settings WHERE tbl_name = 't'";
    assert_eq!(device.dump(settings), [r#""atomic"|"1""#, r#""conflicts"|"on""#]);
}

#[test]
fn a_table_that_is_another_is_named_and_nothing_is_made() {
    let server = Server::create(
        "CREATE TABLE a (id text PRIMARY KEY); CREATE TABLE t (id text PRIMARY KEY, v text); CREATE TABLE k (a text, b text, PRIMARY KEY (a, b))",
        &["a", "t", "k"],
    );
    let directory = tempfile::tempdir().expect("a directory");
    let device = empty(&directory, "other");
    device.run("CREATE TABLE T (ID TEXT PRIMARY KEY NOT NULL, v TEXT, mine TEXT); CREATE TABLE k (b TEXT PRIMARY KEY NOT NULL, a TEXT)");
    device.connect(&server.url);
    let error = pull_error(&device);
    assert!(
        error.contains("table T has a column mine") && error.contains("table k has the key (b)"),
        "{error}"
    );
    assert_eq!(device.dump("SELECT name FROM sqlite_schema WHERE name = 'a'"), [""; 0]);
    device.run("ALTER TABLE T DROP COLUMN mine; DROP TABLE k; BEGIN");
    assert!(pull_error(&device).contains("COMMIT first"));
    device.run("COMMIT");
    assert_eq!(pull(&device), 2);
    assert_eq!(pull(&device), 0);
}

#[test]
fn over_http_a_device_gets_what_its_user_may_read() {
    let mut server = Server::create_project(
        "CREATE TABLE note (id text PRIMARY KEY, body text, secret text);
        CREATE TABLE closed (id text PRIMARY KEY);
        ALTER TABLE note ENABLE ROW LEVEL SECURITY;
        ALTER TABLE closed ENABLE ROW LEVEL SECURITY;
        GRANT SELECT (id, body), INSERT (id, body), UPDATE (body) ON note TO authenticated;
        GRANT SELECT ON closed TO authenticated;
        CREATE POLICY every ON note TO authenticated USING (true);
        CREATE TABLE ungranted (id text PRIMARY KEY);",
        &["public.note", "public.closed", "public.ungranted"],
    );
    server.run("INSERT INTO note VALUES ('n', 'body', 'secret')");
    let gateway = Gateway::start(&server, &[]);
    let directory = tempfile::tempdir().expect("a directory");
    let device = empty(&directory, "http");
    device.connect(&gateway.url);
    device.set_token(&token(ANNA, 3600));
    assert_eq!(pull(&device), 1);
    device.sync();
    assert_eq!(device.dump("SELECT * FROM note"), [r#""n"|"body""#]);
}

#[test]
fn a_device_s_tables_are_made_on_the_server() {
    let mut server = Server::create("", &[]);
    let ddl = "CREATE TABLE tasks (id TEXT PRIMARY KEY NOT NULL DEFAULT (cloudsync_uuid()), title TEXT NOT NULL DEFAULT '', done BOOLEAN NOT NULL DEFAULT 0);";
    let directory = tempfile::tempdir().expect("a directory");
    let first = Device::create(directory.path(), "first", ddl, &["tasks"]);
    first.run("INSERT INTO tasks(title, done) VALUES ('written first', 1)");
    let translated =
        first.text("SELECT cloudsync_translate_ddl(sql) FROM sqlite_schema WHERE name = 'tasks'");
    assert!(translated.contains("done boolean DEFAULT FALSE NOT NULL"), "{translated}");
    let names: Vec<String> =
        server.client.query_one("SELECT cloudsync_create_table($1)", &[&ddl]).expect("the table").get(0);
    assert_eq!(names, ["tasks"]);
    first.connect(&server.url);
    first.sync();
    let second = empty(&directory, "second");
    second.connect(&server.url);
    assert_eq!(pull(&second), 1);
    second.sync();
    let dump = "SELECT title, done FROM tasks";
    assert_eq!(second.dump(dump), [r#""written first"|1"#]);
    assert_eq!(server.dump(dump), second.dump(dump));
}

#[test]
fn tables_that_the_server_lacks_are_made_at_the_first_sync_if_wanted() {
    let mut server = Server::create("", &[]);
    server.run("DROP ROLE IF EXISTS schema_reader; CREATE ROLE schema_reader LOGIN");
    let ddl =
        "CREATE TABLE child (id TEXT PRIMARY KEY NOT NULL, parent TEXT REFERENCES parent(id)); -- the end
        CREATE TABLE parent (id TEXT PRIMARY KEY NOT NULL, v INT); CREATE INDEX v ON parent(v) -- the end;
        ; CREATE TABLE log (id INTEGER PRIMARY KEY, line TEXT NOT NULL);";
    let directory = tempfile::tempdir().expect("a directory");
    let device = Device::create(directory.path(), "first", ddl, &["child", "parent"]);
    device.text("SELECT cloudsync_init('log', 'gos', 3)");
    device.run("INSERT INTO parent VALUES ('p', 7); INSERT INTO child VALUES ('c', 'p'); INSERT INTO log VALUES (1, 'one')");
    device.connect(&server.url);
    let report = device.sync();
    assert!(
        report.contains("not synced on the server: ") && report.contains("cloudsync_create_table"),
        "{report}"
    );
    // A user who may not make tables is told, and nothing is lost.
    let other = Device::create(directory.path(), "other", ddl, &["child", "parent"]);
    other.run("INSERT INTO parent VALUES ('q', 8)");
    for device in [&device, &other] {
        device.run("SELECT cloudsync_set('create_tables', 1)");
    }
    other.connect(&server.url_as("schema_reader"));
    let report = other.sync();
    assert!(report.contains("cannot be made there") && report.contains("42501"), "{report}");
    device.connect(&server.url);
    let report = device.sync();
    assert!(report.contains("\"synced\"") && !report.contains("lastFailure"), "{report}");
    assert_eq!(server.dump("SELECT id, parent FROM child"), [r#""c"|"p""#]);
    assert_eq!(server.dump("SELECT id, v FROM parent"), [r#""p"|7"#]);
    assert_eq!(server.dump("SELECT id, line FROM log"), [r#"1|"one""#]);
    assert_eq!(
        server.dump("SELECT name || ' ' || algorithm FROM cloudsync.tables WHERE algorithm <> 'cls'"),
        [r#""log gos""#]
    );
    server.run("DROP ROLE schema_reader");
}
