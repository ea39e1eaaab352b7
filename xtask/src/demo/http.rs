//! The command `demo --http`: three devices of two users sync through the gateway, and each ends with
//! what its user may see.

use std::fs;

use anyhow::{Context, Result, bail};

use super::device::Device;
use super::lists::{self, ANNA, BERT, TABLES};
use super::{step, sync};
use crate::gateway::{Gateway, token};
use crate::home::recreate;
use crate::psql::Psql;
use crate::server::{Options, Server};
use crate::{dist, paths, run, setup};

/// What makes a plain server look like a Supabase project with cloudsync.
const SCRIPTS: [&str; 2] = ["supabase/fixture.sql", "supabase/migrations/20261121000000_cloudsync_api.sql"];

/// The database, beside the one that every private server has.
const DATABASE: &str = "lists";

/// Tells the story; an error if a device does not end with what a SELECT as its user answers.
pub fn run() -> Result<()> {
    setup::run()?;
    dist::build()?;
    run::visibly(run::command("cargo").args(["build", "--release", "--package", "cloudsync_gateway"]))?;
    let dir = paths::target().join("demo-http");
    recreate(&dir)?;

    step("A private PostgreSQL server with row-level security");
    let server = Server::start(&Options::throwaway("pg-demo-http"))?;
    let psql = database(&server)?;
    lists::POLICIES.iter().for_each(|policy| println!("  {policy}"));
    step("The gateway, in front of it");
    let authenticator = server.url_of(DATABASE).replacen("postgres@", "authenticator@", 1);
    let program = paths::target().join("release/cloudsync_gateway");
    let gateway = Gateway::start(&mut Gateway::command(&program, &authenticator))?;
    println!("  {}", gateway.url);

    let mut devices = Vec::new();
    for (name, file, user) in [
        ("Anna's phone", "anna1.db", ANNA),
        ("Anna's laptop", "anna2.db", ANNA),
        ("Bert's phone", "bert.db", BERT),
    ] {
        let device = Device::new(name, &dir.join(file), &gateway.url).with_token(token(user)?);
        device.run(lists::DEVICE)?;
        devices.push((device, user));
    }
    let [(phone, _), (laptop, _), (bert, _)] = devices.as_slice() else { bail!("three devices were made") };

    step("Offline: Anna makes a list for both and one for herself, Bert one for himself");
    write(phone, lists::ANNAS)?;
    write(bert, lists::BERTS)?;
    step("All sync");
    [phone, bert, laptop, bert].into_iter().try_for_each(sync)?;
    let mut wrong = compare(&devices, &psql)?;

    step("Offline again: all edit, and Bert tries what he may not");
    for (at, sql) in lists::EDITS {
        let (device, _) = devices.get(*at).context("an edit of no device")?;
        write(device, &[sql])?;
    }
    step("All sync");
    [phone, laptop, bert, phone, laptop, bert].into_iter().try_for_each(sync)?;
    wrong += compare(&devices, &psql)?;
    step("What became of the edits");
    wrong += outcomes(&devices)?;
    step("What Bert's phone was refused");
    print!(
        "{}",
        bert.run("SELECT '  ' || sqlstate || '  ' || tbl || '  ' || columns FROM cloudsync_rejections;")?
    );

    println!("\nTo look at: sqlite3 {} (and anna2.db, bert.db beside it)", phone.file().display());
    if wrong > 0 {
        bail!("{wrong} difference(s), shown above");
    }
    println!("Each device has what its user may see, and nothing else.");
    Ok(())
}

fn database(server: &Server) -> Result<Psql> {
    server.psql().query(&format!("CREATE DATABASE {DATABASE}"))?;
    let psql = server.psql_of(DATABASE);
    for script in SCRIPTS {
        let text =
            fs::read_to_string(paths::root().join(script)).with_context(|| format!("read {script}"))?;
        psql.script(&text).with_context(|| script.to_owned())?;
    }
    psql.script(lists::SERVER)?;
    Ok(psql)
}

fn write(device: &Device, statements: &[&str]) -> Result<()> {
    for sql in statements {
        println!("  {:<14} {sql}", device.name);
        device.run(&format!("{sql};"))?;
    }
    Ok(())
}

/// Compares each table of each device with a SELECT as its user; returns how many differ.
fn compare(devices: &[(Device, &str)], server: &Psql) -> Result<usize> {
    step("Each device, and a SELECT on the server as its user");
    let mut differing = 0;
    for (device, user) in devices {
        for (table, query) in TABLES {
            let held = device.run(&format!("{query};"))?;
            let seen = as_user(server, user, query)?;
            let (held, seen): (Vec<&str>, Vec<&str>) = (held.lines().collect(), seen.lines().collect());
            let verdict = if held == seen { "same" } else { "DIFFERENT" };
            println!("  {:<14} {table:<7} {:>2} rows  {verdict}", device.name, held.len());
            held.iter().for_each(|row| println!("      {row}"));
            if held != seen {
                differing += 1;
                seen.iter().for_each(|row| println!("      on the server: {row}"));
            }
        }
    }
    Ok(differing)
}

/// The rows that the policies show to a user, as the endpoint would ask for them.
fn as_user(server: &Psql, user: &str, query: &str) -> Result<String> {
    // What sets the claims answers too; that line is not of the query.
    let script = format!(
        "BEGIN;\n\\o /dev/null\n\
         SELECT set_config('request.jwt.claims', '{{\"sub\":\"{user}\",\"role\":\"authenticated\"}}', true);\n\
         \\o\nSET LOCAL ROLE authenticated;\n{query};\nROLLBACK;\n"
    );
    let printed = server.script(&script)?;
    Ok(printed.lines().filter(|line| line.contains(" | ")).map(|line| format!("{line}\n")).collect())
}

fn outcomes(devices: &[(Device, &str)]) -> Result<usize> {
    let mut wrong = 0;
    for (query, expected, rule) in lists::OUTCOMES {
        println!("  {rule}: {expected}");
        for (device, _) in devices {
            let answer = device.run(&format!("{query};"))?;
            if answer.trim() != *expected {
                wrong += 1;
                println!("    WRONG on {}: {}", device.name, answer.trim());
            }
        }
    }
    Ok(wrong)
}
