//! What was encoded decodes to itself, and to the same bytes again.

mod wire_support;

use cloudsync_shared::message::Message;
use cloudsync_shared::wire::{decode, encode};
use proptest::prelude::*;
use wire_support::{cases, message};

/// NaN has many bit patterns and messages hold only one of them, so compare what was read.
fn assert_round_trip(original: &Message) -> std::result::Result<(), TestCaseError> {
    let bytes = encode(original).expect("a message that keeps the rules can be encoded");
    let back = decode(&bytes).expect("what was encoded decodes");
    prop_assert_eq!(&back, original);
    prop_assert_eq!(encode(&back).expect("what was decoded can be encoded"), bytes);
    Ok(())
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn a_message_survives_the_wire(original in message()) {
        assert_round_trip(&original)?;
    }

    #[test]
    fn encoding_is_deterministic(original in message()) {
        prop_assert_eq!(encode(&original).unwrap(), encode(&original.clone()).unwrap());
    }
}
