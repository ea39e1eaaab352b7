//! `cloudsync_init`, `_cleanup`, `_enable`, `_disable`, and keeping up with `ALTER TABLE`.

use cloudsync_shared::id::{ColumnId, SiteId};
use cloudsync_shared::keeping;
use cloudsync_shared::key::MAX_KEY_COLUMNS;
use cloudsync_shared::schema::Algorithm;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, params};

use crate::catalog::{self, TableInfo};
use crate::error::{Error, Result};
use crate::savepoint::in_savepoint;
use crate::table::{Table, clock_table, journal_table};
use crate::{
    apply, bases, buried, conflicts, filter, fold, groups, mapping, parked, quote, system, texts, trigger,
};

/// Flag of `cloudsync_init`: accept a key of one INTEGER PRIMARY KEY column.
pub const ALLOW_INTEGER_KEY: i64 = 1;
/// Flag of `cloudsync_init`: accept NOT NULL columns without a default.
pub const ALLOW_NOT_NULL: i64 = 2;

/// The longest name of a synced table, in bytes.
pub const MAX_TABLE_NAME_BYTES: usize = 512;

/// Starts syncing a table, or with `*` every table that can be synced.
///
/// # Errors
/// The table cannot be synced; the message lists every reason.
pub fn init(conn: &Connection, name: &str, algorithm: &str, flags: i64) -> Result<SiteId> {
    let algorithm = Algorithm::from_name(algorithm)?;
    in_savepoint(conn, || {
        if name == "*" {
            init_all(conn, algorithm, flags)?;
        } else {
            init_one(conn, name, algorithm, flags)?;
        }
        system::remember_schema(conn)?;
        system::site_id(conn)?
            .ok_or_else(|| Error::state("table cloudsync_site_id has lost this database's id"))
    })
}

fn init_all(conn: &Connection, algorithm: Algorithm, flags: i64) -> Result<()> {
    let mut refused = Vec::new();
    let mut synced = 0usize;
    for name in catalog::user_tables(conn)? {
        let Some(info) = catalog::describe(conn, &name)? else { continue };
        match problems(conn, &info, flags)?.as_slice() {
            [] => {
                init_one(conn, &name, algorithm, flags)?;
                synced += 1;
            }
            reasons => refused.push(refusal(&name, reasons)),
        }
    }
    if synced == 0 {
        refused.insert(0, "no table can be synced".to_owned());
        return Err(Error::state(refused.join("\n")));
    }
    Ok(())
}

fn init_one(conn: &Connection, name: &str, algorithm: Algorithm, flags: i64) -> Result<()> {
    if name.len() > MAX_TABLE_NAME_BYTES {
        return Err(Error::state(format!("a table name must not exceed {MAX_TABLE_NAME_BYTES} bytes")));
    }
    let Some(info) = catalog::describe(conn, name)? else {
        return Err(Error::state(format!("table {name} does not exist")));
    };
    if let Some(synced) = system::table(conn, name)? {
        if synced.algorithm != algorithm {
            return Err(Error::state(format!(
                "table {name} is synced with algorithm '{}': call cloudsync_cleanup('{name}') before choosing '{}'",
                synced.algorithm.name(),
                algorithm.name()
            )));
        }
        refresh(conn)?;
        return Ok(());
    }
    let reasons = problems(conn, &info, flags)?;
    if !reasons.is_empty() {
        return Err(Error::state(refusal(name, &reasons)));
    }
    system::create(conn)?;
    register(conn, &info, algorithm)
}

fn refusal(table: &str, reasons: &[String]) -> String {
    format!("table {table} cannot be synced: {}", reasons.join("; "))
}

/// Every reason against syncing a table.
fn problems(conn: &Connection, info: &TableInfo, flags: i64) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if info.kind != "table" {
        return Ok(vec![format!("it is a {} table, only ordinary tables can be synced", info.kind)]);
    }
    let lower = info.name.to_ascii_lowercase();
    if lower.starts_with("sqlite_") || lower.starts_with("cloudsync_") || lower.ends_with("_cloudsync") {
        return Ok(vec!["it is a system table".to_owned()]);
    }
    if info.key.is_empty() {
        return Ok(vec![
            "it has no explicit primary key: declare one, best TEXT PRIMARY KEY NOT NULL".to_owned(),
        ]);
    }
    if info.key.len() > MAX_KEY_COLUMNS {
        found.push(format!("its primary key has more than {MAX_KEY_COLUMNS} columns"));
    }
    let integer_key = matches!(info.key.as_slice(), [only] if only.declared == "INTEGER");
    if integer_key && flags & ALLOW_INTEGER_KEY == 0 {
        found.push(
            "its primary key is one INTEGER column, whose numbers collide between devices: use TEXT with \
             cloudsync_uuid(), or pass flag 1"
                .to_owned(),
        );
    }
    for (column, collation) in info.key.iter().zip(&info.key_collations) {
        if !collation.eq_ignore_ascii_case("BINARY") {
            found.push(format!("key column {} has collation {collation}: it must be BINARY", column.name));
        }
    }
    if flags & ALLOW_NOT_NULL == 0 {
        for column in info.stored_columns().filter(|column| column.not_null && column.default.is_none()) {
            found.push(format!(
                "column {} is NOT NULL without a DEFAULT: give it one, or pass flag 2",
                column.name
            ));
        }
    }
    for index in info.unique.iter().filter(|index| index.columns.iter().any(Option::is_none)) {
        found.push(format!("unique index {} is on an expression", index.name));
    }
    if has_null_key(conn, info)? {
        found.push("it holds rows whose primary key contains NULL".to_owned());
    }
    Ok(found)
}

