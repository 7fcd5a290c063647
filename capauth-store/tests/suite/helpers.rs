//! What the tests of stores share.

use capauth_protocol::Fingerprint;
use capauth_verifier::{Actor, Admission, NewKey, Note, Revocation, Stores, Timestamp};

pub const NOW: Timestamp = Timestamp::from_unix(1_771_934_400);

/// A version 4 fingerprint made of one byte.
pub fn fingerprint(byte: u8) -> Fingerprint {
    Fingerprint::from_bytes(&[byte; 20]).unwrap()
}

pub fn new_key(stores: &Stores, fingerprint: Fingerprint) -> NewKey {
    NewKey {
        fingerprint,
        signing_keys: b"MARKER-SIGNING-KEYS".to_vec(),
        certificate_digest: [7; 32],
        admission: Admission::Approved,
        tombstone: stores.master_key.tombstone(&fingerprint),
    }
}

/// Everything in the feed after a cursor.
pub async fn feed_after(stores: &Stores, after: u64) -> Vec<Revocation> {
    stores.tokens.revocations(after, 1_000).await.unwrap().entries
}

/// An administrator does something now.
pub fn note() -> Note {
    Note::new(NOW, Actor::Administrator)
}
