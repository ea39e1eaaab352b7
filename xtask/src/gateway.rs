//! A gateway for tests and demonstrations, and the tokens that it takes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::cleanup::{self, Guard};
use crate::run;

/// What the gateway and whoever signs in its users share. Of a demonstration: it protects nothing.
pub const SECRET: &str = "the secret of a test, thirty-two bytes at least";

/// How long a token is good for.
const SECONDS: u64 = 3600;

/// A running gateway; stopped when dropped.
pub struct Gateway {
    /// What a device connects to.
    pub url: String,
    _stop: Guard,
}

impl Gateway {
    /// The program, with a free port and the secret set. `url` is the database's, for the role that
    /// becomes others.
    pub fn command(program: &Path, url: &str) -> Command {
        let mut command = run::command(program);
        command.env(variable("LISTEN"), "127.0.0.1:0").env(variable("JWT__SECRET"), SECRET);
        command.env(variable("DATABASES__MAIN__URL"), url);
        command
    }

    /// Starts it; its log names the port.
    pub fn start(command: &mut Command) -> Result<Gateway> {
        let mut child = command.stdout(Stdio::piped()).spawn().context("start the gateway")?;
        let output = child.stdout.take().context("the gateway has no output")?;
        let child = Arc::new(Mutex::new(child));
        let guard = cleanup::on_exit(move || stop(&child));
        let mut lines = BufReader::new(output).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| address(&line));
        let Some(address) = address else { bail!("the gateway ended before it listened") };
        // It blocks when nobody reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Gateway { url: format!("http://{address}"), _stop: guard })
    }
}

/// The environment variable of a key of the configuration.
pub fn variable(key: &str) -> String {
    format!("CLOUDSYNC_GATEWAY_{key}")
}

/// What an identity provider gives to a user who has signed in (RFC 7519, HS256).
pub fn token(user: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?.as_secs();
    let header = part(&json!({ "alg": "HS256", "typ": "JWT" }));
    let claims = part(&json!({ "sub": user, "role": "authenticated", "exp": now + SECONDS }));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).context("use the secret")?;
    mac.update(format!("{header}.{claims}").as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    Ok(format!("{header}.{claims}.{signature}"))
}

fn part(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

fn address(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    line.get("address").and_then(Value::as_str).map(str::to_owned)
}

fn stop(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    child.kill().ok();
    child.wait().ok();
}
