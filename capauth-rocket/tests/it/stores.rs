//! Stores in memory that count what they are asked, and fail when they are told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use capauth_protocol::Nonce;
use capauth_rocket::{CapAuth, Fingerprint, Stores};
use capauth_verifier::{
    AddressPrefix, AuditEvent, AuditPage, Challenge, ChallengeStore, Changed, EnrolledKey, Enrollment,
    HashOf, Installation, KeyFacts, KeyPurpose, KeyQuery, KeyStore, Link, NewCode, NewKey, Note,
    RevocationPage, Rotation, StoreError, StoreResult, StoredTokenKey, Timestamp, TokenStore, Unlink, memory,
};

/// An application's handle with stores of its own.
pub(crate) async fn capauth() -> CapAuth {
    CapAuth::local("app.example.com").stores(memory::stores().unwrap()).build().await.unwrap()
}

/// What the stores saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Whether the token store is gone.
    pub(crate) broken: AtomicBool,
    /// How often a token was looked up among the revoked.
    pub(crate) tokens: AtomicUsize,
    /// How often what waits was written.
    pub(crate) flushes: AtomicUsize,
    /// Where requests for challenges came from.
    pub(crate) prefixes: Mutex<Vec<AddressPrefix>>,
}

pub(crate) fn watched() -> (Stores, Arc<Seen>) {
    let (mut stores, seen) = (memory::stores().unwrap(), Arc::<Seen>::default());
    stores.keys = Arc::new(Watched { store: stores.keys.clone(), seen: Arc::clone(&seen) });
    stores.tokens = Arc::new(Watched { store: stores.tokens.clone(), seen: Arc::clone(&seen) });
    stores.challenges = Arc::new(Watched { store: stores.challenges.clone(), seen: Arc::clone(&seen) });
    (stores, seen)
}

struct Watched<S> {
    store: S,
    seen: Arc<Seen>,
}

#[async_trait]
impl KeyStore for Watched<Arc<dyn KeyStore>> {
    async fn find(&self, fingerprint: &Fingerprint) -> StoreResult<Option<EnrolledKey>> {
        self.store.find(fingerprint).await
    }
    async fn keys_beside(&self, fingerprint: &Fingerprint) -> StoreResult<Vec<EnrolledKey>> {
        self.store.keys_beside(fingerprint).await
    }
    async fn enroll(&self, key: &NewKey, note: &Note) -> StoreResult<Enrollment> {
        self.store.enroll(key, note).await
    }
    async fn update(&self, facts: &KeyFacts, note: &Note) -> StoreResult<bool> {
        self.store.update(facts, note).await
    }
    fn note_login(&self, fingerprint: &Fingerprint, at: Timestamp) {
        self.store.note_login(fingerprint, at);
    }
    async fn approve(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        self.store.approve(fingerprint, note).await
    }
    async fn revoke(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        self.store.revoke(fingerprint, note).await
    }
    async fn erase(
        &self,
        fingerprint: &Fingerprint,
        tombstone: HashOf<'_>,
        keep_out: bool,
        note: &Note,
    ) -> StoreResult<bool> {
        self.store.erase(fingerprint, tombstone, keep_out, note).await
    }
    async fn set_groups(
        &self,
        fingerprint: &Fingerprint,
        groups: &[String],
        note: &Note,
    ) -> StoreResult<bool> {
        self.store.set_groups(fingerprint, groups, note).await
    }
    async fn replace_groups(
        &self,
        fingerprint: &Fingerprint,
        known: &[String],
        groups: &[String],
        note: &Note,
    ) -> StoreResult<Changed> {
        self.store.replace_groups(fingerprint, known, groups, note).await
    }
    async fn set_user_name(
        &self,
        fingerprint: &Fingerprint,
        name: Option<(&str, [u8; 32])>,
        note: &Note,
    ) -> StoreResult<Changed> {
        self.store.set_user_name(fingerprint, name, note).await
    }
    async fn end_all(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        self.store.end_all(fingerprint, note).await
    }
    async fn rotate(&self, rotation: &Rotation, note: &Note) -> StoreResult<Changed> {
        self.store.rotate(rotation, note).await
    }
    async fn cancel_rotation(&self, old: &Fingerprint, note: &Note) -> StoreResult<bool> {
        self.store.cancel_rotation(old, note).await
    }
    async fn link(&self, link: &Link, note: &Note) -> StoreResult<Changed> {
        self.store.link(link, note).await
    }
    async fn unlink(&self, unlink: &Unlink, note: &Note) -> StoreResult<Changed> {
        self.store.unlink(unlink, note).await
    }
    async fn confirm_email(
        &self,
        fingerprint: &Fingerprint,
        hash: &[u8; 32],
        confirmed: bool,
        note: &Note,
    ) -> StoreResult<Changed> {
        self.store.confirm_email(fingerprint, hash, confirmed, note).await
    }
    async fn is_email_confirmed(&self, sub: &Fingerprint, hash: &[u8; 32]) -> StoreResult<bool> {
        self.store.is_email_confirmed(sub, hash).await
    }
    async fn add_code(&self, code: &NewCode, note: &Note) -> StoreResult<()> {
        self.store.add_code(code, note).await
    }
    async fn do_what_is_due(&self, pending_since: Timestamp, note: &Note) -> StoreResult<bool> {
        self.store.do_what_is_due(pending_since, note).await
    }
    async fn write_audit(
        &self,
        event: AuditEvent,
        subject: Option<&Fingerprint>,
        note: &Note,
    ) -> StoreResult<()> {
        self.store.write_audit(event, subject, note).await
    }
    async fn audit(&self, after: u64, limit: u32) -> StoreResult<AuditPage> {
        self.store.audit(after, limit).await
    }
    async fn audit_back(&self, before: u64, limit: u32) -> StoreResult<AuditPage> {
        self.store.audit_back(before, limit).await
    }
    async fn has_code(&self, hash: &[u8; 32], now: Timestamp) -> StoreResult<bool> {
        self.store.has_code(hash, now).await
    }

