//! Texts merged by lines: two devices with SQLite and a server with PostgreSQL between them.
//!
//! `CLOUDSYNC_TEXT_SEEDS` sets how many random histories are run for each algorithm, `CLOUDSYNC_TEXT_SEED`
//! runs one.

use cloudsync_conformance::device::Device;
use cloudsync_conformance::notes::{BY_LINES, DUMP, Notes, set_body};
use cloudsync_conformance::random::Random;
use cloudsync_conformance::server::Server;

const STEPS: u64 = 50;

fn body(device: &Device) -> String {
    device.text("SELECT body FROM note WHERE id = 'n'")
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A markdown file of 20,000 lines, of which some are empty and some are alike.
fn long_text() -> String {
    let line = |number: usize| match number % 10 {
        0 => format!("## Section {}", number / 10),
        1 | 9 => String::new(),
        5 => "* the same item".to_owned(),
        _ => format!("Sentence {number} of a text that two agents write."),
    };
    (0..20_000).map(|number| line(number) + "\n").collect()
}

#[test]
fn two_agents_write_one_long_text_and_somebody_edits_it_on_the_server() {
    let mut world = Notes::new("cls", BY_LINES);
    let (one, other) = (world.device("one"), world.device("other"));
    let start = lines_of(&long_text());
    one.conn.execute("INSERT INTO note VALUES ('n', 'shared', ?1)", [joined(&start)]).expect("a note");
    one.sync();
    other.sync();
    assert_eq!(body(&other), joined(&start));

    // Apart: lines that are edited, inserted and deleted, in other sections and in the same one.
    let mut mine = start.clone();
    mine[102] = "edited by one".to_owned();
    mine.remove(203);
    mine.splice(12_003..12_003, ["first of one".to_owned(), "second of one".to_owned()]);
    set_body(&one, &joined(&mine));
    let mut yours = start.clone();
    yours[19_002] = "edited by the other".to_owned();
    yours.remove(206);
    yours.splice(12_003..12_003, ["first of the other".to_owned(), "second of the other".to_owned()]);
    set_body(&other, &joined(&yours));
    other.run("UPDATE note SET title = 'renamed'");
    one.sync();
    // And by SQL on the server.
    world
        .server
        .run("UPDATE note SET body = replace(body, 'Sentence 7777 ', 'The server''s sentence 7777 ')");
    for device in [&other, &one, &other] {
        device.sync();
    }

    let text = body(&one);
    assert_eq!(text, body(&other));
    let on_server: String =
        world.server.client.query_one("SELECT body FROM note", &[]).expect("the note").get(0);
    assert_eq!(text, on_server);
    let found = lines_of(&text);
    assert_eq!(found.len(), 20_000 - 2 + 4);
    let place = |line: &str| {
        let places: Vec<usize> =
            found.iter().enumerate().filter(|(_, found)| *found == line).map(|(at, _)| at).collect();
        assert_eq!(places.len(), 1, "{line}");
        places[0]
    };
    for written in ["one", "the other"] {
        assert_eq!(place(&format!("first of {written}")) + 1, place(&format!("second of {written}")));
        place(&format!("edited by {written}"));
    }
    place("The server's sentence 7777 of a text that two agents write.");
    let gone = [&start[102], &start[203], &start[206], &start[19_002], &start[7777]];
    assert!(gone.iter().all(|line| !found.contains(line)));
    let kept = start.iter().filter(|line| !gone.contains(line));
    let rest = found.iter().filter(|line| {
        !["one", "the other"].iter().any(|who| line.ends_with(who)) && !line.starts_with("The server's")
    });
    assert!(kept.eq(rest), "every other line is where it was");
    assert_eq!(one.text("SELECT title FROM note"), "renamed");

    let fresh = world.device("fresh");
    fresh.sync();
    assert_eq!(body(&fresh), text);
}

/// The device holds nothing of the text whose lines the server then tells it.
#[test]
fn a_row_that_becomes_visible_comes_with_its_whole_text() {
    let mut world = Notes::new("cls", BY_LINES);
    world.server.run("ALTER TABLE note ENABLE ROW LEVEL SECURITY");
    let role = format!("reader_{}", std::process::id());
    world.server.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON note TO {role};
         CREATE POLICY open ON note USING (title = 'open') WITH CHECK (true);
         INSERT INTO note VALUES ('n', 'closed', E'a\\nb\\nc\\n'), ('m', 'open', E'x\\ny\\n')"
    ));
    let device = world.device("reader");
    device.connect(&world.server.url_as(&role));
    device.sync();
    world.server.run(r"UPDATE note SET body = E'a\nB\nc\n' WHERE id = 'n'");
    world.server.run(r"UPDATE note SET body = E'a\nB\nC\n', title = 'open' WHERE id = 'n'");
    world.server.run(r"UPDATE note SET body = E'x\ny2\n' WHERE id = 'm'");
    device.sync();
    device.sync();
    let expected = world.server.dump(DUMP);
    let found = device.dump(DUMP);
    world.server.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!(found, expected);
}

#[test]
fn random_histories_of_texts_end_equal() {
    run_all("cls");
}

#[test]
fn they_end_equal_where_deletes_win() {
    run_all("dws");
}

#[test]
fn they_end_equal_where_adds_win() {
    run_all("aws");
}

