//! What time it is: handed in, never reached for.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// A point in time in whole seconds since 1970-01-01T00:00:00Z.
///
/// Displays as RFC 3339 in UTC (`2026-02-24T12:00:00Z`), serialises as the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

/// The last second whose year has four digits, as RFC 3339 demands.
const LAST: u64 = 253_402_300_799;

impl Timestamp {
    /// The given number of seconds after the epoch; anything past the year 9999 becomes its last second.
    pub const fn from_unix(seconds: u64) -> Self {
        Self(if seconds > LAST { LAST } else { seconds })
    }

    /// Seconds since the epoch.
    pub const fn as_unix(self) -> u64 {
        self.0
    }

    /// This time plus a number of seconds, stopping at the last representable second.
    pub const fn plus(self, seconds: u64) -> Self {
        Self::from_unix(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this time, 0 if it is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self::from_unix(time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_secs(time.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds((*self).into()).fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What time it is.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> SystemTime;

    /// The present time in whole seconds.
    fn timestamp(&self) -> Timestamp {
        self.now().into()
    }

    /// Waits until it is this time. Needs a Tokio runtime; may be dropped at any moment.
    async fn wait_until(&self, time: Timestamp) {
        let time = SystemTime::from(time);
        while let Ok(left) = time.duration_since(self.now()) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that stands still until it is told to move: for tests.
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicU64,
    moved: Notify,
}

impl ManualClock {
    /// A clock that shows `time`, in milliseconds' precision.
    pub fn at(time: SystemTime) -> Self {
        Self { millis: AtomicU64::new(millis(time)), moved: Notify::new() }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.millis.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX / 2), Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, time: SystemTime) {
        self.millis.store(millis(time), Ordering::SeqCst);
        self.moved.notify_waiters();
    }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX / 2))
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.millis.load(Ordering::SeqCst))
    }

    /// Until somebody moves it so far.
    async fn wait_until(&self, time: Timestamp) {
        loop {
            // Listening before looking: a move in between is heard.
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.now() >= time.into() {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_unix(1_771_934_400).to_string(), "2026-02-24T12:00:00Z");
        assert_eq!(Timestamp::from_unix(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_manual_clock_moves_when_told() {
        let clock = ManualClock::at(UNIX_EPOCH + Duration::from_secs(10));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.timestamp(), Timestamp::from_unix(15));
    }

    #[tokio::test]
    async fn who_waits_for_a_manual_clock_waits_until_it_is_moved_so_far() {
        let clock = ManualClock::at(UNIX_EPOCH);
        let waiting = clock.wait_until(Timestamp::from_unix(10));
        let moving = async {
            clock.advance(Duration::from_secs(9));
            tokio::task::yield_now().await;
            clock.advance(Duration::from_secs(1));
        };
        tokio::join!(waiting, moving);
        SystemClock.wait_until(Timestamp::from_unix(10)).await;
    }
}
