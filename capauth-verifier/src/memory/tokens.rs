use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use capauth_protocol::Fingerprint;

use super::lock;
use crate::clock::Timestamp;
use crate::stores::{
    Installation, KeyPurpose, Revocation, RevocationPage, StoreResult, StoredTokenKey, TokenStore,
};

/// How many entries the feed keeps. Durable stores keep all; this one is for tests and trials.
const FEED_ENTRIES: usize = 100_000;

/// The revocation feed that the key store and the token store share.
#[derive(Debug, Default)]
pub(super) struct Feed(Mutex<(u64, VecDeque<(u64, Revocation)>)>);

impl Feed {
    pub(super) fn push(&self, entry: Revocation) {
        let (last, entries) = &mut *lock(&self.0);
        *last += 1;
        entries.push_back((*last, entry));
        if entries.len() > FEED_ENTRIES {
            entries.pop_front();
        }
    }

    fn after(&self, after: u64, limit: u32) -> RevocationPage {
        let (last, entries) = &*lock(&self.0);
        let page: Vec<_> = entries.iter().filter(|(id, _)| *id > after).take(limit as usize).collect();
        RevocationPage {
            cursor: page.last().map_or(after.min(*last), |(id, _)| *id),
            entries: page.into_iter().map(|(_, entry)| entry.clone()).collect(),
        }
    }
}

/// Token keys, revoked tokens and the feed, in memory.
#[derive(Default)]
pub struct MemoryTokenStore {
    state: Mutex<State>,
    feed: Arc<Feed>,
}

#[derive(Default)]
struct State {
    epoch: u64,
    master_key_check: Option<Vec<u8>>,
    server_keys: Vec<Fingerprint>,
    rings: HashMap<KeyPurpose, Vec<StoredTokenKey>>,
    revoked: HashMap<[u8; 32], Timestamp>,
}

impl MemoryTokenStore {
    pub(super) fn new(feed: Arc<Feed>, epoch: u64) -> Self {
        Self { state: Mutex::new(State { epoch, ..State::default() }), feed }
    }
}

impl fmt::Debug for MemoryTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTokenStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenStore for MemoryTokenStore {
    async fn installation(&self) -> StoreResult<Installation> {
        let state = lock(&self.state);
        Ok(Installation { epoch: state.epoch, master_key_check: state.master_key_check.clone() })
    }

    async fn set_master_key_check(&self, check: &[u8]) -> StoreResult<Vec<u8>> {
        Ok(lock(&self.state).master_key_check.get_or_insert_with(|| check.to_vec()).clone())
    }

    async fn remember_server_keys(&self, fingerprints: &[Fingerprint]) -> StoreResult<Vec<Fingerprint>> {
        let known = &mut lock(&self.state).server_keys;
        for fingerprint in fingerprints {
            if !known.contains(fingerprint) {
                known.push(*fingerprint);
            }
        }
        Ok(known.clone())
    }

    async fn token_keys(&self, purpose: KeyPurpose) -> StoreResult<Vec<StoredTokenKey>> {
        Ok(lock(&self.state).rings.get(&purpose).cloned().unwrap_or_default())
    }

    async fn add_token_key(
        &self,
        purpose: KeyPurpose,
        newest: Option<&str>,
        key: &StoredTokenKey,
    ) -> StoreResult<Vec<StoredTokenKey>> {
        let mut state = lock(&self.state);
        let ring = state.rings.entry(purpose).or_default();
        if ring.last().map(|k| k.kid.as_str()) == newest {
            ring.push(key.clone());
        }
        Ok(ring.clone())
    }

    async fn remove_token_key(&self, purpose: KeyPurpose, kid: &str) -> StoreResult<()> {
        if let Some(ring) = lock(&self.state).rings.get_mut(&purpose) {
            ring.retain(|key| key.kid != kid);
        }
        Ok(())
    }

    async fn revoke_token(&self, jti_hash: &[u8; 32], expires: Timestamp) -> StoreResult<()> {
        let state = &mut *lock(&self.state);
        if state.revoked.get(jti_hash).is_none_or(|known| *known < expires) {
            state.revoked.insert(*jti_hash, expires);
            self.feed.push(Revocation::Token { jti_hash: *jti_hash, expires });
        }
        Ok(())
    }

    async fn is_token_revoked(&self, jti_hash: &[u8; 32]) -> StoreResult<bool> {
        Ok(lock(&self.state).revoked.contains_key(jti_hash))
    }

    async fn revocations(&self, after: u64, limit: u32) -> StoreResult<RevocationPage> {
        Ok(self.feed.after(after, limit))
    }

    async fn forget_expired(&self, now: Timestamp) -> StoreResult<()> {
        lock(&self.state).revoked.retain(|_, expires| *expires >= now);
        Ok(())
    }
}
