//! Tokens of SQLite's SQL, each with its place.

use super::problem::{Position, Problem};

/// What a token is. Quotes are resolved; keywords are words like all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word: a name or a keyword.
    Word(String),
    /// A name in double quotes, brackets or backquotes.
    Quoted(String),
    /// A string in single quotes.
    Text(String),
    /// A blob literal, as its hexadecimal digits.
    Blob(String),
    /// A number as it is written, without separators.
    Number(String),
    /// A bound parameter.
    Parameter,
    /// An operator or a separator.
    Symbol(&'static str),
    /// What follows the last token.
    End,
}

/// A token and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) position: Position,
}

/// Longer ones first, so that no operator is cut in two.
const SYMBOLS: &[&str] = &[
    "->>", "->", "||", "<<", ">>", "<=", ">=", "<>", "==", "!=", "(", ")", ",", ";", ".", "+", "-", "*", "/",
    "%", "&", "|", "~", "<", ">", "=",
];

struct Lexer<'a> {
    rest: &'a str,
    position: Position,
}

/// Splits a script into tokens; comments are blanks. The last token is [`Kind::End`].
///
/// # Errors
/// A quote is not closed, or a character can begin no token.
pub(super) fn tokens(script: &str) -> Result<Vec<Token>, Problem> {
    let mut lexer = Lexer { rest: script, position: Position { line: 1, column: 1 } };
    let mut found = Vec::new();
    loop {
        lexer.skip_blanks();
        let position = lexer.position;
        let kind = lexer.next()?;
        let is_last = kind == Kind::End;
        found.push(Token { kind, position });
        if is_last {
            return Ok(found);
        }
    }
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Moves over `bytes` bytes, which must end between characters; answers them.
    fn take(&mut self, bytes: usize) -> String {
        let (head, tail) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for character in head.chars() {
            if character == '\n' {
                self.position = Position { line: self.position.line + 1, column: 1 };
            } else {
                self.position.column += 1;
            }
        }
        self.rest = tail;
        head.to_owned()
    }

    fn take_while(&mut self, matches: impl Fn(char) -> bool) -> String {
        let bytes = self.rest.find(|character| !matches(character)).unwrap_or(self.rest.len());
        self.take(bytes)
    }

    fn skip_blanks(&mut self) {
        loop {
            let bytes = if self.rest.starts_with("--") {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                // SQLite lets the end of the script close a comment.
                comment.find("*/").map_or(self.rest.len(), |at| at + 4)
            } else {
                let is_blank = |character: char| character.is_ascii_whitespace() || character == '\u{feff}';
                self.rest.find(|character| !is_blank(character)).unwrap_or(self.rest.len())
            };
            if bytes == 0 {
                return;
            }
            self.take(bytes);
        }
    }

    fn next(&mut self) -> Result<Kind, Problem> {
        let Some(first) = self.peek() else { return Ok(Kind::End) };
        let second = self.rest.chars().nth(1);
        Ok(match first {
            '\'' => Kind::Text(self.quoted('\'')?),
            '"' | '`' => Kind::Quoted(self.quoted(first)?),
            '[' => Kind::Quoted(self.bracketed()?),
            'x' | 'X' if second == Some('\'') => self.blob()?,
            '0'..='9' => self.number()?,
            '.' if second.is_some_and(|digit| digit.is_ascii_digit()) => self.number()?,
            _ if is_of_name(first) && first != '$' => Kind::Word(self.take_while(is_of_name)),
            '?' | '@' | ':' | '#' | '$' => {
                self.take(1);
                self.take_while(is_of_name);
                Kind::Parameter
            }
            _ => match SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.take(symbol.len());
                    Kind::Symbol(symbol)
                }
                None => return Err(self.problem(format!("{first:?} cannot stand here"))),
            },
        })
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.position, "syntax", message)
    }

    /// Text between two quotes; a doubled quote stands for itself.
    fn quoted(&mut self, quote: char) -> Result<String, Problem> {
        let start = self.problem(format!("the quote {quote} is not closed"));
        let mut text = String::new();
        loop {
            self.take(1);
            text.push_str(&self.take_while(|character| character != quote));
            if self.rest.is_empty() {
                return Err(start);
            }
            self.take(1);
            if self.peek() != Some(quote) {
                return Ok(text);
            }
            text.push(quote);
        }
    }

    fn bracketed(&mut self) -> Result<String, Problem> {
        let start = self.problem("the bracket [ is not closed");
        self.take(1);
        let text = self.take_while(|character| character != ']');
        if self.rest.is_empty() {
            return Err(start);
        }
        self.take(1);
        Ok(text)
    }

    fn blob(&mut self) -> Result<Kind, Problem> {
        let malformed = self.problem("a blob literal has an even number of hexadecimal digits");
        self.take(1);
        let digits = self.quoted('\'')?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && digits.len() % 2 == 0;
        if is_hex { Ok(Kind::Blob(digits.to_ascii_lowercase())) } else { Err(malformed) }
    }

    fn number(&mut self) -> Result<Kind, Problem> {
        let malformed = self.problem("a number is malformed");
        let mut number;
        if self.rest.starts_with("0x") || self.rest.starts_with("0X") {
            number = self.take(2);
            number.push_str(&self.take_while(|digit| digit.is_ascii_hexdigit() || digit == '_'));
        } else {
            let is_digit = |digit: char| digit.is_ascii_digit() || digit == '_';
            number = self.take_while(is_digit);
            if self.peek() == Some('.') {
                number.push_str(&self.take(1));
                number.push_str(&self.take_while(is_digit));
            }
            number.push_str(&self.exponent());
        }
        let is_whole = !number.ends_with(['_', 'x', 'X']) && !self.peek().is_some_and(is_of_name);
        if is_whole { Ok(Kind::Number(number.replace('_', ""))) } else { Err(malformed) }
    }

    fn exponent(&mut self) -> String {
        let Some(after) = self.rest.strip_prefix(['e', 'E']) else { return String::new() };
        let unsigned = after.strip_prefix(['+', '-']).unwrap_or(after);
        if !unsigned.starts_with(|digit: char| digit.is_ascii_digit()) {
            return String::new();
        }
        let mut exponent = self.take(1 + after.len() - unsigned.len());
        exponent.push_str(&self.take_while(|digit| digit.is_ascii_digit() || digit == '_'));
        exponent
    }
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(script: &str) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = tokens(script).unwrap().into_iter().map(|token| token.kind).collect();
        assert_eq!(kinds.pop(), Some(Kind::End));
        kinds
    }

    #[test]
    fn every_quote_is_resolved() {
        let text = |text: &str| Kind::Text(text.to_owned());
        let quoted = |text: &str| Kind::Quoted(text.to_owned());
        assert_eq!(
            kinds("'it''s' \"a\"\"b\" `c``d` [e f] x'0A' ''"),
            [text("it's"), quoted("a\"b"), quoted("c`d"), quoted("e f"), Kind::Blob("0a".into()), text("")]
        );
    }

    #[test]
    fn numbers_and_operators_are_not_cut() {
        let number = |text: &str| Kind::Number(text.to_owned());
        assert_eq!(kinds("1_000 1.5e-3 .5 0xFF 2."), ["1000", "1.5e-3", ".5", "0xFF", "2."].map(number));
        assert_eq!(kinds("a->>b"), [Kind::Word("a".into()), Kind::Symbol("->>"), Kind::Word("b".into())]);
        assert!(tokens("1abc").is_err() && tokens("0x").is_err());
    }

    #[test]
    fn places_are_counted_in_characters() {
        let found = tokens("-- é\n/* x\ny */ é b").unwrap();
        assert_eq!(found[1].position, Position { line: 3, column: 8 });
        assert_eq!(tokens("a 'x").unwrap_err().position, Position { line: 1, column: 3 });
    }
}
