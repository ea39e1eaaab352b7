//! The `sqlite3` shell as a device: an unmodified program that loads the extension as a user would.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::run;

/// A database file and what to load before using it.
pub struct Sqlite {
    file: PathBuf,
    extension: Option<PathBuf>,
    foreign_keys: bool,
}

impl Sqlite {
    /// Without the extension: what the comparison is made with.
    pub fn plain(file: &Path) -> Sqlite {
        Sqlite { file: file.to_path_buf(), extension: None, foreign_keys: false }
    }

    /// With the extension, a file name with or without its suffix.
    pub fn with_extension(file: &Path, extension: &Path) -> Sqlite {
        Sqlite { extension: Some(extension.to_path_buf()), ..Sqlite::plain(file) }
    }

    /// Lets SQLite check foreign keys, which it does not unless asked.
    pub fn checking_foreign_keys(self) -> Sqlite {
        Sqlite { foreign_keys: true, ..self }
    }

    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Runs a script in a process, and so a connection, of its own; stops at the first error.
    pub fn script(&self, script: &str) -> Result<String> {
        let mut shell = run::command("sqlite3");
        // -init: the user's own start-up file must not change what we parse.
        shell.args(["-batch", "-bail", "-init", "/dev/null"]).arg(&self.file);
        run::with_input(&mut shell, &format!("{}{script}\n", self.preamble()))
    }

    fn preamble(&self) -> String {
        let load = self.extension.as_ref().map(|path| format!(".load '{}'\n", path.display()));
        let keys = self.foreign_keys.then_some("PRAGMA foreign_keys = ON;\n");
        format!("{}{}", load.unwrap_or_default(), keys.unwrap_or_default())
    }
}
