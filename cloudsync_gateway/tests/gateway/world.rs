//! One database for all tests, with Supabase's look, and gateways in front of it.

use std::sync::OnceLock;

use cloudsync_gateway::config;
use cloudsync_gateway::server::{self, App};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// The secret of the gateways' tokens.
pub const SECRET: &str = "a secret of at least thirty-two bytes, for tests";

/// Supabase's look.
pub const FIXTURE: &str = include_str!("../../../supabase/fixture.sql");
/// What exposes cloudsync's functions.
pub const MIGRATION: &str = include_str!("../../../supabase/migrations/20261121000000_cloudsync_api.sql");
const CONTRACT: &str = include_str!("contract.sql");

/// What can be called beside cloudsync's functions.
const FUNCTIONS: &str = "'echo_domain','echo_bytea','echo_named','echo_text','echo_json','no_bytes','any_type','page',
    'many_bytes','add','exact','answer','nothing','rows','ambiguous','odd \"name','write_note','write_note_and_fail',
    'stable_write','count_notes','orphan','seen','seen_by_volatile','seen_hoisted','leave_behind','left_behind',
    'session_claims','raise','choose','secret','sleep','sleep_long','made_later'";

/// What the tests share.
pub struct World {
    /// Runs the gateways and the tests' requests.
    pub runtime: Runtime,
    /// The database's name.
    pub database: String,
    /// Address of the gateway with the usual configuration.
    pub gateway: String,
    /// For requests.
    pub http: reqwest::Client,
}

/// The world, made by the first test that asks.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let database = format!("cs_gateway_{}", std::process::id());
        runtime.block_on(create(&database));
        let tls = cloudsync_gateway::database::public_client_config().unwrap();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap();
        let gateway = runtime.block_on(start(&usual(&database), std::future::pending()));
        World { runtime, database, gateway, http }
    })
}

impl World {
    /// Another gateway with this configuration; `{main}` in it stands for the table of the database.
    pub fn gateway(&self, toml: &str) -> String {
        self.runtime.block_on(start(&self.fill(toml), std::future::pending()))
    }

    /// A configuration with its database.
    pub fn fill(&self, toml: &str) -> String {
        toml.replace("{main}", &main_table(&self.database)).replace("{url}", &login_url(&self.database))
    }

    /// Runs SQL as the superuser.
    pub fn sql(&self, sql: &str) {
        self.runtime.block_on(async {
            connect(&self.database).await.batch_execute(sql).await.unwrap();
        });
    }

    /// The first column of the only row of a query, as text.
    pub fn text(&self, sql: &str) -> String {
        self.runtime.block_on(async {
            let row = connect(&self.database).await.query_one(sql, &[]).await.unwrap();
            row.get(0)
        })
    }
}

fn usual(database: &str) -> String {
    format!("[jwt]\nsecret = '{SECRET}'\n{}", main_table(database))
}

fn main_table(database: &str) -> String {
    format!(
        "[databases.main]\nurl = '{}'\nanon_role = 'anon'\nschemas = ['public', 'other']\npool_size = 8\n\
         functions = ['cloudsync_push', 'cloudsync_pull', 'cloudsync_create_tables', {FUNCTIONS}]\n",
        login_url(database)
    )
}

/// Starts a gateway on a free port and answers its address.
pub async fn start(toml: &str, stop: impl Future<Output = ()> + Send + 'static) -> String {
    let config = config::parse(toml, std::iter::empty()).unwrap();
    let app = App::new(config).unwrap().into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server::serve(listener, app, stop));
    format!("http://{address}")
}

async fn create(database: &str) {
    let admin = connect("postgres").await;
    // Those of earlier runs; one that another run is using stays.
    let earlier = "SELECT datname::text FROM pg_database d WHERE datname LIKE 'cs\\_gateway\\_%' \
        AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)";
    for row in admin.query(earlier, &[]).await.unwrap() {
        let name: String = row.get(0);
        let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await;
    }
    admin.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
    for script in [FIXTURE, MIGRATION, CONTRACT] {
        // A connection each, as the fixture changes the database's defaults.
        connect(database).await.batch_execute(script).await.unwrap();
    }
}

fn server() -> tokio_postgres::Config {
    let url = std::env::var("CLOUDSYNC_PG_URL").expect(
        "CLOUDSYNC_PG_URL must name a PostgreSQL server with the extension installed, as a superuser: \
         `cargo xtask test` sets it, or use the address that `cargo xtask pg --port 5433` prints",
    );
    url.parse().expect("CLOUDSYNC_PG_URL is an address: postgres://postgres@127.0.0.1:5433/cloudsync")
}

/// A connection as the superuser.
pub async fn connect(database: &str) -> Client {
    let (client, connection) = server().dbname(database).connect(NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

/// How the gateway logs in.
fn login_url(database: &str) -> String {
    let server = server();
    let port = server.get_ports().first().copied().unwrap_or(5432);
    let host = match server.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        other => panic!("CLOUDSYNC_PG_URL must name a host reached by TCP, not {other:?}"),
    };
    format!("postgres://authenticator:authenticator@{host}:{port}/{database}")
}
