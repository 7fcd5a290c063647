//! Making the key with which a server signs its challenges.

use std::fmt;
use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use sequoia_openpgp::Profile;
use sequoia_openpgp::cert::{CertBuilder, CipherSuite};
use sequoia_openpgp::crypto::Password;
use sequoia_openpgp::packet::UserID;
use sequoia_openpgp::serialize::SerializeInto as _;
use sequoia_openpgp::types::KeyFlags;

use super::fingerprint_of;
use crate::error::ConfigError;
use crate::secret::Secret;

/// A server's certificate that was just made: an Ed25519 key of version 4 that certifies and signs, does not expire, and
/// whose User ID names a service and no person.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use capauth_verifier::openpgp::{NewServerKey, ServerKey};
/// use std::time::SystemTime;
///
/// let now = SystemTime::now();
/// let made = NewServerKey::generate("auth.example.com", None, now)?;
/// assert_eq!(ServerKey::from_armor(&made.secret, None, now)?.fingerprint(), made.fingerprint);
/// # Ok(()) }
/// ```
pub struct NewServerKey {
    /// The secret key, armored; under the passphrase if there is one.
    pub secret: Secret,
    /// The public certificate, armored.
    pub certificate: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
}

impl NewServerKey {
    /// Makes a key for a service. It counts from `now` on.
    ///
    /// # Errors
    /// The service's name is none; the passphrase is empty; the operating system gives no randomness.
    pub fn generate(
        service: &str,
        passphrase: Option<&Secret>,
        now: SystemTime,
    ) -> Result<Self, ConfigError> {
        let service = crate::origins::service_name(service)?;
        if passphrase.is_some_and(|passphrase| passphrase.expose().is_empty()) {
            return Err(ConfigError::new("the passphrase is empty; leave it out for a key without one"));
        }
        let failed = |e: sequoia_openpgp::anyhow::Error| {
            ConfigError::because("the server key cannot be made", e.to_string())
        };
        // Version 4, in the form that GnuPG makes: every client that is out there reads it.
        let (cert, _) = CertBuilder::new()
            .set_profile(Profile::RFC4880)
            .and_then(|builder| {
                builder
                    .set_cipher_suite(CipherSuite::Cv25519)
                    .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
                    .set_creation_time(now)
                    .add_userid(UserID::from(format!("CapAuth server {service}")))
                    .set_password(passphrase.map(|passphrase| Password::from(passphrase.expose())))
                    .generate()
            })
            .map_err(failed)?;
        let armored = |bytes: sequoia_openpgp::Result<Vec<u8>>| {
            let text = bytes.map_err(failed)?;
            String::from_utf8(text).map_err(|e| ConfigError::because("the server key cannot be written", e))
        };
        Ok(Self {
            fingerprint: fingerprint_of(&cert.fingerprint())
                .ok_or_else(|| ConfigError::new("the server key is of an unknown version"))?,
            secret: Secret::from(armored(cert.as_tsk().armored().to_vec())?),
            certificate: armored(cert.clone().strip_secret_key_material().armored().to_vec())?,
        })
    }
}

impl fmt::Debug for NewServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewServerKey").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use capauth_protocol::limits;

    use super::*;
    use crate::openpgp::ServerKey;

    fn now() -> SystemTime {
        SystemTime::now()
    }

    #[test]
    fn what_is_made_signs_challenges_and_names_no_person() {
        let made = NewServerKey::generate("Auth.example.com", None, now()).unwrap();
        let key = ServerKey::from_armor(&made.secret, None, now()).unwrap();
        assert_eq!(key.fingerprint(), made.fingerprint);
        assert_eq!(key.all_fingerprints(), [made.fingerprint], "one key, so that one fingerprint names it");
        assert_eq!(key.armored_certificate(), made.certificate);
        assert!(key.sign("text", now()).unwrap().starts_with("-----BEGIN PGP SIGNATURE-----"));
        assert!(!format!("{made:?}").contains("PGP"));
    }

    #[test]
    fn a_passphrase_protects_it() {
        let (right, wrong) = (Secret::from("correct horse"), Secret::from("battery staple"));
        let made = NewServerKey::generate("auth.example.com", Some(&right), now()).unwrap();
        assert!(ServerKey::from_armor(&made.secret, Some(&right), now()).is_ok());
        for bad in [None, Some(&wrong)] {
            let error = ServerKey::from_armor(&made.secret, bad, now()).unwrap_err().to_string();
            assert!(error.contains("CAPAUTH_SERVER_KEY_PASSPHRASE"), "{error}");
        }
    }

    #[test]
    fn a_name_that_is_none_and_an_empty_passphrase_are_refused() {
        for bad in ["", "a b", "Alice <alice@example.com>", &"a".repeat(limits::MAX_SERVICE + 1)] {
            assert!(NewServerKey::generate(bad, None, now()).is_err(), "{bad}");
        }
        assert!(NewServerKey::generate("auth.example.com", Some(&Secret::from("")), now()).is_err());
    }
}
