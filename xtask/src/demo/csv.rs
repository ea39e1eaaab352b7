//! Comma-separated text with quotes, as RFC 4180 has it, into records by column name.

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// One JSON object for each line, so that both kinds of files are read alike. An empty field is null.
pub fn parse(text: &str) -> Result<Vec<Map<String, Value>>> {
    let mut lines = split(text)?.into_iter();
    let header = lines.next().unwrap_or_default();
    let mut records = Vec::new();
    for (index, fields) in lines.enumerate() {
        if fields.len() != header.len() {
            bail!("record {} has {} fields, the header has {}", index + 1, fields.len(), header.len());
        }
        let value = |field: String| if field.is_empty() { Value::Null } else { Value::String(field) };
        records.push(header.iter().cloned().zip(fields.into_iter().map(value)).collect());
    }
    Ok(records)
}

fn split(text: &str) -> Result<Vec<Vec<String>>> {
    let (mut lines, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(character) = characters.next() {
        match (quoted, character) {
            (true, '"') if characters.peek() == Some(&'"') => field.extend(characters.next()),
            (_, '"') => quoted = !quoted,
            (false, ',') => fields.push(std::mem::take(&mut field)),
            (false, '\r') => {}
            (false, '\n') => {
                fields.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut fields));
            }
            (_, other) => field.push(other),
        }
    }
    if quoted {
        bail!("a quote is never closed");
    }
    if !field.is_empty() || !fields.is_empty() {
        fields.push(field);
        lines.push(fields);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_ends() {
        let lines = split("a,b\r\n\"x, \"\"y\"\"\",\n1,\"two\nlines\"").expect("the text is well formed");
        assert_eq!(lines, [["a", "b"], ["x, \"y\"", ""], ["1", "two\nlines"]]);
        assert!(split("\"open").is_err());
        assert!(parse("a,b\n1\n").is_err());
    }
}
