//! Names and strings as PostgreSQL's SQL text.

/// The longest name that PostgreSQL keeps, in bytes; it cuts longer ones off.
pub(super) const MAX_NAME_BYTES: usize = 63;

/// PostgreSQL's keywords up to version 18 that cannot be any name without quotes.
const KEYWORDS: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint \
    binary bit boolean both case cast char character check coalesce collate collation column concurrently \
    constraint create cross current_catalog current_date current_role current_schema current_time \
    current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists \
    extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in \
    initially inner inout int integer intersect interval into is isnull join json json_array json_arrayagg \
    json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral \
    leading least left like limit localtime localtimestamp merge_action national natural nchar none normalize \
    not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position \
    precision primary real references returning right row select session_user setof similar smallint some \
    substring symmetric system_user table tablesample then time timestamp to trailing treat trim true union \
    unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat \
    xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable ";

/// A name: as it is if it is plain and in lower case, else in quotes.
pub(super) fn name(name: &str) -> String {
    let mut letters = name.bytes();
    let is_plain = letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    if is_plain && !KEYWORDS.contains(&format!(" {name} ")) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A list of names.
pub(super) fn names(list: &[String]) -> String {
    list.iter().map(|one| name(one)).collect::<Vec<_>>().join(", ")
}

/// A string, whatever the server's setting for backslashes.
pub(super) fn text(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_go_without_quotes() {
        for plain in ["a", "a_1", "_x", "name", "value", "key", "index"] {
            assert_eq!(name(plain), plain);
        }
        let quoted = [
            ("A", "\"A\""),
            ("a b", "\"a b\""),
            ("1a", "\"1a\""),
            ("order", "\"order\""),
            ("a\"b", "\"a\"\"b\""),
        ];
        for (plain, quoted) in quoted {
            assert_eq!(name(plain), quoted);
        }
        assert_eq!(name(""), "\"\"");
        assert_eq!(name("é"), "\"é\"");
    }

    #[test]
    fn strings_keep_quotes_and_backslashes() {
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(text("a\\'"), "E'a\\\\'''");
    }
}
