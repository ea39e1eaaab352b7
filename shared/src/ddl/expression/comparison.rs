//! Comparisons. SQLite orders values of different types by type, PostgreSQL refuses them: so the
//! sides must be of one class here.

use super::super::problem::{Note, Position};
use super::super::quote;
use super::super::syntax::{Binary, Expr, Node};
use super::literal::is_numeric_text;
use super::value::{Kind, Sql};
use super::{Translator, arithmetic};

/// Values that compare with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Null,
    Number,
    Text,
    Blob,
    Truth,
}

fn class(kind: Kind) -> Option<Class> {
    Some(match kind {
        Kind::Null => Class::Null,
        Kind::Truth => Class::Truth,
        Kind::Small | Kind::Integer | Kind::Decimal | Kind::Real | Kind::Numeric => Class::Number,
        Kind::Text | Kind::LooseText | Kind::MomentText(_) | Kind::Uuid => Class::Text,
        Kind::Blob => Class::Blob,
        Kind::Digits | Kind::Opaque => return None,
    })
}

/// The expression under its COLLATE, and the collation.
fn without_collation(expr: &Expr) -> (&Expr, Option<&str>) {
    match &expr.node {
        Node::Collate { operand, collation } => (without_collation(operand).0, Some(&collation.text)),
        _ => (expr, None),
    }
}

