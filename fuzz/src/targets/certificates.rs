//! Certificates, as they come with a login and as a key directory serves them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capauth_verifier::fuzzing;
use capauth_verifier::openpgp::SigningKeys;

use super::text;
use crate::{Outcome, fixed};

/// The longest form in which what is kept of a certificate is stored: sixteen keys of 4096 bits, and room.
const MAX_STORED: usize = 256 * 1024;

/// A certificate in packets, put into armour here: what is behind the armour is reached at once.
pub fn packets(data: &[u8]) -> Outcome {
    judged(&armour("PUBLIC KEY BLOCK", data))
}

/// A certificate in armour, as it is sent.
pub fn armored(data: &[u8]) -> Outcome {
    text(data).map_or(Outcome::Refused, judged)
}

/// One block of armour.
pub(super) fn armour(kind: &str, bytes: &[u8]) -> String {
    let base64 = STANDARD.encode(bytes);
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN PGP {kind}-----\n\n{}\n-----END PGP {kind}-----\n", lines.join("\n"))
}

/// What is found in a certificate is the same each time, survives the store, and adds nothing to itself. Nothing of it
/// changes what is known of another key.
fn judged(armored: &str) -> Outcome {
    let Some((fingerprint, keys)) = fuzzing::certificate(armored, fixed::now()) else {
        return Outcome::Refused;
    };
    assert_eq!(keys.fingerprint(), Some(fingerprint));
    assert_eq!(fuzzing::certificate(armored, fixed::now()), Some((fingerprint, keys.clone())));
    let stored = keys.encode().expect("what was read can be stored");
    assert!(stored.len() <= MAX_STORED, "{} bytes are stored", stored.len());
    assert_eq!(SigningKeys::decode(&stored).expect("what was stored can be read"), keys);
    let mut merged = keys.clone();
    assert!(!fuzzing::merge(&mut merged, &keys), "a certificate says something new of itself");
    assert!(!fuzzing::is_worse_than(&keys, &keys));
    takes_nothing_from_the_fixed_key(&keys);
    Outcome::Accepted
}

fn takes_nothing_from_the_fixed_key(keys: &SigningKeys) {
    let mut known = fixed::keys().clone();
    let changed = fuzzing::merge(&mut known, keys);
    if keys.fingerprint() != Some(fixed::fingerprint()) {
        assert!(!changed, "another certificate changed what is known of this one");
        return;
    }
    // Its own secret key made no revocation: whatever bytes say that it did are somebody else's.
    assert!(!known.is_revoked_for_good(), "somebody else revoked the key");
    assert!(!fuzzing::is_worse_than(&known, fixed::keys()), "somebody else took something from the key");
    assert!(fuzzing::usable(&known, fixed::now()));
    assert!(!fuzzing::merge(&mut known, keys), "the same facts are new twice");
}

/// No bytes make a directory vouch for an address that the key did not certify.
pub fn directory(data: &[u8]) -> Outcome {
    let vouched = |address: &str| {
        fuzzing::vouched_until(data, &fixed::fingerprint(), |found| found == address, fixed::now())
    };
    assert_eq!(vouched(fixed::OTHER_ADDRESS), None, "an address that nobody certified");
    let until = vouched(fixed::ADDRESS);
    assert!(until.is_none_or(|until| until > fixed::now()), "it ended already");
    Outcome::accepted_if(until.is_some())
}
