//! Whatever the bytes are, decoding answers with a message or an error.

mod wire_support;

use cloudsync_shared::error::ErrorKind;
use cloudsync_shared::wire::{HEADER_BYTES, decode, encode};
use proptest::collection::vec;
use proptest::prelude::*;
use wire_support::{cases, message, repair_checksum, sealed};

const KINDS: std::ops::RangeInclusive<u8> = 1..=7;

/// One way to spoil a message.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Set(prop::sample::Index, u8),
    Truncate(prop::sample::Index),
    Extend(Vec<u8>),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
}

impl Damage {
    /// Acts on what follows the header, so that it is not the header that stops the reader.
    fn act(&self, bytes: &mut Vec<u8>) {
        let body = bytes.len() - HEADER_BYTES;
        let at = |index: &prop::sample::Index| HEADER_BYTES + index.index(body.max(1));
        match self {
            Damage::Flip(index, bit) => {
                bytes.get_mut(at(index)).into_iter().for_each(|byte| *byte ^= 1 << bit)
            }
            Damage::Set(index, value) => bytes.get_mut(at(index)).into_iter().for_each(|byte| *byte = *value),
            Damage::Truncate(index) => bytes.truncate(at(index)),
            Damage::Extend(more) => bytes.extend_from_slice(more),
            Damage::Remove(index) if body > 0 => drop(bytes.remove(at(index))),
            Damage::Remove(_) => {}
            Damage::Insert(index, more) => {
                let at = at(index).min(bytes.len());
                drop(bytes.splice(at..at, more.iter().copied()));
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    // Bytes that mean much in varints: the least, the greatest, and those that go on.
    let byte = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff)];
    prop_oneof![
        3 => (index(), 0u8..8).prop_map(|(index, bit)| Damage::Flip(index, bit)),
        3 => (index(), byte).prop_map(|(index, byte)| Damage::Set(index, byte)),
        1 => index().prop_map(Damage::Truncate),
        1 => vec(any::<u8>(), 1..20).prop_map(Damage::Extend),
        1 => index().prop_map(Damage::Remove),
        1 => (index(), vec(any::<u8>(), 1..10)).prop_map(|(index, more)| Damage::Insert(index, more)),
    ]
}

/// The same message with its body stored as it is, so that damage reaches what is inside.
fn uncompressed(bytes: &[u8]) -> Vec<u8> {
    let (header, stored) = bytes.split_at(HEADER_BYTES);
    let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
    if header[6] & 1 == 0 {
        return bytes.to_vec();
    }
    let body = zstd::bulk::decompress(stored, length).unwrap();
    sealed(header[4], header[5], 0, length, &body)
}

fn repair_length(bytes: &mut [u8]) {
    let length = (bytes.len() - HEADER_BYTES) as u32;
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn random_bodies_never_panic(kind in KINDS, body in vec(prop_oneof![any::<u8>(), 0u8..4], 0..200)) {
        let _ = decode(&sealed(1, kind, 0, body.len(), &body));
        let _ = decode(&sealed(1, kind, 1, body.len(), &body));
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    /// What a spoiled message still says must at least be a message: it can be encoded again.
    #[test]
    fn spoiled_bodies_never_panic(original in message(), damages in vec(damage(), 1..4)) {
        let mut bytes = uncompressed(&encode(&original).unwrap());
        damages.iter().for_each(|damage| damage.act(&mut bytes));
        repair_length(&mut bytes);
        repair_checksum(&mut bytes);
        if let Ok(read) = decode(&bytes) {
            let again = encode(&read).expect("what was decoded keeps the rules");
            prop_assert_eq!(decode(&again).unwrap(), read);
        }
    }

    #[test]
    fn spoiled_compressed_bodies_never_panic(original in message(), damages in vec(damage(), 1..4)) {
        let mut bytes = encode(&original).unwrap();
        damages.iter().for_each(|damage| damage.act(&mut bytes));
        repair_checksum(&mut bytes);
        let _ = decode(&bytes);
    }

    /// The checksum sees any change of one byte, be it in the header or in the body.
    #[test]
    fn one_changed_byte_is_seen(original in message(), at in any::<prop::sample::Index>(), bits in 1u8..) {
        let mut bytes = encode(&original).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        prop_assert_eq!(decode(&bytes).unwrap_err().kind(), ErrorKind::Malformed);
    }

    #[test]
    fn a_message_cut_short_is_seen(original in message(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&original).unwrap();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(decode(cut).unwrap_err().kind(), ErrorKind::Malformed);
    }
}
