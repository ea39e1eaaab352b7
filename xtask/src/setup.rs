//! Finds what the other commands need, and installs from Debian what is missing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run;

/// The major version of PostgreSQL that is used unless `PG_CONFIG` names another one.
const DEFAULT_MAJOR: &str = "15";

/// Read while a server package is installed: it keeps Debian from creating a cluster of its own,
/// which would start a second server and take port 5432. Removed as soon as the packages are there.
const NO_MAIN_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/cloudsync.conf";

/// Something that must be on the machine, and the Debian package that brings it.
struct Need {
    package: &'static str,
    found: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need { package: "build-essential", found: || on_path("cc") && on_path("make") },
    Need { package: "pkg-config", found: || on_path("pkg-config") },
    Need { package: "libclang-dev", found: has_libclang },
    Need { package: "clang", found: || on_path("clang") },
    Need { package: "sqlite3", found: || on_path("sqlite3") },
    // Debian's own: others are often built without loading of extensions.
    Need { package: "python3", found: || Path::new("/usr/bin/python3").exists() },
    Need { package: "postgresql-15", found: || beside_pg_config("postgres") },
    Need { package: "postgresql-15", found: || on_path("psql") || beside_pg_config("psql") },
    Need { package: "postgresql-server-dev-15", found: has_server_headers },
];

/// The client that fetches packages of JavaScript; Debian's `npm` brings node with it.
const NEEDS_OF_NPM: &[Need] = &[Need { package: "npm", found: || on_path("npm") }];

/// Everything that building and testing need.
pub fn run() -> Result<()> {
    install_missing(NEEDS)
}

/// Everything that fetching packages of JavaScript needs: the demonstration's data, Supabase's programs.
pub fn for_npm() -> Result<()> {
    install_missing(NEEDS_OF_NPM)
}

/// The `pg_config` of the PostgreSQL that is built for and run.
pub fn pg_config() -> PathBuf {
    let debian = format!("/usr/lib/postgresql/{DEFAULT_MAJOR}/bin/pg_config");
    env::var_os("PG_CONFIG").map_or_else(|| debian.into(), PathBuf::from)
}

/// Asks `pg_config` for one of its directories, or its version.
pub fn ask_pg_config(what: &str) -> Result<String> {
    let answer = run::quietly(run::command(pg_config()).arg(what))?;
    Ok(answer.trim().to_owned())
}

/// The major version of PostgreSQL, such as `15`.
pub fn pg_major() -> Result<String> {
    let version = ask_pg_config("--version")?;
    let digits: String =
        version.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    if digits.is_empty() {
        bail!("pg_config reports the version `{version}`, which has no number");
    }
    Ok(digits)
}

/// Whether a program can be started by its name.
pub fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Whether we are root: only then packages can be installed, and only then PostgreSQL refuses to run.
pub fn is_root() -> bool {
    run::quietly(run::command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn install_missing(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !on_path("apt-get") {
        bail!(
            "missing: {list} (Debian package names). This machine has no apt-get: install them, then run again"
        );
    }
    if !is_root() {
        bail!("missing: {list}. Installing needs root: run `sudo apt-get install {list}`, then run again");
    }
    println!("installing: {list}");
    let without_cluster = missing.contains(&"postgresql-15") && forbid_main_cluster().is_ok();
    let installed = apt_get(&missing);
    if without_cluster {
        fs::remove_file(NO_MAIN_CLUSTER).with_context(|| format!("remove {NO_MAIN_CLUSTER}"))?;
    }
    installed?;
    let still: Vec<_> = self::missing(needs);
    if !still.is_empty() {
        bail!("installed {list}, but what should come with {} is still not found", still.join(" "));
    }
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<&'static str> {
    let mut missing: Vec<_> = needs.iter().filter(|need| !(need.found)()).map(|need| need.package).collect();
    missing.dedup();
    missing
}

fn apt_get(packages: &[&str]) -> Result<()> {
    run::visibly(run::command("apt-get").args(["-qq", "update"]))?;
    let mut install = run::command("apt-get");
    install.args(["-qq", "install", "--yes", "--no-install-recommends"]).args(packages);
    run::visibly(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn forbid_main_cluster() -> Result<()> {
    let file = Path::new(NO_MAIN_CLUSTER);
    fs::create_dir_all(file.parent().context("no parent directory")?)?;
    fs::write(file, "create_main_cluster = false\n").context("write")
}

fn beside_pg_config(program: &str) -> bool {
    pg_config().parent().is_some_and(|bin| bin.join(program).is_file())
}

fn has_server_headers() -> bool {
    ask_pg_config("--includedir-server").is_ok_and(|dir| Path::new(&dir).join("postgres.h").is_file())
}

/// bindgen, inside pgrx, loads libclang when it runs, and needs the headers that come with the package for developers.
fn has_libclang() -> bool {
    let of_llvm = |entries: fs::ReadDir| entries.flatten().any(|entry| is_llvm_with_libclang(&entry.path()));
    env::var_os("LIBCLANG_PATH").is_some() || fs::read_dir("/usr/lib").is_ok_and(of_llvm)
}

fn is_llvm_with_libclang(dir: &Path) -> bool {
    let is_llvm = dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llvm-"));
    is_llvm && dir.join("lib/libclang.so").exists()
}
