use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use capauth_protocol::Nonce;
use tokio::sync::watch;

use super::lock;
use super::shares::{Piece, Shares};
use crate::clock::Timestamp;
use crate::stores::{AddressPrefix, QrLogin, QrRow, QrState, QrStore, StoreResult};

/// How many logins are kept at most, if nothing else is said: about 50 MB of them.
const CAPACITY: usize = 50_000;

/// How many bytes of answers that wait, and of results that wait to be fetched, are kept at most.
const HELD: usize = 32 * 1024 * 1024;

/// For how many seconds after its expiry a login is still known: its result may be fetched a little later, and whoever
/// comes too late hears so. Where there is no room, a login that nobody answered goes at its expiry.
const REMEMBERED: u64 = 120;

/// Logins from another device in memory, bounded: when full, the network that holds most loses its oldest. One that was
/// answered for good goes last.
pub struct MemoryQrStore {
    capacity: usize,
    /// In bytes.
    held: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    serial: u64,
    logins: HashMap<Nonce, Entry>,
    /// Those that may still be answered, and those of which nothing more will come.
    others: Class,
    /// Those of which one answer was taken, and whose result was not fetched yet.
    taken: Class,
}

/// Logins among which room is made.
#[derive(Default)]
struct Class {
    /// Oldest first.
    by_age: BTreeMap<u64, Nonce>,
    /// How many there are, and whose.
    logins: Shares,
    /// How many bytes hang on them.
    held: Shares,
}

struct Entry {
    /// The higher, the younger.
    serial: u64,
    login: Arc<QrLogin>,
    state: QrState,
    /// Tells whoever waits for the next move.
    version: watch::Sender<u64>,
}

impl MemoryQrStore {
    /// A store that keeps at most so many logins, at least one.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), held: HELD, state: Mutex::default() }
    }
}

impl Default for MemoryQrStore {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl fmt::Debug for MemoryQrStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQrStore").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Entry {
    /// What it counts for among logins, and among bytes.
    fn pieces(&self) -> (Piece, Piece) {
        let (from, nonce): (AddressPrefix, _) = (self.login.prefix, self.login.nonce);
        let piece = |size| Piece { from, serial: self.serial, nonce, size };
        (piece(1), piece(self.state.held()))
    }
}

impl Class {
    fn add(&mut self, entry: &Entry) {
        let (login, held) = entry.pieces();
        self.by_age.insert(entry.serial, login.nonce);
        self.logins.add(login);
        self.held.add(held);
    }

    fn remove(&mut self, entry: &Entry) {
        let (login, held) = entry.pieces();
        self.by_age.remove(&entry.serial);
        self.logins.remove(login);
        self.held.remove(held);
    }

    fn oldest(&self) -> Option<Nonce> {
        self.by_age.first_key_value().map(|(_, nonce)| *nonce)
    }
}

impl State {
    fn class(&mut self, of: &QrState) -> &mut Class {
        if of.is_taken() { &mut self.taken } else { &mut self.others }
    }

    fn insert(&mut self, entry: Entry) {
        self.class(&entry.state).add(&entry);
        self.logins.insert(entry.login.nonce, entry);
    }

    fn remove(&mut self, nonce: &Nonce) -> Option<Entry> {
        let entry = self.logins.remove(nonce)?;
        self.class(&entry.state).remove(&entry);
        Some(entry)
    }

    /// Whether a login expired so many seconds ago.
    fn is_past(&self, nonce: &Nonce, seconds: u64, now: Timestamp) -> bool {
        self.logins.get(nonce).is_some_and(|entry| entry.login.expires.plus(seconds) <= now)
    }

    /// All last equally long, so the oldest are the first to go.
    fn drop_old(&mut self, now: Timestamp) {
        let oldest = |state: &Self| {
            let each = [state.others.oldest(), state.taken.oldest()];
            each.into_iter().flatten().find(|nonce| state.is_past(nonce, REMEMBERED + 1, now))
        };
        while let Some(nonce) = oldest(self) {
            self.remove(&nonce);
        }
    }

