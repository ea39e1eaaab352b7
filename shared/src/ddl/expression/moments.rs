//! The present time, in SQLite's notations and in UTC.

use super::super::problem::Position;
use super::super::quote;
use super::super::syntax::{Expr, Node};
use super::super::types::Moment;
use super::value::{Kind, Sql};
use super::{Place, Refusal, Translator, refusal};

const NOW: &str = "statement_timestamp() AT TIME ZONE 'UTC'";
const DATE_FORMAT: &str = "YYYY-MM-DD";

/// The present time after some modifiers, as SQL of type `timestamp`.
struct Present {
    sql: String,
    /// Whether milliseconds are wanted.
    subsecond: bool,
}

impl Translator<'_> {
    /// `CURRENT_TIMESTAMP` and its like.
    pub(super) fn current(&mut self, word: &'static str, position: Position) -> Option<Sql> {
        let name = match word {
            "CURRENT_DATE" => "date",
            "CURRENT_TIME" => "time",
            _ => "datetime",
        };
        self.moment(name, &[], position)
    }

    pub(super) fn moment(&mut self, name: &str, arguments: &[Expr], position: Position) -> Option<Sql> {
        if self.place != Place::Default {
            let message = format!("{name}() of a column, or of the present time, cannot stand here");
            return self.refuse(position, "date function", message);
        }
        let literals: Option<Vec<&str>> = arguments
            .iter()
            .map(|argument| match &argument.node {
                Node::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let Some(literals) = literals else {
            return self.refuse(position, "date function", "only literals are understood as arguments");
        };
        self.told(position, call(name, &literals))
    }
}

fn call(name: &str, literals: &[&str]) -> Result<Sql, Refusal> {
    let (format, times) = match (name, literals) {
        ("strftime", [format, times @ ..]) => (*format, times),
        ("strftime", []) => return Err(refusal("strftime", "a format is missing")),
        _ => ("", literals),
    };
    let present = present(times)?;
    let formatted = |format: &str, moment| {
        let fraction = if present.subsecond && moment != Moment::Date { ".MS" } else { "" };
        Ok(to_char(&present, &format!("{format}{fraction}"), Kind::MomentText(moment)))
    };
    match name {
        "date" => formatted(DATE_FORMAT, Moment::Date),
        "time" => formatted("HH24:MI:SS", Moment::Time),
        "datetime" => formatted("YYYY-MM-DD HH24:MI:SS", Moment::Timestamp),
        "unixepoch" if present.subsecond => {
            let text = format!("CAST(round(extract(epoch FROM {}), 3) AS double precision)", present.sql);
            Ok(Sql::atom(Kind::Real, text))
        }
        "unixepoch" => Ok(Sql::atom(Kind::Integer, seconds(&present))),
        "strftime" if format == "%s" => Ok(Sql::atom(Kind::Digits, seconds(&present))),
        "strftime" => Ok(to_char(&present, &template(format)?, Kind::Text)),
        _ => Err(refusal(
            "date function",
            format!("{name}() counts in days as floating point numbers: use unixepoch() or datetime()"),
        )),
    }
}

fn seconds(present: &Present) -> String {
    format!("CAST(floor(extract(epoch FROM {})) AS bigint)", present.sql)
}

fn to_char(present: &Present, format: &str, kind: Kind) -> Sql {
    Sql::atom(kind, format!("to_char({}, {})", present.sql, quote::text(format)))
}

fn present(times: &[&str]) -> Result<Present, Refusal> {
    let modifiers = match times {
        [] => [].as_slice(),
        [now, modifiers @ ..] if now.eq_ignore_ascii_case("now") => modifiers,
        _ => return Err(refusal("date function", "only 'now' is understood as a time")),
    };
    let mut present = Present { sql: NOW.to_owned(), subsecond: false };
    for modifier in modifiers {
        let modifier = modifier.to_ascii_lowercase();
        present.sql = match modifier.as_str() {
            "subsec" | "subsecond" => {
                present.subsecond = true;
                continue;
            }
            "start of day" => format!("date_trunc('day', {})", present.sql),
            "start of month" => format!("date_trunc('month', {})", present.sql),
            "start of year" => format!("date_trunc('year', {})", present.sql),
            "localtime" | "utc" => {
                let message = "the server does not know the device's time zone: keep times in UTC";
                return Err(refusal("time zone", message));
            }
            _ => match interval(&modifier) {
                Some(interval) => format!("({}) + interval '{interval}'", present.sql),
                None => {
                    let message = format!("the modifier '{modifier}' has no exact equivalent in PostgreSQL");
                    return Err(refusal("date modifier", message));
                }
            },
        };
    }
    Ok(present)
}

/// `+7 days` and its like. Months and years are of different lengths, and the engines differ at their ends.
fn interval(modifier: &str) -> Option<String> {
    let (number, unit) = modifier.split_once(' ')?;
    let number: i32 = number.parse().ok()?;
    let unit = unit.trim_end_matches('s');
    matches!(unit, "day" | "hour" | "minute" | "second").then(|| format!("{number} {unit}"))
}

/// A format of `strftime` as a template of `to_char`.
fn template(format: &str) -> Result<String, Refusal> {
    let mut template = String::new();
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let pattern = match rest.next() {
            Some('%') => {
                text.push('%');
                continue;
            }
            Some('Y') => "YYYY",
            Some('m') => "MM",
            Some('d') => "DD",
            Some('H') => "HH24",
            Some('M') => "MI",
            Some('S') => "SS",
            Some('f') => "SS.MS",
            Some('j') => "DDD",
            Some('F') => DATE_FORMAT,
            Some('T') => "HH24:MI:SS",
            Some('R') => "HH24:MI",
            other => {
                let other = other.map_or_else(|| "%".to_owned(), |letter| format!("%{letter}"));
                let message = format!("{other} has no exact equivalent beside other text");
                return Err(refusal("strftime", message));
            }
        };
        push_text(&mut template, &text);
        text.clear();
        template.push_str(pattern);
    }
    if !text.is_empty() {
        push_text(&mut template, &text);
    }
    Ok(template)
}

/// Text in quotes; empty ones keep patterns apart that would be another pattern together.
fn push_text(template: &mut String, text: &str) {
    if text.is_empty() && template.is_empty() {
        return;
    }
    let is_plain =
        !text.is_empty() && text.chars().all(|character| matches!(character, '-' | ':' | ' ' | '.' | '/'));
    if is_plain {
        template.push_str(text);
    } else {
        template.push('"');
        template.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
        template.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_become_templates() {
        let shown = |format| template(format).map_err(|refusal| refusal.message);
        assert_eq!(shown("%Y-%m-%dT%H:%M:%fZ").unwrap(), "YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"");
        assert_eq!(shown("%S%S").unwrap(), "SS\"\"SS");
        assert!(shown("%W").unwrap_err().contains("%W"));
        assert!(shown("%").is_err());
    }

    #[test]
    fn modifiers_of_fixed_length_are_intervals() {
        assert_eq!(interval("+7 days").as_deref(), Some("7 day"));
        assert_eq!(interval("-1 hour").as_deref(), Some("-1 hour"));
        assert_eq!(interval("+1 month"), None);
        assert_eq!(interval("1.5 days"), None);
    }
}
