//! `REFERENCES` and what may follow it, in any order.

use super::super::syntax::{ForeignKey, Name};
use super::{Parsed, Parser};

impl Parser<'_> {
    /// `REFERENCES` with the names of the referencing columns.
    pub(super) fn references(&mut self, columns: Vec<Name>) -> Parsed<ForeignKey> {
        self.expect_word("REFERENCES")?;
        let parent = self.name("the name of a table")?;
        let parent_columns =
            if self.is_symbol("(") { self.names("the name of a column")? } else { Vec::new() };
        let mut key = ForeignKey {
            columns,
            parent,
            parent_columns,
            on_delete: None,
            on_update: None,
            matching: None,
            initially_deferred: false,
        };
        loop {
            if self.words(&["ON", "DELETE"]) {
                key.on_delete = Some(self.action()?);
            } else if self.words(&["ON", "UPDATE"]) {
                key.on_update = Some(self.action()?);
            } else if self.word("MATCH") {
                key.matching = Some(self.name("FULL, PARTIAL or SIMPLE")?);
            } else if self.are_words(&["NOT", "DEFERRABLE"]) || self.is_word("DEFERRABLE") {
                key.initially_deferred = self.deferral()?;
            } else {
                return Ok(key);
            }
        }
    }

    fn action(&mut self) -> Parsed<&'static str> {
        const ACTIONS: &[(&[&str], &str)] = &[
            (&["SET", "NULL"], "SET NULL"),
            (&["SET", "DEFAULT"], "SET DEFAULT"),
            (&["CASCADE"], "CASCADE"),
            (&["RESTRICT"], "RESTRICT"),
            (&["NO", "ACTION"], "NO ACTION"),
        ];
        for (words, action) in ACTIONS {
            if self.words(words) {
                return Ok(action);
            }
        }
        Err(self.expected("SET NULL, SET DEFAULT, CASCADE, RESTRICT or NO ACTION"))
    }

    /// Whether the check waits for the end of the transaction: only `DEFERRABLE INITIALLY DEFERRED` does.
    fn deferral(&mut self) -> Parsed<bool> {
        let deferrable = !self.word("NOT");
        self.expect_word("DEFERRABLE")?;
        if !self.word("INITIALLY") {
            return Ok(false);
        }
        let deferred = self.word("DEFERRED");
        if !deferred {
            self.expect_word("IMMEDIATE")?;
        }
        Ok(deferrable && deferred)
    }
}
