//! Sessions: noted when they begin and when they are used, shown to their holders, ended; and renewed by refresh tokens.

use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_protocol::response::{SessionInfo, TokenResponse};
use serde::{Deserialize, Serialize};

use super::LocalVerifier;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::seen::jti_hash;
use crate::stores::{Actor, Advance, AuditEvent, NewFamily, SessionEntry};
use crate::verifier::{Authenticated, Caller, Session};

/// How many sessions are listed at most.
const LISTED: u32 = 100;
/// Bytes of a session's hash that name it.
const ID_BYTES: usize = 16;
/// Seconds between two notes that a session is used, at most.
const NOTE_EVERY: u64 = 60;
/// What refresh tokens are sealed for.
const REFRESH: &str = "refresh token";

/// What a refresh token holds: assertions, and its place in its family.
#[derive(Serialize, Deserialize)]
struct Refresh {
    session: Session,
    generation: u64,
    /// When the family ends.
    until: Timestamp,
}

fn invalid() -> AuthError {
    AuthError::new(AuthErrorKind::InvalidToken)
}

impl LocalVerifier {
    pub(super) fn note_session(&self, session: &Session, expires: Timestamp) {
        self.stores.sessions.note_session(&SessionEntry {
            jti_hash: jti_hash(&session.jti),
            sub: session.sub,
            generation: session.generation,
            service: session.service.clone(),
            created_at: session.authenticated_at,
            last_seen: session.authenticated_at,
            expires,
        });
    }

    /// Notes that a session is used, unless it was left alone for too long.
    pub(super) async fn note_use(
        &self,
        session: &Session,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), AuthError> {
        let idle = self.session_idle.map(|idle| idle.as_secs());
        let last = self.noted.get(hash).map_or(0, |at| at.as_unix());
        // As often as it matters: the store has better things to do.
        let often = idle.map_or(NOTE_EVERY, |idle| NOTE_EVERY.min(idle / 10));
        if now.as_unix().saturating_sub(last) < often {
            return Ok(());
        }
        if let Some(idle) = idle {
            let seen = self.stores.sessions.last_seen(hash).await?.unwrap_or(session.authenticated_at);
            if now.since(seen.max(session.authenticated_at)) > idle {
                return Err(invalid());
            }
        }
        self.noted.insert(*hash, now);
        self.stores.sessions.note_seen(hash, now);
        Ok(())
    }

    /// The sessions of whoever asks, the newest first.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn sessions(&self, who: &Authenticated) -> Result<Vec<SessionInfo>, AuthError> {
        let current = jti_hash(&who.session().jti);
        let entries = self.entries(who).await?;
        let info = |entry: SessionEntry| SessionInfo {
            id: id(&entry.jti_hash),
            service: entry.service,
            created_at: entry.created_at.to_string(),
            last_seen: entry.last_seen.to_string(),
            expires_at: entry.expires.to_string(),
            amr: who.claims().amr.clone(),
            current: entry.jti_hash == current,
        };
        Ok(entries.into_iter().map(info).collect())
    }

    async fn entries(&self, who: &Authenticated) -> Result<Vec<SessionEntry>, AuthError> {
        let generation = who.session().generation;
        Ok(self.stores.sessions.sessions(&who.sub(), generation, self.now(), LISTED).await?)
    }

    /// Ends one session of whoever asks, by the `id` of the list.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`] when they have none of that name; the store is gone.
    pub async fn end_one_session(&self, who: &Authenticated, session: &str) -> Result<(), AuthError> {
        let none = || AuthError::with_words(AuthErrorKind::NotFound, "You have no session of this name.");
        let entries = self.entries(who).await?;
        let entry = entries.into_iter().find(|entry| id(&entry.jti_hash) == session).ok_or_else(none)?;
        self.end_hash(entry.jti_hash, self.ended_until(entry.created_at, entry.expires)).await
    }

    /// Ends every session and token of whoever asks, this one too, everywhere.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn end_all_sessions(&self, who: &Authenticated) -> Result<(), AuthError> {
        let note = self.note(Actor::Key(who.fingerprint()), None);
        self.after_change(self.stores.keys.end_all(&who.fingerprint(), &note).await?).await
    }

    /// Begins a family of refresh tokens, and answers the first.
    pub(super) async fn begin_family(
        &self,
        session: &Session,
        until: Timestamp,
    ) -> Result<String, AuthError> {
        let family = NewFamily { jti_hash: jti_hash(&session.jti), sub: session.sub, expires: until };
        self.stores.sessions.add_family(&family).await?;
        self.seal_refresh(&Refresh { session: session.clone(), generation: 0, until })
    }

    /// Renews an access token. The refresh token is used up, and the answer has the next one; if one is shown that was
    /// used before, everything that came of the login ends: somebody else may have it.
    ///
    /// # Errors
    /// [`AuthErrorKind::InvalidToken`], whatever is wrong with it; the store is gone.
    pub async fn refresh_token(&self, token: &str, caller: &Caller) -> Result<TokenResponse, AuthError> {
        self.within(self.limits.attempt_to_renew(caller), pin!(self.renew(token))).await
    }

    async fn renew(&self, token: &str) -> Result<TokenResponse, AuthError> {
        self.do_what_is_due().await;
        let now = self.now();
        let Refresh { mut session, generation, until } = self.open_refresh(token)?;
        // A service that is listed no longer gets nothing new.
        if until <= now || !self.knows_service(&session.service) {
            return Err(invalid());
        }
        session.expires = until.min(now.plus(self.token_lifetime.as_secs()));
        // Key, identity and the session itself must still be good; groups are today's.
        let who = self.authorize(&session, self.clock.now()).await?;
        let hash = jti_hash(&session.jti);
        let generation = match self.stores.sessions.advance_family(&hash, generation, now).await? {
            Advance::Current(generation) => generation,
            Advance::Gone => return Err(invalid()),
            Advance::Reused => {
                self.end_session(&session).await?;
                let note = self.note(Actor::Server, None);
                let subject = Some(&session.fingerprint);
                self.stores.keys.write_audit(AuditEvent::RefreshReused, subject, &note).await?;
                return Err(invalid());
            }
        };
        let access_token = self.tokens.issue(who.session(), who.claims(), session.expires, now).await?;
        let expires_in = session.expires.since(now);
        let refresh_token = self.seal_refresh(&Refresh { session, generation, until })?;
        self.counts.refreshes.increment(1);
        Ok(TokenResponse { access_token, token_type: "Bearer".to_owned(), expires_in, refresh_token })
    }

    fn seal_refresh(&self, refresh: &Refresh) -> Result<String, AuthError> {
        let failed = || AuthError::new(AuthErrorKind::Internal);
        let plain = serde_json::to_vec(refresh).map_err(|_| failed())?;
        let sealed = self.sealer(REFRESH).seal(&[&self.base_url], &plain).map_err(|_| failed())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open_refresh(&self, token: &str) -> Result<Refresh, AuthError> {
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let plain = self.sealer(REFRESH).open(&[&self.base_url], &sealed).map_err(|_| invalid())?;
        serde_json::from_slice(&plain).map_err(|_| invalid())
    }
}

/// A session's name in the list: of its hash, which nobody can use.
fn id(jti_hash: &[u8; 32]) -> String {
    hex::encode(jti_hash.get(..ID_BYTES).unwrap_or_default())
}
