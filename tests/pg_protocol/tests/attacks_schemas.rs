//! Tables named by schema by a user with valid credentials: to learn of tables without a right on them, or to
//! have one taken for another.

use cloudsync_pg_protocol::device::{Device, call, text};
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::hlc::Millis;
use cloudsync_shared::message::{
    CreateRequest, GoneReply, GoneRequest, Message, Next, PullReply, PullRequest, PushReply, RowResult,
    Snapshot, TableWish, View,
};
use cloudsync_shared::schema::Algorithm;
use postgres::Client;

/// Tables on which bob has no right: by the table, by the schema, and one whose filter does not fit any more.
const SETUP: &str = r#"
    CREATE SCHEMA hidden; CREATE SCHEMA open; CREATE SCHEMA mixed;
    GRANT USAGE ON SCHEMA open TO PUBLIC;
    CREATE TABLE hidden.by_schema (id text PRIMARY KEY, v text); GRANT ALL ON hidden.by_schema TO PUBLIC;
    CREATE TABLE open.by_table (id text PRIMARY KEY, v text);
    CREATE TABLE open.unsynced (id text PRIMARY KEY, v text);
    CREATE TABLE open.broken (id text PRIMARY KEY, v text, w text);
    CREATE TABLE open.notes (id text PRIMARY KEY, v text); GRANT ALL ON open.notes TO cloudsync_bob;
    SELECT cloudsync_init('hidden.by_schema'), cloudsync_init('open.by_table'), cloudsync_init('open.broken'),
        cloudsync_init('open.notes'), cloudsync_set_filter('open.broken', 'w = ''a''');
    ALTER TABLE open.broken DROP COLUMN w;
    INSERT INTO hidden.by_schema VALUES ('k', 'secret'); INSERT INTO open.by_table VALUES ('k', 'secret')"#;

const UNKNOWN: &str = r#""nowhere"."nothing""#;

/// All that the server answers of one table, without what differs from call to call.
fn answers(bob: &mut Client, table: &str) -> (PushReply, PullReply, PullReply, GoneReply) {
    let mut device = Device::new(2);
    let row = device.insert(&[text("k")], &[text("guess")]);
    let pushed = device.push(bob, table, &["v"], vec![row]).unwrap();
    let epoch = pushed.epoch;
    let pull = |from: Option<Snapshot>| PullRequest {
        site: device.site,
        epoch: Some(epoch),
        tables: vec![table.to_owned()],
        from,
        progress: None,
        held: Vec::new(),
        max_bytes: 1 << 20,
    };
    let still = |reply: PullReply| PullReply {
        server_time: Millis(0),
        next: match reply.next {
            Next::Done(_) => Next::Done(Snapshot(String::new())),
            more => more,
        },
        ..reply
    };
    let mut asker = device.clone();
    let whole = asker.pull_page(bob, pull(None)).unwrap();
    let news = asker.pull_page(bob, pull(Some(Snapshot("3:3:".into())))).unwrap();
    let held = vec![(table.to_owned(), (1..100u64).collect())];
    let gone = GoneRequest { site: device.site, epoch, from: None, held };
    let Message::GoneReply(gone) = call(bob, "cloudsync_pull", &Message::GoneRequest(gone)).unwrap() else {
        panic!("not a gone reply");
    };
    let (whole, news) = (still(whole), still(news));
    (PushReply { server_time: Millis(0), ..pushed }, whole, news, gone)
}

