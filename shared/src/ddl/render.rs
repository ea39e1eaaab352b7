//! Plans written down as PostgreSQL's statements.

use super::options::Options;
use super::plan::{ColumnPlan, TablePlan, UniquePlan};
use super::quote;
use super::types::PgType;

/// A table's name with its schema.
pub(super) fn table_name(name: &str, options: &Options) -> String {
    match options.place(name) {
        (Some(schema), name) => format!("{}.{}", quote::name(schema), quote::name(&name)),
        (None, name) => quote::name(&name),
    }
}

/// `CONSTRAINT name `, or nothing.
pub(super) fn label(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("CONSTRAINT {} ", quote::name(name)))
}

/// `CREATE TABLE` with the foreign keys given.
pub(super) fn create_table(table: &TablePlan, foreign_keys: &[&str], options: &Options) -> String {
    let exists = if table.if_not_exists { "IF NOT EXISTS " } else { "" };
    let mut lines: Vec<String> = table.columns.iter().map(column).collect();
    lines.extend(table.uniques.iter().map(|unique| unique_constraint(table, unique)));
    lines.extend(
        table
            .checks
            .iter()
            .map(|check| format!("{}CHECK ({})", label(check.name.as_deref()), check.condition)),
    );
    lines.extend(foreign_keys.iter().map(|sql| (*sql).to_owned()));
    format!("CREATE TABLE {exists}{} (\n    {}\n);", table_name(&table.name, options), lines.join(",\n    "))
}

fn column(column: &ColumnPlan) -> String {
    let mut sql = quote::name(&column.name);
    if let Some(pg) = &column.pg {
        sql.push_str(&format!(" {}", pg.sql()));
        if column.is_bytewise && matches!(pg, PgType::Text | PgType::Varchar(_)) {
            sql.push_str(" COLLATE \"C\"");
        }
    }
    if let Some(expression) = &column.generated {
        let when = if column.is_virtual { "VIRTUAL" } else { "STORED" };
        sql.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {when}"));
    }
    if let Some(default) = &column.default {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    if column.not_null {
        sql.push_str(" NOT NULL");
    }
    sql
}

fn unique_constraint(table: &TablePlan, unique: &UniquePlan) -> String {
    let word = if unique.is_key { "PRIMARY KEY" } else { "UNIQUE" };
    format!("{}{word} ({})", label(unique.name.as_deref()), quote::names(&table.names_of(&unique.columns)))
}
