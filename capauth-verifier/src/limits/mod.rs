//! How much is let through, and from where.
//!
//! Counted is by where something comes from (an IPv4 address, an IPv6 /64, or a browser that has signed in before) *and*
//! by the fingerprint it is about, and once more by where it comes from alone; known browsers also with all others of
//! their network, so that nobody gains by collecting them. What an application hands on counts apart from everything
//! else, so that its word about addresses costs its own people alone. Nothing counts a fingerprint alone: fingerprints
//! are public, and that would shut people out. Without a known address nothing is counted, or one stranger
//! would shut everybody out.
//!
//! The algorithm is `governor`'s (GCRA): a bucket holds so many, which come back one by one. Its buckets lie in tables of
//! ours whose size never changes.

mod attempts;
mod device;
mod meter;
mod settings;
mod slots;
mod steady;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capauth_protocol::Fingerprint;

pub use attempts::Attempt;
use attempts::Failures;
pub use device::DeviceId;
pub use meter::Meter;
pub use settings::RateLimits;

use crate::clock::Clock;
use crate::error::{AuthError, AuthErrorKind, ConfigError};
use crate::stores::AddressPrefix;
use crate::verifier::Caller;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Buckets in each table, of nine bytes each. An IPv6 /48, which anybody gets, has 65,536 networks: with all of them at
/// work half the room is left, so their own counts hold too.
const BUCKETS: usize = 1 << 17;
/// Buckets for networks as a whole, of which only those matter that have browsers which signed in.
const NETWORKS: usize = 1 << 15;
/// Buckets for applications, which are a few.
const APPLICATIONS: usize = 1 << 10;
/// How many times the number of one place all known browsers of a network have.
const OF_A_NETWORK: u32 = 10;
/// How many times the number of one address an application may let in, whatever addresses it names.
const OF_AN_APPLICATION: u32 = 50;

/// Counts what comes, and says when it is too much. A verifier has one: [`LocalVerifier::limits`].
///
/// [`LocalVerifier::limits`]: crate::LocalVerifier::limits
pub struct Limits(Option<Box<Counts>>);

struct Counts {
    challenges_of_pairs: Meter,
    challenges: Meter,
    challenges_of_networks: Meter,
    failures: Failures,
    /// Refresh tokens that were refused.
    tokens: Failures,
    enrollments: Meter,
    enrollments_of_applications: Meter,
    /// Whether it was said that addresses are missing.
    warned: AtomicBool,
}

/// Where something comes from, and on whose word: what one application says of addresses and browsers counts among its
/// own people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place<'a> {
    application: Option<&'a str>,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Device(DeviceId),
    Prefix(AddressPrefix),
}

/// What counts something.
struct Counted<'a, 'b> {
    counts: &'a Counts,
    place: Place<'b>,
    /// The network of a browser that is known, where that is known too.
    network: Option<Place<'b>>,
}

impl Limits {
    /// # Errors
    /// A number makes no sense.
    pub(crate) fn new(numbers: &RateLimits, clock: &Arc<dyn Clock>) -> Result<Self, ConfigError> {
        numbers.check()?;
        if !numbers.on {
            return Ok(Self(None));
        }
        let meter = |number, window| Meter::new(number, window, BUCKETS, Arc::clone(clock));
        let wide = |number: u32, times, window, buckets| {
            Meter::new(number.saturating_mul(times), window, buckets, Arc::clone(clock))
        };
        let failures = |number| wide(number, OF_A_NETWORK, MINUTE, NETWORKS);
        Ok(Self(Some(Box::new(Counts {
            challenges_of_pairs: meter(numbers.challenges_per_minute, MINUTE),
            challenges: meter(numbers.challenges_per_address, MINUTE),
            challenges_of_networks: wide(numbers.challenges_per_address, OF_A_NETWORK, MINUTE, NETWORKS),
            failures: Failures::new(
                meter(numbers.failures_per_minute, MINUTE),
                meter(numbers.failures_per_address, MINUTE),
                failures(numbers.failures_per_address),
            ),
            tokens: Failures::new(
                // Nothing is counted by fingerprint here.
                wide(1, 1, MINUTE, 1),
                meter(numbers.failures_per_address, MINUTE),
                failures(numbers.failures_per_address),
            ),
            enrollments: meter(numbers.enrollments_per_hour, HOUR),
            enrollments_of_applications: wide(
                numbers.enrollments_per_hour,
                OF_AN_APPLICATION,
                HOUR,
                APPLICATIONS,
            ),
            warned: AtomicBool::new(false),
        }))))
    }

    /// Whether anything is counted.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Counts a challenge that is about to be made, for this key or for one that is not known yet.
    ///
    /// # Errors
    /// [`AuthErrorKind::TooManyRequests`], with the time to wait.
    pub fn challenge(&self, caller: &Caller, fingerprint: Option<&Fingerprint>) -> Result<(), AuthError> {
        let Some(Counted { counts, place, network }) = self.counted(caller) else { return Ok(()) };
        let pair = fingerprint.map(|fingerprint| (place, *fingerprint));
        let all = [
            pair.map(|pair| (&counts.challenges_of_pairs, counts.challenges_of_pairs.bucket(&pair))),
            Some((&counts.challenges, counts.challenges.bucket(&place))),
            network.map(|all| (&counts.challenges_of_networks, counts.challenges_of_networks.bucket(&all))),
        ];
        for (number, (meter, bucket)) in all.into_iter().flatten().enumerate() {
            if let Err(wait) = meter.take_from(bucket) {
                // Those before it did not happen.
                all.into_iter().flatten().take(number).for_each(|(meter, bucket)| meter.give_back_to(bucket));
                return Err(too_many(wait));
            }
        }
        Ok(())
    }

