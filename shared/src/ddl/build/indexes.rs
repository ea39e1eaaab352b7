//! `CREATE INDEX`.

use super::super::expression::{Kind, Place};
use super::super::plan::IndexPlan;
use super::super::syntax::{CreateIndex, IndexTerm, Name};
use super::super::types::PgType;
use super::super::{quote, render};
use super::Builder;
use super::sync_rules::MAX_INDEX_COLUMNS;

/// A term of an index as SQL, and the column that it is.
struct Term {
    sql: String,
    column: Option<usize>,
}

impl Builder<'_> {
    /// Plans an index on a table that is planned.
    pub(super) fn plan_index(&mut self, index: &CreateIndex) {
        self.take_relation_name(&index.name);
        let Some(at) = self.table_at(&index.table.text) else {
            let message = format!("table {} is not in the script: translate them together", index.table.text);
            self.problem(index.table.position, "CREATE INDEX", message);
            return;
        };
        if index.terms.len() > MAX_INDEX_COLUMNS {
            let message = format!("an index has at most {MAX_INDEX_COLUMNS} columns in PostgreSQL");
            self.problem(index.name.position, "limit", message);
        }
        let terms: Vec<Option<Term>> =
            index.terms.iter().map(|term| self.plan_term(at, term, index.unique)).collect();
        let condition = index
            .condition
            .as_ref()
            .map(|expr| self.with_translator(at, Place::Stored, |translator| translator.condition(expr)));
        let Some(terms) = terms.into_iter().collect::<Option<Vec<Term>>>() else { return };
        let condition = match condition {
            None => String::new(),
            Some(None) => return,
            Some(Some(sql)) => format!(" WHERE {}", sql.text),
        };
        let columns: Option<Vec<usize>> = terms.iter().map(|term| term.column).collect();
        let list: Vec<&str> = terms.iter().map(|term| term.sql.as_str()).collect();
        let Some(plan) = self.plans.get_mut(at) else { return };
        let sql = format!(
            "CREATE {}INDEX {}{} ON {} ({}){condition};",
            if index.unique { "UNIQUE " } else { "" },
            if index.if_not_exists { "IF NOT EXISTS " } else { "" },
            quote::name(&index.name.text),
            render::table_name(&plan.name, self.options),
            list.join(", ")
        );
        let unique_columns = columns.filter(|_| index.unique && condition.is_empty());
        plan.indexes.push(IndexPlan { unique_columns, sql });
    }

    fn plan_term(&mut self, at: usize, term: &IndexTerm, unique: bool) -> Option<Term> {
        // Where NULLs stand in an index cannot be seen; so PostgreSQL's own order serves its own queries.
        let order = if term.descending { " DESC" } else { "" };
        if let Some((name, is_bytewise)) = self.column_of_term(&term.expr) {
            let name = Name { text: name.to_owned(), position: term.expr.position };
            let column = self.column_at(at, &name)?;
            let planned = self.plans.get(at)?.columns.get(column)?;
            let is_text = matches!(planned.pg, Some(PgType::Text | PgType::Varchar(_)));
            let collation = if is_bytewise && is_text { " COLLATE \"C\"" } else { "" };
            let sql = format!("{}{collation}{order}", quote::name(&planned.name));
            if planned.is_virtual {
                let message = format!(
                    "column {} is VIRTUAL, which PostgreSQL cannot index: make it STORED",
                    planned.name
                );
                self.problem(term.expr.position, "generated column", message);
            }
            return Some(Term { sql, column: Some(column) });
        }
        if unique {
            let message = "a unique index on an expression cannot be synced: add a generated column";
            self.problem(term.expr.position, "unique index on an expression", message);
        }
        let value = self.with_translator(at, Place::Stored, |translator| translator.translate(&term.expr))?;
        if value.kind == Kind::Null {
            self.problem(term.expr.position, "expression", "an index on NULL has no meaning");
            return None;
        }
        Some(Term { sql: format!("({}){order}", value.text), column: None })
    }
}
