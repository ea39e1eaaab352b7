//! Numbers as they are written.

use super::super::syntax::{Expr, Node, Unary};
use super::value::{Kind, Sql};
use super::{Refusal, refusal};

/// Floats from here on are written with an exponent.
const LONGEST_PLAIN_FLOAT: f64 = 1e15;

/// A number literal without a sign.
pub(in super::super) fn number(text: &str) -> Result<Sql, Refusal> {
    signed(text, false)
}

/// A number literal with a minus before it. The least integer can be written in no other way.
pub(super) fn negative(text: &str) -> Result<Sql, Refusal> {
    signed(text, true)
}

fn signed(text: &str, is_negative: bool) -> Result<Sql, Refusal> {
    let sign = if is_negative { "-" } else { "" };
    let sql = |kind, text: String| {
        let least = i64::MIN.to_string();
        if text == least {
            // Without its sign it is too large for a bigint.
            Sql::atom(kind, format!("CAST('{least}' AS bigint)"))
        } else if is_negative {
            Sql::compound(kind, text)
        } else {
            Sql::atom(kind, text)
        }
    };
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // Sixteen digits are the bits of an integer, its sign among them.
        let bits = u64::from_str_radix(digits, 16)
            .map_err(|_| refusal("hexadecimal number", "it has more than 64 bits"))?;
        let whole = i64::from_ne_bytes(bits.to_ne_bytes());
        let whole = if is_negative { whole.wrapping_neg() } else { whole };
        let literal = sql(width(whole), whole.to_string());
        return Ok(if whole < 0 {
            Sql { atomic: literal.text.starts_with('C'), ..literal }
        } else {
            literal
        });
    }
    if let Ok(whole) = format!("{sign}{text}").parse::<i64>() {
        return Ok(sql(width(whole), whole.to_string()));
    }
    match format!("{sign}{text}").parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(sql(Kind::Decimal, float_text(float))),
        _ => Err(refusal("number", format!("{text} is too large for a floating point number"))),
    }
}

fn width(whole: i64) -> Kind {
    if i32::try_from(whole).is_ok() { Kind::Small } else { Kind::Integer }
}

/// The shortest text that reads back to the same float, and not as an integer.
fn float_text(float: f64) -> String {
    if float.abs() >= LONGEST_PLAIN_FLOAT {
        return format!("{float:e}");
    }
    let text = float.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// The value of an integer literal.
pub(super) fn whole(expr: &Expr) -> Option<i64> {
    match &expr.node {
        Node::Number(text) => text.parse().ok(),
        Node::Unary { operator: Unary::Minus, operand } => whole(operand)?.checked_neg(),
        _ => None,
    }
}

/// Whether SQLite would turn this text into a number in a column that prefers numbers.
pub(in super::super) fn is_numeric_text(text: &str) -> bool {
    let trimmed = text.trim_matches(|character: char| character.is_ascii_whitespace() || character == '\x0b');
    let begins_with_digit =
        trimmed.trim_start_matches(['+', '-', '.']).starts_with(|character: char| character.is_ascii_digit());
    begins_with_digit && trimmed.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: Result<Sql, Refusal>) -> String {
        sql.map_or_else(|refusal| refusal.message, |sql| sql.text)
    }

    #[test]
    fn numbers_keep_their_value_and_kind() {
        assert_eq!(text(number("007")), "7");
        assert_eq!(text(number("0xFFFFFFFFFFFFFFFF")), "-1");
        assert_eq!(text(number("9223372036854775808")), "9.223372036854776e18");
        assert_eq!(text(negative("9223372036854775808")), "CAST('-9223372036854775808' AS bigint)");
        assert_eq!(text(number("5.")), "5.0");
        assert_eq!(text(number("1e3")), "1000.0");
        assert!(number("1e999").is_err());
        assert!(number("5").is_ok_and(|sql| sql.kind == Kind::Small));
        assert!(number("5000000000").is_ok_and(|sql| sql.kind == Kind::Integer));
    }

    #[test]
    fn text_like_a_number_is_known() {
        for text in ["1", " 1.5 ", "-2e3", ".5", "+1"] {
            assert!(is_numeric_text(text), "{text}");
        }
        for text in ["", "a", "2024-01-01", "0x10", "1a", "inf", "NaN"] {
            assert!(!is_numeric_text(text), "{text}");
        }
    }
}
