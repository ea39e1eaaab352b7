//! Triggers on tables that policies read, so that a pull need not look at all their rows to find out
//! whether one was written.
//!
//! A table is watched if whoever sets a synced table up may create triggers on it. The others, and
//! partitioned ones, whose partitions can be written by themselves, are looked at by each pull.

use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};

use super::run;
use crate::capture::{NEW_ROWS, OLD_ROWS};
use crate::error::{PgError, Result};
use crate::protocol::relations_read;

/// Name, event and transition table of each trigger.
fn kinds() -> [(&'static str, &'static str, String); 4] {
    [
        ("cloudsync_watch_insert", "AFTER INSERT", format!("REFERENCING NEW TABLE AS {NEW_ROWS}")),
        ("cloudsync_watch_update", "AFTER UPDATE", format!("REFERENCING NEW TABLE AS {NEW_ROWS}")),
        ("cloudsync_watch_delete", "AFTER DELETE", format!("REFERENCING OLD TABLE AS {OLD_ROWS}")),
        ("cloudsync_watch_truncate", "AFTER TRUNCATE", String::new()),
    ]
}

/// Watches what the policies of a synced table read, as far as `caller` may, and ceases to watch what
/// none reads any more. To be called as the extension's owner.
///
/// # Errors
/// The catalog cannot be read, or a trigger cannot be made.
pub(super) fn renew(relation: pg_sys::Oid, caller: pg_sys::Oid) -> Result<()> {
    let sql = "SELECT format('%I.%I', n.nspname, c.relname), c.oid \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.oid = ANY ($1::oid[]) AND c.relkind = 'r' AND has_table_privilege($2, c.oid, 'TRIGGER') \
            AND NOT EXISTS (SELECT FROM cloudsync.watched w WHERE w.relation = c.oid)";
    let read = relations_read(vec![i64::from(relation.to_u32())])?;
    for (name, oid) in named(sql, &[read.into(), caller.into()])? {
        let args: [DatumWithOid<'_>; 1] = [oid.into()];
        super::run_with("INSERT INTO cloudsync.watched (relation) VALUES ($1)", &args)?;
        for (trigger, event, rows) in kinds() {
            run(&format!(
                "CREATE OR REPLACE TRIGGER {trigger} {event} ON {name} {rows} \
                 FOR EACH STATEMENT EXECUTE FUNCTION cloudsync.note_write()"
            ))?;
            run(&format!("ALTER TABLE ONLY {name} ENABLE ALWAYS TRIGGER {trigger}"))?;
        }
    }
    sweep()
}

/// Ceases to watch what no policy of a synced table reads. To be called as the extension's owner.
///
/// # Errors
/// The catalog cannot be read, or a trigger cannot be dropped.
pub(super) fn sweep() -> Result<()> {
    let synced = Spi::connect(|client| {
        let mut oids = Vec::new();
        for row in client.select("SELECT relation::int8 FROM cloudsync.tables", None, &[])? {
            oids.extend(row.get::<i64>(1)?);
        }
        Ok::<_, PgError>(oids)
    })?;
    let read = relations_read(synced)?;
    let sql = "SELECT CASE WHEN c.oid IS NULL THEN '' ELSE format('%I.%I', n.nspname, c.relname) END, w.relation \
        FROM cloudsync.watched w LEFT JOIN pg_class c ON c.oid = w.relation \
            LEFT JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE w.relation <> ALL ($1::oid[])";
    for (name, oid) in named(sql, &[read.into()])? {
        for (trigger, ..) in kinds() {
            // A table that was dropped has taken its triggers along.
            if !name.is_empty() {
                run(&format!("DROP TRIGGER IF EXISTS {trigger} ON {name}"))?;
            }
        }
        super::run_with("DELETE FROM cloudsync.watched WHERE relation = $1", &[oid.into()])?;
    }
    Ok(())
}

fn named(sql: &str, args: &[DatumWithOid<'_>]) -> Result<Vec<(String, pg_sys::Oid)>> {
    Spi::connect(|client| {
        let mut found = Vec::new();
        for row in client.select(sql, None, args)? {
            found.extend(row.get::<String>(1)?.zip(row.get::<pg_sys::Oid>(2)?));
        }
        Ok(found)
    })
}
