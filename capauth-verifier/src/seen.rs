//! How tokens that were seen before are remembered.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A token's text, wiped when it is forgotten. Found by a keyed hash and then by its whole text: quicker than a
/// cryptographic hash, and no more can be mistaken for another.
#[derive(PartialEq, Eq)]
pub(crate) struct SeenToken(Zeroizing<String>);

impl SeenToken {
    pub(crate) fn new(token: &str) -> Self {
        Self(Zeroizing::new(token.to_owned()))
    }
}

impl Hash for SeenToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `str` does: the cache is asked with one.
        self.0.as_str().hash(state);
    }
}

impl Borrow<str> for SeenToken {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Under what a token's end is remembered.
pub(crate) fn jti_hash(jti: &str) -> [u8; 32] {
    Sha256::digest(jti.as_bytes()).into()
}
