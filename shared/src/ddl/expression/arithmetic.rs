//! Arithmetic: 64-bit integers and floats as in SQLite, where a division by zero is NULL.

use super::super::syntax::Binary;
use super::value::{Kind, Sql};
use super::{Refusal, refusal};

/// The bits of an integer.
const BITS: i64 = 64;

fn operand_of(sql: Sql) -> Result<Sql, Refusal> {
    let value = sql.into_value();
    match value.kind {
        Kind::Small | Kind::Integer | Kind::Real => Ok(value),
        Kind::Decimal => Ok(decimal_as_real(&value)),
        // SQLite reads the digits as the number that they are here already.
        Kind::Digits => Ok(Sql { kind: Kind::Integer, ..value }),
        Kind::Numeric => Err(refusal(
            "arithmetic",
            "SQLite computes decimal numbers in floating point, PostgreSQL exactly: use INTEGER or REAL columns",
        )),
        Kind::Null
        | Kind::Truth
        | Kind::Text
        | Kind::LooseText
        | Kind::MomentText(_)
        | Kind::Blob
        | Kind::Uuid
        | Kind::Opaque => {
            Err(refusal("arithmetic", format!("PostgreSQL does not compute with {}", value.kind.describe())))
        }
    }
}

/// A literal with a point as the float that SQLite takes it for.
pub(super) fn decimal_as_real(sql: &Sql) -> Sql {
    if sql.kind == Kind::Decimal { sql.cast("double precision", Kind::Real) } else { sql.clone() }
}

fn widened(sql: Sql) -> Sql {
    if sql.kind == Kind::Small { sql.cast("bigint", Kind::Integer) } else { sql }
}

/// `-x`
pub(super) fn negate(operand: Sql) -> Result<Sql, Refusal> {
    let operand = if operand.kind == Kind::Numeric { operand } else { widened(operand_of(operand)?) };
    Ok(Sql::compound(operand.kind, format!("- {}", operand.operand())))
}

/// `~x`
pub(super) fn invert(operand: Sql) -> Result<Sql, Refusal> {
    let operand = widened(operand_of(operand)?);
    match operand.kind {
        Kind::Integer => Ok(Sql::compound(Kind::Integer, format!("~ {}", operand.operand()))),
        _ => Err(refusal("~", "only integers have bits in PostgreSQL")),
    }
}

/// `x << n` and `x >> n`, where other counts than these have another meaning in PostgreSQL.
pub(super) fn shift(operator: Binary, left: Sql, count: Option<i64>) -> Result<Sql, Refusal> {
    let sign = if operator == Binary::ShiftLeft { "<<" } else { ">>" };
    let left = widened(operand_of(left)?);
    match (left.kind, count) {
        (Kind::Integer, Some(count @ 0..BITS)) => {
            Ok(Sql::compound(Kind::Integer, format!("{} {sign} {count}", left.operand())))
        }
        _ => Err(refusal("shift", "only integers can be shifted, by a number from 0 to 63")),
    }
}

/// All other operators on two numbers.
pub(super) fn binary(operator: Binary, left: Sql, right: Sql) -> Result<Sql, Refusal> {
    let (left, right) = (operand_of(left)?, operand_of(right)?);
    let both_whole = left.kind.is_integer() && right.kind.is_integer();
    let (sign, for_floats) = match operator {
        Binary::Add => ("+", true),
        Binary::Subtract => ("-", true),
        Binary::Multiply => ("*", true),
        Binary::Divide => ("/", true),
        Binary::Remainder => ("%", false),
        Binary::BitAnd => ("&", false),
        Binary::BitOr => ("|", false),
        _ => return Err(refusal("arithmetic", "this is no operator on numbers")),
    };
    if !both_whole && !for_floats {
        let message = format!("{sign} of floating point numbers has no equivalent in PostgreSQL");
        return Err(refusal("arithmetic", message));
    }
    let kind = if both_whole { Kind::Integer } else { Kind::Real };
    // PostgreSQL's integer literals have 32 bits, in which SQLite's results would overflow.
    let left = match (both_whole, left.kind, right.kind) {
        (true, Kind::Small, Kind::Small) => widened(left),
        (false, Kind::Small | Kind::Integer, _) => left.cast("double precision", Kind::Real),
        _ => left,
    };
    let right = match (both_whole, right.kind) {
        (false, Kind::Small | Kind::Integer) => right.cast("double precision", Kind::Real),
        _ => right,
    };
    let divides = matches!(operator, Binary::Divide | Binary::Remainder);
    let is_other_than_zero = right.text.parse::<i64>().is_ok_and(|number| number != 0);
    let divisor =
        if divides && !is_other_than_zero { format!("NULLIF({}, 0)", right.text) } else { right.operand() };
    Ok(Sql::compound(kind, format!("{} {sign} {divisor}", left.operand())))
}