fn run_all(algorithm: &'static str) {
    let seeds = std::env::var("CLOUDSYNC_TEXT_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let one = std::env::var("CLOUDSYNC_TEXT_SEED").ok().and_then(|seed| seed.parse().ok());
    let all = one.map_or(0..seeds.unwrap_or(10), |seed| seed..seed + 1);
    for seed in all {
        let mut world = Notes::new(algorithm, BY_LINES);
        let devices = [world.device("a"), world.device("b"), world.device_without_settings("c")];
        if seed % 2 == 1 {
            let conflicts = "SELECT cloudsync_set_table('note', 'conflicts', 'on')";
            world.server.run(conflicts);
            devices.iter().for_each(|device| device.run(conflicts));
        }
        let mut random = Random::new(seed);
        let mut log = Vec::new();
        for step in 0..STEPS {
            let actor = random.below(4) as usize;
            if actor < 3 && random.below(4) == 0 {
                log.push(format!("{actor} syncs: {}", devices[actor].sync()));
                continue;
            }
            if actor < 2 && random.below(10) == 0 {
                log.push(format!("{actor} gives its changes to the other"));
                give(&devices[actor], &devices[1 - actor]);
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
        for actor in [0, 1, 2, 0, 1, 2, 0, 1, 2] {
            log.push(format!("{actor} syncs: {}", devices[actor].sync()));
        }
        let expected = world.server.dump(DUMP);
        for device in &devices {
            let found = device.dump(DUMP);
            assert!(
                found == expected,
                "{algorithm}, seed {seed}\ndevice: {found:#?}\nserver: {expected:#?}\n{}",
                log.join("\n")
            );
        }
    }
}

/// Without a server between them.
fn give(from: &Device, to: &Device) {
    let encode =
        "SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, site_id, cl,
        seq) FROM cloudsync_changes";
    let payload: Option<Vec<u8>> = from.conn.query_row(encode, [], |row| row.get(0)).expect("a payload");
    if let Some(payload) = payload {
        let apply = "SELECT cloudsync_payload_apply(?1)";
        to.conn.query_row(apply, [payload], |_| Ok(())).expect("it is applied");
    }
}

fn current(device: &Device, key: &str) -> Option<String> {
    let sql = "SELECT body FROM note WHERE id = ?1";
    device.conn.query_row(sql, [key], |row| row.get(0)).unwrap_or(None)
}

fn current_on_server(server: &mut Server, key: &str) -> Option<String> {
    let row = server.client.query_opt("SELECT body FROM note WHERE id = $1", &[&key]).expect("a query");
    row.and_then(|row| row.get(0))
}

fn statement(random: &mut Random, key: &str, now: Option<&str>, step: u64) -> String {
    let set =
        |body: &str| format!("UPDATE note SET body = '{}' WHERE id = '{key}'", body.replace('\'', "''"));
    let mut lines: Vec<String> = now.map(lines_of).unwrap_or_default();
    let at = random.below(lines.len() as u64 + 1) as usize;
    match (random.below(12), now) {
        (0..=5, Some(_)) => {
            match random.below(3) {
                0 if at < lines.len() => lines[at] = format!("edited at {step}"),
                1 if at < lines.len() => drop(lines.remove(at)),
                _ => lines.insert(at, format!("line of {step}")),
            }
            set(joined(&lines).trim_end_matches(if random.below(4) == 0 { '\n' } else { '\0' }))
        }
        (6, _) => format!("UPDATE note SET body = NULL WHERE id = '{key}'"),
        (7, _) => set(&format!("another\ntext\nof {step}\n")),
        (8, _) => format!("DELETE FROM note WHERE id = '{key}'"),
        (9, _) => format!("UPDATE note SET title = 't{step}' WHERE id = '{key}'"),
        _ => format!(
            "INSERT INTO note VALUES ('{key}', 'new', 'one\ntwo\nthree\nfour\n') ON CONFLICT (id) DO NOTHING"
        ),
    }
}

/// Devices that know nothing of lines compare stamps: they once kept an edit that everybody else had dropped for
/// a whole text, written before it by someone who had not seen it.
#[test]
fn a_device_without_settings_follows_a_text_that_was_written_whole_before_the_last_edit() {
    let mut world = Notes::new("cls", BY_LINES);
    let (one, other) = (world.device("one"), world.device("other"));
    let (writer, reader) = (world.device_without_settings("writer"), world.device_without_settings("reader"));
    let all = [&one, &other, &writer, &reader];
    let later = || std::thread::sleep(std::time::Duration::from_millis(5));
    one.run("INSERT INTO note VALUES ('n', 'shared', 'the first line' || char(10) || 'the second line')");
    all.iter().for_each(|device| drop(device.sync()));
    set_body(&writer, "quite another text\nof two lines");
    writer.run("SELECT cloudsync_db_version()");
    later();
    set_body(&one, "the first line, edited\nthe second line");
    for device in [&one, &reader, &writer] {
        device.sync();
    }
    let mut expect = |body: &str| {
        all.iter().for_each(|device| drop(device.sync()));
        all.iter().for_each(|device| drop(device.sync()));
        let expected = [format!(r#""n"|"shared"|"{body}""#)];
        assert_eq!(world.server.dump(DUMP), expected);
        all.iter().for_each(|device| assert_eq!(device.dump(DUMP), expected));
    };
    expect(r"quite another text\nof two lines");
    set_body(&one, "quite another text\nof two lines or more");
    set_body(&other, "now quite another text\nof two lines");
    expect(r"now quite another text\nof two lines or more");
}
