//! The sixteen bytes before every body, and the body's compression.
//!
//! The header keeps its shape and its checksum in all versions of the format, so that a reader can
//! tell damage from news.

use crate::error::{Error, Result};
use crate::varint::Reader;
use crate::wire::limits::MAX_BODY_BYTES;

/// The first bytes of every message.
pub const MAGIC: [u8; 4] = *b"csyn";

/// The version of the format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u8 = 1;

/// The length of the header.
pub const HEADER_BYTES: usize = 16;

/// Feature bit: the body is one zstd frame.
pub const FEATURE_ZSTD: u16 = 1;

const KNOWN_FEATURES: u16 = FEATURE_ZSTD;

/// Bodies below this are not worth the start-up of a compressor.
const MIN_COMPRESS_BYTES: usize = 256;

/// Measured on rows of eight mixed columns: see docs/wire-format.md, "Figures".
const ZSTD_LEVEL: i32 = 3;

/// No zstd frame holds more than a block of 128 KiB for each four bytes, so a message that claims
/// more is not given the memory.
const ZSTD_MAX_RATIO: usize = 32 * 1024;

/// How many bytes of the header the checksum covers: all before itself.
const CHECKED_HEADER_BYTES: usize = 12;

/// Puts a header before a body, and compresses the body if that makes it smaller.
///
/// # Errors
/// The body is longer than [`MAX_BODY_BYTES`].
pub fn seal(kind: u8, body: &[u8]) -> Result<Vec<u8>> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Error::limit("the message, in bytes before compression,", MAX_BODY_BYTES));
    }
    let compressed = if body.len() < MIN_COMPRESS_BYTES { None } else { compress(body)? };
    let (features, stored) = match &compressed {
        Some(compressed) => (FEATURE_ZSTD, compressed.as_slice()),
        None => (0, body),
    };
    let mut out = Vec::with_capacity(HEADER_BYTES + stored.len());
    out.extend_from_slice(&MAGIC);
    out.push(FORMAT_VERSION);
    out.push(kind);
    out.extend_from_slice(&features.to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let checksum = checksum(&out, stored);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(stored);
    Ok(out)
}

fn compress(body: &[u8]) -> Result<Option<Vec<u8>>> {
    let compressed = zstd::bulk::compress(body, ZSTD_LEVEL)
        .map_err(|error| Error::invalid_input(format!("the message cannot be compressed: {error}")))?;
    Ok(Some(compressed).filter(|compressed| compressed.len() < body.len()))
}

fn checksum(header: &[u8], stored: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(stored);
    hasher.finalize()
}

/// A message whose header was read and found sound.
#[derive(Debug)]
pub struct Opened<'a> {
    /// The kind of message.
    pub kind: u8,
    body: Body<'a>,
}

#[derive(Debug)]
enum Body<'a> {
    /// The whole message as it came.
    Stored(&'a [u8]),
    /// As many bytes as a header has, then the decompressed body.
    Expanded(Vec<u8>),
}

impl Opened<'_> {
    /// A reader at the body's first byte. Its offsets count the header, for a compressed body as if
    /// it had not been compressed.
    ///
    /// # Errors
    /// None in fact: the header is there.
    pub fn reader(&self) -> Result<Reader<'_>> {
        let mut reader = Reader::new(match &self.body {
            Body::Stored(bytes) => bytes,
            Body::Expanded(bytes) => bytes,
        });
        reader.take(HEADER_BYTES)?;
        Ok(reader)
    }
}

/// Checks a header and the checksum, and decompresses the body.
///
/// # Errors
/// The bytes are damaged, of a newer version, use an unknown feature, or exceed a limit.
pub fn open(bytes: &[u8]) -> Result<Opened<'_>> {
    let mut reader = Reader::new(bytes);
    if reader.array::<4>()? != MAGIC {
        return Err(Error::malformed(0, "this is not a cloudsync message"));
    }
    let (version, kind) = (reader.byte()?, reader.byte()?);
    let features = u16::from_le_bytes(reader.array()?);
    let length = u32::from_le_bytes(reader.array()?) as usize;
    let claimed = u32::from_le_bytes(reader.array()?);
    let stored = reader.take(reader.remaining())?;
    let checked = bytes.get(..CHECKED_HEADER_BYTES).unwrap_or_default();
    if checksum(checked, stored) != claimed {
        return Err(Error::malformed(CHECKED_HEADER_BYTES, "the checksum is wrong: the message was damaged"));
    }
    check_known(version, features)?;
    if length > MAX_BODY_BYTES {
        return Err(Error::limit("the message, in bytes before compression,", MAX_BODY_BYTES));
    }
    let body = if features & FEATURE_ZSTD != 0 {
        Body::Expanded(decompress(stored, length)?)
    } else if stored.len() == length {
        Body::Stored(bytes)
    } else {
        return Err(Error::malformed(8, "the body is not as long as its header says"));
    };
    Ok(Opened { kind, body })
}

fn check_known(version: u8, features: u16) -> Result<()> {
    if version == 0 {
        return Err(Error::malformed(4, "there is no version 0 of the format"));
    }
    if version > FORMAT_VERSION {
        return Err(Error::unsupported(format!(
            "the message has format version {version}, this build of cloudsync reads up to {FORMAT_VERSION}: \
             update cloudsync on this side"
        )));
    }
    let unknown = features & !KNOWN_FEATURES;
    if unknown != 0 {
        return Err(Error::unsupported(format!(
            "the message uses features (bits {unknown:#06x}) that this build of cloudsync does not know: \
             update cloudsync on this side"
        )));
    }
    Ok(())
}

/// The decompressed body behind an empty header, so that offsets are those of the whole message.
fn decompress(stored: &[u8], length: usize) -> Result<Vec<u8>> {
    let damaged = || Error::malformed(HEADER_BYTES, "the compressed body cannot be expanded");
    if length / ZSTD_MAX_RATIO > stored.len() {
        return Err(Error::malformed(8, "the body is too short for the length that its header says"));
    }
    let mut bytes = vec![0u8; HEADER_BYTES + length];
    let room = bytes.get_mut(HEADER_BYTES..).ok_or_else(damaged)?;
    let written = zstd::bulk::decompress_to_buffer(stored, room).map_err(|_| damaged())?;
    if written != length {
        return Err(Error::malformed(8, "the body is not as long as its header says"));
    }
    Ok(bytes)
}
