//! cloudsync's own messages through the gateway, under row-level security.

use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::{Message, PullReply, PullRequest, PushReply, PushRequest, RowResult};
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::Past;
use cloudsync_shared::wire;

use crate::ask::{error, post};

const ANNA: &str = "00000000-0000-4000-8000-00000000000a";
const BEN: &str = "00000000-0000-4000-8000-00000000000b";

fn push(user: &str, site: u8, id: &str, owner: &str) -> PushReply {
    let site = SiteId([site; 16]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let millis = Millis(u64::try_from(now.as_millis()).unwrap());
    let stamp = Stamp { version: Version::tick(millis, Version::NEVER), site };
    let text = |text: &str| Value::Text(text.to_owned());
    let cells = [text(owner), text("title")].into_iter().enumerate();
    let row = RowChange {
        row_id: None,
        key: Key::encode(&[text(id)]).unwrap(),
        length: CausalLength(1),
        life: stamp,
        cells: cells.map(|(column, value)| CellChange { column, stamp, value }).collect(),
        texts: Vec::new(),
        past: Past::default(),
    };
    let table = TableChanges {
        table: "task".to_owned(),
        algorithm: None,
        columns: vec!["owner".to_owned(), "title".to_owned()],
        rows: vec![row],
    };
    let request = PushRequest {
        site,
        epoch: None,
        changes: ChangeBatch { tables: vec![table] },
        groups: Vec::new(),
        bases: Vec::new(),
    };
    let bytes = wire::encode(&Message::PushRequest(request)).unwrap();
    let answer = post("cloudsync_push").user(user).octets(bytes).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    match wire::decode(&answer.body).unwrap() {
        Message::PushReply(reply) => reply,
        other => panic!("not a push reply: {other:?}"),
    }
}

fn pull(user: &str, site: u8) -> PullReply {
    let request = PullRequest {
        site: SiteId([site; 16]),
        epoch: None,
        tables: vec!["task".to_owned()],
        from: None,
        progress: None,
        max_bytes: 1 << 20,
        held: Vec::new(),
    };
    let bytes = wire::encode(&Message::PullRequest(request)).unwrap();
    let answer = post("/rest/v1/rpc/cloudsync_pull").user(user).octets(bytes).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    match wire::decode(&answer.body).unwrap() {
        Message::PullReply(reply) => reply,
        other => panic!("not a pull reply: {other:?}"),
    }
}

#[test]
fn a_push_and_a_pull_obey_the_policies() {
    let reply = push(ANNA, 1, "of-anna", ANNA);
    assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{reply:?}");
    // Anna may not write a row of Ben's.
    let refused = push(ANNA, 1, "for-ben", BEN);
    assert!(
        matches!(&refused.results[0][0], RowResult::Refused(refusal) if format!("{refusal:?}").contains("42501")),
        "{refused:?}"
    );
    let rows = |reply: &PullReply| reply.changes.tables.iter().map(|table| table.rows.len()).sum::<usize>();
    assert_eq!(rows(&pull(ANNA, 2)), 1);
    assert_eq!(rows(&pull(BEN, 3)), 0);
}

#[test]
fn what_is_no_message_is_refused_in_json() {
    let answer = post("cloudsync_pull").user(ANNA).octets("junk").send();
    error(400, "22P03").check(&answer);
    error(400, "22P03").check(&post("cloudsync_push").user(ANNA).octets("").send());
}

#[test]
fn a_role_without_rights_on_the_functions_is_refused() {
    crate::world::world().sql(
        "DO $$ BEGIN CREATE ROLE cloudsync_stranger NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT cloudsync_stranger TO authenticator",
    );
    error(403, "42501").check(&post("cloudsync_pull").role("cloudsync_stranger").octets("x").send());
    error(403, "42501").check(&post("cloudsync_push").role("cloudsync_stranger").octets("x").send());
}
