//! How much is let through from where.

use capauth_tower::RateLimits;

use super::layers::Layers;
use super::{ConfigError, one, values};

type Setter = fn(RateLimits, u32) -> RateLimits;

/// The limits, with the numbers that were set.
pub(super) fn read(layers: &Layers) -> Result<RateLimits, ConfigError> {
    let limits = match one(layers, "no_rate_limits", values::boolean)? {
        Some(true) => RateLimits::off(),
        Some(false) | None => RateLimits::default(),
    };
    let settings: [(&str, Setter); 5] = [
        ("challenges_per_minute", RateLimits::challenges_per_minute),
        ("failures_per_minute", RateLimits::failures_per_minute),
        ("challenges_per_address", RateLimits::challenges_per_address),
        ("failures_per_address", RateLimits::failures_per_address),
        ("enrollments_per_hour", RateLimits::enrollments_per_hour),
    ];
    settings.into_iter().try_fold(limits, |limits, (key, set)| {
        Ok(match one(layers, key, number)? {
            Some(number) => set(limits, number),
            None => limits,
        })
    })
}

fn number(text: &str) -> Result<u32, &'static str> {
    match text.parse() {
        Ok(number @ 1..=60_000) => Ok(number),
        _ => Err("is not a number from 1 to 60000; CAPAUTH_NO_RATE_LIMITS=true takes every limit away"),
    }
}
