//! What the protocol knows of a synced table: names, types and the caller's rights, none in a schema that the caller may not use.

use std::collections::HashMap;

use cloudsync_shared::id::ColumnId;
use cloudsync_shared::schema::{Column, TableSchema};

use super::entries;
use super::filter::{self, Filter};
use super::spi::{Arg, Mode, query};
use super::types::{ColumnType, Kind};
use crate::error::{PgError, SqlState};
use crate::ffi::owner::AsOwner;
use crate::texts;

/// A column of a synced table.
#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    /// Its name.
    pub(super) name: String,
    /// Its name, quoted.
    pub(super) quoted: String,
    /// Its number in clocks.
    pub(super) id: ColumnId,
    /// Its type.
    pub(super) kind: ColumnType,
    /// For a key column the qualified equality operator of the key's index.
    pub(super) equals: Option<String>,
    /// Whether the caller may read it.
    pub(super) can_select: bool,
    /// Whether the caller may give it in an insert.
    pub(super) can_insert: bool,
    /// Whether the caller may set it.
    pub(super) can_update: bool,
}

impl TableColumn {
    /// Whether the caller may do anything with it.
    fn has_any_right(&self) -> bool {
        self.can_select || self.can_insert || self.can_update
    }
}

/// A synced table and what the caller may do with it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Its number in the catalog of synced tables.
    pub(super) id: i64,
    /// Its oid.
    pub(super) oid: i64,
    /// Schema-qualified and quoted.
    pub(super) relation: String,
    /// The table of its clocks, qualified.
    pub(super) clocks: String,
    /// The key columns, in key order.
    pub(super) keys: Vec<TableColumn>,
    /// The other columns, generated ones left out.
    pub(super) columns: Vec<TableColumn>,
    /// What the core knows of it.
    pub(super) schema: TableSchema,
    /// Whether the caller may delete rows.
    pub(super) can_delete: bool,
    /// Whether row triggers see a row before it is written, and may change it.
    pub(super) has_before_triggers: bool,
    /// Whether a constraint of the table, or one that refers to it, can be deferred.
    pub(super) has_deferrable: bool,
    /// Whether policies may hide rows from the caller.
    pub(super) has_row_security: bool,
    /// Whether values that lose a merge are kept.
    pub(super) keeps_conflicts: bool,
    /// Which rows take part in sync; `None`: all.
    pub(super) filter: Option<Filter>,
    /// The columns whose text is merged by lines. Those of them that the caller may not read are not among
    /// the schema's: of them it writes whole values, as merging would tell what they hold.
    pub(super) lines: Vec<ColumnId>,
}

impl Table {
    /// Whether the caller may read at least the keys, and what decides which rows take part in sync.
    pub(super) fn can_select(&self) -> bool {
        self.keys.iter().all(|column| column.can_select)
            && self.filter.as_ref().is_none_or(|filter| filter.is_readable)
    }

    /// Whether there may be rows that the caller does not see.
    pub(super) fn hides_rows(&self) -> bool {
        self.has_row_security || self.filter.is_some()
    }

    /// Whether the caller may update anything.
    pub(super) fn can_update(&self) -> bool {
        self.columns.iter().any(|column| column.can_update)
    }

    /// Whether the caller may do anything at all.
    pub(super) fn has_any_right(&self) -> bool {
        self.can_delete || self.keys.iter().chain(&self.columns).any(TableColumn::has_any_right)
    }

    /// The column with that number.
    pub(super) fn column(&self, id: ColumnId) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// The columns the caller may read.
    pub(super) fn readable(&self) -> impl Iterator<Item = &TableColumn> {
        self.columns.iter().filter(|column| column.can_select)
    }
}

