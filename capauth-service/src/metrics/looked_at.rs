//! What is not counted as it happens, but looked at when somebody asks.

use std::sync::{Mutex, PoisonError};

use capauth_tower::{CapAuth, LocalVerifier};
use capauth_verifier::StoreHealth;
use metrics::{Gauge, describe_gauge, gauge};

/// The service's stores, and what was last found about them.
pub(super) struct Stores {
    capauth: CapAuth,
    enrolled: Gauge,
    pending: Gauge,
    last: Mutex<[(&'static str, bool); 5]>,
}

impl Stores {
    pub(super) fn new(capauth: CapAuth) -> Self {
        describe_gauge!("capauth_store_up", "Whether a store answered when it was last asked, by store");
        describe_gauge!("capauth_enrolled_keys", "Keys that are enrolled, those that wait among them");
        describe_gauge!("capauth_pending_keys", "Keys that wait for an administrator");
        Self {
            capauth,
            enrolled: gauge!("capauth_enrolled_keys"),
            pending: gauge!("capauth_pending_keys"),
            // The service would not have started.
            last: Mutex::new(["keys", "tokens", "sessions", "challenges", "qr"].map(|store| (store, true))),
        }
    }

    fn verifier(&self) -> Option<&LocalVerifier> {
        self.capauth.local_verifier()
    }

    /// Whether each store answers. What changed since the last look stands in the log.
    pub(super) async fn check(&self) -> Option<StoreHealth> {
        let health = self.verifier()?.check_stores().await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for ((store, up), (_, was_up)) in health.each().into_iter().zip(*last) {
            gauge!("capauth_store_up", "store" => store).set(if up { 1.0 } else { 0.0 });
            match (was_up, up) {
                (true, false) => tracing::error!(target: "capauth::store", store, "a store does not answer"),
                (false, true) => tracing::info!(target: "capauth::store", store, "a store answers again"),
                _ => {}
            }
        }
        *last = health.each();
        Some(health)
    }

    /// How many keys there are. What a store does not say stays as it was.
    pub(super) async fn count(&self) {
        let Some(verifier) = self.verifier() else { return };
        if let Some(enrolled) = verifier.count_keys().await {
            // Exact as far as fifty-two bits go.
            self.enrolled.set(enrolled as f64);
        }
        if let Ok(pending) = verifier.count_waiting_keys().await {
            self.pending.set(pending as f64);
        }
    }
}
