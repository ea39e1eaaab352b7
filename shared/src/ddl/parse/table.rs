//! `CREATE TABLE` without its columns' own clauses.

use super::super::syntax::{Constraint, CreateTable, Rule};
use super::{Parsed, Parser};

impl Parser<'_> {
    /// What follows `CREATE TABLE`. `None`: the statement was refused, and read to its end.
    pub(super) fn create_table(&mut self) -> Parsed<Option<CreateTable>> {
        let if_not_exists = self.if_not_exists();
        let name = self.qualified_name("the name of a table")?;
        if self.is_word("AS") {
            return Err(self.problem(
                "CREATE TABLE AS",
                "the columns of such a table have no types, keys or constraints: write them out",
            ));
        }
        let mut table = CreateTable {
            name,
            if_not_exists,
            columns: Vec::new(),
            constraints: Vec::new(),
            strict: false,
            without_rowid: None,
        };
        self.expect_symbol("(")?;
        let mut in_columns = true;
        loop {
            if self.begins_constraint() {
                in_columns = false;
                self.table_constraint(&mut table)?;
            } else if in_columns {
                self.column(&mut table)?;
            } else {
                return Err(self.expected("a constraint: columns stand before all constraints"));
            }
            if self.symbol(")") {
                break;
            }
            // SQLite lets the comma between constraints of a table be left out.
            if !self.symbol(",") && (in_columns || !self.begins_constraint()) {
                return Err(self.expected("',' or ')'"));
            }
        }
        self.table_options(&mut table)?;
        self.end_of_statement()?;
        Ok(Some(table))
    }

    fn begins_constraint(&self) -> bool {
        ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"].iter().any(|word| self.is_word(word))
    }

    fn table_options(&mut self, table: &mut CreateTable) -> Parsed<()> {
        let begins = |parser: &Self| parser.is_word("WITHOUT") || parser.is_word("STRICT");
        if !begins(self) {
            return Ok(());
        }
        loop {
            let position = self.position();
            if self.words(&["WITHOUT", "ROWID"]) {
                table.without_rowid = Some(position);
            } else if self.word("STRICT") {
                table.strict = true;
            } else {
                return Err(self.expected("WITHOUT ROWID or STRICT"));
            }
            if !self.symbol(",") {
                return Ok(());
            }
        }
    }

    fn table_constraint(&mut self, table: &mut CreateTable) -> Parsed<()> {
        let mut name = None;
        while self.is_word("CONSTRAINT") {
            self.advance();
            name = Some(self.name("the name of a constraint")?);
            if self.is_symbol(",") || self.is_symbol(")") {
                let position = self.position();
                self.note(position, "a CONSTRAINT name without a constraint has no effect");
                return Ok(());
            }
        }
        let position = self.position();
        let rule = if self.words(&["PRIMARY", "KEY"]) {
            self.expect_symbol("(")?;
            let terms = self.index_terms()?;
            let at = self.position();
            let autoincrement = self.word("AUTOINCREMENT").then_some(at);
            self.expect_symbol(")")?;
            self.conflict_clause()?;
            Rule::PrimaryKey { terms, autoincrement }
        } else if self.word("UNIQUE") {
            self.expect_symbol("(")?;
            let terms = self.index_terms()?;
            self.expect_symbol(")")?;
            self.conflict_clause()?;
            Rule::Unique { terms }
        } else if self.word("CHECK") {
            let expr = self.enclosed_expression()?;
            self.conflict_clause()?;
            Rule::Check { expr }
        } else if self.words(&["FOREIGN", "KEY"]) {
            let columns = self.names("the name of a column")?;
            Rule::ForeignKey(self.references(columns)?)
        } else {
            return Err(self.expected("PRIMARY KEY, UNIQUE, CHECK or FOREIGN KEY"));
        };
        table.constraints.push(Constraint { name, position, rule });
        Ok(())
    }
}
