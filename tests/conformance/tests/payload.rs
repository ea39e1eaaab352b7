//! Payloads between the engines, without a sync: what one encodes the other takes, cell by cell the same.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;

const SQLITE_TABLE: &str = "CREATE TABLE item (
    id TEXT NOT NULL, part INTEGER NOT NULL, name TEXT, amount INTEGER, ratio REAL, data BLOB, uid TEXT,
    PRIMARY KEY (id, part))";
const POSTGRES_TABLE: &str = "CREATE TABLE item (
    id text, part bigint, name text, amount bigint, ratio double precision, data bytea, uid uuid,
    PRIMARY KEY (id, part))";

const SQLITE_ROWS: &str = "SELECT id, part, name, amount, ratio, data, uid FROM item";
const POSTGRES_ROWS: &str = "SELECT id, part, name, amount, ratio, data, uid::text FROM item";

const ENCODE: &str = "SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, \
    site_id, cl, seq) FROM cloudsync_changes";
/// All but the values, which are native on the one and encoded on the other.
const CHANGES: &str =
    "SELECT tbl, pk, col_name, col_version, db_version, site_id, cl, seq FROM cloudsync_changes";

struct World {
    _directory: tempfile::TempDir,
    here: Device,
    server: Server,
    there: Device,
}

impl World {
    fn create() -> World {
        let directory = tempfile::tempdir().expect("a directory");
        let device = |name: &str| Device::create(directory.path(), name, SQLITE_TABLE, &["item"]);
        let (here, there) = (device("here"), device("there"));
        World { here, there, server: Server::create(POSTGRES_TABLE, &["item"]), _directory: directory }
    }

    /// All three hold the same rows with the same clocks.
    fn compare(&mut self) {
        let rows = self.server.dump(POSTGRES_ROWS);
        assert_eq!(self.here.dump(SQLITE_ROWS), rows, "rows of the first device and the server");
        assert_eq!(self.there.dump(SQLITE_ROWS), rows, "rows of the second device and the server");
        let changes = self.server.dump(CHANGES);
        assert_eq!(self.here.dump(CHANGES), changes, "changes of the first device and the server");
        assert_eq!(self.there.dump(CHANGES), changes, "changes of the second device and the server");
    }

    /// Carries everything everywhere.
    fn exchange(&mut self) {
        for payload in [self.here.offer(ENCODE), self.there.offer(ENCODE)].into_iter().flatten() {
            self.server.take(&payload);
        }
        let all = self.server.give(ENCODE);
        self.here.take(&all);
        self.there.take(&all);
    }
}

/// A replica that payloads are carried from and to.
trait Replica {
    /// A payload; `None` if there is nothing to tell.
    fn offer(&mut self, sql: &str) -> Option<Vec<u8>>;

    fn take(&mut self, payload: &[u8]) -> i64;

    fn give(&mut self, sql: &str) -> Vec<u8> {
        self.offer(sql).unwrap_or_else(|| panic!("NULL: {sql}"))
    }
}

