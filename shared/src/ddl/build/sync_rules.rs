//! What `cloudsync_init` asks of a table on both engines, told before the table exists.

use super::super::syntax::{CreateTable, Rule};
use super::super::types::{Affinity, PgType};
use super::Builder;

/// The most columns of an index, and so of a key, in PostgreSQL.
pub(super) const MAX_INDEX_COLUMNS: usize = 32;

const ADVICE: &str = "use TEXT PRIMARY KEY NOT NULL DEFAULT (cloudsync_uuid()), or allow integer keys if the \
                      application makes them unique";

impl Builder<'_> {
    /// Checks a table whose columns and keys are planned.
    pub(super) fn check_sync_rules(&mut self, at: usize, table: &CreateTable) {
        self.check_key(at);
        self.check_autoincrement(table);
        let Some(plan) = self.plans.get(at) else { return };
        let mut missing = Vec::new();
        for (place, column) in plan.columns.iter().enumerate() {
            let declared = table.columns.get(place).and_then(|column| column.default.as_ref());
            let has_default = declared.is_some() && column.default.as_deref() != Some("NULL");
            if column.not_null && !has_default && !column.is_generated && !plan.key().contains(&place) {
                missing.push((column.position, column.name.clone()));
            }
        }
        if self.options.allow_not_null {
            return;
        }
        for (position, name) in missing {
            let message = format!(
                "column {name}: a row that arrives in parts has no value for it: give it a DEFAULT, or allow such \
                 columns as flag 2 of cloudsync_init does"
            );
            self.problem(position, "NOT NULL without DEFAULT", message);
        }
    }

    fn check_key(&mut self, at: usize) {
        let Some(plan) = self.plans.get(at) else { return };
        if plan.key().is_empty() {
            let message =
                format!("table {} has none, and rows need a name that all replicas share", plan.name);
            let position = plan.position;
            self.problem(position, "no PRIMARY KEY", message);
            return;
        }
        let mut found = Vec::new();
        if plan.key().len() > MAX_INDEX_COLUMNS {
            found.push((plan.position, "limit", format!("a key has at most {MAX_INDEX_COLUMNS} columns")));
        }
        for column in plan.key().iter().filter_map(|at| plan.columns.get(*at)) {
            let fault = match (&column.pg, column.affinity) {
                (None, _) => continue,
                (Some(PgType::Bigint | PgType::Uuid | PgType::Bytea | PgType::Boolean), _) => continue,
                (Some(PgType::Text | PgType::Varchar(_)), Affinity::Text) => continue,
                (Some(PgType::Text | PgType::Varchar(_) | PgType::Json), _) => {
                    "SQLite makes numbers of text in it, so its values have two forms"
                }
                (Some(PgType::Double | PgType::Numeric(_)), _) => "equal numbers have more than one form",
                (Some(PgType::Native(_) | PgType::Citext), _) => "equal values have more than one form",
            };
            let message = format!("key column {}: {fault}: declare it TEXT or INTEGER", column.name);
            found.push((column.position, "type of a key", message));
        }
        let only = match plan.key() {
            [only] => plan.columns.get(*only),
            _ => None,
        };
        if let Some(only) = only.filter(|only| only.pg == Some(PgType::Bigint)) {
            if self.options.allow_integer_key {
                let (position, name) = (only.position, only.name.clone());
                let message = format!("column {name}: PostgreSQL gives out no numbers, INSERT must name one");
                self.note(position, message);
            } else {
                let message = format!(
                    "column {}: two devices give the same number to different rows: {ADVICE}",
                    only.name
                );
                found.push((only.position, "INTEGER PRIMARY KEY", message));
            }
        }
        for (position, construct, message) in found {
            self.problem(position, construct, message);
        }
    }

    fn check_autoincrement(&mut self, table: &CreateTable) {
        for constraint in &table.constraints {
            let Rule::PrimaryKey { terms: _, autoincrement: Some(position) } = constraint.rule else {
                continue;
            };
            if self.options.allow_integer_key {
                self.note(position, "AUTOINCREMENT stays on the device: PostgreSQL gives out no numbers");
            } else {
                self.problem(position, "AUTOINCREMENT", format!("each device counts for itself: {ADVICE}"));
            }
        }
        if let Some(position) = table.without_rowid {
            self.note(position, "WITHOUT ROWID is how SQLite stores the table, and nothing that can be seen");
        }
    }
}
