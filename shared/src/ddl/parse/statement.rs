//! Which statement it is, and the ones that are refused by name.

use super::super::problem::Problem;
use super::super::syntax::Name;
use super::super::token::Kind;
use super::{Parsed, Parser, Statement};

impl Parser<'_> {
    /// A statement without its semicolon. `None`: it was refused, and read to its end.
    pub(super) fn statement(&mut self) -> Parsed<Option<Statement>> {
        let start = self.position();
        if !self.word("CREATE") {
            return Err(self.foreign_statement());
        }
        if self.is_word("TEMP") || self.is_word("TEMPORARY") {
            return Err(Problem::new(
                start,
                "TEMP",
                "a temporary object belongs to one connection and cannot be synced",
            ));
        }
        if self.word("TABLE") {
            return Ok(self.create_table()?.map(Statement::Table));
        }
        if self.are_words(&["UNIQUE", "INDEX"]) || self.is_word("INDEX") {
            let unique = self.word("UNIQUE");
            self.expect_word("INDEX")?;
            return Ok(Some(Statement::Index(self.create_index(unique)?)));
        }
        let refused = [
            (
                "VIRTUAL",
                "CREATE VIRTUAL TABLE",
                "a virtual table has no equivalent in PostgreSQL and cannot be synced",
            ),
            ("VIEW", "CREATE VIEW", "only tables and indexes are translated: create the view on each side"),
            (
                "TRIGGER",
                "CREATE TRIGGER",
                "only tables and indexes are translated: create the trigger on each side",
            ),
        ];
        for (word, construct, message) in refused {
            if self.is_word(word) {
                return Err(Problem::new(start, construct, message));
            }
        }
        Err(self.expected("TABLE or INDEX"))
    }

    fn foreign_statement(&self) -> Problem {
        const KNOWN: &[&str] = &[
            "ALTER",
            "ANALYZE",
            "ATTACH",
            "BEGIN",
            "COMMIT",
            "DELETE",
            "DETACH",
            "DROP",
            "END",
            "EXPLAIN",
            "INSERT",
            "PRAGMA",
            "REINDEX",
            "RELEASE",
            "REPLACE",
            "ROLLBACK",
            "SAVEPOINT",
            "SELECT",
            "UPDATE",
            "VACUUM",
            "VALUES",
            "WITH",
        ];
        match KNOWN.iter().find(|word| self.is_word(word)) {
            Some(word) => self.problem(
                word,
                "only CREATE TABLE and CREATE INDEX are translated: leave other statements out of the script",
            ),
            None => self.expected("CREATE TABLE or CREATE INDEX"),
        }
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.words(&["IF", "NOT", "EXISTS"])
    }

    /// The name of a table or an index, perhaps with `main.` before it.
    pub(super) fn qualified_name(&mut self, what: &str) -> Parsed<Name> {
        let name = self.name(what)?;
        if !self.symbol(".") {
            return Ok(name);
        }
        if name.text.eq_ignore_ascii_case("temp") {
            return Err(Problem::new(
                name.position,
                "TEMP",
                "a temporary object belongs to one connection and cannot be synced",
            ));
        }
        if !name.text.eq_ignore_ascii_case("main") {
            return Err(Problem::new(
                name.position,
                "attached database",
                format!("{} is another database: only main is synced", name.text),
            ));
        }
        self.name(what)
    }

    /// What follows the last part of a statement.
    pub(super) fn end_of_statement(&self) -> Parsed<()> {
        if self.is_symbol(";") || *self.kind() == Kind::End { Ok(()) } else { Err(self.expected("';'")) }
    }
}