fn has_null_key(conn: &Connection, info: &TableInfo) -> Result<bool> {
    let terms: Vec<String> =
        info.key.iter().map(|column| format!("{} IS NULL", quote::ident(&column.name))).collect();
    let sql =
        format!("SELECT EXISTS(SELECT 1 FROM {} WHERE {})", quote::main(&info.name), terms.join(" OR "));
    Ok(conn.query_row(&sql, [], |row| row.get(0))?)
}

fn register(conn: &Connection, info: &TableInfo, algorithm: Algorithm) -> Result<()> {
    let sql = format!(
        "INSERT INTO main.cloudsync_tables(name, algorithm, base) VALUES(?1, ?2, EXISTS(SELECT 1 FROM {}))",
        quote::main(&info.name)
    );
    conn.execute(&sql, params![info.name, algorithm.name()])?;
    let table_id = conn.last_insert_rowid();
    for column in info.stored_columns() {
        system::add_column(conn, table_id, &column.name, 0)?;
    }
    let table = Table::require(conn, &info.name)?;
    create_tables(conn, &table)?;
    trigger::rebuild(conn, &table)
}

fn create_tables(conn: &Connection, table: &Table) -> Result<()> {
    let keys: String = (0..table.info.key.len()).map(|at| format!(", k{at}")).collect();
    let masks: String = (1..=table.extra_masks()).map(|group| format!(", m{group}")).collect();
    let clocks = clock_table(&table.synced.name);
    conn.execute_batch(&format!(
        "CREATE TABLE {}(seq INTEGER PRIMARY KEY, op INTEGER NOT NULL, at INTEGER NOT NULL{keys}{masks});
         CREATE TABLE {}(key BLOB NOT NULL PRIMARY KEY, clock BLOB NOT NULL, row_id INTEGER, unsent INTEGER) WITHOUT ROWID;
         CREATE INDEX {} ON {}(unsent) WHERE unsent > 0;",
        table.journal(),
        table.clocks(),
        quote::main(&format!("{clocks}_unsent")),
        quote::ident(&clocks),
    ))?;
    buried::prepare(conn, table)?;
    texts::prepare(conn, table)
}

/// Ends the syncing of a table. With the last one the system tables go too.
///
/// # Errors
/// The table is not synced.
pub fn cleanup(conn: &Connection, name: &str) -> Result<()> {
    in_savepoint(conn, || {
        if name == "*" {
            for synced in system::tables(conn)? {
                cleanup_one(conn, &synced.name)?;
            }
            return Ok(());
        }
        cleanup_one(conn, &system::require_table(conn, name)?.name)
    })
}

fn cleanup_one(conn: &Connection, name: &str) -> Result<()> {
    trigger::drop_all(conn, name)?;
    conn.execute_batch(&format!(
        "DROP TABLE IF EXISTS {}; DROP TABLE IF EXISTS {}; DROP TABLE IF EXISTS {};",
        quote::main(&journal_table(name)),
        quote::main(&clock_table(name)),
        quote::main(&buried::buried_table(name))
    ))?;
    conn.execute("DELETE FROM main.cloudsync_table_settings WHERE tbl_name = ?1", [name])?;
    conn.execute(
        "DELETE FROM main.cloudsync_groups WHERE table_id IN (SELECT id FROM main.cloudsync_tables WHERE name = ?1)",
        [name],
    )?;
    parked::forget(conn, name, None)?;
    conn.execute("DELETE FROM main.cloudsync_conflicts WHERE tbl = ?1", [name])?;
    if let Some(table) = system::table(conn, name)? {
        bases::forget_table(conn, table.id)?;
        texts::cleanup(conn, name, table.id)?;
    }
    conn.execute(
        "DELETE FROM main.cloudsync_columns WHERE table_id IN (SELECT id FROM main.cloudsync_tables WHERE name = ?1)",
        [name],
    )?;
    conn.execute("DELETE FROM main.cloudsync_tables WHERE name = ?1", [name])?;
    if system::tables(conn)?.is_empty() {
        system::drop(conn)?;
    } else {
        system::remember_schema(conn)?;
    }
    Ok(())
}

