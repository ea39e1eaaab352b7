//! A device's wish for tables: a script, and what is to become of each table in it.

use crate::error::{Error, Result};
use crate::message::{CreateRequest, TableWish};
use crate::schema::Algorithm;
use crate::varint::Reader;
use crate::wire::limits::{MAX_SCRIPT_BYTES, MAX_TABLES};
use crate::wire::stream;

const SCRIPT: &str = "the script of a device's tables, in bytes,";
const TABLES: &str = "the number of tables in one message";
/// Two lengths of names, and the algorithm.
const LEAST_WISH_BYTES: usize = 3;

/// Appends a request.
///
/// # Errors
/// A limit is exceeded.
pub fn put_request(out: &mut Vec<u8>, request: &CreateRequest) -> Result<()> {
    stream::put_text(out, &request.script, SCRIPT, MAX_SCRIPT_BYTES)?;
    stream::put_count(out, request.tables.len(), TABLES, MAX_TABLES)?;
    for wish in &request.tables {
        stream::put_name(out, &wish.name)?;
        out.push(wish.algorithm.number());
        stream::put_name(out, &wish.synced_as)?;
    }
    Ok(())
}

/// Reads what [`put_request`] wrote.
///
/// # Errors
/// The bytes are cut short, exceed a limit, or name no algorithm.
pub fn read_request(input: &mut Reader<'_>) -> Result<CreateRequest> {
    let script = stream::text(input, SCRIPT, MAX_SCRIPT_BYTES)?;
    let count = stream::count(input, LEAST_WISH_BYTES, TABLES, MAX_TABLES)?;
    let tables = (0..count).map(|_| read_wish(input)).collect::<Result<Vec<_>>>()?;
    Ok(CreateRequest { script, tables })
}

fn read_wish(input: &mut Reader<'_>) -> Result<TableWish> {
    let name = stream::name(input)?;
    let offset = input.offset();
    let algorithm = Algorithm::from_number(input.byte()?)
        .ok_or_else(|| Error::malformed(offset, "a table has an unknown algorithm"))?;
    Ok(TableWish { name, algorithm, synced_as: stream::name(input)? })
}
