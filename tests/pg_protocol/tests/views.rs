//! What moves the numbers by which a device notices that its user may see other rows or columns, and
//! what does not.

use cloudsync_pg_protocol::device::Device;
use cloudsync_pg_protocol::server::Server;
use cloudsync_shared::message::{Next, PullRequest, Snapshot, View};
use postgres::Client;

const SETUP: &str = "
    CREATE TABLE member (team text, who text);
    CREATE TABLE elsewhere (id int);
    CREATE FUNCTION my_teams() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
        AS $$SELECT team FROM member WHERE who = current_setting('request.jwt.claims', true)::json ->> 'sub'$$;
    CREATE VIEW mine AS SELECT my_teams() AS team;
    CREATE TABLE direct (id text PRIMARY KEY, team text);
    CREATE TABLE hidden_in_function (id text PRIMARY KEY, team text);
    CREATE TABLE hidden_in_view (id text PRIMARY KEY, team text);
    CREATE TABLE timed (id text PRIMARY KEY, until timestamptz);
    CREATE TABLE plain (id text PRIMARY KEY, a text);
    SELECT cloudsync_init(t) FROM unnest(ARRAY['direct', 'hidden_in_function', 'hidden_in_view', 'timed', 'plain']) t;
    ALTER TABLE direct ENABLE ROW LEVEL SECURITY;
    ALTER TABLE hidden_in_function ENABLE ROW LEVEL SECURITY;
    ALTER TABLE hidden_in_view ENABLE ROW LEVEL SECURITY;
    ALTER TABLE timed ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON direct USING (team IN (SELECT m.team FROM member m WHERE m.who = current_user));
    CREATE POLICY p ON hidden_in_function USING (team IN (SELECT my_teams()));
    CREATE POLICY p ON hidden_in_view USING (team IN (SELECT team FROM mine));
    CREATE POLICY p ON timed USING (until > now());
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO cloudsync_alice, cloudsync_bob";
const TABLES: [&str; 5] = ["direct", "hidden_in_function", "hidden_in_view", "timed", "plain"];
const CLAIMS: &str = r#"SET request.jwt.claims = '{"sub":"alice","exp":1}'"#;

struct Watch {
    alice: Client,
    admin: Client,
    device: Device,
    _server: Server,
}

impl Watch {
    fn new(name: &str) -> Watch {
        Watch::of(name, "cloudsync_alice")
    }

    /// Memberships of roles belong to the whole server: the test that changes them has a role to itself.
    fn of(name: &str, role: &str) -> Watch {
        let server = Server::new(name, SETUP);
        let mut alice = server.client_as(role);
        alice.batch_execute(CLAIMS).unwrap();
        let mut admin = server.client();
        // What asks the time is compared when a clock strikes: not in the middle of a test.
        admin.batch_execute("SELECT cloudsync_set('reconcile_interval', '1000000000')").unwrap();
        Watch { alice, admin, device: Device::new(1), _server: server }
    }

    fn views(&mut self) -> Vec<View> {
        self.pull(None).0
    }

    fn pull(&mut self, from: Option<Snapshot>) -> (Vec<View>, Snapshot) {
        let request = PullRequest {
            site: self.device.site,
            epoch: self.device.epoch,
            tables: TABLES.map(str::to_owned).into(),
            from,
            progress: None,
            held: Vec::new(),
            max_bytes: 1000,
        };
        let reply = self.device.pull_page(&mut self.alice, request).unwrap();
        self.device.epoch = Some(reply.epoch);
        let Next::Done(end) = reply.next else { panic!("more than a page: {:?}", reply.next) };
        (reply.views, end)
    }

    /// The tables whose rows a statement of the administrator lets alice's devices compare.
    fn moved_by(&mut self, sql: &str) -> Vec<&'static str> {
        let (before, from) = self.pull(None);
        self.admin.batch_execute(sql).unwrap();
        let after = self.pull(Some(from)).0;
        differing(&before, &after)
    }

    /// The same, of a statement in alice's own session.
    fn moved_by_alice(&mut self, sql: &str) -> Vec<&'static str> {
        let before = self.views();
        self.alice.batch_execute(sql).unwrap();
        self.compare(&before)
    }

    fn compare(&mut self, before: &[View]) -> Vec<&'static str> {
        let after = self.views();
        differing(before, &after)
    }
}

fn differing(before: &[View], after: &[View]) -> Vec<&'static str> {
    let pairs = TABLES.iter().zip(before.iter().zip(after));
    pairs.filter(|(_, (before, after))| before != after).map(|(table, _)| *table).collect()
}

const RESTRICTED: [&str; 4] = ["direct", "hidden_in_function", "hidden_in_view", "timed"];
const BY_MEMBERSHIP: [&str; 3] = ["direct", "hidden_in_function", "hidden_in_view"];
const NONE: [&str; 0] = [];

