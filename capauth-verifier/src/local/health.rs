//! Whether the stores answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use capauth_protocol::Nonce;

use super::LocalVerifier;
use crate::error::AuthError;
use crate::stores::{KeyQuery, StoreResult};

/// How long a store may think about a question whose answer nobody needs.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most waiting keys that are counted.
const MOST_WAITING: u32 = 10_000;

/// Which stores answer, as [`LocalVerifier::check_stores`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Identities and their keys.
    pub keys: bool,
    /// Token-signing keys, ended tokens.
    pub tokens: bool,
    /// Sessions and families of refresh tokens.
    pub sessions: bool,
    /// Challenges that wait for their answer.
    pub challenges: bool,
    /// Logins that another device is to sign.
    pub qr: bool,
}

impl StoreHealth {
    /// Whether all of them answer: logins are possible.
    pub const fn is_good(self) -> bool {
        self.keys && self.tokens && self.sessions && self.challenges && self.qr
    }

    /// Each store by its name, and whether it answers. The names are those of the metrics' label `store`.
    pub const fn each(self) -> [(&'static str, bool); 5] {
        [
            ("keys", self.keys),
            ("tokens", self.tokens),
            ("sessions", self.sessions),
            ("challenges", self.challenges),
            ("qr", self.qr),
        ]
    }
}

type Probe<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// A question to a store: whether it is answered in time. What the answer is, nobody looks at.
fn probe<'a, T>(question: impl Future<Output = StoreResult<T>> + Send + 'a) -> Probe<'a> {
    Box::pin(async { matches!(tokio::time::timeout(PATIENCE, question).await, Ok(Ok(_))) })
}

/// Waits for all of them at once.
async fn all<const N: usize>(mut probes: [Probe<'_>; N]) -> [bool; N] {
    let mut answers = [None; N];
    poll_fn(|context| {
        for (probe, answer) in probes.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(good) = probe.as_mut().poll(context)
            {
                *answer = Some(good);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.map(|answer| answer == Some(true))
}

impl LocalVerifier {
    /// Asks every store something, to see whether it answers within two seconds. Changes nothing.
    pub async fn check_stores(&self) -> StoreHealth {
        // Neither is anybody's.
        let (nonce, session) = (Nonce::from_random_bytes([0; 16]), [0; 32]);
        let [keys, tokens, sessions, challenges, qr] = all([
            probe(self.stores.keys.check_health()),
            probe(self.stores.tokens.installation()),
            probe(self.stores.sessions.last_seen(&session)),
            probe(self.stores.challenges.get(&nonce)),
            probe(self.stores.qr.get(&nonce)),
        ])
        .await;
        StoreHealth { keys, tokens, sessions, challenges, qr }
    }

    /// How many keys are enrolled, those that wait for an administrator among them. `None`: the store does not answer
    /// within two seconds.
    pub async fn count_keys(&self) -> Option<u64> {
        tokio::time::timeout(PATIENCE, self.stores.keys.count()).await.ok()?.ok()
    }

    /// How many keys wait for an administrator, counted up to ten thousand; a service takes a thousand.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn count_waiting_keys(&self) -> Result<usize, AuthError> {
        let query = KeyQuery { pending_only: true, limit: MOST_WAITING, ..KeyQuery::default() };
        Ok(self.stores.keys.list(&query).await?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;
    use crate::stores::{ChallengeStore, QrLogin, QrRow, QrState, QrStore, StoreError};

    /// A store that is there and says nothing.
    struct Silent;

    #[async_trait::async_trait]
    impl ChallengeStore for Silent {
        async fn put(&self, _: crate::Challenge, _: crate::Timestamp) -> StoreResult<()> {
            Err(StoreError::new("MARKER"))
        }
        async fn get(&self, _: &Nonce) -> StoreResult<Option<crate::Challenge>> {
            std::future::pending().await
        }
        async fn take(&self, _: &Nonce) -> StoreResult<Option<crate::Challenge>> {
            std::future::pending().await
        }
    }

    #[async_trait::async_trait]
    impl QrStore for Silent {
        async fn put(&self, _: QrLogin, _: crate::Timestamp) -> StoreResult<()> {
            Err(StoreError::new("MARKER"))
        }
        async fn get(&self, _: &Nonce) -> StoreResult<Option<QrRow>> {
            Err(StoreError::new("MARKER"))
        }
        async fn replace(&self, _: &Nonce, _: u64, _: QrState) -> StoreResult<bool> {
            Err(StoreError::new("MARKER"))
        }
        async fn changed(&self, _: &Nonce, _: u64) -> StoreResult<()> {
            Err(StoreError::new("MARKER"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_says_nothing_is_given_up_and_the_others_answer_meanwhile() {
        let mut stores = memory::stores().unwrap();
        let verifier = LocalVerifier::builder("a.example").stores(stores.clone()).build().await.unwrap();
        assert!(verifier.check_stores().await.is_good());
        stores.challenges = std::sync::Arc::new(Silent);
        let verifier = LocalVerifier::builder("a.example").stores(stores.clone()).build().await.unwrap();
        let health = verifier.check_stores().await;
        assert_eq!(
            health,
            StoreHealth { keys: true, tokens: true, sessions: true, challenges: false, qr: true },
            "{health:?}"
        );
        assert!(!health.is_good());
        assert!(!verifier.status().await.healthy);
        stores.challenges = memory::stores().unwrap().challenges;
        let stores = stores.with_qr(std::sync::Arc::new(Silent));
        let verifier = LocalVerifier::builder("a.example").stores(stores).build().await.unwrap();
        let health = verifier.check_stores().await;
        assert!(!health.qr && health.challenges && !health.is_good(), "{health:?}");
    }
}
