//! Every limit of the wire format, each counted over one message unless its text says otherwise.
//!
//! Writing a message beyond a limit and reading one are both errors of kind
//! [`LimitExceeded`](crate::error::ErrorKind::LimitExceeded). The limits bound what a reader may be
//! made to allocate; no ordinary message comes near them.

use crate::hlc::{Millis, Version};

/// The longest body before compression, in bytes: 64 MiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The most tables in one batch, list of names, list of results or list of row-id sets.
pub const MAX_TABLES: usize = 4096;

/// The most columns, over all tables.
pub const MAX_COLUMNS: usize = 1 << 16;

/// The most rows, or results of rows.
pub const MAX_ROWS: usize = 1 << 20;

/// The most cells.
pub const MAX_CELLS: usize = 1 << 22;

/// The most different sites.
pub const MAX_SITES: usize = 1 << 20;

/// The longest name of a table or column, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 1024;

/// The longest text of a snapshot, in bytes: room for some 6,000 transactions in progress.
pub const MAX_SNAPSHOT_BYTES: usize = 128 * 1024;

/// The longest message of a refusal, in bytes of UTF-8. Whoever makes a refusal cuts it before.
pub const MAX_REFUSAL_BYTES: usize = 16 * 1024;

/// The longest script of `CREATE TABLE` statements, in bytes of UTF-8.
pub const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// The most row ids in the sets.
pub const MAX_IDS: u64 = 1 << 28;

/// The most runs of consecutive row ids in the sets.
pub const MAX_ID_RUNS: usize = 1 << 22;

/// The most blocks of 65,536 row ids (all that are equal but for their last 16 bits) that the sets
/// have ids in. Servers mint ids densely; ids strewn over the whole range are the dearest to hold.
pub const MAX_ID_BLOCKS: usize = 1 << 20;

/// The latest time of a server's clock: what a version can hold, the year 6429.
pub const MAX_MILLIS: Millis = Millis(Version::MAX.0 >> 16);
