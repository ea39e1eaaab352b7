//! `cloudsync_conflicts` of texts that are merged by lines: lines that lost, and texts that lost as a whole.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::server::Server;

const LISTED: &str = "SELECT col_name, lost_value, won_value, reason FROM cloudsync_conflicts";
const NOTHING: [&str; 0] = [];

struct World {
    server: Server,
    one: Device,
    two: Device,
    _directory: tempfile::TempDir,
}

impl World {
    /// Two devices that have one note of three lines, and list conflicts, as the server does.
    fn new() -> World {
        let settings = "SELECT cloudsync_set_column('note', 'body', 'algo', 'block');
             SELECT cloudsync_set_table('note', 'conflicts', 'on')";
        let mut server = Server::create("CREATE TABLE note (id text PRIMARY KEY, body text)", &["note"]);
        server.run(settings);
        server.run("INSERT INTO note VALUES ('n', E'the first line\\nthe second line\\nthe third line\\n')");
        let directory = tempfile::tempdir().expect("a directory");
        let [one, two] = ["one", "two"].map(|name| {
            let ddl = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT)";
            let device = Device::create(directory.path(), name, ddl, &["note"]);
            device.run(settings);
            device.connect(&server.url);
            device.sync();
            device
        });
        World { server, one, two, _directory: directory }
    }

    fn settle(&mut self) -> String {
        for _ in 0..3 {
            self.one.sync();
            self.two.sync();
        }
        let body = "SELECT body FROM note";
        let (text, others) = (self.one.dump(body), (self.two.dump(body), self.server.dump(body)));
        assert_eq!(others, (text.clone(), text.clone()));
        text.concat()
    }

    fn listed(&mut self) -> (Vec<String>, Vec<String>, Vec<String>) {
        (self.server.dump(LISTED), self.one.dump(LISTED), self.two.dump(LISTED))
    }
}

fn write(device: &Device, body: &str) {
    device.conn.execute("UPDATE note SET body = ?1", [body]).expect("an edit");
    device.run("SELECT cloudsync_db_version()");
    std::thread::sleep(std::time::Duration::from_millis(5));
}

