//! Canaries: values that are unique to one write, so that finding one in a message tells whose it was.

use std::collections::BTreeSet;

const TEXT_MARK: &[u8] = b"zq";
const UUID_MARK: [u8; 4] = [0xc0, 0xff, 0xee, 0x00];
const UUID_TEXT_MARK: &[u8] = b"c0ffee00-0000-4000-8000-";
const FIRST_NUMBER: u64 = 7_000_000;

/// Makes them.
#[derive(Debug, Default)]
pub struct Canaries(u64);

impl Canaries {
    /// A text.
    pub fn text(&mut self) -> String {
        self.0 += 1;
        format!("zq{:08}", self.0)
    }

    /// A UUID.
    pub fn uuid(&mut self) -> String {
        self.0 += 1;
        format!("c0ffee00-0000-4000-8000-{:012x}", self.0)
    }

    /// A whole number; every other one is even.
    pub fn number(&mut self) -> String {
        self.0 += 1;
        (FIRST_NUMBER + self.0).to_string()
    }

    /// The order in which a canary was made; `None` for other values.
    pub fn order(value: &str) -> Option<u64> {
        if let Some(number) = value.strip_prefix("zq") {
            return number.parse().ok();
        }
        if let Some(hex) = value.strip_prefix("c0ffee00-0000-4000-8000-") {
            return u64::from_str_radix(hex, 16).ok();
        }
        value.parse::<u64>().ok()?.checked_sub(FIRST_NUMBER)
    }
}

/// The texts and UUIDs among these bytes, a UUID also in its 16-byte form.
pub fn find(bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for at in 0..bytes.len() {
        let rest = &bytes[at..];
        let token = match rest[0] {
            b'z' if rest.starts_with(TEXT_MARK) => rest.get(..10),
            b'c' if rest.starts_with(UUID_TEXT_MARK) => rest.get(..36),
            _ => None,
        };
        if let Some(token) = token.and_then(|token| std::str::from_utf8(token).ok()) {
            found.insert(token.to_owned());
        }
        if let (true, Some(raw)) = (rest.starts_with(&UUID_MARK), rest.get(..16)) {
            let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
            found.insert(format!(
                "{}-{}-{}-{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..]
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_in_each_form() {
        let mut canaries = Canaries::default();
        let (text, uuid) = (canaries.text(), canaries.uuid());
        let mut bytes = format!("Key (id)=({text}) of {uuid}").into_bytes();
        assert_eq!(find(&bytes), BTreeSet::from([text, uuid.clone()]));
        bytes = [&[1u8, 2][..], &UUID_MARK, &[0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 2]].concat();
        assert_eq!(find(&bytes), BTreeSet::from([uuid.clone()]));
        assert_eq!(Canaries::order(&uuid), Some(2));
        assert_eq!(Canaries::order(&canaries.number()), Some(3));
    }
}
