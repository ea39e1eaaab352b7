//! Errors and answers that functions choose. Source: PostgREST documentation, "Errors" and
//! "Transactions", its parts on `RAISE` and on `response.status` and `response.headers`.

use serde_json::json;

use crate::ask::{Ask, error, get, post, status, table};

fn raise(state: &str) -> Ask {
    post("raise").role("authenticated").json(&json!({ "state": state }).to_string())
}

fn raise_pgrst(message: &str, detail: &str) -> Ask {
    let body = json!({ "state": "PGRST", "message": message, "detail": detail });
    post("raise").json(&body.to_string())
}

fn choose(chosen: &str, headers: &str) -> Ask {
    post("choose").json(&json!({ "status": chosen, "headers": headers }).to_string())
}

// One code of each line of the table of statuses; all are in the unit tests.
table! {
    connection_exception: raise("08006") => error(503, "08006");
    invalid_grantor: raise("0L000") => error(403, "0L000");
    foreign_key_violation: raise("23503") => error(409, "23503");
    unique_violation: raise("23505") => error(409, "23505");
    check_violation: raise("23514") => error(400, "23514");
    read_only_transaction: raise("25006") => error(405, "25006");
    serialization_failure: raise("40001") => error(500, "40001");
    deadlock: raise("40P01") => error(500, "40P01");
    undefined_function: raise("42883") => error(404, "42883");
    insufficient_resources: raise("53300") => error(503, "53300");
    lock_not_available: raise("55P03") => error(500, "55P03");
    query_canceled: raise("57014") => error(500, "57014");
    raise_without_a_code: raise("P0001") => error(400, "P0001");
    internal_error: raise("XX000") => error(500, "XX000");
    chosen_status: raise("PT402") => error(402, "PT402");
    chosen_status_that_is_none: raise("PTXYZ") => error(500, "PTXYZ");
    a_missing_right_of_a_user: post("secret").role("authenticated") => error(403, "42501").header("www-authenticate", "");
    a_missing_right_of_anyone: post("secret") => error(401, "42501").header("www-authenticate", "Bearer");
    a_role_that_does_not_exist: get("answer").role("nobody") => error(401, "22023").header("www-authenticate", "Bearer");
    a_role_that_the_login_role_is_no_member_of: get("answer").role("pg_read_all_data") => error(403, "42501");
    a_superuser_s_role: get("answer").role("postgres") => error(403, "42501");
}

// What a function decides.
table! {
    everything: raise_pgrst(r#"{"code":"123","message":"Pay","details":"d","hint":"h"}"#, r#"{"status":429,"headers":{"Retry-After":"7"}}"#)
        => error(429, "123").header("retry-after", "7").body(r#"{"code":"123","details":"d","hint":"h","message":"Pay"}"#);
    nonsense: raise_pgrst("no", "no") => error(500, "PGRST121");
    status_and_headers: choose("418", r#"[{"X-One":"1"},{"Content-Type":"text/x"}]"#) => status(418).header("x-one", "1").header("content-type", "text/x");
    a_status_that_is_none: choose("many", "[]") => error(500, "PGRST112");
    headers_that_are_none: choose("200", "{}") => error(500, "PGRST111");
}

#[test]
fn postgresql_s_words_are_passed_on() {
    let body =
        json!({ "state": "23514", "message": "the message", "detail": "the detail", "hint": "the hint" });
    let answer = post("raise").json(&body.to_string()).send();
    let expected =
        json!({ "code": "23514", "message": "the message", "details": "the detail", "hint": "the hint" });
    assert_eq!(answer.json(), expected);
}

#[test]
fn an_error_at_commit_is_an_error() {
    error(409, "23503").check(&post("orphan").role("authenticated").send());
}

#[test]
fn what_failed_leaves_nothing() {
    error(400, "P0001").check(&post("write_note_and_fail").json(r#"{"t":"failed"}"#).send());
    assert_eq!(get("count_notes?t=failed").send().body, b"0");
}
