//! Are the three replicas equal? Every cell of every table, not just the counts.

use std::collections::BTreeSet;

use anyhow::Result;

use super::device::Device;
use super::dump::Dump;
use super::tables::Table;
use crate::psql::Psql;

/// Differing rows that are shown of each table and replica.
const SHOWN: usize = 3;

/// Everyone who holds the tables.
pub struct Replicas<'a> {
    /// The first device.
    pub a: &'a Device,
    /// The second device.
    pub b: &'a Device,
    /// The server.
    pub server: &'a Psql,
}

/// Prints a line for each table and the first differing rows; returns how many tables differ.
pub fn print(tables: &[Table], replicas: &Replicas) -> Result<usize> {
    println!("  {:<13} {:>6}  {:<9} {:<9} {:<9}", "table", "rows", "A", "B", "server");
    let mut differing = 0;
    for table in tables {
        let a = Dump::of_device(replicas.a, table)?;
        let b = Dump::of_device(replicas.b, table)?;
        let server = Dump::of_server(replicas.server, table)?;
        let same = a == server && b == server;
        let verdict = if same { "same" } else { "DIFFERENT" };
        let rows = server.lines.len();
        println!(
            "  {:<13} {rows:>6}  {:<9} {:<9} {:<9} {verdict}",
            table.name,
            a.hash(),
            b.hash(),
            server.hash()
        );
        if !same {
            differing += 1;
            print_difference("A", &a, &server);
            print_difference("B", &b, &server);
        }
    }
    Ok(differing)
}

fn print_difference(name: &str, device: &Dump, server: &Dump) {
    let [held, wanted] = [device, server].map(|dump| dump.lines.iter().collect::<BTreeSet<_>>());
    print_lines(&format!("only on {name}"), held.difference(&wanted).copied());
    print_lines(&format!("on the server, not on {name}"), wanted.difference(&held).copied());
}

fn print_lines<'a>(title: &str, lines: impl Iterator<Item = &'a String>) {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        return;
    }
    println!("    {title}: {} rows", lines.len());
    for line in lines.iter().take(SHOWN) {
        println!("      {line}");
    }
}
