//! What became of pushed rows: for each table one kind a row, then the ids of those accepted and
//! the reasons of those refused.

use crate::error::{Error, Result};
use crate::message::RowResult;
use crate::port::Refusal;
use crate::varint::Reader;
use crate::wire::allowance::Allowance;
use crate::wire::ids;
use crate::wire::limits::{MAX_REFUSAL_BYTES, MAX_ROWS, MAX_TABLES};
use crate::wire::stream;

const ACCEPTED: u8 = 0;
const DEAD: u8 = 1;
const REFUSED: u8 = 2;
const UNKNOWN_TABLE: u8 = 3;
const COLLECTED: u8 = 4;

const SQLSTATE_BYTES: usize = 5;

const TABLES: &str = "the number of tables in one message";
const ROWS: &str = "the number of results in one message";
const MESSAGE: &str = "the message of a refusal, in bytes,";

/// Appends the results of all tables.
///
/// # Errors
/// A limit is exceeded, a row id is out of range, or an SQLSTATE is not one.
pub fn put(out: &mut Vec<u8>, tables: &[Vec<RowResult>]) -> Result<()> {
    let mut allowance = Allowance::default();
    stream::put_count(out, tables.len(), TABLES, MAX_TABLES)?;
    for results in tables {
        allowance.take_rows(results.len())?;
        put_table(out, results)?;
    }
    Ok(())
}

fn put_table(out: &mut Vec<u8>, results: &[RowResult]) -> Result<()> {
    stream::put_count(out, results.len(), ROWS, MAX_ROWS)?;
    out.extend(results.iter().map(|result| match result {
        RowResult::Accepted(_) => ACCEPTED,
        RowResult::Dead => DEAD,
        RowResult::Refused(_) => REFUSED,
        RowResult::UnknownTable => UNKNOWN_TABLE,
        RowResult::Collected => COLLECTED,
    }));
    let accepted = results.iter().filter_map(|result| match result {
        RowResult::Accepted(id) => Some(*id),
        _ => None,
    });
    ids::put_ids(out, accepted)?;
    for result in results {
        if let RowResult::Refused(refusal) = result {
            put_refusal(out, refusal)?;
        }
    }
    Ok(())
}

fn put_refusal(out: &mut Vec<u8>, refusal: &Refusal) -> Result<()> {
    if !is_sqlstate(refusal.sqlstate.as_bytes()) {
        return Err(Error::invalid_input(format!(
            "'{}' is not an SQLSTATE: it has five characters of 0-9 and A-Z",
            refusal.sqlstate
        )));
    }
    out.extend_from_slice(refusal.sqlstate.as_bytes());
    stream::put_text(out, &refusal.message, MESSAGE, MAX_REFUSAL_BYTES)
}

fn is_sqlstate(text: &[u8]) -> bool {
    text.len() == SQLSTATE_BYTES && text.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

/// Reads what [`put`] wrote.
///
/// # Errors
/// The input is cut short, exceeds a limit, or is not what [`put`] writes.
pub fn read(input: &mut Reader<'_>) -> Result<Vec<Vec<RowResult>>> {
    let mut allowance = Allowance::default();
    let count = stream::count(input, 1, TABLES, MAX_TABLES)?;
    let mut tables = Vec::with_capacity(count);
    for _ in 0..count {
        tables.push(read_table(input, &mut allowance)?);
    }
    Ok(tables)
}

fn read_table(input: &mut Reader<'_>, allowance: &mut Allowance) -> Result<Vec<RowResult>> {
    let count = stream::count(input, 1, ROWS, MAX_ROWS)?;
    allowance.take_rows(count)?;
    let offset = input.offset();
    let kinds = input.take(count)?;
    let accepted = kinds.iter().filter(|kind| **kind == ACCEPTED).count();
    let mut ids = ids::ids(input, accepted)?.into_iter();
    let mut results = Vec::with_capacity(count);
    for (index, kind) in kinds.iter().enumerate() {
        let result = match *kind {
            ACCEPTED => ids.next().map(RowResult::Accepted),
            DEAD => Some(RowResult::Dead),
            REFUSED => Some(RowResult::Refused(read_refusal(input)?)),
            UNKNOWN_TABLE => Some(RowResult::UnknownTable),
            COLLECTED => Some(RowResult::Collected),
            _ => None,
        };
        results.push(result.ok_or_else(|| Error::malformed(offset + index, "a result has an unknown kind"))?);
    }
    Ok(results)
}

fn read_refusal(input: &mut Reader<'_>) -> Result<Refusal> {
    let offset = input.offset();
    let sqlstate: [u8; SQLSTATE_BYTES] = input.array()?;
    if !is_sqlstate(&sqlstate) {
        return Err(Error::malformed(offset, "an SQLSTATE has other characters than 0-9 and A-Z"));
    }
    let sqlstate = sqlstate.iter().map(|byte| char::from(*byte)).collect();
    Ok(Refusal { sqlstate, message: stream::text(input, MESSAGE, MAX_REFUSAL_BYTES)? })
}
