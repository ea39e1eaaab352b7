//! The words of Rust code, without those in comments and literals.

/// Each word with the number of its line, counted from one.
pub fn of_code(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (index, line) in without_comments_and_literals(text).lines().enumerate() {
        let parts = line.split(|character: char| !is_of_word(character)).filter(|word| !word.is_empty());
        words.extend(parts.map(|word| (index + 1, word.to_owned())));
    }
    words
}

/// The same text with blanks where comments and literals stood; lines stay where they are.
fn without_comments_and_literals(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let skipped = if after_word { 0 } else { literal_with_prefix(rest) };
        let skipped = skipped.max(comment_or_literal(rest));
        let (head, tail) = rest.split_at(if skipped > 0 { skipped } else { first.len_utf8() });
        match skipped {
            0 => kept.push(first),
            _ => kept.extend(head.chars().map(|character| if character == '\n' { '\n' } else { ' ' })),
        }
        after_word = skipped == 0 && is_of_word(first);
        rest = tail;
    }
    kept
}

/// Bytes of the comment, string or character at the start of `text`, or 0.
fn comment_or_literal(text: &str) -> usize {
    match text.as_bytes() {
        [b'/', b'/', ..] => text.find('\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => block_comment(text),
        [b'"', ..] => 1 + until_quote(&text[1..], '"'),
        // A lifetime has no second quote right after its first character.
        [b'\'', b'\\', ..] => 3.min(text.len()) + text.get(3..).map_or(0, |rest| until_quote(rest, '\'')),
        [b'\'', ..] => {
            let mut characters = text.char_indices().skip(2);
            characters.next().filter(|(_, third)| *third == '\'').map_or(0, |(at, _)| at + 1)
        }
        _ => 0,
    }
}

/// Bytes of a raw string at the start of `text`, or 0; a byte string's `b` is a word like others.
fn literal_with_prefix(text: &str) -> usize {
    let after =
        text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'));
    let Some(after) = after else { return 0 };
    let hashes = after.len() - after.trim_start_matches('#').len();
    if !after[hashes..].starts_with('"') {
        return 0;
    }
    let start = text.len() - after.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    text[start..].find(&end).map_or(text.len(), |at| start + at + end.len())
}

/// Bytes up to and with the first `quote` that no backslash precedes.
fn until_quote(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let two = text.as_bytes().get(at..at + 2).unwrap_or_default();
        match two {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        of_code(text).into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_no_words() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), "a c g");
        assert_eq!(words(r##"a "b \" c" d r#"e " f"# g br"h" i"##), "a d g i");
        assert_eq!(words(r"a '\'' b '\u{41}' c 'd' e"), "a b c e");
        assert_eq!(words("fn f<'a>(x: &'a str) {}"), "fn f a x a str");
        assert_eq!(words("for_r(\"x\") her\"y\" z"), "for_r her z");
    }

    #[test]
    fn lines_are_counted_through_literals() {
        assert_eq!(of_code("\"one\ntwo\"\nthree"), [(3, "three".to_owned())]);
    }
}
