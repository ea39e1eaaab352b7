//! The triggers that note local writes in a table's journal: SQL alone, so that a connection
//! without the extension can write too. Only those of tables with the setting `atomic` need it, for they
//! note the transaction besides.
//!
//! None of the statements can meet a conflict, so an `OR …` clause of the user's statement, which
//! overrides the one of a trigger's, has nothing to act on.

use cloudsync_shared::schema::Algorithm;
use rusqlite::Connection;

use crate::catalog::{Affinity, ColumnInfo, UniqueIndex};
use crate::error::Result;
use crate::table::{MASK_BITS, Table, journal_table};
use crate::texts::before;
use crate::transaction;
use crate::{buried, quote};

/// Journal: the row was inserted, or replaced as a whole.
pub const OP_INSERT: i64 = 0;
/// Journal: the row was deleted.
pub const OP_DELETE: i64 = 1;
/// Journal: REPLACE may have removed the row, which no trigger would tell: look.
pub const OP_HINT: i64 = 2;
/// Journal: a row is about to be written, or may be, that the filter did not let out.
pub const OP_HINT_PRIVATE: i64 = 6;
/// Journal: columns were set; the mask stands above these two bits.
pub const OP_UPDATE: i64 = 3;

/// The present in milliseconds since 1970.
const NOW: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
/// True unless remote changes are being applied.
pub const NOT_APPLYING: &str = "NOT EXISTS (SELECT 1 FROM cloudsync_guard)";
/// Every trigger of ours is called so, the table's name at the end.
const PREFIX: &str = "cloudsync_";

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The statement that creates it.
    pub sql: String,
}

/// The triggers that a table should have now.
pub fn triggers(table: &Table) -> Vec<Trigger> {
    let mut all = Vec::new();
    if !table.synced.enabled {
        return all;
    }
    all.push(after(table, "insert", "", &[note(table, OP_INSERT, "NEW")]));
    if table.synced.algorithm == Algorithm::Gos {
        all.push(refusal(table, "UPDATE"));
        all.push(refusal(table, "DELETE"));
    } else {
        let mut moved = vec![note(table, OP_INSERT, "NEW")];
        if table.synced.filter.is_none() {
            all.push(after(table, "delete", "", &[note(table, OP_DELETE, "OLD")]));
            moved.insert(0, note(table, OP_DELETE, "OLD"));
        }
        all.push(after(table, "update", &same_key(table, "NEW", "OLD"), &[note_update(table)]));
        all.push(
            after(table, "update", &format!("NOT ({})", same_key(table, "NEW", "OLD")), &moved)
                .renamed("rekey"),
        );
        all.extend(before::triggers(table));
    }
    for (number, index) in table.info.unique.iter().enumerate() {
        all.extend(eviction_hints(table, number, index));
    }
    all.extend(null_key_refusals(table));
    if table.synced.filter.is_some() && table.synced.algorithm != Algorithm::Gos {
        all.extend(looks(table));
    }
    all
}

/// Makes the table's triggers what [`triggers`] says.
///
/// # Errors
/// The database cannot be written.
pub fn rebuild(conn: &Connection, table: &Table) -> Result<()> {
    let wanted = triggers(table);
    let present = present(conn, &table.info.name)?;
    for old in present.iter().filter(|old| !wanted.contains(old)) {
        conn.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", quote::main(&old.name)))?;
    }
    for new in wanted.iter().filter(|new| !present.contains(new)) {
        // A temporary table of the same name must not get the trigger.
        conn.execute_batch(&new.sql.replacen("CREATE TRIGGER ", "CREATE TRIGGER main.", 1))?;
    }
    Ok(())
}

/// Removes all triggers of ours from a table.
///
/// # Errors
/// The database cannot be written.
pub fn drop_all(conn: &Connection, table: &str) -> Result<()> {
    for trigger in present(conn, table)? {
        conn.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", quote::main(&trigger.name)))?;
    }
    Ok(())
}

fn present(conn: &Connection, table: &str) -> Result<Vec<Trigger>> {
    let sql = "SELECT name, sql FROM main.sqlite_schema
               WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND name LIKE 'cloudsync\\_%' ESCAPE '\\'";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([table], |row| Ok(Trigger { name: row.get(0)?, sql: row.get(1)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Trigger {
    /// The trigger for `event` on a table that runs `body` if `when` holds, `what` in its name.
    pub fn new(table: &Table, what: &str, event: &str, when: &str, body: &str) -> Trigger {
        let name = format!("{PREFIX}{what}_{}", table.info.name);
        // Just as SQLite stores it, since `rebuild` compares the two.
        let sql = format!(
            "CREATE TRIGGER {} {event} ON {} WHEN {when} BEGIN {body} END",
            quote::ident(&name),
            quote::ident(&table.info.name)
        );
        Trigger { name, sql }
    }

    fn renamed(self, what: &str) -> Trigger {
        let name = self.name.replacen("after_update", what, 1);
        let sql = self.sql.replacen("cloudsync_after_update", &format!("{PREFIX}{what}"), 1);
        Trigger { name, sql }
    }
}

