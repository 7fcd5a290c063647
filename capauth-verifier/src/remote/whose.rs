//! Whose token or session this is, and whether it still counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::SystemTime;

use capauth_protocol::OidcClaims;
use capauth_protocol::limits::MAX_JTI;
use capauth_protocol::request::RevokeRequest;
use jsonwebtoken::Algorithm;

use super::Inner;
use super::discovery::{Found, Way};
use super::fault::Fault;
use super::introspection::{NotGood, Told, name_of};
use super::keys::Change;
use super::link::{Call, Proof, bearer, millis};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::secret::Secret;
use crate::seen::{SeenToken, jti_hash};
use crate::tokens::{MAX_TOKEN, Read, Unreadable, kid_of, read_with};
use crate::verifier::{Authenticated, Session};

const REVOKE: &str = "/capauth/v1/revoke";
const LOGOUT: &str = "/capauth/v1/logout";
/// Seconds for which a token of an older service counts that does not say when it ends; it is asked about all the
/// while.
const UNKNOWN_EXPIRY: u64 = 60;
/// The most ended tokens that wait until the service can be told.
const MAX_UNTOLD: usize = 4096;

/// A token that was verified here.
pub(super) struct Seen {
    who: Authenticated,
    jti_hash: [u8; 32],
    /// Of which set of keys.
    keys: u64,
    /// After how many changes it was last held against the feed.
    checked: AtomicU64,
}

impl From<Unreadable> for NotGood {
    fn from(reason: Unreadable) -> Self {
        match reason {
            Unreadable::Issuer => Self::Issuer,
            Unreadable::Token => Self::Token,
        }
    }
}

fn invalid() -> AuthError {
    AuthError::new(AuthErrorKind::InvalidToken)
}

/// What a session carries where the service is asked about its token: everything else comes with the answer.
fn bare(told: &Told, token: &str, own: &str, now: Timestamp) -> Session {
    let expires = told.expires.unwrap_or(now.plus(UNKNOWN_EXPIRY));
    Session {
        jti: told.jti.clone().unwrap_or_else(|| name_of(token)),
        service: own.to_owned(),
        sub: told.sub,
        fingerprint: told.claims.capauth_fingerprint,
        generation: 0,
        epoch: 0,
        authenticated_at: told.authenticated_at.unwrap_or(now),
        expires,
        origin: None,
        // What it was made of says it, should it ever matter here: nobody administers at an application.
        qr: false,
        shared_groups: Some(Vec::new()),
        token: Some(Secret::new(token)),
        claims: OidcClaims::new(told.sub.to_string(), told.claims.capauth_fingerprint),
    }
}

impl Inner {
    pub(super) async fn whose_token(&self, token: &str) -> Result<Authenticated, AuthError> {
        if token.len() > MAX_TOKEN {
            return Err(invalid());
        }
        let now = self.clock.now();
        let seen = self.seen.get(token);
        self.counts.seen_tokens.note(seen.is_some());
        if let Some(seen) = seen
            && let Some(who) = self.seen_before(token, &seen, now)?
        {
            return Ok(who);
        }
        let found = self.found()?;
        if found.way != Way::Keys {
            return Ok(self.asked(&found, token, now).await?);
        }
        let (keys, checked) = (self.keys.version(), self.changes.count());
        let read = self.read(&found, token, now).await?;
        let hash = self.checked(&read.session, now)?;
        let who = of_groups(read.session, read.groups);
        let seen = Seen { who: who.clone(), jti_hash: hash, keys, checked: AtomicU64::new(checked) };
        self.seen.insert(SeenToken::new(token), Arc::new(seen));
        Ok(who)
    }

