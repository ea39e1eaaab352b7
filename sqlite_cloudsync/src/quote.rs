//! The one place that turns names and text into SQL.

/// A name as an SQL identifier.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table of the main database: a temporary table of the same name must not shadow it.
pub fn main(table: &str) -> String {
    format!("main.{}", ident(table))
}

/// Text as an SQL literal.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// Names as a list of identifiers.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(ident).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_names_are_doubled() {
        assert_eq!(ident("we\"ird"), "\"we\"\"ird\"");
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(list(["a", "b"]), "\"a\", \"b\"");
    }
}
