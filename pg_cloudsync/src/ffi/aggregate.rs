//! `cloudsync_payload_encode`: rows of `cloudsync_changes` into one payload.

use cloudsync_shared::cells::{Collector, Told};
use cloudsync_shared::clock::Stamp;
use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::{CausalLength, SiteId};
use cloudsync_shared::key::Key;
use cloudsync_shared::message::Message;
use cloudsync_shared::value::Value;
use cloudsync_shared::varint::Reader;
use cloudsync_shared::wire;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::{FromDatum, Internal, pg_extern, pg_sys};

use crate::error::{PgError, Result, SqlState, or_report};

/// `cloudsync.payload_step(internal, tbl text, pk bytea, col_name text, col_value bytea, col_version bigint,
/// db_version bigint, site_id bytea, cl bigint, seq bigint) RETURNS internal`.
#[pg_extern(sql = false)]
fn cloudsync_payload_step(fcinfo: pg_sys::FunctionCallInfo) -> Internal {
    let state = or_report(state(fcinfo));
    let (table, told) = or_report(read(fcinfo));
    // SAFETY: the state was made by `state`, lives as long as the aggregation, and is nobody else's.
    let added = unsafe { (*state).add(&table, told) };
    or_report(added.map_err(PgError::from));
    Internal::from(Some(pg_sys::Datum::from(state)))
}

/// `cloudsync.payload_finish(internal) RETURNS bytea`: NULL if there was no row. The state is used up.
#[pg_extern(sql = false)]
fn cloudsync_payload_finish(fcinfo: pg_sys::FunctionCallInfo) -> Option<Vec<u8>> {
    // SAFETY: as in `cloudsync_payload_step`; without a row there is no state.
    let collector = unsafe {
        let first = (*fcinfo).args.as_slice((*fcinfo).nargs as usize).first()?;
        if first.isnull {
            return None;
        }
        std::mem::take(&mut *first.value.cast_mut_ptr::<Collector>())
    };
    let payload = wire::encode(&Message::Payload(collector.finish()));
    Some(or_report(payload.map_err(PgError::from)))
}

/// The state of the aggregation, made at its first row in the memory that lives as long as it does.
fn state(fcinfo: pg_sys::FunctionCallInfo) -> Result<*mut Collector> {
    // SAFETY: PostgreSQL passes a valid call; outside an aggregation, where the first argument would
    // be no state, it says so. The state is dropped with its memory context.
    unsafe {
        let mut context: pg_sys::MemoryContext = std::ptr::null_mut();
        if pg_sys::AggCheckCallContext(fcinfo, &mut context) == 0 {
            return Err(PgError::new(SqlState::WRONG_OBJECT, "called outside of an aggregation"));
        }
        match (*fcinfo).args.as_slice((*fcinfo).nargs as usize).first() {
            Some(state) if !state.isnull => Ok(state.value.cast_mut_ptr()),
            _ => Ok(PgMemoryContexts::For(context).leak_and_drop_on_delete(Collector::default())),
        }
    }
}

fn read(fcinfo: pg_sys::FunctionCallInfo) -> Result<(String, Told)> {
    let version = argument::<i64>(fcinfo, 6, "db_version")?;
    let version = u64::try_from(version).map_err(|_| invalid("db_version must not be negative"))?;
    let site = argument::<Vec<u8>>(fcinfo, 7, "site_id")?;
    let site = SiteId::from_slice(&site).ok_or_else(|| invalid("site_id must have 16 bytes"))?;
    let length = argument::<i64>(fcinfo, 8, "cl")?;
    let length = u32::try_from(length).map_err(|_| invalid("cl is not a causal length"))?;
    let told = Told {
        key: Key::from_bytes(argument(fcinfo, 2, "pk")?)?,
        column: argument(fcinfo, 3, "col_name")?,
        value: value(optional::<Vec<u8>>(fcinfo, 4))?,
        stamp: Stamp { version: Version(version), site },
        length: CausalLength(length),
    };
    Ok((argument(fcinfo, 1, "tbl")?, told))
}

fn value(encoded: Option<Vec<u8>>) -> Result<Value> {
    let Some(encoded) = encoded else { return Ok(Value::Null) };
    let mut reader = Reader::new(&encoded);
    let value = Value::decode(&mut reader)?;
    if !reader.is_empty() {
        return Err(invalid("col_value holds more than one value"));
    }
    Ok(value)
}

fn argument<T: FromDatum>(fcinfo: pg_sys::FunctionCallInfo, at: usize, name: &str) -> Result<T> {
    optional(fcinfo, at).ok_or_else(|| invalid(&format!("{name} must not be NULL")))
}

/// An argument, `None` if it is NULL. The caller names the type that the function is declared with.
fn optional<T: FromDatum>(fcinfo: pg_sys::FunctionCallInfo, at: usize) -> Option<T> {
    // SAFETY: the call is valid and has `nargs` arguments of the declared types.
    unsafe {
        let argument = (*fcinfo).args.as_slice((*fcinfo).nargs as usize).get(at)?;
        T::from_datum(argument.value, argument.isnull)
    }
}

fn invalid(message: &str) -> PgError {
    PgError::new(SqlState::INVALID_PARAMETER, format!("cloudsync_payload_encode: {message}"))
}
