//! Asking the service about a token, where it cannot be checked here.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_protocol::limits::MAX_JTI;
use capauth_protocol::{Fingerprint, OidcClaims};
use moka::sync::Cache;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::discovery::{Found, Way};
use super::fault::{Fault, FaultKind};
use super::link::{Answer, Call, Link, Proof};
use crate::claims::drop_reserved;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::seen::SeenToken;

const TOKEN_INFO: &str = "/capauth/v1/token-info";
const USER_INFO: &str = "/capauth/v1/userinfo";
/// For how many milliseconds an answer is believed.
const BELIEVED: u64 = 1_000;
/// For how long an answer is kept at all: longer than a question takes.
const KEPT: Duration = Duration::from_secs(30);

/// What the service says of a good token.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) sub: Fingerprint,
    pub(super) claims: OidcClaims,
    /// When the person signed.
    pub(super) authenticated_at: Option<Timestamp>,
    pub(super) expires: Option<Timestamp>,
    /// The token's own name, where the service says it.
    pub(super) jti: Option<String>,
}

/// Why a token counts for nothing.
#[derive(Debug, Clone)]
pub(super) enum NotGood {
    /// No token, or no longer one.
    Token,
    /// A good one, of another issuer.
    Issuer,
    /// A good one, for another service.
    Audience,
    /// It could not be found out.
    Unknown(Fault),
    /// What ended lately, or which keys count, is not known well enough to say.
    Stale,
}

impl From<NotGood> for AuthError {
    fn from(reason: NotGood) -> Self {
        match reason {
            NotGood::Token | NotGood::Issuer | NotGood::Audience => Self::new(AuthErrorKind::InvalidToken),
            NotGood::Unknown(fault) => fault.into(),
            NotGood::Stale => {
                let words = "what is known of the central service's keys and revocations is too old";
                Self::because(AuthErrorKind::Unavailable, words)
            }
        }
    }
}

impl From<Fault> for NotGood {
    fn from(fault: Fault) -> Self {
        Self::Unknown(fault)
    }
}

/// An answer, and when it was asked for.
struct Outcome {
    /// By the clock that was handed in.
    asked: u64,
    started: Instant,
    said: Result<Arc<Told>, NotGood>,
}

/// Questions that were asked or are being asked, one at a time for each token.
pub(super) struct Questions {
    of_token: Cache<SeenToken, Arc<Mutex<Option<Outcome>>>>,
}

impl Questions {
    pub(super) fn new(capacity: u64) -> Self {
        // Nothing of a person, nor of a question that was given up, stays for longer than it is of use.
        Self { of_token: Cache::builder().max_capacity(capacity).time_to_live(KEPT).build() }
    }

    /// What the service says of a token: now, or less than a second ago. `now` in milliseconds.
    ///
    /// # Errors
    /// The token is not good, or it cannot be found out. That is never remembered as anything else.
    pub(super) async fn ask(
        &self,
        link: &Link,
        found: &Found,
        own: &str,
        token: &str,
        now: u64,
    ) -> Result<Arc<Told>, NotGood> {
        let arrived = Instant::now();
        let place = match self.of_token.get(token) {
            Some(place) => place,
            None => self.of_token.entry(SeenToken::new(token)).or_default().into_value(),
        };
        let mut last = place.lock().await;
        if let Some(outcome) = &*last {
            // Asked while we waited: the answer is as new as one of our own would be.
            let shared = outcome.started >= arrived;
            let believed = outcome.said.is_ok() && now >= outcome.asked && now - outcome.asked < BELIEVED;
            if shared || believed {
                return outcome.said.clone();
            }
        }
        *last = None;
        let started = Instant::now();
        let said = question(link, found, own, token, now).await;
        if said.is_err() {
            self.of_token.invalidate(token);
        }
        *last = Some(Outcome { asked: now, started, said: said.clone() });
        said
    }

    /// The next question about this token is asked anew.
    pub(super) fn forget(&self, token: &str) {
        self.of_token.invalidate(token);
    }
}

/// The name by which what was made of a token is ended here. Of what is signed alone: some readers take a signature in
/// more than one spelling.
pub(super) fn name_of(token: &str) -> String {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    URL_SAFE_NO_PAD.encode(Sha256::digest(signed.as_bytes()))
}

async fn question(
    link: &Link,
    found: &Found,
    own: &str,
    token: &str,
    now: u64,
) -> Result<Arc<Told>, NotGood> {
    let older = found.way == Way::AskOlder;
    let path = if older { USER_INFO } else { TOKEN_INFO };
    let answer = link.send(&Call::get(path).proof(Proof::Token(token))).await?;
    match answer.status {
        200 => {}
        401 => return Err(NotGood::Token),
        _ => return Err(link.unexpected(&answer).into()),
    }
    let told = if older { read_older(&answer) } else { read(link, found, own, &answer)? };
    let told = told.ok_or(NotGood::Token)?;
    if told.expires.is_some_and(|expires| expires <= Timestamp::from_unix(now / 1000)) {
        return Err(NotGood::Token);
    }
    Ok(Arc::new(told))
}

fn read(link: &Link, found: &Found, own: &str, answer: &Answer) -> Result<Option<Told>, NotGood> {
    #[derive(Deserialize)]
    struct Info {
        aud: String,
        iss: String,
        iat: u64,
        exp: u64,
        #[serde(default)]
        jti: Option<String>,
        #[serde(flatten)]
        claims: OidcClaims,
    }
    let info: Info = link.parse(answer)?;
    if found.issuer.as_deref() != Some(info.iss.as_str()) {
        // It knows the token, and is not who we were told it is.
        let words = "the central service answers for another issuer than before; is `.issuer` its base URL?";
        return Err(link.fault(FaultKind::Issuer, words).into());
    }
    if info.aud != own {
        return Err(NotGood::Audience);
    }
    let mut claims = info.claims;
    drop_reserved(&mut claims);
    Ok(claims.sub.parse().ok().map(|sub| Told {
        sub,
        claims,
        authenticated_at: Some(Timestamp::from_unix(info.iat)),
        expires: Some(Timestamp::from_unix(info.exp)),
        jti: info.jti.filter(|jti| (1..=MAX_JTI).contains(&jti.len())),
    }))
}

/// Only what the older service itself vouches for. It also makes tokens of what another provider says; those name no
/// key and are nobody's here.
fn read_older(answer: &Answer) -> Option<Told> {
    #[derive(Deserialize)]
    struct Info {
        sub: String,
        capauth_fingerprint: Fingerprint,
        amr: Vec<String>,
    }
    let info: Info = serde_json::from_slice(&answer.body).ok()?;
    let sub: Fingerprint = info.sub.parse().ok()?;
    let by_key = sub == info.capauth_fingerprint && info.amr.iter().any(|how| how == "pgp");
    let claims = OidcClaims::new(sub.to_string(), info.capauth_fingerprint);
    by_key.then_some(Told { sub, claims, authenticated_at: None, expires: None, jti: None })
}
