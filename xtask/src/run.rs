//! Running other programs: what failed is always named, with what it said.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::paths;

/// Lines of a failed program's messages that are worth repeating: a panic begins with its reason,
/// a log ends with it.
const HEAD_LINES: usize = 6;
const TAIL_LINES: usize = 30;

/// A command that runs in the repository.
///
/// What cargo says of this crate to its program is kept from it: some build scripts watch these
/// variables, and would build anew whenever the user changes between `cargo` and `cargo xtask`.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir(paths::root());
    let is_of_this_crate = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_this_crate(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Runs with the terminal's own input and output, so that progress and colours stay visible.
pub fn visibly(command: &mut Command) -> Result<()> {
    let shown = display(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Runs silently and returns what it printed.
pub fn quietly(command: &mut Command) -> Result<String> {
    let shown = display(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start `{shown}`"))?;
    text(&shown, output)
}

/// Runs silently with `input` as its standard input and returns what it printed.
pub fn with_input(command: &mut Command, input: &str) -> Result<String> {
    let shown = display(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{shown}`"))?;
    let mut stdin = child.stdin.take().context("the child has no standard input")?;
    let output = thread::scope(|scope| {
        // A program that stops at its first error closes its input: what it says matters, not the broken pipe.
        scope.spawn(move || stdin.write_all(input.as_bytes()).ok());
        child.wait_with_output()
    });
    text(&shown, output.with_context(|| format!("wait for `{shown}`"))?)
}

/// Whether it runs and succeeds; what it prints is of no interest.
pub fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// The last lines of a long text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn ends(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    if lines.len() <= HEAD_LINES + TAIL_LINES {
        return lines.join("\n");
    }
    format!("{}\n...\n{}", lines[..HEAD_LINES].join("\n"), tail(text))
}

fn text(shown: &str, output: Output) -> Result<String> {
    if output.status.success() {
        return String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed no UTF-8"));
    }
    let said = [output.stdout, output.stderr].map(|bytes| ends(&String::from_utf8_lossy(&bytes)));
    bail!("`{shown}` failed ({}):\n{}", output.status, said.join("\n").trim());
}

fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
