//! Floods and long runs: what they cost whom.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use capauth_tests::http::{Challenge, Client, SignIn, connect};
use capauth_tests::process::resident_bytes;
use capauth_tests::sequoia::Key;
use capauth_tests::service::Service;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Asks for so many challenges over one connection, a hundred requests at a time, and counts the answers.
async fn ask(server: String, from: &str, fingerprint: String, number: usize) -> usize {
    let body = json!({"fingerprint": fingerprint, "client_nonce": "AAAA"}).to_string();
    let request = format!(
        "POST /capauth/v1/challenge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = connect(&server, from).await;
    let (mut read, mut written) = (0, 0);
    let mut buffer = vec![0; 256 * 1024];
    let mut kept = Vec::new();
    while read < number {
        if written == read {
            let batch = 100.min(number - written);
            stream.write_all(request.repeat(batch).as_bytes()).await.unwrap();
            written += batch;
        }
        let bytes = stream.read(&mut buffer).await.unwrap();
        assert!(bytes > 0, "the service closed the connection after {read} answers");
        kept.extend(&buffer[..bytes]);
        // An answer's first line may be cut in two: what is left of it is kept.
        let text = String::from_utf8_lossy(&kept);
        read += text.matches("HTTP/1.1 ").count();
        let rest = text.rfind("HTTP/1.1 ").map_or(0, |last| last + 9);
        kept.drain(..rest);
    }
    read
}

/// The very key that is flooded signs in meanwhile, from elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn attack_flood_of_challenges_for_somebody_else() {
    const FLOOD: usize = 60_000;
    let service = Service::start(&[]);
    let client = Client::new(service.url());
    let key = Key::ed25519("Alice");
    let sign = |data: &[u8]| key.detach_sign(data);
    let login = SignIn::new(&key.fingerprint, &sign);
    client.sign_in(login.enrolling(&key.certificate)).await.ok();

    // One challenge waits through all of it.
    let patient = client.challenge(&key.fingerprint).await;
    let over = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(ask(service.address().to_owned(), "127.0.0.2", key.fingerprint.clone(), FLOOD / 4))
        })
        .collect();
    let watch = Arc::clone(&over);
    let flooding = tokio::spawn(async move {
        let mut asked = 0;
        for share in flood {
            asked += share.await.unwrap();
        }
        watch.store(true, Ordering::Release);
        asked
    });
    let mut logins = 0;
    while !over.load(Ordering::Acquire) {
        let answer = client.sign_in(login).await;
        assert_eq!(answer.status, 200, "login {logins} during the flood: {}", answer.text());
        logins += 1;
    }
    assert_eq!(flooding.await.unwrap(), FLOOD);
    assert!(logins > 5, "only {logins} logins fit into the flood");
    // The challenge lives for a minute; only if the flood took longer may it have expired.
    let answer = client.post("/capauth/v1/verify", &login.answer_to(&patient)).await;
    assert!(answer.status == 200 || answer.refusal() == "400 expired_nonce", "{}", answer.text());
    client.sign_in(login).await.ok();
}

/// Verification leaves nothing behind: a library's cache that never evicts would show here.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_level_over_thousands_of_logins() {
    const ROUNDS: usize = 12;
    const LOGINS: usize = 400;
    let service = Service::start(&[]);
    let keys: Arc<Vec<Key>> =
        Arc::new((0..20).map(|number| Key::ed25519(&format!("User {number}"))).collect());
    let client = Client::new(service.url());
    let mut sizes = Vec::new();
    for _ in 0..ROUNDS {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (client, keys) = (client.clone(), Arc::clone(&keys));
                tokio::spawn(async move { logins(&client, &keys, worker, LOGINS / 4).await })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        sizes.push(resident_bytes(service.pid()));
    }
    // The first rounds fill what is meant to be filled: caches, and challenges that are kept for some minutes.
    let (early, late) = (sizes[ROUNDS / 3], sizes[ROUNDS - 1]);
    let grown = late.saturating_sub(early) / 1024 / 1024;
    assert!(grown < 10, "grown by {grown} MB over {} logins: {sizes:?}", ROUNDS * LOGINS);
}

async fn logins(client: &Client, keys: &[Key], worker: usize, number: usize) {
    for turn in 0..number {
        let key = &keys[(worker * 5 + turn) % keys.len()];
        let sign = |data: &[u8]| key.detach_sign(data);
        // Claims differ each time, so that nothing that is signed has been seen before.
        let claims = json!({"name": format!("User {worker} {turn}")});
        let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).claiming(&claims);
        let ask = json!({"fingerprint": key.fingerprint, "client_nonce": "AAAA"});
        let challenge = Challenge::read(&client.post("/capauth/v1/challenge", &ask).await);
        client.post("/capauth/v1/verify", &login.answer_to(&challenge)).await.ok();
    }
}
