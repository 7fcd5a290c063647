//! People's keys, and what is signed with them.

use std::time::{Duration, SystemTime};

use capauth_tests::http::{Challenge, SignIn};
use capauth_tests::keys::{Back, CREATED, DAY, Draft, new_subkey, pair_of};
use capauth_tests::signer;
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::types::ReasonForRevocation;
use serde_json::Value;

/// A key, and which part of it signs.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) draft: Draft,
    signer: KeyPair,
    pub(crate) fingerprint: String,
    pub(crate) certificate: String,
}

impl Key {
    /// A new one, whose primary key signs.
    pub(crate) fn new() -> Self {
        Self::of(Draft::honest())
    }

    /// Of this certificate; its primary key signs.
    pub(crate) fn of(draft: Draft) -> Self {
        let (signer, fingerprint) = (draft.pair(), draft.fingerprint().to_string());
        Self { signer, fingerprint, certificate: draft.armored(), draft }
    }

    /// One that expires so many days from when the tests begin.
    pub(crate) fn expiring(days: i64) -> Self {
        let age = u64::try_from(days * DAY - CREATED).expect("after it was made");
        Self::of(Draft::bare().user_id("Test <test@example.org>", |b| {
            b.set_key_validity_period(Duration::from_secs(age)).expect("a time that OpenPGP can write")
        }))
    }

    /// One key twice: once its primary key signs, once its subkey. With it, the certificate in which the subkey is
    /// revoked.
    pub(crate) fn with_subkey() -> (Self, Self, String) {
        let subkey = new_subkey();
        let draft = Draft::honest().subkey(&subkey, |b| b, Back::Good);
        let primary = Self::of(draft.clone());
        let by_subkey = Self { signer: pair_of(&subkey), ..primary.clone() };
        let revoked = draft.subkey_revoked(&subkey, ReasonForRevocation::KeyCompromised, 0);
        (primary, by_subkey, revoked.armored())
    }

    /// The certificate with the primary key's own hard revocation in it.
    pub(crate) fn revoked(&self) -> String {
        self.draft.clone().revoked(ReasonForRevocation::KeyCompromised, 0).armored()
    }

    /// A detached signature, made at this time.
    pub(crate) fn sign(&self, text: &str, at: SystemTime) -> String {
        signer::detached_with(&self.signer, text, |b| {
            b.set_signature_creation_time(at).expect("a time that OpenPGP can write")
        })
    }

    /// The body of `/verify`, without the certificate.
    pub(crate) fn answer(&self, challenge: &Challenge, at: SystemTime) -> Value {
        self.claiming(challenge, None, at)
    }

    /// The same with claims.
    pub(crate) fn claiming(&self, challenge: &Challenge, claims: Option<&Value>, at: SystemTime) -> Value {
        let sign = |data: &[u8]| self.sign(str::from_utf8(data).expect("payloads are text"), at);
        let login = SignIn::new(&self.fingerprint, &sign);
        let login = claims.into_iter().fold(login, |login, claims| SignIn { claims: Some(claims), ..login });
        login.answer_to(challenge)
    }
}