    /// Begins something that may be refused: an answer to a challenge, a rotation, a secret that is shown. Call it before
    /// any work is done, and [conclude](Attempt::conclude) the attempt afterwards; if it is refused, it counts.
    ///
    /// While as many are being judged as may still fail, it waits for their answers.
    ///
    /// # Errors
    /// [`AuthErrorKind::TooManyRequests`], with the time to wait.
    pub async fn attempt(
        &self,
        caller: &Caller,
        fingerprint: Option<&Fingerprint>,
    ) -> Result<Attempt<'_>, AuthError> {
        let Some(counted) = self.counted(caller) else { return Ok(Attempt::uncounted()) };
        counted.begin(&counted.counts.failures, fingerprint).await
    }

    /// Begins to look at a refresh token. Nobody guesses one, so this keeps only the work in bounds; and it counts apart:
    /// a form with a bad token is easily sent in another's name, and must not keep anybody from signing in.
    pub(crate) async fn attempt_to_renew(&self, caller: &Caller) -> Result<Attempt<'_>, AuthError> {
        let Some(counted) = self.counted(caller) else { return Ok(Attempt::uncounted()) };
        counted.begin(&counted.counts.tokens, None).await
    }

    /// Counts a new key that is about to be stored. By address, whatever the browser: whoever has enrolled one key must
    /// not have room for more by it. And by the application that hands it on: it may name any address.
    ///
    /// # Errors
    /// [`AuthErrorKind::TooManyRequests`], with the time to wait.
    pub(crate) fn enrollment(&self, caller: &Caller) -> Result<(), AuthError> {
        let too_many = |wait| {
            AuthError::with_words(
                AuthErrorKind::TooManyRequests,
                "As many new keys came from where you are as an hour allows. Try again later.",
            )
            .retry_after(wait)
        };
        let Some(counts) = self.0.as_deref() else { return Ok(()) };
        if let Some(application) = &caller.application {
            counts.enrollments_of_applications.take(application).map_err(too_many)?;
        }
        let Some((counts, place)) = self.by_address(caller) else { return Ok(()) };
        counts.enrollments.take(&place).map_err(|wait| {
            if let Some(application) = &caller.application {
                counts.enrollments_of_applications.give_back(application);
            }
            too_many(wait)
        })
    }

    /// The key was not stored in the end.
    pub(crate) fn not_enrolled(&self, caller: &Caller) {
        if let (Some(counts), Some(application)) = (self.0.as_deref(), &caller.application) {
            counts.enrollments_of_applications.give_back(application);
        }
        if let Some((counts, place)) = self.by_address(caller) {
            counts.enrollments.give_back(&place);
        }
    }

    fn counted<'a, 'b>(&'a self, caller: &'b Caller) -> Option<Counted<'a, 'b>> {
        let Some(device) = caller.device else {
            return self.by_address(caller).map(|(counts, place)| Counted { counts, place, network: None });
        };
        let counts = self.0.as_deref()?;
        let at = |origin| Place { application: caller.application.as_deref(), origin };
        let network = caller.address.map(|address| at(Origin::Prefix(AddressPrefix::of(Some(address)))));
        Some(Counted { counts, place: at(Origin::Device(device)), network })
    }

    fn by_address<'a, 'b>(&'a self, caller: &'b Caller) -> Option<(&'a Counts, Place<'b>)> {
        let counts = self.0.as_deref()?;
        if caller.address.is_none() {
            counts.warn();
            return None;
        }
        let origin = Origin::Prefix(AddressPrefix::of(caller.address));
        Some((counts, Place { application: caller.application.as_deref(), origin }))
    }

    /// Bytes of all tables.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let bytes = |c: &Counts| {
            let meters = [
                &c.challenges_of_pairs,
                &c.challenges,
                &c.challenges_of_networks,
                &c.enrollments,
                &c.enrollments_of_applications,
            ];
            meters.iter().map(|meter| meter.bytes()).sum::<usize>() + c.failures.bytes() + c.tokens.bytes()
        };
        self.0.as_deref().map_or(0, bytes)
    }
}

impl<'a> Counted<'a, '_> {
    async fn begin(
        &self,
        failures: &'a Failures,
        fingerprint: Option<&Fingerprint>,
    ) -> Result<Attempt<'a>, AuthError> {
        let pair = fingerprint.map(|fingerprint| (self.place, *fingerprint));
        let buckets = failures.buckets(&self.place, pair.as_ref(), self.network.as_ref());
        failures.begin(buckets).await.map_err(too_many)?;
        Ok(Attempt::of(failures, buckets))
    }
}

impl Counts {
    fn warn(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "capauth::limits",
                "requests come without their sender's address, and nothing is limited for them: hand on the peer's \
                 address (in axum `into_make_service_with_connect_info::<SocketAddr>()`, elsewhere the extension `Peer`; \
                 an application that asks this service, the person's)"
            );
        }
    }
}

fn too_many(wait: Duration) -> AuthError {
    AuthError::with_words(
        AuthErrorKind::TooManyRequests,
        "Too many attempts from where you are. Wait a moment, then try again.",
    )
    .retry_after(wait)
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("on", &self.are_on()).finish_non_exhaustive()
    }
}
