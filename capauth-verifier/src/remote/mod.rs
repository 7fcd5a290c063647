//! [`RemoteVerifier`]: asks a central service, and believes only what a verified token says.

mod builder;
mod challenge;
mod circuit;
mod discovery;
mod fault;
mod feed;
mod introspection;
mod keys;
mod link;
mod login;
mod qr;
mod refusal;
mod upkeep;
mod whose;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use capauth_protocol::Nonce;
use capauth_protocol::request::{
    ChallengeRequest, QrChallengeRequest, QrDecision, QrVerifyRequest, VerifyRequest,
};
use capauth_protocol::response::ChallengeResponse;
use moka::sync::Cache;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

pub use builder::RemoteBuilder;

use crate::clock::{Clock, Timestamp};
use crate::counts::Counts;
use crate::error::{AuthError, AuthErrorKind};
use crate::limits::Limits;
use crate::qr::{QrAnswered, QrChallenge, QrStatus};
use crate::seen::SeenToken;
use crate::verifier::{Audience, Authenticated, Caller, Login, Session, Verifier};

/// Decides who someone is by asking a central CapAuth service.
///
/// With a credential tokens are checked here: by the service's published keys, and by its feed of revocations, followed
/// twice a second. Without one, or with [`introspect`](RemoteBuilder::introspect), the service is asked about each token
/// once a second. When the service is away nobody is let in: everything answers
/// [`AuthErrorKind::Unavailable`], at the latest after half a minute.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use capauth_verifier::{RemoteVerifier, Secret, Verifier};
///
/// let verifier = RemoteVerifier::builder("https://auth.example.com")
///     .service("app.example.com")
///     .credential(Secret::new(std::env::var("CAPAUTH_CREDENTIAL")?))
///     .build()
///     .await?;
/// assert_eq!(verifier.service(), "app.example.com");
/// # Ok(()) }
/// ```
pub struct RemoteVerifier {
    inner: Arc<Inner>,
    /// What keeps the keys and the feed up to date.
    upkeep: AbortHandle,
}

struct Inner {
    link: link::Link,
    /// Counts where the service cannot tell this application's people apart.
    limits: Limits,
    clock: Arc<dyn Clock>,
    /// The service that is let in to here.
    own: Arc<str>,
    expected: discovery::Expected,
    session_lifetime: Duration,
    /// `None`: the service has not answered yet.
    found: RwLock<Option<Arc<discovery::Found>>>,
    /// Why it did not, when the program started.
    trouble: Option<String>,
    /// The first issuer that was heard of stays the only one.
    issuer: OnceLock<Arc<str>>,
    /// When the service was last asked what it is, in milliseconds.
    discovered: Mutex<u64>,
    changes: feed::Changes,
    keys: keys::Keys,
    feed: feed::Feed,
    questions: introspection::Questions,
    /// Tokens that were verified here.
    seen: Cache<SeenToken, Arc<whose::Seen>>,
    /// What was ended here, by the hash of its name: at once, whatever the service says.
    ended: Cache<[u8; 32], ()>,
    /// What was ended here and the service has not been told of yet.
    untold: std::sync::Mutex<HashMap<String, Timestamp>>,
    certificate: challenge::Certificate,
    counts: Counts,
}

impl Inner {
    /// What is known of the service.
    fn found(&self) -> Result<Arc<discovery::Found>, AuthError> {
        let found = self.found.read().unwrap_or_else(PoisonError::into_inner).clone();
        let none =
            || AuthError::because(AuthErrorKind::Unavailable, "the central service has not answered yet");
        found.ok_or_else(none)
    }
}

impl RemoteVerifier {
    /// Begins to configure a verifier that asks the service at this URL, `https://host[:port][/prefix]`.
    pub fn builder(url: impl Into<String>) -> RemoteBuilder {
        RemoteBuilder::new(url.into())
    }

    /// Where the central service is asked, without a slash at the end.
    pub fn url(&self) -> &str {
        self.inner.link.url()
    }

