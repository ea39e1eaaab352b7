//! Calling functions. Source: PostgREST documentation, "Functions as RPC", "Resource Representation",
//! "Media Type Handlers" and "Schemas".

use crate::ask::{OCTETS, ask, error, get, ok, post, status, table};

const JSON: &str = "application/json; charset=utf-8";

// Bodies and answers of bytes.
table! {
    bytes_come_back_by_the_domain: post("echo_domain").octets(b"\x00\xff\\x") => ok(b"\x00\xff\\x").header("content-type", OCTETS);
    an_empty_body_of_bytes_is_passed_on: post("echo_domain").octets("") => ok("");
    no_bytes_at_all_are_an_empty_body: post("no_bytes").octets("x") => ok("");
    bytea_itself_cannot_be_answered_as_bytes: post("echo_bytea").octets("x") => error(406, "PGRST107");
    bytea_itself_is_answered_in_json: post("echo_bytea").body(OCTETS, "x") => ok("\"\\\\x78\"").header("content-type", JSON);
    the_domain_is_answered_in_json_too: post("echo_domain").body(OCTETS, "x").accepting("application/json") => ok("\"\\\\x78\"");
    anything_means_json: post("echo_domain").body(OCTETS, "x").accepting("*/*") => ok("\"\\\\x78\"").header("content-type", JSON);
    the_best_of_several_is_taken: post("echo_domain").body(OCTETS, "x").accepting("application/json;q=0.5, application/octet-stream") => ok("x");
    rows_of_bytes_are_no_bytes: get("many_bytes").accepting(OCTETS) => error(406, "PGRST107");
    a_named_parameter_takes_no_raw_body: post("echo_named").octets("x") => error(404, "PGRST202");
    a_text_is_no_bytes: post("echo_text").octets("x") => error(404, "PGRST202");
    bytes_for_no_parameter: post("answer").octets("x") => error(404, "PGRST202");
    another_domain_answers_under_its_name: get("page").accepting("text/html") => ok("<p>é</p>").header("content-type", "text/html");
    another_domain_is_not_bytes: get("page").accepting(OCTETS) => error(406, "PGRST107");
    a_domain_for_everything_answers_everything: get("any_type").accepting("image/png") => ok("any").header("content-type", OCTETS);
    an_unknown_type_is_not_acceptable: get("answer").accepting("image/png") => error(406, "PGRST107");
}

