//! Functions: those that give the same in both, by another name where need be.

use super::super::problem::Position;
use super::super::quote;
use super::super::syntax::{Binary, Expr, Node};
use super::super::types::PgType;
use super::value::{Kind, Sql};
use super::{Place, Refusal, Translator, literal, refusal};

/// The longest `randomblob` in a default: one SHA-256.
const MAX_RANDOM_BYTES: i64 = 32;

const RANDOM_BYTES: &str = "sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))";

impl Translator<'_> {
    pub(super) fn call(&mut self, name: &str, arguments: &[Expr], position: Position) -> Option<Sql> {
        match (name, arguments) {
            ("date" | "time" | "datetime" | "strftime" | "unixepoch" | "julianday" | "timediff", _) => {
                self.moment(name, arguments, position)
            }
            ("random" | "randomblob" | "cloudsync_uuid", _) => self.chance(name, arguments, position),
            ("coalesce", [_, _, ..]) | ("ifnull", [_, _]) => {
                let values = self.translate_all(arguments)?;
                let (values, kind) = self.unified(values, position)?;
                let list: Vec<String> = values.into_iter().map(|value| value.text).collect();
                Some(Sql::chosen(kind, format!("COALESCE({})", list.join(", "))))
            }
            ("lower" | "upper", [Expr { node: Node::Text(text), position: _, height: _ }])
                if !text.contains('\0') =>
            {
                let folded =
                    if name == "lower" { text.to_ascii_lowercase() } else { text.to_ascii_uppercase() };
                Some(Sql::atom(Kind::Text, quote::text(&folded)))
            }
            ("nullif", [_, _]) => self.null_if(arguments, position),
            ("iif" | "if", [condition, then, otherwise @ ..]) if otherwise.len() <= 1 => {
                let condition = self.condition(condition);
                let values = self.translate_all([then].into_iter().chain(otherwise))?;
                let (values, kind) = self.unified(values, position)?;
                let condition = condition?.text;
                let list: Vec<String> = values.into_iter().map(|value| value.text).collect();
                Some(Sql::chosen(kind, format!("CASE WHEN {condition} THEN {} END", list.join(" ELSE "))))
            }
            ("min" | "max", [_, _, ..]) => self.extreme(name, arguments, position),
            ("likely" | "unlikely", [operand]) => self.translate(operand),
            ("json_valid", [operand]) => self.json_valid(operand, position),
            ("typeof", [operand]) => {
                let operand = self.translate(operand)?;
                self.told(position, type_name(&operand))
            }
            ("substr" | "substring", [text, start, count @ ..]) if count.len() <= 1 => {
                self.substring(text, start, count.first(), position)
            }
            _ => {
                let values = self.translate_all(arguments)?;
                self.told(position, plain(name, &values))
            }
        }
    }

    /// Random values, which only a default may have.
    fn chance(&mut self, name: &str, arguments: &[Expr], position: Position) -> Option<Sql> {
        if self.place != Place::Default {
            let message = format!("{name}() changes by itself and can stand in a DEFAULT only");
            return self.refuse(position, "non-deterministic function", message);
        }
        match (name, arguments) {
            ("cloudsync_uuid", []) => Some(Sql::atom(Kind::Uuid, "cloudsync_uuid()")),
            ("random", []) => {
                let digits = format!("'x' || encode(substr({RANDOM_BYTES}, 1, 8), 'hex')");
                Some(Sql::atom(Kind::Integer, format!("CAST(CAST({digits} AS bit(64)) AS bigint)")))
            }
            ("randomblob", [count]) => match literal::whole(count) {
                Some(count @ 1..=MAX_RANDOM_BYTES) => {
                    Some(Sql::atom(Kind::Blob, format!("substr({RANDOM_BYTES}, 1, {count})")))
                }
                _ => {
                    let message =
                        format!("the number of bytes must be a literal from 1 to {MAX_RANDOM_BYTES}");
                    self.refuse(position, "randomblob", message)
                }
            },
            _ => self.refuse(
                position,
                "function",
                format!("{name} does not take {} arguments", arguments.len()),
            ),
        }
    }

    /// `min` and `max` of several values, which are NULL if one of them is.
    fn extreme(&mut self, name: &str, arguments: &[Expr], position: Position) -> Option<Sql> {
        let values = self.translate_all(arguments)?;
        let values: Vec<Sql> = values.into_iter().map(Sql::into_value).collect();
        if !values.iter().all(|value| value.kind.is_integer()) {
            let message = format!("{name}() of several values is translated for integers only: use CASE");
            return self.refuse(position, "function", message);
        }
        let is_null: Vec<String> =
            values.iter().map(|value| format!("{} IS NULL", value.operand())).collect();
        let list: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
        let word = if name == "min" { "LEAST" } else { "GREATEST" };
        let text =
            format!("CASE WHEN {} THEN NULL ELSE {word}({}) END", is_null.join(" OR "), list.join(", "));
        Some(Sql::atom(Kind::Integer, text))
    }

    fn json_valid(&mut self, operand: &Expr, position: Position) -> Option<Sql> {
        /// The first major version with `IS JSON`.
        const KNOWS_IS_JSON: u32 = 16;
        let is_json = match &operand.node {
            Node::Column { table: _, name } => self
                .columns
                .iter()
                .any(|column| column.name.eq_ignore_ascii_case(name) && column.pg == Some(PgType::Json)),
            _ => false,
        };
        let value = self.translate(operand)?;
        if is_json {
            // A column of type json holds nothing else.
            return Some(Sql::atom(
                Kind::Truth,
                format!("CASE WHEN {} IS NOT NULL THEN TRUE END", value.text),
            ));
        }
        if matches!(value.kind, Kind::Text) && self.options.postgres >= KNOWS_IS_JSON {
            return Some(Sql::compound(Kind::Truth, format!("{} IS JSON", value.operand())));
        }
        let message =
            "declare the column JSON: then PostgreSQL accepts valid JSON only, before version 16 too";
        self.refuse(position, "json_valid", message)
    }

    fn substring(
        &mut self,
        text: &Expr,
        start: &Expr,
        count: Option<&Expr>,
        position: Position,
    ) -> Option<Sql> {
        let text = self.translate(text)?;
        let Some(text) = text.as_text() else {
            let message = format!("the parts of {} are not the same in PostgreSQL", text.kind.describe());
            return self.refuse(position, "substr", message);
        };
        let start_is_positive = is_at_least(start, 1);
        let start = self.translate(start)?;
        let count_text = match count.map(literal::whole) {
            None => String::new(),
            Some(Some(count @ 0..=0x7fff_ffff)) => format!(", {count}"),
            Some(_) => {
                return self.refuse(position, "substr", "the length must be a literal that is not negative");
            }
        };
        if !start_is_positive || !start.kind.is_integer() {
            let message = "the start must be 1 or more: PostgreSQL counts others from another end";
            return self.refuse(position, "substr", message);
        }
        let start = if start.kind == Kind::Integer { start.cast("integer", Kind::Small) } else { start };
        Some(Sql::atom(Kind::Text, format!("substr({}, {}{count_text})", text.text, start.text)))
    }
}

