//! Payloads: changes from device to device without a server, as a value or a file.

use std::fs;

use cloudsync_shared::cells::{Collector, Told};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::flow::check_written;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::Message;
use cloudsync_shared::wire;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context};

use crate::error::{Error, Result};
use crate::read::{Filter, collect};
use crate::store::Origin;
use crate::{apply, value};

/// `cloudsync_payload_encode`: rows of `cloudsync_changes` into one payload.
pub struct Encode;

impl Aggregate<Collector, Option<Vec<u8>>> for Encode {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Collector> {
        Ok(Collector::default())
    }

    fn step(&self, context: &mut Context<'_>, collector: &mut Collector) -> rusqlite::Result<()> {
        let table: String = context.get(0)?;
        collector.add(&table, read_row(context)?).map_err(Error::from)?;
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        collector: Option<Collector>,
    ) -> rusqlite::Result<Option<Vec<u8>>> {
        let Some(collector) = collector else { return Ok(None) };
        let bytes = wire::encode(&Message::Payload(collector.finish())).map_err(Error::from)?;
        Ok(Some(bytes))
    }
}

fn read_row(context: &Context<'_>) -> Result<Told> {
    let version = u64::try_from(context.get::<i64>(5)?)
        .map_err(|_| Error::state("cloudsync_payload_encode: db_version must not be negative"))?;
    let site: Vec<u8> = context.get(6)?;
    let site = SiteId::from_slice(&site)
        .ok_or_else(|| Error::state("cloudsync_payload_encode: site_id must be a BLOB of 16 bytes"))?;
    let column: String = context.get(2)?;
    let value = value::from_sql(context.get_raw(3)).map_err(|value::NotUtf8| {
        Error::state(format!("cloudsync_payload_encode: a value of column {column} is not valid UTF-8"))
    })?;
    Ok(Told {
        key: Key::from_bytes(context.get(1)?)?,
        column,
        value,
        stamp: Stamp { version: Version(version), site },
        length: CausalLength(context.get(7)?),
    })
}

/// Merges a payload; answers the number of rows in it.
///
/// # Errors
/// It is not a payload, or cannot be merged; nothing has changed then.
pub fn apply(conn: &Connection, bytes: &[u8]) -> Result<usize> {
    match wire::decode(bytes)? {
        Message::Payload(mut batch) => {
            check_written(&batch)?;
            let rows = batch.row_count();
            apply::merge(conn, &mut batch, Origin::Peer)?;
            Ok(rows)
        }
        _ => Err(Error::state("this is a message between device and server, not a payload")),
    }
}

/// Writes all changes of this database into a file; answers its size in bytes.
///
/// # Errors
/// The file cannot be written.
pub fn save(conn: &Connection, path: &str) -> Result<usize> {
    let collected = collect(conn, &Filter::default())?;
    let bytes = wire::encode(&Message::Payload(collected.batch))?;
    fs::write(path, &bytes).map_err(|error| Error::File(format!("cannot write {path}: {error}")))?;
    Ok(bytes.len())
}

/// Merges a file that [`save`] wrote; answers the number of rows in it.
///
/// # Errors
/// The file cannot be read, or as [`apply`].
pub fn load(conn: &Connection, path: &str) -> Result<usize> {
    let bytes = fs::read(path).map_err(|error| Error::File(format!("cannot read {path}: {error}")))?;
    apply(conn, &bytes)
}
