//! What may be refused is done within limits.

use std::pin::Pin;

use capauth_protocol::Fingerprint;
use tokio::time::{Instant, timeout_at};

use super::LocalVerifier;
use crate::error::{AuthError, AuthErrorKind};
use crate::limits::{Attempt, Limits};
use crate::verifier::Caller;

impl LocalVerifier {
    /// What counts requests here: for endpoints that ask this verifier for something else than its own calls, which count
    /// themselves.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Does something, unless too much of it was refused of late; if it is refused, it counts. What is not done in time
    /// counts as a fault of ours: whoever serves would drop it a moment later, as if its sender had gone away.
    ///
    /// The work is pinned by whoever asks: it is large, and each function that takes it by value would hold it twice.
    pub(super) async fn limited<T>(
        &self,
        caller: &Caller,
        fingerprint: Option<&Fingerprint>,
        work: Pin<&mut impl Future<Output = Result<T, AuthError>>>,
    ) -> Result<T, AuthError> {
        self.within(self.limits.attempt(caller, fingerprint), work).await
    }

    /// The same, with what counts it.
    pub(super) async fn within<T>(
        &self,
        attempt: impl Future<Output = Result<Attempt<'_>, AuthError>>,
        work: Pin<&mut impl Future<Output = Result<T, AuthError>>>,
    ) -> Result<T, AuthError> {
        let Some(patience) = self.patience else {
            let attempt = attempt.await?;
            let outcome = work.await;
            attempt.conclude(&outcome);
            return outcome;
        };
        // To wait for a turn takes of the same time.
        let deadline = Instant::now() + patience;
        let late = |_| AuthError::from(AuthErrorKind::Unavailable);
        let attempt = timeout_at(deadline, attempt).await.map_err(late)??;
        let outcome = timeout_at(deadline, work).await.unwrap_or_else(|elapsed| Err(late(elapsed)));
        attempt.conclude(&outcome);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use capauth_protocol::Nonce;
    use capauth_protocol::request::VerifyRequest;

    use super::*;
    use crate::limits::RateLimits;
    use crate::memory;

    async fn verifier(patience: Duration) -> LocalVerifier {
        LocalVerifier::builder("app.example.com")
            .stores(memory::stores().unwrap())
            .rate_limits(RateLimits::default().failures_per_address(1))
            .patience(patience)
            .build()
            .await
            .unwrap()
    }

    fn here() -> Caller {
        Caller { address: Some("192.0.2.1".parse().unwrap()), ..Caller::default() }
    }

    #[tokio::test]
    async fn what_is_not_done_in_time_counts_against_nobody() {
        let verifier = verifier(Duration::ZERO).await;
        for _ in 0..3 {
            let late = verifier.limited::<()>(&here(), None, pin!(pending())).await;
            assert_eq!(late.unwrap_err().kind(), AuthErrorKind::Unavailable);
        }
        verifier.limited(&here(), None, pin!(async { Ok(()) })).await.unwrap();
        // Nor does whoever waits for a turn wait for longer.
        let judged = verifier.limits.attempt(&here(), None).await.unwrap();
        let late = verifier.limited(&here(), None, pin!(async { Ok(()) })).await;
        assert_eq!(late.unwrap_err().kind(), AuthErrorKind::Unavailable);
        judged.succeeded();
    }

    /// What is rare in a login waits in a box of its own: a future is moved as a whole, and each login makes one.
    #[tokio::test]
    async fn a_login_is_a_small_future() {
        let verifier = verifier(Duration::from_secs(1)).await;
        let fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567".parse().unwrap();
        let request = VerifyRequest::new(fingerprint, Nonce::from_random_bytes([0; 16]), "");
        let caller = here();
        let bytes = size_of_val(&verifier.log_in(&request, &caller));
        assert!(bytes < 4096, "{bytes} bytes");
    }

    #[tokio::test]
    async fn attack_requests_broken_off_before_they_are_late() {
        let verifier = verifier(Duration::from_secs(3600)).await;
        let here = here();
        {
            let never = pin!(pending());
            let work = pin!(verifier.limited::<()>(&here, None, never));
            assert!(work.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let refused = verifier.limited(&here, None, pin!(async { Ok(()) })).await;
        assert_eq!(refused.unwrap_err().kind(), AuthErrorKind::TooManyRequests);
    }
}
