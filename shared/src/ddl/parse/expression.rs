//! Expressions, by precedence climbing with SQLite's table of precedences.

use super::super::problem::{Position, Problem};
use super::super::syntax::{Binary, Expr, Node, Unary};
use super::super::token::Kind;
use super::{Parsed, Parser, is_reserved};

/// The highest tree, and the deepest nesting, that is read. SQLite's own limit is 1000.
pub(in super::super) const MAX_EXPRESSION_DEPTH: usize = 100;

/// Precedences, the weakest first.
mod level {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const EQUAL: u8 = 4;
    pub(super) const COMPARE: u8 = 5;
    // ESCAPE would be 6.
    pub(super) const BITS: u8 = 7;
    pub(super) const ADD: u8 = 8;
    pub(super) const MULTIPLY: u8 = 9;
    pub(super) const CONCATENATE: u8 = 10;
    pub(super) const COLLATE: u8 = 11;
    pub(super) const UNARY: u8 = 12;
}

const SYMBOLS: &[(&str, Binary, u8)] = &[
    ("=", Binary::Equal, level::EQUAL),
    ("==", Binary::Equal, level::EQUAL),
    ("<>", Binary::NotEqual, level::EQUAL),
    ("!=", Binary::NotEqual, level::EQUAL),
    ("<", Binary::Less, level::COMPARE),
    ("<=", Binary::LessOrEqual, level::COMPARE),
    (">", Binary::Greater, level::COMPARE),
    (">=", Binary::GreaterOrEqual, level::COMPARE),
    ("&", Binary::BitAnd, level::BITS),
    ("|", Binary::BitOr, level::BITS),
    ("<<", Binary::ShiftLeft, level::BITS),
    (">>", Binary::ShiftRight, level::BITS),
    ("+", Binary::Add, level::ADD),
    ("-", Binary::Subtract, level::ADD),
    ("*", Binary::Multiply, level::MULTIPLY),
    ("/", Binary::Divide, level::MULTIPLY),
    ("%", Binary::Remainder, level::MULTIPLY),
    ("||", Binary::Concatenate, level::CONCATENATE),
];

/// What came of an attempt to extend an expression.
enum Step {
    Extended(Expr),
    Whole(Expr),
}

