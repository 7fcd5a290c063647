//! The key with which the server signs its challenges.

use std::fmt;
use std::io::Write as _;
use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use sequoia_openpgp::crypto::{KeyPair, Password};
use sequoia_openpgp::packet::key::{SecretParts, UnspecifiedRole};
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::packet::{Key, Signature};
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::serialize::SerializeInto as _;
use sequoia_openpgp::types::{Curve, HashAlgorithm, SignatureType};
use sequoia_openpgp::{Cert, armor, crypto::mpi};

use super::ed25519::Ed25519Signer;
use super::{fingerprint_of, policy_at};
use crate::error::{AuthError, AuthErrorKind, ConfigError};
use crate::secret::Secret;

/// An OpenPGP key that signs challenges, so that a client can tell the real server.
pub struct ServerKey {
    signer: UnlockedKey,
    fingerprint: Fingerprint,
    all: Vec<Fingerprint>,
    armored_certificate: String,
}

/// What signs: the quick way for the usual kind of key, Sequoia's for others.
enum UnlockedKey {
    Ed25519(Ed25519Signer),
    Other(KeyPair),
}

impl UnlockedKey {
    fn new(key: Key<SecretParts, UnspecifiedRole>) -> sequoia_openpgp::Result<Self> {
        match Ed25519Signer::new(&key) {
            Some(signer) => Ok(Self::Ed25519(signer)),
            None => key.into_keypair().map(Self::Other),
        }
    }

    fn sign(&self, builder: SignatureBuilder, text: &str) -> sequoia_openpgp::Result<Signature> {
        match self {
            Self::Ed25519(signer) => builder.sign_message(&mut signer.clone(), text.as_bytes()),
            Self::Other(pair) => builder.sign_message(&mut pair.clone(), text.as_bytes()),
        }
    }
}

impl ServerKey {
    /// Reads an armored secret key.
    ///
    /// # Errors
    /// It is not one, is not usable now, the passphrase is wrong, or (under `crypto-rust`, whose RSA signing leaks
    /// timing) it is not a version 4 Ed25519 key.
    pub fn from_armor(
        armor: &Secret,
        passphrase: Option<&Secret>,
        now: SystemTime,
    ) -> Result<Self, ConfigError> {
        let invalid = |what: &str| ConfigError::new(format!("CAPAUTH_SERVER_KEY_ARMOR: {what}"));
        let cert = Cert::from_bytes(armor.expose().as_bytes())
            .map_err(|_| invalid("this is not one armored OpenPGP secret key"))?;
        let policy = policy_at(now);
        let valid =
            cert.with_policy(&policy, now).map_err(|_| invalid("the certificate is not valid now"))?;
        if matches!(valid.revocation_status(), sequoia_openpgp::types::RevocationStatus::Revoked(_)) {
            return Err(invalid("the certificate is revoked"));
        }
        let mut keys = valid.keys().alive().revoked(false).for_signing().secret();
        let key = keys.next().ok_or_else(|| invalid("no signing key with its secret part is in it"))?;
        let key = key.key().clone();
        let ed25519 = match key.mpis() {
            mpi::PublicKey::EdDSA { curve: Curve::Ed25519, .. } | mpi::PublicKey::Ed25519 { .. } => {
                key.version() == 4
            }
            _ => false,
        };
        if cfg!(feature = "crypto-rust") && !ed25519 {
            return Err(invalid(
                "use an Ed25519 key of version 4 (`capauth-service keygen` makes one); signing with other \
                 algorithms leaks timing in the pure-Rust backend",
            ));
        }
        let key = if key.secret().is_encrypted() {
            let password =
                passphrase.ok_or_else(|| invalid("it is protected: set CAPAUTH_SERVER_KEY_PASSPHRASE"))?;
            key.decrypt_secret(&Password::from(password.expose()))
                .map_err(|_| invalid("CAPAUTH_SERVER_KEY_PASSPHRASE does not open it"))?
        } else {
            key
        };
        let signer = UnlockedKey::new(key).map_err(|_| invalid("the secret key is not usable"))?;
        let public = cert.clone().strip_secret_key_material();
        let armored = public.armored().to_vec().ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(Self {
            signer,
            fingerprint: fingerprint_of(&cert.fingerprint())
                .ok_or_else(|| invalid("it is of an unknown version"))?,
            all: cert.keys().filter_map(|k| fingerprint_of(&k.key().fingerprint())).collect(),
            armored_certificate: armored.ok_or_else(|| invalid("the certificate cannot be written"))?,
        })
    }

    /// The certificate's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The fingerprints of all its keys. None of them is ever an identity.
    pub fn all_fingerprints(&self) -> &[Fingerprint] {
        &self.all
    }

    /// The public certificate, armored.
    pub fn armored_certificate(&self) -> &str {
        &self.armored_certificate
    }

    /// A detached, armored, binary signature over `text`.
    ///
    /// # Errors
    /// The signing failed: the caller must not answer with an unsigned challenge instead.
    pub fn sign(&self, text: &str, now: SystemTime) -> Result<String, AuthError> {
        let failed = |e: sequoia_openpgp::anyhow::Error| AuthError::because(AuthErrorKind::Internal, e);
        let builder = SignatureBuilder::new(SignatureType::Binary)
            .set_hash_algo(HashAlgorithm::SHA512)
            .set_signature_creation_time(now)
            .map_err(failed)?;
        let signature = self.signer.sign(builder, text).map_err(failed)?;
        let mut writer =
            armor::Writer::new(Vec::new(), armor::Kind::Signature).map_err(|e| failed(e.into()))?;
        let packet = sequoia_openpgp::Packet::from(signature).to_vec().map_err(failed)?;
        writer.write_all(&packet).map_err(|e| failed(e.into()))?;
        let bytes = writer.finalize().map_err(|e| failed(e.into()))?;
        String::from_utf8(bytes).map_err(|e| AuthError::because(AuthErrorKind::Internal, e))
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKey").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}
