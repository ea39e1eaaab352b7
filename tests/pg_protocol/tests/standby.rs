//! A pull on a hot standby of the server, named by `CLOUDSYNC_PG_STANDBY_URL`; skipped without one.

use std::time::Duration;

use cloudsync_pg_protocol::device::{Device, text};
use cloudsync_pg_protocol::server::{Server, connect};
use cloudsync_shared::value::Value;

#[test]
fn a_standby_and_its_primary_can_be_asked_in_turn() {
    let Ok(url) = std::env::var("CLOUDSYNC_PG_STANDBY_URL") else { return };
    let server =
        Server::new("standby", "CREATE TABLE s (id text PRIMARY KEY, v int8); SELECT cloudsync_init('s')");
    let mut primary = server.client();
    let mut open = server.client();
    let mut slow = open.transaction().expect("a transaction begins");
    slow.batch_execute("INSERT INTO s VALUES ('slow', 0)").unwrap();
    primary.batch_execute("INSERT INTO s VALUES ('fast', 1)").unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let mut standby = connect(&url, server.database());
    let mut device = Device::new(1);
    device.pull(&mut standby, &["s"]);
    assert_eq!(device.count("s"), 1);
    slow.commit().unwrap();
    for round in 0..20i64 {
        primary.batch_execute(&format!("UPDATE s SET v = {round} WHERE id = 'fast'")).unwrap();
        device.pull(if round % 2 == 0 { &mut standby } else { &mut primary }, &["s"]);
    }
    std::thread::sleep(Duration::from_secs(2));
    device.pull(&mut standby, &["s"]);
    assert_eq!(device.count("s"), 2, "the slow transaction was missed");
    assert_eq!(device.values("s", &[text("fast")]), Some(vec![Value::Integer(19)]));
}
