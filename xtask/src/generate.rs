//! Rows made up for measuring: the same on each run, and keys of both usual kinds.

/// A small generator of numbers (splitmix64): the same seed gives the same data, so runs compare.
pub struct Numbers(u64);

impl Numbers {
    /// Numbers that follow from `seed`.
    pub fn from_seed(seed: u64) -> Numbers {
        Numbers(seed)
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A UUID of version 4: random, so each falls elsewhere in an index.
    pub fn uuid_v4(&mut self) -> String {
        uuid(self.next(), self.next(), 4)
    }

    /// A UUID of version 7: its first 48 bits are milliseconds, so later ones come later in an index.
    pub fn uuid_v7(&mut self, milliseconds: u64) -> String {
        uuid((milliseconds << 16) | (self.next() & 0xFFFF), self.next(), 7)
    }
}

fn uuid(high: u64, low: u64, version: u64) -> String {
    let high = (high & !0xF000) | (version << 12);
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let (time, mid, tail) = (high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF);
    format!("{time:08x}-{mid:04x}-{tail:04x}-{:04x}-{:012x}", low >> 48, low & 0xFFFF_FFFF_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_the_form_of_their_version() {
        let mut numbers = Numbers::from_seed(1);
        let random = numbers.uuid_v4();
        assert_eq!((random.len(), &random[14..15]), (36, "4"));
        assert!("89ab".contains(&random[19..20]));
        let (earlier, later) = (numbers.uuid_v7(1_700_000_000_000), numbers.uuid_v7(1_700_000_000_001));
        assert_eq!(&earlier[14..15], "7");
        assert!(earlier < later);
    }
}
