//! `cloudsync_conflicts`: what lost a merge is listed once, where it was seen, and nothing else is.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::rls::world::Roles;
use cloudsync_conformance::server::Server;

const TABLES: [&str; 1] = ["note"];
const SERVER_DDL: &str = "CREATE TABLE note (id text PRIMARY KEY, body text, rank bigint)";
const DEVICE_DDL: &str = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT, rank INTEGER);";
const LISTED: &str = "SELECT tbl, col_name, lost_value, won_value, reason FROM cloudsync_conflicts";

struct World {
    server: Server,
    directory: tempfile::TempDir,
}

impl World {
    /// A server that lists conflicts, with one note.
    fn new() -> World {
        let mut server = Server::create(SERVER_DDL, &TABLES);
        server.run("SELECT cloudsync_set_table('note', 'conflicts', 'on'); INSERT INTO note VALUES ('n', 'first', 1)");
        World { server, directory: tempfile::tempdir().expect("a directory") }
    }

    /// A device that has the note, and lists conflicts or not.
    fn device(&self, name: &str, setting: &str) -> Device {
        let device = Device::create(self.directory.path(), name, DEVICE_DDL, &TABLES);
        device.run(&format!("SELECT cloudsync_set_table('note', 'conflicts', '{setting}')"));
        device.connect(&self.server.url);
        device.sync();
        device
    }

    fn pair(&self) -> (Device, Device) {
        (self.device("one", "on"), self.device("two", "on"))
    }
}