/// Finds the synced tables of these names (`None`: all of them), parents before children. A name is the one
/// under which a table is synced, or its schema and name in the form of
/// [`QualifiedName::to_wire`](cloudsync_shared::qualified::QualifiedName::to_wire). Told so, a table on which
/// the caller has no right at all is not found: its name says no more than that of a table that is not there.
///
/// # Errors
/// A table is named in both ways, or the catalog cannot be read.
pub(super) fn find_tables(mode: Mode, names: Option<&[String]>) -> Result<Vec<Table>, PgError> {
    let entries = AsOwner::run(|| entries::read(mode, names))?;
    let oids: Vec<i64> = entries.iter().map(|entry| entry.oid).collect();
    let mut attributes = read_attributes(mode, &oids)?;
    let references = read_references(mode, &oids)?;
    let facts = query(mode, RELATIONS, vec![Arg::Longs(oids)], |row| {
        Ok((row.known_long(1)?, row.known_text(2)?, row.flag(3)?, row.flag(4)?, row.flag(5)?, row.flag(6)?))
    })?;
    let mut filters = filter::read(mode)?;
    let numbers = entries.iter().filter_map(|entry| i32::try_from(entry.id).ok()).collect();
    let settings = texts::read_settings(numbers)?;
    let mut tables = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some((oid, relation, can_delete, has_before_triggers, has_deferrable, has_row_security)) =
            facts.iter().find(|fact| fact.0 == entry.oid).cloned()
        else {
            continue;
        };
        let own: Vec<Attribute> = attributes.extract_if(.., |attribute| attribute.oid == oid).collect();
        let (keys, columns) = split_keys(own);
        if entry.is_by_schema && !can_delete && !keys.iter().chain(&columns).any(TableColumn::has_any_right) {
            continue;
        }
        let filter = filter::take(&mut filters, entry.id, &entry.name)?;
        let named = columns.iter().map(|column| (column.name.as_str(), column.id));
        let texts = texts::texts_of(&settings, i32::try_from(entry.id).unwrap_or_default(), named);
        let schema = TableSchema {
            name: entry.name,
            algorithm: entry.algorithm,
            key: keys.iter().map(|column| column.name.clone()).collect(),
            columns: columns
                .iter()
                .map(|column| Column { name: column.name.clone(), id: column.id })
                .collect(),
            texts: texts
                .iter()
                .filter(|(id, _)| columns.iter().any(|column| column.id == *id && column.can_select))
                .cloned()
                .collect(),
        };
        tables.push(Table {
            id: entry.id,
            oid,
            relation,
            clocks: format!("cloudsync.clock_{}", entry.id),
            keys,
            columns,
            schema,
            can_delete,
            has_before_triggers,
            has_deferrable,
            has_row_security,
            keeps_conflicts: entry.keeps_conflicts,
            filter,
            lines: texts.into_iter().map(|(id, _)| id).collect(),
        });
    }
    check_named_once(&tables)?;
    Ok(parents_first(tables, &references))
}

/// What is done by name would be done twice to one table, unaware of the other time.
fn check_named_once(tables: &[Table]) -> Result<(), PgError> {
    for (at, table) in tables.iter().enumerate() {
        if let Some(other) = tables.iter().skip(at + 1).find(|other| other.id == table.id) {
            let (one, two, relation) = (&table.schema.name, &other.schema.name, &table.relation);
            let message = format!("{one} and {two} are one table here, {relation}: sync it by one name");
            return Err(PgError::new(SqlState::INVALID_PARAMETER, message));
        }
    }
    Ok(())
}

struct Attribute {
    oid: i64,
    key_position: Option<i64>,
    column: TableColumn,
}

fn split_keys(mut attributes: Vec<Attribute>) -> (Vec<TableColumn>, Vec<TableColumn>) {
    attributes.sort_by_key(|attribute| attribute.key_position);
    let (keys, columns): (Vec<_>, Vec<_>) =
        attributes.into_iter().partition(|attribute| attribute.key_position.is_some());
    let mut columns: Vec<TableColumn> = columns.into_iter().map(|attribute| attribute.column).collect();
    columns.sort_by_key(|column| column.id);
    (keys.into_iter().map(|attribute| attribute.column).collect(), columns)
}

fn read_attributes(mode: Mode, oids: &[i64]) -> Result<Vec<Attribute>, PgError> {
    let keys = query(mode, KEYS, vec![Arg::Longs(oids.to_vec())], |row| {
        Ok(((row.known_long(1)?, row.known_long(2)?), (row.known_long(3)?, row.known_text(4)?)))
    })?;
    let keys: HashMap<(i64, i64), (i64, String)> = keys.into_iter().collect();
    query(mode, ATTRIBUTES, vec![Arg::Longs(oids.to_vec())], |row| {
        let (oid, number) = (row.known_long(1)?, row.known_long(2)?);
        let key = keys.get(&(oid, number));
        let type_name = row.known_text(5)?;
        let system_name = row.flag(6)?.then_some(type_name.as_str());
        let id = u16::try_from(number).map_err(|_| PgError::internal("a column has no number"))?;
        let kind = Kind::of(system_name, row.flag(7)?, row.known_long(8)?);
        Ok(Attribute {
            oid,
            key_position: key.map(|(position, _)| *position),
            column: TableColumn {
                name: row.known_text(3)?,
                quoted: row.known_text(9)?,
                id: ColumnId(id),
                kind: ColumnType {
                    kind: if key.is_some() { kind.in_key() } else { kind },
                    name: row.known_text(4)?,
                    length: row.text(13)?.unwrap_or_default(),
                },
                equals: key.map(|(_, equals)| equals.clone()),
                can_select: row.flag(10)?,
                can_insert: row.flag(11)?,
                can_update: row.flag(12)?,
            },
        })
    })
}

/// One row for each living, stored column of the tables `$1`: its type with domains resolved, and the
/// caller's rights.
const ATTRIBUTES: &str = r#"
SELECT CAST(a.attrelid AS pg_catalog.int8), CAST(a.attnum AS pg_catalog.int8), CAST(a.attname AS pg_catalog.text),
    pg_catalog.format('%I.%I', n.nspname, t.typname), CAST(t.typname AS pg_catalog.text),
    n.nspname OPERATOR(pg_catalog.=) 'pg_catalog', t.typtype OPERATOR(pg_catalog.=) 'e',
    CASE WHEN own.typtype OPERATOR(pg_catalog.=) 'd' THEN 0 ELSE CAST(a.atttypmod AS pg_catalog.int8) END,
    pg_catalog.quote_ident(a.attname),
    s.open AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
    s.open AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
    s.open AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),
    pg_catalog.substring(pg_catalog.format_type(t.oid, base.modifier), '\([^)]*\)')
