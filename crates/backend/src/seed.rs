//! Random seeds, derived from what caused a random choice and not from when it was made.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A random seed. The same seed gives the same samples on the same engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the thing called `key` under this seed: the first eight bytes of SHA-256 over both.
    ///
    /// A sample's seed derived from its key (iteration, stage, parent, number) does not depend on the order or
    /// the batch in which samples are drawn, so a resumed run draws what an uninterrupted one would have.
    #[must_use]
    pub fn derive(self, key: &str) -> Self {
        let digest = Sha256::new().chain_update(self.0.to_le_bytes()).chain_update(key.as_bytes()).finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_le_bytes(first))
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn a_derived_seed_depends_on_the_seed_and_on_the_key() {
        let seed = Seed(7);
        assert_eq!(seed.derive("a"), seed.derive("a"));
        assert_ne!(seed.derive("a"), seed.derive("b"));
        assert_ne!(seed.derive("a"), Seed(8).derive("a"));
    }
}
