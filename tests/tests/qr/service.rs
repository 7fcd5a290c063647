//! The real service, and keys of the real gpg.

use std::sync::Arc;

use capauth_tests::gpg::Gpg;
use capauth_tests::http::Client;
use capauth_tests::service::{Service, output_in};
use serde_json::{Value, json};

use crate::world::{Desktop, PAGE, Phone, V1};

async fn desktop(service: &Service, base: &'static str) -> Desktop {
    Desktop::at(Client::new(service.url()), base, json!({})).await
}

/// What a phone with this gpg answers.
fn answer(phone: &Phone, gpg: &Gpg, fingerprint: &str) -> Value {
    json!({
        "fingerprint": fingerprint,
        "nonce": phone.get("nonce"),
        "nonce_signature": gpg.detach_sign(fingerprint, phone.payload().as_bytes()),
        "public_key": gpg.export(fingerprint),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gpg_key_signs_in_on_another_device() {
    let service = Service::start(&[]);
    let gpg = Gpg::new();
    let alice = gpg.generate("Alice <alice@example.org>", "ed25519");
    let mallory = gpg.generate("Mallory <mallory@example.org>", "ed25519");

    let screen = desktop(&service, V1).await;
    let mut events = screen.follow().await;
    assert_eq!(events.hear().await["status"], "pending");
    let phone = Phone::scanning(Client::new(service.url()), &screen);
    let mut typed = answer(&phone, &gpg, &alice);
    typed["code"] = screen.wrong_code(0).into();
    phone.send(&typed).await.refused("401 invalid_code");
    typed["code"] = screen.code().into();
    phone.send(&typed).await.ok();
    assert_eq!(events.hear().await["status"], "authenticated");
    assert_eq!(events.next().await, None);
    let result = screen.status().await.ok();
    assert_eq!((&result["fingerprint"], &result["oidc_claims"]["amr"]), (&json!(alice), &json!(["pgp"])));
    let token = result["access_token"].as_str().unwrap();
    Client::new(service.url()).get_as(token, "/capauth/v1/sessions").await.ok();

    let page = desktop(&service, PAGE).await;
    let phone = Phone::scanning(Client::new(service.url()), &page);
    assert_eq!(phone.send(&answer(&phone, &gpg, &alice)).await.status, 202);
    phone.send(&answer(&phone, &gpg, &mallory)).await.refused("409 conflict");
    let decision = json!({"confirm": true, "fingerprint": alice});
    page.decide(&decision).await.ok();
    let signed_in = page.status().await;
    assert!(signed_in.ok()["ok"] == true && signed_in.header("set-cookie").starts_with("__Host-capauth="));

    // Nothing of it reached the log or the disk: neither names nor nonces, codes or tokens.
    let folder = service.folder();
    assert!(service.terminate().success());
    let log = output_in(folder.path());
    let mut files = vec![log.into_bytes()];
    for file in std::fs::read_dir(folder.path().join("state")).unwrap() {
        files.push(std::fs::read(file.unwrap().path()).unwrap());
    }
    for secret in
        [screen.get("poll_token"), page.get("poll_token"), screen.get("nonce"), token, "alice@example.org"]
    {
        let told =
            files.iter().any(|bytes| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
        assert!(!told, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_stops_does_not_wait_for_who_follows_a_login() {
    let service = Service::start(&[]);
    let screen = Arc::new(desktop(&service, V1).await);
    let mut events = screen.follow().await;
    assert_eq!(events.hear().await["status"], "pending");
    let folder = service.folder();
    let ended = tokio::task::spawn_blocking(move || service.terminate());
    assert_eq!(events.next().await, None, "the stream ends well");
    assert!(ended.await.unwrap().success());
    assert!(!output_in(folder.path()).contains("did not end in time"), "{}", output_in(folder.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_switches_it_off() {
    let service = Service::start(&[("CAPAUTH_QR", "false")]);
    for base in [V1, PAGE] {
        let client = Client::new(service.url());
        client.post(&format!("{base}/qr-challenge"), &json!({})).await.refused("404 not_found");
    }
    let service = Service::start(&[]);
    desktop(&service, V1).await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let ended = Service::try_start_in(&folder, &[("CAPAUTH_QR", "perhaps")]).unwrap_err();
    assert!(ended.output.contains("CAPAUTH_QR") && ended.output.lines().count() == 1, "{}", ended.output);
}
