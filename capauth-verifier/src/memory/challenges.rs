use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use capauth_protocol::Nonce;

use super::lock;
use crate::clock::Timestamp;
use crate::stores::{AddressPrefix, Challenge, ChallengeStore, StoreResult};

/// How many challenges wait at most, if nothing else is said: about 20 MB of them.
const CAPACITY: usize = 50_000;

/// For how many seconds after its expiry a challenge is still known, so that a person hears "expired" and not
/// "unknown".
const REMEMBERED: u64 = 120;

/// Challenges in memory, bounded: when full, the address prefix that holds most loses its oldest.
///
/// Whoever floods the store so throws out their own challenges; somebody else's single one stays.
pub struct MemoryChallengeStore {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Each with its serial number, so that a stale entry of a queue is recognised.
    challenges: HashMap<Nonce, (u64, Challenge)>,
    /// All, oldest first: what is past its time leaves here.
    by_age: VecDeque<(u64, Nonce)>,
    /// Per prefix, oldest first, with how many of them are still there.
    by_prefix: HashMap<AddressPrefix, Share>,
    /// Prefixes by how many challenges they hold.
    by_load: BTreeSet<(usize, AddressPrefix)>,
    serial: u64,
}

#[derive(Default)]
struct Share {
    live: usize,
    queue: VecDeque<(u64, Nonce)>,
}

impl Default for MemoryChallengeStore {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl MemoryChallengeStore {
    /// A store for at most `capacity` challenges (at least one).
    pub fn with_capacity(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), state: Mutex::default() }
    }
}

impl fmt::Debug for MemoryChallengeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryChallengeStore").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl State {
    fn insert(&mut self, challenge: Challenge) {
        self.serial += 1;
        let (nonce, prefix) = (challenge.nonce, challenge.prefix);
        if self.challenges.insert(nonce, (self.serial, challenge)).is_some() {
            return; // A nonce drawn twice: it never happens, and the newer stands under the older's place.
        }
        self.by_age.push_back((self.serial, nonce));
        self.by_prefix.entry(prefix).or_default().queue.push_back((self.serial, nonce));
        self.change_load(prefix, 1);
    }

    fn remove(&mut self, nonce: &Nonce) -> Option<Challenge> {
        let (_, challenge) = self.challenges.remove(nonce)?;
        self.change_load(challenge.prefix, -1);
        Some(challenge)
    }

    fn change_load(&mut self, prefix: AddressPrefix, by: isize) {
        let Some(share) = self.by_prefix.get_mut(&prefix) else { return };
        self.by_load.remove(&(share.live, prefix));
        share.live = share.live.saturating_add_signed(by);
        if share.live == 0 {
            self.by_prefix.remove(&prefix);
            return;
        }
        self.by_load.insert((share.live, prefix));
        // Challenges that were taken leave gaps: skip them at the front, and rebuild when most are gaps.
        let challenges = &self.challenges;
        let there = |(serial, nonce): &(u64, Nonce)| challenges.get(nonce).is_some_and(|(s, _)| s == serial);
        while share.queue.front().is_some_and(|entry| !there(entry)) {
            share.queue.pop_front();
        }
        if share.queue.len() > 2 * share.live + 16 {
            share.queue.retain(there);
        }
    }

    fn drop_old(&mut self, now: Timestamp) {
        while let Some((serial, nonce)) = self.by_age.front().copied() {
            match self.challenges.get(&nonce) {
                Some((s, challenge)) if *s == serial => {
                    if now.since(challenge.expires) <= REMEMBERED {
                        break;
                    }
                    self.remove(&nonce);
                }
                _ => {}
            }
            self.by_age.pop_front();
        }
        if self.by_age.len() > 2 * self.challenges.len() + 16 {
            let challenges = &self.challenges;
            self.by_age.retain(|(serial, nonce)| challenges.get(nonce).is_some_and(|(s, _)| s == serial));
        }
    }

    fn make_room(&mut self, capacity: usize) {
        while self.challenges.len() >= capacity {
            let Some((_, prefix)) = self.by_load.last().copied() else { return };
            let oldest = self.by_prefix.get_mut(&prefix).and_then(|share| share.queue.pop_front());
            let Some((_, nonce)) = oldest else { return };
            self.remove(&nonce);
        }
    }
}

#[async_trait]
impl ChallengeStore for MemoryChallengeStore {
    async fn put(&self, challenge: Challenge, now: Timestamp) -> StoreResult<()> {
        let mut state = lock(&self.state);
        state.drop_old(now);
        state.make_room(self.capacity);
        state.insert(challenge);
        Ok(())
    }

    async fn get(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>> {
        Ok(lock(&self.state).challenges.get(nonce).map(|(_, challenge)| challenge.clone()))
    }

    async fn take(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>> {
        Ok(lock(&self.state).remove(nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn challenge(number: u64, address: &str, at: u64) -> Challenge {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        Challenge {
            nonce: Nonce::from_random_bytes(bytes),
            fingerprint: "00".repeat(20).parse().unwrap(),
            client_nonce: "".into(),
            timestamp: Timestamp::from_unix(at),
            service: Arc::from("s"),
            expires: Timestamp::from_unix(at + 60),
            origin: None,
            prefix: AddressPrefix::of(Some(address.parse().unwrap())),
        }
    }

    async fn put(store: &MemoryChallengeStore, number: u64, address: &str, at: u64) -> Nonce {
        let challenge = challenge(number, address, at);
        let nonce = challenge.nonce;
        store.put(challenge, Timestamp::from_unix(at)).await.unwrap();
        nonce
    }

    #[tokio::test]
    async fn a_flood_throws_out_its_own_challenges_only() {
        let store = MemoryChallengeStore::with_capacity(100);
        let honest = put(&store, 0, "192.0.2.1", 0).await;
        let first_of_flood = put(&store, 1, "198.51.100.1", 0).await;
        for number in 2..10_000 {
            put(&store, number, "198.51.100.1", 0).await;
        }
        assert!(store.get(&honest).await.unwrap().is_some());
        assert!(store.get(&first_of_flood).await.unwrap().is_none());
        assert!(lock(&store.state).challenges.len() <= 100);
        assert!(store.take(&honest).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_challenge_is_taken_once() {
        let store = Arc::new(MemoryChallengeStore::default());
        let nonce = put(&store, 7, "192.0.2.1", 0).await;
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.take(&nonce).await.unwrap().is_some() })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1);
    }

    #[tokio::test]
    async fn what_is_long_past_is_forgotten_and_memory_stays_flat() {
        let store = MemoryChallengeStore::default();
        for round in 0..200 {
            for number in 0..100 {
                let nonce = put(&store, round * 1_000 + number, "192.0.2.1", round * 10).await;
                if number % 2 == 0 {
                    store.take(&nonce).await.unwrap();
                }
            }
        }
        let state = lock(&store.state);
        assert!(state.challenges.len() <= 50 * 20, "{}", state.challenges.len());
        assert!(state.by_age.len() <= 2 * state.challenges.len() + 200);
        assert!(
            state.by_prefix.values().map(|share| share.queue.len()).sum::<usize>()
                <= 2 * state.challenges.len() + 200
        );
    }
}
