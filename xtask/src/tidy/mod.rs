//! What neither the compiler nor clippy checks: file sizes, where `unsafe` may stand, a first
//! paragraph in each file, and what the pure crate may depend on.

mod words;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{paths, run};

/// Longer files are not read in one sitting.
const MAX_LINES: usize = 600;

/// The only files that may hold unsafe code: they fence the foreign interfaces. A name that ends
/// with a slash stands for the whole directory.
const UNSAFE_ALLOWED: &[&str] = &[
    "pg_cloudsync/src/ffi/",
    "sqlite_cloudsync/src/entry.rs",
    "sqlite_cloudsync/src/ffi.rs",
    // Loading an extension runs foreign code.
    "tests/conformance/src/device.rs",
];

/// What would tie the rules to an engine, to I/O, or to chance.
const FORBIDDEN_IN_SHARED: &[&str] = &["pgrx", "rusqlite", "tokio", "rand"];

/// All checks; every finding is printed before the first error is returned.
pub fn check() -> Result<()> {
    let mut findings = dependencies_of_shared()?;
    for file in tracked_rust_files()? {
        let text = fs::read_to_string(paths::root().join(&file)).with_context(|| format!("read {file}"))?;
        findings.extend(check_file(&file, &text));
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} finding(s), listed above", findings.len());
    }
    Ok(())
}

/// A file that is deleted but not yet committed is still listed by git, and of no interest.
fn tracked_rust_files() -> Result<Vec<String>> {
    let listed = run::quietly(run::command("git").args(["ls-files", "-z", "--", "*.rs"]))?;
    let files = listed.split('\0').filter(|file| !file.is_empty() && paths::root().join(file).is_file());
    Ok(files.map(str::to_owned).collect())
}

fn check_file(file: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        findings.push(format!("{file}: {lines} lines, the limit is {MAX_LINES}: split it by idea"));
    }
    if !text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//!")) {
        findings.push(format!("{file}:1: the first line says what the file is for, with `//!`"));
    }
    if !may_be_unsafe(file) {
        // It is a keyword, so as a word of code it can mean nothing else.
        let places = words::of_code(text).into_iter().filter(|(_, word)| word == "unsafe");
        findings.extend(
            places.map(|(line, _)| {
                format!("{file}:{line}: unsafe code belongs into the files that tidy lists")
            }),
        );
    }
    findings
}

fn may_be_unsafe(file: &str) -> bool {
    UNSAFE_ALLOWED
        .iter()
        .any(|allowed| *allowed == file || (allowed.ends_with('/') && file.starts_with(allowed)))
}

/// Dependencies of the tests do not count: they are in no product.
fn dependencies_of_shared() -> Result<Vec<String>> {
    let mut command = run::command("cargo");
    command.args(["tree", "--quiet", "--package", "cloudsync_shared", "--all-features"]);
    let tree =
        run::quietly(command.args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}"]))?;
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let forbidden = names.filter(|name| FORBIDDEN_IN_SHARED.contains(name));
    let mut findings: Vec<_> = forbidden.map(|name| format!("shared: must not depend on {name}")).collect();
    findings.dedup();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_told_from_words() {
        let count = |code: &str| check_file("shared/src/a.rs", &format!("//! It is.\n{code}\n")).len();
        for code in
            ["unsafe { f() }", "pub unsafe fn f() {}", "#[unsafe(no_mangle)]", "let x = unsafe{ f() };"]
        {
            assert_eq!(count(code), 1, "{code}");
        }
        for code in
            ["// unsafe { is a comment", "#![deny(unsafe_code)]", "f(\"unsafe {\");", "fn is_unsafe() {}"]
        {
            assert_eq!(count(code), 0, "{code}");
        }
    }

    #[test]
    fn a_file_is_judged_by_all_rules() {
        let long = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(check_file("shared/src/a.rs", &long).len(), 2);
        assert_eq!(check_file("shared/src/a.rs", "//! It is.\nunsafe fn f() {}\n").len(), 1);
        assert!(check_file("pg_cloudsync/src/ffi/a.rs", "//! It is.\nunsafe fn f() {}\n").is_empty());
        assert!(check_file("sqlite_cloudsync/src/entry.rs", "//! It is.\nunsafe fn f() {}\n").is_empty());
        assert!(!check_file("sqlite_cloudsync/src/entry.rs.rs", "//! It is.\nunsafe fn f() {}\n").is_empty());
    }
}
