//! The transaction and what a function sees in it. Source: PostgREST documentation, "Transactions".

use serde_json::{Value, json};

use crate::ask::{Ask, ask, error, get, post, status, table, token};

fn write(function: &str, text: &str) -> Ask {
    post(function).json(&json!({ "t": text }).to_string())
}

// Access modes.
table! {
    a_volatile_function_writes_by_post: write("write_note", "post") => status(204);
    not_by_get: get("write_note?t=get") => error(405, "25006");
    not_by_head: ask("HEAD", "write_note?t=head") => status(405);
    a_stable_function_does_not_write: write("stable_write", "stable") => error(405, "25006");
}

fn seen(ask: Ask) -> Value {
    let answer = ask.send();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn a_function_sees_its_caller_and_its_request() {
    let claims = json!({ "role": "authenticated", "sub": "s", "app_metadata": { "team": 1 } });
    let ask = get("/rest/v1/rpc/seen?").token(&token(&claims)).header("X-Thing", "a \"b\"");
    let seen = seen(ask.header("cookie", "k=v; l=w"));
    assert_eq!(seen["user"], "authenticated");
    assert_eq!(seen["session"], "authenticator");
    assert_eq!(seen["claims"], claims);
    assert_eq!(seen["method"], "GET");
    assert_eq!(seen["path"], "/rpc/seen");
    assert_eq!(seen["headers"]["x-thing"], "a \"b\"");
    assert_eq!(seen["headers"]["cookie"], Value::Null);
    assert_eq!(seen["cookies"], json!({ "k": "v", "l": "w" }));
    assert_eq!(seen["search_path"], "\"public\", \"extensions\"");
    assert_eq!(seen["statement_timeout"], "8s");
    assert_eq!((&seen["isolation"], &seen["read_only"]), (&json!("read committed"), &json!("on")));
}

#[test]
fn without_a_token_it_is_the_anonymous_role() {
    let seen = seen(get("seen"));
    assert_eq!(seen["user"], "anon");
    assert_eq!(seen["claims"], json!({ "role": "anon" }));
    assert_eq!(seen["statement_timeout"], "3s");
}

#[test]
fn a_role_without_settings_has_those_of_the_login_role() {
    assert_eq!(seen(get("seen").role("service_role"))["statement_timeout"], "8s");
}

#[test]
fn a_volatile_function_may_write() {
    assert_eq!(seen(post("seen_by_volatile"))["read_only"], "off");
    assert_eq!(seen(get("seen_by_volatile"))["read_only"], "on");
}

#[test]
fn some_settings_of_a_function_come_before_it() {
    let seen = seen(post("seen_hoisted"));
    assert_eq!((&seen["statement_timeout"], &seen["isolation"]), (&json!("17s"), &json!("repeatable read")));
}

#[test]
fn a_function_leaves_nothing_behind_in_its_session() {
    // One connection, so that the next caller meets the same session.
    let world = crate::world::world();
    let one = world.gateway(&format!(
        "[jwt]\nsecret = '{}'\n{}",
        crate::world::SECRET,
        world.fill("{main}").replace("pool_size = 8", "pool_size = 1")
    ));
    status(204).check(&post("leave_behind").at(&one).send());
    assert_eq!(get("left_behind").at(&one).send().body, b"\"nothing\"");
    assert_eq!(get("session_claims").at(&one).send().json(), "{\"role\":\"anon\"}");
    assert_eq!(world.text("SELECT count(*)::text FROM pg_locks WHERE objid = 4711"), "0");
}

#[test]
fn nothing_of_a_request_is_part_of_a_statement() {
    let evil = "x'; DROP TABLE note; --";
    error(401, "22023").check(&get("answer").role("x\" does not exist").send());
    let answer = get("answer").role(evil).send();
    assert_eq!(answer.status, 401, "{answer:?}");
    let seen = seen(get("seen").header("x-evil", evil).header("cookie", &format!("c={}", "x'")));
    assert_eq!(seen["headers"]["x-evil"], evil);
    status(204).check(&write("write_note", evil).send());
}
