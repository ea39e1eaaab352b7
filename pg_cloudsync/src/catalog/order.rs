//! Parents before children: the order in which rows of several tables can be written.

use std::collections::HashSet;

use pgrx::{Spi, pg_sys};

use super::{SyncedTable, required};
use crate::error::{PgError, Result};
use crate::ffi::owner::AsOwner;

/// A table and the table that it refers to.
pub(super) struct Edge {
    child: pg_sys::Oid,
    parent: pg_sys::Oid,
}

const FOREIGN_KEYS: &str = "\
    SELECT DISTINCT f.conrelid, f.confrelid FROM pg_constraint f \
    JOIN cloudsync.tables c ON c.relation = f.conrelid JOIN cloudsync.tables p ON p.relation = f.confrelid \
    WHERE f.contype = 'f' AND f.conrelid <> f.confrelid";

pub(super) fn foreign_keys() -> Result<Vec<Edge>> {
    let _owner = AsOwner::enter()?;
    Spi::connect(|client| {
        let mut edges = Vec::new();
        for row in client.select(FOREIGN_KEYS, None, &[])? {
            edges.push(Edge { child: required(row.get(1)?)?, parent: required(row.get(2)?)? });
        }
        Ok::<_, PgError>(edges)
    })
}

/// Sorts tables that come sorted by name; where a circle leaves no table without unplaced parents,
/// the first by name is next.
pub(super) fn parents_first(mut waiting: Vec<SyncedTable>, edges: &[Edge]) -> Vec<SyncedTable> {
    let mut placed = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let open: HashSet<pg_sys::Oid> = waiting.iter().map(|table| table.relation).collect();
        let is_free = |table: &SyncedTable| {
            !edges.iter().any(|edge| edge.child == table.relation && open.contains(&edge.parent))
        };
        let next = waiting.iter().position(is_free).unwrap_or(0);
        placed.push(waiting.remove(next));
    }
    placed
}
