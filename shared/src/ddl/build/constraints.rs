//! Primary keys and UNIQUE constraints.

use super::super::plan::UniquePlan;
use super::super::syntax::{CreateTable, IndexTerm, Name, Rule};
use super::Builder;

impl Builder<'_> {
    /// Plans the keys of a table, whose columns are planned.
    pub(super) fn plan_uniques(&mut self, at: usize, table: &CreateTable) {
        let mut has_key = false;
        for constraint in &table.constraints {
            let (terms, is_key) = match &constraint.rule {
                Rule::PrimaryKey { terms, autoincrement: _ } => (terms, true),
                Rule::Unique { terms } => (terms, false),
                Rule::Check { expr: _ } | Rule::ForeignKey(_) => continue,
            };
            if is_key && has_key {
                self.problem(constraint.position, "PRIMARY KEY", "a table has one primary key only");
            }
            has_key |= is_key;
            let columns = self.columns_of_terms(at, terms);
            let name = self.constraint_name(&table.name.text, constraint, true);
            if let Some(plan) = self.plans.get_mut(at) {
                plan.uniques.push(UniquePlan { name, columns, is_key });
            }
        }
    }

    fn columns_of_terms(&mut self, at: usize, terms: &[IndexTerm]) -> Vec<usize> {
        let mut columns = Vec::new();
        for term in terms {
            let Some((name, is_bytewise)) = self.column_of_term(&term.expr) else {
                let message = "a key or a UNIQUE constraint consists of columns, not of expressions";
                self.problem(term.expr.position, "expression in a constraint", message);
                continue;
            };
            if term.descending {
                self.note(
                    term.expr.position,
                    "DESC has no meaning in a constraint of PostgreSQL, where none is seen",
                );
            }
            let name = Name { text: name.to_owned(), position: term.expr.position };
            let Some(column) = self.column_at(at, &name) else { continue };
            if columns.contains(&column) {
                self.note(name.position, format!("column {} is named twice, which has no effect", name.text));
                continue;
            }
            columns.push(column);
            if let Some(planned) = self.plans.get_mut(at).and_then(|plan| plan.columns.get_mut(column)) {
                planned.is_bytewise |= is_bytewise;
            }
        }
        columns
    }
}