/// Empties every synced table without telling anybody, and starts over as a new site: what a device
/// does when its user logs out. What is unsent is lost.
///
/// # Errors
/// The database cannot be written.
pub fn logout(conn: &Connection) -> Result<()> {
    apply::in_transaction(conn, || {
        let tables = system::tables(conn)?;
        let loaded = Table::all(conn)?;
        for synced in &tables {
            let delete = format!("DELETE FROM {}", quote::main(&synced.name));
            fold::while_applying(conn, || Ok(conn.execute(&delete, [])?))?;
        }
        for synced in &tables {
            cleanup_one(conn, &synced.name)?;
        }
        for synced in &tables {
            init_one(conn, &synced.name, synced.algorithm, ALLOW_INTEGER_KEY | ALLOW_NOT_NULL)?;
            if synced.atomic {
                groups::set_atomic(conn, &synced.name, &SqlValue::Integer(1))?;
            }
            if synced.conflicts {
                conflicts::set(conn, &synced.name, keeping::CONFLICTS, &SqlValue::Text("on".to_owned()))?;
            }
            if let Some(place) = &synced.server_table {
                mapping::set(conn, &synced.name, Some(&place.to_wire()))?;
            }
            if synced.filter.is_some() {
                filter::set(conn, &synced.name, synced.filter.as_deref())?;
            }
        }
        for table in &loaded {
            texts::restore(conn, table)?;
        }
        system::remember_schema(conn)
    })
}

/// Turns the capture of local writes on or off, for all connections and until changed again.
///
/// # Errors
/// The table is not synced.
pub fn set_enabled(conn: &Connection, name: &str, enabled: bool) -> Result<()> {
    in_savepoint(conn, || {
        let table = Table::require(conn, name)?;
        if table.synced.enabled == enabled {
            return Ok(());
        }
        fold::fold(conn)?;
        // Rows written in the meantime have no clock: they are told as rows that stood there before.
        let sql = format!(
            "UPDATE main.cloudsync_tables SET enabled = ?2, base = base OR (?2 AND EXISTS(SELECT 1 FROM {})) WHERE id = ?1",
            table.rows()
        );
        conn.execute(&sql, params![table.synced.id, enabled])?;
        trigger::rebuild(conn, &Table::require(conn, name)?)?;
        system::remember_schema(conn)
    })
}

/// Removes a table's triggers, so that its columns can be altered freely.
///
/// # Errors
/// The table is not synced.
pub fn begin_alter(conn: &Connection, name: &str) -> Result<()> {
    in_savepoint(conn, || {
        let synced = system::require_table(conn, name)?;
        fold::fold(conn)?;
        trigger::drop_all(conn, &synced.name)?;
        // Nobody is to bring the triggers back before `commit_alter`.
        system::remember_schema(conn)
    })
}

/// Fits the extension's tables and triggers to the altered table.
///
/// # Errors
/// The table is not synced, or has another key now.
pub fn commit_alter(conn: &Connection, name: &str) -> Result<()> {
    in_savepoint(conn, || {
        Table::require(conn, name)?;
        fold::fold(conn)?;
        refresh(conn)
    })
}

/// Registers columns that an ALTER TABLE added; answers their ids by table.
///
/// # Errors
/// The database cannot be written.
pub fn register_new_columns(conn: &Connection) -> Result<Vec<(i64, Vec<ColumnId>)>> {
    let mut added = Vec::new();
    for table in Table::all(conn)? {
        let mut ids = Vec::new();
        for name in &table.unknown {
            ids.push(system::add_column(conn, table.synced.id, name, ColumnId::LATE)?);
        }
        if !ids.is_empty() {
            // What the server has in these columns was left out when it came.
            system::download_again(conn, table.synced.id)?;
            added.push((table.synced.id, ids));
        }
    }
    Ok(added)
}

/// Fits columns, journals and triggers of all synced tables to the schema as it is now.
///
/// # Errors
/// A table's key has changed.
pub fn refresh(conn: &Connection) -> Result<()> {
    register_new_columns(conn)?;
    for table in Table::all(conn)? {
        check_key_width(conn, &table)?;
        add_masks(conn, &table)?;
        buried::prepare(conn, &table)?;
        texts::prepare(conn, &table)?;
        groups::prepare(conn, &table)?;
        trigger::rebuild(conn, &table)?;
    }
    system::remember_schema(conn)
}

fn check_key_width(conn: &Connection, table: &Table) -> Result<()> {
    let sql = "SELECT count(*) FROM pragma_table_xinfo(?1, 'main') WHERE name GLOB 'k[0-9]*'";
    let width: i64 =
        conn.prepare_cached(sql)?.query_row([journal_table(&table.synced.name)], |row| row.get(0))?;
    if usize::try_from(width) != Ok(table.info.key.len()) {
        return Err(Error::state(format!(
            "the primary key of table {0} has changed: call cloudsync_cleanup('{0}') and cloudsync_init('{0}')",
            table.synced.name
        )));
    }
    Ok(())
}

fn add_masks(conn: &Connection, table: &Table) -> Result<()> {
    for group in 1..=table.extra_masks() {
        let name = format!("m{group}");
        if !catalog::has_column(conn, &journal_table(&table.synced.name), &name)? {
            conn.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {name}", table.journal()))?;
        }
    }
    Ok(())
}
