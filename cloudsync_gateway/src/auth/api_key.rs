//! Keys of the header `apikey`.

use sha2::{Digest, Sha256};

use crate::config;

/// The keys, as digests: comparing those tells nothing about a key by the time it takes.
pub struct ApiKeys(Vec<([u8; 32], String)>);

impl ApiKeys {
    /// Those of the configuration.
    pub fn new(keys: &[config::ApiKey]) -> ApiKeys {
        let with_value = keys.iter().filter_map(|key| Some((digest(key.key.as_deref()?), key.role.clone())));
        ApiKeys(with_value.collect())
    }

    /// The role that the key stands for, if it is one of ours.
    pub fn role(&self, key: &str) -> Option<&str> {
        let digest = digest(key);
        self.0.iter().find(|(known, _)| *known == digest).map(|(_, role)| role.as_str())
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}
