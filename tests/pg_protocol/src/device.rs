//! A device: it makes changes, pushes them, pulls, and keeps the rows it is sent.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use cloudsync_shared::change::{CellChange, ChangeBatch, RowChange, TableChanges};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::{
    Epoch, GoneReply, GoneRequest, Message, Next, PullReply, PullRequest, PushReply, PushRequest, Snapshot,
};
use cloudsync_shared::value::Value;
use cloudsync_shared::vector::Past;
use cloudsync_shared::wire;
use postgres::Client;
use roaring::RoaringTreemap;

/// A device without a database.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its site.
    pub site: SiteId,
    /// The last version it gave.
    pub highest: Version,
    /// The server's life, once known.
    pub epoch: Option<Epoch>,
    /// Where its last download ended.
    pub cursor: Option<Snapshot>,
    /// The bytes of each page that it asks for.
    pub page: u32,
    /// Rows by table and key: what the server sent.
    pub rows: BTreeMap<String, BTreeMap<Key, RowChange>>,
}

impl Device {
    /// A device with a site id of one repeated byte.
    pub fn new(number: u8) -> Device {
        Device {
            site: SiteId([number; 16]),
            highest: Version::NEVER,
            epoch: None,
            cursor: None,
            page: 1 << 20,
            rows: BTreeMap::new(),
        }
    }

    /// The stamp of a write now.
    pub fn stamp(&mut self) -> Stamp<SiteId> {
        self.highest = Version::tick(now(), self.highest);
        Stamp { version: self.highest, site: self.site }
    }

    /// An insert of a whole row.
    pub fn insert(&mut self, key: &[Value], values: &[Value]) -> RowChange {
        let stamp = self.stamp();
        row(key, 1, stamp, values.iter().enumerate().map(|(at, value)| (at, value.clone())), stamp)
    }

    /// An update of some cells of a row whose life began at [`Stamp::NEVER`] as far as it knows.
    pub fn update(&mut self, key: &[Value], cells: &[(usize, Value)]) -> RowChange {
        let stamp = self.stamp();
        row(key, 1, Stamp::NEVER, cells.iter().cloned(), stamp)
    }

    /// A delete of a row in its first life.
    pub fn delete(&mut self, key: &[Value]) -> RowChange {
        let stamp = self.stamp();
        row(key, 2, stamp, std::iter::empty(), stamp)
    }

    /// The change with the row's id, if the server has told it.
    pub fn naming(&self, row: RowChange) -> RowChange {
        let mut known = self.rows.values().filter_map(|rows| rows.get(&row.key));
        RowChange { row_id: known.find_map(|known| known.row_id), ..row }
    }

    /// Pushes rows of one table.
    ///
    /// # Errors
    /// The server refused the push as a whole.
    pub fn push(
        &mut self,
        client: &mut Client,
        table: &str,
        columns: &[&str],
        rows: Vec<RowChange>,
    ) -> Result<PushReply, postgres::Error> {
        self.push_batch(client, ChangeBatch { tables: vec![changes(table, columns, rows)] })
    }

    /// Pushes a batch.
    ///
    /// # Errors
    /// As [`Device::push`].
    ///
    /// # Panics
    /// The answer is not a push reply.
    pub fn push_batch(
        &mut self,
        client: &mut Client,
        batch: ChangeBatch,
    ) -> Result<PushReply, postgres::Error> {
        let request = PushRequest {
            site: self.site,
            epoch: self.epoch,
            changes: batch,
            groups: Vec::new(),
            bases: Vec::new(),
        };
        self.push_request(client, request)
    }

    /// Pushes.
    ///
    /// # Errors
    /// As [`Device::push`].
    ///
    /// # Panics
    /// The answer is not a push reply.
    pub fn push_request(
        &self,
        client: &mut Client,
        request: PushRequest,
    ) -> Result<PushReply, postgres::Error> {
        match call(client, "cloudsync_push", &Message::PushRequest(request))? {
            Message::PushReply(reply) => Ok(reply),
            other => panic!("not a push reply: {other:?}"),
        }
    }

    /// Pulls one page.
    ///
    /// # Errors
    /// The server failed.
    ///
    /// # Panics
    /// The answer is not a pull reply.
    pub fn pull_page(
        &mut self,
        client: &mut Client,
        request: PullRequest,
    ) -> Result<PullReply, postgres::Error> {
        match call(client, "cloudsync_pull", &Message::PullRequest(request))? {
            Message::PullReply(reply) => Ok(reply),
            other => panic!("not a pull reply: {other:?}"),
        }
    }

