//! A certificate that is taken over from another key store: judged as at enrolment, without its holder.

use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use sha2::{Digest as _, Sha256};

use super::{Refused, SigningKeys, SubmittedCertificate};
use crate::error::AuthError;

/// What judging found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It can sign in.
    Good,
    /// It is past its time.
    Expired,
    /// Its owner revoked it for good.
    RevokedForGood,
    /// Its owner revoked it, or the key that signs, in a way that can be lifted.
    Revoked,
    /// No key of it may sign.
    Unusable,
}

/// What is kept of a certificate, and what to decide by.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JudgedCertificate {
    /// The certificate's fingerprint.
    pub fingerprint: Fingerprint,
    /// Those of all its keys, the primary's too.
    pub fingerprints: Vec<Fingerprint>,
    /// What is kept. No User ID and no signature is in it.
    pub signing_keys: SigningKeys,
    /// SHA-256 of the text.
    pub digest: [u8; 32],
    /// Whether it can sign in now.
    pub standing: Standing,
}

impl JudgedCertificate {
    /// Judges an armored certificate under the policy of `now`. Takes a signature check for each of its signatures: call
    /// it off the async threads.
    ///
    /// # Errors
    /// [`AuthErrorKind::InvalidPublicKey`](crate::AuthErrorKind::InvalidPublicKey): it is none, holds a secret key, or
    /// exceeds a limit.
    pub fn judge(armored: &str, now: SystemTime) -> Result<Self, AuthError> {
        let certificate = SubmittedCertificate::parse(armored)?;
        let (fingerprint, fingerprints) = (certificate.fingerprint(), certificate.fingerprints().collect());
        let signing_keys = certificate.judge(now)?;
        let standing = match signing_keys.usable(now) {
            _ if signing_keys.is_revoked_for_good() => Standing::RevokedForGood,
            Ok(()) => Standing::Good,
            Err(Refused::Expired) => Standing::Expired,
            Err(Refused::Revoked) => Standing::Revoked,
            Err(Refused::Unusable) => Standing::Unusable,
        };
        let digest = Sha256::digest(armored.as_bytes()).into();
        Ok(Self { fingerprint, fingerprints, signing_keys, digest, standing })
    }
}
