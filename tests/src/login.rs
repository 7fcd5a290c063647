//! Logins in process: a [`LocalVerifier`] over stores in memory, under a clock that stands still, and the client's side.

#![allow(missing_docs, reason = "names say it; what they do not say is written")]

use std::sync::Arc;
use std::time::Duration;

use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{Fingerprint, Json};
use capauth_verifier::{
    AuthError, AuthErrorKind, Caller, EnrolledKey, LocalBuilder, LocalVerifier, Login, ManualClock, Stores,
    Verifier as _, memory,
};
use sequoia_openpgp::crypto::KeyPair;

use crate::keys::{Draft, now};
use crate::signer;

/// The service of every world.
pub const SERVICE: &str = "app.example.com";
/// Its base URL, and the issuer of its tokens.
pub const ISSUER: &str = "https://app.example.com";
const CLIENT_NONCE: &str = "AAECAwQFBgcICQoLDA0ODw==";

/// A verifier, and what it stands on.
pub struct World {
    pub verifier: Arc<LocalVerifier>,
    pub stores: Stores,
    pub clock: Arc<ManualClock>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// Takes new keys, has no server key.
    pub async fn new() -> Self {
        Self::with(|b| b).await
    }

    pub async fn with(change: impl FnOnce(LocalBuilder) -> LocalBuilder) -> Self {
        Self::over(memory::stores().unwrap(), Arc::new(ManualClock::at(now())), SERVICE, change).await
    }

    async fn over(
        stores: Stores,
        clock: Arc<ManualClock>,
        service: &str,
        change: impl FnOnce(LocalBuilder) -> LocalBuilder,
    ) -> Self {
        let builder = LocalVerifier::builder(service)
            .stores(stores.clone())
            .clock(clock.clone())
            // What went wrong is to be told apart here.
            .private_membership(false);
        let verifier = change(builder).build().await.expect("the verifier starts");
        Self { verifier: Arc::new(verifier), stores, clock }
    }

    /// Another verifier over the same stores and clock: another node, another application, a restart.
    pub async fn beside(&self, service: &str, change: impl FnOnce(LocalBuilder) -> LocalBuilder) -> Self {
        Self::over(self.stores.clone(), self.clock.clone(), service, change).await
    }

    pub async fn challenge(&self, fingerprint: Fingerprint) -> ChallengeResponse {
        self.ask(request(fingerprint)).await.expect("a challenge")
    }

    pub async fn ask(&self, request: ChallengeRequest) -> Result<ChallengeResponse, AuthError> {
        self.verifier.challenge(&request, &Caller::default()).await
    }

    pub async fn answer(&self, request: &VerifyRequest) -> Result<Login, AuthError> {
        self.verifier.verify(request, &Caller::default()).await
    }

    /// A whole login with a certificate sent along (or none): `sign` makes the signature over the payload.
    pub async fn log_in(
        &self,
        fingerprint: Fingerprint,
        certificate: Option<String>,
        sign: impl FnOnce(&str) -> String,
    ) -> Result<Login, AuthError> {
        let challenge = self.challenge(fingerprint).await;
        let signature = sign(&payload(&challenge));
        self.answer(&response(fingerprint, &challenge, signature, certificate)).await
    }

    /// An honest login of a certificate that is sent along, signed by `pair`.
    pub async fn enrol(&self, draft: &Draft, pair: &KeyPair) -> Result<Login, AuthError> {
        self.log_in(draft.fingerprint(), Some(draft.armored()), |text| signer::detached(pair, text)).await
    }

    /// An honest login of a key that is enrolled.
    pub async fn return_with(&self, fingerprint: Fingerprint, pair: &KeyPair) -> Result<Login, AuthError> {
        self.log_in(fingerprint, None, |text| signer::detached(pair, text)).await
    }

    /// A new honest key, enrolled.
    pub async fn member(&self) -> (Draft, Login) {
        let draft = Draft::honest();
        let login = self.enrol(&draft, &draft.pair()).await.expect("an honest key is let in");
        (draft, login)
    }

    pub async fn stored(&self, fingerprint: Fingerprint) -> Option<EnrolledKey> {
        self.stores.keys.find(&fingerprint).await.unwrap()
    }

    pub async fn count(&self) -> u64 {
        self.stores.keys.count().await.unwrap()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub fn request(fingerprint: Fingerprint) -> ChallengeRequest {
    ChallengeRequest { client_nonce: Some(CLIENT_NONCE.into()), ..ChallengeRequest::new(fingerprint) }
}

/// What the client signs.
pub fn payload(challenge: &ChallengeResponse) -> String {
    challenge.payload().to_text()
}

pub fn response(
    fingerprint: Fingerprint,
    challenge: &ChallengeResponse,
    signature: String,
    certificate: Option<String>,
) -> VerifyRequest {
    let nonce = challenge.nonce.parse().expect("a UUID of version 4");
    VerifyRequest { public_key: certificate, ..VerifyRequest::new(fingerprint, nonce, signature) }
}

/// What the client signs to assert claims in `request`.
pub fn claims_text(request: &VerifyRequest, claims_json: &str) -> String {
    let (fingerprint, nonce) = (&request.fingerprint_as_sent, &request.nonce_as_sent);
    ClaimsPayload { fingerprint, nonce, claims_json }.to_text()
}

pub fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).expect("JSON")
}

/// Why somebody was not let in. Fails if they were.
#[track_caller]
pub fn kind<T>(outcome: Result<T, AuthError>) -> AuthErrorKind {
    match outcome {
        Ok(_) => panic!("this was let through"),
        Err(error) => error.kind(),
    }
}

/// The words a person is told. Fails if they were let in.
#[track_caller]
pub fn words<T>(outcome: Result<T, AuthError>) -> String {
    match outcome {
        Ok(_) => panic!("this was let through"),
        Err(error) => error.to_refusal().description.into_owned(),
    }
}