fn after(table: &Table, event: &str, condition: &str, body: &[String]) -> Trigger {
    let when = match condition {
        "" => NOT_APPLYING.to_owned(),
        condition => format!("{condition} AND {NOT_APPLYING}"),
    };
    let what = format!("after_{event}");
    Trigger::new(table, &what, &format!("AFTER {}", event.to_uppercase()), &when, &body.concat())
}

/// `INSERT INTO journal(op, at, k0, …) …;`
fn journal_insert(table: &Table, masks: &str, source: &str) -> String {
    let journal = quote::ident(&journal_table(&table.synced.name));
    let keys: Vec<String> = (0..table.info.key.len()).map(|at| format!("k{at}")).collect();
    let keys = keys.join(", ");
    match table.synced.atomic {
        false => format!("INSERT INTO {journal}(op, at, {keys}{masks}) {source};"),
        true => format!("{}INSERT INTO {journal}(txn, op, at, {keys}{masks}) {source};", transaction::ENTER),
    }
}

/// The operation with what stands before it in [`journal_insert`]'s columns.
fn operation(table: &Table, op: &str) -> String {
    match table.synced.atomic {
        false => op.to_owned(),
        true => format!("{}, {op}", transaction::NUMBER),
    }
}

fn key_list(table: &Table, row: &str) -> String {
    let names = table.info.key.iter().map(|column| format!("{row}.{}", quote::ident(&column.name)));
    names.collect::<Vec<_>>().join(", ")
}

/// True if two rows, as a trigger names them, have one key.
pub fn same_key(table: &Table, left: &str, right: &str) -> String {
    let terms = table.info.key.iter().map(|column| {
        let name = quote::ident(&column.name);
        format!("{left}.{name} IS {right}.{name}")
    });
    terms.collect::<Vec<_>>().join(" AND ")
}

fn note(table: &Table, op: i64, row: &str) -> String {
    let (mut names, mut values) = (String::new(), String::new());
    if op == OP_DELETE && buried::keeps(table) {
        for column in &table.schema.columns {
            names.push_str(&format!(", {}", buried::journal_column(column.id)));
            values.push_str(&format!(", {row}.{}", quote::ident(&column.name)));
        }
    }
    let op = operation(table, &op.to_string());
    journal_insert(table, &names, &format!("VALUES({op}, {NOW}, {}{values})", key_list(table, row)))
}

