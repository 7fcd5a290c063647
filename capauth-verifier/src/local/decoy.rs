//! A key that nobody has: what is computed where there is no key to hold a stranger's signature against, so that the time
//! it takes does not tell.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::error::ConfigError;

pub(super) struct Decoy {
    public: Vec<u8>,
    signature: Vec<u8>,
}

impl Decoy {
    pub(super) fn new() -> Result<Self, ConfigError> {
        let failed = |_| ConfigError::new("no Ed25519 key can be made on this machine");
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let signature = pair.sign(b"something else").as_ref().to_vec();
        Ok(Self { public: pair.public_key().as_ref().to_vec(), signature })
    }

    /// Does what checking an Ed25519 signature costs.
    pub(super) fn check(&self, text: &str) {
        let _ = UnparsedPublicKey::new(&ED25519, &self.public).verify(text.as_bytes(), &self.signature);
    }
}
