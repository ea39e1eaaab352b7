//! The command `bench`: the same work with and without cloudsync, side by side in one run.
//!
//! Only ratios are judged: both halves of a pair run right after one another on the same machine,
//! so its speed and its other load cancel out.

mod pairs;
mod plot;
mod postgres;
mod report;
mod rows;
mod sqlite;

use anyhow::{Context, Result, bail};

use crate::home::recreate;
use crate::{dist, paths, setup};

const RUNS: usize = 5;
const QUICK_RUNS: usize = 3;

/// Measures, prints, and writes the results; an error if anything could not be measured.
pub fn run(quick: bool) -> Result<()> {
    setup::run()?;
    dist::build()?;
    let runs = if quick { QUICK_RUNS } else { RUNS };
    let dir = paths::target().join("bench");
    recreate(&dir)?;

    let mut measured = sqlite::measure(&dir, runs).context("the SQLite half")?;
    measured.extend(postgres::measure(runs).context("the PostgreSQL half")?);
    report::write(&dir, runs, &measured)?;
    println!("\n{}", report::table(&measured));
    println!("written: {}/results.md, results.json, results.svg", dir.display());

    let failed = measured.iter().filter(|one| one.ratios.is_err()).count();
    if failed > 0 {
        bail!("{failed} of {} measurements failed", measured.len());
    }
    Ok(())
}
