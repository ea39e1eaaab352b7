//! Defaults, generated columns and CHECKs.

use super::super::assign::assign;
use super::super::expression::{Kind, Place, Sql, Translator};
use super::super::plan::CheckPlan;
use super::super::syntax::{Column, CreateTable, Expr, Generated, Node, Rule};
use super::super::types::{Affinity, PgType};
use super::Builder;

/// The first major version that computes generated columns when they are read.
const KNOWS_VIRTUAL: u32 = 18;

impl Builder<'_> {
    /// Translates the expressions of a table. Generated columns come first, since a CHECK may need the
    /// type that they get from their expression.
    pub(super) fn plan_expressions(&mut self, at: usize, table: &CreateTable) {
        for (column_at, column) in table.columns.iter().enumerate() {
            if let Some(generated) = &column.generated {
                self.plan_generated(at, column_at, column, generated);
            }
            if let Some(default) = &column.default {
                self.plan_default(at, column_at, &default.expr);
            }
        }
        for constraint in &table.constraints {
            let Rule::Check { expr } = &constraint.rule else { continue };
            let name = self.constraint_name(&table.name.text, constraint, false);
            let condition = self.with_translator(at, Place::Stored, |translator| translator.condition(expr));
            if let (Some(plan), Some(condition)) = (self.plans.get_mut(at), condition) {
                plan.checks.push(CheckPlan { name, condition: condition.text });
            }
        }
    }

    /// Lends the table's columns to a translator.
    pub(super) fn with_translator<T>(
        &mut self,
        at: usize,
        place: Place,
        translate: impl FnOnce(&mut Translator<'_>) -> Option<T>,
    ) -> Option<T> {
        let plan = self.plans.get(at)?;
        let mut translator = Translator {
            place,
            table: &plan.name,
            columns: &plan.columns,
            options: self.options,
            problems: &mut self.problems,
            notes: &mut self.notes,
        };
        translate(&mut translator)
    }

    fn plan_default(&mut self, at: usize, column: usize, expr: &Expr) {
        let Some(value) = self.with_translator(at, Place::Default, |translator| translator.translate(expr))
        else {
            return;
        };
        let Some(default) = self.assigned(at, column, expr, value) else { return };
        if let Some(planned) = self.plans.get_mut(at).and_then(|plan| plan.columns.get_mut(column)) {
            // A COLLATE within a default could be taken for the column's, by readers if not by the server.
            let is_plain = default.atomic && !default.text.contains(" COLLATE ");
            planned.default = Some(if is_plain { default.text } else { format!("({})", default.text) });
        }
    }

    /// What the column takes of a value; a problem is told.
    fn assigned(&mut self, at: usize, column: usize, expr: &Expr, value: Sql) -> Option<Sql> {
        let planned = self.plans.get(at)?.columns.get(column)?;
        match assign(expr, value, planned.pg.as_ref()?, planned.affinity) {
            Ok(sql) => Some(sql),
            Err(refusal) => {
                let message = format!("column {}: {}", planned.name, refusal.message);
                self.problem(expr.position, refusal.construct, message);
                None
            }
        }
    }

    fn plan_generated(&mut self, at: usize, column_at: usize, column: &Column, generated: &Generated) {
        if let Some(other) = self.generated_column_in(at, &generated.expr) {
            let message = format!("PostgreSQL computes no generated column from another, which {other} is");
            self.problem(generated.expr.position, "generated column", message);
            return;
        }
        let translated =
            self.with_translator(at, Place::Stored, |translator| translator.translate(&generated.expr));
        let Some(value) = translated else { return };
        if let Some(constant) = constant_over_text(&generated.expr) {
            let message = "PostgreSQL computes this constant without its collation here: write its value";
            self.problem(constant.position, "constant expression", message);
            return;
        }
        if column.declared.is_none() && !self.infer_type(at, column_at, &generated.expr, value.kind) {
            return;
        }
        let Some(value) = self.assigned(at, column_at, &generated.expr, value) else { return };
        let is_compared = self
            .plans
            .get(at)
            .is_some_and(|plan| plan.uniques.iter().any(|unique| unique.columns.contains(&column_at)));
        let is_virtual = !generated.stored && self.options.postgres >= KNOWS_VIRTUAL && !is_compared;
        if !generated.stored && !is_virtual {
            let message = format!(
                "column {} is STORED: VIRTUAL needs PostgreSQL {KNOWS_VIRTUAL} and no UNIQUE",
                column.name.text
            );
            self.note(column.name.position, message);
        }
        if let Some(planned) = self.plans.get_mut(at).and_then(|plan| plan.columns.get_mut(column_at)) {
            planned.generated = Some(value.text);
            planned.is_virtual = is_virtual;
        }
    }

    /// Gives a generated column without a declared type that of its expression.
    fn infer_type(&mut self, at: usize, column: usize, expr: &Expr, kind: Kind) -> bool {
        let (pg, affinity) = match kind {
            Kind::Truth | Kind::Small | Kind::Integer => (PgType::Bigint, Affinity::Integer),
            Kind::Decimal | Kind::Real => (PgType::Double, Affinity::Real),
            Kind::Text | Kind::LooseText | Kind::MomentText(_) | Kind::Uuid => (PgType::Text, Affinity::Text),
            Kind::Blob => (PgType::Bytea, Affinity::Blob),
            Kind::Null | Kind::Numeric | Kind::Digits | Kind::Opaque => {
                self.problem(expr.position, "column without a type", "give the generated column a type");
                return false;
            }
        };
        if let Some(planned) = self.plans.get_mut(at).and_then(|plan| plan.columns.get_mut(column)) {
            (planned.pg, planned.affinity) = (Some(pg), affinity);
        }
        true
    }

    /// The name of a generated column that an expression reads.
    fn generated_column_in(&self, at: usize, expr: &Expr) -> Option<String> {
        let plan = self.plans.get(at)?;
        if let Node::Column { table: _, name } = &expr.node {
            let column = plan.columns.get(plan.column(name)?)?;
            return column.is_generated.then(|| column.name.clone());
        }
        expr.node.parts().into_iter().find_map(|part| self.generated_column_in(at, part))
    }
}

/// A part that looks at letters of constants alone: when PostgreSQL folds it in a generated column, it
/// has not read the COLLATE yet and gives up.
fn constant_over_text(expr: &Expr) -> Option<&Expr> {
    let looks_at_letters = match &expr.node {
        Node::Call { name, arguments: _ } => matches!(name.as_str(), "lower" | "upper"),
        Node::Binary { operator: _, left: _, right: _ }
        | Node::Between { operand: _, low: _, high: _, negated: _ }
        | Node::Like { operand: _, pattern: _, escape: _, negated: _ }
        | Node::Glob { operand: _, pattern: _, negated: _ } => true,
        _ => false,
    };
    let is_column = |node: &Node| matches!(node, Node::Column { table: _, name: _ });
    let is_text = |node: &Node| matches!(node, Node::Text(_));
    if looks_at_letters && !contains(expr, &is_column) && contains(expr, &is_text) {
        return Some(expr);
    }
    expr.node.parts().into_iter().find_map(constant_over_text)
}

fn contains(expr: &Expr, test: &dyn Fn(&Node) -> bool) -> bool {
    test(&expr.node) || expr.node.parts().into_iter().any(|part| contains(part, test))
}
