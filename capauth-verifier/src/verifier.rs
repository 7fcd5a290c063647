//! [`Verifier`], the one question, and [`Authenticated`], its answer.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use capauth_protocol::request::{
    ChallengeRequest, QrChallengeRequest, QrDecision, QrVerifyRequest, VerifyRequest,
};
use capauth_protocol::response::{ChallengeResponse, VerifyResponse};
use capauth_protocol::{Fingerprint, Nonce, OidcClaims};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::limits::DeviceId;
use crate::qr::{QrAnswered, QrChallenge, QrStatus};
use crate::secret::Secret;

/// Who asks, as far as the transport knows.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The peer's address, after trusted proxies.
    pub address: Option<IpAddr>,
    /// The browser that asks, if it has signed in before: the limits then count it alone.
    pub device: Option<DeviceId>,
    /// The request's `Host`, with or without port.
    pub host: Option<String>,
    /// The service that hands this on and says the rest, on its credential's word. What it says counts among its own
    /// people alone.
    pub application: Option<Arc<str>>,
}

/// For which services a token may have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// For this verifier's own service alone: the rule.
    Own,
    /// For any service of this issuer: only for saying what a token says.
    AnyOfIssuer,
}

/// What a session or a token remembers: what the person asserted, and which key stands behind it. Authority (groups,
/// approval) is not in it; it is read from the store at each use.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its name, by which it can be ended.
    pub jti: String,
    /// The service it is for.
    pub service: String,
    /// The identity.
    pub sub: Fingerprint,
    /// The certificate that signed.
    pub fingerprint: Fingerprint,
    /// The identity's generation when it was made.
    pub generation: u64,
    /// The installation's epoch when it was made.
    pub epoch: u64,
    /// When the person signed.
    pub authenticated_at: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// The web origin the person signed for (V2), if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether another device signed (a QR login): such a session never administers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub qr: bool,
    /// The groups the person chose to share; `None` shares all that are granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_groups: Option<Vec<String>>,
    /// The access token itself, where a central service is asked about it at each use. A secret: it stands in sealed
    /// things alone. The claims are then what the service answers, and not kept here.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "sealed_token")]
    pub token: Option<Secret>,
    /// What the person asserted, mapped. `groups` is empty here.
    pub claims: OidcClaims,
}

/// A secret does not write itself: here it is written on purpose, into what is sealed next.
mod sealed_token {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(token: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        token.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::from))
    }
}

/// Shows which session of whom; what people say of themselves stays out of logs.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("service", &self.service)
            .field("sub", &self.sub)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Who is signed in, and what they may do.
///
/// Cheap to clone. What applications read of them is [`claims`](Self::claims).
#[derive(Debug, Clone)]
pub struct Authenticated(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    session: Session,
    claims: OidcClaims,
    user_name: Option<String>,
}

/// Digits of `sub` in an account name: few enough to read, too many to hit on purpose.
const NAME_DIGITS: usize = 32;

impl Authenticated {
    /// Puts together what was asserted and what is granted. `groups` is what the store grants now.
    pub fn new(session: Session, granted: &[String], asserted_groups_rule: bool) -> Self {
        let groups = match &session.shared_groups {
            Some(shared) if asserted_groups_rule => shared.clone(),
            Some(shared) => granted.iter().filter(|g| shared.contains(g)).cloned().collect(),
            None => granted.to_vec(),
        };
        let mut claims = session.claims.clone();
        claims.groups = groups;
        Self(Arc::new(Inner { session, claims, user_name: None }))
    }

    /// The same, with the account name that an administrator gave.
    pub(crate) fn named(mut self, user_name: Option<String>) -> Self {
        // Nobody else has it yet.
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.user_name = user_name;
        }
        self
    }

    /// Puts together a session and what a central service said of the person just now, groups included.
    #[cfg(feature = "remote")]
    pub(crate) fn told(session: Session, claims: OidcClaims) -> Self {
        Self(Arc::new(Inner { session, claims, user_name: None }))
    }

    /// The identity: stable over key rotation.
    pub fn sub(&self) -> Fingerprint {
        self.0.session.sub
    }

    /// The key that signed.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.session.fingerprint
    }

    /// What applications read. The groups in it are granted ones.
    pub fn claims(&self) -> &OidcClaims {
        &self.0.claims
    }

    /// The name the person gave, else `capauth-` and eight digits. For showing; never an account key.
    pub fn display_name(&self) -> &str {
        let claims = self.claims();
        claims.name.as_deref().or(claims.preferred_username.as_deref()).unwrap_or("capauth")
    }

    /// The name to key an account on: the one an administrator gave, else `capauth-` and 32 digits of the
    /// [`sub`](Self::sub). Nothing that a person says of themselves can make it another's.
    ///
    /// An application that asks a central service does not learn the given one from a token, and has the second form
    /// here; `GET /capauth/v1/userinfo` tells. `sub` is the same everywhere.
    pub fn user_name(&self) -> String {
        let own = || format!("capauth-{}", self.sub().prefix(NAME_DIGITS).to_lowercase());
        self.0.user_name.clone().unwrap_or_else(own)
    }

    /// The groups an administrator granted and the person shares.
    pub fn groups(&self) -> &[String] {
        &self.0.claims.groups
    }

    /// Whether they are in this group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups().iter().any(|g| g == group)
    }

    /// Whether they say of themselves that they are a program (`agent_type: "ai"`). A courtesy, not a proof.
    pub fn is_ai(&self) -> bool {
        self.0.claims.agent_type.as_deref() == Some("ai")
    }

    /// What a session remembers of this login.
    pub fn session(&self) -> &Session {
        &self.0.session
    }
}

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct Login {
    /// What the protocol answers.
    pub response: VerifyResponse,
    /// Who it is.
    pub who: Authenticated,
}

