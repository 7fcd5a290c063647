//! Somebody with an OpenPGP key of their own.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto as _;
use sequoia_openpgp::serialize::stream::{Armorer, Message, Signer};
use sequoia_openpgp::{Cert, armor};

pub(crate) struct Person(Cert);

impl Person {
    /// A person with a new key, made a day ago.
    pub(crate) fn new(name: &str) -> Self {
        let made = SystemTime::now() - Duration::from_secs(24 * 3600);
        let builder = CertBuilder::new().set_creation_time(made).add_userid(name).add_signing_subkey();
        Self(builder.generate().unwrap().0)
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.0.fingerprint().to_hex()
    }

    pub(crate) fn public_key(&self) -> String {
        String::from_utf8(self.0.armored().to_vec().unwrap()).unwrap()
    }

    pub(crate) fn sign(&self, text: &str, at: SystemTime) -> String {
        let policy = StandardPolicy::new();
        let keys = self.0.keys().with_policy(&policy, at).for_signing().secret();
        let pair = keys.last().unwrap().key().clone().into_keypair().unwrap();
        let mut armored = Vec::new();
        let message = Armorer::new(Message::new(&mut armored)).kind(armor::Kind::Signature).build().unwrap();
        let signer = Signer::new(message, pair).unwrap().detached().creation_time(at);
        let mut signer = signer.build().unwrap();
        signer.write_all(text.as_bytes()).unwrap();
        signer.finalize().unwrap();
        String::from_utf8(armored).unwrap()
    }
}
