//! Texts merged by words: two devices with SQLite, and somebody who writes SQL on the server, edit one line.
//!
//! `CLOUDSYNC_TEXT_SEEDS` sets how many random histories are run.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;

const BY_WORDS: &str = "SELECT cloudsync_set_column('note', 'body', 'algo', 'block');
                        SELECT cloudsync_set_column('note', 'body', 'merge', 'word');";
const DUMP: &str = "SELECT id, body FROM note";
const STEPS: u64 = 50;

struct World {
    server: Server,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let mut server = Server::create("CREATE TABLE note (id text PRIMARY KEY, body text)", &["note"]);
        server.run(BY_WORDS);
        World { server, directory: tempfile::tempdir().expect("a directory") }
    }

    fn device(&self, name: &str) -> Device {
        let ddl = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT)";
        let device = Device::create(self.directory.path(), name, ddl, &["note"]);
        device.run(BY_WORDS);
        device.connect(&self.server.url);
        device
    }

    fn on_server(&mut self) -> String {
        self.server.client.query_one("SELECT body FROM note WHERE id = 'n'", &[]).expect("the note").get(0)
    }
}

fn body(device: &Device) -> String {
    device.text("SELECT body FROM note WHERE id = 'n'")
}

fn pull_schema(device: &Device) {
    let made =
        device.conn.query_row("SELECT cloudsync_network_pull_schema()", [], |row| row.get::<_, i64>(0));
    made.expect("the schema");
}

/// Two devices that both hold a text.
fn two_with(world: &World, text: &str) -> [Device; 2] {
    let devices = [world.device("one"), world.device("other")];
    devices[0].conn.execute("INSERT INTO note VALUES ('n', ?1)", [text]).expect("a note");
    devices.iter().for_each(|device| drop(device.sync()));
    assert_eq!(body(&devices[1]), text);
    devices
}

#[test]
fn words_of_one_line_that_devices_and_the_server_edit_all_stand() {
    let mut world = World::new();
    let [one, other] = two_with(&world, "Call Bob at nine, in room 4.\nBring the plans.\n");
    one.run("UPDATE note SET body = replace(body, 'Bob', 'Robert')");
    other.run("UPDATE note SET body = replace(body, 'nine', 'ten')");
    world.server.run("UPDATE note SET body = replace(body, 'room 4', 'the big room 4')");
    other.run("UPDATE note SET body = replace(body, 'the plans', 'the new plans and a pen')");
    for device in [&one, &other, &one] {
        device.sync();
    }
    let expected = "Call Robert at ten, in the big room 4.\nBring the new plans and a pen.\n";
    assert_eq!(body(&one), expected);
    assert_eq!(body(&other), expected);
    assert_eq!(world.on_server(), expected);
    let fresh = world.device("fresh");
    fresh.sync();
    assert_eq!(body(&fresh), expected);
}

#[test]
fn of_one_word_the_later_edit_stands() {
    let mut world = World::new();
    let [one, other] = two_with(&world, "a colour b");
    one.run("UPDATE note SET body = 'a color b!'");
    std::thread::sleep(std::time::Duration::from_millis(20));
    other.run("UPDATE note SET body = 'A colours b'");
    for device in [&other, &one, &other] {
        device.sync();
    }
    assert_eq!([body(&one), body(&other), world.on_server()], ["A colours b!"; 3]);
}

#[test]
fn a_pulled_schema_says_that_words_are_merged() {
    let mut world = World::new();
    world.server.run("INSERT INTO note VALUES ('n', 'one two three')");
    let devices = ["one", "other"].map(|name| {
        let device = Device::create(world.directory.path(), name, "", &[]);
        device.connect(&world.server.url);
        pull_schema(&device);
        device.sync();
        device
    });
    devices[0].run("UPDATE note SET body = replace(body, 'one', '1')");
    devices[1].run("UPDATE note SET body = replace(body, 'three', '3')");
    for device in [0, 1, 0] {
        devices[device].sync();
    }
    assert_eq!(devices.each_ref().map(body), ["1 two 3", "1 two 3"]);
    // And when the server goes back to lines, so do they.
    world.server.run("SELECT cloudsync_set_column('note', 'body', 'merge', 'line')");
    devices.iter().for_each(pull_schema);
    devices[0].run("UPDATE note SET body = 'I two 3'");
    std::thread::sleep(std::time::Duration::from_millis(20));
    devices[1].run("UPDATE note SET body = '1 two III'");
    for device in [0, 1, 0] {
        devices[device].sync();
    }
    assert_eq!(devices.each_ref().map(body), ["1 two III", "1 two III"]);
}

