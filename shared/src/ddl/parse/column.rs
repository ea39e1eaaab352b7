//! One column: its name, its declared type and its clauses, which may come in any order.

use super::super::syntax::{
    Column, Constraint, CreateTable, DeclaredType, DefaultValue, Expr, Generated, IndexTerm, Name, Node,
    Rule, Unary,
};
use super::super::token::Kind;
use super::{Parsed, Parser, is_reserved};

impl Parser<'_> {
    /// Reads a column into its table.
    pub(super) fn column(&mut self, table: &mut CreateTable) -> Parsed<()> {
        let name = self.name("the name of a column")?;
        let declared = self.declared_type()?;
        let mut column =
            Column { name, declared, not_null: false, default: None, collation: None, generated: None };
        let mut label: Option<Name> = None;
        loop {
            if self.word("CONSTRAINT") {
                label = Some(self.name("the name of a constraint")?);
                continue;
            }
            let position = self.position();
            if self.column_property(&mut column)? {
                if let Some(label) = label.take() {
                    let message =
                        format!("the name {} names no constraint that PostgreSQL would name", label.text);
                    self.note(label.position, message);
                }
                continue;
            }
            match self.column_constraint(&column.name)? {
                Some(rule) => table.constraints.push(Constraint { name: label.take(), position, rule }),
                None => break,
            }
        }
        if let Some(label) = label {
            self.note(label.position, "a CONSTRAINT name without a constraint has no effect");
        }
        table.columns.push(column);
        Ok(())
    }

    /// Words up to a clause, and numbers in parentheses.
    pub(super) fn declared_type(&mut self) -> Parsed<Option<DeclaredType>> {
        let position = self.position();
        let mut words: Vec<String> = Vec::new();
        loop {
            let is_generated = self.are_words(&["GENERATED", "ALWAYS"]);
            match self.kind() {
                Kind::Word(word) if !is_reserved(word) && !is_generated => {
                    words.push(word.to_ascii_uppercase())
                }
                Kind::Quoted(text) | Kind::Text(text) => words.push(text.to_ascii_uppercase()),
                _ => break,
            }
            self.advance();
        }
        if words.is_empty() {
            return Ok(None);
        }
        let mut arguments = Vec::new();
        if self.symbol("(") {
            arguments.push(self.type_argument()?);
            if self.symbol(",") {
                arguments.push(self.type_argument()?);
            }
            self.expect_symbol(")")?;
        }
        let words = words.join(" ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Some(DeclaredType { words, arguments, position }))
    }

    fn type_argument(&mut self) -> Parsed<String> {
        let sign = if self.symbol("-") { "-" } else { "" };
        if sign.is_empty() {
            self.symbol("+");
        }
        match self.kind() {
            Kind::Number(number) => {
                let number = format!("{sign}{number}");
                self.advance();
                Ok(number)
            }
            _ => Err(self.expected("a number")),
        }
    }

    /// A clause that is a property of the column; `false`: it is none.
    fn column_property(&mut self, column: &mut Column) -> Parsed<bool> {
        if self.words(&["NOT", "NULL"]) {
            column.not_null = true;
            self.conflict_clause()?;
        } else if self.word("NULL") {
            self.conflict_clause()?;
        } else if self.word("DEFAULT") {
            column.default = Some(DefaultValue { expr: self.default_value()? });
        } else if self.word("COLLATE") {
            column.collation = Some(self.name("the name of a collation")?);
        } else if self.words(&["GENERATED", "ALWAYS", "AS"]) || self.word("AS") {
            let expr = self.enclosed_expression()?;
            let stored = self.word("STORED");
            if !stored {
                self.word("VIRTUAL");
            }
            column.generated = Some(Generated { expr, stored });
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn default_value(&mut self) -> Parsed<Expr> {
        let position = self.position();
        let leaf = |node: Node| Expr::new(node, position);
        match self.kind().clone() {
            Kind::Symbol("(") => self.enclosed_expression(),
            Kind::Symbol(sign @ ("+" | "-")) => {
                self.advance();
                let Kind::Number(number) = self.kind().clone() else { return Err(self.expected("a number")) };
                self.advance();
                let operator = if sign == "-" { Unary::Minus } else { Unary::Plus };
                Ok(leaf(Node::Unary { operator, operand: Box::new(leaf(Node::Number(number))) }))
            }
            // A name, and a name in quotes, mean their text here.
            Kind::Quoted(text) => {
                self.advance();
                Ok(leaf(Node::Text(text)))
            }
            Kind::Word(word) => match self.keyword_literal() {
                Some(literal) => Ok(leaf(literal)),
                None if !is_reserved(&word) => {
                    self.advance();
                    Ok(leaf(Node::Text(word)))
                }
                None => Err(self.expected("a default value")),
            },
            Kind::Text(_) | Kind::Blob(_) | Kind::Number(_) => self.primary(),
            _ => Err(self.expected("a default value")),
        }
    }

    /// A clause that is a constraint of the table, about this column alone.
    fn column_constraint(&mut self, column: &Name) -> Parsed<Option<Rule>> {
        let term = |descending| IndexTerm {
            expr: Expr::new(Node::Column { table: None, name: column.text.clone() }, column.position),
            descending,
        };
        if self.words(&["PRIMARY", "KEY"]) {
            let descending = self.word("DESC");
            if !descending {
                self.word("ASC");
            }
            self.conflict_clause()?;
            let position = self.position();
            let autoincrement = self.word("AUTOINCREMENT").then_some(position);
            return Ok(Some(Rule::PrimaryKey { terms: vec![term(descending)], autoincrement }));
        }
        if self.word("UNIQUE") {
            self.conflict_clause()?;
            return Ok(Some(Rule::Unique { terms: vec![term(false)] }));
        }
        if self.word("CHECK") {
            let expr = self.enclosed_expression()?;
            self.conflict_clause()?;
            return Ok(Some(Rule::Check { expr }));
        }
        if self.is_word("REFERENCES") {
            return Ok(Some(Rule::ForeignKey(self.references(vec![column.clone()])?)));
        }
        if self.is_symbol(",") || self.is_symbol(")") {
            return Ok(None);
        }
        Err(self.expected("',', ')' or a clause of the column"))
    }
}
