//! Who calls. Source: PostgREST documentation, "Authentication", and Supabase's, "Understanding API keys".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get as route;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use p256::elliptic_curve::rand_core::OsRng;
use p256::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};

use crate::ask::{Ask, error, get, ok, table, token};
use crate::world::{SECRET, world};

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn with(claims: Value) -> Ask {
    get("answer").token(&token(&claims))
}

fn authorization(value: &str) -> Ask {
    get("answer").header("authorization", value)
}

const INVALID: &str = "Bearer error=\"invalid_token\", error_description=";

// The usual gateway: a secret, and an anonymous role.
table! {
    a_good_token: with(json!({ "role": "authenticated", "exp": now() + 60 })) => ok("42");
    no_token_is_anonymous: get("answer") => ok("42");
    a_token_without_a_role_is_anonymous: with(json!({ "sub": "s" })) => ok("42");
    expired: with(json!({ "role": "authenticated", "exp": now() - 60 })) => error(401, "PGRST303").header("www-authenticate", &format!("{INVALID}\"JWT expired\""));
    expired_a_moment_ago: with(json!({ "role": "authenticated", "exp": now() - 20 })) => ok("42");
    not_yet_valid: with(json!({ "role": "authenticated", "nbf": now() + 60 })) => error(401, "PGRST303");
    valid_in_a_moment: with(json!({ "role": "authenticated", "nbf": now() + 20 })) => ok("42");
    issued_in_the_future: with(json!({ "role": "authenticated", "iat": now() + 60 })) => error(401, "PGRST303");
    an_audience_is_not_asked_for: with(json!({ "role": "authenticated", "aud": "anything" })) => ok("42");
    no_jwt: authorization("Bearer abc") => error(401, "PGRST301").header("www-authenticate", &format!("{INVALID}\"Expected 3 parts in JWT; got 1\""));
    an_empty_token: authorization("Bearer ") => error(401, "PGRST301");
    another_scheme_is_no_token: authorization("Basic abc") => ok("42");
    the_scheme_in_lower_case: authorization(&format!("bearer {}", token(&json!({ "role": "anon" })))) => ok("42");
    three_parts_of_nonsense: authorization("Bearer a.b.c") => error(401, "PGRST301");
    a_changed_token: authorization(&format!("Bearer {}x", token(&json!({ "role": "authenticated" })))) => error(401, "PGRST301");
    no_signature: authorization(&format!("Bearer {}", unsigned())) => error(401, "PGRST301");
    another_secret: get("answer").token(&signed_by(&EncodingKey::from_secret(b"another secret of at least 32 bytes"), Algorithm::HS256, None)) => error(401, "PGRST301");
    another_algorithm_of_the_secret: get("answer").token(&signed_by(&EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS512, None)) => error(401, "PGRST301");
    a_publishable_key_as_a_token: get("answer").header("apikey", "sb_publishable_x").header("authorization", "Bearer sb_publishable_x") => ok("42");
    a_key_as_a_token_alone: get("answer").header("authorization", "Bearer sb_publishable_x") => ok("42");
    a_key_as_a_token_beside_another: get("answer").header("apikey", "sb_publishable_x").header("authorization", "Bearer sb_secret_y") => error(401, "PGRST301");
}

/// `{"alg":"none"}`.
fn unsigned() -> String {
    let payload = token(&json!({ "role": "service_role" }));
    let payload = payload.split('.').nth(1).unwrap();
    format!("eyJhbGciOiJub25lIn0.{payload}.")
}

fn signed_by(key: &EncodingKey, algorithm: Algorithm, id: Option<&str>) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &json!({ "role": "authenticated" }), key).unwrap()
}

/// A key pair: the private key, and the public one as an entry of a set.
fn pair(algorithm: Algorithm, id: &str) -> (EncodingKey, Value) {
    let key = match algorithm {
        Algorithm::ES256 => {
            let pem = p256::SecretKey::random(&mut OsRng).to_pkcs8_pem(Default::default()).unwrap();
            EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()
        }
        _ => {
            let pem =
                rsa::RsaPrivateKey::new(&mut OsRng, 2048).unwrap().to_pkcs8_pem(Default::default()).unwrap();
            EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
        }
    };
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(id);
    (key, jwk)
}

#[test]
fn public_keys_come_from_a_file() {
    let (elliptic, elliptic_jwk) = pair(Algorithm::ES256, "e");
    let (rsa, rsa_jwk) = pair(Algorithm::RS256, "r");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "keys": [elliptic_jwk, rsa_jwk, { "kty": "odd" }] }).to_string())
        .unwrap();
    let gateway = world()
        .gateway(&format!("[jwt]\njwks_file = '{}'\nsecret = '{SECRET}'\n{{main}}", file.path().display()));
    let of =
        |key: &EncodingKey, algorithm, id| get("answer").at(&gateway).token(&signed_by(key, algorithm, id));
    ok("42").check(&of(&elliptic, Algorithm::ES256, Some("e")).send());
    ok("42").check(&of(&rsa, Algorithm::RS256, Some("r")).send());
    ok("42").check(&of(&rsa, Algorithm::RS256, None).send());
    // The old secret goes on being accepted beside the new keys.
    ok("42").check(&get("answer").at(&gateway).role("authenticated").send());
    // A name that is not known, or another key's.
    error(401, "PGRST301").check(&of(&elliptic, Algorithm::ES256, Some("x")).send());
    error(401, "PGRST301").check(&of(&elliptic, Algorithm::ES256, Some("r")).send());
}

