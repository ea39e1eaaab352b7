//! PostgreSQL, through psql and its own clock, on a private server.

use anyhow::{Context, Result, bail};

use super::pairs::{Measured, Metric, Side, Unit, measure as pairs};
use super::rows::{self, Keys};
use crate::psql::Psql;
use crate::server::{Options, Server};

const BULK: &[Metric] = &[
    Metric { name: "PostgreSQL: INSERT..SELECT, 100,000 rows", target: Some(2.5), unit: Unit::Milliseconds },
    Metric { name: "PostgreSQL: update of 2 columns of 50,000 rows", target: None, unit: Unit::Milliseconds },
    Metric { name: "PostgreSQL: size of tables and indexes after that", target: None, unit: Unit::Bytes },
];
const SINGLE: &[Metric] =
    &[Metric { name: "PostgreSQL: 2,000 single-row transactions", target: None, unit: Unit::Milliseconds }];

const COLUMNS: &str = "(id uuid PRIMARY KEY, title text NOT NULL DEFAULT '', body text, state text,
    priority integer, score double precision, done boolean, due timestamptz)";

/// What runs beside a measurement at its own times would hit one half of a pair and not the other.
const QUIET: &str = "ALTER SYSTEM SET autovacuum = off;
ALTER SYSTEM SET max_wal_size = '8GB';
ALTER SYSTEM SET checkpoint_timeout = '1h';
SELECT pg_reload_conf();\n";

/// All PostgreSQL workloads. Only single rows wait for the disk: there the wait is what they cost.
pub fn measure(runs: usize) -> Result<Vec<Measured>> {
    let server = start(false)?;
    let psql = server.psql();
    prepare(&psql)?;
    let mut measured = pairs(BULK, runs, |side, run| bulk(&psql, side, run));
    drop(server);

    let server = start(true)?;
    let psql = server.psql();
    measured.extend(pairs(SINGLE, runs, |side, run| single(&psql, side, run)));
    Ok(measured)
}

fn start(durable: bool) -> Result<Server> {
    let server = Server::start(&Options { durable, ..Options::throwaway("pg-bench") })?;
    server.psql().script(QUIET).context("silence the server's background work")?;
    Ok(server)
}

fn prepare(psql: &Psql) -> Result<()> {
    let rows: String = rows::generate(1, rows::BULK, Keys::Ascending).map(|row| row.copy_line()).collect();
    let script = format!(
        "CREATE TABLE source {COLUMNS};\nCOPY source FROM STDIN;\n{rows}\\.\nVACUUM ANALYZE source;\n"
    );
    psql.script(&script).map(drop).context("make the source rows")
}

fn bulk(psql: &Psql, side: Side, run: usize) -> Result<Vec<f64>> {
    let table = table(side, run);
    let setup = create(side, &table);
    let insert = format!("INSERT INTO {table} SELECT * FROM source;\n");
    let update = format!(
        "UPDATE {table} SET priority = t.priority + 1, title = t.title || '!'
         FROM (SELECT * FROM source ORDER BY id LIMIT {}) t WHERE t.id = {table}.id;\n",
        rows::BULK / 2
    );
    let size_before = database_size(psql)?;
    let printed = psql.script(&format!("{setup}CHECKPOINT;\n\\timing on\n{insert}{update}"))?;
    let size = database_size(psql)? - size_before;
    let mut readings = times(&printed)?;
    if readings.len() != 2 {
        bail!("expected two times:\n{printed}");
    }
    readings.push(size);
    Ok(readings)
}

fn single(psql: &Psql, side: Side, run: usize) -> Result<Vec<f64>> {
    let table = table(side, run);
    let inserts = rows::single_inserts(&table, rows::generate(2, rows::SINGLE, Keys::Ascending));
    let printed = psql.script(&format!("{}CHECKPOINT;\n\\timing on\n{inserts}", create(side, &table)))?;
    let readings = times(&printed)?;
    if readings.len() != rows::SINGLE {
        bail!("expected {} times, not {}", rows::SINGLE, readings.len());
    }
    Ok(vec![readings.iter().sum()])
}

/// A table of its own for each run: nothing is asked of the extension but what is measured.
fn table(side: Side, run: usize) -> String {
    format!("public.tasks_{side:?}_{run}").to_lowercase()
}

fn create(side: Side, table: &str) -> String {
    let init =
        if side == Side::Synced { format!("SELECT cloudsync_init('{table}');\n") } else { String::new() };
    format!("CREATE TABLE {table} {COLUMNS};\n{init}")
}

/// All relations: the extension's own tables count too, whatever they are called.
fn database_size(psql: &Psql) -> Result<f64> {
    let sql = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relkind IN ('r', 'm')";
    let answer = psql.query(sql)?;
    answer.trim().parse().with_context(|| format!("`{answer}` is no size"))
}

/// The milliseconds that psql reports after each statement, as in `Time: 1234.567 ms (00:01.235)`.
fn times(printed: &str) -> Result<Vec<f64>> {
    let reports = printed.lines().filter_map(|line| line.strip_prefix("Time: "));
    let parse = |report: &str| {
        let number = report.split_whitespace().next().unwrap_or_default();
        number.parse().with_context(|| format!("`{report}` is no time"))
    };
    reports.map(parse).collect()
}