    async fn use_code(&self, fingerprint: &Fingerprint, hash: &[u8; 32], note: &Note) -> StoreResult<bool> {
        self.store.use_code(fingerprint, hash, note).await
    }
    async fn find_by_user_name(&self, name: &str) -> StoreResult<Vec<EnrolledKey>> {
        self.store.find_by_user_name(name).await
    }
    async fn list(&self, query: &KeyQuery) -> StoreResult<Vec<EnrolledKey>> {
        self.store.list(query).await
    }
    async fn count(&self) -> StoreResult<u64> {
        self.store.count().await
    }
    async fn flush(&self) -> StoreResult<()> {
        self.seen.flushes.fetch_add(1, Ordering::SeqCst);
        self.store.flush().await
    }
    async fn check_health(&self) -> StoreResult<()> {
        self.store.check_health().await
    }
}

#[async_trait]
impl TokenStore for Watched<Arc<dyn TokenStore>> {
    async fn installation(&self) -> StoreResult<Installation> {
        self.store.installation().await
    }
    async fn set_master_key_check(&self, check: &[u8]) -> StoreResult<Vec<u8>> {
        self.store.set_master_key_check(check).await
    }
    async fn remember_server_keys(&self, fingerprints: &[Fingerprint]) -> StoreResult<Vec<Fingerprint>> {
        self.store.remember_server_keys(fingerprints).await
    }
    async fn token_keys(&self, purpose: KeyPurpose) -> StoreResult<Vec<StoredTokenKey>> {
        self.store.token_keys(purpose).await
    }
    async fn add_token_key(
        &self,
        purpose: KeyPurpose,
        newest: Option<&str>,
        key: &StoredTokenKey,
    ) -> StoreResult<Vec<StoredTokenKey>> {
        self.store.add_token_key(purpose, newest, key).await
    }
    async fn remove_token_key(&self, purpose: KeyPurpose, kid: &str) -> StoreResult<()> {
        self.store.remove_token_key(purpose, kid).await
    }
    async fn revoke_token(&self, jti_hash: &[u8; 32], expires: Timestamp) -> StoreResult<()> {
        self.store.revoke_token(jti_hash, expires).await
    }
    async fn is_token_revoked(&self, jti_hash: &[u8; 32]) -> StoreResult<bool> {
        self.seen.tokens.fetch_add(1, Ordering::SeqCst);
        if self.seen.broken.load(Ordering::SeqCst) {
            return Err(StoreError::because("MARKER", "MARKER at /dev/secret"));
        }
        self.store.is_token_revoked(jti_hash).await
    }
    async fn revocations(&self, after: u64, limit: u32) -> StoreResult<RevocationPage> {
        self.store.revocations(after, limit).await
    }
    async fn forget_expired(&self, now: Timestamp) -> StoreResult<()> {
        self.store.forget_expired(now).await
    }
}

#[async_trait]
impl ChallengeStore for Watched<Arc<dyn ChallengeStore>> {
    async fn put(&self, challenge: Challenge, now: Timestamp) -> StoreResult<()> {
        self.seen.prefixes.lock().unwrap().push(challenge.prefix);
        self.store.put(challenge, now).await
    }
    async fn get(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>> {
        self.store.get(nonce).await
    }
    async fn take(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>> {
        self.store.take(nonce).await
    }
}
