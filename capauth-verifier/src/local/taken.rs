//! A login from another device that was taken: whatever becomes of whoever took it, it does not stay so.

use std::sync::Arc;

use capauth_protocol::Nonce;
use tokio::runtime::Handle;

use crate::error::{AuthError, AuthErrorKind};
use crate::stores::{QrEnd, QrState, QrStore};

/// To be made at once by whoever took a login. Dropped before the login moved on from there, by a phone that hung up or a
/// store that failed, it ends the login: the person hears so, and begins another.
pub(super) struct Taken {
    store: Arc<dyn QrStore>,
    nonce: Nonce,
    settled: bool,
}

impl Taken {
    pub(super) fn new(store: &Arc<dyn QrStore>, nonce: Nonce) -> Self {
        Self { store: Arc::clone(store), nonce, settled: false }
    }

    /// Moves the login on. Should it be gone, there is nothing to be told.
    pub(super) async fn becomes(mut self, state: QrState) -> Result<(), AuthError> {
        let moved = move_on(&*self.store, &self.nonce, state).await?;
        self.settled = true;
        if moved { Ok(()) } else { Err(AuthErrorKind::InvalidNonce.into()) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        // Without a runtime nobody is served any more, and the login runs out by itself.
        let Ok(runtime) = Handle::try_current() else { return };
        let (store, nonce) = (Arc::clone(&self.store), self.nonce);
        runtime.spawn(async move {
            if move_on(&*store, &nonce, QrState::Ended(QrEnd::Refused)).await.is_err() {
                tracing::debug!(target: "capauth::login", "a login that was broken off could not be ended");
            }
        });
    }
}

/// Only whoever took a login moves it on from there.
async fn move_on(store: &dyn QrStore, nonce: &Nonce, state: QrState) -> Result<bool, AuthError> {
    match store.get(nonce).await?.filter(|row| row.state == QrState::Taken) {
        Some(row) => Ok(store.replace(nonce, row.version, state).await?),
        None => Ok(false),
    }
}
