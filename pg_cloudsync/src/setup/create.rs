//! `cloudsync_create_table`: tables from SQLite's `CREATE TABLE`, made as the caller.
//!
//! Nothing here acts as the extension's owner but what begins the sync of a table that the caller owns.
//! A table that stands there already must be the one that the script describes: to compare them, the
//! script's tables are made as temporary ones in a subtransaction that is undone.

use cloudsync_shared::ddl::{self, Table, Translation};
use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};

use crate::error::{PgError, Result, SqlState};
use crate::ffi::subxact::in_subtransaction;
use crate::quote;
use crate::setup::{self, Options};

/// Where the script's tables are made to be compared; PostgreSQL's name for the session's own schema.
const SCRATCH: &str = "pg_temp";

/// Makes the tables of a script that are not there yet, and syncs all of them; their names, parents
/// first. The caller needs CREATE on the schema.
///
/// # Errors
/// The script cannot be translated; PostgreSQL refuses a statement; a table of one of the names is there
/// and differs, or belongs to somebody else; or a table cannot be synced.
pub fn create(script: &str, schema: &str, options: Options) -> Result<Vec<String>> {
    let translation = translate(script, schema, options)?;
    let mut found = Vec::with_capacity(translation.tables.len());
    for table in &translation.tables {
        found.push(lookup(schema, &table.name)?);
    }
    if found.iter().any(Option::is_some) {
        compare(&translate(script, SCRATCH, options)?, schema, &found)?;
    }
    let is_new = |index: usize| found.get(index).is_some_and(Option::is_none);
    let mut names = Vec::with_capacity(translation.tables.len());
    for (index, table) in translation.tables.iter().enumerate() {
        if is_new(index) {
            run(&table.create)?;
            table.indexes.iter().try_for_each(|index| run(index))?;
        }
        names.push(table.name.clone());
    }
    let new: Vec<&Table> = (translation.tables.iter().enumerate())
        .filter(|(index, _)| is_new(*index))
        .map(|(_, table)| table)
        .collect();
    for foreign_key in &translation.foreign_keys {
        if new.iter().any(|table| is_of(foreign_key, schema, &table.name)) {
            run(foreign_key)?;
        }
    }
    for name in &names {
        let qualified = quote::qualified(schema, name);
        setup::init(setup::names::resolve_owned(&qualified)?, options)?;
    }
    Ok(names)
}

fn translate(script: &str, schema: &str, options: Options) -> Result<Translation> {
    let options = ddl::Options {
        allow_integer_key: options.allows_integer_key(),
        allow_not_null: options.allows_not_null(),
        postgres: pg_sys::PG_VERSION_NUM / 10_000,
        schema: Some(schema.to_owned()),
        ..ddl::Options::default()
    };
    ddl::translate(script, &options).map_err(|problems| {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let message = format!("the script cannot be translated:\n{}", list.join("\n"));
        PgError::new(SqlState::NOT_SUPPORTED, message)
    })
}

/// Whether an `ALTER TABLE` of a translation alters this table.
fn is_of(statement: &str, schema: &str, name: &str) -> bool {
    // The translation quotes a name only where it must.
    let forms = |name: &str| [name.to_owned(), quote::ident(name)];
    forms(schema).iter().any(|schema| {
        forms(name).iter().any(|name| statement.starts_with(&format!("ALTER TABLE {schema}.{name} ")))
    })
}

fn lookup(schema: &str, name: &str) -> Result<Option<pg_sys::Oid>> {
    let args: [DatumWithOid<'_>; 1] = [quote::qualified(schema, name).into()];
    let sql = "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid";
    Ok(Spi::connect(|client| client.select(sql, Some(1), &args)?.first().get_one())?)
}

/// Compares the tables that are there with those of the script, translated for [`SCRATCH`].
fn compare(script: &Translation, schema: &str, found: &[Option<pg_sys::Oid>]) -> Result<()> {
    let wanted = describe_script(script)?;
    let mut differences = Vec::new();
    for ((table, wanted), found) in script.tables.iter().zip(wanted).zip(found) {
        let Some(relation) = found else { continue };
        let lines = differences_of(&describe(*relation)?, &wanted);
        if !lines.is_empty() {
            let name = quote::qualified(schema, &table.name);
            differences.push(format!("table {name} is there and differs: {}", lines.join("; ")));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(PgError::new(SqlState::DUPLICATE_TABLE, differences.join("\n"))
        .with_hint("Alter or drop the table, or give the script's table another name."))
}

/// What a column is: its name, and its type, NOT NULL and place in the key in words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Described {
    name: String,
    words: String,
}

/// Makes the script's tables, describes them, and undoes that.
fn describe_script(script: &Translation) -> Result<Vec<Vec<Described>>> {
    let mut described = Vec::new();
    let undone = in_subtransaction(|| {
        for statement in script.statements() {
            run(statement)?;
        }
        for table in &script.tables {
            let relation = lookup(SCRATCH, &table.name)?;
            let relation = relation.ok_or_else(|| PgError::internal("a table was made and is not there"))?;
            described.push(describe(relation)?);
        }
        Err::<(), _>(PgError::new(SqlState::UNDO, "this is always undone"))
    });
    match undone {
        Err(error) if error.sqlstate != SqlState::UNDO => Err(error),
        _ => Ok(described),
    }
}

fn describe(relation: pg_sys::Oid) -> Result<Vec<Described>> {
    let sql = "SELECT a.attname::pg_catalog.text, pg_catalog.concat(pg_catalog.format_type(a.atttypid, a.atttypmod), \
            CASE WHEN a.attnotnull THEN ' NOT NULL' END, CASE WHEN a.attgenerated <> '' THEN ' GENERATED' END, \
            ' PRIMARY KEY ' || pg_catalog.array_position(i.indkey::pg_catalog.int2[], a.attnum)) \
        FROM pg_catalog.pg_attribute a \
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
        WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname COLLATE \"C\"";
    Spi::connect(|client| {
        let mut columns = Vec::new();
        for row in client.select(sql, None, &[relation.into()])? {
            let (name, words) = (row.get(1)?.unwrap_or_default(), row.get(2)?.unwrap_or_default());
            columns.push(Described { name, words });
        }
        Ok(columns)
    })
}

fn differences_of(there: &[Described], wanted: &[Described]) -> Vec<String> {
    let find = |columns: &[Described], name: &str| columns.iter().find(|column| column.name == name).cloned();
    let mut lines = Vec::new();
    for column in wanted {
        match find(there, &column.name) {
            None => lines.push(format!("it has no column {} ({})", column.name, column.words)),
            Some(other) if other.words != column.words => {
                lines.push(format!("column {} is {}, not {}", column.name, other.words, column.words));
            }
            Some(_) => {}
        }
    }
    let more = there.iter().filter(|column| find(wanted, &column.name).is_none());
    lines.extend(more.map(|column| format!("it has a column {} ({}) more", column.name, column.words)));
    lines
}

/// Runs a statement as the caller.
fn run(sql: &str) -> Result<()> {
    Ok(Spi::connect_mut(|client| client.update(sql, None, &[]).map(|_| ()))?)
}
