//! A private copy of PostgreSQL with our extension in it, so that nothing is installed on the system.
//!
//! PostgreSQL is relocatable: it finds its libraries and shared files relative to its own program,
//! by the paths it was configured with. So the tree repeats the installed paths under a directory
//! of ours: programs are copied (links would be followed back to the system), all else is linked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::home::recreate;
use crate::{paths, setup};

/// The programs that a private server needs; `initdb` and `pg_ctl` look for `postgres` beside them.
const PROGRAMS: &[&str] = &["postgres", "initdb", "pg_ctl"];

/// Programs that are also in the tree, where the installation has them, for the test suite's use.
const CLIENTS: &[&str] = &["pg_config", "pg_isready", "psql", "pg_dump", "pg_basebackup"];

/// A tree that can be run.
pub struct PgTree {
    bin: PathBuf,
    client: PathBuf,
}

impl PgTree {
    /// Builds the tree under `home` from the installed PostgreSQL and what `dist` built.
    pub fn build(home: &Path) -> Result<PgTree> {
        let major = setup::pg_major()?;
        let tree = home.join("pgtree").join(&major);
        recreate(&tree)?;
        let ask = |what: &str| setup::ask_pg_config(what).map(PathBuf::from);
        let (bin, lib, share) = (ask("--bindir")?, ask("--pkglibdir")?, ask("--sharedir")?);

        copy_programs(&bin, &under(&tree, &bin)?)?;
        link_entries(&lib, &under(&tree, &lib)?, &["bitcode", "pgxs"])?;
        link_entries(&share, &under(&tree, &share)?, &["extension", "man"])?;
        let extensions = under(&tree, &share)?.join("extension");
        link_entries(&share.join("extension"), &extensions, &[])?;
        install(&paths::postgres_extension(&major), &under(&tree, &lib)?, &extensions)?;

        let beside = bin.join("psql");
        let client = if beside.is_file() { beside } else { "psql".into() };
        Ok(PgTree { bin: under(&tree, &bin)?, client })
    }

    /// The directory of the programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// psql: the installed one, since a client does not care where its server's files are.
    pub fn psql(&self) -> &Path {
        &self.client
    }
}

/// `installed`, an absolute path, as it is inside `tree`.
fn under(tree: &Path, installed: &Path) -> Result<PathBuf> {
    let relative = installed.strip_prefix("/").context("pg_config reports a relative directory")?;
    Ok(tree.join(relative))
}

fn copy_programs(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    let present = CLIENTS.iter().filter(|program| from.join(program).is_file());
    for program in PROGRAMS.iter().chain(present) {
        copy(&from.join(program), &to.join(program))?;
    }
    Ok(())
}

fn link_entries(from: &Path, to: &Path, except: &[&str]) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if except.iter().any(|skipped| name == *skipped) || is_ours(&name.to_string_lossy()) {
            continue;
        }
        symlink(entry.path(), to.join(&name)).with_context(|| format!("link {}", entry.path().display()))?;
    }
    Ok(())
}

/// Files of our extension that somebody installed on the system must not mix with the ones just built.
fn is_ours(name: &str) -> bool {
    name == "cloudsync.so" || name == "cloudsync.control" || name.starts_with("cloudsync--")
}

fn install(built: &Path, lib: &Path, extensions: &Path) -> Result<()> {
    let entries = fs::read_dir(built).with_context(|| format!("read {}: was it built?", built.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        let to = if Path::new(&name).extension().is_some_and(|ext| ext == "so") { lib } else { extensions };
        copy(&built.join(&name), &to.join(&name))?;
    }
    for file in [lib.join("cloudsync.so"), extensions.join("cloudsync.control")] {
        if !file.is_file() {
            bail!("{} has no {}", built.display(), file.display());
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