#[test]
fn an_edit_of_lines_is_refused_where_words_are_merged() {
    let world = World::new();
    two_with(&world, "one two");
    let lines = world.device("lines");
    lines.run("SELECT cloudsync_set_column('note', 'body', 'merge', NULL)");
    lines.sync();
    lines.run("UPDATE note SET body = 'one 2'");
    lines.sync();
    let refusal = lines.text("SELECT message FROM cloudsync_rejections");
    assert!(refusal.contains("into words and not lines"), "{refusal}");
    lines.run("SELECT cloudsync_set_column('note', 'body', 'merge', 'word')");
    lines.run("UPDATE note SET body = 'one II'");
    lines.sync();
    let fresh = world.device("fresh");
    fresh.sync();
    assert_eq!(body(&fresh), "one II");
}

#[test]
fn random_histories_of_words_end_equal() {
    let seeds = std::env::var("CLOUDSYNC_TEXT_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    for seed in 0..seeds.unwrap_or(10) {
        let mut world = World::new();
        let devices = [world.device("a"), world.device("b")];
        let mut random = Random::new(seed);
        let mut log = Vec::new();
        for step in 0..STEPS {
            let actor = random.below(3) as usize;
            if actor < 2 && random.below(4) == 0 {
                log.push(format!("{actor} syncs: {}", devices[actor].sync()));
                continue;
            }
            let key = format!("k{}", random.below(2));
            let now = match devices.get(actor) {
                Some(device) => current(device, &key),
                None => current_on_server(&mut world.server, &key),
            };
            let statement = statement(&mut random, &key, now.as_deref(), step);
            log.push(format!("{actor}: {statement}"));
            match devices.get(actor) {
                Some(device) => device.run(&statement),
                None => world.server.run(&statement),
            }
        }
        for actor in [0, 1, 0, 1, 0, 1] {
            log.push(format!("{actor} syncs: {}", devices[actor].sync()));
        }
        let expected = world.server.dump(DUMP);
        for device in &devices {
            let found = device.dump(DUMP);
            assert!(
                found == expected,
                "seed {seed}\ndevice: {found:#?}\nserver: {expected:#?}\n{}",
                log.join("\n")
            );
        }
    }
}

fn current(device: &Device, key: &str) -> Option<String> {
    device.conn.query_row("SELECT body FROM note WHERE id = ?1", [key], |row| row.get(0)).unwrap_or(None)
}

fn current_on_server(server: &mut Server, key: &str) -> Option<String> {
    let row = server.client.query_opt("SELECT body FROM note WHERE id = $1", &[&key]).expect("a query");
    row.and_then(|row| row.get(0))
}

/// A word edited, deleted or inserted, with signs and white space of all kinds; sometimes a line, or the whole.
fn statement(random: &mut Random, key: &str, now: Option<&str>, step: u64) -> String {
    let set = |body: &str| format!("UPDATE note SET body = '{body}' WHERE id = '{key}'");
    let mut words: Vec<&str> = now.map(|now| now.split(' ').collect()).unwrap_or_default();
    let at = random.below(words.len() as u64 + 1) as usize;
    let new = ["w#", "w#,", " w#", "(w#)", "w#\nw#", "(", "", "w#\n", "- w#"][random.below(9) as usize]
        .replace('#', &step.to_string());
    match (random.below(12), now) {
        (0..=7, Some(_)) => {
            match random.below(3) {
                0 if at < words.len() => words[at] = &new,
                1 if at < words.len() => drop(words.remove(at)),
                _ => words.insert(at, &new),
            }
            set(&words.join(" "))
        }
        (8, _) => format!("UPDATE note SET body = NULL WHERE id = '{key}'"),
        (9, _) => set(&format!("another text\nof {step}")),
        (10, _) => format!("DELETE FROM note WHERE id = '{key}'"),
        _ => format!("INSERT INTO note VALUES ('{key}', 'one two, three\nfour') ON CONFLICT (id) DO NOTHING"),
    }
}
