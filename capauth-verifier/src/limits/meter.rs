//! [`Meter`]: one number for each of very many keys, in constant memory.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};

use super::slots::Slots;
use super::steady::Steady;
use crate::clock::Clock;

/// Lets each key do something so many times in a while: that many at once, and then one by one as time passes.
///
/// Its memory is made at once and never grows, whatever comes: when there are more keys than fit, those are forgotten
/// that have done least.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, SystemTime};
///
/// use capauth_verifier::{ManualClock, Meter};
///
/// let clock = Arc::new(ManualClock::at(SystemTime::now()));
/// let meter = Meter::new(2, Duration::from_secs(60), 1_000, clock.clone());
/// assert!(meter.take(&"a").is_ok() && meter.take(&"a").is_ok());
/// assert_eq!(meter.take(&"a"), Err(Duration::from_secs(30)));
/// assert!(meter.take(&"b").is_ok());
/// clock.advance(Duration::from_secs(30));
/// assert!(meter.take(&"a").is_ok());
/// ```
pub struct Meter {
    limiter: RateLimiter<u64, Slots, Steady, NoOpMiddleware<Nanos>>,
    /// The same table: the limiter does not show its own.
    slots: Slots,
    /// Milliseconds that one of them is worth.
    worth: u64,
    seed: RandomState,
}

/// The bucket of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Bucket(u64);

impl Meter {
    /// Counts `number` (one at least) in a `window`, for about so many `keys` at once: eight bytes and a little for each.
    pub fn new(number: u32, window: Duration, keys: usize, clock: Arc<dyn Clock>) -> Self {
        let number = NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        // Whole milliseconds, and never more than the number.
        let worth = window.div_ceil(number.get().into()).max(1);
        let clock = Steady::new(clock);
        let slots = Slots::new(keys, clock.clone());
        let each = Duration::from_millis(worth);
        let quota = Quota::with_period(each).unwrap_or(Quota::per_minute(number)).allow_burst(number);
        let limiter = RateLimiter::new(quota, slots.clone(), clock);
        Self { limiter, slots, worth, seed: RandomState::new() }
    }

    /// Counts one for this key, if there is room for it.
    ///
    /// # Errors
    /// There is none; the time after which there is, if the key leaves it at that.
    pub fn take(&self, key: &impl Hash) -> Result<(), Duration> {
        self.take_from(self.bucket(key))
    }

    /// Counts one less for this key: what was counted for it did not happen.
    pub fn give_back(&self, key: &impl Hash) {
        self.give_back_to(self.bucket(key));
    }

    pub(super) fn bucket(&self, key: &impl Hash) -> Bucket {
        Bucket(self.seed.hash_one(key))
    }

    pub(super) fn take_from(&self, bucket: Bucket) -> Result<(), Duration> {
        let until = self.limiter.check_key(&bucket.0);
        until.map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }

    pub(super) fn give_back_to(&self, bucket: Bucket) {
        self.slots.give_back(bucket.0, self.worth);
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.slots.bytes()
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("worth", &self.worth).finish_non_exhaustive()
    }
}
