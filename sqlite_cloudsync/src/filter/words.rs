//! A filter read word by word: only what is one expression over columns may stand where triggers put it.

/// Names of the rowid, which VACUUM may renumber.
const ROW_IDS: [&str; 3] = ["rowid", "oid", "_rowid_"];
/// Functions of time that mean the present when they are told no other time.
const TIME_FUNCTIONS: [&str; 7] =
    ["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];
/// Texts that make a function of time depend on when, or where, it is asked.
const PASSING_TIMES: [&str; 3] = ["now", "localtime", "utc"];

/// A word of an expression.
#[derive(Debug, PartialEq, Eq)]
enum Word<'a> {
    /// A name or keyword as it stands there.
    Bare(&'a str),
    /// A name in double quotes, backquotes or brackets, without them.
    Quoted(String),
    /// A text, without its quotes.
    Text(String),
    /// A number, or anything else that begins with a digit.
    Number,
    /// Any other character.
    Sign(char),
}

/// Why an expression cannot be a filter of a table with these columns; `None` if its words are harmless.
/// Whether SQLite understands it is another question.
pub fn objection(expression: &str, columns: &[&str]) -> Option<String> {
    let words = match split(expression) {
        Ok(words) => words,
        Err(reason) => return Some(reason.to_owned()),
    };
    if words.is_empty() {
        return Some("it is empty".to_owned());
    }
    parentheses(&words).or_else(|| words.iter().enumerate().find_map(|(at, _)| about(&words, at, columns)))
}

/// What speaks against one word.
fn about(words: &[Word<'_>], at: usize, columns: &[&str]) -> Option<String> {
    let is_column = |name: &str| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    let next = words.get(at + 1);
    match words.get(at)? {
        Word::Sign(';') => Some("it is more than one expression".to_owned()),
        Word::Sign('.') if next != Some(&Word::Number) => {
            Some("columns are named without their table".to_owned())
        }
        // SQLite takes a misspelt name in double quotes for a text.
        Word::Quoted(name) if !is_column(name) => Some(format!("there is no column {name}")),
        Word::Bare(name) if ROW_IDS.iter().any(|id| id.eq_ignore_ascii_case(name)) && !is_column(name) => {
            Some(format!("{name} may change while the row does not"))
        }
        Word::Bare(name) if next == Some(&Word::Sign('(')) && is_time_function(name) => {
            present_time(words, at).then(|| format!("{name} without a time tells the present"))
        }
        Word::Text(text) if PASSING_TIMES.iter().any(|time| time.eq_ignore_ascii_case(text.trim())) => {
            Some(format!("'{text}' is another time at each use"))
        }
        _ => None,
    }
}

fn is_time_function(name: &str) -> bool {
    TIME_FUNCTIONS.iter().any(|function| function.eq_ignore_ascii_case(name))
}

/// Whether the call of a time function that begins at a word is about the present.
fn present_time(words: &[Word<'_>], at: usize) -> bool {
    let formatted = matches!(words.get(at), Some(Word::Bare(name)) if name.eq_ignore_ascii_case("strftime"));
    let (mut depth, mut commas, mut count) = (0usize, 0usize, 0usize);
    for word in words.get(at + 1..).unwrap_or_default() {
        match word {
            Word::Sign('(') => depth += 1,
            Word::Sign(')') => depth = depth.saturating_sub(1),
            Word::Sign(',') if depth == 1 => commas += 1,
            _ => count += 1,
        }
        if depth == 0 {
            break;
        }
    }
    count == 0 || (formatted && commas == 0)
}

fn parentheses(words: &[Word<'_>]) -> Option<String> {
    let mut depth = 0usize;
    for word in words {
        match word {
            Word::Sign('(') => depth += 1,
            Word::Sign(')') => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some("a parenthesis is closed that was not opened".to_owned()),
            },
            _ => {}
        }
    }
    (depth > 0).then(|| "a parenthesis is not closed".to_owned())
}

fn split(expression: &str) -> Result<Vec<Word<'_>>, &'static str> {
    let mut words = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            _ if first.is_whitespace() => (None, rest.get(first.len_utf8()..)),
            '-' if rest.starts_with("--") => return Err("comments are not allowed"),
            '/' if rest.starts_with("/*") => return Err("comments are not allowed"),
            '\0' => return Err("it holds a NUL character"),
            '\'' => quoted(rest, '\'', '\'').map(|(text, after)| (Some(Word::Text(text)), Some(after)))?,
            '"' | '`' => {
                quoted(rest, first, first).map(|(name, after)| (Some(Word::Quoted(name)), Some(after)))?
            }
            '[' => quoted(rest, '[', ']').map(|(name, after)| (Some(Word::Quoted(name)), Some(after)))?,
            _ if is_word(first) => {
                let end = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                match first.is_ascii_digit() {
                    // The point of a number is not that of a name.
                    true => (Some(Word::Number), Some(after.strip_prefix('.').unwrap_or(after))),
                    false => (Some(Word::Bare(word)), Some(after)),
                }
            }
            sign => (Some(Word::Sign(sign)), rest.get(sign.len_utf8()..)),
        };
        words.extend(word);
        rest = after.unwrap_or_default();
    }
    Ok(words)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$' || !character.is_ascii()
}

/// What stands between quotes, doubled ones inside taken as one, and what follows.
fn quoted(rest: &str, open: char, close: char) -> Result<(String, &str), &'static str> {
    let mut text = String::new();
    let mut inside = rest.strip_prefix(open).unwrap_or(rest).char_indices().peekable();
    let start = open.len_utf8();
    while let Some((at, character)) = inside.next() {
        if character != close {
            text.push(character);
        } else if close != ']' && inside.peek().is_some_and(|(_, next)| *next == close) {
            inside.next();
            text.push(close);
        } else {
            return Ok((text, rest.get(start + at + close.len_utf8()..).unwrap_or_default()));
        }
    }
    Err("a quotation mark is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 4] = ["private", "due date", "oid", "d"];

    #[test]
    fn expressions_over_columns_pass() {
        let fine = [
            "private = 0",
            "(private = 0.5 OR \"due date\" > '2026-01-01') AND [Due Date] IS NOT NULL",
            "private IN (1, 2, .5) AND d LIKE '%;--''/*%'",
            "date(d) >= '2026-01-01' AND strftime('%Y', d) = '2026'",
            "oid = 1",
        ];
        for expression in fine {
            assert_eq!(objection(expression, &COLUMNS), None, "{expression}");
        }
    }

    #[test]
    fn what_could_break_out_or_change_by_itself_is_refused() {
        let wrong = [
            "",
            "  ",
            "private = 0) OR (1",
            "(private",
            "private; DROP TABLE t",
            "private = 0 -- x",
            "private /* x */ = 0",
            "private = 'x",
            "\"privat\" = 0",
            "t.private = 0",
            "rowid > 1",
            "_ROWID_ > 1",
            "d > date('now')",
            "d > date( ' NOW ' )",
            "d > date()",
            "d > strftime('%s')",
            "datetime(d, 'localtime') > '1'",
        ];
        for expression in wrong {
            assert!(objection(expression, &COLUMNS).is_some(), "{expression}");
        }
    }
}