#[test]
fn a_table_without_rights_is_answered_as_one_that_is_not_there() {
    let server = Server::new("schemas_hidden", SETUP);
    let mut bob = server.client_as("cloudsync_bob");
    let unknown = answers(&mut bob, UNKNOWN);
    assert_eq!(unknown.0.results, [[RowResult::UnknownTable]]);
    assert_eq!(unknown.1.views, [View::default()]);
    for hidden in [
        r#""hidden"."by_schema""#,
        r#""hidden"."nothing""#,
        r#""open"."by_table""#,
        r#""open"."unsynced""#,
        r#""open"."broken""#,
        r#""cloudsync"."tables""#,
        r#""pg_catalog"."pg_class""#,
        r#""open"."notes"" "#,
        r#"open.notes"#,
        r#""Open"."notes""#,
    ] {
        assert_eq!(answers(&mut bob, hidden), unknown, "{hidden}");
    }
    let own = answers(&mut bob, r#""open"."notes""#);
    assert!(matches!(own.0.results[0][0], RowResult::Accepted(_)), "{:?}", own.0.results);
    assert_ne!(own.1.views, unknown.1.views);
    // One right is enough to be told as a plain name is: what is refused then is refused by name.
    server.client().batch_execute("GRANT DELETE ON open.by_table TO cloudsync_bob").unwrap();
    let known = answers(&mut bob, r#""open"."by_table""#);
    assert!(matches!(&known.0.results[0][0], RowResult::Refused(refusal) if refusal.sqlstate == "42501"));
    let secrets = "SELECT (SELECT string_agg(v, '') FROM hidden.by_schema) || (SELECT string_agg(v, '') FROM open.by_table)";
    assert_eq!(server.client().query_one(secrets, &[]).unwrap().get::<_, String>(0), "secretsecret");
}

#[test]
fn a_schema_that_may_not_be_used_refuses_its_tables_alone() {
    let server = Server::new("schemas_closed", SETUP);
    let mut bob = server.client_as("cloudsync_bob");
    // The grant on the table is worth nothing without the schema, and must not end the whole request.
    let (pushed, pulled, ..) = answers(&mut bob, "by_schema");
    assert!(matches!(&pushed.results[0][0], RowResult::Refused(refusal) if refusal.sqlstate == "42501"));
    assert!(pulled.changes.tables.is_empty());
}

#[test]
fn one_table_is_not_named_twice() {
    let server = Server::new("schemas_twice", SETUP);
    let mut bob = server.client_as("cloudsync_bob");
    let mut device = Device::new(2);
    let mut request = |tables: [&str; 2]| {
        let request = PullRequest {
            site: device.site,
            epoch: None,
            tables: tables.map(str::to_owned).to_vec(),
            from: None,
            progress: None,
            held: Vec::new(),
            max_bytes: 1 << 20,
        };
        device.pull_page(&mut bob, request)
    };
    let error = request(["notes", r#""open"."notes""#]).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22023");
    // Without a right this is no way to find out what the plain name means.
    let reply = request(["by_table", r#""open"."by_table""#]).unwrap();
    assert_eq!(reply.views[1], View::default());
    request(["notes", "notes"]).unwrap();
}

#[test]
fn a_table_in_the_caller_s_search_path_is_never_taken() {
    let server = Server::new(
        "schemas_path",
        "CREATE TABLE orders (id text PRIMARY KEY, v text); SELECT cloudsync_init('orders');
        GRANT ALL ON orders TO cloudsync_bob; CREATE SCHEMA own AUTHORIZATION cloudsync_bob;
        GRANT EXECUTE ON FUNCTION cloudsync_init, cloudsync_table_schema TO cloudsync_bob",
    );
    let mut bob = server.client_as("cloudsync_bob");
    bob.batch_execute(
        "CREATE TABLE own.orders (id text PRIMARY KEY, v text); CREATE TEMP TABLE orders (id text PRIMARY KEY, v text);
        CREATE FUNCTION own.concat(VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'taken' $$;
        CREATE FUNCTION own.always(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR own.= (LEFTARG = text, RIGHTARG = text, FUNCTION = own.always);
        CREATE FUNCTION own.replace(text, text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'taken' $$;
        SET search_path = own, pg_temp, pg_catalog, public",
    )
    .unwrap();
    for (number, (name, taken)) in
        [("orders", true), (r#""public"."orders""#, true), (r#""own"."orders""#, false)]
            .into_iter()
            .enumerate()
    {
        let mut device = Device::new(2);
        let row = device.insert(&[text(&format!("k{number}"))], &[text(name)]);
        let reply = device.push(&mut bob, name, &["v"], vec![row]).unwrap();
        assert_eq!(matches!(reply.results[0][0], RowResult::Accepted(_)), taken, "{name}");
    }
    let counts = "SELECT (SELECT count(*) FROM public.orders), (SELECT count(*) FROM own.orders)";
    let row = server.client().query_one(counts, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2, 0));
    // Once it is synced itself, it is its own table, and the plain name stays that of the first.
    bob.batch_execute("SELECT public.cloudsync_init('own.orders')").unwrap();
    let mut device = Device::new(2);
    for (number, name) in ["orders", r#""own"."orders""#, "own.orders"].into_iter().enumerate() {
        let row = device.insert(&[text(&format!("l{number}"))], &[text(name)]);
        let reply = device.push(&mut bob, name, &["v"], vec![row]).unwrap();
        assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{name} {reply:?}");
    }
    let row = server.client().query_one(counts, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 2));
}

#[test]
fn a_plain_name_that_looks_qualified_takes_no_other_s_place() {
    let server = Server::new(
        "schemas_odd",
        r#"CREATE SCHEMA open; CREATE TABLE """open"".""orders""" (id text PRIMARY KEY, v text);
        CREATE TABLE "open.orders" (id text PRIMARY KEY, v text);
        SELECT cloudsync_init('"""open"".""orders"""'), cloudsync_init('"open.orders"');
        CREATE TABLE orders (id text PRIMARY KEY, v text); SELECT cloudsync_init('public.orders');
        CREATE TABLE open.orders (id text PRIMARY KEY, v text); SELECT cloudsync_init('open.orders')"#,
    );
    let mut root = server.client();
    let mut device = Device::new(2);
    let row = device.insert(&[text("k")], &[text("v")]);
    let reply = device.push(&mut root, r#""open"."orders""#, &["v"], vec![row]).unwrap();
    assert!(matches!(reply.results[0][0], RowResult::Accepted(_)), "{reply:?}");
    assert_eq!(root.query("SELECT FROM open.orders", &[]).unwrap().len(), 1);
    let names: Vec<String> = root
        .query("SELECT name FROM cloudsync.tables ORDER BY id", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(names, [r#"public."open"."orders""#, "open.orders", "orders", r#""open"."orders""#]);
}

#[test]
fn tables_are_made_by_nobody_who_was_not_told_so() {
    let server = Server::new("schemas_create", SETUP);
    let mut root = server.client();
    let mut bob = server.client_as("cloudsync_bob");
    let wish = |synced_as: &str| {
        Message::CreateRequest(CreateRequest {
            script: "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL)".into(),
            tables: vec![TableWish {
                name: "T".into(),
                algorithm: Algorithm::Gos,
                synced_as: synced_as.into(),
            }],
        })
    };
    let mut refused = |synced_as: &str| {
        let error = call(&mut bob, "cloudsync_create_tables", &wish(synced_as)).unwrap_err();
        let error = error.as_db_error().unwrap();
        (error.code().code().to_owned(), error.message().to_owned())
    };
    let denied = |what: &str| ("42501".to_owned(), format!("permission denied for {what}"));
    assert_eq!(refused("t"), denied("function cloudsync_create_tables"));
    root.batch_execute("GRANT EXECUTE ON FUNCTION cloudsync_create_tables TO cloudsync_bob").unwrap();
    // The right to the function is not the right to a schema.
    assert_eq!(refused("t"), denied("schema public"));
    assert_eq!(refused(r#""hidden"."by_schema""#), denied("schema hidden"));
    assert_eq!(refused(r#""hidden"."nothing""#), denied("schema hidden"));
    assert_eq!(refused(r#""open"."mine""#), denied("schema open"));
    assert!(refused(r#""open"."unsynced""#).1.contains("differs"));
    assert_eq!(refused(r#""nowhere"."t""#).0, "3F000");
    root.batch_execute("GRANT CREATE ON SCHEMA open TO cloudsync_bob").unwrap();
    let made = call(&mut bob, "cloudsync_create_tables", &wish(r#""open"."mine""#)).unwrap();
    assert!(matches!(made, Message::CreateReply(reply) if reply.tables == [r#""open"."mine""#]));
    let made = "SELECT relowner::regrole::text || algorithm FROM cloudsync.tables t JOIN pg_class c ON c.oid = relation
        WHERE relation = 'open.mine'::regclass";
    assert_eq!(root.query_one(made, &[]).unwrap().get::<_, String>(0), "cloudsync_bobgos");
    let wrong = Message::CreateRequest(CreateRequest {
        script: "CREATE TABLE u (id TEXT PRIMARY KEY NOT NULL)".into(),
        tables: Vec::new(),
    });
    let error = call(&mut root, "cloudsync_create_tables", &wrong).unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("does not say how table u is synced"));
}
