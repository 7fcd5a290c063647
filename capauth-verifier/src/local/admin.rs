//! What the service says of itself, and what administrators do.

use capauth_protocol::response::{KeyEntry, RevocationEntry, Revocations, Status, WellKnown};
use capauth_protocol::{Fingerprint, VERSION, limits};

use super::{EnrollmentMode, LocalVerifier};
use crate::claims::SUPPORTED;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::stores::{EnrolledKey, KeyQuery, Revocation};

impl LocalVerifier {
    /// How the service is. Never fails: a store that does not answer is `healthy: false`.
    pub async fn status(&self) -> Status {
        let count = self.stores.keys.count().await.ok();
        let healthy = count.is_some() && self.stores.keys.check_health().await.is_ok();
        Status {
            service: self.services.own().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            enrolled_keys: count,
            require_approval: self.enrollment == EnrollmentMode::Approval,
            healthy,
        }
    }

    /// What clients and verifiers need to know of the service.
    pub fn well_known(&self) -> WellKnown {
        let server = self.server_key.as_ref();
        WellKnown {
            capauth_version: VERSION.to_owned(),
            service: self.services.own().to_string(),
            server_fingerprint: server.map(|key| key.fingerprint().to_string()).unwrap_or_default(),
            server_public_key: server.map(|key| key.armored_certificate().to_owned()).unwrap_or_default(),
            enrollment: self.enrollment,
            nonce_ttl_seconds: limits::NONCE_TTL_SECONDS,
            supported_claims: SUPPORTED.iter().map(|&claim| claim.to_owned()).collect(),
            access_token_alg: self.tokens.algorithm().to_owned(),
            jwks_uri: format!("{}/.well-known/jwks.json", self.base_url),
            revocations: true,
            issuer: self.base_url.to_string(),
        }
    }

    /// The public keys that verify access tokens (RFC 7517), as JSON text.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn jwks(&self) -> Result<String, AuthError> {
        self.tokens.jwks(self.now()).await
    }

    /// Enrolled keys, by fingerprint.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn keys(&self, query: &KeyQuery) -> Result<Vec<KeyEntry>, AuthError> {
        Ok(self.stores.keys.list(query).await?.into_iter().map(entry).collect())
    }

    /// Lets a pending identity sign in.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn approve(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        self.after_change(self.stores.keys.approve(fingerprint).await?)
    }

    /// Revokes a key for good: its tokens and sessions end, and it cannot enrol itself again.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn revoke(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        self.after_change(self.stores.keys.revoke(fingerprint, self.now()).await?)
    }

    /// Removes everything about a key, but what keeps a revoked one out.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn erase(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        // A retired key counts as revoked: its thief may still have a certificate of the days before.
        let known = self.known.read(&*self.stores.keys, fingerprint, self.clock.now()).await?;
        let keep_out = known.is_some_and(|known| known.keys.has_revoked_keys());
        let tombstone = self.tombstone(fingerprint);
        self.after_change(self.stores.keys.erase(fingerprint, &tombstone, keep_out).await?)
    }

    /// Replaces the groups granted to a key's identity. Taking one away ends its tokens.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn set_groups(&self, fingerprint: &Fingerprint, groups: &[String]) -> Result<(), AuthError> {
        self.after_change(self.stores.keys.set_groups(fingerprint, groups).await?)
    }

    /// Ends a token, and every session that was made of it, by its `jti`: for as long as any could live, and longer if
    /// `expires` says so.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn revoke_token(&self, jti: &str, expires: Option<Timestamp>) -> Result<(), AuthError> {
        let now = self.now();
        let longest = self.longest_since(now);
        let most = now.plus(limits::MAX_SESSION_SECONDS);
        // Never for less: what is forgotten counts again.
        let expires = expires.map_or(longest, |expires| expires.min(most).max(longest));
        self.end_jti(jti, expires).await
    }

    fn after_change(&self, found: bool) -> Result<(), AuthError> {
        self.known.changed();
        if found { Ok(()) } else { Err(AuthError::new(AuthErrorKind::NotFound)) }
    }

    /// The revocation feed: what happened after a cursor, 0 for all.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn revocations(&self, after: u64, limit: u32) -> Result<Revocations, AuthError> {
        let page = self.stores.tokens.revocations(after, limit).await?;
        let entries = page.entries.into_iter().map(|entry| match entry {
            Revocation::Token { jti_hash, expires } => {
                RevocationEntry::Token { jti_sha256: hex::encode(jti_hash), expires: expires.as_unix() }
            }
            Revocation::Generation { sub, generation } => {
                RevocationEntry::Generation { sub: sub.to_string(), generation }
            }
            Revocation::Key { fingerprint } => RevocationEntry::Key { fingerprint },
        });
        Ok(Revocations { entries: entries.collect(), cursor: page.cursor, epoch: self.epoch })
    }
}

fn entry(key: EnrolledKey) -> KeyEntry {
    KeyEntry {
        fingerprint: key.fingerprint,
        enrolled_at: key.enrolled_at.to_string(),
        last_auth: key.last_auth.map(|at| at.to_string()),
        approved: key.identity.approved,
        linked_to: (key.identity.sub != key.fingerprint).then_some(key.identity.sub),
        revoked_at: key.revoked.map(|(at, _)| at.to_string()),
        groups: key.identity.groups,
    }
}
