//! Looks through what the server said to a user.

use std::collections::BTreeSet;

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::message::{GoneReply, Message, RowResult};
use cloudsync_shared::value::Value;
use cloudsync_shared::wire;

use crate::rls::canary::{self, Canaries};
use crate::rls::content::Content;
use crate::rls::tap::Frame;

/// What a user is allowed to be told in one sync.
pub struct Allowed<'a> {
    /// What it may read before and after the sync.
    pub visible: [&'a Content; 2],
    /// The canaries that it wrote or was ever allowed to read.
    pub known: &'a BTreeSet<String>,
    /// Ids of the rows that the device held before, by table.
    pub held: &'a [(String, BTreeSet<u64>)],
}

/// What was said that is not allowed, a line each.
pub fn leaks(frames: &[Frame], allowed: &Allowed<'_>) -> Vec<String> {
    let mut look = Look { allowed, told: BTreeSet::new(), leaks: Vec::new() };
    for frame in frames {
        let columns = frame.columns();
        if columns.is_empty() {
            look.bytes(&frame.body, &format!("a frame of kind {}", char::from(frame.tag)));
        }
        for column in columns {
            // Compressed bytes may look like anything: a message is searched after it was decoded.
            if !column.starts_with(&wire::MAGIC) {
                look.bytes(column, "a column");
                continue;
            }
            match wire::decode(column) {
                Ok(message) => look.message(&message),
                Err(error) => look.leaks.push(format!("the server said what cannot be decoded: {error}")),
            }
        }
    }
    look.leaks
}

struct Look<'a> {
    allowed: &'a Allowed<'a>,
    /// Ids that were told in this sync with a row or a result.
    told: BTreeSet<(String, u64)>,
    leaks: Vec<String>,
}

impl Look<'_> {
    fn message(&mut self, message: &Message) {
        match message {
            Message::PushReply(reply) => {
                self.rows(&reply.restored, "a push's restored rows");
                for lost in &reply.lost {
                    if let Value::Text(text) = &lost.value {
                        self.bytes(text.as_bytes(), "a value that won");
                    }
                }
                for result in reply.results.iter().flatten() {
                    match result {
                        RowResult::Refused(refusal) => self.bytes(refusal.message.as_bytes(), "a refusal"),
                        // The results do not name tables; ids are compared without.
                        RowResult::Accepted(id) => {
                            self.told.insert((String::new(), id.0));
                        }
                        RowResult::Dead | RowResult::UnknownTable | RowResult::Collected => {}
                    }
                }
            }
            Message::PullReply(reply) => self.rows(&reply.changes, "a pull"),
            Message::GoneReply(reply) => self.gone(reply),
            other => self.leaks.push(format!("the server said what only a device says: {other:?}")),
        }
    }

    fn rows(&mut self, changes: &ChangeBatch, place: &str) {
        for table in &changes.tables {
            for row in &table.rows {
                let key = match row.key.decode(1).as_deref() {
                    Ok([Value::Text(key)]) => key.clone(),
                    other => format!("{other:?}"),
                };
                if !self.is_visible(&table.table, &key) {
                    self.leaks.push(format!("{place} names {} {key}, which is hidden", table.table));
                }
                if let Some(id) = row.row_id {
                    self.told.insert((table.table.clone(), id.0));
                }
                for cell in &row.cells {
                    self.value(&cell.value, &format!("{place}, {} {key}", table.table));
                }
            }
        }
    }

    fn is_visible(&self, table: &str, key: &str) -> bool {
        self.allowed
            .visible
            .iter()
            .any(|content| content.get(table).is_some_and(|rows| rows.contains_key(key)))
    }

    fn gone(&mut self, reply: &GoneReply) {
        for (table, ids) in &reply.gone {
            for id in ids {
                let held = self.allowed.held.iter().any(|(name, held)| name == table && held.contains(&id));
                if !held
                    && !self.told.contains(&(table.clone(), id))
                    && !self.told.contains(&(String::new(), id))
                {
                    self.leaks.push(format!("row {id} of {table} is said to be gone, but was not held"));
                }
            }
        }
    }

    fn value(&mut self, value: &Value, place: &str) {
        match value {
            Value::Text(text) => self.bytes(text.as_bytes(), place),
            Value::Blob(bytes) => self.bytes(bytes, place),
            Value::Integer(number) => {
                let number = number.to_string();
                if Canaries::order(&number).is_some() && !self.allowed.known.contains(&number) {
                    self.leaks.push(format!("{place}: {number} is told, which is hidden"));
                }
            }
            Value::Null | Value::Real(_) => {}
        }
    }

    fn bytes(&mut self, bytes: &[u8], place: &str) {
        for canary in canary::find(bytes) {
            if !self.allowed.known.contains(&canary) {
                self.leaks.push(format!("{place}: {canary} is told, which is hidden"));
            }
        }
    }
}