    /// Pulls all that is new into `rows`, and drops what is gone; answers the pages.
    ///
    /// # Panics
    /// The server failed.
    pub fn pull(&mut self, client: &mut Client, tables: &[&str]) -> Vec<PullReply> {
        let from = self.cursor.clone();
        let mut progress = None;
        let mut pages = Vec::new();
        loop {
            let request = PullRequest {
                site: self.site,
                epoch: self.epoch,
                tables: tables.iter().map(|name| (*name).to_owned()).collect(),
                from: from.clone(),
                progress,
                max_bytes: self.page,
                held: Vec::new(),
            };
            let reply = self.pull_page(client, request).expect("a pull succeeds");
            self.epoch = Some(reply.epoch);
            self.keep(&reply.changes);
            let next = reply.next.clone();
            pages.push(reply);
            match next {
                Next::More(more) => progress = Some(more),
                // It starts anew at the next pull.
                Next::Expired => {
                    self.cursor = None;
                    break;
                }
                Next::Done(until) => {
                    self.cursor = Some(until);
                    break;
                }
            }
        }
        if pages.iter().any(|page| page.hidden) {
            let gone = self.gone(client, from);
            self.drop_rows(&gone);
        }
        pages
    }

    /// Keeps the newest of each row that was sent.
    fn keep(&mut self, batch: &ChangeBatch) {
        for table in &batch.tables {
            let rows = self.rows.entry(table.table.clone()).or_default();
            for row in &table.rows {
                let newer = rows.get(&row.key).is_none_or(|known| known.highest() <= row.highest());
                if newer {
                    rows.insert(row.key.clone(), row.clone());
                }
            }
        }
    }

    /// Asks which of its rows are gone.
    ///
    /// # Panics
    /// The server failed.
    pub fn gone(&mut self, client: &mut Client, from: Option<Snapshot>) -> GoneReply {
        let held = self.rows.iter().map(|(table, rows)| {
            let ids: RoaringTreemap = rows.values().filter_map(|row| row.row_id).map(|id| id.0).collect();
            (table.clone(), ids)
        });
        let epoch = self.epoch.expect("the device has pulled");
        let request = GoneRequest { site: self.site, epoch, from, held: held.collect() };
        match call(client, "cloudsync_pull", &Message::GoneRequest(request)).expect("gone succeeds") {
            Message::GoneReply(reply) => reply,
            other => panic!("not a gone reply: {other:?}"),
        }
    }

    fn drop_rows(&mut self, reply: &GoneReply) {
        for (table, ids) in &reply.gone {
            if let Some(rows) = self.rows.get_mut(table) {
                rows.retain(|_, row| row.row_id.is_none_or(|id| !ids.contains(id.0)));
            }
        }
    }

    /// The values of a row that it holds.
    pub fn values(&self, table: &str, key: &[Value]) -> Option<Vec<Value>> {
        let key = Key::encode(key).ok()?;
        let row = self.rows.get(table)?.get(&key)?;
        Some(row.cells.iter().map(|cell| cell.value.clone()).collect())
    }

    /// How many rows of a table it holds.
    pub fn count(&self, table: &str) -> usize {
        self.rows.get(table).map_or(0, BTreeMap::len)
    }
}

/// Changes of one table.
pub fn changes(table: &str, columns: &[&str], rows: Vec<RowChange>) -> TableChanges {
    let columns = columns.iter().map(|name| (*name).to_owned()).collect();
    TableChanges { table: table.to_owned(), algorithm: None, columns, rows }
}

/// A text value.
pub fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// The wall clock.
pub fn now() -> Millis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(elapsed.as_millis()).unwrap_or_default())
}

fn row(
    key: &[Value],
    length: u32,
    life: Stamp<SiteId>,
    cells: impl Iterator<Item = (usize, Value)>,
    stamp: Stamp<SiteId>,
) -> RowChange {
    RowChange {
        row_id: None,
        key: Key::encode(key).expect("a test's key is sound"),
        length: CausalLength(length),
        life,
        cells: cells.map(|(column, value)| CellChange { column, stamp, value }).collect(),
        texts: Vec::new(),
        past: Past::default(),
    }
}

/// Calls one of the protocol's functions.
///
/// # Errors
/// The server refused the call.
///
/// # Panics
/// Its answer is no message.
pub fn call(client: &mut Client, function: &str, message: &Message) -> Result<Message, postgres::Error> {
    let request = wire::encode(message).expect("a test's message is sound");
    let reply: Vec<u8> = client.query_one(&format!("SELECT {function}($1)"), &[&request])?.get(0);
    Ok(wire::decode(&reply).expect("the server's bytes are sound"))
}
