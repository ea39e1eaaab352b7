//! From tokens to the syntax tree: SQLite's own grammar, with its own precedence of operators.
//!
//! A general SQL parser will not do: one that reads `a || b * 2` as most dialects do would change the
//! meaning of a CHECK without a word.

mod column;
mod expression;
mod foreign_key;
mod index;
mod statement;
mod table;

use super::problem::{Note, Position, Problem};
use super::syntax::{CreateIndex, CreateTable, Expr, Name, Node};
use super::token::{Kind, Token};

/// A parser's result; the error ends a statement, and the next is parsed all the same.
type Parsed<T> = Result<T, Problem>;

/// What a script creates, in its order.
#[derive(Debug)]
pub(super) enum Statement {
    Table(CreateTable),
    Index(CreateIndex),
}

/// What was read, and what was refused on the way.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) statements: Vec<Statement>,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<Note>,
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    script: Script,
}

/// Reads a script. Whatever cannot be translated in any case is refused here.
pub(super) fn parse(tokens: &[Token]) -> Script {
    let mut parser = Parser { tokens, at: 0, depth: 0, script: Script::default() };
    while !matches!(parser.kind(), Kind::End) {
        if parser.symbol(";") {
            continue;
        }
        let start = parser.at;
        match parser.statement() {
            Ok(Some(statement)) => parser.script.statements.push(statement),
            Ok(None) => {}
            Err(problem) => {
                parser.refuse(problem);
                parser.skip_statement(start);
            }
        }
    }
    parser.script
}

