//! Whether a row is in a user's table, asked as the table's owner.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::PgOid;
use pgrx::spi::OwnedPreparedStatement;
use pgrx::{FromDatum, Spi, pg_extern, pg_sys};

use crate::catalog::{self, SyncedTable};
use crate::error::{PgError, Result, SqlState, or_report};
use crate::ffi::invalidate;
use crate::ffi::owner::AsTableOwner;
use crate::quote;

/// The arguments before the key: the number of the synced table, and the relation to look into.
const FIRST_KEY: usize = 2;

struct Lookup {
    statement: OwnedPreparedStatement,
    owner: pg_sys::Oid,
    types: Vec<pg_sys::Oid>,
    generation: u64,
}

thread_local! {
    static LOOKUPS: RefCell<Option<HashMap<pg_sys::Oid, Rc<Lookup>>>> = const { RefCell::new(None) };
}

/// `cloudsync.row_exists(table_id int, relation oid, VARIADIC key "any") RETURNS bool`.
#[pg_extern(sql = false)]
fn cloudsync_row_exists(fcinfo: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: the call has `nargs` arguments, of which the first two are an int and an oid, as declared.
    let (table, relation, key) = unsafe {
        let arguments = (*fcinfo).args.as_slice((*fcinfo).nargs as usize);
        let (Some(table), Some(relation)) = (arguments.first(), arguments.get(1)) else { return false };
        let table = i32::from_datum(table.value, table.isnull);
        let relation = pg_sys::Oid::from_datum(relation.value, relation.isnull);
        (table.unwrap_or(0), relation.unwrap_or(pg_sys::InvalidOid), arguments.get(FIRST_KEY..).unwrap_or(&[]))
    };
    or_report(row_exists(table, relation, key))
}

fn row_exists(table: i32, relation: pg_sys::Oid, key: &[pg_sys::NullableDatum]) -> Result<bool> {
    let lookup = lookup(table, relation)?;
    if key.len() != lookup.types.len() {
        return Err(PgError::internal("cloudsync: a key has the wrong number of columns"));
    }
    let pairs = key.iter().zip(&lookup.types);
    // SAFETY: the values come from columns of the clock table or of the table itself, which have the
    // key's types; a NULL cannot be among them, and would find nothing.
    let args: Vec<DatumWithOid<'_>> = pairs
        .map(|(value, oid)| unsafe {
            if value.isnull { DatumWithOid::null_oid(*oid) } else { DatumWithOid::new(value.value, *oid) }
        })
        .collect();
    let _owner = AsTableOwner::enter(lookup.owner);
    Ok(Spi::connect_mut(|client| client.update(&lookup.statement, Some(1), &args).map(|rows| !rows.is_empty()))?)
}

fn lookup(table: i32, relation: pg_sys::Oid) -> Result<Rc<Lookup>> {
    let generation = invalidate::generation(relation);
    let known = LOOKUPS.with_borrow(|map| map.as_ref().and_then(|map| map.get(&relation).cloned()));
    if let Some(known) = known
        && known.generation == generation
    {
        return Ok(known);
    }
    let table = catalog::by_id(table)?
        .ok_or_else(|| PgError::new(SqlState::NOT_IN_STATE, format!("synced table {table} does not exist")))?;
    let (name, owner) = catalog::name_and_owner(relation)?;
    let lookup = Rc::new(prepare(&table, &name, owner, generation)?);
    let old = LOOKUPS.with_borrow_mut(|map| map.get_or_insert_default().insert(relation, Rc::clone(&lookup)));
    drop(old);
    Ok(lookup)
}

fn prepare(table: &SyncedTable, name: &str, owner: pg_sys::Oid, generation: u64) -> Result<Lookup> {
    let terms: Vec<String> = table
        .key
        .iter()
        .enumerate()
        .map(|(at, key)| format!("b.{} {} ${}", quote::ident(&key.name), key.equal, at + 1))
        .collect();
    let sql = format!("SELECT FROM {name} b WHERE {}", terms.join(" AND "));
    let types: Vec<pg_sys::Oid> = table.key.iter().map(|key| key.type_oid).collect();
    let oids: Vec<PgOid> = types.iter().map(|oid| PgOid::from(*oid)).collect();
    let _owner = AsTableOwner::enter(owner);
    let statement = Spi::connect_mut(|client| client.prepare_mut(sql.as_str(), &oids).map(|plan| plan.keep()))?;
    Ok(Lookup { statement, owner, types, generation })
}