impl Replica for Device {
    fn offer(&mut self, sql: &str) -> Option<Vec<u8>> {
        self.conn.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn take(&mut self, payload: &[u8]) -> i64 {
        let applied = self.conn.query_row("SELECT cloudsync_payload_apply(?1)", [payload], |row| row.get(0));
        applied.expect("the device takes the payload")
    }
}

impl Replica for Server {
    fn offer(&mut self, sql: &str) -> Option<Vec<u8>> {
        self.client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    fn take(&mut self, payload: &[u8]) -> i64 {
        let applied = self.client.query_one("SELECT cloudsync_payload_apply($1)", &[&payload]);
        applied.expect("the server takes the payload").get::<_, i32>(0).into()
    }
}

#[test]
fn a_payload_goes_from_device_to_server_to_device() {
    let mut world = World::create();
    world.here.run(
        "INSERT INTO item VALUES
            ('plain', 1, 'a name', 42, 1.5, x'00ff', '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'),
            ('least', -9223372036854775808, '', -9223372036854775808, -0.5, x'', NULL),
            ('0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b', 9223372036854775807, 'Ünï ''cödé'' 🌍', NULL, 1e300, NULL, NULL),
            ('gone', 0, 'soon deleted', NULL, NULL, NULL, NULL);
         UPDATE item SET name = 'renamed', data = NULL WHERE id = 'plain';
         DELETE FROM item WHERE id = 'gone';",
    );
    let payload = world.here.give(ENCODE);
    assert_eq!(world.server.take(&payload), 4);
    let onward = world.server.give(ENCODE);
    assert_eq!(world.there.take(&onward), 4);
    world.compare();
    assert_eq!(world.there.take(&onward), 4, "a second time it is nothing new");
    assert_eq!(world.server.take(&payload), 4);
    world.compare();
}

#[test]
fn writes_on_all_sides_come_together() {
    let mut world = World::create();
    world.here.run("INSERT INTO item (id, part, name, amount) VALUES ('a', 1, 'one', 1), ('b', 1, 'one', 1)");
    world.exchange();
    world.compare();
    world.here.run("UPDATE item SET name = 'by the first device' WHERE id = 'a'");
    world.server.run("UPDATE item SET amount = 2, name = 'by the server' WHERE id = 'a'");
    world.there.run("UPDATE item SET ratio = 0.25 WHERE id = 'a'; DELETE FROM item WHERE id = 'b'");
    world.server.run("INSERT INTO item (id, part, name) VALUES ('c', 3, 'of the server')");
    world.exchange();
    world.compare();
    assert_eq!(
        world.there.dump("SELECT id, name, amount, ratio FROM item"),
        [r#""a"|"by the server"|2|0.25"#, r#""c"|"of the server"|NULL|NULL"#]
    );
    world.here.run("INSERT INTO item (id, part, name) VALUES ('b', 1, 'born again')");
    world.exchange();
    world.compare();
}

#[test]
fn a_part_is_told_by_version_and_site() {
    let mut world = World::create();
    world.here.run("INSERT INTO item (id, part, name) VALUES ('a', 1, 'of the device')");
    world.exchange();
    let newest = world.server.client.query_one("SELECT max(db_version) FROM cloudsync_changes", &[]);
    let before: i64 = newest.expect("the server's newest version").get(0);
    world.server.run("UPDATE item SET amount = 7; INSERT INTO item (id, part) VALUES ('b', 1)");
    let select = format!("cloudsync_changes_select({before}, cloudsync_siteid())");
    let part = world.server.give(&ENCODE.replace("cloudsync_changes", &select));
    let condition = format!("db_version > {before} AND site_id = cloudsync_siteid()");
    assert_eq!(part, world.server.give(&format!("{ENCODE} WHERE {condition}")));
    assert_eq!(world.here.take(&part), 2);
    assert_eq!(world.there.take(&part), 2);
    world.compare();
    let seen = world.here.give(&format!("{ENCODE} WHERE db_version > {before}"));
    assert_eq!(world.server.take(&seen), 2);
    world.compare();
}

#[test]
fn keys_and_identifiers_are_the_same_bytes() {
    let mut world = World::create();
    for expression in [
        "cloudsync_pk_encode(1, 'a', -5)",
        "cloudsync_pk_encode('0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b')",
        "cloudsync_uuid_blob('0190A1B2C3D47E5F8A9B0C1D2E3F4A5B')",
    ] {
        let sql = format!("SELECT {expression}");
        assert_eq!(world.here.give(&sql), world.server.give(&sql), "{expression}");
    }
    for expression in [
        "cloudsync_uuid_text(cloudsync_uuid_blob('0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'))",
        "cloudsync_uuid_text(cloudsync_uuid_blob('0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'), 0)",
        "cloudsync_pk_decode(cloudsync_pk_encode(1, 'a'), 2)",
        "cloudsync_pk_decode(cloudsync_pk_encode(1, 'a'), 3)",
    ] {
        let sql = format!("SELECT {expression}");
        assert_eq!(world.here.dump(&sql), world.server.dump(&sql), "{expression}");
    }
}

/// A payload of `cloudsync_changes` was once a write of the whole text, over the lines that others had written.
#[test]
fn lines_of_a_text_merge_through_payloads_of_chosen_changes() {
    let directory = tempfile::tempdir().expect("a directory");
    let ddl = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT)";
    let block = "SELECT cloudsync_set_column('note', 'body', 'algo', 'block')";
    let [mut here, mut there] = ["here", "there"].map(|name| {
        let device = Device::create(directory.path(), name, ddl, &["note"]);
        device.run(block);
        device
    });
    let mut server = Server::create("CREATE TABLE note (id text PRIMARY KEY, body text)", &["note"]);
    server.run(block);
    here.run("INSERT INTO note VALUES ('n', 'the first line' || char(10) || 'the second line')");
    let first = here.offer(ENCODE).expect("a payload");
    there.take(&first);
    server.take(&first);
    let known = here.dump("SELECT cloudsync_db_version()").concat();

    here.run("UPDATE note SET body = 'the first line of one' || char(10) || 'the second line'");
    there.run("UPDATE note SET body = 'the first line' || char(10) || 'the second line of two'");
    server.run("UPDATE note SET body = body || E'\\nthe third line'");
    let newer = format!("{ENCODE} WHERE db_version > {known}");
    let (one, two, three) =
        (here.offer(&newer).expect("news"), there.offer(&newer).expect("news"), server.give(&newer));
    for payload in [&one, &two, &three, &two, &one] {
        here.take(payload);
        there.take(payload);
        server.take(payload);
    }
    let body = "SELECT body FROM note";
    let merged = [r#""the first line of one\nthe second line of two\nthe third line""#];
    assert_eq!(
        (here.dump(body), there.dump(body), server.dump(body)),
        (
            merged.map(str::to_owned).to_vec(),
            merged.map(str::to_owned).to_vec(),
            merged.map(str::to_owned).to_vec()
        )
    );

    // Who looks into it sees the lines, with who wrote them when.
    let lines =
        "SELECT cloudsync_text_lines(col_value) FROM cloudsync_changes WHERE col_name = '__[LINES]__body'";
    let told = here.text(lines);
    for part in ["\"complete\":true", "\"text\":\"the third line\"", "\"text\":\"the first line of one\""] {
        assert!(told.contains(part), "{told}");
    }
    let sites = "SELECT count(DISTINCT line -> 'site') FROM cloudsync_changes,
        jsonb_array_elements(cloudsync_text_lines(col_value) -> 'lines') line WHERE col_name = '__[LINES]__body'";
    assert_eq!(server.dump(sites), ["3"]);
}
