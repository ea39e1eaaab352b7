//! Sets as arguments: columns of values that a statement unnests and joins with a table.

use cloudsync_shared::port::Refusal;
use cloudsync_shared::value::Value;

use super::spi::Arg;
use super::table::TableColumn;
use super::types::Input;

/// Columns of values, one element a row, that become one `FROM` item named `u`.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    args: Vec<Arg>,
    names: Vec<String>,
}

impl Set {
    /// Adds a column that already is an argument.
    pub(super) fn push(&mut self, name: &str, arg: Arg) {
        self.names.push(name.to_owned());
        self.args.push(arg);
    }

    /// Adds a column of values of a table's column.
    ///
    /// # Errors
    /// The column's type can never hold one of them.
    pub(super) fn push_values<'a>(
        &mut self,
        name: &str,
        column: &TableColumn,
        values: impl Iterator<Item = &'a Value>,
    ) -> Result<(), Refusal> {
        let mut texts = Vec::new();
        let mut blobs = Vec::new();
        for value in values {
            match column.kind.write(value, &column.name)? {
                Input::Text(text) => texts.push(text),
                Input::Blob(blob) => blobs.push(blob),
            }
        }
        let arg = if column.kind.is_blob() { Arg::Blobs(blobs) } else { Arg::Texts(texts) };
        self.push(name, arg);
        Ok(())
    }

    /// Adds the columns of a key, named `k1`, `k2` and so on.
    ///
    /// # Errors
    /// A key column's type can never hold one of the values.
    pub(super) fn push_keys(&mut self, keys: &[TableColumn], rows: &[&[Value]]) -> Result<(), Refusal> {
        for (at, column) in keys.iter().enumerate() {
            let values = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
            self.push_values(&format!("k{}", at + 1), column, values)?;
        }
        Ok(())
    }

    /// The `FROM` item: the columns as named, and `ord` counted from 1.
    pub(super) fn from_item(&self) -> String {
        let lists: Vec<String> =
            (1..=self.args.len()).map(|at| format!("pg_catalog.unnest(${at})")).collect();
        format!("ROWS FROM ({}) WITH ORDINALITY AS u({}, ord)", lists.join(", "), self.names.join(", "))
    }

    /// The arguments.
    pub(super) fn into_args(self) -> Vec<Arg> {
        self.args
    }
}

/// The condition that joins `u`'s key columns with the key columns of `alias`, by the operators of
/// the table's own key.
pub(super) fn key_join(keys: &[TableColumn], alias: &str, column_of: impl Fn(usize, &TableColumn) -> String) -> String {
    let parts = keys.iter().enumerate().map(|(at, key)| {
        let operator = key.equals.as_deref().unwrap_or("OPERATOR(pg_catalog.=)");
        let element = key.kind.input(&format!("u.k{}", at + 1));
        format!("{alias}.{} {operator} {element}", column_of(at, key))
    });
    parts.collect::<Vec<_>>().join(" AND ")
}

/// [`key_join`] with the user's table.
pub(super) fn base_join(keys: &[TableColumn]) -> String {
    key_join(keys, "t", |_, key| key.quoted.clone())
}

/// [`key_join`] with the table of clocks.
pub(super) fn clock_join(keys: &[TableColumn]) -> String {
    key_join(keys, "c", |at, _| format!("k{}", at + 1))
}
