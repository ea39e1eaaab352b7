//! Expressions: what SQLite computes, said in PostgreSQL's words, with the types that it needs.
//!
//! SQLite compares and converts values by their own types, PostgreSQL by those of the columns. An
//! expression is translated where the types of its parts leave one meaning only, and refused elsewhere.

mod arithmetic;
mod comparison;
mod functions;
mod literal;
mod moments;
mod pattern;
mod value;

pub(super) use literal::{is_numeric_text, number};
pub(super) use value::{Kind, Sql};

use super::options::Options;
use super::plan::ColumnPlan;
use super::problem::{Note, Position, Problem};
use super::quote;
use super::syntax::{Binary, Expr, Name, Node, Unary};
use super::types::{self, Affinity, PgType};

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// After `DEFAULT`: no columns, but time and chance.
    Default,
    /// In a CHECK, a generated column or an index: columns, and nothing that changes by itself.
    Stored,
}

/// Translates the expressions of one table and collects what is wrong with them.
pub(super) struct Translator<'a> {
    pub(super) place: Place,
    pub(super) table: &'a str,
    pub(super) columns: &'a [ColumnPlan],
    pub(super) options: &'a Options,
    pub(super) problems: &'a mut Vec<Problem>,
    pub(super) notes: &'a mut Vec<Note>,
}

