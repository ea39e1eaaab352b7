//! Synced tables as PostgreSQL's catalog describes them, read afresh at each call.

use cloudsync_shared::id::ColumnId;
use cloudsync_shared::schema::{Algorithm, Column, TableSchema};
use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};

use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::AsOwner;
use crate::{quote, texts};

/// A column of the primary key.
#[derive(Clone, Debug)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// Its number in the table.
    pub attnum: i16,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// Its type as SQL text, qualified and with its modifier.
    pub type_name: String,
    /// Its collation as SQL text, where it is not the type's own.
    pub collation: Option<String>,
    /// `OPERATOR(schema.=)`: equality as the primary key's index understands it.
    pub equal: String,
}

/// A column that is synced and not part of the key.
#[derive(Clone, Debug)]
pub struct DataColumn {
    /// Its name.
    pub name: String,
    /// Its number in the table, which is its number in clocks too.
    pub attnum: i16,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Whether it has a default.
    pub has_default: bool,
}

/// A synced table.
#[derive(Clone, Debug)]
pub struct SyncedTable {
    /// Its number here; its clocks are in `cloudsync.clock_<id>`.
    pub id: i32,
    /// The table.
    pub relation: pg_sys::Oid,
    /// Its owner.
    pub owner: pg_sys::Oid,
    /// Schema and name as SQL text.
    pub qualified: String,
    /// The table of its clocks as SQL text.
    pub clock: String,
    /// How its rows merge.
    pub algorithm: Algorithm,
    /// Whether local writes are captured at present.
    pub enabled: bool,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// The numbers of the key columns when its clock table was made.
    clock_columns: Vec<i16>,
    /// The primary key, in key order.
    pub key: Vec<KeyColumn>,
    /// The other columns in the order of the table, without generated and dropped ones.
    pub columns: Vec<DataColumn>,
    /// The same as the core knows it.
    pub schema: TableSchema,
}

impl SyncedTable {
    /// The name of its key's `at`th column in `cloudsync.clock_<id>`, counted from zero.
    pub fn clock_key(at: usize) -> String {
        format!("k{}", at + 1)
    }

    /// Whether the primary key is still the one under which the clocks are kept.
    pub fn key_is_unchanged(&self) -> bool {
        self.key.iter().map(|key| key.attnum).eq(self.clock_columns.iter().copied())
    }

    fn check_key(&self) -> Result<()> {
        if self.key_is_unchanged() {
            return Ok(());
        }
        let message =
            format!("the primary key of table {} is not the one it was synced with", self.qualified);
        Err(PgError::new(SqlState::NOT_IN_STATE, message).with_hint(
            "Restore it, or call cloudsync_commit_alter() to sync the table by its new key, or \
             cloudsync_cleanup() to sync it no more.",
        ))
    }
}

/// The synced table with this OID.
///
/// # Errors
/// The catalog cannot be read, or the table's primary key is not the one that it was synced with.
pub fn by_relation(relation: pg_sys::Oid) -> Result<Option<SyncedTable>> {
    find("t.relation = $1", &[relation.into()])
}

/// As [`by_relation`], whatever became of the primary key: for those who mend or forget it.
///
/// # Errors
/// The catalog cannot be read.
pub fn by_relation_unchecked(relation: pg_sys::Oid) -> Result<Option<SyncedTable>> {
    Ok(read("t.relation = $1", &[relation.into()])?.pop())
}

/// The synced table of this number.
///
/// # Errors
/// As [`by_relation`].
pub fn by_id(id: i32) -> Result<Option<SyncedTable>> {
    find("t.id = $1", &[id.into()])
}

/// The table synced under this name.
///
/// # Errors
/// As [`by_relation`].
pub fn by_name(name: &str) -> Result<Option<SyncedTable>> {
    find("t.name = $1", &[name.into()])
}

const TABLES: &str = "\
    SELECT t.id, t.relation, t.name, n.nspname::text, c.relname::text, t.algorithm, t.enabled, c.relkind = 'p', \
        c.relowner, t.key_columns \
    FROM cloudsync.tables t \
    JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE ";

