//! What is remembered of decisions about addresses, and how often one may be asked for. No address is in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use capauth_protocol::Fingerprint;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// For how long a yes is believed.
const YES: Duration = Duration::from_secs(3600);
/// For how long a no is, and a failure.
const NO: Duration = Duration::from_secs(300);
/// How many answers are kept.
const ANSWERS: u64 = 8_192;
/// How many lookups an identity has in a minute.
const LOOKUPS: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);
/// How many identities are counted.
const IDENTITIES: u64 = 16_384;

/// A decision, and when it is believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) verified: bool,
    since: SystemTime,
    until: SystemTime,
}

impl Answer {
    /// `good_until`: when what a yes rests on ends by itself; `None` makes it a no.
    pub(super) fn new(good_until: Option<SystemTime>, now: SystemTime) -> Self {
        let until = good_until.map_or(now + NO, |end| end.min(now + YES));
        Self { verified: good_until.is_some(), since: now, until }
    }

    /// A clock that was set back believes nothing from its future.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        (self.since..self.until).contains(&now)
    }
}

/// The answer about one address and one certificate. Whoever holds the lock is the one who asks.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Answer>>>;

/// Answers by the keyed hash of address and certificate.
pub(super) struct Answers(Cache<[u8; 32], Slot>);

impl Answers {
    pub(super) fn new() -> Self {
        // What was asked for last must never give way to what was asked for more often: the slot in use is the former.
        Self(Cache::builder().max_capacity(ANSWERS).eviction_policy(EvictionPolicy::lru()).build())
    }

    pub(super) fn known(&self, key: &[u8; 32]) -> Option<Slot> {
        self.0.get(key)
    }

    pub(super) fn slot(&self, key: [u8; 32]) -> Slot {
        self.0.get_with(key, Slot::default)
    }
}

/// When each identity's last lookups were.
pub(super) struct Lookups(Cache<Fingerprint, Arc<Mutex<Vec<SystemTime>>>>);

impl Lookups {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(IDENTITIES).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// Whether the identity has used up its minute.
    pub(super) fn is_spent(&self, sub: &Fingerprint, now: SystemTime) -> bool {
        let Some(last) = self.0.get(sub) else { return false };
        let last = last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().filter(|at| is_recent(**at, now)).count() >= LOOKUPS
    }

    /// Counts a lookup, unless the identity has used up its minute.
    pub(super) fn take(&self, sub: &Fingerprint, now: SystemTime) -> bool {
        let last = self.0.get_with(*sub, Arc::default);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|at| is_recent(*at, now));
        let has_room = last.len() < LOOKUPS;
        if has_room {
            last.push(now);
        }
        has_room
    }
}

/// A lookup in the future was made before the clock was set back: counted, it would lock the identity out until then.
fn is_recent(at: SystemTime, now: SystemTime) -> bool {
    now.duration_since(at).is_ok_and(|age| age < MINUTE)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_yes_is_believed_an_hour_a_no_five_minutes() {
        let yes = Answer::new(Some(at(1_000_000)), at(1000));
        assert!(yes.verified && yes.is_fresh(at(1000)) && yes.is_fresh(at(4599)));
        assert!(!yes.is_fresh(at(4600)) && !yes.is_fresh(at(999)));
        let no = Answer::new(None, at(1000));
        assert!(!no.verified && no.is_fresh(at(1299)) && !no.is_fresh(at(1300)));
    }

    #[test]
    fn a_yes_is_not_believed_longer_than_the_key_lives() {
        let yes = Answer::new(Some(at(1010)), at(1000));
        assert!(yes.is_fresh(at(1009)) && !yes.is_fresh(at(1010)));
    }

    #[test]
    fn an_identity_has_five_lookups_in_any_minute() {
        let (lookups, [one, two]) = (Lookups::new(), ["AA", "BB"].map(|b| b.repeat(20).parse().unwrap()));
        for second in 0..5 {
            assert!(!lookups.is_spent(&one, at(100 + second)));
            assert!(lookups.take(&one, at(100 + second)));
        }
        assert!(lookups.is_spent(&one, at(159)) && !lookups.take(&one, at(159)));
        assert!(!lookups.is_spent(&two, at(159)) && lookups.take(&two, at(159)));
        assert!(lookups.take(&one, at(160)));
        assert!(!lookups.take(&one, at(160)));
        // Set back, the clock locks nobody out.
        assert!(lookups.take(&one, at(50)));
    }
}