    /// A token that was verified costs no verification; whether it counts is asked all the same. `None`: look anew.
    fn seen_before(
        &self,
        token: &str,
        seen: &Seen,
        now: SystemTime,
    ) -> Result<Option<Authenticated>, AuthError> {
        if seen.who.session().expires <= Timestamp::from(now) {
            self.seen.invalidate(token);
            return Err(invalid());
        }
        let changes = self.changes.count();
        if seen.checked.load(Ordering::Acquire) != changes {
            let here = self.found().is_ok_and(|found| found.way == Way::Keys);
            if !here || seen.keys != self.keys.version() {
                self.seen.invalidate(token);
                return Ok(None);
            }
            self.not_ended(seen.who.session(), &seen.jti_hash)
                .inspect_err(|_| self.seen.invalidate(token))?;
            seen.checked.store(changes, Ordering::Release);
        }
        self.fresh(now)?;
        Ok(Some(seen.who.clone()))
    }

    fn fresh(&self, now: SystemTime) -> Result<(), NotGood> {
        let now = millis(now);
        if self.feed.is_fresh(now) && self.keys.is_fresh(now) { Ok(()) } else { Err(NotGood::Stale) }
    }

    fn not_ended(&self, session: &Session, jti_hash: &[u8; 32]) -> Result<(), NotGood> {
        let good = self.feed.allows(session, jti_hash) && !self.ended.contains_key(jti_hash);
        if good { Ok(()) } else { Err(NotGood::Token) }
    }

    /// Holds a session that was made or verified here against the clock and the feed.
    fn checked(&self, session: &Session, now: SystemTime) -> Result<[u8; 32], NotGood> {
        if session.expires <= Timestamp::from(now) || session.service != *self.own {
            return Err(NotGood::Token);
        }
        let hash = jti_hash(&session.jti);
        self.fresh(now)?;
        self.not_ended(session, &hash)?;
        Ok(hash)
    }

    /// Reads a token by the published keys. For whom it was made is looked at, whether it was ended is not.
    async fn read(&self, found: &Found, token: &str, now: SystemTime) -> Result<Read, NotGood> {
        // The algorithm is a fact of this code, whatever the token's header says.
        let kid = kid_of(token, Algorithm::EdDSA)?.ok_or(NotGood::Token)?;
        let issuer = found.issuer.as_deref().ok_or(NotGood::Issuer)?;
        let (key, change) = self.keys.get(&self.link, &kid, millis(now)).await?;
        if change == Change::Everything {
            // A new installation behind the old URL: its feed starts at the beginning.
            self.feed.restart();
            self.feed.poll(&self.link, millis(now)).await?;
        }
        let read = read_with(token, &key, Algorithm::EdDSA, issuer, now.into())?;
        if read.session.service != *self.own {
            return Err(NotGood::Audience);
        }
        if !(1..=MAX_JTI).contains(&read.session.jti.len()) {
            return Err(NotGood::Token);
        }
        Ok(read)
    }

    /// What the service says of a token, unless it was ended here.
    async fn told(&self, found: &Found, token: &str, now: SystemTime) -> Result<Arc<Told>, NotGood> {
        if bearer(token).is_none() {
            return Err(NotGood::Token);
        }
        let hash = jti_hash(&name_of(token));
        if self.ended.contains_key(&hash) {
            return Err(NotGood::Token);
        }
        let told = self.questions.ask(&self.link, found, &self.own, token, millis(now)).await?;
        let expired = told.expires.is_some_and(|expires| expires <= Timestamp::from(self.clock.now()));
        if expired || self.ended.contains_key(&hash) {
            return Err(NotGood::Token);
        }
        Ok(told)
    }

    async fn asked(&self, found: &Found, token: &str, now: SystemTime) -> Result<Authenticated, NotGood> {
        let told = self.told(found, token, now).await?;
        Ok(Authenticated::told(bare(&told, token, &self.own, now.into()), told.claims.clone()))
    }

