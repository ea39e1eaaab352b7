//! Ways to the server: TLS with an authority of one's own, and proxies.
//!
//! `tests/tls` holds an authority, and a certificate of it for `localhost`; whoever has its key can deceive
//! these tests and nobody else.

mod common;
mod http_server;

use common::{init, refused};
use http_server::Server;
use rusqlite::Connection;

const SYNC: &str = "SELECT cloudsync_network_sync(0, 0)";

fn device(url: &str, settings: &[(&str, &str)]) -> Connection {
    let conn = common::device("CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a TEXT);");
    init(&conn, "t", 0);
    conn.query_row("SELECT cloudsync_network_init(?1)", [url], |_| Ok(())).unwrap();
    for setting in settings {
        conn.query_row("SELECT cloudsync_set(?1, ?2)", *setting, |_| Ok(())).unwrap();
    }
    conn
}

fn sync(conn: &Connection) {
    conn.query_row(SYNC, [], |_| Ok(())).unwrap();
}

fn tls(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_authority_of_ones_own_is_trusted_when_named() {
    let server = Server::start_tls();
    sync(&device(&server.url, &[("network_ca_file", &tls("ca.pem"))]));
    assert!(!server.seen().is_empty());
}

#[test]
fn a_certificate_that_is_not_trusted_is_an_error_that_says_what_to_do() {
    let server = Server::start_tls();
    let error = refused(&device(&server.url, &[]), SYNC);
    assert!(error.contains("localhost") && error.contains("network_ca_file"), "{error}");
    // The right authority, for another name.
    let by_number = server.url.replace("localhost", "127.0.0.1");
    let error = refused(&device(&by_number, &[("network_ca_file", &tls("ca.pem"))]), SYNC);
    assert!(error.contains("certificate of 127.0.0.1"), "{error}");
    assert!(server.seen().is_empty());
}

#[test]
fn a_file_without_authorities_is_named() {
    let error = refused(&device("https://localhost:1", &[("network_ca_file", &tls("server.key"))]), SYNC);
    assert!(error.contains("server.key") && error.contains("no certificate"), "{error}");
    let error = refused(&device("https://localhost:1", &[("network_ca_file", "/nowhere.pem")]), SYNC);
    assert!(error.contains("/nowhere.pem"), "{error}");
}

#[test]
fn a_proxy_is_asked_instead_of_the_server() {
    let proxy = Server::start([]);
    sync(&device("http://nowhere.invalid/x", &[("network_proxy", &proxy.url)]));
    assert_eq!(proxy.seen()[0].path, "http://nowhere.invalid/x/rpc/cloudsync_pull");
}

#[test]
fn a_proxy_that_lets_no_tunnel_through_is_named() {
    // It knows no CONNECT, and answers with what is no message.
    let proxy =
        Server::start(std::iter::repeat_n(http_server::Act::Answer(403, "", "text/html", "<h1>no</h1>"), 6));
    let error = refused(&device("https://nowhere.invalid", &[("network_proxy", &proxy.url)]), SYNC);
    assert!(error.contains("proxy"), "{error}");
}

#[test]
fn a_malformed_setting_is_named_and_a_password_in_it_is_not_repeated() {
    let error = refused(&device("http://localhost:1", &[("network_proxy", "http://u:hush@[")]), SYNC);
    assert!(error.contains("network_proxy") && !error.contains("hush"), "{error}");
    let error = refused(&device("http://localhost:1", &[("network_chunk_bytes", "many")]), SYNC);
    assert!(error.contains("network_chunk_bytes"), "{error}");
}
