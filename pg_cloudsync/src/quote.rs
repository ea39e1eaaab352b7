//! The one place where names become SQL text.

/// A name as a delimited identifier. Always delimited, so no list of reserved words is needed.
pub fn ident(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for letter in name.chars() {
        if letter == '"' {
            quoted.push('"');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// A name within a schema.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// An operator by its schema, for use between two operands.
pub fn operator(schema: &str, name: &str) -> String {
    format!("OPERATOR({}.{name})", ident(schema))
}
