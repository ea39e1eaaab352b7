//! One server, its users and their devices; steps taken on them, and what is checked at each sync.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use postgres::{Client, NoTls};
use rusqlite::Connection;

use crate::device::Device;
use crate::required;
use crate::rls::canary::{self, Canaries};
use crate::rls::content::{self, Content};
use crate::rls::lost::{Fate, History, rejections};
use crate::rls::schema::Schema;
use crate::rls::shown;
use crate::rls::tap::{Frame, Tap};
use crate::rls::watch::{Allowed, leaks};
use crate::server::Server;

/// Stands in every statement for what makes the names of roles unique on the server.
pub const TAG: &str = "@";

/// Clocks count milliseconds: a pause this long puts two steps in order.
const PAUSE: Duration = Duration::from_millis(2);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// How a world begins.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Tables and users.
    pub schema: Schema,
    /// Statements before `cloudsync_init`.
    pub ddl: Vec<String>,
    /// Statements after it.
    pub policies: Vec<String>,
    /// The user of each device.
    pub devices: Vec<usize>,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// SQL on a device.
    OnDevice(usize, String),
    /// SQL by a user on the server.
    ByUser(usize, String),
    /// SQL by the superuser that writes rows.
    OnServer(String),
    /// SQL by the superuser that changes who may do what; a user logs in anew afterwards.
    Rule(String, Option<usize>),
    /// A device syncs.
    Sync(usize),
}

/// What must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// In a few words, the same for the same fault.
    pub kind: &'static str,
    /// In all detail.
    pub detail: String,
}

struct Party {
    device: Device,
    user: usize,
    /// What it held after its last sync.
    base: Content,
}

/// The world. Its database and roles go when it is dropped.
pub struct World {
    parties: Vec<Party>,
    users: Vec<Client>,
    known: Vec<BTreeSet<String>>,
    history: History,
    tap: Tap,
    server: Server,
    tables: Vec<String>,
    tag: String,
    _roles: Roles,
    _directory: tempfile::TempDir,
}

fn keep_conflicts(table: &str) -> String {
    format!("SELECT cloudsync_set_table('{table}', 'conflicts', 'on')")
}

