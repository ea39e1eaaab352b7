//! Tables that the server does not sync, made there from the device's own `CREATE TABLE`, where the
//! setting `create_tables` asks for it.

use cloudsync_shared::message::{CreateRequest, Message, TableWish};
use cloudsync_shared::wire;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::error::{Error, Result};
use crate::mapping::ServerNames;
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

/// Makes these tables on the server, all in one script, so that they may refer to one another.
///
/// # Errors
/// The server cannot be reached, a table cannot be translated or is there and differs, or the user may not
/// make tables.
pub fn create(
    conn: &Connection,
    transport: &mut dyn Transport,
    names: &ServerNames,
    tables: &[String],
) -> Result<()> {
    let mut request = CreateRequest { script: String::new(), tables: Vec::new() };
    for table in system::tables(conn)? {
        let is_made = tables.contains(&table.name);
        if is_made {
            request.script.push_str(&statements(conn, &table.name)?);
        }
        // The others may be referred to under their names here.
        if is_made || table.server_table.is_some() {
            let synced_as = names.there(&table.name);
            request.tables.push(TableWish { name: table.name, algorithm: table.algorithm, synced_as });
        }
    }
    let request = wire::encode(&Message::CreateRequest(request))?;
    match wire::decode(&transport.create_tables(&request, &Interrupt::of(conn))?)? {
        Message::CreateReply(_) => Ok(()),
        _ => Err(Error::network("the server answered a wish for tables with another message")),
    }
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
