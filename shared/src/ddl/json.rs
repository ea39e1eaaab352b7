//! Whether a text is JSON as RFC 8259 has it, which is what PostgreSQL's `json` accepts.

/// The deepest nesting that is looked into.
const MAX_DEPTH: usize = 100;

/// Whether the whole text is one JSON value.
pub(super) fn is_valid(text: &str) -> bool {
    value(blank(text), 0).is_some_and(|rest| blank(rest).is_empty())
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

/// What follows the value at the start.
fn value(text: &str, depth: usize) -> Option<&str> {
    if depth > MAX_DEPTH {
        return None;
    }
    match text.as_bytes().first()? {
        b'{' => list(text, '}', |member| {
            let rest = blank(string(member)?).strip_prefix(':')?;
            value(blank(rest), depth + 1)
        }),
        b'[' => list(text, ']', |element| value(element, depth + 1)),
        b'"' => string(text),
        b't' => text.strip_prefix("true"),
        b'f' => text.strip_prefix("false"),
        b'n' => text.strip_prefix("null"),
        _ => number(text),
    }
}

fn list(text: &str, close: char, item: impl Fn(&str) -> Option<&str>) -> Option<&str> {
    let mut rest = blank(text.get(1..)?);
    if let Some(after) = rest.strip_prefix(close) {
        return Some(after);
    }
    loop {
        rest = blank(item(rest)?);
        if let Some(after) = rest.strip_prefix(close) {
            return Some(after);
        }
        rest = blank(rest.strip_prefix(',')?);
    }
}

fn string(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('"')?;
    loop {
        let character = rest.chars().next()?;
        rest = rest.get(character.len_utf8()..)?;
        match character {
            '"' => return Some(rest),
            '\\' => {
                let escaped = rest.chars().next()?;
                let length = match escaped {
                    'u' if rest.get(1..5)?.bytes().all(|digit| digit.is_ascii_hexdigit()) => 5,
                    '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => 1,
                    _ => return None,
                };
                rest = rest.get(length..)?;
            }
            _ if character < ' ' => return None,
            _ => {}
        }
    }
}

fn number(text: &str) -> Option<&str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return None;
    }
    rest = rest.get(whole..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.get(Some(digits(fraction)).filter(|count| *count > 0)?..)?;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        rest = exponent.get(Some(digits(exponent)).filter(|count| *count > 0)?..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn json_is_told_from_what_looks_like_it() {
        for text in ["{}", " [1, -2.5e+3, \"a\\u00e9\\n\", {\"b\": [null, true]}] ", "0", "\"\"", "false"] {
            assert!(is_valid(text), "{text}");
        }
        for text in
            ["", "{a: 1}", "[1,]", "01", "+1", "'a'", "\"\t\"", "\"\\x\"", "1 2", "nul", ".5", "{\"a\"}"]
        {
            assert!(!is_valid(text), "{text}");
        }
        assert!(!is_valid(&"[".repeat(100_000)));
    }
}
