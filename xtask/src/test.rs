//! The command `test`: everything that must hold, in steps that are named and timed.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::dist::{postgres_features, with_pg_config};
use crate::server::{Options, Server};
use crate::{dist, paths, run, setup, supabase, tidy};

struct Step {
    name: &'static str,
    action: fn() -> Result<()>,
}

/// Cheap steps first: what fails soon is known soon.
const STEPS: &[Step] = &[
    Step { name: "set-up", action: setup::run },
    Step { name: "format", action: || cargo(&["fmt", "--all", "--check"]) },
    Step { name: "tidy", action: tidy::check },
    Step { name: "lint", action: || lint(&[]) },
    Step { name: "lint sqlite_cloudsync", action: || lint(&["--package", "sqlite_cloudsync"]) },
    Step { name: "lint sqlite_cloudsync, bundled", action: || lint(SQLITE_BUNDLED) },
    Step { name: "lint pg_cloudsync", action: lint_postgres },
    Step { name: "lint cloudsync_gateway", action: || lint(&["--package", "cloudsync_gateway"]) },
    Step { name: "lint of the tests", action: || lint(SERVER_TESTS) },
    Step { name: "test", action: || cargo(&["test"]) },
    Step { name: "test sqlite_cloudsync, bundled", action: || test(SQLITE_BUNDLED) },
    Step { name: "dist", action: dist::build },
    Step { name: "test cloudsync_pg_protocol", action: protocol },
    Step { name: "regression of pg_cloudsync", action: regression },
    Step { name: "test cloudsync_ddl_corpus", action: corpus },
    Step { name: "test cloudsync_conformance", action: conformance },
    Step { name: "test cloudsync_gateway", action: gateway },
    Step { name: "supabase-js", action: supabase::client },
    Step { name: "supabase advisors", action: supabase::advisors },
];

/// SQLite linked in: the loadable form has no SQLite of its own to test with.
const SQLITE_BUNDLED: &[&str] =
    &["--package", "sqlite_cloudsync", "--no-default-features", "--features", "bundled"];

/// What is tested against a running server.
const SERVER_TESTS: &[&str] = &[
    "--package",
    "cloudsync_conformance",
    "--package",
    "cloudsync_pg_protocol",
    "--package",
    "cloudsync_ddl_corpus",
];

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    NotRun,
}

/// Runs the steps up to the first that fails, and says at the end how each ended. Words choose the steps
/// whose names contain one of them; none choose all.
pub fn run(only: &[String]) -> Result<()> {
    let is_chosen =
        |step: &&Step| only.is_empty() || only.iter().any(|word| step.name.contains(word.as_str()));
    let chosen: Vec<&Step> = STEPS.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("no step is named so; the steps are: {}", names.join("; "));
    }
    let started = Instant::now();
    let mut outcomes = Vec::new();
    let mut failure = None;
    for step in chosen {
        let outcome = match &failure {
            Some(_) => Outcome::NotRun,
            None => perform(step, &mut failure),
        };
        outcomes.push((step.name, outcome));
    }
    println!("\n{:-<60}", "");
    for (name, outcome) in &outcomes {
        println!("{name:<36} {}", describe(outcome));
    }
    println!("{:<36} {:>10.1} s", "total", started.elapsed().as_secs_f64());
    failure.map_or(Ok(()), Err)
}

fn perform(step: &Step, failure: &mut Option<anyhow::Error>) -> Outcome {
    println!("\n==> {}", step.name);
    let started = Instant::now();
    let result = (step.action)();
    let took = started.elapsed();
    println!("<== {}: {:.1} s", step.name, took.as_secs_f64());
    match result {
        Ok(()) => Outcome::Passed(took),
        Err(error) => {
            *failure = Some(error.context(format!("step `{}`", step.name)));
            Outcome::Failed(took)
        }
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed(took) => format!("{:>10.1} s  passed", took.as_secs_f64()),
        Outcome::Failed(took) => format!("{:>10.1} s  FAILED", took.as_secs_f64()),
        Outcome::NotRun => format!("{:>10}    not run", "-"),
    }
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run::visibly(run::command("cargo").args(arguments))
}

fn test(crate_and_features: &[&str]) -> Result<()> {
    run::visibly(run::command("cargo").arg("test").args(crate_and_features))
}

fn lint(crate_and_features: &[&str]) -> Result<()> {
    clippy(run::command("cargo").arg("clippy").args(crate_and_features).arg("--all-targets"))
}

/// Not its test targets: a test program of a PostgreSQL extension has no server to be linked with.
fn lint_postgres() -> Result<()> {
    let features = postgres_features(&setup::pg_major()?);
    clippy(with_pg_config(&mut run::command("cargo")).arg("clippy").args(features))
}

fn clippy(command: &mut Command) -> Result<()> {
    run::visibly(command.args(["--", "--deny", "warnings"]))
}

/// The server's side of the protocol, and its promises under concurrency.
fn protocol() -> Result<()> {
    let server = test_server()?;
    let mut command = run::command("cargo");
    command.args(["test", "--package", "cloudsync_pg_protocol"]).env("CLOUDSYNC_PG_URL", server.url());
    run::visibly(&mut command)
}

/// Schemas that others wrote, translated, created and filled on both engines.
fn corpus() -> Result<()> {
    if run::visibly(run::command("sh").arg("tests/ddl_corpus/fetch.sh")).is_err() {
        println!(
            "not all schemas of others could be had: those that could, and the committed ones, are tested"
        );
    }
    let server = test_server()?;
    let mut command = run::command("cargo");
    command.args(["test", "--package", "cloudsync_ddl_corpus", "--", "--nocapture"]);
    run::visibly(command.env("CLOUDSYNC_PG_URL", server.url()))
}

/// SQL typed into psql, its output compared with what is expected.
fn regression() -> Result<()> {
    let server = test_server()?;
    let url = server.url();
    let address = url.rsplit_once('/').map_or(url.as_str(), |(address, _)| address);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = run::command("sh");
    command.arg("tests/pg_regress/run.sh").arg(address);
    command.env("PATH", format!("{}:{path}", server.bin().display()));
    run::visibly(&mut command)
}

/// The same scenarios on the engines that users get: the built SQLite extension and a real server.
fn conformance() -> Result<()> {
    let extension = paths::sqlite_extension();
    if !extension.is_file() {
        bail!("{} is missing: did `dist` run?", extension.display());
    }
    run::visibly(run::command("cargo").args(["build", "--release", "--package", "cloudsync_gateway"]))?;
    let server = test_server()?;
    let mut command = run::command("cargo");
    command.args(["test", "--package", "cloudsync_conformance"]);
    command.env("CLOUDSYNC_SQLITE_EXTENSION", extension);
    command.env("CLOUDSYNC_GATEWAY", paths::target().join("release/cloudsync_gateway"));
    command.env("CLOUDSYNC_PG_URL", server.url()).env("CLOUDSYNC_PG_BIN", server.bin());
    run::visibly(&mut command)
}

/// PostgREST's contract, line by line, on a real server.
fn gateway() -> Result<()> {
    let server = test_server()?;
    let mut command = run::command("cargo");
    command.args(["test", "--package", "cloudsync_gateway"]).env("CLOUDSYNC_PG_URL", server.url());
    run::visibly(&mut command)
}

fn test_server() -> Result<Server> {
    Server::start(&Options::throwaway("pg-test")).context("the server for the tests")
}