fn line(lost: &str, won: &str) -> Vec<String> {
    vec![format!(r#""body"|"{lost}"|{won}|"newer write of the line""#)]
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_line_that_lost_is_listed_where_it_was_written_and_on_the_server() {
    let mut world = World::new();
    write(&world.one, "the first line of one\nthe second line of one\nthe third line\n");
    write(&world.two, "the first line\nthe second line of two\nthe third line of two\n");
    world.two.sync();
    assert_eq!(world.settle(), r#""the first line of one\nthe second line of two\nthe third line of two\n""#);
    let expected = line("the second line of one", "\"the second line of two\"");
    assert_eq!(world.listed(), (expected.clone(), expected, nothing()));
    let sides = "SELECT count(*) FROM cloudsync_conflicts WHERE lost_at < won_at AND lost_site <> won_site";
    assert_eq!((world.one.dump(sides), world.server.dump(sides)), (vec!["1".into()], vec!["1".into()]));
}

#[test]
fn a_line_that_a_newer_write_replaced_unseen_is_listed_on_the_server() {
    let mut world = World::new();
    write(&world.one, "the first line\nthe second line of one\nthe third line\n");
    write(&world.two, "the first line\nthe second line of two\nthe third line\n");
    world.one.sync();
    assert_eq!(world.settle(), r#""the first line\nthe second line of two\nthe third line\n""#);
    assert_eq!(
        world.listed(),
        (line("the second line of one", "\"the second line of two\""), nothing(), nothing())
    );
}

#[test]
fn lines_of_one_write_are_listed_each() {
    let mut world = World::new();
    write(&world.one, "the first line of one\nthe second line of one\nthe third line\n");
    write(&world.two, "the first line of two\nthe second line of two\nthe third line\n");
    world.two.sync();
    world.settle();
    let expected = [
        line("the first line of one", "\"the first line of two\""),
        line("the second line of one", "\"the second line of two\""),
    ]
    .concat();
    assert_eq!(world.listed(), (expected.clone(), expected, nothing()));
}

#[test]
fn edits_of_seen_lines_and_of_other_lines_are_no_conflict() {
    let mut world = World::new();
    for round in 0..3 {
        write(&world.one, &format!("the first line {round}\nthe second line\nthe third line\n"));
        world.settle();
        write(&world.two, &format!("the first line {round} again\nthe second line\nthe third line\n"));
        write(
            &world.two,
            &format!("the first line {round} again\nthe second line {round}\nthe third line\n"),
        );
        world.settle();
        write(
            &world.one,
            &format!("the first line {round} again\nthe second line {round}\nthe third line {round}\n"),
        );
        world.server.run(&format!("UPDATE note SET body = E'the first line of the server {round}\\nthe second line {round}\\nthe third line\\n'"));
        world.settle();
        write(&world.one, "the first line\nthe second line\nthe third line\n");
        world.settle();
    }
    assert_eq!(world.listed(), (nothing(), nothing(), nothing()));
    assert_eq!(world.one.dump("SELECT count(*) FROM cloudsync_bases"), ["0"]);
}

#[test]
fn a_line_that_an_application_wrote_on_the_server_loses_and_wins_as_others_do() {
    let mut world = World::new();
    write(&world.one, "the first line\nthe second line of one\nthe third line\n");
    world
        .server
        .run("UPDATE note SET body = E'the first line\\nthe second line of the server\\nthe third line\\n'");
    std::thread::sleep(std::time::Duration::from_millis(5));
    write(&world.two, "the first line\nthe second line of two\nthe third line\n");
    assert_eq!(world.settle(), r#""the first line\nthe second line of two\nthe third line\n""#);
    let (server, one, two) = world.listed();
    let both = [
        line("the second line of one", "\"the second line of the server\""),
        line("the second line of the server", "\"the second line of two\""),
    ]
    .concat();
    assert_eq!(
        (server, one, two),
        (both, line("the second line of one", "\"the second line of the server\""), nothing())
    );
}

#[test]
fn a_text_that_was_written_whole_elsewhere_is_listed_as_a_whole() {
    let mut world = World::new();
    write(&world.one, "the first line of one\nthe second line\nthe third line\n");
    world.two.run("UPDATE note SET body = NULL");
    write(&world.two, "new\n");
    world.two.sync();
    assert_eq!(world.settle(), r#""new\n""#);
    let whole = |lost: &str| vec![format!(r#""body"|"{lost}"|"new\n"|"newer write""#)];
    let (server, one, two) = world.listed();
    // The server is told the edited line alone, the device has all of it.
    assert_eq!(
        (server, one, two),
        (
            whole("the first line of one"),
            whole(r"the first line of one\nthe second line\nthe third line\n"),
            nothing()
        )
    );
}

#[test]
fn without_the_setting_no_line_is_listed() {
    let mut world = World::new();
    let off = "SELECT cloudsync_set_table('note', 'conflicts', 'off')";
    world.server.run(off);
    world.one.run(off);
    write(&world.one, "the first line\nthe second line of one\nthe third line\n");
    write(&world.two, "the first line\nthe second line of two\nthe third line\n");
    world.two.sync();
    world.settle();
    assert_eq!(world.listed(), (nothing(), nothing(), nothing()));
    assert_eq!(world.one.dump("SELECT * FROM cloudsync_bases"), NOTHING);
}

#[test]
fn lines_written_into_a_deleted_row_are_listed() {
    let mut world = World::new();
    write(&world.one, "the first line\nthe second line of one\nthe third line\n");
    world.two.run("DELETE FROM note");
    world.two.sync();
    assert_eq!(world.settle(), "");
    let lost = vec![r#""body"|"the second line of one"|NULL|"row deleted""#.to_owned()];
    assert_eq!(world.listed(), (lost.clone(), lost, nothing()));
}