/// Whether an expression of integers cannot be less than `least`, as far as its form tells.
fn is_at_least(expr: &Expr, least: i64) -> bool {
    if let Some(number) = literal::whole(expr) {
        return number >= least;
    }
    match &expr.node {
        Node::Binary { operator: Binary::Add, left, right } => literal::whole(right)
            .is_some_and(|right| (0..=least.max(0)).contains(&right) && is_at_least(left, least - right)),
        Node::Binary { operator: Binary::Remainder, left, right } => {
            least <= 0 && is_at_least(left, 0) && literal::whole(right).is_some_and(|right| right > 0)
        }
        Node::Call { name, arguments } => least <= 0 && name == "abs" && arguments.len() == 1,
        _ => false,
    }
}

/// Functions of their arguments' values alone.
fn plain(name: &str, arguments: &[Sql]) -> Result<Sql, Refusal> {
    let texts: Option<Vec<Sql>> = arguments.iter().map(Sql::as_text).collect();
    let kinds: Vec<Kind> = arguments.iter().map(|argument| argument.kind).collect();
    let list = |texts: &[Sql]| texts.iter().map(|text| text.text.clone()).collect::<Vec<_>>().join(", ");
    match (name, arguments, texts.as_deref()) {
        ("length", _, Some([text])) => Ok(Sql::atom(Kind::Small, format!("length({})", text.text))),
        ("length", [value], None) if value.kind.is_integer() => {
            Ok(Sql::atom(Kind::Small, format!("length({})", value.cast("text", Kind::Text).text)))
        }
        ("length" | "octet_length", [value], None) if value.kind == Kind::Blob => {
            Ok(Sql::atom(Kind::Small, format!("octet_length({})", value.text)))
        }
        ("octet_length", _, Some([text])) => {
            Ok(Sql::atom(Kind::Small, format!("octet_length({})", text.text)))
        }
        ("lower" | "upper", _, Some([text])) => {
            Ok(Sql::atom(Kind::Text, format!("{name}({})", text.bytewise())))
        }
        ("trim", _, Some(texts @ ([_] | [_, _]))) => {
            Ok(Sql::atom(Kind::Text, format!("btrim({})", list(texts))))
        }
        ("ltrim" | "rtrim", _, Some(texts @ ([_] | [_, _]))) => {
            Ok(Sql::atom(Kind::Text, format!("{name}({})", list(texts))))
        }
        ("instr", _, Some(texts @ [_, _])) => Ok(Sql::atom(Kind::Small, format!("strpos({})", list(texts)))),
        ("replace", _, Some(texts @ [_, _, _])) => {
            Ok(Sql::atom(Kind::Text, format!("replace({})", list(texts))))
        }
        ("hex", [value], _) if value.kind == Kind::Blob => {
            let digits = format!("upper(encode({}, 'hex'))", value.text);
            // SQLite's hex(NULL) is an empty text; random bytes are never NULL.
            let is_random = value.text.contains(RANDOM_BYTES);
            Ok(Sql::atom(Kind::Text, if is_random { digits } else { format!("COALESCE({digits}, '')") }))
        }
        ("abs", [value], _) if value.kind.is_integer() => {
            let wide =
                if value.kind == Kind::Small { value.cast("bigint", Kind::Integer) } else { value.clone() };
            Ok(Sql::atom(Kind::Integer, format!("abs({})", wide.text)))
        }
        ("abs", [value], _) if value.kind == Kind::Real => {
            Ok(Sql::atom(Kind::Real, format!("abs({})", value.text)))
        }
        (
            "length" | "octet_length" | "lower" | "upper" | "trim" | "ltrim" | "rtrim" | "instr" | "replace"
            | "hex" | "abs",
            ..,
        ) => {
            let kinds: Vec<&str> = kinds.into_iter().map(Kind::describe).collect();
            let message = format!("{name}({}) has no equivalent in PostgreSQL", kinds.join(", "));
            Err(refusal("function", message))
        }
        _ => Err(refusal("function", format!("{name}() has no equivalent that is known to give the same"))),
    }
}

/// `typeof`, where the type of the column leaves one answer besides `null`.
fn type_name(operand: &Sql) -> Result<Sql, Refusal> {
    let name = match operand.kind {
        Kind::Null => return Ok(Sql::atom(Kind::Text, "'null'")),
        Kind::Truth | Kind::Small | Kind::Integer => "integer",
        Kind::Decimal | Kind::Real => "real",
        Kind::Text | Kind::MomentText(_) | Kind::Uuid | Kind::Digits => "text",
        Kind::Blob => "blob",
        Kind::LooseText | Kind::Numeric | Kind::Opaque => {
            return Err(refusal("typeof", "in such a column SQLite keeps values of several types"));
        }
    };
    let text = format!("CASE WHEN {} IS NULL THEN 'null' ELSE '{name}' END", operand.operand());
    Ok(Sql::atom(Kind::Text, text))
}
