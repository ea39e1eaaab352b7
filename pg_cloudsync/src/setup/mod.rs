//! Making a table synced and unsynced: its clocks, its triggers, its entry in the metadata.

mod check;
pub mod create;
pub mod filter;
mod lines;
pub mod names;
mod triggers;
mod watch;

pub use lines::{check_lines, is_text, lines_changed};

use cloudsync_shared::capture::base_clock;
use cloudsync_shared::qualified::QualifiedName;
use cloudsync_shared::schema::Algorithm;
use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};

use crate::catalog::{self, SyncedTable};
use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::{AsOwner, AsTableOwner, caller, owner};
use crate::setup::check::Facts;

/// The table's key is a single integer, and the application sees to it that keys are unique.
const FLAG_INTEGER_KEY: i32 = 1;
/// Columns may be NOT NULL without a default.
const FLAG_NOT_NULL: i32 = 2;

/// How many row ids a session takes at a time; a session that ends leaves a gap of that many at most.
const ROW_ID_CACHE: u32 = 32;

/// Room left in each page of a clock table, so that a moved clock can stay in its page and both indexes
/// are left alone (a heap-only update).
const CLOCK_FILLFACTOR: u32 = 85;

/// How a table is to be synced.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    algorithm: Algorithm,
    flags: i32,
}

impl Options {
    /// Of a table that a device has: it has accepted its own integer keys, and columns that are NOT NULL
    /// without a default.
    pub fn of_device(algorithm: Algorithm) -> Options {
        Options { algorithm, flags: FLAG_INTEGER_KEY | FLAG_NOT_NULL }
    }

    /// Reads the arguments of `cloudsync_init`.
    ///
    /// # Errors
    /// There is no such algorithm.
    pub fn read(algorithm: Option<&str>, flags: Option<i32>) -> Result<Options> {
        let algorithm = algorithm.map_or(Ok(Algorithm::Cls), Algorithm::from_name)?;
        Ok(Options { algorithm, flags: flags.unwrap_or(0) })
    }

    fn allows_integer_key(self) -> bool {
        self.flags & FLAG_INTEGER_KEY != 0
    }

    fn allows_not_null(self) -> bool {
        self.flags & FLAG_NOT_NULL != 0
    }
}

/// Makes a table synced. For one that is synced already, renews what belongs to it: triggers of new
/// partitions, for example.
///
/// # Errors
/// The table cannot be synced, or is synced with another algorithm.
pub fn init(relation: pg_sys::Oid, options: Options) -> Result<()> {
    let facts = check::facts(relation)?;
    check::check(relation, &facts, options)?;
    let caller = caller();
    let _owner = AsOwner::enter()?;
    run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", facts.qualified))?;
    if let Some(table) = catalog::by_relation(relation)? {
        if table.algorithm != options.algorithm {
            let message =
                format!("table {} is synced with algorithm '{}'", facts.qualified, table.algorithm.name());
            return Err(PgError::new(SqlState::NOT_IN_STATE, message)
                .with_hint("Call cloudsync_cleanup() for the table first."));
        }
        triggers::install(&table)?;
        return watch::renew(relation, caller);
    }
    sweep()?;
    enter(relation, &facts, options)?;
    watch::renew(relation, caller)
}

fn enter(relation: pg_sys::Oid, facts: &Facts, options: Options) -> Result<()> {
    let table = register(relation, facts, options)?;
    create_clocks(&table)?;
    triggers::install(&table)
}

/// Makes a table unsynced: its clocks are gone for good.
///
/// # Errors
/// It is not synced.
pub fn cleanup(relation: pg_sys::Oid) -> Result<()> {
    let table = synced(relation)?;
    let _owner = AsOwner::enter()?;
    run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.qualified))?;
    triggers::remove(&table)?;
    forget(table.id)?;
    watch::sweep()
}