/// The tables that the policies of a table read can be watched by triggers, once it is initialised with
/// its policies.
#[test]
fn a_watched_membership_is_noticed_by_its_writes() {
    let mut watch = Watch::new("views_watched");
    watch.admin.batch_execute("SELECT cloudsync_init('direct'), cloudsync_init('hidden_in_view')").unwrap();
    let watched = watch.admin.query("SELECT relation::regclass::text FROM cloudsync.watched", &[]).unwrap();
    assert_eq!(watched.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["member"]);
    let hidden =
        "INSERT INTO member SELECT 'red', 'x' WHERE false; UPDATE member SET team = '' WHERE who = ''";
    assert_eq!(watch.moved_by(hidden), NONE, "no row was written");
    assert_eq!(watch.moved_by("INSERT INTO member VALUES ('red', 'alice')"), BY_MEMBERSHIP);
    let (before, from) = watch.pull(None);
    assert_eq!(watch.pull(Some(from)).0, before, "what was written before the download is no news");
    assert_eq!(watch.moved_by("UPDATE member SET team = 'blue'"), BY_MEMBERSHIP);
    assert_eq!(watch.moved_by("TRUNCATE member"), BY_MEMBERSHIP);
    assert_eq!(watch.moved_by("ALTER TABLE member DISABLE TRIGGER cloudsync_watch_insert"), BY_MEMBERSHIP);
    assert_eq!(
        watch.moved_by("INSERT INTO member VALUES ('red', 'alice')"),
        BY_MEMBERSHIP,
        "looked at again"
    );
    let unwatch = "ALTER POLICY p ON direct USING (true); ALTER POLICY p ON hidden_in_view USING (true);
        ALTER POLICY p ON hidden_in_function USING (true); SELECT cloudsync_init('direct')";
    watch.admin.batch_execute(unwatch).unwrap();
    let left = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'member'::regclass";
    assert_eq!(watch.admin.query_one(left, &[]).unwrap().get::<_, i64>(0), 0, "nothing reads it any more");
}

#[test]
fn a_membership_is_noticed_through_functions_and_views() {
    let mut watch = Watch::new("views_membership");
    assert_eq!(watch.moved_by("INSERT INTO member VALUES ('red', 'alice')"), BY_MEMBERSHIP);
    assert_eq!(watch.moved_by("UPDATE member SET team = 'blue'"), BY_MEMBERSHIP);
    assert_eq!(watch.moved_by("DELETE FROM member"), BY_MEMBERSHIP);
    assert_eq!(watch.moved_by("INSERT INTO elsewhere VALUES (1)"), NONE);
    assert_eq!(watch.moved_by("INSERT INTO direct VALUES ('a', 'red')"), NONE, "rows of its own are news");
    assert_eq!(watch.moved_by("VACUUM (ANALYZE) member"), NONE);
}

#[test]
fn a_rule_is_noticed_where_it_counts() {
    let mut watch = Watch::new("views_rules");
    assert_eq!(watch.moved_by("ALTER POLICY p ON direct USING (true)"), ["direct"]);
    let function =
        "CREATE OR REPLACE FUNCTION my_teams() RETURNS SETOF text LANGUAGE sql STABLE AS $$SELECT 'red'$$";
    assert_eq!(watch.moved_by(function), ["hidden_in_function", "hidden_in_view"]);
    assert_eq!(
        watch.moved_by("INSERT INTO member VALUES ('red', 'alice')"),
        NONE,
        "nothing reads it any more"
    );
    assert_eq!(
        watch.moved_by("CREATE OR REPLACE VIEW mine AS SELECT 'blue'::text AS team"),
        ["hidden_in_view"]
    );
    assert_eq!(watch.moved_by("REVOKE SELECT ON plain FROM cloudsync_alice"), ["plain"]);
    assert_eq!(watch.moved_by("GRANT SELECT (id) ON plain TO cloudsync_alice"), ["plain"]);
    assert_eq!(watch.moved_by("ALTER TABLE plain ADD COLUMN b text"), NONE, "alice may not read it");
    assert_eq!(watch.moved_by("GRANT SELECT (b) ON plain TO cloudsync_alice"), ["plain"]);
    assert_eq!(watch.moved_by("ALTER TABLE direct DISABLE ROW LEVEL SECURITY"), ["direct"]);
    assert_eq!(watch.moved_by("CREATE POLICY writes ON timed FOR UPDATE USING (true)"), NONE);
}

#[test]
fn another_identity_is_noticed_and_a_renewed_token_is_not() {
    let mut watch = Watch::of("views_identity", "cloudsync_bob");
    let claims = |claims: &str| format!("SET request.jwt.claims = '{claims}'");
    assert_eq!(watch.moved_by_alice(&claims(r#"{"exp":2,"iat":9,"sub":"alice"}"#)), NONE);
    assert_eq!(watch.moved_by_alice(&claims(r#"{"exp":2,"sub":"bob"}"#)), RESTRICTED);
    assert_eq!(watch.moved_by_alice("SET app.tenant = 'x'"), NONE, "no policy names it");
    watch
        .admin
        .batch_execute("ALTER POLICY p ON direct USING (team = current_setting('app.tenant', true))")
        .unwrap();
    assert_eq!(watch.moved_by_alice("SET app.tenant = 'y'"), RESTRICTED);
    let role = format!("cloudsync_views_{}", std::process::id());
    watch.admin.batch_execute(&format!("CREATE ROLE {role}")).unwrap();
    assert_eq!(watch.moved_by(&format!("GRANT {role} TO cloudsync_bob")), RESTRICTED);
    watch.admin.batch_execute(&format!("DROP ROLE {role}")).unwrap();
}

#[test]
fn what_asks_the_time_is_compared_at_intervals() {
    let mut watch = Watch::new("views_interval");
    watch.admin.batch_execute("SELECT cloudsync_set('reconcile_interval', '1')").unwrap();
    let before = watch.views();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(watch.compare(&before), ["timed"]);
}
