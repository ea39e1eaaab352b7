//! Notes with a title and a body, on a server and any number of devices: what tests of texts and of the horizon
//! write to.

use std::path::Path;
use std::time::Duration;

use crate::device::Device;
use crate::server::Server;

/// All notes.
pub const DUMP: &str = "SELECT id, title, body FROM note";
/// The body is merged by lines.
pub const BY_LINES: &str = "SELECT cloudsync_set_column('note', 'body', 'algo', 'block')";
/// How often a collection is tried, with a pause in between: what others have open at the moment holds it up.
const MAX_TRIES: usize = 6000;
const PAUSE: Duration = Duration::from_millis(10);

/// A server with the table, and where the files of devices are.
pub struct Notes {
    /// The server.
    pub server: Server,
    /// How rows merge.
    pub algorithm: &'static str,
    settings: &'static str,
    directory: tempfile::TempDir,
}

impl Notes {
    /// A server without a note. `settings` is SQL that it and its devices run once, or nothing.
    ///
    /// # Panics
    /// The server refuses.
    pub fn new(algorithm: &'static str, settings: &'static str) -> Notes {
        let mut server =
            Server::create("CREATE TABLE note (id text PRIMARY KEY, title text, body text)", &[]);
        server.run(&format!("SELECT cloudsync_init('note', '{algorithm}')"));
        server.run(settings);
        Notes { server, algorithm, settings, directory: tempfile::tempdir().expect("a directory") }
    }

    /// A device that has not synced yet.
    pub fn device(&self, name: &str) -> Device {
        let device = self.device_without_settings(name);
        device.run(self.settings);
        device
    }

    /// The same, which knows nothing of the settings.
    pub fn device_without_settings(&self, name: &str) -> Device {
        let ddl = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT)";
        let device = Device::create(self.files(), name, ddl, &[]);
        device.text(&format!("SELECT cloudsync_init('note', '{}')", self.algorithm));
        device.connect(&self.server.url);
        device
    }

    /// Where the files of devices are.
    pub fn files(&self) -> &Path {
        self.directory.path()
    }

    /// The number that a query on the server answers.
    ///
    /// # Panics
    /// It answers none.
    pub fn count(&mut self, sql: &str) -> i64 {
        self.server.client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Collects all that happened until now: until each of these queries counts nothing.
    ///
    /// # Panics
    /// Something is never collected.
    pub fn collect(&mut self, left: &[&str]) {
        for _ in 0..MAX_TRIES {
            self.server.run("SELECT cloudsync_collect(0)");
            if left.iter().all(|sql| self.count(sql) == 0) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("something is never collected");
    }
}

/// Writes the body of the note `n`.
///
/// # Panics
/// The device refuses.
pub fn set_body(device: &Device, body: &str) {
    device.conn.execute("UPDATE note SET body = ?1 WHERE id = 'n'", [body]).expect("an edit");
}
