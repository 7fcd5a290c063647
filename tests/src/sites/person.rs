//! People with keys, and what they sign.

use std::fmt;
use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use sequoia_openpgp::crypto::KeyPair;
use serde_json::{Value, json};

use crate::http::{Challenge, claims_payload};
use crate::keys::Draft;
use crate::signer;

/// Somebody with an honest key.
pub struct Person {
    pair: KeyPair,
    /// The key's fingerprint.
    pub fingerprint: Fingerprint,
    /// The certificate, armoured.
    pub certificate: String,
}

impl Person {
    /// Somebody new.
    #[expect(clippy::new_without_default, reason = "each is another person")]
    pub fn new() -> Self {
        let draft = Draft::honest();
        Self { pair: draft.pair(), fingerprint: draft.fingerprint(), certificate: draft.armored() }
    }

    /// A detached signature, made at this time.
    pub fn sign(&self, text: &str, at: SystemTime) -> String {
        signer::detached_with(&self.pair, text, |b| {
            b.set_signature_creation_time(at).expect("a time that OpenPGP can write")
        })
    }

    /// What one asks to be challenged, on a page of this origin; on none, for a program.
    pub fn ask(&self, origin: Option<&str>) -> Value {
        let mut ask =
            json!({"fingerprint": self.fingerprint.to_string(), "client_nonce": "AAECAwQFBgcICQoLDA0ODw=="});
        if let Some(origin) = origin {
            ask["origin"] = origin.into();
        }
        ask
    }

    /// The answer to a challenge, signed by this person.
    pub fn answer(&self, challenge: &Challenge, at: SystemTime) -> Value {
        json!({
            "fingerprint": self.fingerprint.to_string(),
            "nonce": challenge.get("nonce"),
            "nonce_signature": self.sign(&challenge.payload(), at),
        })
    }

    /// The same with the certificate, to enrol it.
    pub fn enrolling(&self, challenge: &Challenge, at: SystemTime) -> Value {
        let mut answer = self.answer(challenge, at);
        answer["public_key"] = self.certificate.as_str().into();
        answer
    }

    /// Adds claims to an answer, signed by this person.
    pub fn claim(&self, answer: &mut Value, claims: &Value, at: SystemTime) {
        let nonce = answer["nonce"].as_str().expect("an answer names its challenge");
        let payload = claims_payload(&self.fingerprint.to_string(), nonce, claims);
        answer["claims_signature"] = self.sign(&payload, at).into();
        answer["claims"] = claims.clone();
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Person").field(&self.fingerprint).finish()
    }
}
