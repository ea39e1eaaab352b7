//! Which PostgreSQL type holds every value that a sane application stores in a column of SQLite.
//!
//! SQLite takes a declared type for a hint and enforces neither its range nor its length. So the
//! type is the wider one wherever the narrower would refuse or change a value; docs/ddl.md has the
//! table.

use super::options::{Moments, Options};
use super::syntax::DeclaredType;

/// SQLite's affinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

/// What a moment tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Date,
    Time,
    Timestamp,
}

/// A type of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PgType {
    Bigint,
    Double,
    Boolean,
    Bytea,
    Text,
    /// `varchar(n)`
    Varchar(u32),
    Uuid,
    Json,
    /// `numeric`, with precision and scale where they are enforced.
    Numeric(Option<(u32, u32)>),
    /// Native date and time types.
    Native(Moment),
    /// Text that compares without regard to case.
    Citext,
}

impl PgType {
    /// The type's name in SQL.
    pub(super) fn sql(&self) -> String {
        match self {
            PgType::Bigint => "bigint".to_owned(),
            PgType::Double => "double precision".to_owned(),
            PgType::Boolean => "boolean".to_owned(),
            PgType::Bytea => "bytea".to_owned(),
            PgType::Text => "text".to_owned(),
            PgType::Varchar(length) => format!("varchar({length})"),
            PgType::Uuid => "uuid".to_owned(),
            PgType::Json => "json".to_owned(),
            PgType::Numeric(None) => "numeric".to_owned(),
            PgType::Numeric(Some((precision, scale))) => format!("numeric({precision}, {scale})"),
            PgType::Native(Moment::Date) => "date".to_owned(),
            PgType::Native(Moment::Time) => "time".to_owned(),
            PgType::Native(Moment::Timestamp) => "timestamptz".to_owned(),
            PgType::Citext => "citext".to_owned(),
        }
    }
}

/// A type and what is to be said about it.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) pg: PgType,
    pub(super) affinity: Affinity,
    pub(super) note: Option<String>,
}

/// PostgreSQL's bound for the precision of `numeric`.
const MAX_PRECISION: u32 = 1000;
/// PostgreSQL's bound for the length of `varchar`.
const MAX_VARCHAR: u32 = 10_485_760;

