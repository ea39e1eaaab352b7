//! A device's table that is another schema's on the server, or another name's.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::gateway::{Gateway, token};
use cloudsync_conformance::server::Server;

const ANNA: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// Three tables of one name, the synced name of the first being the plain one, and one that is hard to name.
const SERVER_DDL: &str = r#"
CREATE TABLE orders (id text PRIMARY KEY, v text);
CREATE SCHEMA sales; CREATE TABLE sales.orders (id text PRIMARY KEY, v text CHECK (v <> 'refused'));
CREATE SCHEMA "My.Schema"; CREATE TABLE "My.Schema".orders (id text PRIMARY KEY, v text);
CREATE TABLE "My.Schema"."The ""T""" (id text PRIMARY KEY, v text);
INSERT INTO orders VALUES ('p', 'public'); INSERT INTO sales.orders VALUES ('s', 'sales');
INSERT INTO "My.Schema".orders VALUES ('m', 'mine');
"#;
const SERVER_TABLES: [&str; 4] =
    ["orders", "sales.orders", r#""My.Schema".orders"#, r#""My.Schema"."The ""T""""#];
const DEVICE_DDL: &str = "CREATE TABLE orders (id TEXT PRIMARY KEY NOT NULL, v TEXT)";
const DUMP: &str = "SELECT id, v FROM orders";

struct World {
    server: Server,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let server = Server::create(SERVER_DDL, &SERVER_TABLES);
        World { server, directory: tempfile::tempdir().expect("a directory") }
    }

    fn device(&self, name: &str, place: &str) -> Device {
        let device = Device::create(self.directory.path(), name, DEVICE_DDL, &["orders"]);
        device.run(&format!("SELECT cloudsync_set_schema('orders', '{place}')"));
        device.connect(&self.server.url);
        device
    }
}

fn synced(device: &Device) {
    let report = device.sync();
    assert!(report.contains("\"synced\"") && !report.contains("lastFailure"), "{report}");
}

fn error(device: &Device, sql: &str) -> String {
    device.conn.query_row(sql, [], |_| Ok(())).expect_err(sql).to_string()
}

