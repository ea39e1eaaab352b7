//! A SQLite database with the extension loaded from its file.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::required;

/// A device: one connection to one file.
pub struct Device {
    /// For ordinary SQL.
    pub conn: Connection,
    path: PathBuf,
}

impl Device {
    /// A new device with these tables, all of them synced.
    ///
    /// # Panics
    /// The extension is missing, or the statements fail.
    pub fn create(directory: &Path, name: &str, ddl: &str, tables: &[&str]) -> Device {
        let path = directory.join(format!("{name}.db"));
        let device = Device { conn: open(&path), path };
        device.conn.execute_batch(ddl).expect("the device's tables");
        for table in tables {
            device.text(&format!("SELECT cloudsync_init('{table}')"));
        }
        device
    }

    /// The device of a file that is there already, which may be a copy of another's.
    ///
    /// # Panics
    /// The extension is missing, or the file cannot be opened.
    pub fn open(directory: &Path, name: &str) -> Device {
        let path = directory.join(format!("{name}.db"));
        Device { conn: open(&path), path }
    }

    /// Another connection to the same file.
    ///
    /// # Panics
    /// The file cannot be opened.
    pub fn second_connection(&self) -> Connection {
        open(&self.path)
    }

    /// Tells the device its server.
    ///
    /// # Panics
    /// The call fails.
    pub fn connect(&self, url: &str) {
        self.call("cloudsync_network_init", url);
    }

    /// Signs a user in.
    ///
    /// # Panics
    /// The call fails.
    pub fn set_token(&self, token: &str) {
        self.call("cloudsync_network_set_token", token);
    }

    fn call(&self, function: &str, argument: &str) {
        self.conn
            .query_row(&format!("SELECT {function}(?1)"), [argument], |row| row.get::<_, i64>(0))
            .unwrap_or_else(|error| panic!("{function}: {error}"));
    }

    /// Syncs and returns the report.
    ///
    /// # Panics
    /// The sync fails.
    pub fn sync(&self) -> String {
        self.text("SELECT cloudsync_network_sync()")
    }

    /// Syncs, not twice if it fails; the error then.
    ///
    /// # Errors
    /// What the sync says.
    pub fn try_sync(&self) -> Result<String, String> {
        let report = self.conn.query_row("SELECT cloudsync_network_sync(0, 0)", [], |row| row.get(0));
        report.map_err(|error| error.to_string())
    }

    /// Syncs, which must fail, and returns the error.
    ///
    /// # Panics
    /// The sync works.
    pub fn sync_error(&self) -> String {
        self.try_sync().expect_err("a sync that fails")
    }

    /// One text value.
    ///
    /// # Panics
    /// The statement fails.
    pub fn text(&self, sql: &str) -> String {
        self.conn.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs statements.
    ///
    /// # Panics
    /// One fails.
    pub fn run(&self, sql: &str) {
        self.conn.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The rows of a query, each as one line of text that both engines write alike.
    ///
    /// # Panics
    /// The statement fails.
    pub fn dump(&self, sql: &str) -> Vec<String> {
        dump(&self.conn, sql)
    }
}

/// As [`Device::dump`], for any connection.
///
/// # Panics
/// The statement fails.
pub fn dump(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let lines = statement
        .query_map([], |row| {
            let cells = (0..columns).map(|column| Ok(print(&row.get::<_, Value>(column)?)));
            Ok(cells.collect::<rusqlite::Result<Vec<String>>>()?.join("|"))
        })
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut lines: Vec<String> = lines.map(|line| line.expect("a row")).collect();
    lines.sort();
    lines
}

fn print(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::Blob(bytes) => format!("x{bytes:02x?}"),
    }
}

fn open(path: &Path) -> Connection {
    let conn = Connection::open(path).expect("a database file");
    conn.busy_timeout(std::time::Duration::from_secs(20)).expect("a busy timeout");
    load(&conn);
    conn
}

#[expect(unsafe_code, reason = "loading an extension runs its code; it is the one under test")]
fn load(conn: &Connection) {
    let file = required("CLOUDSYNC_SQLITE_EXTENSION");
    // SAFETY: the file is the extension that this workspace has just built.
    unsafe {
        conn.load_extension_enable().expect("extensions may be loaded");
        conn.load_extension(&file, Some("sqlite3_cloudsync_init")).expect("the extension loads");
        conn.load_extension_disable().expect("extensions may be disabled again");
    }
}
