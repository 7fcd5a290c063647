//! Where buckets are kept: in tables whose size never changes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;

use super::steady::{Steady, nanos};

/// Buckets that share a set: a new one finds room among so many.
const WAYS: usize = 8;
/// Bits of a slot that say until when; in milliseconds they last for 34 years.
const TIME_BITS: u32 = 40;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// A fixed number of buckets, each known by the hash of its key.
///
/// A bucket is one number: the time at which it will be empty again (the "theoretical arrival time" of the algorithm).
/// When that is over, the slot is free. A set that is full gives up the bucket which would be empty first, for that is the
/// one that matters least: so whoever sends whatever there is from many addresses makes others' counts be forgotten, and
/// shuts nobody out.
///
/// The low bits of the hash choose the set and its highest 24 are kept; it is seeded at random, so nobody can choose whom
/// to share a bucket with, and of a table that is full one lookup in two million finds another's.
#[derive(Clone)]
pub(super) struct Slots(Arc<Inner>);

struct Inner {
    sets: Box<[Mutex<[u64; WAYS]>]>,
    clock: Steady,
}

const fn tag(slot: u64) -> u64 {
    slot >> TIME_BITS
}

const fn time(slot: u64) -> u64 {
    slot & TIME
}

impl Slots {
    /// Room for about so many buckets, at least one set's.
    pub(super) fn new(buckets: usize, clock: Steady) -> Self {
        let sets = (buckets / WAYS).max(1).next_power_of_two();
        Self(Arc::new(Inner { sets: (0..sets).map(|_| Mutex::default()).collect(), clock }))
    }

    /// Does something with the set of a hash, while nobody else does.
    fn with<T>(&self, hash: u64, act: impl FnOnce(&mut [u64; WAYS]) -> T) -> Option<T> {
        let sets = &self.0.sets;
        // Masked first: where `usize` is short, the whole hash does not fit.
        let number = hash & u64::try_from(sets.len() - 1).unwrap_or(u64::MAX);
        let mut set = sets.get(usize::try_from(number).ok()?)?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(&mut set))
    }

    /// Takes so many milliseconds off a bucket, if it is still there.
    pub(super) fn give_back(&self, hash: u64, millis: u64) {
        self.with(hash, |set| {
            if let Some(slot) = set.iter_mut().find(|slot| is_of(**slot, hash)) {
                *slot = pack(hash, time(*slot).saturating_sub(millis));
            }
        });
    }

    /// Bytes that the table takes, whatever is in it.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val::<[_]>(&self.0.sets)
    }
}

fn pack(hash: u64, until: u64) -> u64 {
    match until.min(TIME) {
        // Empty again: as good as none.
        0 => 0,
        until => tag(hash) << TIME_BITS | until,
    }
}

/// The slot for a bucket, and whether it holds it.
fn find(set: &mut [u64; WAYS], hash: u64, now: u64) -> Option<(&mut u64, bool)> {
    let own = set.iter().position(|slot| is_of(*slot, hash));
    let free = || set.iter().position(|slot| time(*slot) <= now);
    let least = || (0..WAYS).min_by_key(|place| set.get(*place).map(|slot| time(*slot)));
    let place = own.or_else(free).or_else(least)?;
    let slot = set.get_mut(place)?;
    let holds = own.is_some() && time(*slot) > now;
    Some((slot, holds))
}

fn is_of(slot: u64, hash: u64) -> bool {
    slot != 0 && tag(slot) == tag(hash)
}

impl StateStore for Slots {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, hash: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let now = self.0.clock.millis();
        let decided = self.with(*hash, |set| {
            let Some((slot, holds)) = find(set, *hash, now) else { return decide(None) };
            let (answer, until) = decide(holds.then(|| nanos(time(*slot))))?;
            // Quotas are whole milliseconds and so is the clock: nothing is rounded.
            *slot = pack(*hash, until.as_u64() / 1_000_000);
            Ok((answer, until))
        });
        // There always is a set.
        decided.unwrap_or_else(|| decide(None)).map(|(answer, _)| answer)
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("sets", &self.0.sets.len()).finish_non_exhaustive()
    }
}