/// Begins or ceases to capture local writes, for everybody and until told otherwise.
///
/// # Errors
/// The table is not synced.
pub fn set_enabled(relation: pg_sys::Oid, enabled: bool) -> Result<()> {
    let table = synced(relation)?;
    let _owner = AsOwner::enter()?;
    let args: [DatumWithOid<'_>; 2] = [table.id.into(), enabled.into()];
    run_with("UPDATE cloudsync.tables SET enabled = $2 WHERE id = $1", &args)?;
    triggers::set_enabled(&table, enabled)
}

/// Whether local writes of a table are captured; false if it is not synced or does not exist.
///
/// # Errors
/// The metadata cannot be read.
pub fn is_enabled(name: &str) -> Result<bool> {
    let Some(relation) = names::resolve(name)? else { return Ok(false) };
    Ok(catalog::by_relation_unchecked(relation)?.is_some_and(|table| table.enabled))
}

/// Renews what belongs to a synced table: the triggers of partitions added since. If its primary key
/// is another, its clocks begin anew, as those of a table that is synced for the first time.
///
/// # Errors
/// The table is not synced, or cannot be by its new key.
pub fn refresh(relation: pg_sys::Oid) -> Result<()> {
    let table = synced(relation)?;
    let caller = caller();
    let kept = filter::expression_of(table.id)?;
    {
        let _owner = AsOwner::enter()?;
        run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.qualified))?;
        watch::renew(relation, caller)?;
        if table.key_is_unchanged() {
            return triggers::install(&table);
        }
        let facts = check::facts(relation)?;
        let options = Options { algorithm: table.algorithm, flags: FLAG_INTEGER_KEY | FLAG_NOT_NULL };
        check::check(relation, &facts, options)?;
        forget(table.id)?;
        enter(relation, &facts, options)?;
    }
    kept.map_or(Ok(()), |expression| filter::set(relation, &expression))
}

/// A synced table.
///
/// # Errors
/// It is not synced.
pub fn synced(relation: pg_sys::Oid) -> Result<SyncedTable> {
    if let Some(table) = catalog::by_relation_unchecked(relation)? {
        return Ok(table);
    }
    let name = check::facts(relation)?.qualified;
    Err(PgError::new(SqlState::NOT_IN_STATE, format!("table {name} is not synced"))
        .with_hint("Call cloudsync_init() for the table first."))
}

/// Forgets tables that were dropped.
fn sweep() -> Result<()> {
    let sql = "SELECT t.id FROM cloudsync.tables t \
               WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)";
    let gone = Spi::connect(|client| {
        let mut gone = Vec::new();
        for row in client.select(sql, None, &[])? {
            gone.extend(row.get::<i32>(1)?);
        }
        Ok::<_, PgError>(gone)
    })?;
    gone.into_iter().try_for_each(forget)
}

fn forget(id: i32) -> Result<()> {
    filter::forget(id)?;
    run(&format!("ALTER EXTENSION cloudsync DROP TABLE cloudsync.clock_{id}"))?;
    run(&format!("DROP TABLE cloudsync.clock_{id}"))?;
    run_with("DELETE FROM cloudsync.log WHERE table_id = $1", &[id.into()])?;
    run_with("DELETE FROM cloudsync.tables WHERE id = $1", &[id.into()])
}

