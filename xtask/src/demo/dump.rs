//! A table of either engine in one canonical form, so that equal data is equal text.

use anyhow::{Context, Result, bail};

use super::device::Device;
use super::tables::{Column, Kind, Table};
use crate::psql::Psql;

/// No text of the data holds these: ASCII's own separators.
const BETWEEN_COLUMNS: char = '\u{1f}';
const BETWEEN_ROWS: char = '\u{1e}';
const NULL: &str = "\u{1d}";

/// The rows of a table, one line each, in the order of their text.
#[derive(PartialEq, Eq)]
pub struct Dump {
    /// Sorted lines.
    pub lines: Vec<String>,
}

impl Dump {
    /// As a device has it. A float is written out with all its digits: the short form that SQLite
    /// prints is one that SQLite reads back as the same float, while others may read its neighbour.
    pub fn of_device(device: &Device, table: &Table) -> Result<Dump> {
        let column = |column: &Column| match column.kind {
            Kind::Real => format!("CASE WHEN {0} IS NOT NULL THEN printf('%!.20e', {0}) END", column.name),
            Kind::Text | Kind::Integer => column.name.to_owned(),
        };
        let columns: Vec<String> = table.columns.iter().map(column).collect();
        let printed = device.run(&format!(
            ".mode list\n.separator \"{BETWEEN_COLUMNS}\" \"{BETWEEN_ROWS}\"\n.nullvalue \"{NULL}\"\nSELECT {} FROM {};\n",
            columns.join(", "),
            table.name
        ))?;
        parse(&printed, table).with_context(|| format!("dump {} of device {}", table.name, device.name))
    }

    /// As the server has it.
    pub fn of_server(psql: &Psql, table: &Table) -> Result<Dump> {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), table.name);
        let printed = psql.rows(&sql, BETWEEN_COLUMNS, BETWEEN_ROWS, NULL)?;
        // psql ends the last row with a line feed, not with the separator.
        let printed = printed.strip_suffix('\n').unwrap_or(&printed);
        parse(printed, table).with_context(|| format!("dump {} of the server", table.name))
    }

    /// A short name for the content (FNV-1a): equal dumps have equal ones.
    pub fn hash(&self) -> String {
        let bytes = self.lines.iter().flat_map(|line| line.bytes().chain([b'\n']));
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        format!("{:08x}", bytes.fold(0xcbf2_9ce4_8422_2325, step) >> 32)
    }
}

fn parse(printed: &str, table: &Table) -> Result<Dump> {
    let rows = printed.split(BETWEEN_ROWS).filter(|row| !row.is_empty());
    let mut lines = rows.map(|row| canonical(row, table)).collect::<Result<Vec<_>>>()?;
    lines.sort();
    Ok(Dump { lines })
}

fn canonical(row: &str, table: &Table) -> Result<String> {
    let cells: Vec<&str> = row.split(BETWEEN_COLUMNS).collect();
    if cells.len() != table.columns.len() {
        bail!("a row has {} cells, not {}: {row:?}", cells.len(), table.columns.len());
    }
    let cell = |(column, cell): (&Column, &&str)| match (column.kind, *cell) {
        (_, NULL) => Ok("NULL".to_owned()),
        (Kind::Text, text) => Ok(format!("{text:?}")),
        (Kind::Integer, number) => Ok(number.to_owned()),
        (Kind::Real, number) => {
            let number: f64 =
                number.parse().with_context(|| format!("{}: `{number}` is no float", column.name))?;
            Ok(format!("{number:?}"))
        }
    };
    let cells: Result<Vec<String>> = table.columns.iter().zip(&cells).map(cell).collect();
    Ok(cells?.join(","))
}

#[cfg(test)]
mod tests {
    use super::super::tables::{real, text};
    use super::*;

    const ONE: &[Column] = &[text("id")];
    const TWO: &[Column] = &[text("id"), real("x")];

    #[test]
    fn both_engines_spellings_of_a_float_are_one() {
        let table = Table { name: "t", columns: TWO, rows: vec![] };
        let sqlite =
            parse("b\u{1f}76.0\u{1e}a\u{1f}1.00000000000000005551e-01\u{1e}", &table).expect("well formed");
        let postgres = parse("a\u{1f}0.1\u{1e}b\u{1f}76", &table).expect("well formed");
        assert_eq!(sqlite.lines, ["\"a\",0.1", "\"b\",76.0"]);
        assert!(sqlite == postgres);
        assert_eq!(sqlite.hash(), postgres.hash());
    }

    #[test]
    fn null_is_not_the_word() {
        let table = Table { name: "t", columns: ONE, rows: vec![] };
        let lines = parse("NULL\u{1e}\u{1d}\u{1e}", &table).expect("well formed").lines;
        assert_eq!(lines, ["\"NULL\"", "NULL"]);
    }
}
