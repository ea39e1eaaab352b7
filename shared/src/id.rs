//! Identifiers and counters, one newtype each, so that two of them can never be mixed.

use std::fmt;

/// A replica: the 16 bytes of a UUID (version 7 when minted by us).
///
/// Site ids are compared as bytes, the same on every engine: they decide between two writes of
/// equal [`Version`](crate::hlc::Version).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub [u8; 16]);

impl SiteId {
    /// The id of nobody: the author of a cell that was never written.
    pub const NIL: SiteId = SiteId([0; 16]);

    /// Reads an id from its 16 bytes; `None` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<SiteId> {
        bytes.try_into().ok().map(SiteId)
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiteId({self})")
    }
}

/// A site's number inside one database: short, local, never sent. Zero is the database itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteOrdinal(pub u32);

impl SiteOrdinal {
    /// The database that holds the number.
    pub const SELF: SiteOrdinal = SiteOrdinal(0);
}

/// The server's 64-bit name of a row: dense, never reused, the same for the life of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u64);

/// A column's number inside one replica's table: stable while the column exists, never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

impl ColumnId {
    /// The bit of a column that was added to its table after the table was synced.
    ///
    /// The insert of a row wrote the columns of its time. Of a column added later it says nothing, so
    /// the row's life is not that column's stamp: a late column has a stamp of its own or was never
    /// written.
    pub const LATE: u16 = 1 << 15;

    /// The number without that bit: what orders the columns of a table and names their place in masks.
    pub fn number(self) -> u16 {
        self.0 & !ColumnId::LATE
    }

    /// Whether the column was added after its table was synced.
    pub fn is_late(self) -> bool {
        self.0 & ColumnId::LATE != 0
    }
}

/// How often a row was born and has died: odd is alive, even is deleted, zero is never seen.
///
/// Source: W. Yu, S. Rostad, *A Low-Cost Set CRDT Based on Causal Lengths*, PaPoC 2020.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CausalLength(pub u32);

impl CausalLength {
    /// A row that nobody has inserted.
    pub const NEVER: CausalLength = CausalLength(0);
    /// The first life of a row.
    pub const FIRST: CausalLength = CausalLength(1);
    /// The longest history that is accepted from outside: far beyond any real one, far below overflow.
    pub const MAX: CausalLength = CausalLength(1 << 30);

    /// Whether the row exists.
    pub fn is_alive(self) -> bool {
        self.0 % 2 == 1
    }

    /// The length after an insert: the next odd number, or the same if the row is alive.
    pub fn inserted(self) -> CausalLength {
        if self.is_alive() { self } else { CausalLength(self.0.saturating_add(1)) }
    }

    /// The length after a delete: the next even number, or the same if the row is dead already.
    pub fn deleted(self) -> CausalLength {
        if self.is_alive() { CausalLength(self.0.saturating_add(1)) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causal_length_alternates() {
        let born = CausalLength::NEVER.inserted();
        assert_eq!(born, CausalLength::FIRST);
        assert_eq!(born.inserted(), born);
        assert_eq!(born.deleted(), CausalLength(2));
        assert_eq!(born.deleted().deleted(), CausalLength(2));
        assert_eq!(born.deleted().inserted(), CausalLength(3));
    }
}
