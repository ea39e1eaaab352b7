//! What an application may choose about a translation.

use std::collections::BTreeMap;

use crate::qualified::QualifiedName;

/// How dates and times are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moments {
    /// As text, exactly as the application wrote it.
    Text,
    /// As `date`, `time` and `timestamptz`: other notations come back in PostgreSQL's own.
    Native,
}

/// What becomes of columns with `COLLATE NOCASE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCase {
    /// They are refused.
    Refuse,
    /// They become `citext`, which folds the case of all letters, not of A to Z alone.
    Citext,
}

/// Choices for a translation. The default keeps every value exactly, or refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Accept a key of one INTEGER column, as flag 1 of `cloudsync_init` does.
    pub allow_integer_key: bool,
    /// Accept NOT NULL columns without a default, as flag 2 of `cloudsync_init` does.
    pub allow_not_null: bool,
    /// How dates and times are kept.
    pub moments: Moments,
    /// What becomes of `COLLATE NOCASE`.
    pub no_case: NoCase,
    /// Enforce the declared length of text and the declared digits of decimals, which SQLite does not.
    pub declared_limits: bool,
    /// Keep columns without a type (or of type ANY) as text; numbers come back as text.
    pub untyped_as_text: bool,
    /// The major version of the server.
    pub postgres: u32,
    /// The schema of the tables; `None`: the first of the server's `search_path`.
    pub schema: Option<String>,
    /// Whether foreign keys are made; their parents may be tables that the script does not have.
    pub foreign_keys: bool,
    /// Tables that are put elsewhere, or are there: by their names in the script, in lower case.
    pub places: BTreeMap<String, QualifiedName>,
}

impl Options {
    /// Where a table of the script belongs.
    pub(super) fn place(&self, name: &str) -> (Option<&str>, String) {
        match self.places.get(&name.to_ascii_lowercase()) {
            Some(place) => (Some(&place.schema), place.table.clone()),
            None => (self.schema.as_deref(), name.to_owned()),
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            allow_integer_key: false,
            allow_not_null: false,
            moments: Moments::Text,
            no_case: NoCase::Refuse,
            declared_limits: false,
            untyped_as_text: false,
            postgres: 15,
            schema: None,
            foreign_keys: true,
            places: BTreeMap::new(),
        }
    }
}
