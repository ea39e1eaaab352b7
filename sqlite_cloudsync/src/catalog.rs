//! SQLite's catalog as facts: what a table is made of.

use rusqlite::{Connection, OptionalExtension};

use crate::error::Result;
use crate::quote;

/// What SQLite does to values on their way into a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Numbers become text.
    Text,
    /// Text that looks like a number becomes one.
    Numeric,
    /// Everything stays as it is.
    None,
}

/// A column of a user's table.
#[derive(Clone, Debug)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// The declared type, upper case.
    pub declared: String,
    /// What SQLite does to values.
    pub affinity: Affinity,
    /// Whether it is declared NOT NULL.
    pub not_null: bool,
    /// The text of its DEFAULT.
    pub default: Option<String>,
    /// Whether it is computed: neither shipped nor assigned.
    pub generated: bool,
}

impl ColumnInfo {
    /// Whether whole numbers are read back as floats.
    pub fn is_real(&self) -> bool {
        let is_float = ["REAL", "FLOA", "DOUB"].iter().any(|word| self.declared.contains(word));
        self.affinity == Affinity::Numeric && is_float && !self.declared.contains("INT")
    }
}

/// A unique index beside the primary key.
#[derive(Clone, Debug)]
pub struct UniqueIndex {
    /// Its name.
    pub name: String,
    /// Columns and collations; `None` for an expression.
    pub columns: Vec<Option<(String, String)>>,
    /// The text after WHERE if it is a partial index.
    pub condition: Option<String>,
}

/// A user's table.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// Its name as written in CREATE TABLE.
    pub name: String,
    /// `table`, `view`, `virtual` or `shadow`.
    pub kind: String,
    /// The key columns in key order.
    pub key: Vec<ColumnInfo>,
    /// The collations of the key columns, where an index tells.
    pub key_collations: Vec<String>,
    /// The other columns, in the order of the table.
    pub columns: Vec<ColumnInfo>,
    /// Unique indexes beside the primary key.
    pub unique: Vec<UniqueIndex>,
    /// Whether it was declared WITHOUT ROWID.
    pub without_rowid: bool,
}

impl TableInfo {
    /// Whether the key is one INTEGER PRIMARY KEY column, which SQLite numbers by itself.
    pub fn has_integer_key(&self) -> bool {
        match self.key.as_slice() {
            [only] => only.declared == "INTEGER" && !self.without_rowid && self.key_collations.is_empty(),
            _ => false,
        }
    }

    /// The columns that travel: all but the key and the generated ones.
    pub fn stored_columns(&self) -> impl Iterator<Item = &ColumnInfo> {
        self.columns.iter().filter(|column| !column.generated)
    }

    /// `"k" = ?1 AND …`: the row of a key, bound from parameter 1.
    pub fn key_condition(&self) -> String {
        let terms = self
            .key
            .iter()
            .enumerate()
            .map(|(at, column)| format!("{} = ?{}", quote::ident(&column.name), at + 1));
        terms.collect::<Vec<_>>().join(" AND ")
    }
}

/// Describes a table of the main database; `None` if there is none of that name.
///
/// # Errors
/// The catalog cannot be read.
pub fn describe(conn: &Connection, name: &str) -> Result<Option<TableInfo>> {
    let sql =
        "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE";
    let found: Option<(String, String, bool)> = conn
        .prepare_cached(sql)?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((name, kind, without_rowid)) = found else { return Ok(None) };
    let mut info = TableInfo {
        name,
        kind,
        key: Vec::new(),
        key_collations: Vec::new(),
        columns: Vec::new(),
        unique: Vec::new(),
        without_rowid,
    };
    read_columns(conn, &mut info)?;
    read_indexes(conn, &mut info)?;
    Ok(Some(info))
}

fn read_columns(conn: &Connection, info: &mut TableInfo) -> Result<()> {
    let sql = "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main')";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([&info.name])?;
    let mut key: Vec<(i64, ColumnInfo)> = Vec::new();
    while let Some(row) = rows.next()? {
        let declared = row.get::<_, String>(1)?.to_ascii_uppercase();
        let column = ColumnInfo {
            name: row.get(0)?,
            affinity: affinity(&declared),
            declared,
            not_null: row.get(2)?,
            default: row.get(3)?,
            generated: matches!(row.get::<_, i64>(5)?, 2 | 3),
        };
        match row.get::<_, i64>(4)? {
            0 => info.columns.push(column),
            at => key.push((at, column)),
        }
    }
    key.sort_by_key(|(at, _)| *at);
    info.key = key.into_iter().map(|(_, column)| column).collect();
    Ok(())
}

fn read_indexes(conn: &Connection, info: &mut TableInfo) -> Result<()> {
    let sql = "SELECT l.name, l.origin, l.partial, s.sql FROM pragma_index_list(?1, 'main') l
               LEFT JOIN main.sqlite_schema s ON s.type = 'index' AND s.name = l.name
               WHERE l.\"unique\" = 1 ORDER BY l.seq DESC";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([&info.name])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let columns = index_columns(conn, &name)?;
        if row.get::<_, String>(1)? == "pk" {
            info.key_collations = columns.into_iter().flatten().map(|(_, collation)| collation).collect();
            continue;
        }
        let condition = match row.get::<_, bool>(2)? {
            true => row.get::<_, Option<String>>(3)?.and_then(|sql| index_condition(&sql)),
            false => None,
        };
        info.unique.push(UniqueIndex { name, columns, condition });
    }
    Ok(())
}

