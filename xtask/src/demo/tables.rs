//! A table of the demonstration: its columns, its rows, and both engines' SQL for them.

/// What a column holds; the engines name these differently.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// 64-bit integer.
    Integer,
    /// 64-bit float.
    Real,
}

/// One value of a row.
#[derive(Clone, PartialEq)]
pub enum Cell {
    /// Not known.
    Null,
    /// Text.
    Text(String),
    /// 64-bit integer.
    Integer(i64),
    /// 64-bit float.
    Real(f64),
}

/// A column. The first of a table is its key.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its name on both engines.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The table whose key it names.
    pub references: Option<&'static str>,
}

/// A table with its data.
pub struct Table {
    /// Its name on both engines.
    pub name: &'static str,
    /// Its columns, the key first.
    pub columns: &'static [Column],
    /// Its rows, with a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

/// Rows of one INSERT statement.
const BATCH: usize = 200;

/// A text column.
pub const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, references: None }
}

/// An integer column.
pub const fn integer(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer, references: None }
}

/// A column of floats.
pub const fn real(name: &'static str) -> Column {
    Column { name, kind: Kind::Real, references: None }
}

/// A text column that names a row of `table` by its key.
pub const fn reference(name: &'static str, table: &'static str) -> Column {
    Column { name, kind: Kind::Text, references: Some(table) }
}

impl Table {
    /// CREATE TABLE and `cloudsync_init` for a device.
    pub fn for_sqlite(&self) -> String {
        let types = ["TEXT", "INTEGER", "REAL"];
        format!("{}SELECT cloudsync_init('{}');\n", self.create(types), self.name)
    }

    /// CREATE TABLE and `cloudsync_init` for the server.
    pub fn for_postgres(&self) -> String {
        let types = ["text", "bigint", "double precision"];
        format!("{}SELECT cloudsync_init('public.{}');\n", self.create(types), self.name)
    }

    /// All rows, in one transaction.
    pub fn inserts(&self) -> String {
        let mut sql = "BEGIN;\n".to_owned();
        for batch in self.rows.chunks(BATCH) {
            let row =
                |row: &Vec<Cell>| format!("({})", row.iter().map(Cell::sql).collect::<Vec<_>>().join(","));
            let rows: Vec<String> = batch.iter().map(row).collect();
            sql.push_str(&format!("INSERT INTO {} VALUES\n{};\n", self.name, rows.join(",\n")));
        }
        sql + "COMMIT;\n"
    }

    /// The columns as a person would list them, with the tables that they refer to.
    pub fn described(&self) -> String {
        let column = |column: &Column| match column.references {
            Some(table) => format!("{} -> {table}", column.name),
            None => column.name.to_owned(),
        };
        self.columns.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// `types` are the names for text, integers and floats.
    fn create(&self, types: [&str; 3]) -> String {
        let column = |(index, column): (usize, &Column)| {
            let [text, integer, real] = types;
            let kind = match column.kind {
                Kind::Text => text,
                Kind::Integer => integer,
                Kind::Real => real,
            };
            let key = if index == 0 { " PRIMARY KEY NOT NULL" } else { "" };
            // A single referenced column may be left out: it is the other table's key.
            let references =
                column.references.map(|table| format!(" REFERENCES {table}")).unwrap_or_default();
            format!("  {} {kind}{key}{references}", column.name)
        };
        let columns: Vec<String> = self.columns.iter().enumerate().map(column).collect();
        format!("CREATE TABLE {} (\n{}\n);\n", self.name, columns.join(",\n"))
    }
}

impl Cell {
    fn sql(&self) -> String {
        match self {
            Cell::Null => "NULL".to_owned(),
            Cell::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Cell::Integer(number) => number.to_string(),
            Cell::Real(number) => format!("{number:?}"),
        }
    }
}
