//! Arguments of any type as values of the five kinds, as a column of that type would travel.

use std::ffi::CStr;

use cloudsync_shared::key::Key;
use cloudsync_shared::value::Value;
use pgrx::{FromDatum, pg_extern, pg_sys};

use crate::error::{PgError, Result, SqlState, or_report};

/// `cloudsync_pk_encode(VARIADIC "any") RETURNS bytea`: the key of these values in key order, as
/// `cloudsync_changes.pk` shows it; NULL if one of them is.
#[pg_extern(sql = false)]
fn cloudsync_pk_encode(fcinfo: pg_sys::FunctionCallInfo) -> Option<Vec<u8>> {
    let values: Vec<Value> = or_report(arguments(fcinfo)).into_iter().map(Argument::in_key).collect();
    if values.contains(&Value::Null) {
        return None;
    }
    Some(or_report(Key::encode(&values).map_err(PgError::from)).0)
}

/// `cloudsync_encode_value(anyelement) RETURNS bytea`: a value as `cloudsync_changes.col_value` shows it.
#[pg_extern(sql = false)]
fn cloudsync_encode_value(fcinfo: pg_sys::FunctionCallInfo) -> Vec<u8> {
    let mut encoded = Vec::new();
    or_report(arguments(fcinfo)).iter().for_each(|argument| argument.value.encode(&mut encoded));
    encoded
}

struct Argument {
    value: Value,
    is_numeric: bool,
}

impl Argument {
    /// Numbers that differ only in zeros at the end are one key.
    fn in_key(self) -> Value {
        match self.value {
            Value::Text(text) if self.is_numeric && text.contains('.') => {
                Value::Text(text.trim_end_matches('0').trim_end_matches('.').to_owned())
            }
            value => value,
        }
    }
}

fn arguments(fcinfo: pg_sys::FunctionCallInfo) -> Result<Vec<Argument>> {
    // SAFETY: PostgreSQL passes a valid call with `nargs` arguments, whose types its expression tells.
    unsafe {
        let call = &*fcinfo;
        if pg_sys::get_fn_expr_variadic(call.flinfo) {
            let message = "an array in place of the values is not supported";
            return Err(PgError::new(SqlState::NOT_SUPPORTED, message).with_hint("List the values."));
        }
        let arguments = call.args.as_slice(call.nargs as usize);
        let typed = arguments
            .iter()
            .zip(0..)
            .map(|(value, at)| (value, pg_sys::get_fn_expr_argtype(call.flinfo, at)));
        typed
            .map(|(value, kind)| {
                let is_numeric = pg_sys::getBaseType(kind) == pg_sys::NUMERICOID;
                let value = if value.isnull { Value::Null } else { value_of(value.value, kind)? };
                Ok(Argument { value, is_numeric })
            })
            .collect()
    }
}

/// The value of a datum that is not NULL.
///
/// # Safety
/// The datum is of that type.
unsafe fn value_of(datum: pg_sys::Datum, kind: pg_sys::Oid) -> Result<Value> {
    // SAFETY: each branch reads the datum as the type that it is, as the caller promises.
    unsafe {
        let kind = pg_sys::getBaseType(kind);
        let value = match kind {
            pg_sys::INT2OID => i16::from_datum(datum, false).map(|number| Value::Integer(number.into())),
            pg_sys::INT4OID => i32::from_datum(datum, false).map(|number| Value::Integer(number.into())),
            pg_sys::INT8OID => i64::from_datum(datum, false).map(Value::Integer),
            pg_sys::OIDOID
            | pg_sys::REGCLASSOID
            | pg_sys::REGCOLLATIONOID
            | pg_sys::REGCONFIGOID
            | pg_sys::REGDICTIONARYOID
            | pg_sys::REGNAMESPACEOID
            | pg_sys::REGOPEROID
            | pg_sys::REGOPERATOROID
            | pg_sys::REGPROCOID
            | pg_sys::REGPROCEDUREOID
            | pg_sys::REGROLEOID
            | pg_sys::REGTYPEOID => u32::from_datum(datum, false).map(|number| Value::Integer(number.into())),
            pg_sys::BOOLOID => bool::from_datum(datum, false).map(|truth| Value::Integer(truth.into())),
            pg_sys::FLOAT4OID => f32::from_datum(datum, false).map(|number| Value::Real(number.into())),
            pg_sys::FLOAT8OID => f64::from_datum(datum, false).map(Value::Real),
            pg_sys::BYTEAOID => Vec::<u8>::from_datum(datum, false).map(Value::Blob),
            pg_sys::BPCHAROID => {
                // The blanks that fill a `char(n)` up are no part of its value.
                Some(Value::Text(printed(datum, kind)?.trim_end_matches(' ').to_owned()))
            }
            _ => Some(Value::Text(printed(datum, kind)?)),
        };
        value.ok_or_else(|| PgError::internal("cloudsync: an argument cannot be read"))
    }
}

/// # Safety
/// The datum is of that type.
unsafe fn printed(datum: pg_sys::Datum, kind: pg_sys::Oid) -> Result<String> {
    let (mut function, mut is_variable) = (pg_sys::InvalidOid, false);
    // SAFETY: the type's own output function is called on a value of the type; it answers a C string.
    let text = unsafe {
        pg_sys::getTypeOutputInfo(kind, &mut function, &mut is_variable);
        CStr::from_ptr(pg_sys::OidOutputFunctionCall(function, datum))
    };
    text.to_str().map(str::to_owned).map_err(|_| {
        PgError::new(SqlState::INVALID_TEXT, "a value's text is not valid UTF-8")
            .with_hint("Synced databases are encoded in UTF-8.")
    })
}

/// `cloudsync_text_materialize(table, column, VARIADIC key "any") RETURNS int`: 1. A text that is merged by
/// lines is always whole in its column, so there is nothing to make.
#[pg_extern(sql = false)]
fn cloudsync_text_materialize(fcinfo: pg_sys::FunctionCallInfo) -> i32 {
    let values = or_report(arguments(fcinfo));
    let name = |at: usize| match values.get(at).map(|argument| &argument.value) {
        Some(Value::Text(name)) => Some(name.as_str()),
        _ => None,
    };
    or_report(crate::setup::check_lines(name(0), name(1), values.len().saturating_sub(2)));
    1
}
