//! Foreign keys. SQLite looks at the parent when rows are written, PostgreSQL when the key is made.

use super::super::plan::{ForeignPlan, TablePlan};
use super::super::syntax::{CreateTable, ForeignKey, Rule};
use super::super::types::PgType;
use super::super::{quote, render};
use super::Builder;

impl Builder<'_> {
    /// Plans the foreign keys of a table; all tables and indexes are planned.
    pub(super) fn plan_foreign_keys(&mut self, at: usize, table: &CreateTable) {
        for constraint in &table.constraints {
            let Rule::ForeignKey(key) = &constraint.rule else { continue };
            let name = self.constraint_name(&table.name.text, constraint, false);
            let label = render::label(name.as_deref());
            if let Some(planned) = self.plan_foreign_key(at, key, &label)
                && let Some(plan) = self.plans.get_mut(at)
            {
                plan.foreign_keys.push(planned);
            }
        }
    }

    fn plan_foreign_key(&mut self, at: usize, key: &ForeignKey, label: &str) -> Option<ForeignPlan> {
        let columns: Vec<Option<usize>> = key.columns.iter().map(|name| self.column_at(at, name)).collect();
        let columns: Vec<usize> = columns.into_iter().collect::<Option<_>>()?;
        if let Some(matching) = &key.matching {
            let message = format!("MATCH {} is SIMPLE, which is what SQLite does", matching.text);
            self.note(matching.position, message);
        }
        self.check_generated(at, key, &columns)?;
        let parent = self.table_at(&key.parent.text);
        let mut needs_own_index = false;
        let (parent_name, parent_columns) = match parent {
            None => {
                let message =
                    format!("table {} is not in the script and must exist on the server", key.parent.text);
                self.note(key.parent.position, message);
                self.check_name(&key.parent);
                let names: Vec<String> = key.parent_columns.iter().map(|name| name.text.clone()).collect();
                (key.parent.text.clone(), names)
            }
            Some(parent) => {
                let referenced = self.parent_columns(parent, key)?;
                needs_own_index = self.check_parent(at, &columns, parent, &referenced, key)? && parent == at;
                let plan = self.plans.get(parent)?;
                (plan.name.clone(), plan.names_of(&referenced))
            }
        };
        let child = self.plans.get(at)?.names_of(&columns);
        let mut sql = format!(
            "{label}FOREIGN KEY ({}) REFERENCES {}",
            quote::names(&child),
            render::table_name(&parent_name, self.options)
        );
        if !parent_columns.is_empty() {
            sql.push_str(&format!(" ({})", quote::names(&parent_columns)));
        }
        for (event, action) in [("DELETE", key.on_delete), ("UPDATE", key.on_update)] {
            if let Some(action) = action {
                sql.push_str(&format!(" ON {event} {action}"));
            }
        }
        // Deferrable, so that a sync can bring the rows of both tables in any order.
        sql.push_str(if key.initially_deferred { " DEFERRABLE INITIALLY DEFERRED" } else { " DEFERRABLE" });
        Some(ForeignPlan { parent, needs_own_index, sql })
    }

    /// PostgreSQL lets no action write a generated column.
    fn check_generated(&mut self, at: usize, key: &ForeignKey, columns: &[usize]) -> Option<()> {
        let plan = self.plans.get(at)?;
        let mut generated = columns
            .iter()
            .filter_map(|column| plan.columns.get(*column))
            .filter(|column| column.is_generated);
        let writes = |action: Option<&str>| action.is_some_and(|action| action.starts_with("SET"));
        let Some(column) = generated.next() else { return Some(()) };
        if !writes(key.on_delete)
            && !writes(key.on_update)
            && key.on_update != Some("CASCADE")
            && !column.is_virtual
        {
            return Some(());
        }
        let message = format!(
            "in PostgreSQL no action of a foreign key can write the generated column {}",
            column.name
        );
        self.problem(key.parent.position, "FOREIGN KEY", message);
        None
    }

    fn parent_columns(&mut self, parent: usize, key: &ForeignKey) -> Option<Vec<usize>> {
        let columns: Vec<usize> = if key.parent_columns.is_empty() {
            self.plans.get(parent)?.key().to_vec()
        } else {
            let found: Vec<Option<usize>> =
                key.parent_columns.iter().map(|name| self.column_at(parent, name)).collect();
            found.into_iter().collect::<Option<_>>()?
        };
        if columns.len() != key.columns.len() {
            let message = format!(
                "{} column(s) reference {} column(s) of {}",
                key.columns.len(),
                columns.len(),
                key.parent.text
            );
            self.problem(key.parent.position, "FOREIGN KEY", message);
            return None;
        }
        Some(columns)
    }

    /// Checks that the types agree and that the parent's columns are unique; answers whether only an
    /// index makes them so.
    fn check_parent(
        &mut self,
        at: usize,
        columns: &[usize],
        parent: usize,
        referenced: &[usize],
        key: &ForeignKey,
    ) -> Option<bool> {
        let (plan, parent_plan) = (self.plans.get(at)?, self.plans.get(parent)?);
        let pairs = columns.iter().zip(referenced);
        let mut differing = pairs.filter_map(|(column, other)| {
            let (column, other) = (plan.columns.get(*column)?, parent_plan.columns.get(*other)?);
            let (left, right) = (column.pg.as_ref()?, other.pg.as_ref()?);
            (!are_alike(left, right)).then(|| {
                format!(
                    "{} is {} and {}.{} is {}: declare both alike",
                    column.name,
                    left.sql(),
                    parent_plan.name,
                    other.name,
                    right.sql()
                )
            })
        });
        if let Some(message) = differing.next() {
            drop(differing);
            self.problem(key.parent.position, "FOREIGN KEY", message);
            return None;
        }
        drop(differing);
        let by_constraint = parent_plan.uniques.iter().any(|unique| is_same_set(&unique.columns, referenced));
        if by_constraint || is_unique_by_index(parent_plan, referenced) {
            return Some(!by_constraint);
        }
        let message = format!("the columns of {} are neither its primary key nor UNIQUE", key.parent.text);
        self.problem(key.parent.position, "FOREIGN KEY", message);
        None
    }
}

fn are_alike(left: &PgType, right: &PgType) -> bool {
    let is_text = |pg: &PgType| matches!(pg, PgType::Text | PgType::Varchar(_));
    left == right
        || (is_text(left) && is_text(right))
        || matches!((left, right), (PgType::Numeric(_), PgType::Numeric(_)))
}

fn is_same_set(left: &[usize], right: &[usize]) -> bool {
    left.len() == right.len() && left.iter().all(|column| right.contains(column))
}

fn is_unique_by_index(plan: &TablePlan, columns: &[usize]) -> bool {
    let mut unique = plan.indexes.iter().filter_map(|index| index.unique_columns.as_ref());
    unique.any(|index| is_same_set(index, columns))
}
