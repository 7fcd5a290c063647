//! Whose token this is, and whether it still counts: assertions from the token, authority from the store.

use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::LocalVerifier;
use super::key_cache::Stamp;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::tokens::MAX_TOKEN;
use crate::verifier::{Audience, Authenticated, Session};

/// A token that was verified, and with what result when it was last checked against the store.
#[derive(Clone)]
pub(super) struct Seen {
    who: Authenticated,
    stamp: Stamp,
}

fn invalid() -> AuthError {
    AuthError::new(AuthErrorKind::InvalidToken)
}

pub(super) fn jti_hash(jti: &str) -> [u8; 32] {
    Sha256::digest(jti.as_bytes()).into()
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
        let now = self.clock.now();
        let name: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let seen = self.seen.get(&name);
        let expired = |who: &Authenticated| who.session().expires <= Timestamp::from(now);
        let who = match seen {
            Some(seen) if expired(&seen.who) => return Err(invalid()),
            Some(seen) if self.known.is_fresh(seen.stamp, now) => seen.who,
            seen => {
                let stamp = self.known.stamp(now);
                let who = match seen {
                    Some(seen) => self.authorize(seen.who.session(), now).await,
                    None => self.authorize(&self.tokens.read(token, now.into()).await?, now).await,
                };
                let who = who.inspect_err(|_| self.seen.invalidate(&name))?;
                self.seen.insert(name, Seen { who: who.clone(), stamp });
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
            && !known.keys.is_revoked_for_good()
            && !known.keys.has_ended(now.into())
            && identity.approved
            && !identity.suspended
            && identity.sub == session.sub
            && identity.generation == session.generation;
        if !good || self.stores.tokens.is_token_revoked(&jti_hash(&session.jti)).await? {
            return Err(invalid());
        }
        Ok(Authenticated::new(session.clone(), &identity.groups, self.asserted_groups))
    }

    pub(super) async fn end_session(&self, session: &Session) -> Result<(), AuthError> {
        // The session's cookie may outlive its token: remember for as long as either could.
        let longest = session.authenticated_at.plus(self.session_lifetime.max(self.token_lifetime).as_secs());
        self.stores.tokens.revoke_token(&jti_hash(&session.jti), longest.max(session.expires)).await?;
        self.known.changed();
        Ok(())
    }
}
