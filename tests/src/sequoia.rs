//! Keys made here, fast and of kinds that gpg does not know.

use sequoia_openpgp as openpgp;

use openpgp::Profile;
use openpgp::cert::{Cert, CertBuilder, CipherSuite};
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::{Armorer, Message, Signer};
use std::io::Write;
use std::time::SystemTime;

/// A key whose primary signs and certifies.
#[derive(Debug, Clone)]
pub struct Key {
    secret: Cert,
    /// Its fingerprint, in capitals.
    pub fingerprint: String,
    /// Its armoured certificate.
    pub certificate: String,
}

impl Key {
    /// An Ed25519 key of OpenPGP version 4, which is the kind most people have.
    pub fn ed25519(user_id: &str) -> Self {
        Self::generate(user_id, CipherSuite::Cv25519, Profile::RFC4880)
    }

    /// A key of this kind.
    pub fn generate(user_id: &str, suite: CipherSuite, profile: Profile) -> Self {
        let (secret, _) = CertBuilder::new()
            .add_userid(user_id)
            .set_cipher_suite(suite)
            .set_profile(profile)
            .expect("the profile is known")
            .set_primary_key_flags(openpgp::types::KeyFlags::empty().set_certification().set_signing())
            // A key of this very second is, to a server whose clock is a little behind, one of the future.
            .set_creation_time(std::time::SystemTime::now() - std::time::Duration::from_secs(3600))
            .generate()
            .expect("a key is made");
        let certificate =
            secret.clone().strip_secret_key_material().armored().to_vec().expect("a certificate is armoured");
        let certificate = String::from_utf8(certificate).expect("armour is text");
        Self { fingerprint: secret.fingerprint().to_hex(), certificate, secret }
    }

    /// The armoured secret key.
    pub fn secret_armor(&self) -> String {
        let armor = self.secret.as_tsk().armored().to_vec().expect("a key is armoured");
        String::from_utf8(armor).expect("armour is text")
    }

    /// A detached signature, armoured.
    pub fn detach_sign(&self, data: &[u8]) -> String {
        self.detach_sign_at(data, SystemTime::now())
    }

    /// A detached signature that was made at this time, armoured.
    pub fn detach_sign_at(&self, data: &[u8], at: SystemTime) -> String {
        let policy = StandardPolicy::new();
        let key = self.secret.keys().with_policy(&policy, None).secret().for_signing().next();
        let key = key.expect("the key signs").key().clone().into_keypair().expect("the key is not protected");
        let mut armor = Vec::new();
        let message = Armorer::new(Message::new(&mut armor)).kind(openpgp::armor::Kind::Signature).build();
        let signer = message
            .and_then(|message| Signer::new(message, key))
            .and_then(|signer| signer.detached().creation_time(at).build());
        let mut signer = signer.expect("a signature is begun");
        signer.write_all(data).expect("memory can be written");
        signer.finalize().expect("a signature is made");
        String::from_utf8(armor).expect("armour is text")
    }
}