fn read(filter: &str, args: &[DatumWithOid<'_>]) -> Result<Vec<SyncedTable>> {
    let _owner = AsOwner::enter()?;
    let sql = format!("{TABLES}{filter} ORDER BY t.name COLLATE \"C\"");
    let mut tables = Spi::connect(|client| {
        let mut tables = Vec::new();
        for row in client.select(&sql, None, args)? {
            let id: i32 = required(row.get(1)?)?;
            let schema: String = required(row.get(4)?)?;
            let name: String = required(row.get(5)?)?;
            let synced_as: String = required(row.get(3)?)?;
            let algorithm = Algorithm::from_name(&required::<String>(row.get(6)?)?)?;
            tables.push(SyncedTable {
                id,
                relation: required(row.get(2)?)?,
                owner: required(row.get(9)?)?,
                qualified: quote::qualified(&schema, &name),
                clock: quote::qualified("cloudsync", &format!("clock_{id}")),
                clock_columns: required(row.get(10)?)?,
                algorithm,
                enabled: required(row.get(7)?)?,
                partitioned: required(row.get(8)?)?,
                key: Vec::new(),
                columns: Vec::new(),
                schema: TableSchema {
                    name: synced_as,
                    algorithm,
                    key: Vec::new(),
                    columns: Vec::new(),
                    texts: Vec::new(),
                },
            });
        }
        Ok::<_, PgError>(tables)
    })?;
    let settings = texts::read_settings(tables.iter().map(|table| table.id).collect())?;
    for table in &mut tables {
        fill(table)?;
        let columns = table.schema.columns.iter().map(|column| (column.name.as_str(), column.id));
        table.schema.texts = texts::texts_of(&settings, table.id, columns);
    }
    Ok(tables)
}

fn find(filter: &str, args: &[DatumWithOid<'_>]) -> Result<Option<SyncedTable>> {
    let table = read(filter, args)?.pop();
    table.iter().try_for_each(SyncedTable::check_key)?;
    Ok(table)
}

fn fill(table: &mut SyncedTable) -> Result<()> {
    (table.key, table.columns) = columns(table.relation)?;
    table.schema.key = table.key.iter().map(|key| key.name.clone()).collect();
    let column =
        |column: &DataColumn| Column { name: column.name.clone(), id: ColumnId(column.attnum as u16) };
    table.schema.columns = table.columns.iter().map(column).collect();
    Ok(())
}

const COLUMNS: &str = "\
    SELECT a.attname::text, a.attnum, a.atttypid, format_type(a.atttypid, a.atttypmod), \
        CASE WHEN a.attcollation <> ty.typcollation \
            THEN (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname) FROM pg_collation co \
                JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END, \
        a.attnotnull, a.atthasdef OR a.attidentity <> '', key.place::int, opn.nspname::text, op.oprname::text \
    FROM pg_attribute a \
    JOIN pg_type ty ON ty.oid = a.atttypid \
    LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
    LEFT JOIN LATERAL (SELECT k.place FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place) \
        WHERE k.attnum = a.attnum AND k.place <= i.indnkeyatts) key ON true \
    LEFT JOIN pg_opclass oc ON oc.oid = i.indclass[key.place::int - 1] \
    LEFT JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3 \
        AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype \
    LEFT JOIN pg_operator op ON op.oid = ao.amopopr \
    LEFT JOIN pg_namespace opn ON opn.oid = op.oprnamespace \
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
        AND (a.attgenerated = '' OR key.place IS NOT NULL) \
    ORDER BY key.place, a.attnum";

/// The key's columns in key order and the other synced columns of any table, synced or not.
///
/// # Errors
/// The catalog cannot be read.
pub fn columns(relation: pg_sys::Oid) -> Result<(Vec<KeyColumn>, Vec<DataColumn>)> {
    let _owner = AsOwner::enter()?;
    let (mut key, mut columns) = (Vec::new(), Vec::new());
    Spi::connect(|client| {
        for row in client.select(COLUMNS, None, &[relation.into()])? {
            let (name, attnum) = (required(row.get(1)?)?, required(row.get(2)?)?);
            if row.get::<i32>(8)?.is_some() {
                let equal =
                    quote::operator(&required::<String>(row.get(9)?)?, &required::<String>(row.get(10)?)?);
                let (type_oid, type_name) = (required(row.get(3)?)?, required(row.get(4)?)?);
                key.push(KeyColumn { name, attnum, type_oid, type_name, collation: row.get(5)?, equal });
            } else {
                let (not_null, has_default) = (required(row.get(6)?)?, required(row.get(7)?)?);
                columns.push(DataColumn { name, attnum, not_null, has_default });
            }
        }
        Ok::<_, PgError>((key, columns))
    })
}

fn required<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| PgError::internal("cloudsync: the catalog holds NULL where it cannot"))
}

/// For each column of a table its number and its type's `typlen` and `typbyval`.
///
/// # Errors
/// The catalog cannot be read.
pub fn layouts(relation: pg_sys::Oid) -> Result<Vec<(i16, i16, bool)>> {
    let _owner = AsOwner::enter()?;
    let sql = "SELECT attnum, attlen, attbyval FROM pg_attribute \
               WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped";
    Spi::connect(|client| {
        let mut layouts = Vec::new();
        for row in client.select(sql, None, &[relation.into()])? {
            layouts.push((required(row.get(1)?)?, required(row.get(2)?)?, required(row.get(3)?)?));
        }
        Ok::<_, PgError>(layouts)
    })
}

/// A table's schema and name as SQL text, and its owner.
///
/// # Errors
/// There is no such table.
pub fn name_and_owner(relation: pg_sys::Oid) -> Result<(String, pg_sys::Oid)> {
    let _owner = AsOwner::enter()?;
    let sql = "SELECT n.nspname::text, c.relname::text, c.relowner \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    Spi::connect(|client| {
        let found = client.select(sql, Some(1), &[relation.into()])?;
        if found.is_empty() {
            return Err(PgError::new(SqlState::UNDEFINED_TABLE, "a table does not exist any more"));
        }
        let (schema, name, owner) = found.first().get_three::<String, String, pg_sys::Oid>()?;
        Ok((quote::qualified(&required(schema)?, &required(name)?), required(owner)?))
    })
}
