//! The capture triggers of a table and, if it is partitioned, of each partition: a write that names
//! a partition does not fire the statement triggers of the table above it.

use pgrx::Spi;
use pgrx::datum::DatumWithOid;

use super::run;
use crate::capture::{NEW_ROWS, OLD_ROWS};
use crate::catalog::SyncedTable;
use crate::error::{PgError, Result};

/// Name, event and transition tables of each trigger.
fn kinds() -> [(&'static str, &'static str, String); 4] {
    [
        ("cloudsync_insert", "AFTER INSERT", format!("REFERENCING NEW TABLE AS {NEW_ROWS}")),
        (
            "cloudsync_update",
            "AFTER UPDATE",
            format!("REFERENCING OLD TABLE AS {OLD_ROWS} NEW TABLE AS {NEW_ROWS}"),
        ),
        ("cloudsync_delete", "AFTER DELETE", format!("REFERENCING OLD TABLE AS {OLD_ROWS}")),
        ("cloudsync_truncate", "BEFORE TRUNCATE", String::new()),
    ]
}

/// Makes the triggers anew. They fire under `session_replication_role = replica` too.
pub(super) fn install(table: &SyncedTable) -> Result<()> {
    for relation in relations(table)? {
        for (name, event, rows) in kinds() {
            run(&format!(
                "CREATE OR REPLACE TRIGGER {name} {event} ON {relation} {rows} \
                 FOR EACH STATEMENT EXECUTE FUNCTION cloudsync.capture('{}')",
                table.id
            ))?;
        }
        run(&format!("ALTER TABLE ONLY {relation} {}", switches(table.enabled)))?;
    }
    Ok(())
}

pub(super) fn remove(table: &SyncedTable) -> Result<()> {
    for relation in relations(table)? {
        for (name, ..) in kinds() {
            run(&format!("DROP TRIGGER IF EXISTS {name} ON {relation}"))?;
        }
    }
    Ok(())
}

pub(super) fn set_enabled(table: &SyncedTable, enabled: bool) -> Result<()> {
    for relation in relations(table)? {
        run(&format!("ALTER TABLE ONLY {relation} {}", switches(enabled)))?;
    }
    Ok(())
}

fn switches(enabled: bool) -> String {
    let verb = if enabled { "ENABLE ALWAYS TRIGGER" } else { "DISABLE TRIGGER" };
    let switches: Vec<String> = kinds().iter().map(|(name, ..)| format!("{verb} {name}")).collect();
    switches.join(", ")
}

/// The table and its partitions at every level, but those that are foreign tables.
fn relations(table: &SyncedTable) -> Result<Vec<String>> {
    if !table.partitioned {
        return Ok(vec![table.qualified.clone()]);
    }
    let sql = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) \
               FROM pg_partition_tree($1) p JOIN pg_class c ON c.oid = p.relid AND c.relkind IN ('r', 'p') \
               JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY p.level, 1";
    let args: [DatumWithOid<'_>; 1] = [table.relation.into()];
    Spi::connect(|client| {
        let mut names = Vec::new();
        for row in client.select(sql, None, &args)? {
            names.extend(row.get::<String>(1)?);
        }
        Ok::<_, PgError>(names)
    })
}
