//! Messages to bytes and back. See docs/wire-format.md for the format, byte by byte.
//!
//! Reading is total: whatever the bytes are, the answer is a message or an error, and no claim in
//! them makes the reader allocate more than a small multiple of what is there.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod allowance;
mod batch;
mod column;
mod conflicts;
mod creation;
mod fixed;
mod groups;
mod header;
mod ids;
mod integers;
pub mod limits;
mod messages;
mod past;
mod results;
mod rows;
mod sites;
mod stream;
mod texts;
mod values;

pub use header::{FORMAT_VERSION, HEADER_BYTES, MAGIC};

use crate::error::Result;
use crate::message::Message;

/// Encodes a message. The same message gives the same bytes.
///
/// # Errors
/// A limit of the format is exceeded (see [`limits`]), or the message breaks a rule of its type,
/// such as a cell in a deleted row.
pub fn encode(message: &Message) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let kind = messages::put(&mut body, message)?;
    header::seal(kind, &body)
}

/// Decodes a message. It is read as a whole before anything of it is used.
///
/// # Errors
/// The bytes are damaged, of a newer version, or exceed a limit.
pub fn decode(bytes: &[u8]) -> Result<Message> {
    let opened = header::open(bytes)?;
    messages::read(opened.kind, &mut opened.reader()?)
}
