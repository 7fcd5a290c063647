use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use capauth_protocol::Fingerprint;

use super::lock;
use super::tokens::Feed;
use crate::clock::Timestamp;
use crate::stores::{
    EnrolledKey, Enrollment, Identity, KeyFacts, KeyQuery, KeyStore, NewKey, Revocation, RevokedBy,
    StoreError, StoreResult,
};

/// How many keys fit. Enough for tests and trials; a durable store has no such bound.
const CAPACITY: usize = 100_000;

/// Identities and keys in memory.
#[derive(Default)]
pub struct MemoryKeyStore {
    state: Mutex<State>,
    feed: Arc<Feed>,
}

#[derive(Default)]
struct State {
    /// By canonical text, which is the order of listing.
    keys: BTreeMap<String, EnrolledKey>,
    tombstones: HashSet<[u8; 32]>,
    /// With which generation a new identity begins: tokens of an erased one stay worthless if its key comes again.
    first_generation: u64,
}

impl MemoryKeyStore {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        Self { state: Mutex::default(), feed }
    }

    /// Changes a key; tells the feed of a generation that rose.
    fn change(&self, fingerprint: &Fingerprint, change: impl FnOnce(&mut EnrolledKey)) -> bool {
        let mut state = lock(&self.state);
        let Some(key) = state.keys.get_mut(&fingerprint.to_string()) else { return false };
        let (generation, revoked) = (key.identity.generation, key.revoked.is_some());
        change(key);
        if !revoked && key.revoked.is_some() {
            self.feed.push(Revocation::Key { fingerprint: *fingerprint });
        }
        if key.identity.generation > generation {
            let identity = &key.identity;
            self.feed.push(Revocation::Generation { sub: identity.sub, generation: identity.generation });
        }
        true
    }
}

impl fmt::Debug for MemoryKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKeyStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn find(&self, fingerprint: &Fingerprint) -> StoreResult<Option<EnrolledKey>> {
        Ok(lock(&self.state).keys.get(&fingerprint.to_string()).cloned())
    }

    async fn enroll(&self, new: &NewKey) -> StoreResult<Enrollment> {
        let mut state = lock(&self.state);
        if state.tombstones.contains(&new.tombstone) {
            return Ok(Enrollment::Tombstone);
        }
        let name = new.fingerprint.to_string();
        if let Some(key) = state.keys.get(&name) {
            return Ok(Enrollment::AlreadyThere(key.clone()));
        }
        if state.keys.len() >= CAPACITY {
            return Err(StoreError::new("memory is full; use a durable store"));
        }
        let identity = Identity {
            sub: new.fingerprint,
            user_name: None,
            approved: new.approved,
            suspended: false,
            generation: state.first_generation,
            groups: Vec::new(),
        };
        let key = EnrolledKey {
            fingerprint: new.fingerprint,
            identity,
            signing_keys: new.signing_keys.clone(),
            certificate_digest: new.certificate_digest,
            revision: 0,
            enrolled_at: new.at,
            last_auth: None,
            revoked: None,
        };
        state.keys.insert(name, key.clone());
        Ok(Enrollment::Enrolled(key))
    }

    async fn update(&self, facts: &KeyFacts) -> StoreResult<bool> {
        let mut current = false;
        self.change(&facts.fingerprint, |key| {
            if key.revision != facts.revision {
                return;
            }
            current = true;
            key.revision += 1;
            key.signing_keys.clone_from(&facts.signing_keys);
            key.certificate_digest = facts.certificate_digest;
            if let (Some(at), None) = (facts.revoked_at, key.revoked) {
                key.revoked = Some((at, RevokedBy::Owner));
            }
            if facts.revoked_at.is_some() || facts.ends_tokens {
                key.identity.generation += 1;
            }
        });
        Ok(current)
    }

    fn note_login(&self, fingerprint: &Fingerprint, at: Timestamp) {
        self.change(fingerprint, |key| key.last_auth = key.last_auth.max(Some(at)));
    }

    async fn approve(&self, fingerprint: &Fingerprint) -> StoreResult<bool> {
        Ok(self.change(fingerprint, |key| key.identity.approved = true))
    }

    async fn revoke(&self, fingerprint: &Fingerprint, at: Timestamp) -> StoreResult<bool> {
        Ok(self.change(fingerprint, |key| {
            let since = key.revoked.map_or(at, |(since, _)| since);
            key.revoked = Some((since, RevokedBy::Administrator));
            key.identity.generation += 1;
        }))
    }

    async fn erase(
        &self,
        fingerprint: &Fingerprint,
        tombstone: &[u8; 32],
        keep_out: bool,
    ) -> StoreResult<bool> {
        let mut state = lock(&self.state);
        let Some(key) = state.keys.remove(&fingerprint.to_string()) else { return Ok(false) };
        let stays_out = keep_out || key.revoked.is_some() || key.identity.suspended;
        if stays_out {
            state.tombstones.insert(*tombstone);
        }
        state.first_generation = state.first_generation.max(key.identity.generation + 1);
        let (sub, generation) = (key.identity.sub, state.first_generation);
        self.feed.push(Revocation::Generation { sub, generation });
        // One that may enrol again must not be told to be gone for good.
        if stays_out {
            self.feed.push(Revocation::Key { fingerprint: *fingerprint });
        }
        Ok(true)
    }

    async fn set_groups(&self, fingerprint: &Fingerprint, groups: &[String]) -> StoreResult<bool> {
        Ok(self.change(fingerprint, |key| {
            if key.identity.groups.iter().any(|group| !groups.contains(group)) {
                key.identity.generation += 1;
            }
            key.identity.groups = groups.to_vec();
            key.identity.groups.sort();
        }))
    }

    async fn list(&self, query: &KeyQuery) -> StoreResult<Vec<EnrolledKey>> {
        let after = query.after.map(|f| f.to_string()).unwrap_or_default();
        let state = lock(&self.state);
        let later = state
            .keys
            .range::<str, _>((std::ops::Bound::Excluded(after.as_str()), std::ops::Bound::Unbounded));
        let wanted = later.map(|(_, key)| key).filter(|key| !query.approved_only || key.identity.approved);
        Ok(wanted.take(query.limit as usize).cloned().collect())
    }

    async fn count(&self) -> StoreResult<u64> {
        Ok(lock(&self.state).keys.len() as u64)
    }

    async fn flush(&self) -> StoreResult<()> {
        Ok(())
    }

    async fn check_health(&self) -> StoreResult<()> {
        Ok(())
    }
}
