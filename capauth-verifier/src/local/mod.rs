//! [`LocalVerifier`]: decides here, with its own stores.

mod admin;
mod administration;
mod audit_file;
mod authority;
mod builder;
mod challenge;
mod decoy;
mod due;
mod emails;
mod enrollment;
mod health;
mod key_cache;
mod limited;
mod linking;
mod login;
mod qr;
mod rotation;
mod services;
mod sessions;
mod taken;

use std::collections::HashSet;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use capauth_protocol::request::{
    ChallengeRequest, QrChallengeRequest, QrDecision, QrVerifyRequest, VerifyRequest,
};
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{Fingerprint, Nonce};
use moka::sync::Cache;
use tokio::sync::Semaphore;

pub use administration::Administration;
pub use builder::LocalBuilder;
pub use capauth_protocol::response::Enrollment as EnrollmentMode;
pub use health::StoreHealth;
pub use services::ServiceEntry;

use crate::clock::{Clock, Timestamp};
use crate::counts::Counts;
use crate::error::{AuthError, ConfigError};
use crate::limits::Limits;
use crate::openpgp::ServerKey;
use crate::qr::{QrAnswered, QrChallenge, QrStatus};
use crate::secret::Sealer;
use crate::seen::SeenToken;
use crate::stores::{Places, Stores};
use crate::tokens::Tokens;
use crate::verifier::{Audience, Authenticated, Caller, Login, Session, Verifier};

/// Decides who someone is, here: with stores, keys and a clock that were handed in.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use capauth_verifier::{LocalVerifier, Verifier, memory};
///
/// let verifier = LocalVerifier::builder("app.example.com").stores(memory::stores()?).build().await?;
/// assert_eq!(verifier.service(), "app.example.com");
/// # Ok(()) }
/// ```
pub struct LocalVerifier {
    stores: Stores,
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// How long something that may be refused may take.
    patience: Option<Duration>,
    /// Where the service is reached, and the issuer of its tokens.
    base_url: Arc<str>,
    services: services::Services,
    enrollment: EnrollmentMode,
    server_key: Option<ServerKey>,
    /// Every key with which this server signs or ever signed challenges: none of them is an identity.
    server_keys: HashSet<Fingerprint>,
    admin_keys: HashSet<Fingerprint>,
    tokens: Tokens,
    epoch: u64,
    asserted_groups: bool,
    require_v2: bool,
    private: bool,
    /// What strangers' signatures are held against where nothing is known.
    decoy: decoy::Decoy,
    places: Places,
    pending_lifetime: Duration,
    rotation_delay: Duration,
    token_lifetime: Duration,
    session_lifetime: Duration,
    session_idle: Option<Duration>,
    refresh_lifetime: Duration,
    #[cfg(feature = "wkd")]
    emails: Option<crate::email::EmailVerifier>,
    audit_network: bool,
    audit_file: Option<audit_file::AuditFile>,
    /// When it is looked next what has come due, in milliseconds.
    next_look: AtomicU64,
    counts: Counts,
    known: key_cache::KeyCache,
    /// Tokens that were verified.
    seen: Cache<SeenToken, authority::Seen>,
    /// Tokens ended by this process a moment ago, by the hash of their `jti`: what was checked before that is stale.
    ended: Cache<[u8; 32], ()>,
    /// When the use of a session was last noted.
    noted: Cache<[u8; 32], Timestamp>,
    /// When the last of them was ended, in milliseconds.
    last_end: AtomicU64,
    /// When tokens past their time were last forgotten.
    forgotten_at: AtomicU64,
    /// Places for judging certificates, each of which may cost a few milliseconds.
    judging: Arc<Semaphore>,
    judging_unproven: Arc<Semaphore>,
    /// Places in the queue for that.
    queue_unproven: Semaphore,
    notices: Vec<String>,
}

impl LocalVerifier {
    /// Begins to configure a verifier for a service, usually named by its host.
    pub fn builder(service: impl Into<String>) -> LocalBuilder {
        LocalBuilder::new(service.into())
    }

    /// Where the service is reached: the issuer of its tokens.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The web origins of the own service, from configuration.
    pub fn origins(&self) -> &[String] {
        self.services.origins(self.services.own()).unwrap_or_default()
    }

    /// The web origins of a service this verifier speaks for; `None` for any other.
    pub fn origins_of(&self, service: &str) -> Option<&[String]> {
        self.services.origins(service)
    }

    /// Whether this verifier makes challenges for the service.
    pub fn knows_service(&self, service: &str) -> bool {
        self.services.origins(service).is_some()
    }

    /// What time it is, by the clock that was handed in.
    pub fn now(&self) -> Timestamp {
        self.clock.timestamp()
    }

    /// What seals for a purpose, under this installation's master key.
    pub fn sealer(&self, label: &'static str) -> Sealer {
        self.stores.master_key.sealer(label)
    }

