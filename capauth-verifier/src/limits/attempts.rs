//! Failures: what may be tried, what was refused, and what is being judged meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::meter::{Bucket, Meter};
use crate::error::AuthError;

/// How many wait for the answers of one bucket at most. Each answer wakes them all.
const WAITING: usize = 64;
/// When those may come again for whom there was no place to wait.
const SOON: Duration = Duration::from_secs(1);

/// Counts what is refused, in up to three buckets: of a key from a place, of the place, and of all browsers of a network.
///
/// Whether something will be refused is only known once it is judged. Until then it counts as if it were: so of any
/// number that come at once no more are judged than may fail. The others wait until those are answered, for most of what
/// comes is honest, and is not counted in the end.
#[derive(Debug)]
pub(super) struct Failures {
    pairs: Meter,
    places: Meter,
    networks: Meter,
    /// What is being judged, by bucket.
    judged: Mutex<HashMap<Bucket, Judged>>,
}

/// What is being judged of one bucket.
#[derive(Debug, Default)]
struct Judged {
    number: u32,
    /// Told whenever one of them is answered. Whoever waits for that holds it too.
    answered: Arc<Notify>,
}

/// The buckets that something is counted in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    pair: Option<Bucket>,
    place: Bucket,
    network: Option<Bucket>,
}

/// Why something may not be tried now.
enum Full {
    /// Others are being judged, which may turn out well: then this hears of it.
    Perhaps(OwnedNotified),
    /// For so long.
    For(Duration),
}

impl Failures {
    pub(super) fn new(pairs: Meter, places: Meter, networks: Meter) -> Self {
        Self { pairs, places, networks, judged: Mutex::default() }
    }

    pub(super) fn buckets(
        &self,
        place: &impl std::hash::Hash,
        pair: Option<&impl std::hash::Hash>,
        network: Option<&impl std::hash::Hash>,
    ) -> Buckets {
        Buckets {
            pair: pair.map(|pair| self.pairs.bucket(pair)),
            place: self.places.bucket(place),
            network: network.map(|network| self.networks.bucket(network)),
        }
    }

    /// The buckets of something, each with what counts it.
    fn all(&self, buckets: Buckets) -> impl Iterator<Item = (&Meter, Bucket)> {
        let pair = buckets.pair.map(|bucket| (&self.pairs, bucket));
        let network = buckets.network.map(|bucket| (&self.networks, bucket));
        pair.into_iter().chain([(&self.places, buckets.place)]).chain(network)
    }

    /// Waits for a turn, as long as there may be one.
    pub(super) async fn begin(&self, buckets: Buckets) -> Result<(), Duration> {
        loop {
            match self.try_begin(buckets) {
                Ok(()) => return Ok(()),
                Err(Full::For(wait)) => return Err(wait),
                Err(Full::Perhaps(answered)) => answered.await,
            }
        }
    }

    fn try_begin(&self, buckets: Buckets) -> Result<(), Full> {
        // Held throughout, so that what is counted and what is being judged fit together, and no answer goes unheard.
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, (meter, bucket)) in self.all(buckets).enumerate() {
            let Err(wait) = meter.take_from(bucket) else { continue };
            self.all(buckets).take(number).for_each(|(meter, bucket)| meter.give_back_to(bucket));
            return Err(match judged.get(&bucket) {
                None => Full::For(wait),
                // One of those who hold it is not waiting.
                Some(Judged { answered, .. }) if Arc::strong_count(answered) > WAITING => Full::For(SOON),
                Some(Judged { answered, .. }) => Full::Perhaps(Arc::clone(answered).notified_owned()),
            });
        }
        for (_, bucket) in self.all(buckets) {
            judged.entry(bucket).or_default().number += 1;
        }
        Ok(())
    }

    fn end(&self, buckets: Buckets, failed: bool) {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        for (meter, bucket) in self.all(buckets) {
            if !failed {
                meter.give_back_to(bucket);
            }
            if let Some(entry) = judged.get_mut(&bucket) {
                entry.number = entry.number.saturating_sub(1);
                entry.answered.notify_waiters();
                if entry.number == 0 {
                    judged.remove(&bucket);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.pairs.bytes() + self.places.bytes() + self.networks.bytes()
    }
}

/// Something that is being tried. It counts as refused unless it is [concluded](Self::conclude) otherwise: whoever goes
/// away before the answer is counted too. What ends in a panic is a fault of the server's own, and is not.
#[derive(Debug)]
#[must_use = "it counts as refused unless it is concluded"]
pub struct Attempt<'a>(Option<(&'a Failures, Buckets)>);

impl<'a> Attempt<'a> {
    pub(super) fn uncounted() -> Self {
        Self(None)
    }

    pub(super) fn of(failures: &'a Failures, buckets: Buckets) -> Self {
        Self(Some((failures, buckets)))
    }

    /// How it ended. Only what was refused counts: neither what went well, nor a fault of the server's own.
    pub fn conclude<T>(self, outcome: &Result<T, AuthError>) {
        let refused = outcome.as_ref().is_err_and(|error| error.kind().code().status() < 500);
        if !refused {
            self.succeeded();
        }
    }

    /// It went well, and does not count.
    pub fn succeeded(mut self) {
        self.end(false);
    }

    fn end(&mut self, failed: bool) {
        if let Some((failures, buckets)) = self.0.take() {
            failures.end(buckets, failed);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.end(!std::thread::panicking());
    }
}
