//! Variable-length integers (LEB128) and a bounded reader over bytes from outside.

use crate::error::{Error, Result};

/// Appends an unsigned integer, seven bits a byte, least significant first.
pub fn put_u64(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed integer, zigzag encoded so that small magnitudes stay short.
pub fn put_i64(out: &mut Vec<u8>, number: i64) {
    put_u64(out, zigzag(number));
}

/// Appends a length and then the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Maps signed to unsigned integers: 0, -1, 1, -2 … become 0, 1, 2, 3 …
pub fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// A cursor over bytes that came from outside: every read is checked, no read allocates.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, length: bytes.len() }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether every byte has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// The input has ended.
    pub fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(*first)
    }

    /// Reads `count` bytes.
    ///
    /// # Errors
    /// The input is shorter.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a fixed number of bytes.
    ///
    /// # Errors
    /// The input is shorter.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Reads an unsigned varint.
    ///
    /// # Errors
    /// The input has ended or the number needs more than 64 bits.
    pub fn u64(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Error::malformed(self.offset(), "a number has more than 64 bits"))
    }

    /// Reads a signed varint.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn i64(&mut self) -> Result<i64> {
        self.u64().map(unzigzag)
    }

    /// Reads an unsigned varint that must fit 32 bits.
    ///
    /// # Errors
    /// As [`Reader::u64`], or the number is too large.
    pub fn u32(&mut self) -> Result<u32> {
        let number = self.u64()?;
        u32::try_from(number).map_err(|_| Error::malformed(self.offset(), "a number has more than 32 bits"))
    }

    /// Reads a length and then that many bytes.
    ///
    /// # Errors
    /// The input is shorter than the length says.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let count = self.u64()?;
        match usize::try_from(count) {
            Ok(count) => self.take(count),
            Err(_) => Err(self.short()),
        }
    }

    fn short(&self) -> Error {
        Error::malformed(self.offset(), "the input ends too early")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive(unsigned: u64, signed: i64) {
            let mut bytes = Vec::new();
            put_u64(&mut bytes, unsigned);
            put_i64(&mut bytes, signed);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u64().unwrap(), unsigned);
            prop_assert_eq!(reader.i64().unwrap(), signed);
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn too_long_or_too_short_is_an_error() {
        assert!(Reader::new(&[0xff; 11]).u64().is_err());
        assert!(Reader::new(&[0x80]).u64().is_err());
        assert!(Reader::new(&[5, 1, 2]).bytes().is_err());
    }
}
