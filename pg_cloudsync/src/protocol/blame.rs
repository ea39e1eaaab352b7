//! Which column a refused value belongs to: PostgreSQL's own message tells the value, not the column.

use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;

use super::refuse::as_refusal;
use super::spi::{Arg, Mode, query};
use super::table::{Table, TableColumn};
use super::types::Input;
use crate::error::PgError;
use crate::ffi::subxact::in_subtransaction;

/// The refusal of a row for an error. If the error is about a value, the column whose type refuses its
/// value in the same way is named first.
pub(super) fn named_refusal<'v>(
    table: &Table,
    values: impl IntoIterator<Item = (&'v TableColumn, &'v Value)>,
    error: PgError,
) -> Refusal {
    let refusal = as_refusal(error);
    if !is_about_a_value(&refusal) {
        return refusal;
    }
    let mut values = values.into_iter().filter(|(column, value)| column.kind.may_refuse(value));
    match values.find(|(column, value)| refuses(table, column, value, &refusal)) {
        Some((column, _)) => {
            Refusal { message: format!("column {}: {}", column.name, refusal.message), ..refusal }
        }
        None => refusal,
    }
}

/// Class 22 is about data; a domain's CHECK has the code of a table's.
fn is_about_a_value(refusal: &Refusal) -> bool {
    let is_named = refusal.message.starts_with("column ");
    !is_named
        && (refusal.sqlstate.starts_with("22") || matches!(refusal.sqlstate.as_str(), "23514" | "23502"))
}

/// Whether the column refuses this value by itself with the same error. The value is read as part of a
/// row, which checks length, precision and domains as an assignment does; JSON would be taken as it is.
fn refuses(table: &Table, column: &TableColumn, value: &Value, refusal: &Refusal) -> bool {
    let Ok(Input::Text(Some(text))) = column.kind.write(value, &column.name) else { return false };
    let (sql, args) = if column.kind.is_json() {
        let sql = format!("SELECT 1 WHERE {} IS NULL", column.kind.input("$1"));
        (sql, vec![Arg::Text(text)])
    } else {
        let sql = format!(
            "SELECT 1 FROM pg_catalog.jsonb_populate_record(CAST(NULL AS {}), \
                pg_catalog.jsonb_build_object($1, $2)) AS r WHERE r IS NULL",
            table.relation
        );
        (sql, vec![Arg::Text(column.name.clone()), Arg::Text(text)])
    };
    let read = in_subtransaction(|| query(Mode::Write, &sql, args, |_| Ok(())));
    read.is_err_and(|error| as_refusal(error).sqlstate == refusal.sqlstate)
}
