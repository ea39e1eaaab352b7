//! Bounds: length, rate, time, connections; and databases that cannot be used.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::ask::{OCTETS, error, get, ok, post, status};
use crate::world::{SECRET, world};

fn gateway(top: &str) -> String {
    world().gateway(&format!("{top}\n[jwt]\nsecret = '{SECRET}'\n{{main}}"))
}

#[test]
fn a_body_may_have_a_mebibyte_and_not_twice_that() {
    ok(vec![7_u8; 1 << 20]).check(&post("echo_domain").octets(vec![7_u8; 1 << 20]).send());
    error(413, "CSG413").check(&post("echo_domain").octets(vec![7_u8; 2 << 20]).send());
}

#[test]
fn the_limit_of_a_body_can_be_set() {
    let small = gateway("limits.body_bytes = 10");
    ok("0123456789").check(&post("echo_domain").at(&small).octets("0123456789").send());
    error(413, "CSG413").check(&post("echo_domain").at(&small).octets("0123456789a").send());
}

#[test]
fn requests_are_counted_by_token_and_by_address() {
    let strict = gateway("limits = { requests_per_second = 1, burst = 3 }");
    let ask = |sub: &str| get("answer").at(&strict).user(sub);
    for _ in 0..3 {
        ok("42").check(&ask("one").send());
    }
    let refused = ask("one").send();
    error(429, "CSG429").check(&refused);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    ok("42").check(&ask("two").send());
    // Tokens that are made up have no allowance of their own.
    let statuses: Vec<u16> =
        (0..5).map(|n| get("answer").at(&strict).token(&format!("a.b.{n}")).send().status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
}

#[test]
fn a_statement_has_its_role_s_time() {
    // The anonymous role's three seconds.
    error(500, "57014").check(&post("sleep").json(r#"{"seconds":600}"#).send());
}

#[test]
fn a_request_that_takes_too_long_is_cancelled() {
    let hasty = gateway("limits.request_seconds = 1");
    error(500, "57014").check(&post("sleep_long").at(&hasty).json(r#"{"mark":"too long"}"#).send());
    wait_until_sleeping("too long", false);
    ok("42").check(&get("answer").at(&hasty).send());
}

#[test]
fn a_request_that_nobody_waits_for_is_cancelled() {
    let request = post("sleep_long").json(r#"{"mark":"client gone"}"#);
    let task = world().runtime.spawn(request.send_async());
    wait_until_sleeping("client gone", true);
    task.abort();
    wait_until_sleeping("client gone", false);
}

/// Waits until the function sleeps, or does not: ten minutes if nobody cancels it.
fn wait_until_sleeping(mark: &str, expected: bool) {
    let sql =
        format!("SELECT count(*)::text FROM sleeping WHERE mark = '{mark}' AND NOT pg_try_advisory_lock(id)");
    let deadline = Instant::now() + Duration::from_secs(60);
    while world().text(&sql) != if expected { "1" } else { "0" } {
        assert!(Instant::now() < deadline, "{mark}: sleeping is not {expected}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_timeout_for_roles_that_have_none() {
    let config = "limits.statement_timeout_ms = 1234";
    let seen = get("seen").at(&gateway(config)).role("service_role").send().json();
    assert_eq!(seen["statement_timeout"], "1234ms");
    let seen = get("seen").at(&gateway(config)).role("authenticated").send().json();
    assert_eq!(seen["statement_timeout"], "8s");
}

#[test]
fn who_waits_too_long_for_a_connection_is_told() {
    let config = format!("[jwt]\nsecret = '{SECRET}'\n{{main}}pool_wait_seconds = 1\n");
    let narrow = world().gateway(&world().fill(&config).replace("pool_size = 8", "pool_size = 1"));
    // The catalog is read before the only connection is taken.
    ok("42").check(&get("answer").at(&narrow).send());
    world().runtime.block_on(async {
        let busy = post("sleep").at(&narrow).role("authenticated").json(r#"{"seconds":2.5}"#).send_async();
        let waiting = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            get("answer").at(&narrow).send_async().await
        };
        let (busy, waiting) = tokio::join!(busy, waiting);
        status(204).check(&busy);
        error(504, "PGRST003").check(&waiting);
    });
}

#[test]
fn a_database_that_is_away() {
    let away = format!(
        "[jwt]\nsecret = '{SECRET}'\n[databases.main]\nurl = 'postgres://u:the-password@127.0.0.1:9/d'\nanon_role = 'anon'\n"
    );
    let gateway = world().gateway(&away);
    let answer = post("cloudsync_pull").at(&gateway).octets("x").send();
    error(503, "PGRST000").check(&answer);
    assert!(!String::from_utf8_lossy(&answer.body).contains("127.0.0.1"));
    ok(r#"{"status":"ok"}"#).check(&get("/health").at(&gateway).send());
    let ready = get("/ready").at(&gateway).send();
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json(), json!({ "status": "not ready", "databases": { "main": "not ready" } }));
}

#[test]
fn a_superuser_is_no_login_role() {
    let database = &world().database;
    let url = world().fill("{url}").replace("authenticator:authenticator", "postgres");
    let gateway = world().gateway(&format!(
        "[jwt]\nsecret = '{SECRET}'\n[databases.{database}]\nurl = '{url}'\nanon_role = 'anon'\n"
    ));
    error(503, "CSG503").check(&post("cloudsync_pull").at(&gateway).octets("x").send());
}

#[test]
fn several_databases_have_ids() {
    let both = world().gateway(&format!(
        "[jwt]\nsecret = '{SECRET}'\n{{main}}\n[databases.second]\nurl = '{{url}}'\nanon_role = 'anon'\nfunctions = ['seen']\n"
    ));
    ok("42").check(&get("/db/main/rpc/answer").at(&both).send());
    error(404, "PGRST202").check(&get("/db/second/rpc/answer").at(&both).send());
    status(200).check(&get("/db/second/rest/v1/rpc/seen").at(&both).send());
    error(404, "PGRST125").check(&get("/rpc/answer").at(&both).send());
    assert_eq!(
        get("/ready").at(&both).send().json()["databases"],
        json!({ "main": "ready", "second": "ready" })
    );
}

#[test]
fn origins_are_as_configured() {
    let picky = gateway("cors_origins = ['https://app.example']");
    let origin = |origin: &str| {
        let answer = post("echo_domain").at(&picky).body(OCTETS, "x").header("origin", origin).send();
        answer.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(origin("https://app.example"), "https://app.example");
    assert_eq!(origin("https://evil.example"), "");
}
