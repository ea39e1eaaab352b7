//! The program: its options, its messages, its log, its end.

use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::ask::{get, ok, post, status, token};
use crate::world::{SECRET, start, world};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudsync_gateway"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CLOUDSYNC_GATEWAY_")) {
        command.env_remove(name);
    }
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn help_names_the_options() {
    let output = program().arg("--help").output().unwrap();
    for word in ["--config", "--check-config", "CLOUDSYNC_GATEWAY_CONFIG", "plain HTTP"] {
        assert!(text(&output).contains(word), "{word}");
    }
}

#[test]
fn check_config_connects_and_says_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), world().fill(&format!("[jwt]\nsecret = '{SECRET}'\n{{main}}"))).unwrap();
    let good = program().arg("--check-config").arg("--config").arg(file.path()).output().unwrap();
    assert!(good.status.success(), "{}", text(&good));
    let mut bad = program();
    bad.env("CLOUDSYNC_GATEWAY_DATABASES__MAIN__URL", "postgres://u:hunter2@127.0.0.1:9/d");
    let bad = bad.arg("--check-config").arg("--config").arg(file.path()).output().unwrap();
    assert!(!bad.status.success());
    assert!(text(&bad).contains("these databases cannot be used, see above: main"), "{}", text(&bad));
    assert!(!text(&bad).contains("hunter2"), "{}", text(&bad));
}

#[test]
fn a_wrong_key_is_named() {
    let output = program().env("CLOUDSYNC_GATEWAY_LIMITS__BODY_BYTES", "many").output().unwrap();
    assert!(!output.status.success());
    assert_eq!(
        text(&output),
        "error: configuration: CLOUDSYNC_GATEWAY_LIMITS__BODY_BYTES: must be a whole number\n"
    );
}

/// Port 0 is any free one; which one stands in the log.
#[test]
fn the_log_tells_what_happened_and_no_secret() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        world().fill(&format!("listen = '127.0.0.1:0'\n[jwt]\nsecret = '{SECRET}'\n{{main}}")),
    )
    .unwrap();
    let mut child = program()
        .env("CLOUDSYNC_GATEWAY_LOG_LEVEL", "trace")
        .arg("--config")
        .arg(file.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut log = String::new();
    let address = loop {
        let mut buffer = [0_u8; 4096];
        let length = output.read(&mut buffer).unwrap();
        assert!(length > 0, "the program ended: {log}");
        log.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(line) = lines.into_iter().find(|line| line["message"] == "listening") {
            break format!("http://{}", line["address"].as_str().unwrap());
        }
    };
    let claims = serde_json::json!({ "role": "authenticated", "sub": "claim-of-the-token" });
    let secret_token = token(&claims);
    let ask = post("echo_domain").at(&address).token(&secret_token).header("apikey", "the-api-key");
    ok("the-body-itself").check(&ask.octets("the-body-itself").send());
    status(401).check(&get("answer?query=the-query").at(&address).token("wrong.token-itself.x").send());
    status(404).check(&get("/the-path-itself").at(&address).send());

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    output.read_to_string(&mut log).unwrap();
    assert!(child.wait().unwrap().success(), "SIGTERM is a good end");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let call = lines.iter().find(|line| line["function"] == "echo_domain").expect("the call is in the log");
    assert_eq!(
        (&call["status"], &call["method"], &call["database"]),
        (&200.into(), &"POST".into(), &"main".into())
    );
    assert!(lines.iter().any(|line| line["status"] == 401 && line["code"] == "PGRST301"));
    for secret in [
        SECRET,
        &secret_token,
        "claim-of-the-token",
        "the-api-key",
        "the-body-itself",
        "the-query",
        "token-itself",
        "the-path-itself",
        "authenticator:authenticator",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn requests_under_way_come_to_their_end() {
    let world = world();
    let (stop, stopped) = oneshot::channel::<()>();
    let config = world.fill(&format!("[jwt]\nsecret = '{SECRET}'\n{{main}}"));
    world.runtime.block_on(async {
        let gateway = start(&config, async move { stopped.await.unwrap_or_default() }).await;
        let under_way = tokio::spawn(
            post("sleep").at(&gateway).role("authenticated").json(r#"{"seconds":1.5}"#).send_async(),
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let address = gateway.trim_start_matches("http://");
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "no new connections are taken");
        status(204).check(&under_way.await.unwrap());
    });
}
