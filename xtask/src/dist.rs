//! Builds the two extensions and puts what a user installs into `dist/`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{paths, run, setup};

/// The command `dist`.
pub fn run() -> Result<()> {
    setup::run()?;
    build()?;
    let major = setup::pg_major()?;
    println!("{}", paths::sqlite_extension().display());
    println!("{}", paths::postgres_extension(&major).display());
    Ok(())
}

/// Builds both, in two calls of cargo: in one, each would get the other's features of shared dependencies.
pub fn build() -> Result<()> {
    build_sqlite()?;
    build_postgres(&setup::pg_major()?)
}

fn build_sqlite() -> Result<()> {
    run::visibly(run::command("cargo").args(["build", "--release", "--package", "sqlite_cloudsync"]))?;
    place("libsqlite_cloudsync.so", &paths::sqlite_extension())
}

fn build_postgres(major: &str) -> Result<()> {
    run::visibly(
        with_pg_config(&mut run::command("cargo"))
            .args(["build", "--release"])
            .args(postgres_features(major)),
    )?;
    let dist = paths::postgres_extension(major);
    crate::home::recreate(&dist)?;
    place("libpg_cloudsync.so", &dist.join("cloudsync.so"))?;
    let control = paths::root().join("pg_cloudsync/cloudsync.control");
    copy(&control, &dist.join("cloudsync.control"))?;
    copy_sql(&dist)
}

/// The arguments that choose the PostgreSQL crate, built for one major version.
pub fn postgres_features(major: &str) -> Vec<String> {
    let feature = format!("pg{major}");
    ["--package", "pg_cloudsync", "--no-default-features", "--features", &feature].map(str::to_owned).to_vec()
}

/// Tells pgrx which PostgreSQL to build for, without any set-up of its own.
pub fn with_pg_config(command: &mut std::process::Command) -> &mut std::process::Command {
    command.env("PGRX_PG_CONFIG_PATH", setup::pg_config())
}

fn copy_sql(dist: &Path) -> Result<()> {
    let dir = paths::root().join("sql/postgres");
    let mut count = 0;
    for entry in fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if text.starts_with("cloudsync--") && text.ends_with(".sql") {
            copy(&dir.join(&name), &dist.join(&name))?;
            count += 1;
        }
    }
    if count == 0 {
        bail!("{} has no cloudsync--*.sql", dir.display());
    }
    Ok(())
}

fn place(library: &str, to: &Path) -> Result<()> {
    fs::create_dir_all(paths::dist()).context("create dist/")?;
    copy(&paths::target().join("release").join(library), to)
}

/// Replaces `to` as a whole: a process that has the old library mapped keeps its own file.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let partial = to.with_extension("partial");
    fs::copy(from, &partial).with_context(|| format!("copy {}", from.display()))?;
    fs::rename(&partial, to).with_context(|| format!("write {}", to.display()))
}
