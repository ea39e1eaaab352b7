//! Tables that the server does not sync, made there from the device's own `CREATE TABLE`, where the
//! setting `create_tables` asks for it.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::error::{Error, Result};
use crate::network::interrupt::Interrupt;
use crate::network::transport::Transport;
use crate::system;

/// `SELECT cloudsync_set('create_tables', 1)`.
pub const SETTING: &str = "create_tables";

/// Whether the setting is on.
///
/// # Errors
/// It is neither 1 nor 0, or the database failed.
pub fn is_wanted(conn: &Connection) -> Result<bool> {
    match system::setting(conn, SETTING)? {
        None | Some(Value::Null | Value::Integer(0)) => Ok(false),
        Some(Value::Integer(1)) => Ok(true),
        Some(Value::Text(text)) if text == "1" || text == "0" => Ok(text == "1"),
        Some(_) => Err(Error::state(format!("the setting {SETTING} is 1 or 0"))),
    }
}

/// Makes these tables on the server: those of one algorithm in one script, so that they may refer to one
/// another.
///
/// # Errors
/// The server cannot be reached, a table cannot be translated or is there and differs, or the user may not
/// make tables.
pub fn create(conn: &Connection, transport: &mut dyn Transport, tables: &[String]) -> Result<()> {
    let mut scripts: Vec<(&'static str, String)> = Vec::new();
    for name in tables {
        let algorithm = system::require_table(conn, name)?.algorithm.name();
        let statements = statements(conn, name)?;
        match scripts.iter_mut().find(|(of, _)| *of == algorithm) {
            Some((_, script)) => script.push_str(&statements),
            None => scripts.push((algorithm, statements)),
        }
    }
    for (algorithm, script) in scripts {
        transport.create_tables(&script, algorithm, &Interrupt::of(conn))?;
    }
    Ok(())
}

/// The statements that made a table and its indexes.
fn statements(conn: &Connection, table: &str) -> Result<String> {
    let sql = "SELECT sql FROM main.sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE
               AND type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type = 'index', rowid";
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([table])?;
    let mut script = String::new();
    while let Some(row) = rows.next()? {
        script.push_str(&row.get::<_, String>(0)?);
        // The statement may end with a comment.
        script.push_str("\n;\n");
    }
    Ok(script)
}
