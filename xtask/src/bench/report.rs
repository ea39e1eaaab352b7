//! The results as a table for people, as JSON for programs, and as a plot.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::pairs::{Measured, Ratios, Unit};
use super::plot;

const HEADER: [&str; 7] = ["work", "target", "ratio", "min..max", "plain", "synced", "verdict"];

/// Writes all three files.
pub fn write(dir: &Path, runs: usize, measured: &[Measured]) -> Result<()> {
    let files = [
        ("results.md", markdown(runs, measured)),
        ("results.json", format!("{:#}\n", as_json(runs, measured))),
        ("results.svg", plot::bars(measured)),
    ];
    for (name, content) in files {
        fs::write(dir.join(name), content).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

/// A Markdown table, its columns aligned so that it can be read in a terminal too.
pub fn table(measured: &[Measured]) -> String {
    let mut lines = vec![HEADER.map(str::to_owned)];
    lines.extend(measured.iter().map(cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
    let format_line = |line: &[String; 7]| {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = format_line(&lines[0]);
    text.push_str(&format!("| {} |\n", rule.join(" | ")));
    text.extend(lines[1..].iter().map(format_line));
    text
}

/// How a result is judged; a failure is never silent.
pub fn verdict(measured: &Measured) -> String {
    match (&measured.ratios, measured.metric.target) {
        (Err(message), _) => format!("FAILED: {}", reason(message)),
        (Ok(_), None) => "-".to_owned(),
        (Ok(ratios), Some(target)) if ratios.ratio.median <= target => "met".to_owned(),
        (Ok(_), Some(_)) => "missed".to_owned(),
    }
}

fn cells(measured: &Measured) -> [String; 7] {
    let name = measured.metric.name.to_owned();
    let target = measured.metric.target.map_or("-".to_owned(), |target| format!("<= {target}"));
    let none = || "-".to_owned();
    let verdict = verdict(measured);
    let Ok(Ratios { ratio, plain, synced }) = &measured.ratios else {
        return [name, target, none(), none(), none(), none(), verdict];
    };
    let unit = measured.metric.unit;
    let range = format!("{:.2}..{:.2}", ratio.min, ratio.max);
    [
        name,
        target,
        format!("{:.2}", ratio.median),
        range,
        amount(*plain, unit),
        amount(*synced, unit),
        verdict,
    ]
}

fn amount(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Milliseconds => format!("{value:.0} ms"),
        Unit::Bytes => format!("{:.1} MB", value / 1e6),
    }
}

fn markdown(runs: usize, measured: &[Measured]) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "# Side by side with plain SQLite and PostgreSQL\n\nEach ratio is the median of {runs} interleaved pairs, \
         on {cores} cores; the middle columns are medians.\n\n{}\n![ratios](results.svg)\n",
        table(measured)
    )
}

fn as_json(runs: usize, measured: &[Measured]) -> Value {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let results: Vec<Value> = measured.iter().map(one_as_json).collect();
    json!({ "unix_time": seconds, "runs": runs, "results": results })
}

fn one_as_json(measured: &Measured) -> Value {
    let metric = measured.metric;
    let unit = match metric.unit {
        Unit::Milliseconds => "ms",
        Unit::Bytes => "bytes",
    };
    let mut value =
        json!({ "work": metric.name, "target": metric.target, "unit": unit, "verdict": verdict(measured) });
    match &measured.ratios {
        Ok(Ratios { ratio, plain, synced }) => {
            value["ratio"] = json!({ "median": ratio.median, "min": ratio.min, "max": ratio.max });
            value["plain"] = json!(plain);
            value["synced"] = json!(synced);
        }
        Err(message) => value["error"] = json!(message),
    }
    value
}

/// The line that says why: both shells mark it, among others that repeat the statement.
fn reason(message: &str) -> String {
    let marks = ["ERROR:", "Error:", "panicked at"];
    let marked = message.lines().find(|line| marks.iter().any(|mark| line.contains(mark)));
    let line = marked.or(message.lines().next()).unwrap_or_default();
    line.replace('|', "/")
}