    /// Whose token it is that a login yielded, and until when a session made of it lasts. Looked at from the ground up;
    /// `expires_in` counts only where the token itself says nothing.
    pub(super) async fn who_logged_in(
        &self,
        found: &Found,
        token: &str,
        expires_in: u64,
    ) -> Result<(Authenticated, Timestamp), NotGood> {
        if token.len() > MAX_TOKEN {
            return Err(NotGood::Token);
        }
        let now = self.clock.now();
        let lifetime = self.session_lifetime.as_secs();
        if found.way == Way::Keys {
            let mut read = self.read(found, token, now).await?;
            self.checked(&read.session, now)?;
            let ends = read.session.expires;
            let until = read.session_until.unwrap_or(ends);
            read.session.expires = read.session.authenticated_at.plus(lifetime).min(until);
            if read.session.expires <= Timestamp::from(now) {
                return Err(NotGood::Token);
            }
            return Ok((of_groups(read.session, read.groups), ends));
        }
        self.questions.forget(token);
        let told = self.told(found, token, now).await?;
        let mut session = bare(&told, token, &self.own, now.into());
        let ends = told.expires.unwrap_or(Timestamp::from(now).plus(expires_in));
        session.expires = session.authenticated_at.plus(lifetime).min(ends);
        Ok((Authenticated::told(session, told.claims.clone()), ends))
    }

    pub(super) async fn resume(&self, session: &Session) -> Result<Authenticated, AuthError> {
        let now = self.clock.now();
        let Some(token) = session.token.as_ref().map(Secret::expose) else {
            // Made of a token that was checked here. Without keys and feed nobody could say whether it still counts.
            if self.found()?.way != Way::Keys {
                return Err(invalid());
            }
            self.checked(session, now)?;
            return Ok(Authenticated::new(session.clone(), &[], true));
        };
        let found = self.found()?;
        if session.expires <= Timestamp::from(now) || session.service != *self.own || token.len() > MAX_TOKEN
        {
            return Err(invalid());
        }
        let told = self.told(&found, token, now).await?;
        if (told.sub, told.claims.capauth_fingerprint) != (session.sub, session.fingerprint) {
            return Err(invalid());
        }
        Ok(Authenticated::told(session.clone(), told.claims.clone()))
    }

    /// Here at once and for good, whatever comes of telling the service.
    pub(super) async fn end(&self, session: &Session) -> Result<(), AuthError> {
        let name =
            session.token.as_ref().map_or_else(|| session.jti.clone(), |token| name_of(token.expose()));
        self.ended.insert(jti_hash(&name), ());
        self.changes.add();
        if let Some(token) = session.token.as_ref().map(Secret::expose) {
            self.questions.forget(token);
            let (jti, expires) = (session.jti.clone(), Some(session.expires.as_unix()));
            let request = RevokeRequest { jti, expires };
            // An older service says no names, and has no call for them.
            let nameless = session.jti == name_of(token);
            let call = if nameless { Call::get(LOGOUT) } else { Call::post(REVOKE, &request) };
            let answer = self.link.send(&call.proof(Proof::Token(token))).await?;
            // Nothing is left to end when the service does not know the token any longer.
            let done = answer.is_success() || answer.status == 401;
            return if done { Ok(()) } else { Err(self.link.unexpected(&answer).into()) };
        }
        // The token may end before a session that was made of it.
        let longest = session.authenticated_at.plus(self.session_lifetime.as_secs()).max(session.expires);
        {
            // Kept until it is told: the service may be away, and whoever asked may be gone before it answers.
            let mut untold = self.untold();
            if untold.len() < MAX_UNTOLD {
                untold.insert(session.jti.clone(), longest);
            }
        }
        Ok(self.tell(&session.jti, longest).await?)
    }

    /// Tells the service that a token has ended. What it was told of waits no longer.
    pub(super) async fn tell(&self, jti: &str, expires: Timestamp) -> Result<(), Fault> {
        let request = RevokeRequest { jti: jti.to_owned(), expires: Some(expires.as_unix()) };
        let answer = self.link.send(&Call::post(REVOKE, &request).proof(Proof::Credential)).await?;
        if !answer.is_success() {
            return Err(self.link.unexpected(&answer));
        }
        self.untold().remove(jti);
        Ok(())
    }

    pub(super) fn untold(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The groups are exactly the token's: nothing else grants any here.
fn of_groups(mut session: Session, groups: Vec<String>) -> Authenticated {
    session.shared_groups = Some(groups);
    Authenticated::new(session, &[], true)
}
