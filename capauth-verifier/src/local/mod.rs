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
mod key_cache;
mod linking;
mod login;
mod rotation;
mod services;
mod sessions;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use capauth_protocol::Fingerprint;
use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_protocol::response::ChallengeResponse;
use moka::sync::Cache;
use tokio::sync::Semaphore;

pub use administration::Administration;
pub use builder::LocalBuilder;
pub use capauth_protocol::response::Enrollment as EnrollmentMode;
pub use services::ServiceEntry;

use crate::clock::{Clock, Timestamp};
use crate::error::AuthError;
use crate::openpgp::ServerKey;
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
        self.services.credentials().iter().fold(false, |found, known| found | known.matches(credential))
    }

    /// Whether any service has a credential.
    pub fn has_feed_credentials(&self) -> bool {
        !self.services.credentials().is_empty()
    }

    /// What the configuration leaves open or lacks, a sentence each, for whoever starts the program.
    pub fn notices(&self) -> &[String] {
        &self.notices
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
        let result = self.log_in(request, caller).await;
        if result.is_err() {
            // A revocation needs no login to be true.
            self.apply_revocation(request).await;
        }
        result
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

    async fn close(&self) -> Result<(), AuthError> {
        self.write_audit_file().await;
        Ok(self.stores.keys.flush().await?)
    }
}
