//! Tables that a device wants to be made: by those only to whom it was granted.

use cloudsync_shared::message::{CreateReply, CreateRequest, Message, TableWish};
use cloudsync_shared::schema::Algorithm;
use cloudsync_shared::wire;

use crate::ask::{error, post};
use crate::world::world;

const ANNA: &str = "00000000-0000-4000-8000-00000000000a";
const FUNCTION: &str = "cloudsync_create_tables";

fn wish(synced_as: &str) -> Vec<u8> {
    let wish =
        TableWish { name: "made".to_owned(), algorithm: Algorithm::Cls, synced_as: synced_as.to_owned() };
    let script = "CREATE TABLE made (id TEXT PRIMARY KEY NOT NULL, v TEXT)".to_owned();
    wire::encode(&Message::CreateRequest(CreateRequest { script, tables: vec![wish] })).unwrap()
}

#[test]
fn the_migration_lets_nobody_make_tables() {
    error(403, "42501").check(&post(FUNCTION).user(ANNA).octets(wish("made")).send());
    error(403, "42501").check(&post(FUNCTION).role("service_role").octets(wish("made")).send());
    error(401, "42501").check(&post(FUNCTION).role("anon").octets(wish("made")).send());
}

#[test]
fn a_role_makes_tables_that_was_granted_both_functions_and_the_schema() {
    world().sql(
        "DO $$ BEGIN CREATE ROLE cloudsync_designer NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT cloudsync_designer TO authenticator; CREATE SCHEMA designed;
         GRANT USAGE ON SCHEMA extensions, cloudsync_api TO cloudsync_designer;
         GRANT EXECUTE ON FUNCTION public.cloudsync_create_tables(bytea) TO cloudsync_designer",
    );
    let ask = |synced_as: &str| post(FUNCTION).role("cloudsync_designer").octets(wish(synced_as)).send();
    let place = "\"designed\".\"Made\"";
    error(403, "42501").check(&ask(place));
    world().sql(
        "GRANT EXECUTE ON FUNCTION extensions.cloudsync_create_tables(bytea, text) TO cloudsync_designer",
    );
    error(403, "42501").check(&ask(place));
    error(403, "42501").check(&ask("made"));
    world().sql("GRANT CREATE, USAGE ON SCHEMA designed TO cloudsync_designer");
    let answer = ask(place);
    assert_eq!(answer.status, 200, "{answer:?}");
    let reply = wire::decode(&answer.body).unwrap();
    assert_eq!(reply, Message::CreateReply(CreateReply { tables: vec![place.to_owned()] }));
    let owner = "SELECT tableowner::text FROM pg_tables WHERE schemaname = 'designed' AND tablename = 'Made'";
    assert_eq!(world().text(owner), "cloudsync_designer");
    error(400, "22P03").check(&post(FUNCTION).role("cloudsync_designer").octets("junk").send());
}
