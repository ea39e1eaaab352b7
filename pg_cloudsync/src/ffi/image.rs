//! Whether two values have the same image: the only equality that knows `1.0` from `1.00`, `-0.0`
//! from `0.0` and `A` from `a` under every type and collation.

use pgrx::{pg_extern, pg_sys};

use crate::capture::delta::{self, TrackedColumn};
use crate::error::or_report;

unsafe extern "C-unwind" {
    fn datum_image_eq(left: pg_sys::Datum, right: pg_sys::Datum, by_value: bool, length: i32) -> bool;
}

/// The arguments before the pairs of values.
const FIRST_VALUE: usize = 2;

/// `cloudsync.row_delta(columns bytea, stamp bigint, VARIADIC "any") RETURNS bytea`: the delta clock
/// of an update, from old and new value of each column, NULL if none changed.
#[pg_extern(sql = false)]
fn cloudsync_row_delta(fcinfo: pg_sys::FunctionCallInfo) -> Option<Vec<u8>> {
    // SAFETY: the call has `nargs` arguments; the first two are a bytea and a bigint, neither NULL, as
    // declared and as the only caller, capture's own statement, passes them.
    let (columns, stamp, values) = unsafe {
        let count = (*fcinfo).nargs as usize;
        let arguments = (*fcinfo).args.as_slice(count);
        let (Some(columns), Some(stamp)) = (arguments.first(), arguments.get(1)) else { return None };
        let columns = <Vec<u8> as pgrx::FromDatum>::from_datum(columns.value, columns.isnull)?;
        let stamp = <i64 as pgrx::FromDatum>::from_datum(stamp.value, stamp.isnull)?;
        (columns, stamp, arguments.get(FIRST_VALUE..).unwrap_or(&[]))
    };
    let columns = or_report(delta::read_columns(&columns));
    let mut changed = Vec::new();
    for (column, pair) in columns.iter().zip(values.chunks_exact(2)) {
        if let [old, new] = pair
            && !same_image(column, old, new)
        {
            changed.push(column.id);
        }
    }
    if changed.is_empty() { None } else { Some(delta::update(stamp, &changed)) }
}

fn same_image(column: &TrackedColumn, old: &pg_sys::NullableDatum, new: &pg_sys::NullableDatum) -> bool {
    if old.isnull || new.isnull {
        return old.isnull == new.isnull;
    }
    if column.by_value {
        return old.value == new.value;
    }
    // SAFETY: neither is NULL, and both are of the column's type, whose length it knows: the first
    // comparison looks at as many bytes as the values say they have (a pointer to an out-of-line value
    // has its own length). Values that differ there may still be the same, compressed otherwise; then
    // PostgreSQL unpacks and compares, and an error on the way is turned into an unwind.
    unsafe {
        if column.length == -1 {
            let raw = |datum: pg_sys::Datum| {
                let value: *const pg_sys::varlena = datum.cast_mut_ptr();
                std::slice::from_raw_parts(value.cast::<u8>(), pgrx::varlena::varsize_any(value))
            };
            if raw(old.value) == raw(new.value) {
                return true;
            }
        }
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            datum_image_eq(old.value, new.value, column.by_value, i32::from(column.length))
        })
    }
}
