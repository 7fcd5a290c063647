//! A clock for buckets: made of the one that was handed in, it only moves forward.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use governor::nanos::Nanos;

use crate::clock::Clock;

/// How much time has passed since it was first looked at, in whole milliseconds.
///
/// The clock behind it may be set back: then no time passes here, and from there it goes on. Otherwise whoever had used
/// up a bucket would be shut out for as long as the clock was set back.
#[derive(Clone)]
pub(super) struct Steady(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    /// What the clock showed last, and how much time has passed; nothing before the first look.
    seen: Mutex<Option<(u64, u64)>>,
}

impl Steady {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { clock, seen: Mutex::new(None) }))
    }

    /// Milliseconds since the first look, which is zero.
    pub(super) fn millis(&self) -> u64 {
        let since = self.0.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shown = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = seen.map_or(0, |(last, passed)| passed.saturating_add(shown.saturating_sub(last)));
        *seen = Some((shown, passed));
        passed
    }
}

impl governor::clock::Clock for Steady {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        nanos(self.millis())
    }
}

/// The longest time that nanoseconds can tell, about 580 years, in milliseconds.
const LONGEST: u64 = u64::MAX / 1_000_000;

pub(super) fn nanos(millis: u64) -> Nanos {
    Duration::from_millis(millis.min(LONGEST)).into()
}

impl fmt::Debug for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steady")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn time_passes_and_never_runs_back() {
        let start = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let clock = Arc::new(ManualClock::at(start));
        let steady = Steady::new(clock.clone());
        assert_eq!(steady.millis(), 0);
        clock.advance(Duration::from_millis(1500));
        assert_eq!(steady.millis(), 1500);
        clock.set(start - Duration::from_secs(86_400));
        assert_eq!(steady.millis(), 1500, "set back by a day");
        clock.advance(Duration::from_secs(2));
        assert_eq!(steady.millis(), 3500, "and it goes on from there");
    }
}
