//! Who goes away in the midst of it.

use std::sync::Arc;

use async_trait::async_trait;
use capauth_protocol::Nonce;
use capauth_protocol::request::{QrChallengeRequest, QrDecision, QrVerifyRequest};
use capauth_tests::keys::now;
use capauth_tower::{LocalVerifier, ManualClock};
use capauth_verifier::memory::{self, MemoryQrStore};
use capauth_verifier::{
    Caller, Clock as _, QrAnswered, QrEnd, QrLogin, QrRow, QrState, QrStatus, QrStore, StoreResult,
    Timestamp, Verifier as _,
};
use serde_json::json;
use tokio::sync::Notify;

use crate::people::Key;
use crate::world::SERVICE;

/// Where a result is never written, and it is said that somebody tries to; once.
#[derive(Default)]
struct Stuck {
    store: MemoryQrStore,
    reached: Notify,
    is_over: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl QrStore for Stuck {
    async fn put(&self, login: QrLogin, now: Timestamp) -> StoreResult<()> {
        self.store.put(login, now).await
    }
    async fn get(&self, nonce: &Nonce) -> StoreResult<Option<QrRow>> {
        self.store.get(nonce).await
    }
    async fn replace(&self, nonce: &Nonce, version: u64, state: QrState) -> StoreResult<bool> {
        let is_result = matches!(state, QrState::SignedIn { .. });
        if is_result && !self.is_over.swap(true, std::sync::atomic::Ordering::AcqRel) {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        self.store.replace(nonce, version, state).await
    }
    async fn changed(&self, nonce: &Nonce, version: u64) -> StoreResult<()> {
        self.store.changed(nonce, version).await
    }
}

/// Somebody signs in by the code or by a click. Whoever brought that about hangs up once the login is theirs, or stays.
async fn end_of_a_login(by_click: bool, hangs_up: bool) -> QrStatus {
    let (stuck, clock) = (Arc::new(Stuck::default()), Arc::new(ManualClock::at(now())));
    stuck.is_over.store(!hangs_up, std::sync::atomic::Ordering::Release);
    let stores = memory::stores().unwrap().with_qr(Arc::<Stuck>::clone(&stuck));
    let verifier = LocalVerifier::builder(SERVICE).stores(stores).clock(Arc::<ManualClock>::clone(&clock));
    let verifier = Arc::new(verifier.build().await.unwrap());
    let begun = verifier.qr_challenge(&QrChallengeRequest::default(), &Caller::default()).await.unwrap();
    let (alice, nonce): (_, Nonce) = (Key::new(), begun.nonce.parse().unwrap());
    let poll_token = begun.poll_token.expose().to_owned();
    let answer = json!({
        "fingerprint": alice.fingerprint, "nonce": begun.nonce, "public_key": alice.certificate,
        "nonce_signature": alice.sign(&begun.payload().to_text(), clock.now()),
        "code": (!by_click).then(|| begun.code.expose()),
    });
    let answer = QrVerifyRequest::parse(answer.to_string().as_bytes()).unwrap();
    if by_click {
        let answered = verifier.qr_verify(&nonce, &answer, &Caller::default()).await.unwrap();
        assert_eq!(answered, QrAnswered::Waits);
    }
    let told = verifier.qr_status(&nonce, &poll_token, false).await.unwrap();
    let task = tokio::spawn({
        let (verifier, poll_token, key) =
            (Arc::clone(&verifier), poll_token.clone(), alice.draft.fingerprint());
        async move {
            if by_click {
                verifier.qr_decide(&nonce, &poll_token, &QrDecision::Confirm(key)).await.map(drop)
            } else {
                verifier.qr_verify(&nonce, &answer, &Caller::default()).await.map(drop)
            }
        }
    });
    if hangs_up {
        stuck.reached.notified().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        // Nobody else takes it meanwhile, and whoever waits hears the end.
        let mut status = verifier.qr_status(&nonce, &poll_token, false).await.unwrap();
        while !status.is_decided() {
            verifier.qr_changed(&nonce, &poll_token, &status).await.unwrap();
            status = verifier.qr_status(&nonce, &poll_token, false).await.unwrap();
        }
        return status;
    }
    task.await.unwrap().unwrap();
    assert!(!told.is_decided());
    verifier.qr_status(&nonce, &poll_token, true).await.unwrap()
}

#[tokio::test]
async fn attack_phone_that_hangs_up_once_the_login_is_taken() {
    for by_click in [false, true] {
        let ended = end_of_a_login(by_click, true).await;
        assert!(matches!(ended, QrStatus::Ended(QrEnd::Refused)), "{ended:?}");
    }
}

#[tokio::test]
async fn who_stays_on_the_line_signs_somebody_in() {
    for by_click in [false, true] {
        let done = end_of_a_login(by_click, false).await;
        assert!(matches!(done, QrStatus::Authenticated { login: Some(_) }), "{done:?}");
    }
}