FROM pg_catalog.pg_attribute a
JOIN (SELECT r.oid, pg_catalog.has_schema_privilege(r.relnamespace, 'USAGE') AS open FROM pg_catalog.pg_class r) s
    ON s.oid OPERATOR(pg_catalog.=) a.attrelid
JOIN pg_catalog.pg_type own ON own.oid OPERATOR(pg_catalog.=) a.atttypid
CROSS JOIN LATERAL (
    WITH RECURSIVE d(type, kind, modifier) AS (
        SELECT own.oid, own.typtype, a.atttypmod
        UNION ALL
        SELECT b.oid, b.typtype, CASE WHEN c.typtypmod OPERATOR(pg_catalog.>=) 0 THEN c.typtypmod ELSE d.modifier END
        FROM d JOIN pg_catalog.pg_type c ON c.oid OPERATOR(pg_catalog.=) d.type
        JOIN pg_catalog.pg_type b ON b.oid OPERATOR(pg_catalog.=) c.typbasetype
        WHERE d.kind OPERATOR(pg_catalog.=) 'd'
    )
    SELECT d.type, d.modifier FROM d WHERE d.kind OPERATOR(pg_catalog.<>) 'd' LIMIT 1
) base
JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) base.type
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
WHERE a.attrelid OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.oid[]))
    AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND a.attgenerated OPERATOR(pg_catalog.=) ''"#;

/// Each primary key column of the tables `$1`: its number, its place, and the operator by which the
/// key's index compares it.
const KEYS: &str = r"
SELECT CAST(x.indrelid AS pg_catalog.int8), CAST(x.attnum AS pg_catalog.int8), x.position,
    pg_catalog.format('OPERATOR(%I.%s)', s.nspname, o.oprname)
FROM (
    SELECT i.indrelid, u.attnum, u.class, u.position
    FROM pg_catalog.pg_index i
    CROSS JOIN LATERAL ROWS FROM (
        pg_catalog.unnest(CAST(i.indkey AS pg_catalog.int2[])), pg_catalog.unnest(CAST(i.indclass AS pg_catalog.oid[]))
    ) WITH ORDINALITY AS u(attnum, class, position)
    WHERE i.indrelid OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.oid[])) AND i.indisprimary
    OFFSET 0
) AS x
JOIN pg_catalog.pg_opclass c ON c.oid OPERATOR(pg_catalog.=) x.class
JOIN pg_catalog.pg_amop m ON m.amopfamily OPERATOR(pg_catalog.=) c.opcfamily
    AND m.amoplefttype OPERATOR(pg_catalog.=) c.opcintype AND m.amoprighttype OPERATOR(pg_catalog.=) c.opcintype
    AND m.amopstrategy OPERATOR(pg_catalog.=) 3
JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) m.amopopr
JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) o.oprnamespace";

/// For each table of `$1`: name, right to delete, triggers that may change a row, deferrable constraints.
const RELATIONS: &str = r"
SELECT CAST(r.oid AS pg_catalog.int8), pg_catalog.format('%I.%I', n.nspname, r.relname),
    pg_catalog.has_table_privilege(r.oid, 'DELETE') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
    EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) r.oid
        AND NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.<>) 'D'
        AND (t.tgtype OPERATOR(pg_catalog.&) CAST(3 AS pg_catalog.int2)) OPERATOR(pg_catalog.=) 3),
    EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) r.oid AND t.tgdeferrable),
    pg_catalog.row_security_active(r.oid)
FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace
WHERE r.oid OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.oid[]))";

fn read_references(mode: Mode, oids: &[i64]) -> Result<Vec<(i64, i64)>, PgError> {
    query(mode, REFERENCES, vec![Arg::Longs(oids.to_vec())], |row| {
        Ok((row.known_long(1)?, row.known_long(2)?))
    })
}

/// Child and parent of each foreign key between tables of `$1`.
const REFERENCES: &str = r"
SELECT CAST(c.conrelid AS pg_catalog.int8), CAST(c.confrelid AS pg_catalog.int8)
FROM pg_catalog.pg_constraint c
WHERE c.contype OPERATOR(pg_catalog.=) 'f' AND c.conrelid OPERATOR(pg_catalog.<>) c.confrelid
    AND c.conrelid OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.oid[]))
    AND c.confrelid OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.oid[]))";

/// Sorts so that a table comes after those that it refers to; in a cycle the catalog's order stays.
fn parents_first(mut rest: Vec<Table>, references: &[(i64, i64)]) -> Vec<Table> {
    let mut sorted = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let is_free = |table: &Table| {
            !references
                .iter()
                .any(|(child, parent)| *child == table.oid && rest.iter().any(|other| other.oid == *parent))
        };
        let next = rest.iter().position(is_free).unwrap_or(0);
        sorted.push(rest.remove(next));
    }
    sorted
}
