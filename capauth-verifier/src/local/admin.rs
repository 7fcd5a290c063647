//! What the service says of itself, and what it lists.

use capauth_protocol::response::{
    IdentityInfo, KeyEntry, RevocationEntry, Revocations, Status, WaitingKey, WellKnown,
};
use capauth_protocol::{Fingerprint, VERSION, limits};

use super::{EnrollmentMode, LocalVerifier};
use crate::claims::SUPPORTED;
use crate::clock::Timestamp;
use crate::error::AuthError;
use crate::stores::{EnrolledKey, KeyQuery, KeyRole, Revocation};
use crate::verifier::Authenticated;

impl LocalVerifier {
    /// How the service is. Never fails: a store that does not answer is `healthy: false`.
    pub async fn status(&self) -> Status {
        let health = self.check_stores().await;
        // A store that just kept everybody waiting is not asked once more.
        let count = if health.keys { self.count_keys().await } else { None };
        let healthy = health.is_good() && count.is_some();
        Status {
            service: self.services.own().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            enrolled_keys: count.filter(|_| !self.private),
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
        self.do_what_is_due().await;
        Ok(self.stores.keys.list(query).await?.into_iter().map(entry).collect())
    }

    /// What somebody is here: their identity, and every key of it, so that they see a key which they do not know.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn identity(&self, who: &Authenticated) -> Result<IdentityInfo, AuthError> {
        let keys = self.stores.keys.keys_beside(&who.fingerprint()).await?;
        let granted = keys.first().map(|key| key.identity.groups.clone()).unwrap_or_default();
        Ok(IdentityInfo {
            sub: who.sub(),
            fingerprint: who.fingerprint(),
            user_name: who.user_name(),
            groups: granted,
            keys: keys.into_iter().map(entry).collect(),
        })
    }

    /// Every key of the identity that a key signs for, the primary one first. Empty: no such key.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn keys_beside(&self, fingerprint: &Fingerprint) -> Result<Vec<KeyEntry>, AuthError> {
        self.do_what_is_due().await;
        let mut keys = self.stores.keys.keys_beside(fingerprint).await?;
        keys.sort_by_key(|key| (key.role != KeyRole::Primary, key.fingerprint));
        Ok(keys.into_iter().map(entry).collect())
    }

    /// The keys of the identity with this account name.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn keys_named(&self, user_name: &str) -> Result<Vec<KeyEntry>, AuthError> {
        self.do_what_is_due().await;
        Ok(self.stores.keys.find_by_user_name(user_name).await?.into_iter().map(entry).collect())
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
        linked_to: match key.role {
            KeyRole::Secondary(primary) => Some(primary),
            KeyRole::Primary | KeyRole::Archived(_) => None,
        },
        revoked_at: key.revoked.map(|(at, _)| at.to_string()),
        groups: key.identity.groups,
        sub: Some(key.identity.sub),
        user_name: key.identity.user_name,
        suspended: key.identity.suspended,
        replaced_at: match key.role {
            KeyRole::Archived(at) => Some(at.to_string()),
            KeyRole::Primary | KeyRole::Secondary(_) => None,
        },
        replaced_soon: key
            .waiting
            .map(|(fingerprint, due)| WaitingKey { fingerprint, effective_at: due.to_string() }),
    }
}
