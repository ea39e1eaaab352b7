//! `cloudsync_create_table`: tables from SQLite's `CREATE TABLE`, made as the caller.
//!
//! Nothing here acts as the extension's owner but what begins the sync of a table that the caller owns.
//! A table that stands there already must be the one that the script describes: to compare them, the
//! script's tables are made as temporary ones in a subtransaction that is undone.

use std::collections::BTreeMap;

use cloudsync_shared::ddl::{self, Table, Translation};
use cloudsync_shared::message::CreateRequest;
use cloudsync_shared::qualified::QualifiedName;
use cloudsync_shared::schema::Algorithm;
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
    let tables = make(script, schema, options, BTreeMap::new())?;
    for table in &tables {
        setup::init(setup::names::resolve_owned(&place_of(table, schema))?, options)?;
    }
    Ok(tables.into_iter().map(|table| table.name).collect())
}

/// As [`create`], as a device asks for it: each table with its own algorithm and its own place. `schema` is
/// that of tables that the device tells by a plain name. Answers the names that the device has for them.
///
/// # Errors
/// As [`create`]; a table of the script is not among those told of; or no schema is given and one is needed.
pub fn for_device(request: &CreateRequest, schema: Option<&str>) -> Result<Vec<String>> {
    let mut places = BTreeMap::new();
    for wish in &request.tables {
        if let Some(place) = QualifiedName::from_wire(&wish.synced_as) {
            places.insert(wish.name.to_ascii_lowercase(), place);
        } else if schema.is_none() {
            return Err(no_schema());
        }
    }
    // Every table has its place then.
    let schema = schema.unwrap_or(SCRATCH);
    let tables = make(&request.script, schema, Options::of_device(Algorithm::Cls), places)?;
    let mut names = Vec::with_capacity(tables.len());
    for table in &tables {
        let wish = request.tables.iter().find(|wish| wish.name.eq_ignore_ascii_case(&table.declared_name));
        let wish = wish.ok_or_else(|| {
            let message = format!("the request does not say how table {} is synced", table.declared_name);
            PgError::new(SqlState::INVALID_PARAMETER, message)
        })?;
        let relation = setup::names::resolve_owned(&place_of(table, schema))?;
        setup::init(relation, Options::of_device(wish.algorithm))?;
        names.push(wish.synced_as.clone());
    }
    Ok(names)
}

/// What is to be said where no schema is given and the search path has none.
pub fn no_schema() -> PgError {
    PgError::new(SqlState::INVALID_PARAMETER, "no schema is given, and the search path has none")
        .with_hint("Name it: cloudsync_create_table('CREATE TABLE ...', 'app')")
}

type Places = BTreeMap<String, QualifiedName>;

/// Makes the tables that are not there, and compares the others.
fn make(script: &str, schema: &str, options: Options, places: Places) -> Result<Vec<Table>> {
    let translation = translate(script, schema, options, places)?;
    let mut found = Vec::with_capacity(translation.tables.len());
    for table in &translation.tables {
        found.push(lookup(&place_of(table, schema))?);
    }
    if found.iter().any(Option::is_some) {
        compare(&translate(script, SCRATCH, options, Places::new())?, &translation, &found)?;
    }
    let new: Vec<&Table> = (translation.tables.iter().zip(&found))
        .filter(|(_, found)| found.is_none())
        .map(|(table, _)| table)
        .collect();
    for table in &new {
        run(&table.create)?;
        table.indexes.iter().try_for_each(|index| run(index))?;
    }
    for foreign_key in &translation.foreign_keys {
        let alters =
            |table: &&Table| is_of(foreign_key, table.schema.as_deref().unwrap_or(schema), &table.name);
        if new.iter().any(alters) {
            run(foreign_key)?;
        }
    }
    Ok(translation.tables)
}

/// A table's schema and name, quoted.
fn place_of(table: &Table, schema: &str) -> String {
    quote::qualified(table.schema.as_deref().unwrap_or(schema), &table.name)
}

fn translate(script: &str, schema: &str, options: Options, places: Places) -> Result<Translation> {
    let options = ddl::Options {
        allow_integer_key: options.allows_integer_key(),
        allow_not_null: options.allows_not_null(),
        postgres: pg_sys::PG_VERSION_NUM / 10_000,
        schema: Some(schema.to_owned()),
        // To be compared, a table needs none; and its parents may not be in the script.
        foreign_keys: schema != SCRATCH,
        places,
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

fn lookup(qualified: &str) -> Result<Option<pg_sys::Oid>> {
    let args: [DatumWithOid<'_>; 1] = [qualified.into()];
    let sql = "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid";
    Ok(Spi::connect(|client| client.select(sql, Some(1), &args)?.first().get_one())?)
}

/// Compares the tables that are there with those of the script, translated for [`SCRATCH`].
fn compare(script: &Translation, placed: &Translation, found: &[Option<pg_sys::Oid>]) -> Result<()> {
    let wanted = describe_script(script)?;
    let mut differences = Vec::new();
    for ((table, wanted), found) in placed.tables.iter().zip(wanted).zip(found) {
        let Some(relation) = found else { continue };
        let lines = differences_of(&describe(*relation)?, &wanted);
        if !lines.is_empty() {
            let name = place_of(table, SCRATCH);
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
            let relation = lookup(&place_of(table, SCRATCH))?;
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