fn no_qr() -> AuthError {
    AuthError::with_words(AuthErrorKind::NotFound, "Logins from another device are not offered here.")
}

/// Decides who someone is: here ([`LocalVerifier`](crate::LocalVerifier)), or by asking a central service.
#[async_trait]
pub trait Verifier: Send + Sync + 'static {
    /// The service this verifier lets in to.
    fn service(&self) -> &str;

    /// Makes a challenge.
    ///
    /// # Errors
    /// The service or origin is not ours, the key is the server's own, or a store is gone.
    async fn challenge(
        &self,
        request: &ChallengeRequest,
        caller: &Caller,
    ) -> Result<ChallengeResponse, AuthError>;

    /// Judges the answer to a challenge, and uses the challenge up if it is good.
    ///
    /// # Errors
    /// Everything that can be wrong with an answer; see [`AuthErrorKind`](crate::AuthErrorKind).
    async fn verify(&self, request: &VerifyRequest, caller: &Caller) -> Result<Login, AuthError>;

    /// Says whose access token this is.
    ///
    /// # Errors
    /// Not a good token, not (any longer) a good key, another audience, or a store is gone.
    async fn authenticate(&self, token: &str, audience: Audience) -> Result<Authenticated, AuthError>;

    /// Says whether a session is still good, with today's authority.
    ///
    /// # Errors
    /// It ended, its key did, or a store is gone.
    async fn resume(&self, session: &Session) -> Result<Authenticated, AuthError>;

    /// Ends a session or token before its time, everywhere.
    ///
    /// # Errors
    /// A store is gone.
    async fn end(&self, session: &Session) -> Result<(), AuthError>;

    /// Makes a login that another device is to sign. None are made unless the verifier says otherwise.
    ///
    /// # Errors
    /// The service or origin is not ours, or a store is gone.
    async fn qr_challenge(
        &self,
        _request: &QrChallengeRequest,
        _caller: &Caller,
    ) -> Result<QrChallenge, AuthError> {
        Err(no_qr())
    }

    /// Judges what the other device answers: with the code the login is done, without it somebody has to confirm it.
    ///
    /// # Errors
    /// Everything that can be wrong with an answer; a wrong code, which counts; another answer waits already.
    async fn qr_verify(
        &self,
        _nonce: &Nonce,
        _request: &QrVerifyRequest,
        _caller: &Caller,
    ) -> Result<QrAnswered, AuthError> {
        Err(no_qr())
    }

    /// Says where such a login stands, to whoever holds its poll token. With `fetch`, what it yielded is handed out, once.
    ///
    /// # Errors
    /// [`AuthErrorKind::InvalidNonce`] for an unknown one and for another token alike; a store is gone.
    async fn qr_status(
        &self,
        _nonce: &Nonce,
        _poll_token: &str,
        _fetch: bool,
    ) -> Result<QrStatus, AuthError> {
        Err(no_qr())
    }

    /// Says yes or no to the answer that waits, for whoever holds the poll token.
    ///
    /// # Errors
    /// As [`qr_status`](Self::qr_status); no answer of that key waits; the key is not let in.
    async fn qr_decide(
        &self,
        _nonce: &Nonce,
        _poll_token: &str,
        _decision: &QrDecision,
    ) -> Result<QrStatus, AuthError> {
        Err(no_qr())
    }

    /// Waits until the login may stand elsewhere than was `told`: ask again then. May be dropped at any moment.
    ///
    /// # Errors
    /// As [`qr_status`](Self::qr_status).
    async fn qr_changed(&self, _nonce: &Nonce, _poll_token: &str, _told: &QrStatus) -> Result<(), AuthError> {
        Err(no_qr())
    }

    /// Writes what waits to be written. Call at shutdown.
    ///
    /// # Errors
    /// A store is gone.
    async fn close(&self) -> Result<(), AuthError>;
}