    fn make_room(&mut self, capacity: usize, now: Timestamp) {
        while self.logins.len() > capacity {
            let expired = self.others.oldest().filter(|nonce| self.is_past(nonce, 0, now));
            let victim = expired.or_else(|| self.others.logins.victim());
            let Some(nonce) = victim.or_else(|| self.taken.logins.victim()) else { return };
            self.remove(&nonce);
        }
    }

    /// As [`make_room`](Self::make_room), for the bytes that hang on logins.
    fn shed(&mut self, most: usize) {
        while self.others.held.total().saturating_add(self.taken.held.total()) > most {
            let victim = self.others.held.victim().or_else(|| self.taken.held.victim());
            let Some(nonce) = victim else { return };
            self.remove(&nonce);
        }
    }
}

#[async_trait]
impl QrStore for MemoryQrStore {
    async fn put(&self, login: QrLogin, now: Timestamp) -> StoreResult<()> {
        let mut state = lock(&self.state);
        state.drop_old(now);
        state.serial += 1;
        let entry = Entry {
            serial: state.serial,
            login: Arc::new(login),
            state: QrState::Open { failures: 0 },
            version: watch::Sender::new(0),
        };
        // A nonce drawn twice never happens; if it did, the older login would be gone.
        state.remove(&entry.login.nonce);
        state.insert(entry);
        state.make_room(self.capacity, now);
        Ok(())
    }

    async fn get(&self, nonce: &Nonce) -> StoreResult<Option<QrRow>> {
        Ok(lock(&self.state).logins.get(nonce).map(|entry| QrRow {
            login: Arc::clone(&entry.login),
            state: entry.state.clone(),
            version: *entry.version.borrow(),
        }))
    }

    async fn replace(&self, nonce: &Nonce, version: u64, next: QrState) -> StoreResult<bool> {
        let mut state = lock(&self.state);
        if state.logins.get(nonce).is_none_or(|entry| *entry.version.borrow() != version) {
            return Ok(false);
        }
        let Some(mut entry) = state.remove(nonce) else { return Ok(false) };
        entry.state = next;
        entry.version.send_replace(version.wrapping_add(1));
        state.insert(entry);
        state.shed(self.held);
        Ok(true)
    }

