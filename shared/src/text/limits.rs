//! The limits of block text: reaching one is an error, and the engine then writes the value whole.

/// Lines of one text, those that were deleted included.
pub const MAX_BLOCKS: usize = 1 << 24;

/// Bytes of one text.
pub const MAX_TEXT_BYTES: usize = 1 << 30;

/// Waypoints of one document: each is a place where somebody began to insert.
pub const MAX_WAYPOINTS: usize = 1 << 20;

/// Waypoints on the way from the root to one block.
pub const MAX_DEPTH: usize = 512;

/// Up to this depth a new waypoint hangs from its neighbour; deeper ones are put side by side where
/// there is room, so that a log to which several sites append by turns does not grow deep.
pub const SOFT_DEPTH: usize = 4;

/// Bytes of a delimiter.
pub const MAX_DELIMITER_BYTES: usize = 255;

/// Numbers of blocks within a waypoint stay below this, on both sides of zero.
pub const MAX_INDEX: i64 = i64::MAX / 2;

/// Sites that one delta names.
pub const MAX_SITES: usize = 1 << 16;

/// Pairs of an old and a new line that one edit compares for likeness.
pub const MAX_LIKENESS_PAIRS: usize = 40_000;

/// Words of a changed region, old and new together, up to which an edit compares them as one text; words of
/// a greater one are compared line by line.
pub const MAX_WRAPPED_WORDS: usize = 10_000;