    /// The issuer whose tokens count. `None` as long as the service has not answered, and where its tokens name none.
    pub fn issuer(&self) -> Option<String> {
        self.inner.issuer.get().map(|issuer| issuer.to_string())
    }

    /// What the configuration leaves open or costs, a sentence each, for whoever starts the program.
    pub fn notices(&self) -> Vec<String> {
        self.inner.notices()
    }

    /// What time it is, by the clock that was handed in.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.timestamp()
    }

    /// How long a session lasts at most.
    pub fn session_lifetime(&self) -> Duration {
        self.inner.session_lifetime
    }

    /// Does now what is due: asks what the service is, fetches its keys, follows its feed. The background task does this
    /// twice a second; what fails is in the log and in the counter, and tried again.
    ///
    /// # Errors
    /// The service does not answer, or not as it should.
    pub async fn refresh(&self) -> Result<(), AuthError> {
        Ok(self.inner.refresh().await?)
    }
}

impl Drop for RemoteVerifier {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl fmt::Debug for RemoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteVerifier")
            .field("url", &self.url())
            .field("service", &self.inner.own)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Verifier for RemoteVerifier {
    fn service(&self) -> &str {
        &self.inner.own
    }

    async fn challenge(
        &self,
        request: &ChallengeRequest,
        caller: &Caller,
    ) -> Result<ChallengeResponse, AuthError> {
        self.inner.limits.challenge(caller, Some(&request.fingerprint))?;
        let made = self.inner.make_challenge(request, caller).await;
        made.inspect(|_| self.inner.counts.challenges.increment(1))
    }

    async fn verify(&self, request: &VerifyRequest, caller: &Caller) -> Result<Login, AuthError> {
        let attempt = self.inner.limits.attempt(caller, Some(&request.fingerprint)).await?;
        let login = self.inner.log_in(request, caller).await;
        attempt.conclude(&login);
        login.inspect(|login| self.inner.counts.login(login.response.is_new_enrollment))
    }

    /// A token for another service is never good here, whatever the audience.
    async fn authenticate(&self, token: &str, _audience: Audience) -> Result<Authenticated, AuthError> {
        self.inner.whose_token(token).await
    }

    async fn resume(&self, session: &Session) -> Result<Authenticated, AuthError> {
        self.inner.resume(session).await
    }

    async fn end(&self, session: &Session) -> Result<(), AuthError> {
        self.inner.end(session).await
    }

    async fn qr_challenge(
        &self,
        request: &QrChallengeRequest,
        caller: &Caller,
    ) -> Result<QrChallenge, AuthError> {
        self.inner.limits.challenge(caller, None)?;
        let made = self.inner.make_qr_challenge(request, caller).await;
        made.inspect(|_| self.inner.counts.challenges.increment(1))
    }

    async fn qr_verify(
        &self,
        nonce: &Nonce,
        request: &QrVerifyRequest,
        caller: &Caller,
    ) -> Result<QrAnswered, AuthError> {
        let attempt = self.inner.limits.attempt(caller, Some(&request.answer.fingerprint)).await?;
        let answered = self.inner.answer_qr(nonce, request, caller).await;
        attempt.conclude(&answered);
        answered
    }

    async fn qr_status(&self, nonce: &Nonce, poll_token: &str, fetch: bool) -> Result<QrStatus, AuthError> {
        let status = self.inner.status_of_qr(nonce, poll_token, fetch).await;
        status.inspect(|status| {
            if let QrStatus::Authenticated { login: Some(login) } = status {
                self.inner.counts.login_by_qr(login.response.is_new_enrollment);
            }
        })
    }

    async fn qr_decide(
        &self,
        nonce: &Nonce,
        poll_token: &str,
        decision: &QrDecision,
    ) -> Result<QrStatus, AuthError> {
        self.inner.decide_qr(nonce, poll_token, decision).await
    }

    async fn qr_changed(&self, nonce: &Nonce, poll_token: &str, told: &QrStatus) -> Result<(), AuthError> {
        self.inner.qr_moved(nonce, poll_token, told).await
    }

    async fn close(&self) -> Result<(), AuthError> {
        self.upkeep.abort();
        Ok(())
    }
}