/// Enters a table under the first of its names that is free: its own, or with its schema.
fn register(relation: pg_sys::Oid, facts: &Facts, options: Options) -> Result<SyncedTable> {
    let wire_name = QualifiedName::new(&facts.schema, &facts.name)?.to_wire();
    let names = [facts.name.clone(), format!("{}.{}", facts.schema, facts.name), wire_name.clone()];
    // A name of that form would be taken for a schema's table.
    let names =
        names.into_iter().filter(|name| QualifiedName::from_wire(name).is_none() || *name == wire_name);
    let names: Vec<String> = names.collect();
    let sql = "INSERT INTO cloudsync.tables (relation, name, algorithm, key_columns) \
               SELECT $1, candidate, $3, $4 FROM unnest($2) WITH ORDINALITY AS given(candidate, place) \
               WHERE NOT EXISTS (SELECT FROM cloudsync.tables t WHERE t.name = candidate) ORDER BY place LIMIT 1";
    let (key, _) = catalog::columns(relation)?;
    let key: Vec<i16> = key.iter().map(|column| column.attnum).collect();
    let tried = names.join(", ");
    let args: [DatumWithOid<'_>; 4] =
        [relation.into(), names.into(), options.algorithm.name().into(), key.into()];
    run_with(sql, &args)?;
    catalog::by_relation(relation)?.ok_or_else(|| {
        let message = format!("other tables are synced under every name of {}: {tried}", facts.qualified);
        PgError::new(SqlState::NOT_IN_STATE, message)
    })
}

/// Makes the clock table and fills it for the rows that are there: set-based, and before its indexes.
fn create_clocks(table: &SyncedTable) -> Result<()> {
    let (clock, id) = (&table.clock, table.id);
    let names: Vec<String> = (0..table.key.len()).map(SyncedTable::clock_key).collect();
    let columns: Vec<String> = table
        .key
        .iter()
        .zip(&names)
        .map(|(key, name)| {
            let collation = key.collation.as_ref().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
            format!("{name} {}{collation} NOT NULL", key.type_name)
        })
        .collect();
    let keys: Vec<String> = table.key.iter().map(|key| crate::quote::ident(&key.name)).collect();
    let list = names.join(", ");
    run(&format!(
        "CREATE TABLE {clock} (row_id bigint GENERATED ALWAYS AS IDENTITY (CACHE {ROW_ID_CACHE}), {}, clock bytea NOT NULL) WITH (fillfactor = {CLOCK_FILLFACTOR})",
        columns.join(", ")
    ))?;
    run(&format!("REVOKE ALL ON TABLE {clock} FROM PUBLIC"))?;
    run(&format!("ALTER EXTENSION cloudsync ADD TABLE {clock}"))?;
    fill_clocks(table, &list, &keys.join(", "))?;
    run(&format!("ALTER TABLE {clock} ADD PRIMARY KEY (row_id), ADD UNIQUE ({list})"))?;
    run(&format!(
        "INSERT INTO cloudsync.log (xid, table_id, site, rows) \
         SELECT pg_current_xact_id(), {id}, 0, cloudsync.pack_rows(array_agg(row_id)) FROM {clock} \
         HAVING count(*) > 0"
    ))
}

/// One clock for each row that is there. The rows are read as the table's owner (see
/// [`AsTableOwner`]), who may write the clocks for the moment; nobody else sees them before commit.
fn fill_clocks(table: &SyncedTable, clock_keys: &str, keys: &str) -> Result<()> {
    let base: String = base_clock().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = "SELECT quote_ident(rolname::text) FROM pg_roles WHERE oid = $1";
    let role: Option<String> =
        Spi::connect(|client| client.select(sql, Some(1), &[table.owner.into()])?.first().get_one())?;
    let role = role.ok_or_else(|| PgError::internal("cloudsync: the table's owner does not exist"))?;
    let grant = |sql: String| if table.owner == owner()? { Ok(()) } else { run(&sql) };
    grant(format!("GRANT USAGE ON SCHEMA cloudsync TO {role}"))?;
    grant(format!("GRANT INSERT ON {} TO {role}", table.clock))?;
    {
        let _table_owner = AsTableOwner::enter(table.owner);
        run(&format!(
            "INSERT INTO {} ({clock_keys}, clock) SELECT {keys}, '\\x{base}'::bytea FROM {}",
            table.clock, table.qualified
        ))?;
    }
    grant(format!("REVOKE INSERT ON {} FROM {role}", table.clock))?;
    grant(format!("REVOKE USAGE ON SCHEMA cloudsync FROM {role}"))
}

fn run(sql: &str) -> Result<()> {
    run_with(sql, &[])
}

fn run_with(sql: &str, args: &[DatumWithOid<'_>]) -> Result<()> {
    Ok(Spi::connect_mut(|client| client.update(sql, None, args).map(|_| ()))?)
}