impl Translator<'_> {
    /// Translates; `None`: a problem was told.
    pub(super) fn translate(&mut self, expr: &Expr) -> Option<Sql> {
        let position = expr.position;
        match &expr.node {
            Node::Refused => None,
            Node::Null => Some(Sql::atom(Kind::Null, "NULL")),
            Node::Truth(truth) => Some(Sql::atom(Kind::Truth, if *truth { "TRUE" } else { "FALSE" })),
            Node::Number(text) => self.told(position, number(text)),
            Node::Text(text) if text.contains('\0') => {
                self.refuse(position, "NUL in text", "PostgreSQL cannot store NUL in text")
            }
            Node::Text(text) => Some(Sql::atom(Kind::Text, quote::text(text))),
            Node::Blob(digits) => Some(Sql::atom(Kind::Blob, format!("decode('{digits}', 'hex')"))),
            Node::Now(word) => self.current(word, position),
            Node::Column { table, name } => self.column(table.as_deref(), name, position),
            Node::Unary { operator, operand } => self.unary(*operator, operand, position),
            Node::Binary { operator, left, right } => self.binary(*operator, left, right, position),
            Node::IsNull { operand, negated } => {
                let operand = self.translate(operand)?;
                let not = if *negated { " NOT" } else { "" };
                Some(Sql::compound(Kind::Truth, format!("{} IS{not} NULL", operand.operand())))
            }
            Node::Between { operand, low, high, negated } => self.between(operand, (low, high), *negated),
            Node::In { operand, list, negated } => self.one_of(operand, list, *negated),
            Node::Like { operand, pattern, escape, negated } => {
                self.like(operand, pattern, escape.as_deref(), *negated)
            }
            Node::Glob { operand, pattern, negated } => self.glob(operand, pattern, *negated),
            Node::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), position)
            }
            Node::Cast { operand, declared } => {
                let operand = self.translate(operand)?;
                let affinity = types::affinity(&declared.words);
                self.told(position, cast(&operand, affinity))
            }
            Node::Collate { operand, collation } => self.collate(operand, collation),
            Node::Call { name, arguments } => self.call(name, arguments, position),
        }
    }

    /// Translates to a `boolean`, as a condition is.
    pub(super) fn condition(&mut self, expr: &Expr) -> Option<Sql> {
        let value = self.translate(expr)?;
        match value.kind {
            Kind::Truth => Some(value),
            Kind::Null => Some(value.cast("boolean", Kind::Truth)),
            Kind::Small | Kind::Integer | Kind::Real | Kind::Decimal | Kind::Numeric => {
                Some(Sql::compound(Kind::Truth, format!("{} <> 0", value.operand())))
            }
            Kind::Text
            | Kind::LooseText
            | Kind::MomentText(_)
            | Kind::Digits
            | Kind::Blob
            | Kind::Uuid
            | Kind::Opaque => {
                let message = format!("{} is no condition: compare it with something", value.kind.describe());
                self.refuse(expr.position, "condition", message)
            }
        }
    }

    fn refuse<T>(
        &mut self,
        position: Position,
        construct: &'static str,
        message: impl Into<String>,
    ) -> Option<T> {
        self.problems.push(Problem::new(position, construct, message));
        None
    }

    /// Tells the refusal in a result.
    fn told(&mut self, position: Position, result: Result<Sql, Refusal>) -> Option<Sql> {
        match result {
            Ok(sql) => Some(sql),
            Err(Refusal { construct, message }) => self.refuse(position, construct, message),
        }
    }

    /// Translates all, so that all problems are told, and answers all or nothing.
    fn translate_all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) -> Option<Vec<Sql>> {
        let translated: Vec<Option<Sql>> = exprs.into_iter().map(|expr| self.translate(expr)).collect();
        translated.into_iter().collect()
    }

    fn column(&mut self, table: Option<&str>, name: &str, position: Position) -> Option<Sql> {
        if self.place == Place::Default {
            let message = format!("a default cannot read column {name}");
            return self.refuse(position, "DEFAULT", message);
        }
        if table.is_some_and(|table| !table.eq_ignore_ascii_case(self.table)) {
            let message = format!("only columns of table {} can stand here", self.table);
            return self.refuse(position, "column", message);
        }
        let Some(column) = self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) else {
            let message = format!("table {} has no column {name}; text stands in single quotes", self.table);
            return self.refuse(position, "unknown column", message);
        };
        let Some(pg) = &column.pg else { return None };
        let quoted = quote::name(&column.name);
        let kind = Kind::of_column(pg, column.affinity);
        let sql = Sql::atom(kind, quoted);
        Some(if *pg == PgType::Json { sql.cast("text", kind) } else { sql })
    }

    fn unary(&mut self, operator: Unary, operand: &Expr, position: Position) -> Option<Sql> {
        match operator {
            Unary::Not => {
                let operand = self.condition(operand)?;
                Some(Sql::compound(Kind::Truth, format!("NOT {}", operand.operand())))
            }
            Unary::Plus => self.translate(operand),
            Unary::Minus => {
                if let Node::Number(text) = &operand.node {
                    return self.told(position, literal::negative(text));
                }
                let operand = self.translate(operand)?;
                self.told(position, arithmetic::negate(operand))
            }
            Unary::Invert => {
                let operand = self.translate(operand)?;
                self.told(position, arithmetic::invert(operand))
            }
        }
    }

    fn binary(&mut self, operator: Binary, left: &Expr, right: &Expr, position: Position) -> Option<Sql> {
        match operator {
            Binary::Or | Binary::And => {
                let word = if operator == Binary::Or { "OR" } else { "AND" };
                let is_chain = is_same_operator(left, operator);
                let (left, right) = (self.condition(left), self.condition(right));
                let (left, right) = (left?, right?);
                let left = if is_chain { left.text } else { left.operand() };
                Some(Sql::compound(Kind::Truth, format!("{left} {word} {}", right.operand())))
            }
            Binary::Is | Binary::IsNot => self.is(left, right, operator == Binary::IsNot, position),
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::LessOrEqual
            | Binary::Greater
            | Binary::GreaterOrEqual => self.compare(operator, left, right, position),
            Binary::ShiftLeft | Binary::ShiftRight => {
                let count = literal::whole(right);
                let left = self.translate(left)?;
                self.told(position, arithmetic::shift(operator, left, count))
            }
            Binary::Concatenate => {
                let is_chain = is_same_operator(left, operator);
                let (left, right) = (self.translate(left), self.translate(right));
                let (left, right) = (left?, right?);
                let left = Sql { atomic: left.atomic || is_chain, ..left };
                self.told(position, concatenate(&left, &right))
            }
            Binary::BitAnd
            | Binary::BitOr
            | Binary::Add
            | Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::Remainder => {
                let (left, right) = (self.translate(left), self.translate(right));
                let (left, right) = (left?, right?);
                self.told(position, arithmetic::binary(operator, left, right))
            }
        }
    }

    fn collate(&mut self, operand: &Expr, collation: &Name) -> Option<Sql> {
        if collation.text.eq_ignore_ascii_case("BINARY") {
            return self.translate(operand);
        }
        let message = format!("collation {} has a meaning in comparisons of text only", collation.text);
        self.refuse(collation.position, "COLLATE", message)
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        position: Position,
    ) -> Option<Sql> {
        let conditions: Vec<Option<String>> = branches
            .iter()
            .map(|(when, _)| match operand {
                Some(operand) => {
                    self.compare(Binary::Equal, operand, when, when.position).map(|sql| sql.text)
                }
                None => self.condition(when).map(|sql| sql.text),
            })
            .collect();
        let results = self.translate_all(branches.iter().map(|(_, then)| then).chain(otherwise));
        let conditions: Vec<String> = conditions.into_iter().collect::<Option<_>>()?;
        let (results, kind) = self.unified(results?, position)?;
        let pairs = conditions.iter().zip(&results);
        let mut text = "CASE".to_owned();
        for (condition, result) in pairs {
            text.push_str(&format!(" WHEN {condition} THEN {}", result.text));
        }
        if let (Some(_), Some(last)) = (otherwise, results.last()) {
            text.push_str(&format!(" ELSE {}", last.text));
        }
        text.push_str(" END");
        Some(Sql::chosen(kind, text))
    }

    /// Values of which one is chosen, brought to one type.
    fn unified(&mut self, values: Vec<Sql>, position: Position) -> Option<(Vec<Sql>, Kind)> {
        match unify(&values) {
            Some(unified) => Some(unified),
            None => {
                let mut kinds: Vec<&str> = Vec::new();
                for value in &values {
                    if !kinds.contains(&value.kind.describe()) {
                        kinds.push(value.kind.describe());
                    }
                }
                let message = format!(
                    "in PostgreSQL the results must be of one type, and these are {}: use CAST",
                    kinds.join(" and ")
                );
                self.refuse(position, "mixed types", message)
            }
        }
    }
}

