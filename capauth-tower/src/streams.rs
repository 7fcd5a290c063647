//! Answers that go on while something happens: how many there may be, and how they end.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capauth_protocol::Nonce;
use capauth_verifier::{AddressPrefix, Timestamp};
use tokio::sync::watch;

/// Streams about one login: a page, and the same page while it reconnects.
const OF_ONE: usize = 2;
/// Streams to one address prefix.
const OF_PREFIX: usize = 128;
/// Streams in all.
const ALL: usize = 1024;

/// Counts the streams that there are, and can end them.
pub(crate) struct Streams {
    counts: Arc<Mutex<Counts>>,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct Counts {
    /// Every place that is taken, by the end of its time and its number.
    places: BTreeMap<(Timestamp, u64), (Nonce, AddressPrefix)>,
    number: u64,
    by_login: HashMap<Nonce, usize>,
    /// But for streams to who knows where.
    by_prefix: HashMap<AddressPrefix, usize>,
}

/// A stream's place, given back when this is dropped, or when its time is over: whoever does not read what is sent to them
/// keeps the stream, and not its place.
pub(crate) struct Place {
    counts: Arc<Mutex<Counts>>,
    key: (Timestamp, u64),
}

impl Streams {
    pub(crate) fn new() -> Self {
        Self { counts: Arc::default(), ended: watch::Sender::new(false) }
    }

    /// A place for one more stream about this login, which is decided by `until`; `None` when as many as may be are there.
    pub(crate) fn enter(
        &self,
        nonce: Nonce,
        prefix: AddressPrefix,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<Place> {
        let mut counts = lock(&self.counts);
        while let Some((&key, _)) = counts.places.first_key_value().filter(|((until, _), _)| *until <= now) {
            counts.leave(key);
        }
        let of = |count: Option<&usize>| count.copied().unwrap_or_default();
        let full = counts.places.len() >= ALL
            || of(counts.by_login.get(&nonce)) >= OF_ONE
            || of(counts.by_prefix.get(&prefix)) >= OF_PREFIX;
        if full {
            return None;
        }
        counts.number += 1;
        let key = (until, counts.number);
        counts.places.insert(key, (nonce, prefix));
        *counts.by_login.entry(nonce).or_default() += 1;
        // Behind a proxy that names nobody, everybody would share what is one's.
        if prefix.is_known() {
            *counts.by_prefix.entry(prefix).or_default() += 1;
        }
        Some(Place { counts: Arc::clone(&self.counts), key })
    }

    /// Hears when all streams are to end.
    pub(crate) fn ending(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }
}

impl Counts {
    fn leave(&mut self, key: (Timestamp, u64)) {
        if let Some((nonce, prefix)) = self.places.remove(&key) {
            one_less(&mut self.by_login, &nonce);
            one_less(&mut self.by_prefix, &prefix);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.counts).leave(self.key);
    }
}

fn one_less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(number: u64) -> Nonce {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        Nonce::from_random_bytes(bytes)
    }

    fn from(last: u8) -> AddressPrefix {
        AddressPrefix::of(Some([192, 0, 2, last].into()))
    }

    fn enter(streams: &Streams, number: u64, prefix: AddressPrefix) -> Option<Place> {
        streams.enter(nonce(number), prefix, Timestamp::from_unix(0), Timestamp::from_unix(100))
    }

    #[test]
    fn attack_streams_without_end() {
        let streams = Streams::new();
        let first = enter(&streams, 1, from(1)).unwrap();
        let second = enter(&streams, 1, from(1)).unwrap();
        assert!(enter(&streams, 1, from(2)).is_none(), "two about one login");
        drop(first);
        let mut places = vec![enter(&streams, 1, from(2)).unwrap()];
        for number in 2.. {
            let Some(place) = enter(&streams, number, from(3)) else { break };
            places.push(place);
        }
        assert_eq!(places.len(), 1 + OF_PREFIX);
        assert!(enter(&streams, 0, from(4)).is_some(), "others have their own");
        for number in 1000..4000 {
            places.extend(enter(&streams, number, from((number % 100) as u8)));
        }
        assert_eq!(lock(&streams.counts).places.len(), ALL);
        places.clear();
        drop(second);
        assert!(is_empty(&streams));
    }

    fn is_empty(streams: &Streams) -> bool {
        let counts = lock(&streams.counts);
        counts.places.is_empty() && counts.by_login.is_empty() && counts.by_prefix.is_empty()
    }

    #[test]
    fn attack_streams_that_nobody_reads() {
        let streams = Streams::new();
        let unread: Vec<_> =
            (0..2_000).filter_map(|number| enter(&streams, number, from((number % 100) as u8))).collect();
        assert_eq!(unread.len(), ALL);
        let at = |now| {
            streams.enter(nonce(9_999), from(200), Timestamp::from_unix(now), Timestamp::from_unix(now + 100))
        };
        assert!(at(99).is_none());
        let place = at(100).expect("their time is over");
        assert_eq!(lock(&streams.counts).places.len(), 1);
        // They end some time, and give nothing back twice.
        drop(unread);
        assert_eq!(lock(&streams.counts).places.len(), 1);
        drop(place);
        assert!(is_empty(&streams));
    }

    #[test]
    fn those_of_whom_nothing_is_known_are_not_one() {
        let streams = Streams::new();
        let unknown = AddressPrefix::of(None);
        let places: Vec<_> = (0..2_000).filter_map(|number| enter(&streams, number, unknown)).collect();
        assert_eq!(places.len(), ALL);
        drop(places);
        assert!(is_empty(&streams));
    }
}
