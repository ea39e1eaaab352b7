//! From the syntax tree to the plan of each table, in the order in which one thing needs another:
//! types, keys, the types that keys change, expressions, foreign keys, indexes.

mod columns;
mod constraints;
mod expressions;
mod foreign_keys;
mod indexes;
mod names;
mod sync_rules;

use super::options::Options;
use super::order;
use super::parse::{Script, Statement};
use super::plan::TablePlan;
use super::problem::{Note, Position, Problem};
use super::syntax::{CreateIndex, CreateTable, Expr, Node};
use super::{Table, Translation, render};

/// The most tables of one script.
const MAX_TABLES: usize = 1000;

/// What is known so far.
struct Builder<'a> {
    options: &'a Options,
    problems: Vec<Problem>,
    notes: Vec<Note>,
    /// The plan of each table, in the order of the script.
    plans: Vec<TablePlan>,
    names: names::Names,
}

/// Plans and writes down all tables of a script.
///
/// # Errors
/// All problems of the script, in its order.
pub(super) fn build(script: Script, options: &Options) -> Result<Translation, Vec<Problem>> {
    let Script { statements, problems, notes } = script;
    let mut tables: Vec<CreateTable> = Vec::new();
    let mut indexes: Vec<CreateIndex> = Vec::new();
    for statement in statements {
        match statement {
            Statement::Table(table) => tables.push(table),
            Statement::Index(index) => indexes.push(index),
        }
    }
    let mut builder = Builder { options, problems, notes, plans: Vec::new(), names: names::Names::default() };
    builder.check_limits(&tables);
    tables.truncate(MAX_TABLES);
    for table in &tables {
        builder.plan_columns(table);
    }
    let tables: Vec<(usize, &CreateTable)> = tables.iter().enumerate().collect();
    for (at, table) in &tables {
        builder.plan_uniques(*at, table);
    }
    builder.widen_json(&tables, &indexes);
    for (at, table) in &tables {
        builder.plan_expressions(*at, table);
        builder.check_sync_rules(*at, table);
    }
    for index in &indexes {
        builder.plan_index(index);
    }
    for (at, table) in &tables {
        builder.plan_foreign_keys(*at, table);
    }
    builder.finish()
}

impl Builder<'_> {
    fn problem(&mut self, position: Position, construct: &'static str, message: impl Into<String>) {
        self.problems.push(Problem::new(position, construct, message));
    }

    fn note(&mut self, position: Position, message: impl Into<String>) {
        self.notes.push(Note { position, message: message.into() });
    }

    fn check_limits(&mut self, tables: &[CreateTable]) {
        if let Some(table) = tables.get(MAX_TABLES) {
            let message = format!("a script has at most {MAX_TABLES} tables: translate it in parts");
            self.problem(table.name.position, "limit", message);
        }
    }

    /// The place of a table in the script; SQLite's names ignore the case of A to Z.
    fn table_at(&self, name: &str) -> Option<usize> {
        self.plans.iter().position(|plan| plan.name.eq_ignore_ascii_case(name))
    }

    /// The column that a term of a key or an index is, and whether its bytes are to be compared.
    /// `None`: it is an expression.
    fn column_of_term<'e>(&mut self, expr: &'e Expr) -> Option<(&'e str, bool)> {
        match &expr.node {
            // Here SQLite takes a string for a name.
            Node::Column { table: None, name } | Node::Text(name) => Some((name, false)),
            Node::Collate { operand, collation } => {
                let (name, _) = self.column_of_term(operand)?;
                if !collation.text.eq_ignore_ascii_case("BINARY") {
                    let message =
                        format!("collation {} has no equivalent in PostgreSQL here", collation.text);
                    self.problem(collation.position, "COLLATE", message);
                }
                Some((name, true))
            }
            _ => None,
        }
    }

    fn finish(mut self) -> Result<Translation, Vec<Problem>> {
        if !self.problems.is_empty() {
            self.problems.sort_by_key(|problem| problem.position);
            self.problems.dedup();
            return Err(self.problems);
        }
        self.notes.sort_by_key(|note| note.position);
        self.notes.dedup();
        let order::Order { tables: order, late } = order::parents_first(&self.plans);
        let mut tables = Vec::new();
        let mut foreign_keys = Vec::new();
        for at in order {
            let Some(plan) = self.plans.get(at) else { continue };
            let is_late = |which: usize| late.contains(&(at, which));
            let of_table = |late: bool| {
                let all = plan.foreign_keys.iter().enumerate().filter(|_| self.options.foreign_keys);
                all.filter(move |(which, _)| is_late(*which) == late).map(|(_, key)| key.sql.as_str())
            };
            let inline: Vec<&str> = of_table(false).collect();
            let name = render::table_name(&plan.name, self.options);
            foreign_keys.extend(of_table(true).map(|sql| format!("ALTER TABLE {name} ADD {sql};")));
            let (schema, placed_name) = self.options.place(&plan.name);
            tables.push(Table {
                name: placed_name,
                declared_name: plan.name.clone(),
                schema: schema.map(str::to_owned),
                key: plan.names_of(plan.key()),
                create: render::create_table(plan, &inline, self.options),
                indexes: plan.indexes.iter().map(|index| index.sql.clone()).collect(),
            });
        }
        Ok(Translation { tables, foreign_keys, notes: self.notes })
    }
}
