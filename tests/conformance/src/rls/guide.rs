//! Types the demonstration of docs/rls.md, as far as its blocks say who types.

use std::collections::BTreeMap;

use postgres::SimpleQueryMessage;
use rusqlite::types::Value;

use crate::device::Device;
use crate::server::Server;

/// The address that stands in the text.
const TYPED_ADDRESS: &str = "127.0.0.1:5433/cloudsync";

/// Types every block that is marked with a name: `server`, or a device. A line with a comment of the form
/// `-- expected` must print just that. Returns how many lines did.
///
/// # Panics
/// One does not, or fails.
pub fn type_it(guide: &str, server: &mut Server) -> usize {
    let directory = tempfile::tempdir().expect("a directory");
    let address = server.url.split('@').nth(1).expect("an address").to_owned();
    let mut devices: BTreeMap<String, Device> = BTreeMap::new();
    let mut who: Option<&str> = None;
    let mut compared = 0;
    for line in guide.lines() {
        who = match (who, line.strip_prefix("```")) {
            (None, Some(fence)) => fence.strip_prefix("sql "),
            (Some(_), Some(_)) => None,
            (who, None) => who,
        };
        let Some(name) = who.filter(|_| !line.starts_with("```") && !line.starts_with('.')) else { continue };
        let line = line.replace(TYPED_ADDRESS, &address);
        let (sql, expected) = match line.split_once("    -- ") {
            Some((sql, expected)) => (sql, Some(expected)),
            None => (line.as_str(), None),
        };
        let printed = match name {
            "server" => on_server(server, sql),
            name => {
                let open = || Device::create(directory.path(), name, "", &[]);
                on_device(devices.entry(name.to_owned()).or_insert_with(open), sql)
            }
        };
        if let Some(expected) = expected {
            assert_eq!(printed, expected, "{name}: {sql}");
            compared += 1;
        }
    }
    compared
}

fn on_server(server: &mut Server, sql: &str) -> String {
    let messages = server.client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).unwrap_or("")).collect()),
        _ => None,
    });
    rows.map(|cells: Vec<&str>| cells.join("|")).collect::<Vec<_>>().join("\n")
}

fn on_device(device: &Device, sql: &str) -> String {
    let mut statement = device.conn.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{sql}: {error}")) {
        let cells = (0..columns).map(|at| match row.get::<_, Value>(at).expect("a value") {
            Value::Null => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text,
            Value::Blob(bytes) => format!("{bytes:02x?}"),
        });
        lines.push(cells.collect::<Vec<_>>().join("|"));
    }
    lines.join("\n")
}
