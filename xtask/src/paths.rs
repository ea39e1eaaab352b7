//! Where things are: the repository, the build directory, the packages that `dist` makes.

use std::env;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or_else(|| manifest.to_path_buf(), Path::to_path_buf)
}

/// Cargo's build directory, which is also the only place where these commands keep files.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// What `dist` builds: the files that a user installs.
pub fn dist() -> PathBuf {
    root().join("dist")
}

/// The SQLite extension that `dist` builds.
pub fn sqlite_extension() -> PathBuf {
    dist().join("cloudsync.so")
}

/// The PostgreSQL extension's files for one major version.
pub fn postgres_extension(major: &str) -> PathBuf {
    dist().join(format!("pg{major}"))
}
