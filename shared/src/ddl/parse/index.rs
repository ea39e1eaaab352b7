//! `CREATE INDEX`, and lists of columns or expressions with an order.

use super::super::syntax::{CreateIndex, IndexTerm};
use super::{Parsed, Parser};

impl Parser<'_> {
    /// What follows `CREATE [UNIQUE] INDEX`.
    pub(super) fn create_index(&mut self, unique: bool) -> Parsed<CreateIndex> {
        let if_not_exists = self.if_not_exists();
        let name = self.qualified_name("the name of an index")?;
        self.expect_word("ON")?;
        let table = self.name("the name of a table")?;
        self.expect_symbol("(")?;
        let terms = self.index_terms()?;
        self.expect_symbol(")")?;
        let condition = if self.word("WHERE") { Some(self.expression()?) } else { None };
        self.end_of_statement()?;
        Ok(CreateIndex { name, table, unique, if_not_exists, terms, condition })
    }

    /// Expressions separated by commas, each with an order.
    pub(super) fn index_terms(&mut self) -> Parsed<Vec<IndexTerm>> {
        let mut terms = Vec::new();
        loop {
            let expr = self.expression()?;
            let descending = self.word("DESC");
            if !descending {
                self.word("ASC");
            }
            if self.is_word("NULLS") {
                return Err(
                    self.problem("NULLS", "SQLite allows NULLS FIRST and NULLS LAST in ORDER BY only")
                );
            }
            terms.push(IndexTerm { expr, descending });
            if !self.symbol(",") {
                return Ok(terms);
            }
        }
    }
}