    async fn changed(&self, nonce: &Nonce, version: u64) -> StoreResult<()> {
        let receiver = lock(&self.state).logins.get(nonce).map(|entry| entry.version.subscribe());
        if let Some(mut receiver) = receiver {
            // An error says that the login is gone, which is a change too.
            let _ = receiver.wait_for(|now| *now != version).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(number: u64, address: &str, at: u64) -> QrLogin {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        QrLogin {
            nonce: Nonce::from_random_bytes(bytes),
            client_nonce: "".into(),
            timestamp: Timestamp::from_unix(at),
            service: Arc::from("s"),
            expires: Timestamp::from_unix(at + 120),
            origin: "https://s".into(),
            prefix: AddressPrefix::of(Some(address.parse().unwrap())),
            code_hash: [0; 32],
            poll_hash: [0; 32],
        }
    }

    async fn put(store: &MemoryQrStore, number: u64, address: &str, at: u64) -> Nonce {
        let login = login(number, address, at);
        let nonce = login.nonce;
        store.put(login, Timestamp::from_unix(at)).await.unwrap();
        nonce
    }

    #[tokio::test]
    async fn a_flood_throws_out_its_own_logins_only() {
        let store = MemoryQrStore::with_capacity(100);
        let honest = put(&store, 0, "192.0.2.1", 0).await;
        let first_of_flood = put(&store, 1, "198.51.100.1", 0).await;
        for number in 2..2_000 {
            put(&store, number, "198.51.100.1", 0).await;
        }
        assert!(store.get(&honest).await.unwrap().is_some());
        assert!(store.get(&first_of_flood).await.unwrap().is_none());
        let state = lock(&store.state);
        assert_eq!(
            (state.logins.len(), state.others.by_age.len(), state.others.logins.total()),
            (100, 100, 100)
        );
    }

    async fn is_there(store: &MemoryQrStore, nonce: &Nonce) -> bool {
        store.get(nonce).await.unwrap().is_some()
    }

    fn waiting(bytes: usize) -> QrState {
        let fingerprint = "00".repeat(20).parse().unwrap();
        QrState::Waiting { failures: 0, fingerprint, answer: Arc::from(vec![0; bytes]) }
    }

    fn signed_in(bytes: usize) -> QrState {
        QrState::SignedIn { result: Arc::from(vec![0; bytes]), until: Timestamp::from_unix(1_000) }
    }

    /// Whoever has a /48 has 65,536 prefixes, and asks once from each.
    #[tokio::test]
    async fn attack_flood_from_many_prefixes_of_one_network() {
        let store = MemoryQrStore::with_capacity(100);
        // Not alone where they are, and one of them answered: that makes neither the first to go.
        let mut honest = Vec::new();
        for number in 0..10 {
            honest.push(put(&store, number, "2001:db8:ffff:1::1", 0).await);
            honest.push(put(&store, 100 + number, "192.0.2.1", 0).await);
        }
        store.replace(&honest[0], 0, waiting(60 * 1024)).await.unwrap();
        store.replace(&honest[1], 0, QrState::Taken).await.unwrap();
        for number in 1_000..6_000_u64 {
            put(&store, number, &format!("2001:db8:1:{number:x}::1"), 0).await;
            // In the midst of it somebody answers.
            if number == 3_000 {
                assert!(store.replace(&honest[2], 0, waiting(60 * 1024)).await.unwrap());
                assert!(store.replace(&honest[1], 1, signed_in(10 * 1024)).await.unwrap());
            }
        }
        for nonce in &honest {
            assert!(is_there(&store, nonce).await);
        }
        let late = put(&store, 9_999, "198.51.100.1", 0).await;
        assert!(is_there(&store, &late).await, "others still sign in");
        assert!(lock(&store.state).logins.len() <= 100);
    }

    #[tokio::test]
    async fn one_that_was_taken_goes_last() {
        let store = MemoryQrStore::with_capacity(10);
        let mut taken = Vec::new();
        for number in 0..5 {
            let nonce = put(&store, number, "192.0.2.1", 0).await;
            let state = if number % 2 == 0 { QrState::Taken } else { signed_in(1_000) };
            store.replace(&nonce, 0, state).await.unwrap();
            taken.push(nonce);
        }
        // One from each network: nobody holds as much as who signed in.
        for number in 0..200 {
            put(&store, 100 + number, &format!("198.51.{number}.1"), 0).await;
        }
        for nonce in &taken {
            assert!(is_there(&store, nonce).await);
        }
        // Without any other they go too: the store stays as small as it is.
        for number in 0..20 {
            let nonce = put(&store, 1_000 + number, "203.0.113.1", 0).await;
            store.replace(&nonce, 0, QrState::Taken).await.unwrap();
        }
        assert!(lock(&store.state).logins.len() <= 10);
    }

    #[tokio::test]
    async fn attack_large_answers() {
        let store = MemoryQrStore { held: 200 * 1024, ..MemoryQrStore::with_capacity(1_000) };
        let open = put(&store, 0, "198.51.100.1", 0).await;
        let (waits, done) = (put(&store, 1, "192.0.2.1", 0).await, put(&store, 2, "192.0.2.2", 0).await);
        store.replace(&waits, 0, waiting(50 * 1024)).await.unwrap();
        store.replace(&done, 0, signed_in(5 * 1024)).await.unwrap();
        for number in 10..60 {
            let nonce = put(&store, number, "198.51.100.1", 0).await;
            store.replace(&nonce, 0, waiting(60 * 1024)).await.unwrap();
        }
        // Whoever fills the space loses their own, and nobody one that holds nothing.
        for nonce in [&open, &waits, &done] {
            assert!(is_there(&store, nonce).await);
        }
        let state = lock(&store.state);
        assert!(state.others.held.total() + state.taken.held.total() <= 200 * 1024);
        assert!(state.logins.len() <= 5, "{}", state.logins.len());
    }

    #[tokio::test]
    async fn where_there_is_no_room_the_expired_go_first() {
        let store = MemoryQrStore::with_capacity(10);
        let mut old = Vec::new();
        for number in 0..5 {
            old.push(put(&store, number, &format!("192.0.{number}.1"), 0).await);
        }
        store.replace(&old[0], 0, signed_in(1_000)).await.unwrap();
        let mut young = Vec::new();
        for number in 100..105 {
            young.push(put(&store, number, "198.51.100.1", 120).await);
        }
        for nonce in &old {
            assert!(is_there(&store, nonce).await, "who comes late hears so");
        }
        for number in 105..109 {
            young.push(put(&store, number, "198.51.100.1", 120).await);
        }
        for nonce in young.iter().chain(&old[..1]) {
            assert!(is_there(&store, nonce).await);
        }
        for nonce in &old[1..] {
            assert!(!is_there(&store, nonce).await);
        }
    }

    #[tokio::test]
    async fn what_goes_leaves_nothing_behind() {
        let store = MemoryQrStore::default();
        for number in 0..100 {
            let nonce = put(&store, number, &format!("2001:db8:{}:{number:x}::1", number % 7), 0).await;
            for (version, state) in [waiting(100), QrState::Taken, signed_in(50), QrState::Fetched]
                .into_iter()
                .take(number as usize % 5)
                .enumerate()
            {
                assert!(store.replace(&nonce, version as u64, state).await.unwrap());
            }
        }
        let mut state = lock(&store.state);
        assert_eq!(state.logins.len(), 100);
        state.drop_old(Timestamp::from_unix(1_000));
        assert!(state.logins.is_empty());
        let State { others, taken, .. } = &*state;
        for class in [others, taken] {
            assert!(class.by_age.is_empty() && class.logins.is_empty() && class.held.is_empty());
        }
    }

    #[tokio::test]
    async fn a_step_is_taken_by_one() {
        let store = Arc::new(MemoryQrStore::default());
        let nonce = put(&store, 7, "192.0.2.1", 0).await;
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.replace(&nonce, 0, QrState::Taken).await.unwrap() })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1);
    }

    #[tokio::test]
    async fn who_waits_hears_of_the_next_move_and_of_the_end() {
        let store = MemoryQrStore::default();
        let nonce = put(&store, 7, "192.0.2.1", 0).await;
        let moves = async { store.replace(&nonce, 0, QrState::Taken).await.unwrap() };
        let (heard, _) = tokio::join!(store.changed(&nonce, 0), moves);
        heard.unwrap();
        store.changed(&nonce, 0).await.unwrap();
        let goes = async { put(&store, 8, "192.0.2.1", 1000).await };
        let (heard, other) = tokio::join!(store.changed(&nonce, 1), goes);
        heard.unwrap();
        assert!(store.get(&nonce).await.unwrap().is_none());
        assert!(store.get(&other).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_is_long_past_is_forgotten() {
        let store = MemoryQrStore::default();
        for round in 0..100 {
            for number in 0..10 {
                put(&store, round * 100 + number, "192.0.2.1", round * 10).await;
            }
        }
        let state = lock(&store.state);
        assert!(state.logins.len() <= 25 * 10 + 10, "{}", state.logins.len());
        assert_eq!(state.others.by_age.len(), state.logins.len());
        assert_eq!(state.others.logins.total(), state.logins.len());
    }
}
