//! SQLite's `CREATE TABLE` and `CREATE INDEX` in PostgreSQL's words, exactly or not at all.
//!
//! [`translate`] reads a script with SQLite's own grammar, chooses for each column the PostgreSQL type
//! that keeps every value a sane application stores there, and translates defaults, checks, generated
//! columns, keys and indexes. What has no exact equivalent is a [`Problem`] with its place; all
//! problems of a script are told at once. docs/ddl.md has the tables.
//!
//! The way of a script: `token` → `parse` → `syntax` → `build` (with `types`, `expression`, `assign`)
//! → `plan` → `render`.

mod assign;
mod build;
mod expression;
mod json;
mod options;
mod order;
mod parse;
mod plan;
mod problem;
mod quote;
mod render;
mod syntax;
mod token;
mod types;

use crate::error::{Error, Result as CoreResult};

pub use crate::wire::limits::MAX_SCRIPT_BYTES;

pub use options::{Moments, NoCase, Options};
pub use problem::{Note, Position, Problem};

/// A table in PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its name as the script has it, which is the same unless [`Options::places`] says otherwise.
    pub declared_name: String,
    /// The schema it is put into; `None`: the first of the server's `search_path`.
    pub schema: Option<String>,
    /// The columns of its primary key, in order.
    pub key: Vec<String>,
    /// `CREATE TABLE`.
    pub create: String,
    /// `CREATE INDEX`, to be run right after it.
    pub indexes: Vec<String>,
}

/// What a script becomes. Its statements are to be run in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The tables, parents before the tables that reference them.
    pub tables: Vec<Table>,
    /// Foreign keys that need all tables: `ALTER TABLE ... ADD`.
    pub foreign_keys: Vec<String>,
    /// What was decided and is worth knowing.
    pub notes: Vec<Note>,
}

impl Translation {
    /// All statements in the order in which they run.
    pub fn statements(&self) -> Vec<&str> {
        let tables = self.tables.iter().flat_map(|table| [&table.create].into_iter().chain(&table.indexes));
        tables.chain(&self.foreign_keys).map(String::as_str).collect()
    }

    /// All statements as one script.
    pub fn sql(&self) -> String {
        let mut sql = self.statements().join("\n");
        sql.push('\n');
        sql
    }
}

/// Translates a script of SQLite's `CREATE TABLE` and `CREATE INDEX` statements.
///
/// ```
/// use cloudsync_shared::ddl::{Options, translate};
///
/// let script = "CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, body TEXT DEFAULT '')";
/// let translation = translate(script, &Options::default()).unwrap();
/// assert_eq!(
///     translation.sql(),
///     "CREATE TABLE notes (\n    id text NOT NULL,\n    body text DEFAULT '',\n    PRIMARY KEY (id)\n);\n"
/// );
/// ```
///
/// # Errors
/// Every construct that has no exact equivalent, with its place, in the order of the script.
pub fn translate(sql: &str, options: &Options) -> Result<Translation, Vec<Problem>> {
    let start = Position { line: 1, column: 1 };
    if sql.len() > MAX_SCRIPT_BYTES {
        let message = format!("the script is longer than {MAX_SCRIPT_BYTES} bytes: translate it in parts");
        return Err(vec![Problem::new(start, "limit", message)]);
    }
    let tokens = token::tokens(sql).map_err(|problem| vec![problem])?;
    let mut script = parse::parse(&tokens);
    if script.statements.is_empty() && script.problems.is_empty() {
        script.problems.push(Problem::new(start, "empty script", "there is no CREATE TABLE in it"));
    }
    build::build(script, options)
}

/// Translates with the default choices, for `cloudsync_translate_ddl`. Notes stand before the statements
/// as comments.
///
/// # Errors
/// One error that lists all problems with their places.
pub fn translate_to_text(sql: &str) -> CoreResult<String> {
    match translate(sql, &Options::default()) {
        Ok(translation) => {
            let notes = translation.notes.iter().map(|note| format!("-- {}\n", one_line(&note.to_string())));
            Ok(notes.collect::<String>() + &translation.sql())
        }
        Err(problems) => {
            let list: Vec<String> = problems.iter().map(|problem| one_line(&problem.to_string())).collect();
            Err(Error::unsupported(format!("the script cannot be translated:\n{}", list.join("\n"))))
        }
    }
}

/// Names may hold line ends, behind which a comment would be over.
fn one_line(text: &str) -> String {
    text.replace(|character: char| character.is_control(), " ")
}