impl Translator<'_> {
    pub(super) fn compare(
        &mut self,
        operator: Binary,
        left: &Expr,
        right: &Expr,
        position: Position,
    ) -> Option<Sql> {
        let (sign, ordering) = match operator {
            Binary::NotEqual => ("<>", false),
            Binary::Less => ("<", true),
            Binary::LessOrEqual => ("<=", true),
            Binary::Greater => (">", true),
            Binary::GreaterOrEqual => (">=", true),
            _ => ("=", false),
        };
        let (left, right) = self.two(left, right, ordering, position)?;
        Some(Sql::compound(Kind::Truth, format!("{left} {sign} {right}")))
    }

    /// `IS` and `IS NOT`, which know NULL.
    pub(super) fn is(&mut self, left: &Expr, right: &Expr, negated: bool, position: Position) -> Option<Sql> {
        let not = if negated { " NOT" } else { "" };
        if let Node::Truth(truth) = without_collation(right).0.node {
            let left = self.condition(left)?.operand();
            let word = if truth { "TRUE" } else { "FALSE" };
            return Some(Sql::compound(Kind::Truth, format!("{left} IS{not} {word}")));
        }
        let (left, right) = self.two(left, right, false, position)?;
        let not = if negated { "" } else { " NOT" };
        Some(Sql::compound(Kind::Truth, format!("{left} IS{not} DISTINCT FROM {right}")))
    }

    pub(super) fn between(&mut self, operand: &Expr, bounds: (&Expr, &Expr), negated: bool) -> Option<Sql> {
        let all = self.comparands(&[operand, bounds.0, bounds.1], true, operand.position)?;
        let [operand, low, high] = all.as_slice() else { return None };
        let not = if negated { "NOT " } else { "" };
        Some(Sql::compound(Kind::Truth, format!("{operand} {not}BETWEEN {low} AND {high}")))
    }

    pub(super) fn one_of(&mut self, operand: &Expr, list: &[Expr], negated: bool) -> Option<Sql> {
        let exprs: Vec<&Expr> = [operand].into_iter().chain(list).collect();
        let all = self.comparands(&exprs, false, operand.position)?;
        let (operand, list) = all.split_first()?;
        if list.is_empty() {
            // Even NULL is not in an empty list.
            return Some(Sql::atom(Kind::Truth, if negated { "TRUE" } else { "FALSE" }));
        }
        let not = if negated { "NOT " } else { "" };
        Some(Sql::compound(Kind::Truth, format!("{operand} {not}IN ({})", list.join(", "))))
    }

    /// Two sides, of which either may say how text is compared.
    fn two(
        &mut self,
        left: &Expr,
        right: &Expr,
        ordering: bool,
        position: Position,
    ) -> Option<(String, String)> {
        let both = self.comparands(&[left, right], ordering, position)?;
        match both.as_slice() {
            [left, right] => Some((left.clone(), right.clone())),
            _ => None,
        }
    }

    /// Operands as they can be compared with the first of them.
    pub(super) fn comparands(
        &mut self,
        exprs: &[&Expr],
        ordering: bool,
        position: Position,
    ) -> Option<Vec<String>> {
        let ignores_case = self.collation(exprs, position)?;
        let bare: Vec<&Expr> = exprs.iter().map(|expr| without_collation(expr).0).collect();
        let mut values = self.translate_all(bare.iter().copied())?;
        if !values.iter().all(|value| matches!(value.kind, Kind::Truth | Kind::Null)) {
            values = values.into_iter().map(Sql::into_value).collect();
        }
        // All with all: PostgreSQL looks for one type that they have in common.
        let mut kinds: Vec<Kind> = Vec::new();
        for value in &values {
            if let Some(Err(message)) =
                kinds.iter().map(|kind| comparable(*kind, value.kind)).find(|result| result.is_err())
            {
                return self.refuse(position, "comparison", message);
            }
            if !kinds.contains(&value.kind) {
                kinds.push(value.kind);
            }
        }
        self.check_loose_text(&bare, &values, ordering, position)?;
        let is_text = values.iter().any(|value| value.kind.is_text());
        let forms = values.iter().enumerate().map(|(at, value)| match value.as_text() {
            Some(text) if ignores_case => match bare.get(at).map(|expr| &expr.node) {
                Some(Node::Text(literal)) => quote::text(&literal.to_ascii_lowercase()),
                _ => format!("lower({})", text.bytewise()),
            },
            Some(text) if is_text && ordering && at == 0 => text.bytewise(),
            Some(text) => text.operand(),
            None => value.operand(),
        });
        Some(forms.collect())
    }

    /// Whether an explicit collation says that A to Z equal a to z.
    fn collation(&mut self, exprs: &[&Expr], position: Position) -> Option<bool> {
        let explicit: Vec<Option<&str>> = exprs.iter().map(|expr| without_collation(expr).1).collect();
        let name = match explicit.as_slice() {
            [Some(name), ..] | [None, Some(name)] => *name,
            [None, rest @ ..] if rest.iter().all(Option::is_none) => return Some(false),
            _ => {
                let message = "write COLLATE behind the first operand";
                return self.refuse(position, "COLLATE", message);
            }
        };
        match name.to_ascii_uppercase().as_str() {
            "BINARY" => Some(false),
            "NOCASE" => Some(true),
            _ => {
                self.refuse(position, "COLLATE", format!("collation {name} has no equivalent in PostgreSQL"))
            }
        }
    }

    /// Columns that SQLite would rather fill with numbers, and are text in PostgreSQL.
    fn check_loose_text(
        &mut self,
        exprs: &[&Expr],
        values: &[Sql],
        ordering: bool,
        position: Position,
    ) -> Option<()> {
        if !values.iter().any(|value| value.kind == Kind::LooseText) {
            return Some(());
        }
        for (expr, value) in exprs.iter().zip(values) {
            let is_literal = matches!(expr.node, Node::Text(_) | Node::Null);
            let is_number = matches!(&expr.node, Node::Text(text) if is_numeric_text(text));
            if is_number || (value.kind != Kind::LooseText && !is_literal) {
                let message =
                    "SQLite makes numbers of text in a column that is not declared TEXT: declare it so";
                return self.refuse(position, "comparison", message);
            }
        }
        if ordering {
            let message =
                "compared as text: numbers in a column that is not declared TEXT would compare otherwise";
            self.notes.push(Note { position, message: message.to_owned() });
        }
        Some(())
    }

    /// `nullif`, whose result is its first argument.
    pub(super) fn null_if(&mut self, arguments: &[Expr], position: Position) -> Option<Sql> {
        let exprs: Vec<&Expr> = arguments.iter().collect();
        let values = self.translate_all(exprs.iter().copied())?;
        let are_truths = values.iter().all(|value| matches!(value.kind, Kind::Truth | Kind::Null));
        let second = values.get(1)?.kind;
        let first = values.into_iter().next()?;
        let first = if are_truths { first } else { first.into_value() };
        let all = self.comparands(&exprs, false, position)?;
        let kind = if first.kind == Kind::Uuid { Kind::Text } else { first.kind };
        if let (Kind::Decimal, [_, second]) = (first.kind, all.as_slice()) {
            let first = arithmetic::decimal_as_real(&first).text;
            return Some(Sql::atom(Kind::Real, format!("NULLIF({first}, {second})")));
        }
        let chosen = Sql::chosen(kind, format!("NULLIF({})", all.join(", ")));
        // PostgreSQL answers with the type in which it compared both.
        let is_whole = matches!(kind, Kind::Small | Kind::Integer);
        Some(match is_whole && matches!(second, Kind::Decimal | Kind::Numeric | Kind::Real) {
            true => chosen.cast("bigint", Kind::Integer),
            false => chosen,
        })
    }
}

fn comparable(left: Kind, right: Kind) -> Result<(), String> {
    let (Some(left_class), Some(right_class)) = (class(left), class(right)) else {
        return Err("a value of this type cannot be compared here".to_owned());
    };
    if matches!((left, right), (Kind::Integer, Kind::Real) | (Kind::Real, Kind::Integer)) {
        return Err(
            "PostgreSQL compares an integer column with a floating point one less exactly than SQLite: \
                    declare both alike"
                .to_owned(),
        );
    }
    if left_class == right_class || left_class == Class::Null || right_class == Class::Null {
        return Ok(());
    }
    Err(format!("PostgreSQL does not compare {} with {}", left.describe(), right.describe()))
}
