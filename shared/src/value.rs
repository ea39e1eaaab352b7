//! The five kinds of value that every engine can hold, and their canonical bytes.
//!
//! Types that one engine lacks travel as the nearest of the five in one fixed form: a boolean as 0
//! or 1, an exact decimal, a UUID, JSON or a timestamp as text. The canonical bytes (see
//! [`Value::encode`]) are used for keys and on the wire: equal values have equal bytes on both engines.

use crate::error::{Error, Result};
use crate::varint;

/// One value of a cell or of a key.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating point number, kept to the bit: -0.0 and the infinities are themselves, and every
    /// NaN is [`f64::NAN`].
    Real(f64),
    /// Unicode text; it may hold NUL.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// The kind of a value, as it is written in one byte before the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tag {
    /// [`Value::Null`]; nothing follows.
    Null = 0,
    /// [`Value::Integer`]; a zigzag varint follows.
    Integer = 1,
    /// [`Value::Real`]; eight bytes follow, little endian.
    Real = 2,
    /// [`Value::Text`]; a length and UTF-8 follow.
    Text = 3,
    /// [`Value::Blob`]; a length and the bytes follow.
    Blob = 4,
    /// A [`Value::Text`] that is a UUID in lower-case canonical form; its 16 bytes follow.
    Uuid = 5,
}

impl Tag {
    /// Reads a tag byte.
    pub fn from_byte(byte: u8) -> Option<Tag> {
        Some(match byte {
            0 => Tag::Null,
            1 => Tag::Integer,
            2 => Tag::Real,
            3 => Tag::Text,
            4 => Tag::Blob,
            5 => Tag::Uuid,
            _ => return None,
        })
    }
}

impl PartialEq for Value {
    /// Identity, not arithmetic: `1` and `1.0` differ, `0.0` and `-0.0` differ, NaN equals itself.
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Real(a), Value::Real(b)) => canonical_bits(*a) == canonical_bits(*b),
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Blob(a), Value::Blob(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Value {
    /// The tag under which this value is written.
    pub fn tag(&self) -> Tag {
        match self {
            Value::Null => Tag::Null,
            Value::Integer(_) => Tag::Integer,
            Value::Real(_) => Tag::Real,
            Value::Text(text) if parse_canonical_uuid(text).is_some() => Tag::Uuid,
            Value::Text(_) => Tag::Text,
            Value::Blob(_) => Tag::Blob,
        }
    }

    /// Appends the tag byte and the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(Tag::Null as u8),
            Value::Integer(number) => {
                out.push(Tag::Integer as u8);
                varint::put_i64(out, *number);
            }
            Value::Real(number) => {
                out.push(Tag::Real as u8);
                out.extend_from_slice(&canonical_bits(*number).to_le_bytes());
            }
            Value::Text(text) => match parse_canonical_uuid(text) {
                Some(bytes) => {
                    out.push(Tag::Uuid as u8);
                    out.extend_from_slice(&bytes);
                }
                None => {
                    out.push(Tag::Text as u8);
                    varint::put_bytes(out, text.as_bytes());
                }
            },
            Value::Blob(bytes) => {
                out.push(Tag::Blob as u8);
                varint::put_bytes(out, bytes);
            }
        }
    }

    /// Reads one value that [`Value::encode`] wrote.
    ///
    /// # Errors
    /// The input is cut short, has an unknown tag, or holds text that is not UTF-8.
    pub fn decode(input: &mut varint::Reader<'_>) -> Result<Value> {
        let tag = input.byte()?;
        let Some(tag) = Tag::from_byte(tag) else {
            return Err(Error::malformed(input.offset(), "unknown value tag"));
        };
        Value::decode_untagged(tag, input)
    }

    /// Reads a value whose tag is known already.
    ///
    /// # Errors
    /// As [`Value::decode`].
    pub fn decode_untagged(tag: Tag, input: &mut varint::Reader<'_>) -> Result<Value> {
        Ok(match tag {
            Tag::Null => Value::Null,
            Tag::Integer => Value::Integer(input.i64()?),
            Tag::Real => Value::Real(f64::from_bits(u64::from_le_bytes(input.array()?))),
            Tag::Text => {
                let offset = input.offset();
                match std::str::from_utf8(input.bytes()?) {
                    Ok(text) => Value::Text(text.to_owned()),
                    Err(_) => return Err(Error::malformed(offset, "text is not UTF-8")),
                }
            }
            Tag::Blob => Value::Blob(input.bytes()?.to_owned()),
            Tag::Uuid => Value::Text(uuid_text(input.array()?)),
        })
    }
}

/// The bits of a float with every NaN made the same.
pub fn canonical_bits(number: f64) -> u64 {
    if number.is_nan() { f64::NAN.to_bits() } else { number.to_bits() }
}

/// The 16 bytes of `text` if it is a UUID written in lower case with dashes, and only then.
pub fn parse_canonical_uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0u8; 16];
    let mut filled = 0usize;
    let mut at = 0usize;
    while at < 36 {
        if matches!(at, 8 | 13 | 18 | 23) {
            if text.get(at) != Some(&b'-') {
                return None;
            }
            at += 1;
            continue;
        }
        let high = lower_hex(*text.get(at)?)?;
        let low = lower_hex(*text.get(at + 1)?)?;
        *bytes.get_mut(filled)? = high << 4 | low;
        filled += 1;
        at += 2;
    }
    Some(bytes)
}

/// The canonical text of a UUID: lower case with dashes.
pub fn uuid_text(bytes: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(bytes).hyphenated().to_string()
}

fn lower_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(value: &Value) -> Value {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        let mut reader = varint::Reader::new(&bytes);
        let back = Value::decode(&mut reader).expect("what was encoded decodes");
        assert!(reader.is_empty());
        back
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Integer),
            any::<u64>().prop_map(|bits| Value::Real(f64::from_bits(bits))),
            any::<String>().prop_map(Value::Text),
            any::<[u8; 16]>().prop_map(|bytes| Value::Text(uuid_text(bytes))),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Blob),
        ]
    }

    proptest! {
        #[test]
        fn encoding_is_lossless(value in any_value()) {
            prop_assert_eq!(round_trip(&value), value);
        }

        #[test]
        fn equal_bytes_mean_equal_values(a in any_value(), b in any_value()) {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            a.encode(&mut left);
            b.encode(&mut right);
            prop_assert_eq!(left == right, a == b);
        }

        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Value::decode(&mut varint::Reader::new(&bytes));
        }
    }

    #[test]
    fn only_the_canonical_form_of_a_uuid_is_shortened() {
        let lower = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
        assert_eq!(Value::Text(lower.into()).tag(), Tag::Uuid);
        for other in [lower.to_uppercase(), lower.replace('-', ""), lower.replace('-', "_")] {
            let value = Value::Text(other);
            assert_eq!(value.tag(), Tag::Text);
            assert_eq!(round_trip(&value), value);
        }
    }

    #[test]
    fn zero_keeps_its_sign_and_numbers_their_kind() {
        assert_ne!(Value::Real(0.0), Value::Real(-0.0));
        assert_ne!(Value::Integer(1), Value::Real(1.0));
        assert_eq!(Value::Real(f64::NAN), Value::Real(-f64::NAN));
    }
}
