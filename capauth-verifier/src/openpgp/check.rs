//! One signature, one key, known bytes.
//!
//! Sequoia's own document verification keeps every good signature in a process-wide cache that nothing ever evicts.
//! Here the digest is our own and `Key::verify` is called directly, after each check that Sequoia's
//! `verify_digest_internal` and its streaming verifier would make. What the streaming verifier asks of the *key* (alive,
//! unrevoked, for signing, bound) is asked by [`SigningKeys::judge`](super::SigningKeys).

use std::time::{Duration, SystemTime};

use sequoia_openpgp::crypto::hash::Hash as _;
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::policy::{HashAlgoSecurity, Policy as _};
use sequoia_openpgp::types::{PublicKeyAlgorithm, SignatureType};

use super::policy_at;
use super::signing_keys::PublicKey;

/// How far from now a login signature may have been made, either way.
const WINDOW: Duration = Duration::from_secs(300);

/// What came of holding a signature against a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is good, and made then.
    Good(SystemTime),
    /// It is none of this key's, or of this text.
    Bad,
    /// It was refused before anything was computed.
    Unfit,
}

/// As [`check_signature`], telling whether the mathematics was done.
pub(crate) fn check(signature: &Signature, key: &PublicKey, text: &str, now: SystemTime) -> Checked {
    let fit = || Some((fit(signature, key, now)?, digest(signature, text)?));
    let Some((made, digest)) = fit() else { return Checked::Unfit };
    match key.verify(signature.mpis(), signature.hash_algo(), &digest) {
        Ok(()) => Checked::Good(made),
        Err(_) => Checked::Bad,
    }
}

/// Checks `signature` over `text` by `key`. Answers when it was made.
///
/// In this order: type; version against the key's; salt; no DSA; a creation time, not before the key's and within five
/// minutes of now; not expired; policy on hash, algorithm and critical subpackets, demanding collision resistance; the
/// mathematics. Any failure is `None`: an attacker learns nothing from which it was.
pub(crate) fn check_signature(
    signature: &Signature,
    key: &PublicKey,
    text: &str,
    now: SystemTime,
) -> Option<SystemTime> {
    match check(signature, key, text, now) {
        Checked::Good(made) => Some(made),
        Checked::Bad | Checked::Unfit => None,
    }
}

/// Everything but the mathematics. Answers when it was made.
fn fit(signature: &Signature, key: &PublicKey, now: SystemTime) -> Option<SystemTime> {
    if !matches!(signature.typ(), SignatureType::Binary | SignatureType::Text) {
        return None;
    }
    if !matches!(signature.version(), 4 | 6) || (signature.version() == 6) != (key.version() == 6) {
        return None;
    }
    if signature.version() == 6
        && signature.salt().map(<[u8]>::len) != Some(signature.hash_algo().salt_size().ok()?)
    {
        return None;
    }
    #[allow(deprecated)] // DSA is named to be refused.
    if signature.pk_algo() == PublicKeyAlgorithm::DSA || key.pk_algo() == PublicKeyAlgorithm::DSA {
        return None;
    }
    if signature.pk_algo() != key.pk_algo() {
        return None;
    }
    let made = signature.signature_creation_time()?;
    if made < key.creation_time() || made + WINDOW < now || made > now + WINDOW {
        return None;
    }
    signature.signature_alive(now, WINDOW).ok()?;
    policy_at(now).signature(signature, HashAlgoSecurity::CollisionResistance).ok()?;
    Some(made)
}

/// The digest over the salt (v6), the text in the form that the type asks for, and the signature's own trailer.
fn digest(signature: &Signature, text: &str) -> Option<Vec<u8>> {
    let mut hash = signature.hash_algo().context().ok()?.for_signature(signature.version());
    if let Some(salt) = signature.salt() {
        hash.update(salt);
    }
    match signature.typ() {
        // A text signature covers CRLF line ends, whatever the signer's file had. A canonical payload has LF only.
        SignatureType::Text => hash.update(text.replace('\n', "\r\n").as_bytes()),
        _ => hash.update(text.as_bytes()),
    }
    signature.hash(&mut hash).ok()?;
    hash.into_digest().ok()
}
