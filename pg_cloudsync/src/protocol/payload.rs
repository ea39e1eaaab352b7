//! Payloads: changes of any sites, merged with the caller's rights. Either all of one is taken, or nothing.

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::flow::{Present, check_drift, check_written};
use cloudsync_shared::hlc::DEFAULT_MAX_DRIFT;
use cloudsync_shared::id::SiteOrdinal;
use cloudsync_shared::message::{Message, RowResult};
use cloudsync_shared::wire;
use pgrx::pg_extern;

use super::conflicts::KnownBases;
use super::push::{Passes, by_life, keys_of, results};
use super::sites::{SiteNames, sites_of};
use super::spi::Mode;
use super::table::{Table, find_tables};
use super::{cleanly, wrong_message};
use crate::error::{PgError, Result, or_report};
use crate::settings;

/// `cloudsync_payload_apply(payload bytea) RETURNS int`: how many rows the payload has, new or not.
/// Rows of tables that are not synced here are left out, with a notice.
#[pg_extern(sql = false)]
fn cloudsync_payload_apply(payload: &[u8]) -> i32 {
    or_report(cleanly(|| match wire::decode(payload)? {
        Message::Payload(changes) => apply(changes),
        _ => Err(wrong_message("this is a message between device and server, not a payload")),
    }))
}

fn apply(changes: ChangeBatch) -> Result<i32> {
    let rows = i32::try_from(changes.row_count()).unwrap_or(i32::MAX);
    let present = Present { now: settings::now(), max_drift: DEFAULT_MAX_DRIFT };
    check_drift(&changes, present)?;
    check_written(&changes)?;
    let names: Vec<String> = changes.tables.iter().map(|table| table.table.clone()).collect();
    let tables = find_tables(Mode::Write, Some(&names))?;
    let sites = SiteNames::of_payload(sites_of(&changes))?;
    let asked: Vec<_> = changes.tables.iter().map(keys_of).collect();
    let writable: Vec<Table> = tables.iter().filter(|table| table.has_any_right()).cloned().collect();
    let (alive, dead) = by_life(changes, &writable);
    let bases = KnownBases::default();
    // No device sent this, so every device is to be told of it.
    let passes = Passes { tables: &writable, present, pusher: SiteOrdinal::SELF, bases: &bases, alive, dead };
    let outcomes = passes.run(sites)?;
    for ((name, _), results) in asked.iter().zip(results(&asked, &tables, &outcomes)) {
        judge(name, results)?;
    }
    Ok(rows)
}

fn judge(table: &str, results: Vec<RowResult>) -> Result<()> {
    if results.contains(&RowResult::UnknownTable) {
        pgrx::notice!("table {table} is not synced here: its rows in the payload are left out");
    }
    let refused = results.into_iter().find_map(|result| match result {
        RowResult::Refused(refusal) => Some(refusal),
        _ => None,
    });
    let Some(refusal) = refused else { return Ok(()) };
    let detail = format!("A row of table {table} was refused, so nothing of the payload was applied.");
    Err(PgError::from(refusal).with_detail(detail))
}
