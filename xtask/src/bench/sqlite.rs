//! SQLite, through the real shell, its defaults untouched: fsync at each commit, rollback journal.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::pairs::{Measured, Metric, Side, Unit, measure as pairs};
use super::rows::{self, Keys};
use crate::paths;
use crate::sqlite::Sqlite;

const ASCENDING: &[Metric] = &[
    Metric {
        name: "SQLite: INSERT..SELECT, 100,000 rows, UUIDv7 keys",
        target: Some(1.8),
        unit: Unit::Milliseconds,
    },
    Metric {
        name: "SQLite: update of 2 columns of 50,000 rows",
        target: Some(3.0),
        unit: Unit::Milliseconds,
    },
    Metric { name: "SQLite: file size after that", target: None, unit: Unit::Bytes },
    Metric { name: "SQLite: file size, metadata folded", target: Some(1.35), unit: Unit::Bytes },
];
const RANDOM: &[Metric] = &[Metric {
    name: "SQLite: INSERT..SELECT, 100,000 rows, UUIDv4 keys",
    target: Some(3.0),
    unit: Unit::Milliseconds,
}];
/// The way of applications: one prepared statement, executed for each row.
const PREPARED: &[Metric] = &[Metric {
    name: "SQLite: .import of 100,000 rows, UUIDv7 keys",
    target: Some(1.8),
    unit: Unit::Milliseconds,
}];
const SINGLE: &[Metric] =
    &[Metric { name: "SQLite: 2,000 single-row transactions", target: Some(1.3), unit: Unit::Milliseconds }];

const COLUMNS: &str = "(id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL DEFAULT '', body TEXT,
    state TEXT, priority INTEGER, score REAL, done INTEGER, due TEXT)";

/// Milliseconds of the day's clock: SQLite's own, so that the shell's start is not measured.
const MARK: &str = "SELECT 'mark ' || CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER);\n";
const SIZE: &str = "SELECT 'size ' || (page_count * page_size) FROM pragma_page_count, pragma_page_size;\n";

/// All SQLite workloads; files are made in `dir`.
pub fn measure(dir: &Path, runs: usize) -> Result<Vec<Measured>> {
    let bench = Bench { dir: dir.to_path_buf(), source: prepare(dir)?, lines: prepare_lines(dir)? };
    let mut measured = pairs(ASCENDING, runs, |side, run| bench.ascending(side, run));
    measured.extend(pairs(PREPARED, runs, |side, run| bench.prepared(side, run)));
    measured.extend(pairs(RANDOM, runs, |side, run| bench.random(side, run)));
    measured.extend(pairs(SINGLE, runs, |side, run| bench.single(side, run)));
    Ok(measured)
}

/// The rows in a database of their own, so that making keys and parsing values is not measured.
fn prepare(dir: &Path) -> Result<PathBuf> {
    let source = dir.join("source.db");
    let mut script = "PRAGMA synchronous = OFF;\nBEGIN;\n".to_owned();
    for (table, keys) in [("ascending", Keys::Ascending), ("random", Keys::Random)] {
        script.push_str(&format!("CREATE TABLE {table} {COLUMNS};\n"));
        script.push_str(&rows::insert_statements(table, rows::generate(1, rows::BULK, keys)));
    }
    Sqlite::plain(&source).script(&format!("{script}COMMIT;\n")).context("make the source rows")?;
    Ok(source)
}

