//! Under which name the server knows a table: `cloudsync_set_schema`.
//!
//! A table without a mapping is told by its own name. One that is mapped is told by schema and name, in the
//! form of [`QualifiedName::to_wire`]. Names are changed where a message is about to be encoded and right after
//! one was decoded, so nothing else knows of it; payloads keep the names of the device.

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::message::{Message, Next, PushReply};
use cloudsync_shared::qualified::QualifiedName;
use roaring::RoaringTreemap;
use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use crate::error::{Error, Result};
use crate::inbox;
use crate::network::ServerState;
use crate::savepoint::in_savepoint;
use crate::system::{self, SyncedTable};
use crate::table::Table;

/// The table setting that holds the server's schema and name.
pub const SETTING: &str = "server_table";

/// Maps a table to one of the server's: to a schema, where it has the same name, or to `schema.table`; `None`
/// ends that. What the device knew of the table that it was mapped to before is forgotten: all rows count as
/// unsent, and those of the new table are downloaded.
///
/// # Errors
/// The table is not synced, the text is no name, or another table is mapped to the same one.
pub fn set(conn: &Connection, name: &str, place: Option<&str>) -> Result<()> {
    in_savepoint(conn, || {
        let table = Table::require(conn, name)?;
        system::lock(conn)?;
        let place = place.map(|text| QualifiedName::read(text, &table.synced.name)).transpose()?;
        if place == table.synced.server_table {
            return Ok(());
        }
        let value = place.as_ref().map_or(SqlValue::Null, |place| SqlValue::Text(place.to_wire()));
        system::set_table_setting(conn, &table.synced.name, "*", SETTING, &value)?;
        ServerNames::load(conn)?;
        inbox::forget_table(conn, &table)?;
        // An unfinished download may stand in the middle of the table that was.
        ServerState { progress: None, ..ServerState::load(conn)? }.store(conn)
    })
}

/// The schema that a table is mapped to, if there is one.
///
/// # Errors
/// The database cannot be read.
pub fn schema_of(conn: &Connection, name: &str) -> Result<Option<String>> {
    Ok(system::table(conn, name)?.and_then(|table| table.server_table).map(|place| place.schema))
}

/// Checks that tables are still mapped as when a request was made of them.
///
/// # Errors
/// One is not: the answer is about another table of the server.
pub fn check_unchanged<'a>(conn: &Connection, asked: impl Iterator<Item = &'a SyncedTable>) -> Result<()> {
    let now = system::tables(conn)?;
    for table in asked {
        let place = now.iter().find(|other| other.id == table.id).map(|other| &other.server_table);
        if place.is_some_and(|place| *place != table.server_table) {
            return Err(changed());
        }
    }
    Ok(())
}

fn changed() -> Error {
    Error::state("a table was mapped to another of the server's while a sync was under way: sync again")
}

/// The names of all synced tables here and on the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerNames {
    /// Here, on the server, and whether that is a mapping.
    names: Vec<(String, String, bool)>,
}

impl ServerNames {
    /// Reads them.
    ///
    /// # Errors
    /// Two tables are one on the server, or the database cannot be read.
    pub fn load(conn: &Connection) -> Result<ServerNames> {
        let mut names: Vec<(String, String, bool)> = Vec::new();
        for table in system::tables(conn)? {
            let is_mapped = table.server_table.is_some();
            let there = table.server_table.map_or_else(|| table.name.clone(), |place| place.to_wire());
            if let Some((other, ..)) = names.iter().find(|(_, known, _)| *known == there) {
                return Err(Error::state(format!(
                    "tables {other} and {} cannot both be {there} on the server",
                    table.name
                )));
            }
            names.push((table.name, there, is_mapped));
        }
        Ok(ServerNames { names })
    }

    /// Checks that they are still these.
    ///
    /// # Errors
    /// They are not.
    pub fn check(&self, conn: &Connection) -> Result<()> {
        if *self == ServerNames::load(conn)? { Ok(()) } else { Err(changed()) }
    }

    /// The name on the server of a table here.
    pub fn there(&self, here: &str) -> String {
        let found = self.names.iter().find(|(own, ..)| own == here);
        found.map_or_else(|| here.to_owned(), |(_, there, _)| there.clone())
    }

    /// The names of mapped tables: here and on the server.
    pub fn mapped(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names
            .iter()
            .filter(|(.., is_mapped)| *is_mapped)
            .map(|(here, there, _)| (here.as_str(), there.as_str()))
    }

    /// The name here of a table that the server tells of.
    ///
    /// # Errors
    /// A table here has that name, and is another one on the server.
    fn here(&self, there: &str) -> Result<String> {
        if let Some((here, ..)) = self.names.iter().find(|(_, known, _)| known == there) {
            return Ok(here.clone());
        }
        if self.mapped().any(|(here, _)| here.eq_ignore_ascii_case(there)) {
            return Err(Error::network(format!(
                "the server told of a table {there}, which was not asked for"
            )));
        }
        Ok(there.to_owned())
    }

    /// Names the tables of a request as the server does.
    pub fn outward(&self, request: &mut Message) {
        let rename = |name: &mut String| *name = self.there(name);
        match request {
            Message::PushRequest(push) => {
                push.changes.tables.iter_mut().for_each(|table| rename(&mut table.table))
            }
            Message::PullRequest(pull) => {
                pull.tables.iter_mut().for_each(rename);
                pull.progress.iter_mut().for_each(|progress| rename(&mut progress.table));
                pull.held.iter_mut().for_each(|(table, _)| rename(table));
            }
            Message::GoneRequest(gone) => gone.held.iter_mut().for_each(|(table, _)| rename(table)),
            _ => {}
        }
    }

    /// Names the tables of an answer as this device does.
    ///
    /// # Errors
    /// It tells of a table that was not asked for.
    pub fn inward(&self, reply: &mut Message) -> Result<()> {
        match reply {
            Message::PushReply(PushReply { restored, .. }) => self.batch_inward(restored),
            Message::PullReply(pull) => {
                if let Next::More(progress) = &mut pull.next {
                    progress.table = self.here(&progress.table)?;
                }
                self.batch_inward(&mut pull.changes)
            }
            Message::GoneReply(gone) => gone.gone.iter_mut().try_for_each(|set| self.set_inward(set)),
            _ => Ok(()),
        }
    }

    fn batch_inward(&self, changes: &mut ChangeBatch) -> Result<()> {
        changes.tables.iter_mut().try_for_each(|table| {
            table.table = self.here(&table.table)?;
            Ok(())
        })
    }

    fn set_inward(&self, set: &mut (String, RoaringTreemap)) -> Result<()> {
        set.0 = self.here(&set.0)?;
        Ok(())
    }
}
