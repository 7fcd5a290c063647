//! Signing with an Ed25519 key that was unlocked once.
//!
//! Sequoia keeps secret keys encrypted in memory and unlocks them for every signature, which takes longer than the
//! signature. The server signs every challenge with one key, in constant time with aws-lc.

use std::sync::Arc;

use aws_lc_rs::signature::Ed25519KeyPair;
use sequoia_openpgp::Result;
use sequoia_openpgp::crypto::mpi::{self, MPI};
use sequoia_openpgp::crypto::{Signer, mem::Protected};
use sequoia_openpgp::packet::key::{PublicParts, SecretParts, UnspecifiedRole};
use sequoia_openpgp::packet::{Key, key::SecretKeyMaterial};
use sequoia_openpgp::types::{Curve, HashAlgorithm};

/// An OpenPGP signer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ed25519Signer {
    public: Key<PublicParts, UnspecifiedRole>,
    pair: Arc<Ed25519KeyPair>,
}

impl Ed25519Signer {
    /// `None` for a key of another kind, one that is still protected, or one whose halves do not belong together.
    pub(super) fn new(key: &Key<SecretParts, UnspecifiedRole>) -> Option<Self> {
        let SecretKeyMaterial::Unencrypted(secret) = key.secret() else { return None };
        let seed: Protected = secret.map(|secret| match secret {
            mpi::SecretKeyMaterial::EdDSA { scalar } => Some(scalar.value_padded(32)),
            mpi::SecretKeyMaterial::Ed25519 { x } => Some(x.clone()),
            _ => None,
        })?;
        let point = match key.mpis() {
            mpi::PublicKey::EdDSA { curve: Curve::Ed25519, q } => {
                q.decode_point(&Curve::Ed25519).ok()?.0.to_vec()
            }
            mpi::PublicKey::Ed25519 { a } => a.to_vec(),
            _ => return None,
        };
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &point).ok()?;
        Some(Self { public: key.clone().parts_into_public(), pair: Arc::new(pair) })
    }
}

impl Signer for Ed25519Signer {
    fn public(&self) -> &Key<PublicParts, UnspecifiedRole> {
        &self.public
    }

    fn sign(&mut self, _hash: HashAlgorithm, digest: &[u8]) -> Result<mpi::Signature> {
        let signature = self.pair.sign(digest);
        let bytes: [u8; 64] = signature.as_ref().try_into()?;
        let (r, s) = bytes.split_at(32);
        Ok(match self.public.mpis() {
            mpi::PublicKey::Ed25519 { .. } => mpi::Signature::Ed25519 { s: Box::new(bytes) },
            _ => mpi::Signature::EdDSA { r: MPI::new(r), s: MPI::new(s) },
        })
    }
}
