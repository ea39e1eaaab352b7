//! The gateway's program in front of a test database, and tokens that it takes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::required;
use crate::server::Server;

/// Signs the tokens of the tests.
const SECRET: &str = "a secret that only these tests know, of many bytes";

/// A running gateway; stopped at the end.
pub struct Gateway {
    /// The address for devices.
    pub url: String,
    /// Host and port.
    pub address: String,
    child: Child,
}

impl Gateway {
    /// Starts it in front of a project's database. `settings` are further keys of its configuration, as
    /// environment variables without their prefix.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(server: &Server, settings: &[(&str, &str)]) -> Gateway {
        let mut command = Command::new(required("CLOUDSYNC_GATEWAY"));
        let prefix = "CLOUDSYNC_GATEWAY_";
        command
            .env(format!("{prefix}LISTEN"), "127.0.0.1:0")
            .env(format!("{prefix}JWT__SECRET"), SECRET)
            .env(format!("{prefix}DATABASES__MAIN__URL"), server.url_as("authenticator"))
            .envs(settings.iter().map(|(key, value)| (format!("{prefix}{key}"), value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the gateway's program");
        let mut log = BufReader::new(child.stdout.take().expect("its log"));
        let address = address(&mut log);
        // Nobody may stop reading, or the gateway waits.
        std::thread::spawn(move || log.lines().for_each(drop));
        Gateway { url: format!("http://{address}"), address, child }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(log: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    while log.read_line(&mut line).expect("its log") > 0 {
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        if entry["message"] == "listening" {
            return entry["address"].as_str().expect("an address").to_owned();
        }
        line.clear();
    }
    panic!("the gateway ended before it listened");
}

/// A token of a signed-in user, good for so many seconds.
///
/// # Panics
/// It cannot be signed.
pub fn token(user: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let claims = json!({
        "sub": user,
        "role": "authenticated",
        "aud": "authenticated",
        "exp": now.saturating_add_signed(seconds),
    });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}
