//! Pairs of readings, plain and with the extension, and what they say.

use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// Which half of a pair is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Without the extension.
    Plain,
    /// With the extension, the table being synced.
    Synced,
}

/// What a reading counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds of the work.
    Milliseconds,
    /// Bytes of the file.
    Bytes,
}

/// One line of the results.
pub struct Metric {
    /// What is done.
    pub name: &'static str,
    /// The largest ratio that is good enough, where one was agreed on.
    pub target: Option<f64>,
    /// What the readings count.
    pub unit: Unit,
}

/// A metric with its readings, or the reason why there are none.
pub struct Measured {
    /// What was measured.
    pub metric: &'static Metric,
    /// The ratios, or what failed.
    pub ratios: Result<Ratios, String>,
}

/// What the pairs of one metric say.
pub struct Ratios {
    /// The median, least and greatest of synced divided by plain.
    pub ratio: Spread,
    /// The median reading of the plain half.
    pub plain: f64,
    /// The median reading of the other half.
    pub synced: f64,
}

/// The middle and the ends of a few numbers.
pub struct Spread {
    /// Half of the numbers are below.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// Runs a workload `runs` times on both sides and returns one result for each of its metrics, in
/// the order in which `work` returns its readings.
pub fn measure(
    metrics: &'static [Metric],
    runs: usize,
    mut work: impl FnMut(Side, usize) -> Result<Vec<f64>>,
) -> Vec<Measured> {
    let bar = progress(metrics, runs);
    let pairs: Result<Vec<_>> = (0..runs).map(|run| pair(run, &mut work).inspect(|_| bar.inc(1))).collect();
    bar.finish();
    let pairs = pairs.map_err(|error| format!("{error:#}"));
    if let Err(message) = &pairs {
        eprintln!("failed: {}: {message}", metrics[0].name);
    }
    let of_metric = |(index, metric)| Measured {
        metric,
        ratios: pairs.as_ref().map_err(String::clone).and_then(|pairs| summarise(pairs, index)),
    };
    metrics.iter().enumerate().map(of_metric).collect()
}

/// The readings of one run: plain, synced.
type Pair = (Vec<f64>, Vec<f64>);

/// The order alternates, so that neither side always finds the warmer machine.
fn pair(run: usize, work: &mut impl FnMut(Side, usize) -> Result<Vec<f64>>) -> Result<Pair> {
    if run.is_multiple_of(2) {
        let plain = work(Side::Plain, run)?;
        return Ok((plain, work(Side::Synced, run)?));
    }
    let synced = work(Side::Synced, run)?;
    Ok((work(Side::Plain, run)?, synced))
}

fn summarise(pairs: &[Pair], index: usize) -> Result<Ratios, String> {
    let readings = pairs.iter().map(|(plain, synced)| Some((*plain.get(index)?, *synced.get(index)?)));
    let readings: Option<Vec<(f64, f64)>> = readings.collect();
    let readings = readings.ok_or("a run returned too few readings")?;
    if readings.iter().any(|(plain, synced)| *plain <= 0.0 || *synced <= 0.0) {
        return Err("a reading is zero: too short to be measured".to_owned());
    }
    Ok(Ratios {
        ratio: spread(readings.iter().map(|(plain, synced)| synced / plain).collect()),
        plain: spread(readings.iter().map(|(plain, _)| *plain).collect()).median,
        synced: spread(readings.iter().map(|(_, synced)| *synced).collect()).median,
    })
}

fn spread(mut numbers: Vec<f64>) -> Spread {
    numbers.sort_by(f64::total_cmp);
    let at = |index: usize| numbers.get(index).copied().unwrap_or(f64::NAN);
    let middle = numbers.len() / 2;
    let median =
        if numbers.len() % 2 == 1 { at(middle) } else { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 };
    Spread { median, min: at(0), max: at(numbers.len().wrapping_sub(1)) }
}

fn progress(metrics: &[Metric], runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {elapsed:>4} {msg}") {
        bar.set_style(style);
    }
    bar.set_message(metrics[0].name);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(spread(vec![4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert!(spread(vec![]).median.is_nan());
    }

    #[test]
    fn a_ratio_is_taken_within_each_pair() {
        let pairs = [(vec![1.0], vec![2.0]), (vec![10.0], vec![30.0]), (vec![1.0], vec![2.5])];
        let ratios = summarise(&pairs, 0).expect("the pairs are complete");
        assert_eq!((ratios.ratio.median, ratios.ratio.min, ratios.ratio.max), (2.5, 2.0, 3.0));
        assert!(summarise(&pairs, 1).is_err());
    }
}