fn lost(column: &str, lost: &str, won: &str, reason: &str) -> Vec<String> {
    vec![format!(r#""note"|"{column}"|"{lost}"|{won}|"{reason}""#)]
}

/// Lets the clock go on, so that what is written next is later.
fn later() {
    std::thread::sleep(std::time::Duration::from_millis(5));
}

fn nothing() -> Vec<String> {
    Vec::new()
}

fn settle(devices: &[&Device]) {
    for _ in 0..3 {
        devices.iter().for_each(|device| drop(device.sync()));
    }
}

#[test]
fn the_older_of_two_writes_is_listed_where_it_was_made_and_on_the_server() {
    let mut world = World::new();
    let (one, two) = world.pair();
    one.run("UPDATE note SET body = 'older', rank = 2");
    later();
    two.run("UPDATE note SET body = 'newer', rank = 2");
    later();
    two.sync();
    settle(&[&one, &two]);
    let expected = lost("body", "older", r#""newer""#, "newer write");
    assert_eq!(world.server.dump(LISTED), expected, "and not rank, of which both say the same");
    assert_eq!(one.dump(LISTED), expected);
    assert_eq!(two.dump(LISTED), nothing(), "it never had the other value");
    let times = "SELECT count(*) FROM cloudsync_conflicts WHERE lost_at < won_at AND won_at <= noted_at
                 AND length(pk) = 3 AND lost_site <> won_site AND lost_version < won_version";
    assert_eq!((one.dump(times), world.server.dump(times)), (vec!["1".into()], vec!["1".into()]));
    assert_eq!(one.dump("SELECT count(*) FROM cloudsync_bases"), ["0"]);
}

#[test]
fn a_value_that_a_newer_write_replaced_unseen_is_listed_on_the_server() {
    let mut world = World::new();
    let (one, two) = world.pair();
    one.run("UPDATE note SET body = 'older'");
    later();
    two.run("UPDATE note SET body = 'newer'");
    later();
    one.sync();
    two.sync();
    settle(&[&one, &two]);
    assert_eq!(world.server.dump(LISTED), lost("body", "older", r#""newer""#, "newer write"));
    assert_eq!(two.dump(LISTED), nothing());
}

#[test]
fn ordinary_overwriting_is_no_conflict() {
    let mut world = World::new();
    let (one, two) = world.pair();
    for round in 0..3 {
        for device in [&one, &two] {
            device.run(&format!(
                "UPDATE note SET body = 'a{round}'; UPDATE note SET body = 'b{round}', rank = {round}"
            ));
            device.run("SELECT cloudsync_db_version(); UPDATE note SET rank = rank + 7");
            device.run("INSERT INTO note VALUES (cloudsync_uuid(), 'new', 1); UPDATE note SET rank = 8 WHERE body = 'new'");
            settle(&[&one, &two]);
        }
        world.server.run(&format!("UPDATE note SET body = 'c{round}'"));
        settle(&[&one, &two]);
    }
    one.run("UPDATE note SET body = 'before the delete'");
    later();
    one.sync();
    two.run("DELETE FROM note");
    later();
    settle(&[&two, &one]);
    assert_eq!(
        (world.server.dump(LISTED), one.dump(LISTED), two.dump(LISTED)),
        (nothing(), nothing(), nothing())
    );
    for device in [&one, &two] {
        assert_eq!(device.dump("SELECT count(*) FROM cloudsync_bases"), ["0"]);
    }
}

/// What counts is what the first of several unsent writes replaced.
#[test]
fn a_cell_written_twice_before_it_is_sent_has_the_first_base() {
    let mut world = World::new();
    let (one, two) = world.pair();
    one.run(
        "UPDATE note SET body = 'mine'; SELECT cloudsync_db_version(); UPDATE note SET body = 'mine again'",
    );
    two.run("UPDATE note SET body = 'theirs'");
    later();
    two.sync();
    one.run("SELECT cloudsync_db_version(); UPDATE note SET body = 'mine at last'");
    later();
    settle(&[&one, &two]);
    assert_eq!(world.server.dump(LISTED), lost("body", "theirs", r#""mine at last""#, "newer write"));
    assert_eq!(one.dump(LISTED), nothing(), "it never saw the other value");
}

#[test]
fn a_write_that_is_overtaken_before_it_is_sent_is_listed_on_its_device() {
    let mut world = World::new();
    let (one, two) = world.pair();
    one.run("UPDATE note SET body = 'older'");
    later();
    two.run("UPDATE note SET body = 'newer'");
    later();
    two.sync();
    one.text("SELECT cloudsync_network_check_changes()");
    let expected = lost("body", "older", r#""newer""#, "newer write");
    assert_eq!(one.dump(LISTED), expected);
    // From now on it has seen the other: the next write replaces it and conflicts with nothing.
    one.run("UPDATE note SET body = 'newest'");
    later();
    settle(&[&one, &two]);
    assert_eq!(
        (one.dump(LISTED), two.dump(LISTED), world.server.dump(LISTED)),
        (expected, nothing(), nothing())
    );
}

#[test]
fn an_older_write_that_arrives_over_an_unsent_one_is_listed_on_both_ends() {
    let mut world = World::new();
    let (one, two) = world.pair();
    two.run("UPDATE note SET body = 'older'");
    later();
    two.sync();
    one.run("UPDATE note SET body = 'newer'");
    later();
    one.text("SELECT cloudsync_network_check_changes()");
    let expected = lost("body", "older", r#""newer""#, "newer write");
    assert_eq!(one.dump(LISTED), expected);
    settle(&[&one, &two]);
    assert_eq!((one.dump(LISTED), world.server.dump(LISTED)), (expected.clone(), expected));
}

#[test]
fn an_update_of_a_row_that_was_deleted_is_listed() {
    let mut world = World::new();
    let (one, two) = world.pair();
    two.run("DELETE FROM note");
    later();
    two.sync();
    one.run("UPDATE note SET body = 'too late'");
    later();
    settle(&[&one, &two]);
    let expected = lost("body", "too late", "NULL", "row deleted");
    assert_eq!(one.dump(LISTED), expected);
    assert_eq!(world.server.dump(LISTED), expected, "its owner sees tombstones");
    assert_eq!(one.dump("SELECT * FROM note"), nothing());
    one.run("INSERT INTO note VALUES ('n', 'again', 1)");
    later();
    settle(&[&one, &two]);
    assert_eq!(one.dump(LISTED).len() + world.server.dump(LISTED).len(), 2);
}

#[test]
fn two_inserts_of_one_key_conflict_cell_by_cell() {
    let mut world = World::new();
    let (one, two) = world.pair();
    one.run("INSERT INTO note VALUES ('same', 'one', 1)");
    later();
    two.run("INSERT INTO note VALUES ('same', 'two', 1)");
    later();
    settle(&[&two, &one]);
    let expected = lost("body", "one", r#""two""#, "newer write");
    assert_eq!((one.dump(LISTED), world.server.dump(LISTED)), (expected.clone(), expected));
}

/// Of a device that gives no bases only what is older than what stands there is known to have lost.
#[test]
fn a_device_without_the_list_sends_nothing_for_it() {
    let mut world = World::new();
    let (one, two) = (world.device("one", "off"), world.device("two", "off"));
    one.run("UPDATE note SET body = 'older'");
    later();
    two.run("UPDATE note SET body = 'newer'");
    later();
    one.sync();
    two.sync();
    assert_eq!(world.server.dump(LISTED), nothing());
    one.run("UPDATE note SET rank = 5");
    later();
    two.run("UPDATE note SET rank = 6");
    later();
    two.sync();
    settle(&[&one, &two]);
    assert_eq!(world.server.dump(LISTED), vec![r#""note"|"rank"|"5"|"6"|"newer write""#.to_owned()]);
    assert_eq!(one.dump(LISTED), nothing());
    assert_eq!(one.dump("SELECT count(*) FROM cloudsync_bases"), ["0"]);
}

#[test]
fn the_list_shows_only_what_its_reader_may_select_now() {
    let mut world = World::new();
    let names = ["reader", "stranger"].map(|role| format!("conflicts_{role}_{}", std::process::id()));
    let _roles = Roles(names.to_vec());
    let [reader, stranger] = &names;
    world.server.run(&format!(
        "CREATE ROLE {reader} LOGIN; CREATE ROLE {stranger} LOGIN;
         GRANT SELECT ON note TO {reader}; GRANT SELECT (id, rank) ON note TO {stranger};
         ALTER TABLE note ENABLE ROW LEVEL SECURITY;
         CREATE POLICY reader ON note FOR SELECT TO {reader} USING (rank < 100);
         CREATE POLICY stranger ON note FOR SELECT TO {stranger} USING (true)"
    ));
    let (one, two) = world.pair();
    one.run("UPDATE note SET body = 'older', rank = 2");
    later();
    two.run("UPDATE note SET body = 'newer', rank = 3");
    later();
    settle(&[&two, &one]);
    let mut listed = |role: &str| {
        world.server.run(&format!("SET ROLE {role}"));
        let columns = world.server.dump("SELECT col_name FROM cloudsync_conflicts");
        world.server.run("RESET ROLE");
        columns
    };
    assert_eq!(listed(reader), [r#""body""#, r#""rank""#]);
    assert_eq!(listed(stranger), [r#""rank""#], "the other column is not for them");
    assert!(
        world
            .server
            .client
            .batch_execute(&format!("SET ROLE {reader}; SELECT * FROM cloudsync.conflicts"))
            .is_err()
    );
    world.server.run("RESET ROLE; UPDATE note SET rank = 100");
    let mut listed = |role: &str| {
        world.server.run(&format!("SET ROLE {role}"));
        let columns = world.server.dump("SELECT col_name FROM cloudsync_conflicts");
        world.server.run("RESET ROLE");
        columns
    };
    assert_eq!(listed(reader), nothing(), "a policy of today hides the row");
    world.server.run("DELETE FROM note");
    assert_eq!(
        world.server.dump("SELECT col_name FROM cloudsync_conflicts").len(),
        2,
        "its owner sees tombstones"
    );
}

#[test]
fn the_oldest_go_first_and_off_ends_it() {
    let mut world = World::new();
    let (one, two) = world.pair();
    for table in [&one, &two] {
        table.run("SELECT cloudsync_set_table('note', 'conflicts_rows', '2')");
    }
    world.server.run("SELECT cloudsync_set_table('note', 'conflicts_rows', '3')");
    for round in 0..5 {
        one.run(&format!("UPDATE note SET body = 'older {round}'"));
        later();
        two.run(&format!("UPDATE note SET body = 'newer {round}'"));
        later();
        settle(&[&two, &one]);
    }
    let kept = "SELECT lost_value FROM cloudsync_conflicts";
    assert_eq!(one.dump(kept), [r#""older 3""#, r#""older 4""#]);
    assert_eq!(world.server.dump(kept), [r#""older 2""#, r#""older 3""#, r#""older 4""#]);
    world.server.run("SELECT cloudsync_set_table('note', 'conflicts', 'off')");
    one.run("SELECT cloudsync_set_table('note', 'conflicts', 'off'); UPDATE note SET body = 'older'");
    later();
    two.run("UPDATE note SET body = 'newer'");
    later();
    settle(&[&two, &one]);
    assert_eq!((one.dump(kept).len(), world.server.dump(kept).len()), (2, 3));
    let refused =
        one.conn.query_row("SELECT cloudsync_set_table('note', 'conflicts', 'maybe')", [], |_| Ok(()));
    assert!(refused.is_err());
    assert!(
        world
            .server
            .client
            .batch_execute("SELECT cloudsync_set_table('note', 'conflicts', 'maybe')")
            .is_err()
    );
}