/// SQLite's rule, on a declared type in upper case.
pub(super) fn affinity(words: &str) -> Affinity {
    let has = |part: &str| words.contains(part);
    if has("INT") {
        Affinity::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Affinity::Text
    } else if words.is_empty() || has("BLOB") {
        Affinity::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// The type for a column of an ordinary table.
///
/// # Errors
/// No type holds all that such a column holds; the text says why and what to do.
pub(super) fn choose(declared: &DeclaredType, options: &Options) -> Result<Chosen, String> {
    let affinity = affinity(&declared.words);
    let chosen = |pg| Ok(Chosen { pg, affinity, note: None });
    let noted = |pg, note: String| Ok(Chosen { pg, affinity, note: Some(note) });
    let words = declared.words.as_str();
    if words == "ANY" && options.untyped_as_text {
        return noted(PgType::Text, "a value of any type becomes text".to_owned());
    }
    if let Some(moment) = moment(words) {
        return match options.moments {
            Moments::Text => noted(
                PgType::Text,
                format!(
                    "{words} is text: SQLite keeps any text or number there, and text comes back as it was"
                ),
            ),
            Moments::Native => noted(
                PgType::Native(moment),
                format!(
                    "{words} is {}: other notations than PostgreSQL's own come back in its own",
                    PgType::Native(moment).sql()
                ),
            ),
        };
    }
    match words {
        "UUID" => chosen(PgType::Uuid),
        "BOOLEAN" | "BOOL" => chosen(PgType::Boolean),
        "JSON" | "JSONB" => chosen(PgType::Json),
        "NUMERIC" | "DECIMAL" | "DEC" | "NUMBER" | "MONEY" => numeric(declared, options),
        "BYTEA" | "BINARY" | "VARBINARY" | "IMAGE" => chosen(PgType::Bytea),
        "LONG" | "SERIAL" | "BIGSERIAL" | "UNSIGNED" => chosen(PgType::Bigint),
        _ => match affinity {
            Affinity::Integer if is_integer_name(words) => chosen(PgType::Bigint),
            Affinity::Text => text(declared, options),
            Affinity::Blob => chosen(PgType::Bytea),
            Affinity::Real => chosen(PgType::Double),
            Affinity::Integer | Affinity::Numeric => noted(
                PgType::Text,
                format!("type {words} has no meaning of its own in SQLite: text holds all of its values"),
            ),
        },
    }
}

/// The type for a column of a STRICT table.
///
/// # Errors
/// As [`choose`], and for names that SQLite refuses.
pub(super) fn choose_strict(declared: &DeclaredType, options: &Options) -> Result<Chosen, String> {
    match (declared.words.as_str(), declared.arguments.is_empty()) {
        ("INT" | "INTEGER" | "REAL" | "TEXT" | "BLOB", true) => choose(declared, options),
        ("ANY", true) if options.untyped_as_text => choose(declared, options),
        ("ANY", true) => {
            Err("a column of type ANY holds values of every type, and no type of PostgreSQL does: \
                              give it a type"
                .to_owned())
        }
        (words, _) => Err(format!("{words} is no type of a STRICT table: use INTEGER, REAL, TEXT or BLOB")),
    }
}

fn moment(words: &str) -> Option<Moment> {
    Some(match words {
        "DATE" => Moment::Date,
        "TIME" => Moment::Time,
        "DATETIME"
        | "TIMESTAMP"
        | "TIMESTAMPTZ"
        | "TIMESTAMP WITH TIME ZONE"
        | "TIMESTAMP WITHOUT TIME ZONE"
        | "DATETIMETZ" => Moment::Timestamp,
        _ => return None,
    })
}

/// Names like `UNSIGNED BIG INT`, `INT8` or `MEDIUMINT`, and not `POINT` or `INTERVAL`.
fn is_integer_name(words: &str) -> bool {
    words.split(' ').any(|word| {
        let stem = word.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let stem = stem.strip_suffix("EGER").unwrap_or(stem);
        matches!(
            stem,
            "INT"
                | "TINYINT"
                | "SMALLINT"
                | "MEDIUMINT"
                | "BIGINT"
                | "LONGINT"
                | "LONGLONGINT"
                | "UINT"
                | "UBIGINT"
                | "BIGUINT"
        )
    })
}

fn numeric(declared: &DeclaredType, options: &Options) -> Result<Chosen, String> {
    let affinity = Affinity::Numeric;
    if !options.declared_limits || declared.arguments.is_empty() {
        let note = (!declared.arguments.is_empty()).then(|| {
            format!("{} is numeric without bounds, since SQLite does not enforce them", declared.words)
        });
        return Ok(Chosen { pg: PgType::Numeric(None), affinity, note });
    }
    let number = |at: usize| declared.arguments.get(at).map_or(Some(0), |text| text.parse::<u32>().ok());
    match (number(0), number(1)) {
        (Some(precision @ 1..=MAX_PRECISION), Some(scale)) if scale <= precision => {
            Ok(Chosen { pg: PgType::Numeric(Some((precision, scale))), affinity, note: None })
        }
        _ => Err(format!(
            "the precision and scale of {} must be 1 to {MAX_PRECISION} and 0 to the precision",
            declared.words
        )),
    }
}

fn text(declared: &DeclaredType, options: &Options) -> Result<Chosen, String> {
    let affinity = Affinity::Text;
    let Some(length) = declared.arguments.first().filter(|_| options.declared_limits) else {
        let note = (!declared.arguments.is_empty()).then(|| {
            format!("{} is text without bounds, since SQLite does not enforce them", declared.words)
        });
        return Ok(Chosen { pg: PgType::Text, affinity, note });
    };
    match length.parse::<u32>() {
        Ok(length @ 1..=MAX_VARCHAR) => Ok(Chosen { pg: PgType::Varchar(length), affinity, note: None }),
        _ => Err(format!("the length of {} must be 1 to {MAX_VARCHAR}", declared.words)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::Position;
    use super::*;

    fn sql_with(words: &str, arguments: &[&str], options: &Options) -> String {
        let declared = DeclaredType {
            words: words.to_owned(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            position: Position { line: 1, column: 1 },
        };
        choose(&declared, options).map_or_else(|error| error, |chosen| chosen.pg.sql())
    }

    fn sql(words: &str) -> String {
        sql_with(words, &[], &Options::default())
    }

    #[test]
    fn integers_are_as_wide_as_sqlites() {
        for words in
            ["INT", "INTEGER", "TINYINT", "UNSIGNED BIG INT", "INT8", "INTEGER UNSIGNED", "BIGINTEGER"]
        {
            assert_eq!(sql(words), "bigint", "{words}");
        }
        // They have integer affinity in SQLite, and mean none.
        for words in ["POINT", "INTERVAL", "FLOATING POINT"] {
            assert_eq!(sql(words), "text", "{words}");
        }
    }

    #[test]
    fn bounds_are_kept_on_demand_only() {
        assert_eq!(sql_with("VARCHAR", &["5"], &Options::default()), "text");
        assert_eq!(sql_with("DECIMAL", &["10", "2"], &Options::default()), "numeric");
        let options = Options { declared_limits: true, ..Options::default() };
        assert_eq!(sql_with("VARCHAR", &["5"], &options), "varchar(5)");
        assert_eq!(sql_with("DECIMAL", &["10", "2"], &options), "numeric(10, 2)");
        assert_eq!(sql_with("DECIMAL", &["10"], &options), "numeric(10, 0)");
        assert!(sql_with("DECIMAL", &["-1"], &options).contains("must be"));
    }

    #[test]
    fn moments_are_text_unless_wanted_otherwise() {
        assert_eq!(sql("DATETIME"), "text");
        let options = Options { moments: Moments::Native, ..Options::default() };
        assert_eq!(sql_with("DATETIME", &[], &options), "timestamptz");
        assert_eq!(sql_with("DATE", &[], &options), "date");
    }
}