#[test]
fn a_table_is_mapped_to_one_of_three_of_its_name() {
    let mut world = World::new();
    for (place, schema, table) in [
        ("sales", "sales", "sales.orders"),
        ("SALES.Orders", "sales", "sales.orders"),
        (r#""My.Schema""#, "My.Schema", r#""My.Schema".orders"#),
        ("public", "public", "orders"),
    ] {
        let device = world.device(&format!("device {}", place.replace(['"', '.'], "_")), place);
        assert_eq!(device.text("SELECT cloudsync_table_schema('Orders')"), schema);
        let id = format!("to {}", place.replace(['"', '.'], "_"));
        device.run(&format!("INSERT INTO orders VALUES ('{id}', 'new')"));
        synced(&device);
        let rows = device.dump(DUMP);
        assert_eq!(rows.len(), world.server.dump(&format!("SELECT id FROM {table}")).len(), "{rows:?}");
        assert!(rows.iter().any(|row| row.contains(&id)), "{rows:?}");
        assert_eq!(rows, world.server.dump(&format!("SELECT id, v FROM {table}")), "{place}");
        // Updates, deletes and what is gone go the same way.
        device.run(&format!("UPDATE orders SET v = 'again' WHERE id = '{id}'"));
        synced(&device);
        world.server.run(&format!("DELETE FROM {table} WHERE id = '{id}'"));
        synced(&device);
        assert_eq!(device.dump(DUMP), world.server.dump(&format!("SELECT id, v FROM {table}")), "{place}");
        assert!(!device.dump(DUMP).iter().any(|row| row.contains(&id)));
    }
    assert_eq!(world.server.dump("SELECT * FROM orders"), [r#""p"|"public""#]);
}

#[test]
fn a_table_of_another_name_is_mapped_by_postgresql_s_quoting() {
    let mut world = World::new();
    let device = Device::create(
        world.directory.path(),
        "named",
        "CREATE TABLE mine (id TEXT PRIMARY KEY NOT NULL, v TEXT)",
        &["mine"],
    );
    device.connect(&world.server.url);
    for wrong in ["a.b.c", "", "a b", "\"a", "sales."] {
        let error = error(&device, &format!("SELECT cloudsync_set_schema('mine', '{wrong}')"));
        assert!(error.contains("is neither a schema nor schema.table"), "{wrong}: {error}");
    }
    assert!(error(&device, "SELECT cloudsync_set_schema('other', 'sales')").contains("other"));
    let setting = "SELECT cloudsync_set_table('mine', 'server_table', 'x')";
    assert!(error(&device, setting).contains("cloudsync_set_schema"));
    assert_eq!(device.dump("SELECT cloudsync_table_schema('mine')"), ["NULL"]);
    device.run(r#"SELECT cloudsync_set_schema('mine', '"My.Schema"."The ""T"""'); INSERT INTO mine VALUES ('1', 'one')"#);
    synced(&device);
    assert_eq!(world.server.dump(r#"SELECT * FROM "My.Schema"."The ""T""""#), [r#""1"|"one""#]);
    // What the device lists has the device's name.
    device
        .run("SELECT cloudsync_set_schema('mine', 'sales.orders'); INSERT INTO mine VALUES ('2', 'refused')");
    assert!(device.sync().contains("\"rejected\":1"));
    assert_eq!(device.dump("SELECT tbl FROM cloudsync_rejections"), [r#""mine""#]);
    device.run("SELECT cloudsync_set_schema('mine', 'nowhere'); INSERT INTO mine VALUES ('3', 'x')");
    let report = device.sync();
    assert!(report.contains("not synced on the server: mine;"), "{report}");
}

#[test]
fn a_table_that_is_mapped_elsewhere_is_sent_and_downloaded_anew() {
    let mut world = World::new();
    let device = world.device("moving", "sales");
    device.run("INSERT INTO orders VALUES ('1', 'one')");
    synced(&device);
    assert_eq!(device.dump(DUMP), [r#""1"|"one""#, r#""s"|"sales""#]);
    let held = device.dump("SELECT cloudsync_status() ->> 'held'");
    assert_eq!(held, ["2"]);
    device.run(r#"SELECT cloudsync_set_schema('orders', '"My.Schema"')"#);
    assert_eq!(
        device.dump("SELECT cloudsync_status() ->> 'held'"),
        ["0"],
        "row ids of the other table are forgotten"
    );
    synced(&device);
    let all = [r#""1"|"one""#, r#""m"|"mine""#, r#""s"|"sales""#];
    assert_eq!(device.dump(DUMP), all);
    assert_eq!(world.server.dump(r#"SELECT id, v FROM "My.Schema".orders"#), all);
    // Without a mapping the plain name counts again.
    device.run("SELECT cloudsync_set_schema('orders', NULL); UPDATE orders SET v = 'last' WHERE id = '1'");
    assert_eq!(device.dump("SELECT cloudsync_table_schema('orders')"), ["NULL"]);
    synced(&device);
    assert_eq!(
        world.server.dump("SELECT id, v FROM orders WHERE id IN ('1', 'p')"),
        [r#""1"|"last""#, r#""p"|"public""#]
    );
    assert_eq!(world.server.dump("SELECT v FROM sales.orders WHERE id = '1'"), [r#""one""#]);
    // The same mapping again forgets nothing.
    let held = device.dump("SELECT cloudsync_status() ->> 'held'");
    device.run("SELECT cloudsync_set_schema('orders', NULL)");
    assert_eq!(device.dump("SELECT cloudsync_status() ->> 'held'"), held);
}

#[test]
fn two_tables_are_not_mapped_to_one() {
    let world = World::new();
    let ddl = "CREATE TABLE orders (id TEXT PRIMARY KEY NOT NULL, v TEXT);
        CREATE TABLE others (id TEXT PRIMARY KEY NOT NULL, v TEXT)";
    let device = Device::create(world.directory.path(), "two", ddl, &["orders", "others"]);
    device.connect(&world.server.url);
    device.run("SELECT cloudsync_set_schema('orders', 'sales')");
    let told = error(&device, "SELECT cloudsync_set_schema('others', 'sales.orders')");
    assert!(told.contains("orders and others cannot both be"), "{told}");
    assert_eq!(device.dump("SELECT cloudsync_table_schema('others')"), ["NULL"]);
    synced(&device);
    // That the plain name means the same table only the server knows.
    device
        .run("SELECT cloudsync_set_schema('others', 'public.orders'), cloudsync_set_schema('orders', NULL)");
    let told = device.sync_error();
    assert!(told.contains("are one table here") && told.contains("sync it by one name"), "{told}");
}

#[test]
fn payloads_between_devices_keep_the_local_name() {
    let world = World::new();
    let (one, other) = (world.device("one", "sales"), world.device("other", "\"My.Schema\""));
    one.run("INSERT INTO orders VALUES ('1', 'one')");
    let file = world.directory.path().join("changes.bin");
    one.run(&format!("SELECT cloudsync_payload_save('{}')", file.display()));
    other.run(&format!("SELECT cloudsync_payload_load('{}')", file.display()));
    assert_eq!(other.dump(DUMP), [r#""1"|"one""#]);
    assert_eq!(one.dump("SELECT DISTINCT tbl FROM cloudsync_changes"), [r#""orders""#]);
}

#[test]
fn a_mapping_outlives_a_logout() {
    let mut world = World::new();
    let device = world.device("leaving", "sales");
    synced(&device);
    device.run("SELECT cloudsync_network_logout()");
    assert_eq!(device.dump(DUMP), [""; 0]);
    device.connect(&world.server.url);
    world.server.run("INSERT INTO sales.orders VALUES ('t', 'more')");
    synced(&device);
    assert_eq!(device.dump(DUMP), [r#""s"|"sales""#, r#""t"|"more""#]);
}

#[test]
fn tables_are_made_where_they_are_mapped() {
    let mut server = Server::create("CREATE SCHEMA sales; CREATE SCHEMA \"My.Schema\"", &[]);
    let ddl = "CREATE TABLE mine (id TEXT PRIMARY KEY NOT NULL, up TEXT REFERENCES mine(id), of TEXT REFERENCES lists(id));
        CREATE INDEX ups ON mine(up); CREATE TABLE lists (id TEXT PRIMARY KEY NOT NULL);
        CREATE TABLE log (id INTEGER PRIMARY KEY, list TEXT REFERENCES lists(id))";
    let directory = tempfile::tempdir().expect("a directory");
    let device = Device::create(directory.path(), "maker", ddl, &["mine", "lists"]);
    device.run(
        r#"SELECT cloudsync_init('log', 'gos', 3);
        SELECT cloudsync_set_schema('mine', 'sales.Orders'), cloudsync_set_schema('lists', '"My.Schema"'),
            cloudsync_set('create_tables', 1);
        INSERT INTO lists VALUES ('l'); INSERT INTO mine VALUES ('a', NULL, 'l'), ('b', 'a', 'l'); INSERT INTO log VALUES (1, 'l')"#,
    );
    device.connect(&server.url);
    synced(&device);
    assert_eq!(server.dump("SELECT id, up FROM sales.orders"), [r#""a"|NULL"#, r#""b"|"a""#]);
    assert_eq!(server.dump(r#"SELECT id FROM "My.Schema".lists"#), [r#""l""#]);
    assert_eq!(server.dump("SELECT id, list FROM public.log"), [r#"1|"l""#]);
    assert_eq!(server.dump("SELECT algorithm FROM cloudsync.tables WHERE name = 'log'"), [r#""gos""#]);
    assert_eq!(
        server.dump("SELECT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND connamespace <> 'cloudsync'::regnamespace"),
        [r#""\"My.Schema\".lists""#, r#""\"My.Schema\".lists""#, r#""sales.orders""#]
    );
    // In a schema that is not there nothing is made, and the rest is synced.
    device.run(
        "CREATE TABLE late (id TEXT PRIMARY KEY NOT NULL); SELECT cloudsync_init('late');
        SELECT cloudsync_set_schema('late', 'nowhere'); INSERT INTO lists VALUES ('m')",
    );
    let report = device.sync();
    assert!(report.contains("they cannot be made there") && report.contains("nowhere"), "{report}");
    assert_eq!(server.dump(r#"SELECT id FROM "My.Schema".lists"#).len(), 2);
}

#[test]
fn an_empty_table_is_made_too() {
    let mut server = Server::create("", &[]);
    let directory = tempfile::tempdir().expect("a directory");
    let device = Device::create(directory.path(), "empty", DEVICE_DDL, &["orders"]);
    device.run("SELECT cloudsync_set('create_tables', 1)");
    device.connect(&server.url);
    synced(&device);
    assert_eq!(server.dump("SELECT name FROM cloudsync.tables"), [r#""orders""#]);
    device.run("CREATE TABLE later (id TEXT PRIMARY KEY NOT NULL); SELECT cloudsync_init('later')");
    synced(&device);
    assert_eq!(server.dump("SELECT name FROM cloudsync.tables"), [r#""later""#, r#""orders""#]);
    synced(&device);
    // Another device gets both, and makes nothing itself.
    let other = Device::create(directory.path(), "other", "", &[]);
    other.connect(&server.url);
    assert_eq!(other.dump("SELECT cloudsync_network_pull_schema()"), ["2"]);
    other.run("SELECT cloudsync_set('create_tables', 1)");
    synced(&other);
}

#[test]
fn pulled_tables_of_one_name_get_names_of_their_own() {
    let mut world = World::new();
    let device = Device::create(world.directory.path(), "pulled", "", &[]);
    device.connect(&world.server.url);
    let pull = "SELECT cloudsync_network_pull_schema()";
    assert_eq!(device.dump(pull), ["4"]);
    synced(&device);
    assert_eq!(device.dump(DUMP), [r#""p"|"public""#]);
    assert_eq!(device.dump("SELECT * FROM sales_orders"), [r#""s"|"sales""#]);
    assert_eq!(device.dump(r#"SELECT * FROM "My.Schema_orders""#), [r#""m"|"mine""#]);
    assert_eq!(device.text("SELECT cloudsync_table_schema('sales_orders')"), "sales");
    device.run("UPDATE sales_orders SET v = 'edited'");
    synced(&device);
    assert_eq!(world.server.dump("SELECT * FROM sales.orders"), [r#""s"|"edited""#]);
    assert_eq!(device.dump(pull), ["0"]);
    world.server.run("ALTER TABLE sales.orders ADD COLUMN w int");
    assert_eq!(device.dump(pull), ["0"]);
    assert_eq!(device.dump("SELECT w FROM sales_orders"), ["NULL"]);
    // Where the plain name is mapped to another schema, or the name is taken, the next one is used.
    let other = world.device("taken", "sales");
    other.run("CREATE TABLE public_orders (x)");
    assert_eq!(other.dump(pull), ["3"]);
    synced(&other);
    assert_eq!(other.dump(DUMP), [r#""s"|"edited""#]);
    assert_eq!(other.dump(r#"SELECT * FROM "public.orders""#), [r#""p"|"public""#]);
    let last = world.device("all taken", "sales");
    last.run("CREATE TABLE public_orders (x); CREATE TABLE \"public.orders\" (x)");
    let told = error(&last, pull);
    assert!(told.contains("has no free name here") && told.contains("cloudsync_set_schema"), "{told}");
    assert_eq!(last.dump("SELECT count(*) FROM cloudsync_tables"), ["1"]);
}

#[test]
fn a_pulled_table_whose_name_differs_in_case_is_mapped() {
    let mut server =
        Server::create(r#"CREATE TABLE "Orders" (id text PRIMARY KEY, v text)"#, &[r#""Orders""#]);
    let directory = tempfile::tempdir().expect("a directory");
    let device = Device::create(directory.path(), "case", DEVICE_DDL, &["orders"]);
    device.run("INSERT INTO orders VALUES ('1', 'one')");
    device.connect(&server.url);
    assert_eq!(device.dump("SELECT cloudsync_network_pull_schema()"), ["0"]);
    synced(&device);
    assert_eq!(server.dump(r#"SELECT * FROM "Orders""#), [r#""1"|"one""#]);
}

#[test]
fn pulled_tables_whose_names_differ_in_case_alone_are_two() {
    let mut server =
        Server::create(r#"CREATE TABLE "Orders" (id text PRIMARY KEY, v text)"#, &[r#""Orders""#]);
    let directory = tempfile::tempdir().expect("a directory");
    let device = Device::create(directory.path(), "two cases", "", &[]);
    device.connect(&server.url);
    let pull = "SELECT cloudsync_network_pull_schema()";
    assert_eq!(device.dump(pull), ["1"]);
    server.run("CREATE TABLE orders (id text PRIMARY KEY, v text); SELECT cloudsync_init('orders')");
    server.run(r#"INSERT INTO orders VALUES ('l', 'lower'); INSERT INTO "Orders" VALUES ('u', 'upper')"#);
    assert_eq!(device.dump(pull), ["1"]);
    assert_eq!(device.dump(pull), ["0"]);
    synced(&device);
    assert_eq!(device.dump("SELECT * FROM orders"), [r#""u"|"upper""#]);
    assert_eq!(device.dump("SELECT * FROM public_orders"), [r#""l"|"lower""#]);
}

#[test]
fn over_http_tables_are_made_where_that_was_granted() {
    let mut server = Server::create_project("CREATE SCHEMA app", &[]);
    let gateway = Gateway::start(&server, &[]);
    let directory = tempfile::tempdir().expect("a directory");
    let device = Device::create(directory.path(), "http", DEVICE_DDL, &["orders"]);
    device.run(
        "SELECT cloudsync_set_schema('orders', 'app'), cloudsync_set('create_tables', 1);
        INSERT INTO orders VALUES ('1', 'one')",
    );
    device.connect(&gateway.url);
    device.set_token(&token(ANNA, 3600));
    let report = device.sync();
    assert!(report.contains("they cannot be made there") && report.contains("42501"), "{report}");
    server.run(
        "GRANT EXECUTE ON FUNCTION public.cloudsync_create_tables(bytea),
            extensions.cloudsync_create_tables(bytea, text) TO authenticated;
        GRANT USAGE, CREATE ON SCHEMA app TO authenticated",
    );
    synced(&device);
    assert_eq!(server.dump("SELECT id, v FROM app.orders"), [r#""1"|"one""#]);
    // The migration can be run again, and takes nothing back.
    server.run(include_str!("../../../supabase/migrations/20261121000000_cloudsync_api.sql"));
    device.run("CREATE TABLE more (id TEXT PRIMARY KEY NOT NULL); SELECT cloudsync_init('more'), cloudsync_set_schema('more', 'app')");
    synced(&device);
    assert_eq!(server.dump("SELECT count(*) FROM app.more"), ["0"]);
    // A plain name is that of a table in the schema of the function that is exposed.
    device.run("CREATE TABLE plain (id TEXT PRIMARY KEY NOT NULL); SELECT cloudsync_init('plain')");
    assert!(device.sync().contains("permission denied for schema public"));
    server.run("GRANT CREATE ON SCHEMA public TO authenticated");
    synced(&device);
    assert_eq!(server.dump("SELECT count(*) FROM public.plain"), ["0"]);
}

#[test]
fn a_table_that_is_there_and_refers_to_a_synced_one_is_synced_too() {
    let mut server = Server::create(
        "CREATE TABLE lists (id text NOT NULL PRIMARY KEY); CREATE TABLE items (id text NOT NULL PRIMARY KEY, list text REFERENCES lists)",
        &["lists"],
    );
    let directory = tempfile::tempdir().expect("a directory");
    let ddl = "CREATE TABLE lists (id TEXT PRIMARY KEY NOT NULL);
        CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, list TEXT REFERENCES lists(id))";
    let device = Device::create(directory.path(), "child", ddl, &["lists", "items"]);
    device.run("SELECT cloudsync_set('create_tables', 1); INSERT INTO lists VALUES ('l'); INSERT INTO items VALUES ('i', 'l')");
    device.connect(&server.url);
    synced(&device);
    assert_eq!(server.dump("SELECT id, list FROM items"), [r#""i"|"l""#]);
}

#[test]
fn a_download_of_several_pages_goes_on_in_a_mapped_table() {
    let mut world = World::new();
    world
        .server
        .run("INSERT INTO sales.orders SELECT g::text, repeat('x', 1 << 20) FROM generate_series(1, 12) g");
    let device = world.device("pages", "sales");
    synced(&device);
    assert_eq!(device.dump("SELECT count(*) FROM orders"), ["13"]);
}

#[test]
fn what_a_device_lists_of_a_mapped_table_has_its_own_name() {
    let mut world = World::new();
    let ddl = "CREATE TABLE mine (id TEXT PRIMARY KEY NOT NULL, v TEXT CHECK (v <> 'bad'))";
    let device = Device::create(world.directory.path(), "lists", ddl, &["mine"]);
    device.run(
        "SELECT cloudsync_set_schema('mine', 'sales.orders'), cloudsync_set_table('mine', 'conflicts', 'on')",
    );
    device.connect(&world.server.url);
    synced(&device);
    world.server.run(
        "INSERT INTO sales.orders VALUES ('b', 'bad'); UPDATE sales.orders SET v = 'theirs' WHERE id = 's'",
    );
    let report = device.sync();
    assert!(report.contains(r#""tables":["mine"]"#), "{report}");
    assert_eq!(device.dump("SELECT tbl FROM cloudsync_parked"), [r#""mine""#]);
    // The later write loses to none, the earlier one is listed.
    device.run("UPDATE mine SET v = 'ours' WHERE id = 's'");
    world.server.run("UPDATE sales.orders SET v = 'last' WHERE id = 's'");
    synced(&device);
    assert_eq!(device.dump("SELECT v FROM mine WHERE id = 's'"), [r#""last""#]);
    assert_eq!(device.dump("SELECT DISTINCT tbl FROM cloudsync_conflicts"), [r#""mine""#]);
}
