//! A SQLite database and a schema of a PostgreSQL server with the same tables, to be compared.

pub mod samples;
pub mod schema;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use cloudsync_shared::ddl::Translation;
use postgres::{Client, NoTls};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

/// Names schemas apart within one run.
static NEXT_SCHEMA: AtomicU32 = AtomicU32::new(0);

/// An empty database.
pub fn sqlite() -> Connection {
    let connection = Connection::open_in_memory().expect("SQLite opens in memory");
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection
        .create_scalar_function("cloudsync_uuid", 0, flags, |_| Ok("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"))
        .expect("a function can be registered");
    connection
}

/// A schema of its own on the server, dropped with the value.
pub struct Server {
    /// The connection, whose `search_path` is the schema.
    pub client: Client,
    schema: String,
}

impl Server {
    /// A fresh schema on the server that `CLOUDSYNC_PG_URL` names.
    pub fn fresh() -> Server {
        let url = std::env::var("CLOUDSYNC_PG_URL").expect("CLOUDSYNC_PG_URL names the server to test on");
        let mut client = Client::connect(&url, NoTls).expect("the server answers");
        let number = NEXT_SCHEMA.fetch_add(1, Ordering::Relaxed);
        let schema = format!("ddl_{}_{number}", std::process::id());
        let uuid = "CREATE FUNCTION cloudsync_uuid() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()'";
        // A time zone of the session must not matter.
        let script = format!(
            "SET client_min_messages = warning; CREATE SCHEMA {schema}; SET search_path = {schema}; \
             SET timezone = 'Asia/Kolkata'; {uuid}"
        );
        client.batch_execute(&script).expect("a schema can be created");
        Server { client, schema }
    }

    /// Runs a translation in one transaction.
    ///
    /// # Errors
    /// The statement that the server refuses, with its message.
    pub fn run(&mut self, translation: &Translation) -> Result<(), String> {
        let mut transaction = self.client.transaction().map_err(|error| error.to_string())?;
        for statement in translation.statements() {
            transaction.batch_execute(statement).map_err(|error| {
                let message =
                    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
                format!("{message}\n{statement}")
            })?;
        }
        transaction.commit().map_err(|error| error.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Of no importance for the test: the server is a private one.
        let _ = self.client.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.schema));
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
