//! What a sync needs of a network: two calls, bytes in, bytes out.

use crate::error::Result;

/// A way to the server's two protocol functions. One implementer a kind of address.
pub trait Transport {
    /// Calls `cloudsync_push` with a message of the wire format and returns its answer.
    ///
    /// # Errors
    /// The server could not be reached, or refused the call as a whole.
    fn push(&mut self, request: &[u8]) -> Result<Vec<u8>>;

    /// Calls `cloudsync_pull` with a message of the wire format and returns its answer.
    ///
    /// # Errors
    /// As [`Transport::push`].
    fn pull(&mut self, request: &[u8]) -> Result<Vec<u8>>;

    /// How many bytes of values one request or answer should hold, before compression.
    fn chunk_bytes(&self) -> usize;
}
