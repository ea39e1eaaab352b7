//! What a sync needs of a network: calls with bytes in and bytes out.

use crate::error::Result;
use crate::network::chunks::ChunkSize;
use crate::network::interrupt::Interrupt;

/// A way to the server's protocol functions. One implementer a kind of address.
pub trait Transport {
    /// Calls `cloudsync_push` with a message of the wire format and returns its answer.
    ///
    /// # Errors
    /// The server could not be reached, or refused the call as a whole; or the wait was interrupted.
    /// After one for which [`crate::error::Error::is_too_much`] holds, the same in smaller pieces may work.
    fn push(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>>;

    /// Calls `cloudsync_pull` with a message of the wire format and returns its answer.
    ///
    /// # Errors
    /// As [`Transport::push`].
    fn pull(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>>;

    /// Calls `cloudsync_pull_schema` with a JSON object and returns its answer.
    ///
    /// # Errors
    /// As [`Transport::push`].
    fn pull_schema(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>>;

    /// Calls `cloudsync_create_tables` with a message of the wire format and returns its answer.
    ///
    /// # Errors
    /// As [`Transport::push`].
    fn create_tables(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>>;

    /// How much one request or answer should hold. It is for the session to change.
    fn chunk(&mut self) -> &mut ChunkSize;

    /// Whether further calls can be made after an error.
    fn is_reusable(&self) -> bool;
}
