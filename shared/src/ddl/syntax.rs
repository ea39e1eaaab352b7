//! The syntax tree of the statements that can be translated. What is always refused has no place in it.

use super::problem::Position;

/// A name and its place.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) position: Position,
}

/// `CREATE TABLE`.
#[derive(Debug)]
pub(super) struct CreateTable {
    pub(super) name: Name,
    pub(super) if_not_exists: bool,
    pub(super) columns: Vec<Column>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) strict: bool,
    pub(super) without_rowid: Option<Position>,
}

/// `CREATE INDEX`.
#[derive(Debug)]
pub(super) struct CreateIndex {
    pub(super) name: Name,
    pub(super) table: Name,
    pub(super) unique: bool,
    pub(super) if_not_exists: bool,
    pub(super) terms: Vec<IndexTerm>,
    pub(super) condition: Option<Expr>,
}

/// A column of an index or of a key.
#[derive(Debug)]
pub(super) struct IndexTerm {
    pub(super) expr: Expr,
    pub(super) descending: bool,
}

/// A column of a table. Its `UNIQUE`, `CHECK` and `REFERENCES` stand among the table's constraints.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: Name,
    pub(super) declared: Option<DeclaredType>,
    pub(super) not_null: bool,
    pub(super) default: Option<DefaultValue>,
    pub(super) collation: Option<Name>,
    pub(super) generated: Option<Generated>,
}

/// What follows `DEFAULT`.
#[derive(Debug)]
pub(super) struct DefaultValue {
    pub(super) expr: Expr,
}

/// What follows `AS`.
#[derive(Debug)]
pub(super) struct Generated {
    pub(super) expr: Expr,
    pub(super) stored: bool,
}

/// The declared type of a column or of a `CAST`: words in upper case, and what stands in parentheses.
#[derive(Clone, Debug)]
pub(super) struct DeclaredType {
    pub(super) words: String,
    pub(super) arguments: Vec<String>,
    pub(super) position: Position,
}

/// A constraint of a table, wherever it was written.
#[derive(Debug)]
pub(super) struct Constraint {
    pub(super) name: Option<Name>,
    pub(super) position: Position,
    pub(super) rule: Rule,
}

#[derive(Debug)]
pub(super) enum Rule {
    PrimaryKey { terms: Vec<IndexTerm>, autoincrement: Option<Position> },
    Unique { terms: Vec<IndexTerm> },
    Check { expr: Expr },
    ForeignKey(ForeignKey),
}

/// `FOREIGN KEY ... REFERENCES`.
#[derive(Debug)]
pub(super) struct ForeignKey {
    pub(super) columns: Vec<Name>,
    pub(super) parent: Name,
    /// Empty: the parent's primary key.
    pub(super) parent_columns: Vec<Name>,
    pub(super) on_delete: Option<&'static str>,
    pub(super) on_update: Option<&'static str>,
    pub(super) matching: Option<Name>,
    pub(super) initially_deferred: bool,
}

/// An expression.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) node: Node,
    pub(super) position: Position,
    /// The height of its tree, which is bounded.
    pub(super) height: usize,
}

#[derive(Debug)]
pub(super) enum Node {
    /// What the parser has refused already, and nobody need speak of again.
    Refused,
    Null,
    Truth(bool),
    Number(String),
    Text(String),
    Blob(String),
    /// `CURRENT_TIMESTAMP` and its like, in upper case.
    Now(&'static str),
    /// A column, with the table it is qualified by.
    Column {
        table: Option<String>,
        name: String,
    },
    Unary {
        operator: Unary,
        operand: Box<Expr>,
    },
    Binary {
        operator: Binary,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    IsNull {
        operand: Box<Expr>,
        negated: bool,
    },
    Between {
        operand: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    In {
        operand: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    Like {
        operand: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    Glob {
        operand: Box<Expr>,
        pattern: Box<Expr>,
        negated: bool,
    },
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        operand: Box<Expr>,
        declared: DeclaredType,
    },
    Collate {
        operand: Box<Expr>,
        collation: Name,
    },
    Call {
        name: String,
        arguments: Vec<Expr>,
    },
}

impl Expr {
    /// A node over its parts.
    pub(super) fn new(node: Node, position: Position) -> Expr {
        let height = 1 + node.parts().iter().map(|part| part.height).max().unwrap_or(0);
        Expr { node, position, height }
    }
}

impl Node {
    /// The expressions right below, in the order of the text.
    pub(super) fn parts(&self) -> Vec<&Expr> {
        match self {
            Node::Refused
            | Node::Null
            | Node::Truth(_)
            | Node::Number(_)
            | Node::Text(_)
            | Node::Blob(_)
            | Node::Now(_)
            | Node::Column { table: _, name: _ } => Vec::new(),
            Node::Unary { operator: _, operand }
            | Node::IsNull { operand, negated: _ }
            | Node::Cast { operand, declared: _ }
            | Node::Collate { operand, collation: _ } => vec![operand],
            Node::Binary { operator: _, left, right } => vec![left, right],
            Node::Between { operand, low, high, negated: _ } => vec![operand, low, high],
            Node::In { operand, list, negated: _ } => [operand.as_ref()].into_iter().chain(list).collect(),
            Node::Like { operand, pattern, escape, negated: _ } => {
                [operand, pattern].into_iter().chain(escape).map(Box::as_ref).collect()
            }
            Node::Glob { operand, pattern, negated: _ } => vec![operand, pattern],
            Node::Case { operand, branches, otherwise } => {
                let pairs = branches.iter().flat_map(|(when, then)| [when, then]);
                operand
                    .iter()
                    .map(Box::as_ref)
                    .chain(pairs)
                    .chain(otherwise.iter().map(Box::as_ref))
                    .collect()
            }
            Node::Call { name: _, arguments } => arguments.iter().collect(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Minus,
    Plus,
    Invert,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Is,
    IsNot,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    BitAnd,
    BitOr,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concatenate,
}
