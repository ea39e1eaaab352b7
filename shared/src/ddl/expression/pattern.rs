//! `LIKE`, which knows A to Z in both cases, and `GLOB`.

use super::super::quote;
use super::super::syntax::{Expr, Node};
use super::Translator;
use super::value::{Kind, Sql};

impl Translator<'_> {
    pub(super) fn like(
        &mut self,
        operand: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
    ) -> Option<Sql> {
        let (value, shape) = (self.text_operand(operand), self.text_operand(pattern));
        let (value, shape) = (value?, shape?);
        // Without ESCAPE, SQLite has no character to escape with, and PostgreSQL has the backslash.
        let escape = match escape.map(|escape| (&escape.node, &pattern.node)) {
            None => String::new(),
            Some((Node::Text(letter), Node::Text(pattern))) if is_fit_escape(letter, pattern) => {
                letter.clone()
            }
            Some(_) => {
                let message =
                    "ESCAPE is understood with a pattern and one character, both literals, that do not clash";
                return self.refuse(pattern.position, "ESCAPE", message);
            }
        };
        let not = if negated { "NOT " } else { "" };
        Some(Sql::compound(
            Kind::Truth,
            format!("{} {not}ILIKE {} ESCAPE {}", value.bytewise(), shape.operand(), quote::text(&escape)),
        ))
    }

    pub(super) fn glob(&mut self, operand: &Expr, pattern: &Expr, negated: bool) -> Option<Sql> {
        let value = self.text_operand(operand);
        let Node::Text(glob) = &pattern.node else {
            return self.refuse(pattern.position, "GLOB", "the pattern must be a literal");
        };
        let Some(regular) = regular_expression(glob) else {
            return self.refuse(pattern.position, "GLOB", "a [ is not closed, or a range runs backwards");
        };
        let sign = if negated { "!~" } else { "~" };
        Some(Sql::compound(Kind::Truth, format!("{} {sign} {}", value?.bytewise(), quote::text(&regular))))
    }

    fn text_operand(&mut self, expr: &Expr) -> Option<Sql> {
        let value = self.translate(expr)?.into_value();
        match value.kind {
            Kind::Small | Kind::Integer => Some(value.cast("text", Kind::Text)),
            Kind::Null => Some(value.cast("text", Kind::Text)),
            _ => match value.as_text() {
                Some(text) => Some(text),
                None => {
                    let message =
                        format!("{} cannot be matched with a pattern in PostgreSQL", value.kind.describe());
                    self.refuse(expr.position, "pattern", message)
                }
            },
        }
    }
}

/// One character that is no wildcard and does not stand alone at the end of the pattern.
fn is_fit_escape(letter: &str, pattern: &str) -> bool {
    let mut letters = letter.chars();
    let (Some(escape), None) = (letters.next(), letters.next()) else { return false };
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        if character == escape && rest.next().is_none() {
            return false;
        }
    }
    !matches!(escape, '%' | '_')
}

/// The regular expression that matches what a GLOB pattern does; `None`: no text would match it.
fn regular_expression(glob: &str) -> Option<String> {
    let mut regular = "^".to_owned();
    let mut rest = glob.chars();
    while let Some(character) = rest.next() {
        match character {
            '*' => regular.push_str(".*"),
            '?' => regular.push('.'),
            '[' => {
                let (class, after) = character_class(rest.as_str())?;
                regular.push_str(&class);
                rest = after.chars();
            }
            _ => push_escaped(&mut regular, character),
        }
    }
    regular.push('$');
    Some(regular)
}

/// What follows a `[`, as a class of a regular expression, and what follows its `]`.
fn character_class(text: &str) -> Option<(String, &str)> {
    let (negated, mut rest) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let mut class = if negated { "[^".to_owned() } else { "[".to_owned() };
    let mut prior: Option<char> = None;
    let mut is_first = true;
    loop {
        let character = rest.chars().next()?;
        let after = rest.get(character.len_utf8()..)?;
        if character == ']' && !is_first {
            class.push(']');
            return Some((class, after));
        }
        rest = after;
        is_first = false;
        match (character, prior, rest.chars().next()) {
            ('-', Some(low), Some(high)) if high != ']' => {
                if high < low {
                    return None;
                }
                class.push('-');
                push_escaped(&mut class, high);
                rest = rest.get(high.len_utf8()..)?;
                prior = None;
            }
            _ => {
                push_escaped(&mut class, character);
                prior = Some(character);
            }
        }
    }
}

fn push_escaped(regular: &mut String, character: char) {
    if character.is_ascii_punctuation() && character != '_' {
        regular.push('\\');
    }
    regular.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_become_regular_expressions() {
        let pairs = [
            ("a*b?", "^a.*b.$"),
            ("[a-z]*", "^[a-z].*$"),
            ("[^0-9.]", "^[^0-9\\.]$"),
            ("[]x-]", "^[\\]x\\-]$"),
            ("a.b+", "^a\\.b\\+$"),
        ];
        for (glob, regular) in pairs {
            assert_eq!(regular_expression(glob).as_deref(), Some(regular));
        }
        assert_eq!(regular_expression("[a"), None);
        assert_eq!(regular_expression("[z-a]"), None);
    }

    #[test]
    fn an_escape_must_not_dangle() {
        assert!(is_fit_escape("!", "a!%b"));
        assert!(!is_fit_escape("!", "a!") && !is_fit_escape("%", "a") && !is_fit_escape("ab", "a"));
    }
}