/// Whether an operand on the left is of the same operator, which then needs no parentheses.
fn is_same_operator(left: &Expr, operator: Binary) -> bool {
    matches!(&left.node, Node::Binary { operator: inner, left: _, right: _ } if *inner == operator)
}

/// A refusal without its place.
pub(super) struct Refusal {
    pub(super) construct: &'static str,
    pub(super) message: String,
}

/// A refusal of one construct.
pub(super) fn refusal(construct: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { construct, message: message.into() }
}

fn unify(values: &[Sql]) -> Option<(Vec<Sql>, Kind)> {
    let kinds: Vec<Kind> = values.iter().map(|value| value.kind).filter(|kind| *kind != Kind::Null).collect();
    let all = |test: &dyn Fn(Kind) -> bool| kinds.iter().all(|kind| test(*kind));
    let Some(first) = kinds.first() else { return Some((values.to_vec(), Kind::Null)) };
    if all(&|kind| kind == *first) && !matches!(first, Kind::Decimal | Kind::Digits) {
        return Some((values.to_vec(), *first));
    }
    let is_whole = |kind: Kind| kind.is_integer() || kind == Kind::Truth;
    if all(&is_whole) {
        let values = values.iter().cloned().map(Sql::into_value).collect();
        return Some((values, if kinds.contains(&Kind::Integer) { Kind::Integer } else { Kind::Small }));
    }
    if all(&|kind| matches!(kind, Kind::Decimal | Kind::Real)) {
        return Some((values.iter().map(arithmetic::decimal_as_real).collect(), Kind::Real));
    }
    if all(&|kind| kind == Kind::Numeric || kind.is_integer()) {
        return Some((values.to_vec(), Kind::Numeric));
    }
    if all(&Kind::is_text) {
        let kind = if kinds.contains(&Kind::LooseText) { Kind::LooseText } else { Kind::Text };
        let values = values.iter().map(|value| value.as_text().unwrap_or_else(|| value.clone())).collect();
        return Some((values, kind));
    }
    None
}

fn cast(operand: &Sql, affinity: Affinity) -> Result<Sql, Refusal> {
    let kind = operand.kind;
    let value = operand.clone().into_value();
    let refused = || {
        let message = format!("a CAST of {} to this type has no equivalent in PostgreSQL", kind.describe());
        Err(refusal("CAST", message))
    };
    match (affinity, value.kind) {
        (_, Kind::Null) => Ok(value),
        (Affinity::Integer | Affinity::Numeric, Kind::Digits) => Ok(Sql { kind: Kind::Integer, ..value }),
        (Affinity::Integer, Kind::Small | Kind::Integer) => Ok(value.cast("bigint", Kind::Integer)),
        (Affinity::Integer, Kind::Decimal | Kind::Real) => {
            // PostgreSQL's cast rounds, SQLite's cuts off.
            Ok(Sql::atom(Kind::Integer, format!("CAST(trunc({}) AS bigint)", value.text)))
        }
        (Affinity::Numeric, Kind::Small | Kind::Integer) => Ok(value),
        (
            Affinity::Real,
            Kind::Small | Kind::Integer | Kind::Decimal | Kind::Real | Kind::Numeric | Kind::Digits,
        ) => Ok(value.cast("double precision", Kind::Real)),
        (Affinity::Text, Kind::Small | Kind::Integer) => Ok(value.cast("text", Kind::Text)),
        (Affinity::Text, _) => {
            value.as_text().map_or_else(refused, |text| Ok(Sql { kind: Kind::Text, ..text }))
        }
        (Affinity::Blob, Kind::Blob) => Ok(value),
        _ => refused(),
    }
}

fn concatenate(left: &Sql, right: &Sql) -> Result<Sql, Refusal> {
    let part = |sql: &Sql| match sql.clone().into_value() {
        value if value.kind.is_integer() => Ok(value.cast("text", Kind::Text).text),
        value if value.kind == Kind::Null => Ok(value.cast("text", Kind::Text).text),
        value => value.as_text().map(|text| text.operand()).ok_or_else(|| {
            refusal("||", format!("{} has another form as text in PostgreSQL", value.kind.describe()))
        }),
    };
    Ok(Sql::compound(Kind::Text, format!("{} || {}", part(left)?, part(right)?)))
}
