//! A database of its own for each test, and connections to it in a role.

use postgres::{Client, Config, NoTls};

/// A fresh database with the extension in it, dropped at the end.
pub struct Server {
    url: String,
    database: String,
}

/// The roles that tests use beside the superuser.
pub const ROLES: [&str; 2] = ["cloudsync_alice", "cloudsync_bob"];

impl Server {
    /// Makes the database and runs `setup` in it.
    ///
    /// # Panics
    /// There is no server at `CLOUDSYNC_PG_URL`, or `setup` fails.
    pub fn new(name: &str, setup: &str) -> Server {
        let url = std::env::var("CLOUDSYNC_PG_URL").expect("CLOUDSYNC_PG_URL names a test server");
        let database = format!("cs_{name}_{}", std::process::id());
        let mut admin = connect(&url, "postgres");
        for role in ROLES {
            // Another test may be making the same role.
            let _ = admin.batch_execute(&format!("CREATE ROLE {role} LOGIN"));
        }
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {database}")).expect("an old database goes");
        admin.batch_execute(&format!("CREATE DATABASE {database}")).expect("a database can be made");
        let server = Server { url, database };
        let mut client = server.client();
        client.batch_execute("CREATE EXTENSION cloudsync").expect("the extension is installed");
        client.batch_execute(setup).expect("the set-up runs");
        server
    }

    /// The name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// A connection as the superuser.
    pub fn client(&self) -> Client {
        connect(&self.url, &self.database)
    }

    /// A connection that acts as one of [`ROLES`].
    ///
    /// # Panics
    /// The role does not exist.
    pub fn client_as(&self, role: &str) -> Client {
        let mut client = self.client();
        client.batch_execute(&format!("SET ROLE {role}")).expect("the role exists");
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut admin = connect(&self.url, "postgres");
        let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database));
    }
}

/// Connects to a database of a server.
///
/// # Panics
/// The server does not answer.
pub fn connect(url: &str, database: &str) -> Client {
    let mut config: Config = url.parse().expect("the URL of a server");
    config.dbname(database).connect(NoTls).expect("the server answers")
}
