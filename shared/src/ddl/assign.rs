//! A value put into a column, where SQLite applies the column's affinity.

use crate::value::parse_canonical_uuid;

use super::expression::{Kind, Refusal, Sql, is_numeric_text, number, refusal};
use super::json;
use super::quote;
use super::syntax::{Expr, Node, Unary};
use super::types::{Affinity, Moment, PgType};

/// SQL that gives a column of this type the value that SQLite would store.
///
/// # Errors
/// SQLite would store something that the type cannot hold, or the value has no exact form.
pub(super) fn assign(expr: &Expr, sql: Sql, pg: &PgType, affinity: Affinity) -> Result<Sql, Refusal> {
    if sql.kind == Kind::Null {
        return Ok(sql);
    }
    if let Node::Text(text) = &expr.node {
        return text_literal(text, sql, pg, affinity);
    }
    let value = sql.clone().into_value();
    let refused = || Err(mismatch(sql.kind, pg));
    match (pg, value.kind) {
        (PgType::Boolean, _) => truth(expr, sql),
        (PgType::Bigint, Kind::Small | Kind::Integer | Kind::Digits) => Ok(value),
        (PgType::Bigint, Kind::Decimal) => whole_decimal(&value),
        (PgType::Double, Kind::Small | Kind::Integer | Kind::Decimal | Kind::Real | Kind::Digits) => {
            Ok(value)
        }
        (PgType::Double, Kind::Numeric) => Ok(value.cast("double precision", Kind::Real)),
        (PgType::Numeric(_), Kind::Small | Kind::Integer | Kind::Decimal | Kind::Numeric | Kind::Digits) => {
            Ok(value)
        }
        (PgType::Text | PgType::Varchar(_) | PgType::Citext, Kind::Small | Kind::Integer) => {
            Ok(match literal_integer(expr) {
                true => Sql::atom(Kind::Text, quote::text(&value.text)),
                false => value.cast("text", Kind::Text),
            })
        }
        (PgType::Text | PgType::Varchar(_) | PgType::Citext, _) => value.as_text().map_or_else(refused, Ok),
        (PgType::Bytea, Kind::Blob) | (PgType::Uuid, Kind::Uuid) => Ok(value),
        (PgType::Uuid, Kind::Text) if is_lower(expr) => Ok(value.cast("uuid", Kind::Uuid)),
        (PgType::Native(moment), Kind::MomentText(told)) if *moment == told => Ok(native(&value, *moment)),
        _ => refused(),
    }
}

fn mismatch(kind: Kind, pg: &PgType) -> Refusal {
    let message =
        format!("a column of type {} cannot take {} from SQLite and keep it", pg.sql(), kind.describe());
    refusal("value of another type", message)
}

fn literal_integer(expr: &Expr) -> bool {
    match &expr.node {
        Node::Number(_) => true,
        Node::Unary { operator: Unary::Minus | Unary::Plus, operand } => literal_integer(operand),
        _ => false,
    }
}

fn is_lower(expr: &Expr) -> bool {
    matches!(&expr.node, Node::Call { name, arguments: _ } if name == "lower")
}

/// Only 0 and 1 are truth values.
fn truth(expr: &Expr, sql: Sql) -> Result<Sql, Refusal> {
    match (&expr.node, sql.kind) {
        (_, Kind::Truth) => Ok(sql),
        (Node::Number(text), _) if text == "0" => Ok(Sql::atom(Kind::Truth, "FALSE")),
        (Node::Number(text), _) if text == "1" => Ok(Sql::atom(Kind::Truth, "TRUE")),
        _ => Err(mismatch(sql.kind, &PgType::Boolean)),
    }
}

/// `5.0`, which integer affinity makes 5.
fn whole_decimal(value: &Sql) -> Result<Sql, Refusal> {
    match value.text.strip_suffix(".0") {
        Some(whole) => Ok(Sql { text: whole.to_owned(), kind: Kind::Integer, atomic: value.atomic }),
        None => Err(mismatch(value.kind, &PgType::Bigint)),
    }
}

fn native(value: &Sql, moment: Moment) -> Sql {
    let name = PgType::Native(moment).sql();
    let text = match moment {
        // SQLite tells moments in UTC and does not say so.
        Moment::Timestamp => format!("CAST({} || '+00' AS {name})", value.operand()),
        Moment::Date | Moment::Time => format!("CAST({} AS {name})", value.text),
    };
    Sql::atom(Kind::Opaque, text)
}

fn text_literal(text: &str, sql: Sql, pg: &PgType, affinity: Affinity) -> Result<Sql, Refusal> {
    let trimmed = text.trim_matches(|character: char| character.is_ascii_whitespace());
    let as_number = || {
        let (negative, digits) = trimmed
            .strip_prefix('-')
            .map_or((false, trimmed.trim_start_matches('+')), |digits| (true, digits));
        let number = number(digits)?;
        let text = if negative { format!("-{}", number.text) } else { number.text };
        Ok(Sql { text, kind: number.kind, atomic: !negative })
    };
    let looks_numeric = is_numeric_text(text);
    let no_number = || {
        let message =
            format!("SQLite would store this as text, and {} holds none: write it without quotes", pg.sql());
        Err(refusal("value of another type", message))
    };
    match pg {
        PgType::Bigint | PgType::Numeric(_) | PgType::Double if looks_numeric => {
            let value: Sql = as_number()?;
            if *pg == PgType::Bigint && value.kind == Kind::Decimal {
                whole_decimal(&value)
            } else {
                Ok(value)
            }
        }
        PgType::Boolean if trimmed == "0" => Ok(Sql::atom(Kind::Truth, "FALSE")),
        PgType::Boolean if trimmed == "1" => Ok(Sql::atom(Kind::Truth, "TRUE")),
        PgType::Bigint | PgType::Numeric(_) | PgType::Double | PgType::Boolean | PgType::Bytea => no_number(),
        PgType::Uuid if parse_canonical_uuid(text).is_some() => Ok(sql),
        PgType::Uuid => {
            Err(refusal("UUID", "it is no UUID in lower case with dashes, which PostgreSQL prints"))
        }
        PgType::Json if json::is_valid(text) => Ok(sql),
        PgType::Json => Err(refusal("JSON", "it is not valid JSON, which a column of type json demands")),
        PgType::Native(moment) if is_plain_moment(text, *moment) => Ok(native(&sql, *moment)),
        PgType::Native(_) => {
            Err(refusal("moment", "only YYYY-MM-DD and HH:MM:SS are understood, with a blank between"))
        }
        PgType::Text | PgType::Varchar(_) | PgType::Citext
            if affinity == Affinity::Text || !looks_numeric =>
        {
            Ok(sql)
        }
        PgType::Text | PgType::Varchar(_) | PgType::Citext => {
            // SQLite makes a number of it, whose text may be another.
            let value: Sql = as_number()?;
            let whole = value.kind.is_integer();
            if whole { Ok(Sql::atom(Kind::Text, quote::text(&value.text))) } else { no_number() }
        }
    }
}

fn is_plain_moment(text: &str, moment: Moment) -> bool {
    let shape: String =
        text.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    shape
        == match moment {
            Moment::Date => "0000-00-00",
            Moment::Time => "00:00:00",
            Moment::Timestamp => "0000-00-00 00:00:00",
        }
}