fn note_update(table: &Table) -> String {
    let groups = usize::from(table.extra_masks()) + 1;
    let mut masks: Vec<Vec<String>> = vec![Vec::new(); groups];
    for column in &table.schema.columns {
        let Some(info) = table.info.stored_columns().find(|info| info.name == column.name) else { continue };
        let bit = 1i64 << (column.id.number() % MASK_BITS);
        if let Some(group) = masks.get_mut(usize::from(column.id.number() / MASK_BITS)) {
            group.push(format!("{bit}*({})", changed(info)));
        }
    }
    let sums: Vec<String> = masks
        .into_iter()
        .map(|terms| if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") })
        .collect();
    let (first, rest) =
        sums.split_first().map_or(("0", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    let names: String = (1..groups).map(|group| format!(", m{group}")).collect();
    let values: String = rest.iter().map(|sum| format!(", {sum}")).collect();
    let op = operation(table, &format!("{OP_UPDATE} + 4*({first})"));
    let source = format!("VALUES({op}, {NOW}, {}{values})", key_list(table, "NEW"));
    journal_insert(table, &names, &source)
}

/// Whether a column's stored value changed, to the bit as far as SQL can tell.
pub fn changed(column: &ColumnInfo) -> String {
    let name = quote::ident(&column.name);
    // The column's own collation may find 'A' and 'a' equal.
    let differs = format!("NEW.{name} IS NOT OLD.{name} COLLATE BINARY");
    match column.affinity {
        Affinity::Text | Affinity::Numeric => differs,
        // 1 and 1.0 are equal but not the same; the sign of zero cannot be seen, so it counts as changed.
        Affinity::None => format!(
            "{differs} OR typeof(NEW.{name}) <> typeof(OLD.{name}) \
             OR (typeof(NEW.{name}) = 'real' AND NEW.{name} = 0.0)"
        ),
    }
}

/// Rows that a REPLACE would remove because of a unique index: without `recursive_triggers` no
/// DELETE trigger fires for them.
fn eviction_hints(table: &Table, number: usize, index: &UniqueIndex) -> Vec<Trigger> {
    let columns: Vec<&(String, String)> = index.columns.iter().flatten().collect();
    let mut terms: Vec<String> = columns
        .iter()
        .map(|(name, collation)| {
            let name = quote::ident(name);
            format!("o.{name} = NEW.{name} COLLATE {}", quote::ident(collation))
        })
        .collect();
    if let Some(condition) = &index.condition {
        terms.push(format!("({condition})"));
    }
    let equal = terms.join(" AND ");
    let body = |other: &str| {
        let table_name = quote::ident(&table.info.name);
        let keys = key_list(table, "o");
        let op = operation(table, &looked_at(table));
        journal_insert(
            table,
            "",
            &format!("SELECT {op}, {NOW}, {keys} FROM {table_name} AS o WHERE {equal} AND {other}"),
        )
    };
    // A key that SQLite has still to number reads -1 here.
    let other_than_new = match table.info.has_integer_key() {
        true => {
            let key = key_list(table, "NEW");
            format!("(NOT ({}) OR {key} = -1)", same_key(table, "o", "NEW"))
        }
        false => format!("NOT ({})", same_key(table, "o", "NEW")),
    };
    let update_of = match index.condition {
        Some(_) => "BEFORE UPDATE".to_owned(),
        None => format!("BEFORE UPDATE OF {}", quote::list(columns.iter().map(|(name, _)| name.as_str()))),
    };
    let other_than_old = format!("NOT ({})", same_key(table, "o", "OLD"));
    let insert = format!("before_insert_{number}");
    let update = format!("before_update_{number}");
    vec![
        Trigger::new(table, &insert, "BEFORE INSERT", NOT_APPLYING, &body(&other_than_new)),
        Trigger::new(table, &update, &update_of, NOT_APPLYING, &body(&other_than_old)),
    ]
}

/// Under a filter: whether it was true for a row that is about to be written or removed. That it *is* can
/// only be asked of the row where it stands, since OLD and NEW have no affinity in an expression.
fn looks(table: &Table) -> Vec<Trigger> {
    let look = |row: &str, and: &str| {
        let op = operation(table, &looked_at(table));
        let keys = quote::list(table.info.key.iter().map(|column| column.name.as_str()));
        let same = table.info.key.iter().map(|column| {
            let name = quote::ident(&column.name);
            format!("{name} = {row}.{name}")
        });
        let same = same.collect::<Vec<_>>().join(" AND ");
        let rows = quote::ident(&table.info.name);
        journal_insert(table, "", &format!("SELECT {op}, {NOW}, {keys} FROM {rows} WHERE {same}{and}"))
    };
    let moved = format!(" AND NOT ({})", same_key(table, "NEW", "OLD"));
    let update = [look("OLD", ""), look("NEW", &moved)].concat();
    vec![
        Trigger::new(table, "look_insert", "BEFORE INSERT", NOT_APPLYING, &look("NEW", "")),
        Trigger::new(table, "look_update", "BEFORE UPDATE", NOT_APPLYING, &update),
        Trigger::new(table, "look_delete", "BEFORE DELETE", NOT_APPLYING, &look("OLD", "")),
    ]
}

/// The operation of a hint about the row that a SELECT stands on.
fn looked_at(table: &Table) -> String {
    match &table.synced.filter {
        None => OP_HINT.to_string(),
        Some(filter) => format!("CASE WHEN ({filter}) THEN {OP_HINT} ELSE {OP_HINT_PRIVATE} END"),
    }
}

/// The statement that notes the insert of a row whose key is bound from parameter 1.
pub fn note_insert(table: &Table) -> String {
    let names: Vec<String> = (0..table.info.key.len()).map(|at| format!("k{at}")).collect();
    let values: Vec<String> = (1..=names.len()).map(|at| format!("?{at}")).collect();
    format!(
        "INSERT INTO {}(op, at, {}) VALUES({OP_INSERT}, {NOW}, {})",
        table.journal(),
        names.join(", "),
        values.join(", ")
    )
}

fn refusal(table: &Table, event: &str) -> Trigger {
    let message = format!("Error: {event} operation is not allowed on table {}.", table.info.name);
    let body = format!("SELECT RAISE(ABORT, {});", quote::text(&message));
    let what = format!("refuse_{}", event.to_lowercase());
    Trigger::new(table, &what, &format!("BEFORE {event}"), NOT_APPLYING, &body)
}

/// SQLite takes NULL for a key column that is not declared NOT NULL, and as often as it comes.
fn null_key_refusals(table: &Table) -> Vec<Trigger> {
    if table.info.without_rowid || table.info.has_integer_key() {
        return Vec::new();
    }
    let nullable = table.info.key.iter().filter(|column| !column.not_null);
    let terms: Vec<String> =
        nullable.map(|column| format!("NEW.{} IS NULL", quote::ident(&column.name))).collect();
    if terms.is_empty() {
        return Vec::new();
    }
    let refuse = |event: &str, operation: &str| {
        let message = format!(
            "{operation} aborted because primary key in table {} contains NULL values.",
            table.info.name
        );
        let body = format!("SELECT RAISE(ABORT, {});", quote::text(&message));
        let what = format!("null_key_{}", event.to_lowercase());
        Trigger::new(table, &what, &format!("BEFORE {event}"), &terms.join(" OR "), &body)
    };
    vec![refuse("INSERT", "Insert"), refuse("UPDATE", "Update")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudsync_shared::id::ColumnId;
    use cloudsync_shared::schema::{Column, TableSchema};

    use crate::catalog::TableInfo;
    use crate::system::SyncedTable;

    fn table(enabled: bool) -> Table {
        let column = |name: &str, declared: &str, affinity: Affinity| ColumnInfo {
            name: name.to_owned(),
            declared: declared.to_owned(),
            affinity,
            not_null: true,
            default: None,
            generated: false,
        };
        let columns = vec![column("a", "TEXT", Affinity::Text), column("b", "", Affinity::None)];
        let ids = [ColumnId(0), ColumnId(61)];
        let known =
            columns.iter().zip(ids).map(|(column, id)| Column { name: column.name.clone(), id }).collect();
        Table {
            synced: SyncedTable {
                id: 1,
                name: "t".to_owned(),
                algorithm: Algorithm::Cls,
                enabled,
                base: false,
                bulk_unsent: false,
                atomic: false,
                conflicts: false,
                filter: None,
                server_table: None,
            },
            info: TableInfo {
                name: "t".to_owned(),
                kind: "table".to_owned(),
                key: vec![column("i\"d", "TEXT", Affinity::Text)],
                key_collations: vec!["BINARY".to_owned()],
                columns,
                unique: Vec::new(),
                without_rowid: false,
            },
            schema: TableSchema {
                name: "t".to_owned(),
                algorithm: Algorithm::Cls,
                key: vec!["i\"d".to_owned()],
                columns: known,
                texts: Vec::new(),
            },
            unknown: Vec::new(),
        }
    }

    #[test]
    fn the_text_of_the_triggers() {
        let text: Vec<String> =
            triggers(&table(true)).into_iter().map(|trigger| trigger.sql.replace(NOW, "now")).collect();
        let note = "INSERT INTO \"t_cloudsync_journal\"(op, at, k0) VALUES";
        let free = "NOT EXISTS (SELECT 1 FROM cloudsync_guard)";
        let same = "NEW.\"i\"\"d\" IS OLD.\"i\"\"d\"";
        let head = "CREATE TRIGGER \"cloudsync_";
        assert_eq!(
            text,
            [
                format!(
                    "{head}after_insert_t\" AFTER INSERT ON \"t\" WHEN {free} BEGIN {note}(0, now, NEW.\"i\"\"d\"); END"
                ),
                format!(
                    "{head}after_delete_t\" AFTER DELETE ON \"t\" WHEN {free} BEGIN {note}(1, now, OLD.\"i\"\"d\"); END"
                ),
                format!(
                    "{head}after_update_t\" AFTER UPDATE ON \"t\" WHEN {same} AND {free} BEGIN \
                     INSERT INTO \"t_cloudsync_journal\"(op, at, k0, m1) \
                     VALUES(3 + 4*(1*(NEW.\"a\" IS NOT OLD.\"a\" COLLATE BINARY)), now, NEW.\"i\"\"d\", \
                     2*(NEW.\"b\" IS NOT OLD.\"b\" COLLATE BINARY OR typeof(NEW.\"b\") <> typeof(OLD.\"b\") \
                     OR (typeof(NEW.\"b\") = 'real' AND NEW.\"b\" = 0.0))); END"
                ),
                format!(
                    "{head}rekey_t\" AFTER UPDATE ON \"t\" WHEN NOT ({same}) AND {free} BEGIN \
                     {note}(1, now, OLD.\"i\"\"d\");{note}(0, now, NEW.\"i\"\"d\"); END"
                ),
            ]
        );
        assert!(triggers(&table(false)).is_empty(), "a disabled table has none");
    }

    #[test]
    fn triggers_of_an_atomic_table_note_the_transaction() {
        let mut table = table(true);
        table.synced.atomic = true;
        let insert = triggers(&table).remove(0).sql.replace(NOW, "now");
        let body = insert.split_once("BEGIN ").map(|(_, body)| body);
        assert_eq!(
            body,
            Some(
                "INSERT INTO cloudsync_transaction VALUES(NULL);\
                 INSERT INTO \"t_cloudsync_journal\"(txn, op, at, k0) \
                 VALUES(cloudsync_transaction(), 0, now, NEW.\"i\"\"d\"); END"
            )
        );
    }
}
