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
    /// What each column is to the statement, by its name in `r`.
    outputs: Vec<String>,
}

impl Set {
    /// Adds a column that already is an argument.
    pub(super) fn push(&mut self, name: &str, arg: Arg) {
        self.names.push(name.to_owned());
        self.outputs.push(format!("r.{name}"));
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

    /// Adds the columns of a key, named `k1`, `k2` and so on, of the key's own types.
    ///
    /// # Errors
    /// A key column's type can never hold one of the values.
    pub(super) fn push_keys(&mut self, keys: &[TableColumn], rows: &[&[Value]]) -> Result<(), Refusal> {
        for (at, column) in keys.iter().enumerate() {
            let values = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
            let name = format!("k{}", at + 1);
            self.push_values(&name, column, values)?;
            if let Some(output) = self.outputs.last_mut() {
                *output = column.kind.input(&format!("r.{name}"));
            }
        }
        Ok(())
    }

    /// The `FROM` item `u`: the columns as named, and `ord` counted from 1.
    ///
    /// Keys are cast inside, behind a fence: a cast may tell of the values it is given, so PostgreSQL
    /// would not look a key up in an index before row-level security has read the whole table. The
    /// comparison of the finished keys is free of that.
    pub(super) fn as_from_item(&self) -> String {
        let outputs =
            self.outputs.iter().zip(&self.names).map(|(output, name)| format!("{output} AS {name}"));
        let outputs: Vec<String> = outputs.collect();
        format!("(SELECT {}, r.ord FROM {} OFFSET 0) AS u", outputs.join(", "), self.raw("r"))
    }

    /// The `FROM` item of the columns as they came.
    pub(super) fn raw(&self, alias: &str) -> String {
        let lists: Vec<String> =
            (1..=self.args.len()).map(|at| format!("pg_catalog.unnest(${at})")).collect();
        let names = self.names.join(", ");
        format!("ROWS FROM ({}) WITH ORDINALITY AS {alias}({names}, ord)", lists.join(", "))
    }

    /// The arguments.
    pub(super) fn into_args(self) -> Vec<Arg> {
        self.args
    }
}

/// The condition that joins `u`'s key columns with the key columns of `alias`, by the operators of
/// the table's own key.
pub(super) fn key_join(
    keys: &[TableColumn],
    alias: &str,
    column_of: impl Fn(usize, &TableColumn) -> String,
) -> String {
    let parts = keys.iter().enumerate().map(|(at, key)| {
        let operator = key.equals.as_deref().unwrap_or("OPERATOR(pg_catalog.=)");
        format!("{alias}.{} {operator} u.k{}", column_of(at, key), at + 1)
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