/// The same rows as text, for the shell's `.import`.
fn prepare_lines(dir: &Path) -> Result<PathBuf> {
    let file = dir.join("ascending.tsv");
    let lines: String = rows::generate(1, rows::BULK, Keys::Ascending).map(|row| row.copy_line()).collect();
    fs::write(&file, lines).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

struct Bench {
    dir: PathBuf,
    source: PathBuf,
    lines: PathBuf,
}

impl Bench {
    fn ascending(&self, side: Side, run: usize) -> Result<Vec<f64>> {
        let device = self.fresh(side, run)?;
        let insert = self.bulk_insert(side, "ascending");
        let update = "UPDATE tasks SET priority = priority + 1, title = title || '!' WHERE rowid % 2 = 0;\n";
        let printed = device.script(&format!("{insert}{MARK}{update}{MARK}{SIZE}"))?;
        let [inserted, updated] = differences(&printed)?[..] else {
            bail!("expected two pairs of marks:\n{printed}")
        };
        let size = reading(&printed, "size ")?;
        // What the triggers left to be done later is part of the cost in space.
        let fold = if side == Side::Synced { "SELECT cloudsync_db_version();\n" } else { "" };
        let folded = reading(&device.script(&format!("{fold}{SIZE}"))?, "size ")?;
        fs::remove_file(device.file()).context("remove a measured database")?;
        Ok(vec![inserted, updated, size, folded])
    }

    fn prepared(&self, side: Side, run: usize) -> Result<Vec<f64>> {
        let device = self.fresh(side, run)?;
        let import = format!(".mode tabs\n.import {} tasks\n", self.lines.display());
        let readings = differences(&device.script(&format!("{}{MARK}{import}{MARK}", create(side)))?)?;
        fs::remove_file(device.file()).context("remove a measured database")?;
        Ok(readings)
    }

    fn random(&self, side: Side, run: usize) -> Result<Vec<f64>> {
        let device = self.fresh(side, run)?;
        let readings = differences(&device.script(&self.bulk_insert(side, "random"))?)?;
        fs::remove_file(device.file()).context("remove a measured database")?;
        Ok(readings)
    }

    fn single(&self, side: Side, run: usize) -> Result<Vec<f64>> {
        let device = self.fresh(side, run)?;
        let inserts = rows::single_inserts("tasks", rows::generate(2, rows::SINGLE, Keys::Ascending));
        let printed = device.script(&format!("{}{MARK}{inserts}{MARK}", create(side)))?;
        fs::remove_file(device.file()).context("remove a measured database")?;
        differences(&printed)
    }

    fn fresh(&self, side: Side, run: usize) -> Result<Sqlite> {
        let file = self.dir.join(format!("{side:?}-{run}.db").to_lowercase());
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
        }
        Ok(match side {
            Side::Plain => Sqlite::plain(&file),
            Side::Synced => Sqlite::with_extension(&file, &paths::sqlite_extension()),
        })
    }

    /// Reading the source once before the clock starts leaves it in the system's cache for both sides.
    fn bulk_insert(&self, side: Side, from: &str) -> String {
        let source = self.source.display();
        let create = create(side);
        let warm = format!("SELECT count(*), total(length(body)) FROM source.{from};\n");
        let insert =
            format!("BEGIN;\nINSERT INTO tasks SELECT * FROM source.{from} ORDER BY rowid;\nCOMMIT;\n");
        format!("ATTACH '{source}' AS source;\n{create}{warm}{MARK}{insert}{MARK}")
    }
}

fn create(side: Side) -> String {
    let init = if side == Side::Synced { "SELECT cloudsync_init('tasks');\n" } else { "" };
    format!("CREATE TABLE tasks {COLUMNS};\n{init}")
}

/// The time between the first mark and the second, the third and the fourth, and so on.
fn differences(printed: &str) -> Result<Vec<f64>> {
    let marks: Result<Vec<f64>> = readings(printed, "mark ").collect();
    Ok(marks?.chunks_exact(2).map(|pair| pair[1] - pair[0]).collect())
}

fn reading(printed: &str, label: &str) -> Result<f64> {
    readings(printed, label).next().with_context(|| format!("no `{label}` in:\n{printed}"))?
}

fn readings(printed: &str, label: &str) -> impl Iterator<Item = Result<f64>> {
    let values = printed.lines().filter_map(move |line| line.strip_prefix(label));
    values.map(|value| value.parse().with_context(|| format!("`{value}` is no number")))
}
