//! The project's commands: everything that builds, tests, measures or shows cloudsync.

mod bench;
mod cleanup;
mod demo;
mod dist;
mod foreground;
mod gateway;
mod generate;
mod home;
mod paths;
mod pgtree;
mod psql;
mod run;
mod server;
mod setup;
mod sqlite;
mod supabase;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show two SQLite devices and a PostgreSQL server agreeing on real data
    Demo {
        /// Two users' three devices instead, over HTTP and under row-level security
        #[arg(long)]
        http: bool,
    },
    /// Run the whole test suite, set-up included
    Test {
        /// Only the steps whose names contain one of these
        only: Vec<String>,
    },
    /// Check what neither the compiler nor clippy does (part of `test`)
    Tidy,
    /// Build both extensions into dist/
    Dist,
    /// Run a private PostgreSQL server with the extension installed, until Ctrl-C
    Pg {
        /// TCP port on 127.0.0.1
        #[arg(long)]
        port: u16,
        /// Data directory, kept across runs [default: target/pg-PORT]
        #[arg(long)]
        data: Option<PathBuf>,
    },
    /// Compare with plain SQLite and plain PostgreSQL, as ratios
    Bench {
        /// Three runs instead of five
        #[arg(long)]
        quick: bool,
    },
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let outcome = cleanup::install().and_then(|()| match command {
        Command::Demo { http: false } => demo::run(),
        Command::Demo { http: true } => demo::http::run(),
        Command::Test { only } => test::run(&only),
        Command::Tidy => tidy::check(),
        Command::Dist => dist::run(),
        Command::Pg { port, data } => foreground::run(port, data),
        Command::Bench { quick } => bench::run(quick),
    });
    cleanup::finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
