use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use capauth_protocol::Fingerprint;

use super::lock;
use crate::clock::Timestamp;
use crate::stores::{Advance, NewFamily, REFRESH_GRACE, SessionEntry, SessionStore, StoreError, StoreResult};

/// How many sessions are kept at most. A new one beyond that is not listed.
const CAPACITY: usize = 100_000;

/// Sessions and refresh families in memory.
#[derive(Default)]
pub struct MemorySessionStore(Mutex<State>);

#[derive(Default)]
struct State {
    sessions: HashMap<[u8; 32], SessionEntry>,
    families: HashMap<[u8; 32], Family>,
}

struct Family {
    generation: u64,
    advanced_at: Timestamp,
    expires: Timestamp,
}

impl fmt::Debug for MemorySessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessionStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for MemorySessionStore {
    fn note_session(&self, session: &SessionEntry) {
        let mut state = lock(&self.0);
        if state.sessions.len() < CAPACITY {
            state.sessions.insert(session.jti_hash, session.clone());
        }
    }

    fn note_seen(&self, jti_hash: &[u8; 32], at: Timestamp) {
        if let Some(session) = lock(&self.0).sessions.get_mut(jti_hash) {
            session.last_seen = session.last_seen.max(at);
        }
    }

    async fn sessions(
        &self,
        sub: &Fingerprint,
        generation: u64,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<SessionEntry>> {
        let state = lock(&self.0);
        let alive = state.sessions.values().filter(|session| {
            session.sub == *sub && session.generation == generation && session.expires > now
        });
        let mut sessions: Vec<_> = alive.cloned().collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.created_at));
        sessions.truncate(limit as usize);
        Ok(sessions)
    }

    async fn last_seen(&self, jti_hash: &[u8; 32]) -> StoreResult<Option<Timestamp>> {
        Ok(lock(&self.0).sessions.get(jti_hash).map(|session| session.last_seen))
    }

    async fn forget_session(&self, jti_hash: &[u8; 32]) -> StoreResult<()> {
        let mut state = lock(&self.0);
        state.sessions.remove(jti_hash);
        state.families.remove(jti_hash);
        Ok(())
    }

    async fn add_family(&self, family: &NewFamily) -> StoreResult<()> {
        let mut state = lock(&self.0);
        if state.families.len() >= CAPACITY {
            return Err(StoreError::new("memory is full; use a durable store"));
        }
        let new = Family { generation: 0, advanced_at: Timestamp::from_unix(0), expires: family.expires };
        state.families.insert(family.jti_hash, new);
        Ok(())
    }

    async fn advance_family(
        &self,
        jti_hash: &[u8; 32],
        generation: u64,
        now: Timestamp,
    ) -> StoreResult<Advance> {
        let mut state = lock(&self.0);
        let Some(family) = state.families.get_mut(jti_hash).filter(|family| family.expires > now) else {
            return Ok(Advance::Gone);
        };
        if generation == family.generation {
            family.generation += 1;
            family.advanced_at = now;
        } else if generation.checked_add(1) != Some(family.generation)
            || now.since(family.advanced_at) > REFRESH_GRACE
        {
            state.families.remove(jti_hash);
            return Ok(Advance::Reused);
        }
        Ok(Advance::Current(family.generation))
    }

    async fn forget_old_sessions(&self, now: Timestamp) -> StoreResult<()> {
        let mut state = lock(&self.0);
        state.sessions.retain(|_, session| session.expires > now);
        state.families.retain(|_, family| family.expires > now);
        Ok(())
    }
}
