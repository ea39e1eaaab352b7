//! The primary key of a row as one string of bytes, the same on both engines.
//!
//! A key is the canonical encoding ([`Value::encode`]) of its columns in key order. It says
//! nothing of how many columns there are: a reader asks for the number it expects.

use std::fmt;

use crate::error::{Error, Result};
use crate::value::Value;
use crate::varint::Reader;

/// The longest key that is accepted from outside, in bytes.
pub const MAX_KEY_BYTES: usize = 8 * 1024;

/// The most columns a primary key may have.
pub const MAX_KEY_COLUMNS: usize = 128;

/// The canonical bytes of a primary key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Vec<u8>);

impl Key {
    /// Encodes the values of the key columns, in key order.
    ///
    /// # Errors
    /// A value is NULL, or the key is longer than [`MAX_KEY_BYTES`].
    pub fn encode<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<Key> {
        let mut bytes = Vec::with_capacity(24);
        for value in values {
            if matches!(value, Value::Null) {
                return Err(Error::invalid_input("a primary key contains NULL"));
            }
            value.encode(&mut bytes);
        }
        Key::from_bytes(bytes)
    }

    /// Takes bytes from outside, without reading them.
    ///
    /// # Errors
    /// The key is longer than [`MAX_KEY_BYTES`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Key> {
        if bytes.len() > MAX_KEY_BYTES {
            return Err(Error::limit("a primary key", MAX_KEY_BYTES));
        }
        Ok(Key(bytes))
    }

    /// The values of a key of `columns` columns.
    ///
    /// # Errors
    /// The bytes are not the canonical encoding of that many values, none of them NULL.
    pub fn decode(&self, columns: usize) -> Result<Vec<Value>> {
        let mut reader = Reader::new(&self.0);
        let mut values = Vec::with_capacity(columns.min(MAX_KEY_COLUMNS));
        for _ in 0..columns {
            values.push(Value::decode(&mut reader)?);
        }
        if !reader.is_empty() {
            return Err(Error::malformed(reader.offset(), "a primary key has too many columns"));
        }
        if Key::encode(&values)? != *self {
            return Err(Error::malformed(0, "a primary key is not in canonical form"));
        }
        Ok(values)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_with_its_own_arity_only() {
        let values = [Value::Integer(7), Value::Text("a\0b".into())];
        let key = Key::encode(&values).unwrap();
        assert_eq!(key.decode(2).unwrap(), values);
        assert!(key.decode(1).is_err());
        assert!(key.decode(3).is_err());
    }

    #[test]
    fn null_and_non_canonical_bytes_are_refused() {
        assert!(Key::encode(&[Value::Null]).is_err());
        assert!(Key(vec![0]).decode(1).is_err());
        // The integer 0 written in two bytes.
        assert!(Key(vec![1, 0x80, 0x00]).decode(1).is_err());
        // A UUID written as text.
        let text = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
        let mut bytes = vec![3, 36];
        bytes.extend_from_slice(text.as_bytes());
        assert!(Key(bytes).decode(1).is_err());
    }
}
