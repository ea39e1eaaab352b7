//! The types of a table's columns, and what else is known without looking at expressions.

use super::super::options::NoCase;
use super::super::plan::{ColumnPlan, TablePlan};
use super::super::syntax::{Column, CreateIndex, CreateTable, Rule};
use super::super::types::{self, Affinity, Chosen, PgType};
use super::{Builder, names};

/// The most columns of a PostgreSQL table.
const MAX_COLUMNS: usize = 1600;

/// Columns that every PostgreSQL table has.
const SYSTEM_COLUMNS: &[&str] = &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

impl Builder<'_> {
    /// Adds the plan of a table with its columns.
    pub(super) fn plan_columns(&mut self, table: &CreateTable) {
        self.take_relation_name(&table.name);
        let mut plan = TablePlan {
            name: table.name.text.clone(),
            position: table.name.position,
            if_not_exists: table.if_not_exists,
            columns: Vec::new(),
            uniques: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
        };
        if names::is_system_table(&plan) {
            let message = format!("{} is the name of a system table, which is not synced", plan.name);
            self.problem(plan.position, "system table", message);
        }
        if table.columns.len() > MAX_COLUMNS {
            let message = format!("a table of PostgreSQL has at most {MAX_COLUMNS} columns");
            self.problem(plan.position, "limit", message);
        }
        for column in table.columns.iter().take(MAX_COLUMNS) {
            self.check_name(&column.name);
            if plan.column(&column.name.text).is_some() {
                let message = format!("there is a column {} already", column.name.text);
                self.problem(column.name.position, "duplicate name", message);
            }
            if SYSTEM_COLUMNS.contains(&column.name.text.as_str()) {
                let message =
                    format!("{} is a system column of every PostgreSQL table: rename it", column.name.text);
                self.problem(column.name.position, "system column", message);
            }
            let planned = self.plan_column(table, column);
            plan.columns.push(planned);
        }
        self.plans.push(plan);
    }

    fn plan_column(&mut self, table: &CreateTable, column: &Column) -> ColumnPlan {
        let chosen = self.column_type(table, column);
        let mut planned = ColumnPlan {
            name: column.name.text.clone(),
            position: column.name.position,
            affinity: chosen.as_ref().map_or(Affinity::Blob, |chosen| chosen.affinity),
            pg: chosen.map(|chosen| chosen.pg),
            not_null: column.not_null,
            is_bytewise: false,
            default: None,
            generated: None,
            is_generated: column.generated.is_some(),
            is_virtual: false,
        };
        if column.generated.is_some() && column.default.is_some() {
            let message = format!("column {} is generated and has a DEFAULT", column.name.text);
            self.problem(column.name.position, "DEFAULT", message);
        }
        self.apply_collation(column, &mut planned);
        planned
    }

    fn column_type(&mut self, table: &CreateTable, column: &Column) -> Option<Chosen> {
        let Some(declared) = &column.declared else {
            if table.strict {
                self.problem(
                    column.name.position,
                    "column without a type",
                    "a STRICT table needs a type here",
                );
            } else if self.options.untyped_as_text {
                self.note(column.name.position, "a column without a type is text; numbers come back as text");
                return Some(Chosen { pg: PgType::Text, affinity: Affinity::Blob, note: None });
            } else if column.generated.is_none() {
                let message = format!(
                    "column {} has no type and holds values of every type, and no type of PostgreSQL does: \
                     give it a type",
                    column.name.text
                );
                self.problem(column.name.position, "column without a type", message);
            }
            return None;
        };
        let chosen = match table.strict {
            true => types::choose_strict(declared, self.options),
            false => types::choose(declared, self.options),
        };
        match chosen {
            Ok(chosen) => {
                if let Some(note) = &chosen.note {
                    self.note(declared.position, format!("column {}: {note}", column.name.text));
                }
                Some(chosen)
            }
            Err(message) => {
                let message = format!("column {}: {message}", column.name.text);
                self.problem(declared.position, "type", message);
                None
            }
        }
    }

    fn apply_collation(&mut self, column: &Column, planned: &mut ColumnPlan) {
        let Some(collation) = &column.collation else { return };
        let is_text = matches!(planned.pg, Some(PgType::Text | PgType::Varchar(_)));
        match collation.text.to_ascii_uppercase().as_str() {
            "BINARY" => planned.is_bytewise = true,
            "NOCASE" | "RTRIM" if !is_text => {
                let message =
                    format!("COLLATE {} has no effect on a column that holds no text", collation.text);
                self.note(collation.position, message);
            }
            "NOCASE" if self.options.no_case == NoCase::Citext => {
                let message = "citext folds the case of all letters, COLLATE NOCASE that of A to Z only";
                self.note(collation.position, message);
                planned.pg = Some(PgType::Citext);
            }
            "NOCASE" => self.problem(
                collation.position,
                "COLLATE NOCASE",
                "no collation of PostgreSQL folds A to Z only: compare lower(...) instead, or choose citext",
            ),
            _ => {
                let message = format!("collation {} has no equivalent in PostgreSQL", collation.text);
                self.problem(collation.position, "COLLATE", message);
            }
        }
    }

    /// Makes text of JSON columns that a key, a UNIQUE constraint, a foreign key or an index compares:
    /// PostgreSQL's `json` has no equality.
    pub(super) fn widen_json(&mut self, tables: &[(usize, &CreateTable)], indexes: &[CreateIndex]) {
        let mut compared: Vec<(usize, usize)> = Vec::new();
        for (at, table) in tables {
            let Some(plan) = self.plans.get(*at) else { continue };
            compared
                .extend(plan.uniques.iter().flat_map(|unique| &unique.columns).map(|column| (*at, *column)));
            for constraint in &table.constraints {
                if let Rule::ForeignKey(key) = &constraint.rule {
                    compared.extend(
                        key.columns
                            .iter()
                            .filter_map(|name| plan.column(&name.text))
                            .map(|column| (*at, column)),
                    );
                }
            }
        }
        for index in indexes {
            let Some(at) = self.table_at(&index.table.text) else { continue };
            for term in &index.terms {
                if let Some((name, _)) = self.column_of_term(&term.expr)
                    && let Some(column) = self.plans.get(at).and_then(|plan| plan.column(name))
                {
                    compared.push((at, column));
                }
            }
        }
        for (at, column) in compared {
            let plan = self.plans.get_mut(at).and_then(|plan| plan.columns.get_mut(column));
            if let Some(plan) = plan.filter(|plan| plan.pg == Some(PgType::Json)) {
                plan.pg = Some(PgType::Text);
                let (position, name) = (plan.position, plan.name.clone());
                self.note(
                    position,
                    format!("column {name} is text, since PostgreSQL's json cannot be compared"),
                );
            }
        }
    }
}
