//! Messages to bytes and back. See docs/wire-format.md for the format, byte by byte.

use crate::error::{Error, Result};
use crate::message::Message;

/// Encodes a message.
///
/// # Errors
/// A limit of the format is exceeded.
pub fn encode(_message: &Message) -> Result<Vec<u8>> {
    Err(Error::unsupported("not yet"))
}

/// Decodes a message. It is read as a whole before anything of it is used.
///
/// # Errors
/// The bytes are damaged, of a newer version, or exceed a limit.
pub fn decode(_bytes: &[u8]) -> Result<Message> {
    Err(Error::unsupported("not yet"))
}