impl World {
    /// Makes it.
    ///
    /// # Panics
    /// The server refuses.
    pub fn new(setup: &Setup) -> World {
        let tag = format!("{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let names = setup.schema.users.iter().chain([&setup.schema.group]);
        let roles = Roles(names.map(|name| name.replace(TAG, &tag)).collect());
        let mut server = Server::create("", &[]);
        for sql in &setup.ddl {
            server.run(&sql.replace(TAG, &tag));
        }
        let tables = setup.schema.table_names();
        for table in &tables {
            server.run(&format!("SELECT cloudsync_init('{table}')"));
        }
        // Values that lose are kept, and told of, in about every second world.
        let keeps_conflicts = setup.devices.len() > setup.schema.users.len();
        let keep: Vec<String> =
            tables.iter().filter(|_| keeps_conflicts).map(|table| keep_conflicts(table)).collect();
        keep.iter().for_each(|sql| server.run(sql));
        for sql in &setup.policies {
            server.run(&sql.replace(TAG, &tag));
        }
        let directory = tempfile::tempdir().expect("a directory");
        let tap = Tap::start(address(&server.url));
        let mut world = World {
            parties: Vec::new(),
            users: Vec::new(),
            known: vec![BTreeSet::new(); setup.schema.users.len()],
            history: History::default(),
            tap,
            server,
            tables,
            tag,
            _roles: roles,
            _directory: directory,
        };
        for user in 0..setup.schema.users.len() {
            let client = world.log_in(setup, user);
            world.users.push(client);
        }
        for (number, user) in setup.devices.iter().enumerate() {
            let ddl = setup.schema.device_ddl();
            let names: Vec<&str> = world.tables.iter().map(String::as_str).collect();
            let device = Device::create(world._directory.path(), &format!("d{number}"), &ddl, &names);
            keep.iter().for_each(|sql| device.run(sql));
            device.connect(&world.device_url(setup, *user));
            world.parties.push(Party { device, user: *user, base: Content::new() });
        }
        world
    }

    fn log_in(&self, setup: &Setup, user: usize) -> Client {
        let name = setup.schema.users[user].replace(TAG, &self.tag);
        let url = self.server.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
        Client::connect(&url, NoTls).unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    fn device_url(&self, setup: &Setup, user: usize) -> String {
        let name = setup.schema.users[user].replace(TAG, &self.tag);
        let database = self.server.url.rsplit('/').next().expect("a database");
        format!("postgres://{name}@127.0.0.1:{}/{database}?sslmode=disable", self.tap.port())
    }

    /// The keys of a table on a device, or on the server as its superuser sees it.
    pub fn keys(&mut self, table: &str, device: Option<usize>) -> Vec<String> {
        let tables = [table.to_owned()];
        let content = match device {
            Some(device) => content::on_device(&self.parties[device].device.conn, &tables),
            None => content::on_server(&mut self.server.client, &tables).expect("the server's rows"),
        };
        content.into_values().flat_map(|rows| rows.into_keys()).collect()
    }

    /// Takes a step. A statement may fail, as it may in life; what comes of a sync is checked.
    ///
    /// # Errors
    /// Something is not as it must be.
    pub fn take(&mut self, setup: &Setup, step: &Step) -> Result<(), Violation> {
        thread::sleep(PAUSE);
        match step {
            Step::OnDevice(device, sql) => {
                let party = &self.parties[*device];
                let _ = party.device.conn.execute_batch(&sql.replace(TAG, &self.tag));
                self.known[party.user].extend(written(sql));
            }
            Step::ByUser(user, sql) => {
                let _ = self.users[*user].batch_execute(&sql.replace(TAG, &self.tag));
                self.known[*user].extend(written(sql));
            }
            Step::OnServer(sql) => {
                let _ = self.server.client.batch_execute(&sql.replace(TAG, &self.tag));
            }
            Step::Rule(sql, log_in) => {
                let _ = self.server.client.batch_execute(&sql.replace(TAG, &self.tag));
                if let Some(user) = *log_in {
                    self.users[user] = self.log_in(setup, user);
                    let url = self.device_url(setup, user);
                    self.parties
                        .iter()
                        .filter(|party| party.user == user)
                        .for_each(|party| party.device.connect(&url));
                }
            }
            Step::Sync(device) => self.sync(*device)?,
        }
        self.observe()
    }

    fn observe(&mut self) -> Result<(), Violation> {
        let content = everything(&mut self.server.client, &self.tables)?;
        self.history.observe(&content);
        let sql = "SELECT name, id FROM cloudsync.tables";
        let found = self.server.client.query(sql, &[]).map_err(|error| broken(&error))?;
        for row in found {
            let (name, id): (String, i32) = (row.get(0), row.get(1));
            let sql = format!(
                "SELECT k1::text FROM cloudsync.clock_{id} WHERE (cloudsync.clock_json(clock)::json ->> 'length')::bigint > 1"
            );
            let dead = self.server.client.query(&sql, &[]).map_err(|error| broken(&error))?;
            self.history.observe_dead(&name, dead.iter().map(|row| row.get(0)));
        }
        Ok(())
    }

    fn sync(&mut self, number: usize) -> Result<(), Violation> {
        let user = self.parties[number].user;
        let before = everything(&mut self.users[user], &self.tables)?;
        let party = &self.parties[number];
        let conn = &party.device.conn;
        let local = content::on_device(conn, &self.tables);
        let held = held(conn, &self.tables);
        let refused_before = rejections(conn).len();
        let report = conn.query_row("SELECT cloudsync_network_sync()", [], |row| row.get::<_, String>(0));
        let frames = self.tap.take();
        let after = everything(&mut self.users[user], &self.tables)?;
        let known = &mut self.known[user];
        [&before, &local, &after].into_iter().for_each(|content| known.extend(canaries(content)));
        let report = report.map_err(|error| Violation { kind: "sync fails", detail: error.to_string() })?;
        let allowed = Allowed { visible: [&before, &after], known: &self.known[user], held: &held };
        fail("a hidden value is told", leaks(&frames, &allowed))?;
        let found = content::on_device(&self.parties[number].device.conn, &self.tables);
        fail("the device differs from SELECT", content::differences(&after, &found))?;
        let shown = shown::differences(&mut self.users[user], &self.tables, &after);
        fail("cloudsync_changes differs from SELECT", shown.map_err(|error| broken(&error))?)?;
        self.observe()?;
        self.check_fate(number, &local, refused_before, &report)?;
        self.parties[number].base = found;
        check_frames(&frames)
    }

    /// What became of the device's writes.
    fn check_fate(
        &mut self,
        number: usize,
        local: &Content,
        refused_before: usize,
        report: &str,
    ) -> Result<(), Violation> {
        let server = everything(&mut self.server.client, &self.tables)?;
        let party = &self.parties[number];
        let rejections = rejections(&party.device.conn);
        let fate = Fate {
            base: &party.base,
            local,
            server: &server,
            history: &self.history,
            rejections: &rejections,
        };
        fail("a write is lost in silence", fate.lost())?;
        let told = format!("\"rejected\":{}", rejections.len() - refused_before);
        let differs = !report.contains(&told);
        fail(
            "the report miscounts rejections",
            if differs { vec![format!("{told} expected in {report}")] } else { Vec::new() },
        )
    }

    /// Whether a user has any right on the extension's own relations.
    ///
    /// # Errors
    /// It has.
    pub fn check_metadata(&mut self) -> Result<(), Violation> {
        let sql = "SELECT c.relname::text FROM pg_class c \
             WHERE c.relnamespace = 'cloudsync'::regnamespace AND c.relkind IN ('r', 'S', 'v') \
             AND (has_schema_privilege('cloudsync', 'USAGE') OR CASE WHEN c.relkind = 'S' \
             THEN has_sequence_privilege(c.oid, 'USAGE, SELECT, UPDATE') \
             ELSE has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') END)";
        for user in &mut self.users {
            let rows = user.query(sql, &[]).map_err(|error| broken(&error))?;
            fail("a user has rights on metadata", rows.iter().map(|row| row.get(0)).collect())?;
        }
        Ok(())
    }
}

fn everything(client: &mut Client, tables: &[String]) -> Result<Content, Violation> {
    content::on_server(client, tables).map_err(|detail| Violation { kind: "SELECT fails", detail })
}

fn broken(error: &postgres::Error) -> Violation {
    Violation { kind: "metadata cannot be read", detail: format!("{error:?}") }
}

fn fail(kind: &'static str, lines: Vec<String>) -> Result<(), Violation> {
    if lines.is_empty() { Ok(()) } else { Err(Violation { kind, detail: lines.join("\n") }) }
}

/// A tap that hears nothing finds no leak.
fn check_frames(frames: &[Frame]) -> Result<(), Violation> {
    let rows = frames.iter().filter(|frame| !frame.columns().is_empty()).count();
    if rows > 0 { Ok(()) } else { fail("the tap is deaf", vec!["no row was heard in a sync".into()]) }
}

/// The canaries in a statement.
fn written(sql: &str) -> BTreeSet<String> {
    let mut found = canary::find(sql.as_bytes());
    let words = sql.split(|letter: char| !letter.is_ascii_alphanumeric());
    found.extend(words.filter(|word| Canaries::order(word).is_some()).map(str::to_owned));
    found
}

fn canaries(content: &Content) -> BTreeSet<String> {
    let rows = content.values().flatten();
    let cells = rows.flat_map(|(key, row)| row.iter().flatten().chain([key]));
    cells.filter(|cell| Canaries::order(cell).is_some()).cloned().collect()
}

/// The ids of the rows that a device knows of, by table.
fn held(conn: &Connection, tables: &[String]) -> Vec<(String, BTreeSet<u64>)> {
    let ids = |table: &String| {
        let sql = format!("SELECT row_id FROM {table}_cloudsync WHERE row_id IS NOT NULL");
        let mut statement = conn.prepare(&sql).expect("the device's clocks");
        let ids = statement.query_map([], |row| row.get::<_, i64>(0)).expect("row ids");
        (table.clone(), ids.map(|id| id.expect("a row id").unsigned_abs()).collect())
    };
    tables.iter().map(ids).collect()
}

fn address(url: &str) -> SocketAddr {
    let host = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a host and a port");
    host.to_socket_addrs().expect("an address").next().expect("an address")
}

/// Roles of the whole server, dropped after the database in which they have rights.
pub struct Roles(pub Vec<String>);

impl Drop for Roles {
    fn drop(&mut self) {
        let mut client = Client::connect(&required("CLOUDSYNC_PG_URL"), NoTls).expect("the test server");
        for role in &self.0 {
            // A role that was never made, or owns something in a database that stayed, is left alone.
            let _ = client.batch_execute(&format!("DROP ROLE IF EXISTS {role}"));
        }
    }
}
