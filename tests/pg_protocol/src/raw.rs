//! Messages that no encoder writes: bytes put together by hand, with a sound header.

use cloudsync_shared::message::Message;
use cloudsync_shared::wire;
use postgres::Client;

/// The number of a push request on the wire.
pub const PUSH_REQUEST: u8 = 2;
/// The feature bit of a body compressed by zstd.
pub const ZSTD: u16 = 1;

/// A header with a checksum that fits, and behind it `stored`, which claims to be `length` bytes.
pub fn seal(kind: u8, features: u16, length: usize, stored: &[u8]) -> Vec<u8> {
    let mut bytes = wire::MAGIC.to_vec();
    bytes.extend([wire::FORMAT_VERSION, kind]);
    bytes.extend(features.to_le_bytes());
    bytes.extend(u32::try_from(length).expect("a length fits").to_le_bytes());
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&bytes);
    checksum.update(stored);
    bytes.extend(checksum.finalize().to_le_bytes());
    bytes.extend(stored);
    bytes
}

/// The message `one` with other bytes in the place of the only one in which it differs from `other`.
///
/// # Panics
/// The two differ in more than one byte, or not at all.
pub fn patched(one: &Message, other: &Message, with: &[u8]) -> Vec<u8> {
    let body = |message| wire::encode(message).expect("a sound message")[wire::HEADER_BYTES..].to_vec();
    let (one, other) = (body(one), body(other));
    assert_eq!(one.len(), other.len());
    let places: Vec<usize> = (0..one.len()).filter(|at| one[*at] != other[*at]).collect();
    assert_eq!(places.len(), 1, "the two differ in one byte");
    let body = [&one[..places[0]], with, &one[places[0] + 1..]].concat();
    seal(PUSH_REQUEST, 0, body.len(), &body)
}

/// Pushes these bytes; the SQLSTATE of the refusal, empty if there was none.
///
/// # Panics
/// The server went away.
pub fn push(client: &mut Client, bytes: &[u8]) -> String {
    match client.query_one("SELECT cloudsync_push($1)", &[&bytes]) {
        Ok(_) => String::new(),
        Err(error) => error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned(),
    }
}