impl Parser<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).or(self.tokens.last())
    }

    fn kind(&self) -> &Kind {
        self.token(0).map_or(&Kind::End, |token| &token.kind)
    }

    fn position(&self) -> Position {
        self.token(0).map_or(Position { line: 1, column: 1 }, |token| token.position)
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    fn refuse(&mut self, problem: Problem) {
        self.script.problems.push(problem);
    }

    fn note(&mut self, position: Position, message: impl Into<String>) {
        self.script.notes.push(Note { position, message: message.into() });
    }

    fn problem(&self, construct: &'static str, message: impl Into<String>) -> Problem {
        Problem::new(self.position(), construct, message)
    }

    fn expected(&self, what: &str) -> Problem {
        let found = match self.kind() {
            Kind::Word(word) => word.clone(),
            Kind::Quoted(name) => format!("\"{name}\""),
            Kind::Text(_) => "a string".to_owned(),
            Kind::Blob(_) => "a blob".to_owned(),
            Kind::Number(number) => number.clone(),
            Kind::Parameter => "a parameter".to_owned(),
            Kind::Symbol(symbol) => format!("'{symbol}'"),
            Kind::End => "the end".to_owned(),
        };
        self.problem("syntax", format!("expected {what}, found {found}"))
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.kind(), Kind::Symbol(found) if *found == symbol)
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Parsed<()> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.expected(&format!("'{symbol}'"))) }
    }

    /// Whether the next words are these, in capitals or not.
    fn are_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| {
            self.token(ahead).is_some_and(
                |token| matches!(&token.kind, Kind::Word(found) if found.eq_ignore_ascii_case(word)),
            )
        })
    }

    fn is_word(&self, word: &str) -> bool {
        self.are_words(&[word])
    }

    fn words(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        self.at += if found { words.len() } else { 0 };
        found
    }

    fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.word(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    /// A name in any of SQLite's quotes, a string among them.
    fn name(&mut self, what: &str) -> Parsed<Name> {
        let position = self.position();
        let text = match self.kind() {
            Kind::Word(word) if !is_reserved(word) => word.clone(),
            Kind::Quoted(text) | Kind::Text(text) => text.clone(),
            _ => return Err(self.expected(what)),
        };
        self.advance();
        Ok(Name { text, position })
    }

    fn names(&mut self, what: &str) -> Parsed<Vec<Name>> {
        self.expect_symbol("(")?;
        let mut names = vec![self.name(what)?];
        while self.symbol(",") {
            names.push(self.name(what)?);
        }
        self.expect_symbol(")")?;
        Ok(names)
    }

    /// The index of the token that closes the parenthesis at the next token.
    fn closing(&self) -> Option<usize> {
        let mut open = 0usize;
        for (index, token) in self.tokens.iter().enumerate().skip(self.at) {
            match token.kind {
                Kind::Symbol("(") => open += 1,
                Kind::Symbol(")") => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        return Some(index);
                    }
                }
                // No parenthesis reaches over it, and a search to the end for each would take long.
                Kind::Symbol(";") => return None,
                _ => {}
            }
        }
        None
    }

    /// An expression in parentheses. What is wrong within is told, and the statement goes on behind.
    fn enclosed_expression(&mut self) -> Parsed<Expr> {
        let position = self.position();
        if !self.is_symbol("(") {
            return Err(self.expected("'('"));
        }
        let Some(end) = self.closing() else {
            return Err(self.problem("syntax", "this parenthesis is not closed"));
        };
        self.advance();
        let parsed = self
            .expression()
            .and_then(|expr| if self.at == end { Ok(expr) } else { Err(self.expected("')'")) });
        self.at = end + 1;
        Ok(parsed.unwrap_or_else(|problem| {
            self.refuse(problem);
            Expr::new(Node::Refused, position)
        }))
    }

    /// `ON CONFLICT`, which PostgreSQL lacks: there a statement says what happens on a conflict.
    fn conflict_clause(&mut self) -> Parsed<()> {
        if !self.are_words(&["ON", "CONFLICT"]) {
            return Ok(());
        }
        let problem = self.problem(
            "ON CONFLICT",
            "PostgreSQL has no conflict clause in constraints: remove it, and write INSERT ... ON CONFLICT",
        );
        self.words(&["ON", "CONFLICT"]);
        let actions = ["ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE"];
        match actions.into_iter().find(|action| self.is_word(action)) {
            // What SQLite does anyway.
            Some("ABORT") => self.advance(),
            Some(_) => {
                self.advance();
                self.refuse(problem);
            }
            None => return Err(self.expected("ROLLBACK, ABORT, FAIL, IGNORE or REPLACE")),
        }
        Ok(())
    }

    /// Goes behind the `;` that ends the statement that began at `start`.
    fn skip_statement(&mut self, start: usize) {
        let create = |ahead: usize| self.tokens.get(start + ahead).map(|token| &token.kind);
        let is_trigger = (1..=2).any(
            |ahead| matches!(create(ahead), Some(Kind::Word(word)) if word.eq_ignore_ascii_case("TRIGGER")),
        );
        let mut at = self.at.max(start);
        if is_trigger {
            at = start;
        }
        while let Some(token) = self.tokens.get(at) {
            if token.kind == Kind::End
                || (token.kind == Kind::Symbol(";") && !(is_trigger && self.is_inside(at)))
            {
                break;
            }
            at += 1;
        }
        self.at = at;
    }

    /// Whether the `;` at an index is one within a trigger: its last follows `; END`.
    fn is_inside(&self, at: usize) -> bool {
        let kind =
            |back: usize| at.checked_sub(back).and_then(|at| self.tokens.get(at)).map(|token| &token.kind);
        let after_end = matches!(kind(1), Some(Kind::Word(word)) if word.eq_ignore_ascii_case("END"));
        !(after_end && kind(2) == Some(&Kind::Symbol(";")))
    }
}

/// The keywords that SQLite never takes for a name.
const RESERVED: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "AS",
    "AUTOINCREMENT",
    "BETWEEN",
    "CASE",
    "CHECK",
    "COLLATE",
    "COMMIT",
    "CONSTRAINT",
    "CREATE",
    "DEFAULT",
    "DEFERRABLE",
    "DELETE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "ESCAPE",
    "EXCEPT",
    "EXISTS",
    "FOREIGN",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INDEX",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "ISNULL",
    "LIMIT",
    "NOT",
    "NOTHING",
    "NOTNULL",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "PRIMARY",
    "REFERENCES",
    "RETURNING",
    "SELECT",
    "SET",
    "TABLE",
    "THEN",
    "TO",
    "TRANSACTION",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "JOIN",
];

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}
