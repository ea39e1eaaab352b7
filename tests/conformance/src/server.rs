//! A fresh database on a real PostgreSQL, with the extension created.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use postgres::types::Type;
use postgres::{Client, NoTls, Row};

use crate::required;

static NUMBER: AtomicU32 = AtomicU32::new(0);
static ROLES: Mutex<()> = Mutex::new(());

/// A database of its own, dropped at the end.
pub struct Server {
    /// For ordinary SQL.
    pub client: Client,
    /// The address for devices.
    pub url: String,
    name: String,
}

impl Server {
    /// A new database with the extension and these tables, all of them synced.
    ///
    /// # Panics
    /// The server cannot be reached, or the statements fail.
    pub fn create(ddl: &str, tables: &[&str]) -> Server {
        let mut server = Server::empty();
        server.run("CREATE EXTENSION cloudsync");
        server.run(ddl);
        for table in tables {
            server.run(&format!("SELECT cloudsync_init('{table}')"));
        }
        server
    }

    /// A new database with the look of a Supabase project, and with cloudsync as its migration installs
    /// it there: the extension in schema `extensions`, the two functions of the API in `public`.
    ///
    /// # Panics
    /// As [`Server::create`].
    pub fn create_project(ddl: &str, tables: &[&str]) -> Server {
        let mut server = Server::empty();
        {
            // Roles are the server's, and advisory locks are a database's: two cannot be made at once.
            let _turn = ROLES.lock().unwrap_or_else(PoisonError::into_inner);
            server.run(include_str!("../../../supabase/fixture.sql"));
        }
        server.run(include_str!("../../../supabase/migrations/20261121000000_cloudsync_api.sql"));
        server.run(ddl);
        for table in tables {
            server.run(&format!("SELECT extensions.cloudsync_init('{table}')"));
        }
        server
    }

    fn empty() -> Server {
        let base = required("CLOUDSYNC_PG_URL");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("conformance_{}_{number}", std::process::id());
        administer(&base, &format!("CREATE DATABASE {name}"));
        let url = format!("{}/{name}", base.rsplit_once('/').expect("a URL with a database").0);
        let client = Client::connect(&url, NoTls).expect("the new database");
        Server { client, url, name }
    }

    /// The address of the same database for another role.
    pub fn url_as(&self, role: &str) -> String {
        let (_, host) = self.url.rsplit_once('@').unwrap_or(("", self.url.trim_start_matches("postgres://")));
        format!("postgres://{role}@{host}")
    }

    /// Another connection to the same database.
    ///
    /// # Panics
    /// The server cannot be reached.
    pub fn second_connection(&self) -> Client {
        Client::connect(&self.url, NoTls).expect("a second connection")
    }

    /// Runs statements.
    ///
    /// # Panics
    /// One fails.
    pub fn run(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The rows of a query, each as one line of text that both engines write alike.
    ///
    /// # Panics
    /// The statement fails.
    pub fn dump(&mut self, sql: &str) -> Vec<String> {
        let rows = self.client.query(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let mut lines: Vec<String> = rows.iter().map(print_row).collect();
        lines.sort();
        lines
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let base = required("CLOUDSYNC_PG_URL");
        administer(&base, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn administer(url: &str, sql: &str) {
    let mut client = Client::connect(url, NoTls).expect("the test server");
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

fn print_row(row: &Row) -> String {
    let cells = row.columns().iter().enumerate().map(|(at, column)| print_cell(row, at, column.type_()));
    cells.collect::<Vec<String>>().join("|")
}

fn print_cell(row: &Row, at: usize, kind: &Type) -> String {
    let text = match *kind {
        Type::INT4 => row.get::<_, Option<i32>>(at).map(|number| number.to_string()),
        Type::INT8 => row.get::<_, Option<i64>>(at).map(|number| number.to_string()),
        Type::BOOL => row.get::<_, Option<bool>>(at).map(|truth| i32::from(truth).to_string()),
        Type::FLOAT8 => row.get::<_, Option<f64>>(at).map(|number| format!("{number:?}")),
        Type::BYTEA => row.get::<_, Option<Vec<u8>>>(at).map(|bytes| format!("x{bytes:02x?}")),
        Type::TEXT | Type::VARCHAR => row.get::<_, Option<String>>(at).map(|text| format!("{text:?}")),
        ref other => panic!("a test dumps a column of type {other}: cast it to text"),
    };
    text.unwrap_or_else(|| "NULL".to_owned())
}
