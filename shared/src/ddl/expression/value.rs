//! Translated expressions and what is known of their values.

use super::super::types::{Affinity, Moment, PgType};

/// What a translated expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// `NULL` and nothing else.
    Null,
    /// `boolean`, where SQLite has 0 and 1.
    Truth,
    /// An `integer`, of 32 bits: arithmetic needs more.
    Small,
    /// A `bigint`.
    Integer,
    /// A literal with a point or an exponent: `numeric` until it is cast.
    Decimal,
    /// A `double precision`.
    Real,
    /// A `numeric`.
    Numeric,
    /// Text.
    Text,
    /// Text of a column where SQLite would turn text that looks like a number into a number.
    LooseText,
    /// Text that tells a moment in SQLite's own notation, in UTC.
    MomentText(Moment),
    /// The digits of an integer: text in SQLite, `bigint` in the translation.
    Digits,
    /// A `bytea`.
    Blob,
    /// A `uuid`.
    Uuid,
    /// A value that can only be tested for NULL.
    Opaque,
}

/// SQL text with what it yields.
#[derive(Clone, Debug)]
pub(in super::super) struct Sql {
    pub(in super::super) text: String,
    pub(in super::super) kind: Kind,
    /// Whether it needs no parentheses as an operand.
    pub(in super::super) atomic: bool,
}

impl Sql {
    /// What needs no parentheses: a name, a literal, a call.
    pub(in super::super) fn atom(kind: Kind, text: impl Into<String>) -> Sql {
        Sql { text: text.into(), kind, atomic: true }
    }

    /// One of several values. If all of them are NULL it is so too, of no type as in SQLite, while
    /// PostgreSQL would give it one.
    pub(in super::super) fn chosen(kind: Kind, text: String) -> Sql {
        if kind == Kind::Null { Sql::atom(kind, "NULL") } else { Sql::atom(kind, text) }
    }

    /// What is an operand only in parentheses.
    pub(in super::super) fn compound(kind: Kind, text: impl Into<String>) -> Sql {
        Sql { text: text.into(), kind, atomic: false }
    }

    /// As an operand.
    pub(in super::super) fn operand(&self) -> String {
        if self.atomic { self.text.clone() } else { format!("({})", self.text) }
    }

    /// The same as a value of SQLite: a truth value as 0 or 1, a UUID and digits as they are.
    pub(in super::super) fn into_value(self) -> Sql {
        match self.kind {
            Kind::Truth => self.cast("integer", Kind::Small),
            _ => self,
        }
    }

    /// Cast to a type.
    pub(in super::super) fn cast(&self, to: &str, kind: Kind) -> Sql {
        Sql::atom(kind, format!("CAST({} AS {to})", self.text))
    }

    /// As text under the collation that compares bytes and knows the letters A to Z only.
    pub(in super::super) fn bytewise(&self) -> String {
        // PostgreSQL does not know yet that a literal is text, and wants to before it collates.
        let is_literal = self.text.starts_with(['\'', 'E']) && self.text.ends_with('\'');
        let typed = if is_literal { self.cast("text", self.kind).text } else { self.operand() };
        format!("{typed} COLLATE \"C\"")
    }

    /// What yields text, as `text`.
    pub(in super::super) fn as_text(&self) -> Option<Sql> {
        match self.kind {
            Kind::Text | Kind::LooseText | Kind::MomentText(_) => Some(self.clone()),
            Kind::Uuid => Some(self.cast("text", Kind::Text)),
            Kind::Digits => Some(self.cast("text", Kind::Text)),
            _ => None,
        }
    }
}

impl Kind {
    /// What a column of a type yields.
    pub(in super::super) fn of_column(pg: &PgType, affinity: Affinity) -> Kind {
        match pg {
            PgType::Bigint => Kind::Integer,
            PgType::Double => Kind::Real,
            PgType::Boolean => Kind::Truth,
            PgType::Bytea => Kind::Blob,
            PgType::Uuid => Kind::Uuid,
            PgType::Numeric(_) => Kind::Numeric,
            PgType::Text | PgType::Varchar(_) if affinity == Affinity::Text => Kind::Text,
            // The text of a JSON column is reached by a cast that its reference brings along.
            PgType::Text | PgType::Varchar(_) | PgType::Json => Kind::LooseText,
            PgType::Native(_) | PgType::Citext => Kind::Opaque,
        }
    }

    /// For people.
    pub(in super::super) fn describe(self) -> &'static str {
        match self {
            Kind::Null => "NULL",
            Kind::Truth => "a truth value",
            Kind::Small | Kind::Integer => "an integer",
            Kind::Decimal | Kind::Real => "a floating point number",
            Kind::Numeric => "a decimal number",
            Kind::Text | Kind::LooseText | Kind::MomentText(_) => "text",
            Kind::Digits => "text that is a number",
            Kind::Blob => "a blob",
            Kind::Uuid => "a UUID",
            Kind::Opaque => "a value of a type that SQLite lacks",
        }
    }

    /// Whether it is an integer of either width.
    pub(in super::super) fn is_integer(self) -> bool {
        matches!(self, Kind::Small | Kind::Integer)
    }

    /// Whether it is text.
    pub(in super::super) fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::LooseText | Kind::MomentText(_) | Kind::Uuid)
    }
}
