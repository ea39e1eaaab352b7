//! Whether a table can be synced, and everything that speaks against it in one error.

use pgrx::{Spi, pg_sys};

use crate::catalog;
use crate::error::{PgError, Result, SqlState};
use crate::ffi::owner::AsOwner;
use crate::setup::Options;

/// What the checks need to know of a table.
pub struct Facts {
    /// Schema and name as SQL text.
    pub qualified: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    kind: String,
    persistence: String,
    partition: bool,
    inherits: bool,
    system: bool,
    extension: Option<String>,
}

const FACTS: &str = "\
    SELECT n.nspname::text, c.relname::text, quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
        c.relkind::text, c.relpersistence::text, c.relispartition, \
        EXISTS (SELECT FROM pg_inherits h WHERE (h.inhparent = c.oid AND c.relkind <> 'p') \
            OR (h.inhrelid = c.oid AND NOT c.relispartition)), \
        n.nspname IN ('pg_catalog', 'information_schema', 'cloudsync') OR n.nspname LIKE 'pg\\_toast%', \
        (SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid \
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' LIMIT 1) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";

/// Reads them.
///
/// # Errors
/// The table does not exist.
pub fn facts(relation: pg_sys::Oid) -> Result<Facts> {
    let _owner = AsOwner::enter()?;
    let read = Spi::connect(|client| {
        let row = client.select(FACTS, Some(1), &[relation.into()])?;
        if row.is_empty() {
            return Ok(None);
        }
        let row = row.first();
        let text = |at| row.get::<String>(at).map(Option::unwrap_or_default);
        let flag = |at| row.get::<bool>(at).map(|flag| flag.unwrap_or(true));
        Ok::<_, pgrx::spi::Error>(Some(Facts {
            schema: text(1)?,
            name: text(2)?,
            qualified: text(3)?,
            kind: text(4)?,
            persistence: text(5)?,
            partition: flag(6)?,
            inherits: flag(7)?,
            system: flag(8)?,
            extension: row.get(9)?,
        }))
    })?;
    read.ok_or_else(|| PgError::new(SqlState::UNDEFINED_TABLE, "the table does not exist any more"))
}

/// Checks a table.
///
/// # Errors
/// All that speaks against it, in one error.
pub fn check(relation: pg_sys::Oid, facts: &Facts, options: Options) -> Result<()> {
    if let Some(what) = wrong_object(facts) {
        return Err(PgError::new(
            SqlState::WRONG_OBJECT,
            format!("{} cannot be synced: {what}", facts.qualified),
        ));
    }
    let problems = key_problems(relation, options)?;
    let problems: Vec<String> = problems.into_iter().chain(column_problems(relation, options)?).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(PgError::new(
        SqlState::INVALID_TABLE,
        format!("table {} cannot be synced: {}", facts.qualified, problems.join("; ")),
    ))
}

fn wrong_object(facts: &Facts) -> Option<String> {
    let kind = match facts.kind.as_str() {
        "r" | "p" => None,
        "v" => Some("it is a view"),
        "m" => Some("it is a materialized view"),
        "f" => Some("it is a foreign table"),
        _ => Some("it is not a table"),
    };
    let state = match facts.persistence.as_str() {
        "t" => Some("it is a temporary table"),
        "u" => Some("it is unlogged, and a crash empties it unseen: ALTER TABLE ... SET LOGGED"),
        _ => None,
    };
    let place = if facts.system {
        Some("it is a system table")
    } else if facts.partition {
        Some("it is a partition: sync the partitioned table")
    } else if facts.inherits {
        Some("it takes part in table inheritance, where keys are not unique")
    } else {
        None
    };
    let extension = facts.extension.as_ref().map(|name| format!("it belongs to extension {name}"));
    kind.or(state).or(place).map(str::to_owned).or(extension)
}

/// Types whose equal values have one text, so that a key reads the same on every replica.
const KEY_TYPES: &str = "\
    SELECT format_type(a.atttypid, a.atttypmod), \
        b.oid::regtype::text IN ('boolean', 'smallint', 'integer', 'bigint', 'numeric', 'text', \
            'character varying', 'character', 'name', 'uuid', 'bytea', 'date', 'time without time zone', \
            'timestamp without time zone', 'timestamp with time zone') \
            OR b.typtype = 'e', \
        COALESCE(am.amopmethod IS NOT NULL AND (o.oprcanmerge OR o.oprcanhash), false) \
            AND NOT EXISTS (SELECT FROM pg_collation co WHERE co.oid = a.attcollation AND NOT co.collisdeterministic) \
    FROM pg_attribute a JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
    CROSS JOIN LATERAL (SELECT k.place FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place) \
        WHERE k.attnum = a.attnum AND k.place <= i.indnkeyatts) k \
    CROSS JOIN LATERAL (WITH RECURSIVE base(oid, typtype, typbasetype, typname) AS (\
            SELECT t.oid, t.typtype, t.typbasetype, t.typname FROM pg_type t WHERE t.oid = a.atttypid \
            UNION ALL SELECT t.oid, t.typtype, t.typbasetype, t.typname FROM base \
                JOIN pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd') \
        SELECT * FROM base WHERE typtype <> 'd') b \
    JOIN pg_opclass oc ON oc.oid = i.indclass[k.place::int - 1] \
    LEFT JOIN pg_amop am ON am.amopfamily = oc.opcfamily AND am.amopstrategy = 3 \
        AND am.amoplefttype = oc.opcintype AND am.amoprighttype = oc.opcintype \
    LEFT JOIN pg_operator o ON o.oid = am.amopopr \
    WHERE a.attrelid = $1 AND a.attname = $2";

fn key_problems(relation: pg_sys::Oid, options: Options) -> Result<Vec<String>> {
    let (key, _) = catalog::columns(relation)?;
    if key.is_empty() {
        return Ok(vec!["it has no PRIMARY KEY, and rows need a name that all replicas share".to_owned()]);
    }
    let mut problems = Vec::new();
    let _owner = AsOwner::enter()?;
    for column in &key {
        let args = [relation.into(), column.name.as_str().into()];
        let (name, carried, joins) = Spi::connect(|client| {
            client.select(KEY_TYPES, Some(1), &args)?.first().get_three::<String, bool, bool>()
        })?;
        if carried != Some(true) {
            let name = name.unwrap_or_else(|| column.type_name.clone());
            problems.push(format!(
                "key column {} has type {name}, whose equal values have no single form: use text, uuid, an \
                 integer, numeric, a date or a timestamp",
                column.name
            ));
        } else if joins != Some(true) {
            problems.push(format!(
                "key column {} is compared by an operator that cannot be joined on, or by a collation that is not \
                 deterministic, so that different texts are one key",
                column.name
            ));
        }
    }
    let integers = [pg_sys::INT2OID, pg_sys::INT4OID, pg_sys::INT8OID];
    if let [only] = key.as_slice()
        && integers.contains(&only.type_oid)
        && !options.allows_integer_key()
    {
        problems.push(format!(
            "its key {} is a single integer, which two replicas may both give to different rows: use a UUID \
             (cloudsync_uuid()), or pass flags 1 if the application makes keys unique",
            only.name
        ));
    }
    Ok(problems)
}

fn column_problems(relation: pg_sys::Oid, options: Options) -> Result<Vec<String>> {
    if options.allows_not_null() {
        return Ok(Vec::new());
    }
    let (_, columns) = catalog::columns(relation)?;
    let problem = columns.iter().filter(|column| column.not_null && !column.has_default).map(|column| {
        format!(
            "column {} is NOT NULL without a DEFAULT, so a row that arrives in parts has no value for it: add a \
             DEFAULT, or pass flags 2",
            column.name
        )
    });
    Ok(problem.collect())
}