fn index_columns(conn: &Connection, index: &str) -> Result<Vec<Option<(String, String)>>> {
    let sql = "SELECT name, coll FROM pragma_index_xinfo(?1, 'main') WHERE \"key\" = 1 ORDER BY seqno";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([index], |row| {
        let name: Option<String> = row.get(0)?;
        let collation: Option<String> = row.get(1)?;
        Ok(name.map(|name| (name, collation.unwrap_or_else(|| "BINARY".to_owned()))))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The affinity of a declared type. STRICT's ANY is asked for by its declared name.
fn affinity(declared: &str) -> Affinity {
    if declared.contains("INT") {
        Affinity::Numeric
    } else if ["CHAR", "CLOB", "TEXT"].iter().any(|word| declared.contains(word)) {
        Affinity::Text
    } else if declared.is_empty() || declared.contains("BLOB") || declared == "ANY" {
        // Outside STRICT tables ANY is numeric: comparing more carefully than needed does no harm.
        Affinity::None
    } else {
        Affinity::Numeric
    }
}

/// The text after the top-level WHERE of a CREATE INDEX statement.
fn index_condition(sql: &str) -> Option<String> {
    let bytes = sql.as_bytes();
    let (mut at, mut depth) = (0usize, 0usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'\'' | b'"' | b'`' => at = skip_until(bytes, at + 1, &[*byte]),
            b'[' => at = skip_until(bytes, at + 1, b"]"),
            b'-' if bytes.get(at + 1) == Some(&b'-') => at = skip_until(bytes, at + 2, b"\n"),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = skip_until(bytes, at + 2, b"*/") + 1,
            b'w' | b'W' if depth == 0 && is_where(bytes, at) => {
                return sql.get(at + 5..).map(|condition| condition.trim().trim_end_matches(';').to_owned());
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The position of the next `end` from `at` on, or of the last byte.
fn skip_until(bytes: &[u8], at: usize, end: &[u8]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.windows(end.len()).position(|window| window == end).map_or(bytes.len(), |found| at + found)
}

fn is_where(bytes: &[u8], at: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let word = bytes.get(at..at + 5).unwrap_or_default();
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    word.eq_ignore_ascii_case(b"where") && !is_word(before) && !is_word(bytes.get(at + 5))
}

/// The user's tables of the main database: no system, virtual or shadow tables, none of ours.
///
/// # Errors
/// The catalog cannot be read.
pub fn user_tables(conn: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'cloudsync\\_%' ESCAPE '\\'
               AND name NOT LIKE '%\\_cloudsync' ESCAPE '\\' AND name NOT LIKE '%\\_cloudsync\\_journal' ESCAPE '\\'
               AND name NOT LIKE '%\\_cloudsync\\_buried' ESCAPE '\\'
               AND name NOT LIKE '%\\_cloudsync\\_before' ESCAPE '\\'
               ORDER BY name";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether a table has a column of this name.
///
/// # Errors
/// The catalog cannot be read.
pub fn has_column(conn: &Connection, table: &str, name: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM pragma_table_xinfo(?1, 'main') WHERE name = ?2";
    Ok(conn.prepare_cached(sql)?.exists([table, name])?)
}

/// Whether a table has triggers that are not ours.
///
/// # Errors
/// The catalog cannot be read.
pub fn has_foreign_triggers(conn: &Connection, table: &str) -> Result<bool> {
    let of = "type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE";
    let sql = format!(
        "SELECT EXISTS(SELECT 1 FROM main.sqlite_schema WHERE {of} AND name NOT LIKE 'cloudsync\\_%' ESCAPE '\\')
             OR EXISTS(SELECT 1 FROM temp.sqlite_schema WHERE {of})"
    );
    Ok(conn.prepare_cached(&sql)?.query_row([table], |row| row.get(0))?)
}

/// The tables that a table's foreign keys refer to.
///
/// # Errors
/// The catalog cannot be read.
pub fn parents(conn: &Connection, table: &str) -> Result<Vec<String>> {
    let mut statement =
        conn.prepare_cached("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1, 'main')")?;
    let rows = statement.query_map([table], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether foreign keys of any table refer to a table and change rows when a row of it does; with
/// `deletes`, or is deleted.
///
/// # Errors
/// The catalog cannot be read.
pub fn has_actions(conn: &Connection, table: &str, deletes: bool) -> Result<bool> {
    let sql = "SELECT EXISTS(
                 SELECT 1 FROM main.sqlite_schema AS t, pragma_foreign_key_list(t.name, 'main') AS f
                 WHERE t.type = 'table' AND f.\"table\" = ?1 COLLATE NOCASE
                 AND (f.on_update IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
                      OR ?2 AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')))";
    Ok(conn.prepare_cached(sql)?.query_row((table, deletes), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_of_a_partial_index_is_found() {
        let find = |sql: &str| index_condition(sql);
        assert_eq!(find("CREATE UNIQUE INDEX i ON t(a)"), None);
        assert_eq!(find("CREATE UNIQUE INDEX i ON t(a) WHERE b > 0").as_deref(), Some("b > 0"));
        let odd =
            "CREATE UNIQUE INDEX \"where\" ON [where](\"a where b\") /* where */ -- where\n wHeRe(x='where')";
        assert_eq!(find(odd).as_deref(), Some("(x='where')"));
    }

    #[test]
    fn affinity_follows_sqlites_rules() {
        assert_eq!(affinity("CHARINT"), Affinity::Numeric);
        assert_eq!(affinity("VARCHAR(10)"), Affinity::Text);
        assert_eq!(affinity(""), Affinity::None);
        assert_eq!(affinity("DECIMAL(10,2)"), Affinity::Numeric);
    }
}
