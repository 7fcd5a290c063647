//! Whose token this is, and whether it still counts: assertions from the token, authority from the store.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::LocalVerifier;
use super::key_cache::{Stamp, millis};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::seen::{SeenToken, jti_hash};
use crate::stores::KeyRole;
use crate::tokens::MAX_TOKEN;
use crate::verifier::{Audience, Authenticated, Session};

/// For how many milliseconds it is asked whether a token was ended here: longer than an earlier look at the store is
/// believed.
const ENDED_MILLIS: u64 = 5_000;

/// How many seconds pass between two times that ended tokens are forgotten.
const FORGET_EVERY: u64 = 3600;

/// A token that was verified, and with what result when it was last checked against the store.
#[derive(Clone)]
pub(super) struct Seen {
    who: Authenticated,
    jti_hash: [u8; 32],
    stamp: Stamp,
}

fn invalid() -> AuthError {
    AuthError::new(AuthErrorKind::InvalidToken)
}

impl LocalVerifier {
    pub(super) async fn whose_token(
        &self,
        token: &str,
        audience: Audience,
    ) -> Result<Authenticated, AuthError> {
        if token.len() > MAX_TOKEN {
            return Err(invalid());
        }
        self.do_what_is_due().await;
        let now = self.clock.now();
        let seen = self.seen.get(token);
        self.counts.seen_tokens.note(seen.is_some());
        let expired = |who: &Authenticated| who.session().expires <= Timestamp::from(now);
        let who = match seen {
            Some(seen) if expired(&seen.who) => return Err(invalid()),
            Some(seen) if self.known.is_fresh(seen.stamp, now) && !self.has_ended(&seen.jti_hash, now) => {
                seen.who
            }
            seen => {
                let stamp = self.known.stamp(now);
                let who = match seen {
                    Some(seen) => self.authorize(seen.who.session(), now).await,
                    None => self.authorize(&self.tokens.read(token, now.into()).await?, now).await,
                };
                let who = who.inspect_err(|_| self.seen.invalidate(token))?;
                let jti_hash = jti_hash(&who.session().jti);
                self.seen.insert(SeenToken::new(token), Seen { who: who.clone(), jti_hash, stamp });
                who
            }
        };
        let service = &*who.session().service;
        match audience {
            Audience::Own if service != &**self.services.own() => Err(invalid()),
            Audience::AnyOfIssuer if !self.knows_service(service) => Err(invalid()),
            Audience::Own | Audience::AnyOfIssuer => Ok(who),
        }
    }

    /// Whether a session still counts, and what its identity may do today.
    pub(super) async fn authorize(
        &self,
        session: &Session,
        now: SystemTime,
    ) -> Result<Authenticated, AuthError> {
        if session.expires <= Timestamp::from(now) || session.epoch != self.epoch {
            return Err(invalid());
        }
        let known =
            self.known.get(&*self.stores.keys, &session.fingerprint, now).await?.ok_or_else(invalid)?;
        let identity = &known.row.identity;
        let good = known.row.revoked.is_none()
            && !matches!(known.row.role, KeyRole::Archived(_))
            && !identity.ended
            && !known.keys.is_revoked_for_good()
            && !known.keys.has_ended(now.into())
            && identity.approved
            && !identity.suspended
            && identity.sub == session.sub
            && identity.generation == session.generation;
        let hash = jti_hash(&session.jti);
        if !good || self.stores.tokens.is_token_revoked(&hash).await? {
            return Err(invalid());
        }
        self.note_use(session, &hash, now.into()).await?;
        Ok(Authenticated::new(session.clone(), &identity.groups, self.asserted_groups)
            .named(identity.user_name.clone()))
    }

    pub(super) async fn end_session(&self, session: &Session) -> Result<(), AuthError> {
        self.end_jti(&session.jti, self.ended_until(session.authenticated_at, session.expires)).await
    }

    /// Until when it must be remembered that something ended which was made of a login at this time.
    pub(super) fn ended_until(&self, login: Timestamp, expires: Timestamp) -> Timestamp {
        // Tokens that a refresh token made last may outlive the login's own.
        let refreshed = self.now().plus(self.token_lifetime.as_secs());
        self.longest_since(login).max(expires).max(refreshed)
    }

    /// How long whatever was made of a login at this time may last: a session's cookie may outlive its token.
    pub(super) fn longest_since(&self, login: Timestamp) -> Timestamp {
        login.plus(self.session_lifetime.max(self.token_lifetime).as_secs())
    }

    pub(super) async fn end_jti(&self, jti: &str, expires: Timestamp) -> Result<(), AuthError> {
        let hash = jti_hash(jti);
        self.end_hash(hash, expires).await
    }

    pub(super) async fn end_hash(&self, hash: [u8; 32], expires: Timestamp) -> Result<(), AuthError> {
        // What lives longest ends first: should this be all that happens, nothing new comes of it.
        self.stores.sessions.forget_session(&hash).await?;
        self.stores.tokens.revoke_token(&hash, expires).await?;
        self.ended.insert(hash, ());
        self.last_end.fetch_max(millis(self.clock.now()), Ordering::Release);
        Ok(())
    }

    /// Whether this process ended the token a moment ago. Mostly none was, and then nothing is looked up.
    fn has_ended(&self, jti_hash: &[u8; 32], now: SystemTime) -> bool {
        let lately = millis(now).saturating_sub(self.last_end.load(Ordering::Acquire)) < ENDED_MILLIS;
        lately && self.ended.contains_key(jti_hash)
    }

    /// Lets the store forget tokens and sessions past their time, now and then: else whoever signs in and out fills it.
    pub(super) async fn forget_expired(&self) -> Result<(), AuthError> {
        let now = self.now();
        let last = self.forgotten_at.load(Ordering::Relaxed);
        let due = now.as_unix().saturating_sub(last) >= FORGET_EVERY;
        let ours = due
            && self
                .forgotten_at
                .compare_exchange(last, now.as_unix(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if ours {
            self.stores.tokens.forget_expired(now).await?;
            self.stores.sessions.forget_old_sessions(now).await?;
        }
        Ok(())
    }
}
