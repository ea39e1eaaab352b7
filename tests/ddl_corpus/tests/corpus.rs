//! Schemas that others wrote, from `tests/ddl_corpus/schemas` and from where `fetch.sh` put them: as
//! many tables as possible are translated, made on a server, and filled on both sides.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cloudsync_ddl_corpus::schema::{columns, insert_sqlite, rows_sqlite, server_types, through_server};
use cloudsync_ddl_corpus::{Server, samples, sqlite};
use cloudsync_shared::ddl::{Options, Problem, Translation, translate};
use rusqlite::Connection;
use rusqlite::types::Value;

/// Rows that are tried in each table.
const ROWS: usize = 6;

/// What became of the tables and rows of a schema.
#[derive(Debug, Default)]
struct Counts {
    tables: usize,
    indexes: usize,
    strict: usize,
    translated: usize,
    rows: usize,
    refused_rows: usize,
    refusals: BTreeMap<&'static str, usize>,
}

/// A statement of `sqlite_schema` and the table that it belongs to.
#[derive(Clone, Debug)]
struct Statement {
    table: String,
    is_table: bool,
    sql: String,
}

#[test]
fn schemas_of_others_are_translated_or_refused_by_name() {
    let files = schema_files();
    assert!(!files.is_empty(), "there are no schemas");
    println!(
        "{:<28} {:>6} {:>7} {:>6} {:>10} {:>5} {:>8}",
        "schema", "tables", "indexes", "strict", "translated", "rows", "refused"
    );
    let mut total = Counts::default();
    let mut faults = Vec::new();
    for file in &files {
        let counts = check_schema(file, &mut faults);
        print_line(&file.file_stem().unwrap_or_default().to_string_lossy(), &counts);
        add(&mut total, &counts);
    }
    print_line("total", &total);
    println!("\nrefused tables and indexes by construct, integer keys and NOT NULL columns allowed:");
    for (construct, count) in &total.refusals {
        println!("{count:>6}  {construct}");
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(total.translated * 2 > total.tables, "hardly any table is translated");
}

fn print_line(name: &str, counts: &Counts) {
    let Counts { tables, indexes, strict, translated, rows, refused_rows, refusals: _ } = counts;
    println!("{name:<28} {tables:>6} {indexes:>7} {strict:>6} {translated:>10} {rows:>5} {refused_rows:>8}");
}

fn add(total: &mut Counts, counts: &Counts) {
    total.tables += counts.tables;
    total.indexes += counts.indexes;
    total.strict += counts.strict;
    total.translated += counts.translated;
    total.rows += counts.rows;
    total.refused_rows += counts.refused_rows;
    for (construct, count) in &counts.refusals {
        *total.refusals.entry(construct).or_default() += count;
    }
}

/// The committed schemas and the fetched ones.
fn schema_files() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fetched = here.join("../../target/ddl_corpus");
    let mut files = Vec::new();
    for folder in [here.join("schemas"), fetched] {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    files
}

fn check_schema(file: &Path, faults: &mut Vec<String>) -> Counts {
    let mut fault = |what: String| faults.push(format!("{}: {what}", file.display()));
    let script = fs::read_to_string(file).expect("the schema can be read");
    let original = sqlite();
    if let Err(error) = original.execute_batch(&script) {
        fault(format!("SQLite refuses the script: {error}"));
        return Counts::default();
    }
    let statements = statements(&original);
    let count = |is_table: bool| statements.iter().filter(|statement| statement.is_table == is_table).count();
    let mut counts = Counts { tables: count(true), indexes: count(false), ..Counts::default() };
    let text = joined(&statements);
    counts.strict = translatable(&statements, &Options::default(), &mut BTreeMap::new()).0;
    let options = Options { allow_integer_key: true, allow_not_null: true, ..Options::default() };
    let (translated, translation) = translatable(&statements, &options, &mut counts.refusals);
    counts.translated = translated;
    let Some((translation, kept)) = translation else { return counts };
    let mut server = Server::fresh();
    if let Err(error) = server.run(&translation) {
        fault(format!("the server refuses what was translated: {error}\n{text}"));
        return counts;
    }
    server.client.batch_execute("SET session_replication_role = replica").expect("the test is a superuser");
    let here = sqlite();
    here.execute_batch("PRAGMA foreign_keys = OFF").expect("the pragma is known");
    here.execute_batch(&joined(&kept)).expect("a part of the schema is a schema");
    for table in &translation.tables {
        fill(&here, &mut server, &table.name, &mut counts, &mut fault);
    }
    counts
}

/// All that makes tables and indexes, as SQLite itself has kept it.
fn statements(connection: &Connection) -> Vec<Statement> {
    let sql = "SELECT tbl_name, type = 'table', sql FROM sqlite_schema WHERE sql IS NOT NULL \
               AND type IN ('table', 'index') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC, rowid";
    let mut statement = connection.prepare(sql).expect("the schema can be read");
    let rows = statement
        .query_map([], |row| Ok(Statement { table: row.get(0)?, is_table: row.get(1)?, sql: row.get(2)? }))
        .expect("the schema can be read");
    rows.collect::<Result<_, _>>().expect("the schema is text")
}

fn joined(statements: &[Statement]) -> String {
    statements.iter().map(|statement| format!("{};\n", statement.sql)).collect()
}

/// Leaves out statements with problems, and tables that reference left out ones, until the rest is
/// translated; answers how many tables are left.
fn translatable(
    statements: &[Statement],
    options: &Options,
    refusals: &mut BTreeMap<&'static str, usize>,
) -> (usize, Option<(Translation, Vec<Statement>)>) {
    let mut kept = statements.to_vec();
    loop {
        let tables = kept.iter().filter(|statement| statement.is_table).count();
        if tables == 0 {
            return (0, None);
        }
        let without_parents = match translate(&joined(&kept), options) {
            Ok(translation) => {
                let missing: Vec<Problem> = translation
                    .notes
                    .iter()
                    .filter(|note| note.message.contains("is not in the script"))
                    .map(|note| Problem::new(note.position, "parent is refused", note.message.clone()))
                    .collect();
                if missing.is_empty() {
                    return (tables, Some((translation, kept)));
                }
                missing
            }
            Err(problems) => problems,
        };
        remove(&mut kept, &without_parents, refusals);
    }
}

/// Removes the statements in which the problems are, and the indexes of removed tables.
fn remove(kept: &mut Vec<Statement>, problems: &[Problem], refusals: &mut BTreeMap<&'static str, usize>) {
    let mut first_line = 1;
    let mut removed: BTreeSet<usize> = BTreeSet::new();
    for (at, statement) in kept.iter().enumerate() {
        let lines = statement.sql.matches('\n').count() + 1;
        let range = first_line..first_line + lines;
        first_line = range.end;
        let constructs: BTreeSet<&'static str> = problems
            .iter()
            .filter(|problem| range.contains(&problem.position.line))
            .map(|problem| problem.construct)
            .collect();
        if !constructs.is_empty() {
            removed.insert(at);
        }
        for construct in constructs {
            *refusals.entry(construct).or_default() += 1;
        }
    }
    assert!(!removed.is_empty(), "problems are in no statement: {problems:?}");
    let tables: BTreeSet<String> = removed
        .iter()
        .filter_map(|at| kept.get(*at))
        .filter(|statement| statement.is_table)
        .map(|statement| statement.table.clone())
        .collect();
    let mut at = 0;
    kept.retain(|statement| {
        let keep = !removed.contains(&at) && !tables.contains(&statement.table);
        at += 1;
        keep
    });
}

/// Puts rows that SQLite accepts into both, and what comes back into SQLite again.
fn fill(
    here: &Connection,
    server: &mut Server,
    table: &str,
    counts: &mut Counts,
    fault: &mut impl FnMut(String),
) {
    let all = columns(here, table);
    let types = server_types(server, table, &all);
    let empty = format!("DELETE FROM \"{}\"", table.replace('"', "\"\""));
    for number in 0..ROWS {
        let row: Vec<Value> =
            all.iter().map(|column| samples::candidates(&column.declared, number)).collect();
        here.execute(&format!("DELETE FROM \"{}\"", table.replace('"', "\"\"")), [])
            .expect("a table can be emptied");
        if !insert_sqlite(here, table, &all, &row) {
            counts.refused_rows += 1;
            continue;
        }
        let stored = rows_sqlite(here, table, &all).remove(0);
        server.client.batch_execute(&empty).expect("a table can be emptied");
        let returned = match through_server(server, table, &all, &types, &stored) {
            Ok(returned) => returned,
            Err(error) => {
                fault(format!("{table}: the server refuses {stored:?}: {error}"));
                continue;
            }
        };
        here.execute(&format!("DELETE FROM \"{}\"", table.replace('"', "\"\"")), [])
            .expect("a table can be emptied");
        assert!(insert_sqlite(here, table, &all, &returned), "{table}: SQLite refuses {returned:?}");
        let again = rows_sqlite(here, table, &all).remove(0);
        if again != stored {
            fault(format!("{table}: {stored:?} comes back as {again:?}"));
        }
        counts.rows += 1;
    }
}

#[test]
fn every_keyword_of_the_server_can_be_a_name() {
    let mut server = Server::fresh();
    let words =
        server.client.query("SELECT word FROM pg_get_keywords()", &[]).expect("the server lists them");
    let words: Vec<String> = words.iter().map(|row| row.get(0)).collect();
    assert!(words.len() > 400, "the server has more keywords");
    let script: String = words
        .iter()
        .map(|word| {
            format!("CREATE TABLE \"{word}\"(\"{word}\" TEXT PRIMARY KEY CHECK (\"{word}\" <> ''));\n")
        })
        .collect();
    let translation = translate(&script, &Options::default()).expect("keywords in quotes are names");
    server.run(&translation).expect("the server takes them for names");
}
