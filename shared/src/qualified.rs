//! A table of PostgreSQL by schema and name: how users write it, and how it is told on the wire.

use crate::error::{Error, Result};

/// The longest name of a schema or table that PostgreSQL keeps, in bytes.
pub const MAX_IDENTIFIER_BYTES: usize = 63;

/// A table and its schema, as PostgreSQL's catalog has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl QualifiedName {
    /// A name of these two.
    ///
    /// # Errors
    /// One of them is empty, longer than PostgreSQL keeps, or holds a NUL.
    pub fn new(schema: &str, table: &str) -> Result<QualifiedName> {
        for (what, name) in [("schema", schema), ("table", table)] {
            if name.is_empty() || name.len() > MAX_IDENTIFIER_BYTES || name.contains('\0') {
                return Err(Error::invalid_input(format!(
                    "the name of a {what} has 1 to {MAX_IDENTIFIER_BYTES} bytes in PostgreSQL, and no NUL"
                )));
            }
        }
        Ok(QualifiedName { schema: schema.to_owned(), table: table.to_owned() })
    }

    /// What a user wrote after a table's name: a schema, where the table has the name `table`, or
    /// `schema.table`. It is read by PostgreSQL's rules.
    ///
    /// ```
    /// use cloudsync_shared::qualified::QualifiedName;
    ///
    /// let name = |text| QualifiedName::read(text, "orders").unwrap();
    /// assert_eq!(name("Sales").to_wire(), "\"sales\".\"orders\"");
    /// assert_eq!(name("sales.\"My.Orders\"").to_wire(), "\"sales\".\"My.Orders\"");
    /// ```
    ///
    /// # Errors
    /// It is neither.
    pub fn read(text: &str, table: &str) -> Result<QualifiedName> {
        match identifiers(text).as_deref() {
            Some([schema]) => QualifiedName::new(schema, table),
            Some([schema, table]) => QualifiedName::new(schema, table),
            _ => Err(Error::invalid_input(format!(
                "{text} is neither a schema nor schema.table: quote what is no plain name, \"my.schema\".\"T\""
            ))),
        }
    }

    /// The form in which it is told: both names quoted, whatever they are. No other table has that form,
    /// so a table that is told by its plain name is never taken for one told by its schema.
    pub fn to_wire(&self) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }

    /// Reads that form; `None` for any other text, which is a plain name.
    pub fn from_wire(text: &str) -> Option<QualifiedName> {
        let (schema, rest) = quoted(text.strip_prefix('"')?)?;
        let (table, rest) = quoted(rest.strip_prefix(".\"")?)?;
        if rest.is_empty() { QualifiedName::new(&schema, &table).ok() } else { None }
    }
}

/// Reads a possibly qualified SQL name: `a.b`, `"A b".c`. Without quotes the case of A to Z does not count.
/// `None`: it is not one.
pub fn identifiers(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                let (bare, after) = rest.split_at(end);
                let bare = bare.trim();
                let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
                if bare.is_empty() || !bare.chars().all(is_word) {
                    return None;
                }
                (bare.to_ascii_lowercase(), after)
            }
        };
        parts.push(part);
        match after.trim_start().strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None if after.trim().is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// The name up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '"' {
            name.push(letter);
        } else if letters.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, text.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_by_postgresql_s_rules() {
        let read = |text: &str| identifiers(text).map(|parts| parts.join("|"));
        assert_eq!(read("Sales.Orders").as_deref(), Some("sales|orders"));
        assert_eq!(read(" \"Sales\" . orders ").as_deref(), Some("Sales|orders"));
        assert_eq!(read("\"a.b\".\"c\"\"d\"").as_deref(), Some("a.b|c\"d"));
        assert_eq!(read("ÄPFEL").as_deref(), Some("Äpfel"), "only A to Z are folded");
        for wrong in ["", ".", "a.", ".a", "a b", "\"a", "\"a\"b", "a-b"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(QualifiedName::read("a.b.c", "t").is_err());
        assert!(QualifiedName::read("\"\"", "t").is_err());
        assert!(QualifiedName::read(&"s".repeat(64), "t").is_err());
    }

    #[test]
    fn the_form_on_the_wire_is_one_for_each_table() {
        for (schema, table) in [("sales", "orders"), ("my.schema", "T"), ("a\"b", "\".\""), (" ", ".")] {
            let name = QualifiedName::new(schema, table).unwrap();
            assert_eq!(QualifiedName::from_wire(&name.to_wire()), Some(name));
        }
        for plain in [
            "orders",
            "sales.orders",
            "\"a\".b",
            "\"a\" . \"b\"",
            "\"a\".\"b\" ",
            "\"\".\"b\"",
            "\"a\"\".\"b\"",
        ] {
            assert_eq!(QualifiedName::from_wire(plain), None, "{plain}");
        }
    }
}
