//! Doors to private parsers, for the fuzz targets of this repository. No part of the interface: anything here may change
//! at any time.

use std::time::SystemTime;

use capauth_protocol::{Fingerprint, Json, OidcClaims};
use jsonwebtoken::{Algorithm, DecodingKey};
use sequoia_openpgp::packet::Signature;

use crate::clock::Timestamp;
use crate::error::AuthErrorKind;
use crate::openpgp::{SignedMessage, SigningKeys, SubmittedCertificate, check_signature};
use crate::tokens::{kid_of, read_with};
use crate::verifier::Session;

/// Reads a certificate as it arrives with a login, and judges it.
pub fn certificate(armored: &str, now: SystemTime) -> Option<(Fingerprint, SigningKeys)> {
    let submitted = SubmittedCertificate::parse(armored).ok()?;
    let fingerprint = submitted.fingerprint();
    Some((fingerprint, submitted.judge(now).ok()?))
}

/// Adds what `other` knows of the same certificate; answers whether anything changed.
pub fn merge(keys: &mut SigningKeys, other: &SigningKeys) -> bool {
    keys.merge(other)
}

/// Whether any of the keys could sign in now.
pub fn usable(keys: &SigningKeys, now: SystemTime) -> bool {
    keys.usable(now).is_ok()
}

/// Whether something was lost between the two that ends sessions.
pub fn is_worse_than(keys: &SigningKeys, before: &SigningKeys) -> bool {
    keys.is_worse_than(before)
}

/// The signatures in what arrives as a login's that are good over `text`, by one of the keys, now.
pub fn good_signatures(armored: &str, text: &str, keys: &SigningKeys, now: SystemTime) -> Vec<Signature> {
    let Ok(message) = SignedMessage::parse(armored, text, now, AuthErrorKind::InvalidNonceSignature) else {
        return Vec::new();
    };
    let good = |signature: &&Signature| {
        let issuers = signature.get_issuers();
        keys.candidates(&issuers).any(|key| check_signature(signature, key, text, now).is_some())
    };
    message.signatures().iter().filter(good).cloned().collect()
}

/// Whether it has the form of a signature over `text`, whoever made it.
pub fn is_signed_message(armored: &str, text: &str, now: SystemTime) -> bool {
    SignedMessage::parse(armored, text, now, AuthErrorKind::InvalidNonceSignature).is_ok()
}

/// What applications would read of asserted claims, and the groups that are shared.
pub fn map_claims(
    asserted: &Json,
    sub: Fingerprint,
    fingerprint: Fingerprint,
) -> Option<(OidcClaims, Option<Vec<String>>)> {
    crate::claims::map(Some(asserted), sub, fingerprint).ok().map(|m| (m.claims, m.shared_groups))
}

/// Until when what a key directory serves vouches for an address that `is_meant`.
#[cfg(feature = "wkd")]
pub fn vouched_until(
    keyring: &[u8],
    fingerprint: &Fingerprint,
    is_meant: impl Fn(&str) -> bool,
    now: SystemTime,
) -> Option<SystemTime> {
    crate::openpgp::vouched_until(keyring, fingerprint, is_meant, now)
}

/// Reads an access token of this Ed25519 public key.
pub fn read_token(token: &str, public_key: &[u8], issuer: &str, now: Timestamp) -> Option<Session> {
    kid_of(token, Algorithm::EdDSA).ok()?;
    let key = DecodingKey::from_ed_der(public_key);
    read_with(token, &key, Algorithm::EdDSA, issuer, now).ok().map(|read| read.session)
}

/// Reads an access token of this shared secret.
pub fn read_shared_token(token: &str, secret: &[u8], issuer: &str, now: Timestamp) -> Option<Session> {
    kid_of(token, Algorithm::HS256).ok()?;
    let key = DecodingKey::from_secret(secret);
    read_with(token, &key, Algorithm::HS256, issuer, now).ok().map(|read| read.session)
}