    /// The installation's epoch: stands in everything sealed.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether others can make its tokens, since they share its secret (HS256).
    pub fn shares_its_secret(&self) -> bool {
        self.tokens.algorithm() == "HS256"
    }

    /// Whether a key is an administrator's.
    pub fn is_admin_key(&self, fingerprint: &Fingerprint) -> bool {
        self.admin_keys.contains(fingerprint)
    }

    /// Whether any key is an administrator's.
    pub fn has_admin_keys(&self) -> bool {
        !self.admin_keys.is_empty()
    }

    /// Whether a text is the credential of a service that may follow the revocation feed. Takes the same time
    /// whichever it is.
    pub fn feed_credential_matches(&self, credential: &str) -> bool {
        self.service_of_credential(credential).is_some()
    }

    /// Which service's credential a text is. Takes the same time whichever it is.
    pub fn service_of_credential(&self, credential: &str) -> Option<&Arc<str>> {
        self.services.of_credential(credential)
    }

    /// Whether any service has a credential.
    pub fn has_feed_credentials(&self) -> bool {
        self.services.have_credentials()
    }

    /// What the configuration leaves open or lacks, a sentence each, for whoever starts the program.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Whether challenges that name no web origin (V1) are refused.
    pub fn requires_v2(&self) -> bool {
        self.require_v2
    }

    /// The names of the services that challenges are made for, the own one first.
    pub fn services(&self) -> Vec<&str> {
        self.services.names()
    }

    /// The fingerprint of the key that signs challenges.
    pub fn server_key(&self) -> Option<Fingerprint> {
        self.server_key.as_ref().map(ServerKey::fingerprint)
    }

    /// Whether this could work with other stores than its own: their master key, and no key of the server among
    /// people's. Nothing is written into them.
    ///
    /// # Errors
    /// It could not, in the words of a start with them.
    pub async fn could_work_with(&self, stores: &Stores) -> Result<(), ConfigError> {
        builder::check_stores(stores, &self.server_keys, &self.admin_keys).await.map(drop)
    }

    /// Where the data is, in words.
    pub fn place(&self) -> &str {
        &self.stores.place
    }
}

impl fmt::Debug for LocalVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalVerifier").field("service", &self.services.own()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Verifier for LocalVerifier {
    fn service(&self) -> &str {
        self.services.own()
    }

    async fn challenge(
        &self,
        request: &ChallengeRequest,
        caller: &Caller,
    ) -> Result<ChallengeResponse, AuthError> {
        self.make_challenge(request, caller).await
    }

    async fn verify(&self, request: &VerifyRequest, caller: &Caller) -> Result<Login, AuthError> {
        let work = pin!(async {
            let result = self.log_in(request, caller).await;
            match &result {
                Ok(login) => self.counts.login(login.response.is_new_enrollment),
                // A revocation needs no login to be true.
                Err(_) => self.apply_revocation(request).await,
            }
            result
        });
        self.limited(caller, Some(&request.fingerprint), work).await
    }

    async fn authenticate(&self, token: &str, audience: Audience) -> Result<Authenticated, AuthError> {
        self.whose_token(token, audience).await
    }

    async fn resume(&self, session: &Session) -> Result<Authenticated, AuthError> {
        self.do_what_is_due().await;
        self.authorize(session, self.clock.now()).await
    }

    async fn end(&self, session: &Session) -> Result<(), AuthError> {
        self.end_session(session).await
    }

    async fn qr_challenge(
        &self,
        request: &QrChallengeRequest,
        caller: &Caller,
    ) -> Result<QrChallenge, AuthError> {
        self.make_qr_challenge(request, caller).await
    }

    async fn qr_verify(
        &self,
        nonce: &Nonce,
        request: &QrVerifyRequest,
        caller: &Caller,
    ) -> Result<QrAnswered, AuthError> {
        let work = pin!(async {
            let result = self.answer_qr(nonce, request, caller).await;
            if result.is_err() {
                self.apply_revocation(&request.answer).await;
            }
            result
        });
        self.limited(caller, Some(&request.answer.fingerprint), work).await
    }

    async fn qr_status(&self, nonce: &Nonce, poll_token: &str, fetch: bool) -> Result<QrStatus, AuthError> {
        self.status_of_qr(nonce, poll_token, fetch).await
    }

    async fn qr_decide(
        &self,
        nonce: &Nonce,
        poll_token: &str,
        decision: &QrDecision,
    ) -> Result<QrStatus, AuthError> {
        self.decide_qr(nonce, poll_token, decision).await
    }

    async fn qr_changed(&self, nonce: &Nonce, poll_token: &str, told: &QrStatus) -> Result<(), AuthError> {
        self.qr_moved(nonce, poll_token, told).await
    }

    async fn close(&self) -> Result<(), AuthError> {
        self.write_audit_file().await;
        Ok(self.stores.keys.flush().await?)
    }
}
