//! A bar for each ratio, with a line for plain and a mark for the target, as SVG without any library.

use std::fmt::Write;

use super::pairs::{Measured, Ratios};

const ROW: f64 = 34.0;
const TOP: f64 = 46.0;
const LABELS: f64 = 370.0;
const BARS: f64 = 430.0;
const RIGHT: f64 = 90.0;

/// The whole picture. Bars grow from zero, so lengths compare as the ratios do.
pub fn bars(measured: &[Measured]) -> String {
    let reach = |one: &Measured| {
        let ratio = one.ratios.as_ref().map_or(1.0, |ratios| ratios.ratio.max);
        ratio.max(one.metric.target.unwrap_or(1.0))
    };
    let scale = BARS / measured.iter().map(reach).fold(1.0, f64::max);
    let (width, height) = (LABELS + BARS + RIGHT, TOP + ROW * measured.len() as f64 + 16.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\">Cost with cloudsync, plain = 1 (orange line: target; thin line: least to greatest)</text>\n"
    );
    for (index, one) in measured.iter().enumerate() {
        draw(&mut svg, one, TOP + ROW * index as f64, scale);
    }
    let x = LABELS + scale;
    line(&mut svg, (x, TOP - 6.0), (x, height - 10.0), "#555", "stroke-dasharray=\"3 3\"");
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, one: &Measured, y: f64, scale: f64) {
    let middle = y + ROW / 2.0;
    text(svg, (LABELS - 10.0, middle + 4.0), "end", one.metric.name);
    match &one.ratios {
        Err(_) => text(svg, (LABELS + 6.0, middle + 4.0), "start", "FAILED"),
        Ok(Ratios { ratio, .. }) => {
            let missed = one.metric.target.is_some_and(|target| ratio.median > target);
            let fill = if missed { "#c0504d" } else { "#4f81bd" };
            let (top, high, wide) = (y + 6.0, ROW - 12.0, ratio.median * scale);
            // Writing to a string cannot fail.
            writeln!(
                svg,
                "<rect x=\"{LABELS}\" y=\"{top}\" width=\"{wide:.1}\" height=\"{high}\" fill=\"{fill}\"/>"
            )
            .ok();
            let (from, to) = (LABELS + ratio.min * scale, LABELS + ratio.max * scale);
            line(svg, (from, middle), (to, middle), "#222", "");
            text(svg, (to.max(LABELS + wide) + 6.0, middle + 4.0), "start", &format!("{:.2}", ratio.median));
        }
    }
    if let Some(target) = one.metric.target {
        let x = LABELS + target * scale;
        line(svg, (x, y + 2.0), (x, y + ROW - 2.0), "#f39c12", "stroke-width=\"2.5\"");
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, more: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let ends = format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
    writeln!(svg, "<line {ends} stroke=\"{colour}\" {more}/>").ok();
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>").ok();
}
