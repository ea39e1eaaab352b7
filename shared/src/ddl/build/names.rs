//! Names: their length, and who has them already. Tables, indexes, keys and UNIQUE constraints share
//! one set of names in PostgreSQL.

use std::collections::BTreeSet;

use super::super::plan::TablePlan;
use super::super::quote::MAX_NAME_BYTES;
use super::super::syntax::{Constraint, Name};
use super::Builder;

/// Names that are given away.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of tables, indexes, keys and UNIQUE constraints.
    relations: BTreeSet<String>,
    /// Of constraints, with the name of their table.
    constraints: BTreeSet<(String, String)>,
}

impl Builder<'_> {
    /// Whether PostgreSQL can keep the name as it is.
    pub(super) fn check_name(&mut self, name: &Name) {
        if name.text.len() > MAX_NAME_BYTES {
            let message = format!(
                "{} has {} bytes, and PostgreSQL keeps {MAX_NAME_BYTES}: shorten it",
                name.text,
                name.text.len()
            );
            self.problem(name.position, "long name", message);
        }
        if name.text.is_empty() || name.text.contains('\0') {
            self.problem(name.position, "empty name", "in PostgreSQL a name is not empty and has no NUL");
        }
    }

    /// Takes the name of a table or an index.
    pub(super) fn take_relation_name(&mut self, name: &Name) {
        self.check_name(name);
        if !self.names.relations.insert(name.text.to_ascii_lowercase()) {
            let message = format!("there is a table or an index {} already", name.text);
            self.problem(name.position, "duplicate name", message);
        }
    }

    /// The name that a constraint keeps. SQLite gives it no meaning, so one that is taken can go.
    pub(super) fn constraint_name(
        &mut self,
        table: &str,
        constraint: &Constraint,
        is_index: bool,
    ) -> Option<String> {
        let name = constraint.name.as_ref()?;
        self.check_name(name);
        let text = name.text.clone();
        let is_free = self.names.constraints.insert((table.to_owned(), text.clone()))
            && (!is_index || self.names.relations.insert(text.to_ascii_lowercase()));
        if !is_free {
            let message = format!("the constraint goes without its name {text}, which is taken already");
            self.note(name.position, message);
        }
        is_free.then_some(text)
    }

    /// Finds a column, or tells that there is none.
    pub(super) fn column_at(&mut self, plan: usize, name: &Name) -> Option<usize> {
        let table = self.plans.get(plan)?;
        let found = table.column(&name.text);
        if found.is_none() {
            let message = format!("table {} has no column {}", table.name, name.text);
            self.problem(name.position, "unknown column", message);
        }
        found
    }
}

/// Names of tables that belong to SQLite or to cloudsync.
pub(super) fn is_system_table(plan: &TablePlan) -> bool {
    let lower = plan.name.to_ascii_lowercase();
    lower.starts_with("sqlite_") || lower.starts_with("cloudsync_") || lower.ends_with("_cloudsync")
}
