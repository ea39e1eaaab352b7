//! The README's five-minute tour, typed into the real sqlite3 shell and the real psql.
//!
//! A line with a comment of the form `-- expected` must print just that.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cloudsync_conformance::required;
use cloudsync_conformance::server::Server;

const README: &str = include_str!("../../../README.md");
const TOUR_URL: &str = "postgres://postgres@127.0.0.1:5433/cloudsync";
const END: &str = "END-OF-BLOCK";

#[test]
fn the_readme_tour_does_what_it_says() {
    let server = Server::create("", &[]);
    let directory = tempfile::tempdir().expect("a directory");
    let mut psql =
        Shell::start(Command::new("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", &server.url]), "\\echo");
    let device = |file: &str| {
        Shell::start(Command::new("sqlite3").arg("-batch").arg(directory.path().join(file)), ".print")
    };
    let (mut phone, mut laptop) = (device("phone.db"), device("laptop.db"));
    let blocks = tour_blocks();
    assert!(blocks.len() >= 7, "the tour has lost its steps: {blocks:?}");
    for block in blocks {
        let shell = match block.place {
            Place::Server => &mut psql,
            Place::Phone => &mut phone,
            Place::Laptop => &mut laptop,
        };
        for line in block.sql.lines() {
            let line = line.replace(TOUR_URL, &server.url);
            let line = line.replace(".load dist/cloudsync", &format!(".load {}", extension()));
            let (statement, expected) = match line.split_once("    -- ") {
                Some((statement, expected)) => (statement.to_owned(), Some(expected.to_owned())),
                None => (line, None),
            };
            let printed = shell.run(&statement);
            assert!(!printed.contains("rror"), "{statement}\n{printed}");
            if let Some(expected) = expected {
                assert_eq!(printed.trim(), expected, "{statement}");
            }
        }
    }
    for shell in [&mut psql, &mut phone, &mut laptop] {
        assert_eq!(shell.run("SELECT count(*) FROM tasks;").trim(), "2", "both rows are everywhere");
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Server,
    Phone,
    Laptop,
}

#[derive(Debug)]
struct Block {
    place: Place,
    sql: String,
}

/// The SQL blocks of the tour; each belongs to the shell that the text before it names last.
fn tour_blocks() -> Vec<Block> {
    let tour = README.split("## A five-minute tour").nth(1).expect("the tour");
    let tour = tour.split("\n## ").next().expect("the tour ends");
    let mut blocks = Vec::new();
    let mut place = Place::Server;
    let mut block: Option<String> = None;
    for line in tour.lines() {
        match (&mut block, line) {
            (None, "```sql") => block = Some(String::new()),
            (Some(sql), "```") => {
                blocks.push(Block { place, sql: std::mem::take(sql) });
                block = None;
            }
            (Some(sql), line) => {
                sql.push_str(line);
                sql.push('\n');
            }
            (None, line) if line.starts_with("### Without a server") => return blocks,
            (None, line) if line.contains("psql") => place = Place::Server,
            (None, line) if line.contains("phone") => place = Place::Phone,
            (None, line) if line.contains("laptop") => place = Place::Laptop,
            (None, _) => {}
        }
    }
    blocks
}

fn extension() -> String {
    let file = required("CLOUDSYNC_SQLITE_EXTENSION");
    file.strip_suffix(".so").unwrap_or(&file).to_owned()
}

/// A shell that is typed into.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    echo: &'static str,
}

impl Shell {
    fn start(command: &mut Command, echo: &'static str) -> Shell {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the shell is installed");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Shell { child, input, output, echo }
    }

    fn run(&mut self, statement: &str) -> String {
        writeln!(self.input, "{statement}\n{} {END}", self.echo).expect("the shell runs");
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            let count = self.output.read_line(&mut line).expect("the shell prints text");
            assert!(count > 0, "the shell ended at: {statement}\n{printed}");
            if line.trim_end() == END {
                return printed;
            }
            printed.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The test is over either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