impl Parser<'_> {
    /// An expression up to what cannot belong to it.
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.climb(level::OR)
    }

    fn climb(&mut self, least: u8) -> Parsed<Expr> {
        if self.depth >= MAX_EXPRESSION_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let climbed = self.climb_from_primary(least);
        self.depth -= 1;
        climbed
    }

    fn climb_from_primary(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.primary()?;
        loop {
            match self.extend(left, least)? {
                Step::Extended(longer) => left = longer,
                Step::Whole(whole) => return Ok(whole),
            }
        }
    }

    fn too_deep(&self) -> Problem {
        let message = format!("the expression is nested deeper than {MAX_EXPRESSION_DEPTH} levels: split it");
        self.problem("nested expression", message)
    }

    /// Puts a node over its parts, unless the tree becomes too high.
    fn over(&self, node: Node, position: Position) -> Parsed<Expr> {
        let expr = Expr::new(node, position);
        if expr.height > MAX_EXPRESSION_DEPTH { Err(self.too_deep()) } else { Ok(expr) }
    }

    fn binary(&self, operator: Binary, left: Expr, right: Expr, position: Position) -> Parsed<Expr> {
        self.over(Node::Binary { operator, left: Box::new(left), right: Box::new(right) }, position)
    }

    /// Goes on with the operator at hand, if it binds tight enough.
    fn extend(&mut self, left: Expr, least: u8) -> Parsed<Step> {
        let position = self.position();
        if let Kind::Symbol(symbol) = self.kind() {
            if matches!(*symbol, "->" | "->>") {
                let message = "SQLite and PostgreSQL print what they extract from JSON differently";
                return Err(self.problem("-> operator", message));
            }
            let found = SYMBOLS.iter().find(|(text, _, level)| text == symbol && *level >= least);
            let Some((_, operator, level)) = found else { return Ok(Step::Whole(left)) };
            self.advance();
            let right = self.climb(level + 1)?;
            return self.binary(*operator, left, right, position).map(Step::Extended);
        }
        for (word, operator, level) in [("OR", Binary::Or, level::OR), ("AND", Binary::And, level::AND)] {
            if level >= least && self.word(word) {
                let right = self.climb(level + 1)?;
                return self.binary(operator, left, right, position).map(Step::Extended);
            }
        }
        if level::COLLATE >= least && self.word("COLLATE") {
            let collation = self.name("the name of a collation")?;
            let node = Node::Collate { operand: Box::new(left), collation };
            return self.over(node, position).map(Step::Extended);
        }
        if level::EQUAL >= least { self.extend_by_word(left, position) } else { Ok(Step::Whole(left)) }
    }

    /// `IS`, `IN`, `LIKE` and the other operators that are words, on the level of `=`.
    fn extend_by_word(&mut self, left: Expr, position: Position) -> Parsed<Step> {
        for (word, negated) in [("ISNULL", false), ("NOTNULL", true)] {
            if self.word(word) {
                let node = Node::IsNull { operand: Box::new(left), negated };
                return self.over(node, position).map(Step::Extended);
            }
        }
        if self.words(&["NOT", "NULL"]) {
            let node = Node::IsNull { operand: Box::new(left), negated: true };
            return self.over(node, position).map(Step::Extended);
        }
        if self.word("IS") {
            return self.is(left, position).map(Step::Extended);
        }
        let negatable = ["BETWEEN", "IN", "LIKE", "GLOB", "MATCH", "REGEXP"];
        let negated = negatable.iter().any(|word| self.are_words(&["NOT", word]));
        if negated {
            self.advance();
        }
        let operand = Box::new(left);
        if self.word("BETWEEN") {
            let low = Box::new(self.climb(level::COMPARE)?);
            self.expect_word("AND")?;
            let high = Box::new(self.climb(level::COMPARE)?);
            return self.over(Node::Between { operand, low, high, negated }, position).map(Step::Extended);
        }
        if self.word("IN") {
            let list = self.list_of_in()?;
            return self.over(Node::In { operand, list, negated }, position).map(Step::Extended);
        }
        if self.is_word("LIKE") || self.is_word("GLOB") {
            return self.pattern_match(operand, position, negated).map(Step::Extended);
        }
        for word in ["MATCH", "REGEXP"] {
            if self.is_word(word) {
                return Err(self.problem(word, "SQLite has no such function of its own: use LIKE or GLOB"));
            }
        }
        Ok(Step::Whole(*operand))
    }

    fn is(&mut self, left: Expr, position: Position) -> Parsed<Expr> {
        let not = self.word("NOT");
        let distinct = self.words(&["DISTINCT", "FROM"]);
        // NULL is an operand like others, so that `a IS NULL & b` compares with `NULL & b`.
        let right = self.climb(level::COMPARE)?;
        let negated = not != distinct;
        if matches!(right.node, Node::Null) {
            return self.over(Node::IsNull { operand: Box::new(left), negated }, position);
        }
        let operator = if negated { Binary::IsNot } else { Binary::Is };
        self.binary(operator, left, right, position)
    }

    fn list_of_in(&mut self) -> Parsed<Vec<Expr>> {
        if !self.is_symbol("(") {
            return Err(self.problem("IN table", "only a list in parentheses can follow IN here"));
        }
        self.advance();
        let mut list = Vec::new();
        if self.symbol(")") {
            return Ok(list);
        }
        loop {
            list.push(self.expression()?);
            if !self.symbol(",") {
                self.expect_symbol(")")?;
                return Ok(list);
            }
        }
    }

    fn pattern_match(&mut self, operand: Box<Expr>, position: Position, negated: bool) -> Parsed<Expr> {
        let is_glob = self.is_word("GLOB");
        self.advance();
        let pattern = Box::new(self.climb(level::COMPARE)?);
        if is_glob {
            return self.over(Node::Glob { operand, pattern, negated }, position);
        }
        let escape = if self.word("ESCAPE") { Some(Box::new(self.climb(level::BITS)?)) } else { None };
        self.over(Node::Like { operand, pattern, escape, negated }, position)
    }

    /// `NULL`, `TRUE` and the other words that are values.
    pub(super) fn keyword_literal(&mut self) -> Option<Node> {
        let literals = [
            ("NULL", Node::Null),
            ("TRUE", Node::Truth(true)),
            ("FALSE", Node::Truth(false)),
            ("CURRENT_TIMESTAMP", Node::Now("CURRENT_TIMESTAMP")),
            ("CURRENT_DATE", Node::Now("CURRENT_DATE")),
            ("CURRENT_TIME", Node::Now("CURRENT_TIME")),
        ];
        literals.into_iter().find(|(word, _)| self.word(word)).map(|(_, node)| node)
    }

    /// An expression without operators behind it.
    pub(super) fn primary(&mut self) -> Parsed<Expr> {
        let position = self.position();
        let leaf = |node: Node| Expr::new(node, position);
        let node = match self.kind().clone() {
            Kind::Number(number) => Node::Number(number),
            Kind::Text(text) => Node::Text(text),
            Kind::Blob(digits) => Node::Blob(digits),
            Kind::Symbol("(") => return self.parenthesised(),
            Kind::Symbol(symbol @ ("-" | "+" | "~")) => {
                self.advance();
                let operator = match symbol {
                    "-" => Unary::Minus,
                    "+" => Unary::Plus,
                    _ => Unary::Invert,
                };
                return self.unary(operator, level::UNARY, position);
            }
            Kind::Parameter => {
                return Err(self.problem("parameter", "a bound parameter cannot stand in a table"));
            }
            Kind::Word(_) if self.word("NOT") => return self.unary(Unary::Not, level::NOT, position),
            Kind::Word(word) => match self.keyword_literal() {
                Some(literal) => return Ok(leaf(literal)),
                None => return self.word_expression(&word, position),
            },
            Kind::Quoted(name) => {
                self.advance();
                return self.column_or_qualified(name, position);
            }
            Kind::Symbol(_) | Kind::End => return Err(self.expected("an expression")),
        };
        self.advance();
        Ok(leaf(node))
    }

    fn unary(&mut self, operator: Unary, least: u8, position: Position) -> Parsed<Expr> {
        let operand = Box::new(self.climb(least)?);
        self.over(Node::Unary { operator, operand }, position)
    }

    fn parenthesised(&mut self) -> Parsed<Expr> {
        self.expect_symbol("(")?;
        if self.is_word("SELECT") || self.is_word("WITH") || self.is_word("VALUES") {
            return Err(self.problem("subquery", "a constraint, default or index cannot hold a subquery"));
        }
        let inner = self.expression()?;
        if self.is_symbol(",") {
            return Err(self.problem("row value", "compare the columns one by one"));
        }
        self.expect_symbol(")")?;
        Ok(inner)
    }

    fn word_expression(&mut self, word: &str, position: Position) -> Parsed<Expr> {
        if self.word("CASE") {
            return self.case(position);
        }
        if self.are_words(&["CAST"]) {
            self.advance();
            return self.cast(position);
        }
        if self.is_word("EXISTS") {
            return Err(self.problem("subquery", "a constraint, default or index cannot hold a subquery"));
        }
        if self.is_word("RAISE") {
            return Err(self.problem("RAISE", "RAISE stands in triggers only"));
        }
        if is_reserved(word) {
            return Err(self.expected("an expression"));
        }
        self.advance();
        if self.is_symbol("(") {
            self.call(word, position)
        } else {
            self.column_or_qualified(word.to_owned(), position)
        }
    }

    fn column_or_qualified(&mut self, first: String, position: Position) -> Parsed<Expr> {
        let mut parts = vec![first];
        while parts.len() < 3 && self.symbol(".") {
            parts.push(self.name("the name of a column")?.text);
        }
        let name = parts.pop().unwrap_or_default();
        Ok(Expr::new(Node::Column { table: parts.pop(), name }, position))
    }

    fn call(&mut self, name: &str, position: Position) -> Parsed<Expr> {
        self.expect_symbol("(")?;
        if self.is_symbol("*") || self.is_word("DISTINCT") {
            return Err(self.problem("aggregate", "an aggregate function cannot stand in a table"));
        }
        let mut arguments = Vec::new();
        if !self.symbol(")") {
            loop {
                arguments.push(self.expression()?);
                if !self.symbol(",") {
                    self.expect_symbol(")")?;
                    break;
                }
            }
        }
        if self.is_word("FILTER") || self.is_word("OVER") {
            return Err(self.problem("aggregate", "an aggregate function cannot stand in a table"));
        }
        self.over(Node::Call { name: name.to_ascii_lowercase(), arguments }, position)
    }

    fn cast(&mut self, position: Position) -> Parsed<Expr> {
        self.expect_symbol("(")?;
        let operand = self.expression()?;
        self.expect_word("AS")?;
        let Some(declared) = self.declared_type()? else { return Err(self.expected("a type")) };
        self.expect_symbol(")")?;
        self.over(Node::Cast { operand: Box::new(operand), declared }, position)
    }

    fn case(&mut self, position: Position) -> Parsed<Expr> {
        let operand = if self.is_word("WHEN") { None } else { Some(Box::new(self.expression()?)) };
        let mut branches = Vec::new();
        while self.word("WHEN") {
            let when = self.expression()?;
            self.expect_word("THEN")?;
            branches.push((when, self.expression()?));
        }
        if branches.is_empty() {
            return Err(self.expected("WHEN"));
        }
        let otherwise = if self.word("ELSE") { Some(Box::new(self.expression()?)) } else { None };
        self.expect_word("END")?;
        self.over(Node::Case { operand, branches, otherwise }, position)
    }
}
