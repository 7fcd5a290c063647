//! [`RateLimits`]: the numbers.

use crate::error::ConfigError;

/// The highest number that can be set: more than that is no limit.
const MOST: u32 = 60_000;

/// How much is let through from one address, or one browser that has signed in before.
///
/// Each number is how many there may be at once; as time passes they come back one by one. Addresses are counted by the
/// IPv4 address or the IPv6 /64. Nothing that counts a fingerprint alone refuses anybody: fingerprints are public.
///
/// ```
/// use capauth_verifier::RateLimits;
///
/// let office = RateLimits::default().failures_per_address(200).enrollments_per_hour(100);
/// # let _ = office;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RateLimits {
    pub(super) on: bool,
    pub(super) challenges_per_minute: u32,
    pub(super) failures_per_minute: u32,
    pub(super) challenges_per_address: u32,
    pub(super) failures_per_address: u32,
    pub(super) enrollments_per_hour: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            on: true,
            challenges_per_minute: 10,
            failures_per_minute: 5,
            challenges_per_address: 300,
            failures_per_address: 60,
            enrollments_per_hour: 20,
        }
    }
}

impl RateLimits {
    /// None at all: for tests and measurements, and behind something that limits on its own.
    pub fn off() -> Self {
        Self { on: false, ..Self::default() }
    }

    /// Challenges a minute for one fingerprint from one address; 10 by default.
    pub fn challenges_per_minute(self, number: u32) -> Self {
        Self { challenges_per_minute: number, ..self }
    }

    /// Refused answers, rotations, links and their like a minute for one fingerprint from one address; 5 by default.
    pub fn failures_per_minute(self, number: u32) -> Self {
        Self { failures_per_minute: number, ..self }
    }

    /// Challenges a minute from one address, whatever the fingerprints; 300 by default.
    pub fn challenges_per_address(self, number: u32) -> Self {
        Self { challenges_per_address: number, ..self }
    }

    /// What is refused a minute from one address, whatever the fingerprints; 60 by default.
    pub fn failures_per_address(self, number: u32) -> Self {
        Self { failures_per_address: number, ..self }
    }

    /// New keys an hour from one address; 20 by default.
    pub fn enrollments_per_hour(self, number: u32) -> Self {
        Self { enrollments_per_hour: number, ..self }
    }

    /// Whether anything is limited.
    pub fn are_on(&self) -> bool {
        self.on
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (name, number) in [
            ("challenges_per_minute", self.challenges_per_minute),
            ("failures_per_minute", self.failures_per_minute),
            ("challenges_per_address", self.challenges_per_address),
            ("failures_per_address", self.failures_per_address),
            ("enrollments_per_hour", self.enrollments_per_hour),
        ] {
            if !(1..=MOST).contains(&number) {
                return Err(ConfigError::new(format!(
                    "RateLimits::{name}({number}): a limit is a number from 1 to {MOST}; RateLimits::off() has none"
                )));
            }
        }
        Ok(())
    }
}
