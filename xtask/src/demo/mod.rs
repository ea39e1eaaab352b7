//! The command `demo`: two SQLite devices and a PostgreSQL server agree on real data.

mod compare;
mod csv;
mod dataset;
mod device;
mod dump;
pub mod http;
mod lists;
mod records;
mod story;
mod tables;

use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::home::recreate;
use crate::psql::Psql;
use crate::server::{Options, Server};
use crate::{dist, paths, setup};
use compare::Replicas;
use device::Device;
use tables::Table;

/// Tells the story; an error if the three do not end equal, or not as the rules say.
pub fn run() -> Result<()> {
    setup::run()?;
    setup::for_npm()?;
    dist::build()?;
    let dir = paths::target().join("demo");
    recreate(&dir.join("devices"))?;

    step("Real data: the tables of the npm package vega-datasets");
    let tables = dataset::tables(&dataset::fetch(&dir)?)?;
    for table in &tables {
        println!("  {:<13} {:>6} rows  {}", table.name, table.rows.len(), table.described());
    }

    step("A private PostgreSQL server with the same tables, synced, and empty");
    let server = Server::start(&Options::throwaway("pg-demo"))?;
    let psql = server.psql();
    psql.script(&tables.iter().map(Table::for_postgres).collect::<String>())?;
    println!("  {}", server.url());

    let a = Device::new("A", &dir.join("devices/a.db"), &server.url());
    let b = Device::new("B", &dir.join("devices/b.db"), &server.url());
    first_sync(&tables, &a, &b, &psql)?;

    let replicas = Replicas { a: &a, b: &b, server: &psql };
    step("Are all three the same?");
    let mut differences = compare::print(&tables, &replicas)?;

    step("Everyone offline: each edits, some the same rows");
    story::edit(&replicas)?;
    step("Online again: A, B, A, B sync");
    for device in [&a, &b, &a, &b] {
        sync(device)?;
    }
    step("Are all three the same again?");
    differences += compare::print(&tables, &replicas)?;
    step("What became of the edits");
    differences += story::print_outcomes(&replicas)?;

    println!("\nTo look at: sqlite3 {} (and b.db beside it)", a.file().display());
    if differences > 0 {
        bail!("{differences} difference(s), shown above");
    }
    println!("All agree.");
    Ok(())
}

fn first_sync(tables: &[Table], a: &Device, b: &Device, psql: &Psql) -> Result<()> {
    step("Device A creates the tables, calls cloudsync_init, and loads everything, offline");
    a.create(tables)?;
    load(a, tables)?;
    step("Device A syncs");
    sync(a)?;
    println!("  the server, asked by psql:");
    let counts = tables
        .iter()
        .map(|table| format!("SELECT '{0}' AS \"table\", count(*) AS rows FROM {0}", table.name));
    let shown = psql.show(&counts.collect::<Vec<_>>().join(" UNION ALL "))?;
    shown.lines().for_each(|line| println!("    {line}"));
    step("Device B, a fresh file: tables, cloudsync_init, and one sync");
    b.create(tables)?;
    sync(b)
}

fn load(device: &Device, tables: &[Table]) -> Result<()> {
    let total = tables.iter().map(|table| table.rows.len() as u64).sum();
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("  {bar:40} {pos}/{len} rows {msg}") {
        bar.set_style(style);
    }
    for table in tables {
        bar.set_message(table.name);
        device.run(&table.inserts())?;
        bar.inc(table.rows.len() as u64);
    }
    bar.finish_with_message("loaded");
    println!("  {total} rows loaded");
    Ok(())
}

fn sync(device: &Device) -> Result<()> {
    let spinner = ProgressBar::new_spinner().with_message(format!("{} syncs", device.name));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let synced = device.sync();
    spinner.finish_and_clear();
    let synced = synced?;
    println!("  {}: {:.2} s  {}", device.name, synced.seconds, synced.report);
    Ok(())
}

fn step(title: &str) {
    println!("\n== {title}");
}