#[test]
fn a_public_key_is_no_secret() {
    let (_, jwk) = pair(Algorithm::RS256, "r");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), jwk.to_string()).unwrap();
    let gateway = world().gateway(&format!("[jwt]\njwks_file = '{}'\n{{main}}", file.path().display()));
    // What everyone can read, used as the secret of HS256.
    for public in [jwk.to_string(), jwk["n"].as_str().unwrap().to_owned()] {
        let forged = signed_by(&EncodingKey::from_secret(public.as_bytes()), Algorithm::HS256, None);
        error(401, "PGRST301").check(&get("answer").at(&gateway).token(&forged).send());
    }
}

#[test]
fn published_keys_may_change() {
    let (first, first_jwk) = pair(Algorithm::ES256, "1");
    let (second, second_jwk) = pair(Algorithm::ES256, "2");
    let published = Arc::new(Mutex::new(json!({ "keys": [first_jwk] })));
    let fetches = Arc::new(AtomicUsize::new(0));
    let source = world().runtime.block_on(serve_keys(published.clone(), fetches.clone()));
    let one = world().gateway(&format!("[jwt]\njwks_url = '{source}/jwks.json'\n{{main}}"));
    let of =
        |gateway: &str, key, id| get("answer").at(gateway).token(&signed_by(key, Algorithm::ES256, Some(id)));
    for _ in 0..3 {
        ok("42").check(&of(&one, &first, "1").send());
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1, "keys are kept");
    for _ in 0..3 {
        error(401, "PGRST301").check(&of(&one, &second, "2").send());
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1, "a made-up key makes nobody fetch again and again");

    *published.lock().unwrap_or_else(PoisonError::into_inner) = json!({ "keys": [second_jwk] });
    let fresh = world().gateway(&format!("[jwt]\njwks_url = '{source}/jwks.json'\n{{main}}"));
    ok("42").check(&of(&fresh, &second, "2").send());
    error(401, "PGRST301").check(&of(&fresh, &first, "1").send());
}

async fn serve_keys(published: Arc<Mutex<Value>>, fetches: Arc<AtomicUsize>) -> String {
    let answer = move || {
        fetches.fetch_add(1, Ordering::SeqCst);
        let keys = published.lock().unwrap_or_else(PoisonError::into_inner).to_string();
        async move { keys }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, Router::new().route("/jwks.json", route(answer))).into_future());
    format!("http://{address}")
}

#[test]
fn a_source_of_keys_that_is_away_is_an_error_of_the_token() {
    let gateway = world().gateway("[jwt]\njwks_url = 'http://127.0.0.1:9/jwks.json'\n{main}");
    error(401, "PGRST301").check(&get("answer").at(&gateway).role("authenticated").send());
    ok("42").check(&get("answer").at(&gateway).send());
}

#[test]
fn without_an_anonymous_role_a_token_is_needed() {
    let config = format!("[jwt]\nsecret = '{SECRET}'\n{{main}}");
    let gateway = world().gateway(&world().fill(&config).replace("anon_role = 'anon'", ""));
    error(401, "PGRST302").header("www-authenticate", "Bearer").check(&get("answer").at(&gateway).send());
    error(401, "PGRST302").check(&get("answer").at(&gateway).token(&token(&json!({ "sub": "s" }))).send());
    ok("42").check(&get("answer").at(&gateway).role("authenticated").send());
    // Nobody is anonymous here, so a missing right is 403 for everyone.
    error(403, "42501").check(&get("secret").at(&gateway).role("anon").send());
}

#[test]
fn audience_and_role_claim_are_as_configured() {
    let gateway = world().gateway(&format!(
        "[jwt]\nsecret = '{SECRET}'\naudience = 'app'\nrole_claim = '.app_metadata.\"the role\"'\n{{main}}"
    ));
    let with = |claims| get("seen").at(&gateway).token(&token(&claims)).send();
    let good = json!({ "aud": ["app", "x"], "app_metadata": { "the role": "service_role" }, "role": "authenticated" });
    let seen = with(good).json();
    assert_eq!((&seen["user"], &seen["claims"]["role"]), (&json!("service_role"), &json!("service_role")));
    error(401, "PGRST303").check(&with(json!({ "aud": "other" })));
    assert_eq!(with(json!({ "role": "authenticated" })).json()["user"], "anon");
}

#[test]
fn api_keys_stand_for_roles() {
    let keys = "[[api_keys]]\nkey = 'sb_publishable_1'\nrole = 'anon'\n[[api_keys]]\nkey = 'sb_secret_2'\nrole = 'service_role'";
    let config = format!("[jwt]\nsecret = '{SECRET}'\n{keys}\n{{main}}require_api_key = true\n");
    let gateway = world().gateway(&config);
    let user = |ask: Ask| ask.send().json()["user"].clone();
    let seen = || get("seen").at(&gateway);
    assert_eq!(user(seen().header("apikey", "sb_publishable_1")), "anon");
    assert_eq!(
        user(seen().header("apikey", "sb_secret_2").header("authorization", "Bearer sb_secret_2")),
        "service_role"
    );
    // A user's token decides, whatever the key.
    assert_eq!(user(seen().header("apikey", "sb_secret_2").role("authenticated")), "authenticated");
    error(401, "CSG401").check(&seen().header("apikey", "sb_secret_3").send());
    error(401, "CSG401").check(&seen().role("authenticated").send());
    error(401, "CSG401").check(&seen().header("apikey", "").send());
}

#[test]
fn a_database_may_have_keys_of_its_own() {
    let own = "[databases.main.jwt]\nsecret = 'the own secret of this database, of 32 bytes'\n";
    let gateway = world().gateway(&format!("[jwt]\nsecret = '{SECRET}'\n{{main}}{own}"));
    error(401, "PGRST301").check(&get("answer").at(&gateway).role("authenticated").send());
}
