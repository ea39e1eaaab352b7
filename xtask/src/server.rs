//! A private PostgreSQL server: its own program files, data, port and socket; gone when dropped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cleanup::{self, Guard};
use crate::home::{Home, Owner, recreate};
use crate::pgtree::PgTree;
use crate::psql::Psql;
use crate::run;

/// Time for recovery after a crash included.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// Another program may take a free port between its choice and the server's start.
const PORT_ATTEMPTS: usize = 3;

/// The database that the extension is installed into.
const DATABASE: &str = "cloudsync";

/// What a private server shall be like.
pub struct Options {
    /// Name of its data directory under the home directory.
    pub name: String,
    /// A data directory elsewhere, kept across runs.
    pub data: Option<PathBuf>,
    /// Fixed, or any free one.
    pub port: Option<u16>,
    /// Whether to keep the data of an earlier run.
    pub keep: bool,
    /// Whether a commit waits for the disk: needed only where that time is measured or data is kept.
    pub durable: bool,
}

impl Options {
    /// A server that is thrown away: fresh data, a free port, no waiting for the disk.
    pub fn throwaway(name: &str) -> Options {
        Options { name: name.to_owned(), data: None, port: None, keep: false, durable: false }
    }
}

/// A running server.
pub struct Server {
    tree: PgTree,
    port: u16,
    stop: Option<Guard>,
    // Dropped after the server has stopped, in this order.
    _socket: Home,
    _home: Home,
}

impl Server {
    /// Builds the program tree, makes the cluster, starts it, and installs the extension.
    pub fn start(options: &Options) -> Result<Server> {
        let owner = Owner::find()?;
        let home = Home::find(&owner)?;
        let data = data_dir(options, &owner, &home)?;
        let tree = PgTree::build(home.dir())?;
        // Sockets have a limit of 107 bytes for their path, which target/ may exceed.
        let socket = Home::temporary("socket")?;
        owner.create_dir(socket.dir())?;
        init_cluster(options, &owner, &tree, &data)?;

        let log = home.dir().join(format!("{}.log", options.name));
        let start = |port| launch(options, &owner, &tree, &data, socket.dir(), &log, port);
        let (port, child) = match options.port {
            Some(port) => (port, start(port)?),
            None => on_free_port(start)?,
        };
        let child = Arc::new(Mutex::new(child));
        let stop = cleanup::on_exit(move || stop(&child));
        let server = Server { tree, port, stop: Some(stop), _socket: socket, _home: home };
        server.create_database()?;
        Ok(server)
    }

    /// What a client connects to.
    pub fn url(&self) -> String {
        url(self.port, DATABASE)
    }

    /// psql on the database with the extension.
    pub fn psql(&self) -> Psql {
        Psql::new(self.tree.psql(), &self.url())
    }

    /// What a client of another database connects to.
    pub fn url_of(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// psql on another database.
    pub fn psql_of(&self, database: &str) -> Psql {
        Psql::new(self.tree.psql(), &self.url_of(database))
    }

    /// The directory of the server's programs.
    pub fn bin(&self) -> &Path {
        self.tree.bin()
    }

    /// Blocks until a signal ends the process; an error if the server is gone before.
    pub fn wait(&self) -> Result<()> {
        let probe = Psql::new(self.tree.psql(), &self.url());
        while probe.query("SELECT 1").is_ok() {
            sleep(Duration::from_secs(5));
        }
        bail!("the server at {} does not answer any more", self.url());
    }

    fn create_database(&self) -> Result<()> {
        let maintenance = Psql::new(self.tree.psql(), &url(self.port, "postgres"));
        let exists = format!("SELECT count(*) FROM pg_database WHERE datname = '{DATABASE}'");
        if maintenance.query(&exists)?.trim() == "0" {
            maintenance.query(&format!("CREATE DATABASE {DATABASE}"))?;
        }
        let created = self.psql().query("CREATE EXTENSION IF NOT EXISTS cloudsync");
        created.map(drop).context("install the extension into the private server")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{database}")
}

fn data_dir(options: &Options, owner: &Owner, home: &Home) -> Result<PathBuf> {
    let Some(data) = &options.data else {
        if options.keep && !home.is_kept() {
            println!("its data will not be kept");
        }
        return Ok(home.dir().join(&options.name));
    };
    fs::create_dir_all(data).with_context(|| format!("create {}", data.display()))?;
    let data = data.canonicalize().with_context(|| format!("resolve {}", data.display()))?;
    if data.parent().is_some_and(|parent| !owner.can_enter(parent)) {
        bail!("the server's user cannot enter {}: give another --data directory", data.display());
    }
    Ok(data)
}

fn init_cluster(options: &Options, owner: &Owner, tree: &PgTree, data: &Path) -> Result<()> {
    let exists = data.join("PG_VERSION").is_file();
    if exists && options.keep {
        return Ok(());
    }
    if options.data.is_none() {
        recreate(data)?;
    }
    owner.create_dir(data)?;
    let mut initdb = owner.command(&tree.bin().join("initdb"));
    initdb.arg("--pgdata").arg(data).args([
        "--username=postgres",
        "--auth=trust",
        "--no-sync",
        "--no-instructions",
    ]);
    run::quietly(initdb.args(["--encoding=UTF8", "--locale=C.UTF-8"])).map(drop)
}

fn on_free_port(start: impl Fn(u16) -> Result<Child>) -> Result<(u16, Child)> {
    let mut attempt = 1;
    loop {
        let port = TcpListener::bind("127.0.0.1:0").context("find a free port")?.local_addr()?.port();
        match start(port) {
            Ok(child) => return Ok((port, child)),
            Err(error) if attempt < PORT_ATTEMPTS && format!("{error:#}").contains("already in use") => {
                attempt += 1
            }
            Err(error) => return Err(error),
        }
    }
}

fn launch(
    options: &Options,
    owner: &Owner,
    tree: &PgTree,
    data: &Path,
    socket: &Path,
    log: &Path,
    port: u16,
) -> Result<Child> {
    if options.port.is_some() {
        TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("port {port} cannot be used"))?;
    }
    let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let mut command = owner.command(&tree.bin().join("postgres"));
    command.arg("-D").arg(data).arg("-k").arg(socket).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    let durable = if options.durable { "on" } else { "off" };
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        command.args(["-c", &format!("{setting}={durable}")]);
    }
    // Ctrl-C goes to everything in the terminal's group; we stop the server ourselves, after its clients.
    command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn().context("start postgres")?;

    let deadline = Instant::now() + START_TIMEOUT;
    let probe = Psql::new(tree.psql(), &url(port, "postgres"));
    loop {
        let ended = child.try_wait().context("watch postgres")?;
        if ended.is_none() && probe.query("SELECT 1").is_ok() {
            return Ok(child);
        }
        if ended.is_some() || Instant::now() > deadline {
            stop(&Mutex::new(child));
            let said = fs::read_to_string(log).unwrap_or_default();
            bail!("PostgreSQL did not start on port {port}; {} ends:\n{}", log.display(), run::tail(&said));
        }
        sleep(POLL);
    }
}

/// SIGINT is PostgreSQL's fast shutdown: clients are disconnected, data is left clean.
fn stop(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    let is_gone = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
    if !is_gone(&mut child) {
        run::succeeds(run::command("kill").args(["-INT", &child.id().to_string()]));
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    while !is_gone(&mut child) && Instant::now() < deadline {
        sleep(POLL);
    }
    if !is_gone(&mut child) {
        child.kill().ok();
        child.wait().ok();
    }
}