// Other bodies.
table! {
    text_for_a_text_without_name: post("echo_text").body("text/plain", "a \"b\"") => ok(r#""a \"b\"""#);
    text_must_be_utf8: post("echo_text").body("text/plain", [0xff_u8]) => error(400, "22021");
    json_for_a_json_without_name: post("echo_json").json(r#"{"b":1,"a":[1.50]}"#) => ok(r#"{"b":1,"a":[1.50]}"#);
    a_list_for_a_json_without_name: post("echo_json").json("[1,2]") => ok("[1,2]");
    no_body_is_an_empty_object: post("echo_json").json("") => ok("{}");
    broken_json: post("add").json("{\"a\":") => error(400, "PGRST102").body(r#"{"code":"PGRST102","details":null,"hint":null,"message":"Empty or invalid json"}"#);
    a_form: post("add").body("application/x-www-form-urlencoded", "a=1&b=2") => ok("3");
    a_charset_does_not_matter: post("add").body("application/json; charset=utf-8", r#"{"a":1}"#) => ok("11");
    an_unknown_body: post("add").body("image/png", "x") => error(400, "PGRST102");
    base64_in_json_is_not_decoded: post("echo_named").json(r#"{"data":"AP8="}"#).accepting(OCTETS) => ok("AP8=");
    hex_in_json_is: post("echo_named").json(r#"{"data":"\\x00ff"}"#).accepting(OCTETS) => ok(b"\x00\xff");
}

// Arguments by name.
table! {
    in_the_query: get("add?a=1&b=2") => ok("3").header("content-type", JSON);
    in_the_body: post("add").json(r#"{"a":1,"b":2}"#) => ok("3");
    one_with_a_default_may_be_missing: get("add?a=1") => ok("11");
    one_without_may_not: get("add?b=1") => error(404, "PGRST202");
    an_unknown_one: get("add?a=1&c=2") => error(404, "PGRST202");
    one_of_the_wrong_kind: get("add?a=x") => error(400, "22P02");
    no_digit_is_lost: post("exact").json(r#"{"n":12345678901234567890.12345678901234567890}"#) => ok("\"12345678901234567890.12345678901234567890\"");
    none: get("answer") => ok("42");
    none_by_post: post("answer") => ok("42");
    null: get("nothing") => ok("null");
    rows: get("rows?n=2") => ok("[{\"i\":1,\"t\":\"x1\"}, \n {\"i\":2,\"t\":\"x2\"}]");
    no_rows: get("rows?n=0") => ok("[]");
    two_of_one_name: get("ambiguous?a=1") => error(300, "PGRST203");
    odd_names: get("odd%20%22name?p%20%22%20q=7") => ok("7");
    filters_are_not_served: get("rows?n=1&order=i") => error(400, "PGRST100");
    void: post("write_note").json(r#"{"t":"void"}"#) => status(204).body("").header("content-type", "");
}

// Methods and paths.
table! {
    supabase_s_path: get("/rest/v1/rpc/answer") => ok("42");
    a_database_s_path: get("/db/main/rpc/answer") => ok("42");
    both: get("/db/main/rest/v1/rpc/answer") => ok("42");
    another_database: get("/db/other/rpc/answer") => error(404, "PGRST125");
    no_function: get("/rpc") => error(404, "PGRST125");
    a_table: get("/note") => error(404, "PGRST125");
    the_root: get("/") => error(404, "PGRST125");
    put: ask("PUT", "answer") => error(405, "PGRST101");
    patch: ask("PATCH", "answer") => error(405, "PGRST101");
    delete: ask("DELETE", "answer") => error(405, "PGRST101");
    head: ask("HEAD", "answer") => ok("").header("content-type", JSON);
    an_unknown_function: get("unknown") => error(404, "PGRST202");
    a_function_that_is_not_listed: get("not_listed") => error(404, "PGRST202");
    the_extension_s_own_function: post("cloudsync_init").json(r#"{"table_name":"public.note"}"#) => error(404, "PGRST202");
    preflight: ask("OPTIONS", "answer").header("origin", "https://app.example").header("access-control-request-method", "POST").header("access-control-request-headers", "apikey")
        => status(200).header("access-control-allow-origin", "*").header("access-control-allow-headers", "apikey");
}

// Schemas.
table! {
    the_first_is_the_default: get("answer") => ok("42").header("content-profile", "public");
    another_by_get: get("answer").header("accept-profile", "other") => ok("\"{other,public,extensions}\"").header("content-profile", "other");
    another_by_head: ask("HEAD", "answer").header("accept-profile", "other") => status(200).header("content-profile", "other");
    another_by_post: post("answer").header("content-profile", "other") => ok("\"{other,public,extensions}\"");
    a_post_does_not_look_at_accept_profile: post("answer").header("accept-profile", "other") => ok("42");
    a_hidden_one_by_get: get("answer").header("accept-profile", "extensions") => error(406, "PGRST106");
    a_hidden_one_by_post: post("cloudsync_pull").header("content-profile", "extensions").octets("x") => error(406, "PGRST106");
}

#[test]
fn a_function_made_later_is_found() {
    let world = crate::world::world();
    error(404, "PGRST202").check(&get("made_later").send());
    world.sql("CREATE FUNCTION public.made_later() RETURNS int STABLE LANGUAGE sql AS 'SELECT 5'");
    // Looked for again a second after the last time.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    ok("5").check(&get("made_later").send());
}

#[test]
fn a_missing_function_is_named() {
    let answer = post("missing").octets("x").send();
    let body = answer.json();
    assert_eq!(body["message"], "Could not find the function public.missing in the schema cache");
    assert_eq!(
        body["details"],
        "Searched for the function public.missing with a single unnamed bytea parameter, but no matches were found in the schema cache."
    );
    let body = post("missing").json(r#"{"a":1,"b":2}"#).send().json();
    assert_eq!(body["message"], "Could not find the function public.missing(a, b) in the schema cache");
}
