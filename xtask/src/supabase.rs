//! What Supabase's own programs say: its official client through the gateway, and its advisors on a
//! database with cloudsync's functions in the exposed schema.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::gateway::{Gateway, SECRET, variable};
use crate::server::{Options, Server};
use crate::{paths, run, setup};

/// The scripts that make a database, in order.
const SCRIPTS: &[&str] = &[
    "supabase/fixture.sql",
    "supabase/migrations/20261121000000_cloudsync_api.sql",
    "tests/supabase_js/setup.sql",
];

/// The official client calls both functions.
pub fn client() -> Result<()> {
    let modules = npm_install()?;
    let (_server, url) = database("supabase_js")?;
    run::visibly(run::command("cargo").args(["build", "--package", "cloudsync_gateway"]))?;
    let gateway = start_gateway(&url)?;
    let mut node = run::command("node");
    node.arg("--test").arg(modules.join("calls.test.js")).current_dir(&modules);
    node.env("GATEWAY_URL", &gateway.url).env("JWT_SECRET", SECRET);
    node.env("MESSAGES", paths::root().join("tests/golden/v1"));
    run::visibly(&mut node)
}

/// Nothing that Supabase's advisors warn of.
pub fn advisors() -> Result<()> {
    let modules = npm_install()?;
    let (_server, url) = database("advisors")?;
    let mut command = run::command(modules.join("node_modules/.bin/supabase"));
    command.args(["db", "advisors", "--fail-on", "warn", "--output-format", "json"]);
    command.arg(format!("--remote={}", url.as_superuser)).current_dir(&modules);
    run::visibly(&mut command)
}

/// How a database is reached.
struct Urls {
    as_superuser: String,
    as_authenticator: String,
}

/// A database of this name with Supabase's look and cloudsync's functions, on a server of its own: roles
/// belong to a server.
fn database(name: &str) -> Result<(Server, Urls)> {
    let server = Server::start(&Options::throwaway("pg-supabase")).context("the server for the tests")?;
    server.psql().query(&format!("CREATE DATABASE {name}"))?;
    let psql = server.psql_of(name);
    for script in SCRIPTS {
        let text =
            fs::read_to_string(paths::root().join(script)).with_context(|| format!("read {script}"))?;
        psql.script(&text).with_context(|| (*script).to_owned())?;
    }
    let as_superuser = server.url_of(name);
    let as_authenticator = as_superuser.replacen("postgres@", "authenticator@", 1);
    Ok((server, Urls { as_superuser, as_authenticator }))
}

/// Fetches the packages into the build directory. No lock file: it would name the registry of this machine.
fn npm_install() -> Result<PathBuf> {
    setup::for_npm()?;
    let (from, to) = (paths::root().join("tests/supabase_js"), paths::target().join("supabase_js"));
    fs::create_dir_all(&to).with_context(|| format!("create {}", to.display()))?;
    for file in ["package.json", "octets.js", "calls.test.js"] {
        fs::copy(from.join(file), to.join(file)).with_context(|| format!("copy {file}"))?;
    }
    let mut npm = run::command("npm");
    npm.args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&to);
    run::visibly(&mut npm)?;
    Ok(to)
}

/// Starts the gateway as a project's endpoint: it wants an API key, and lets others in too.
fn start_gateway(url: &Urls) -> Result<Gateway> {
    let program = paths::target().join("debug/cloudsync_gateway");
    let mut command = Gateway::command(&program, &url.as_authenticator);
    command.env(variable("DATABASES__MAIN__ANON_ROLE"), "anon");
    command.env(variable("DATABASES__MAIN__FUNCTIONS"), "cloudsync_push, cloudsync_pull, whoami, add");
    command.env(variable("DATABASES__MAIN__REQUIRE_API_KEY"), "true");
    let file = paths::target().join("supabase_js/gateway.toml");
    let keys = "[[api_keys]]\nkey = \"sb_publishable_of_the_test\"\nrole = \"anon\"\n";
    fs::write(&file, keys).with_context(|| format!("write {}", file.display()))?;
    Gateway::start(command.arg("--config").arg(file))
}
