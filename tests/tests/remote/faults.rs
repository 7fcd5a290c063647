//! An application whose central service fails it: nobody is let in by mistake, and nothing has to be started anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use capauth_axum::{CapAuth, Clock as _, ManualClock, ServiceEntry};
use capauth_tests::http::{Challenge, Client, SignIn};
use capauth_tests::sequoia::Key;
use capauth_tests::service::Service;
use capauth_tower::{RemoteConfig, Secret};
use capauth_verifier::memory;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::{App, ORIGIN, serve};
use crate::wire::{Wire, Within};

const SERVICE: &str = "app.example.com";
const CREDENTIAL: &str = "the-credential-of-the-application-0123456789";

/// What the service knows the application by.
fn listed(config: RemoteConfig) -> RemoteConfig {
    config.service(SERVICE).credential(CREDENTIAL)
}

/// A service in a process of its own, which knows the application.
fn service(folder: &Arc<TempDir>) -> Service {
    let file = folder.path().join("capauth.toml");
    let text = format!(
        "[[services]]\nname = \"{SERVICE}\"\norigins = [\"{ORIGIN}\"]\ncredential = \"{CREDENTIAL}\"\n"
    );
    std::fs::write(&file, text).unwrap();
    Service::start_in(folder, &[("CAPAUTH_CONFIG", file.to_str().unwrap())])
}

/// A service in this process, at a time of our own.
async fn central(clock: &Arc<ManualClock>) -> (CapAuth, SocketAddr) {
    let capauth = CapAuth::local("auth.example.com")
        .stores(memory::stores().unwrap())
        .clock(clock.clone())
        .service(ServiceEntry::new(SERVICE).origin(ORIGIN).credential(Secret::from(CREDENTIAL)))
        .build()
        .await
        .unwrap();
    let address = serve(capauth_axum::service_routes_with(&capauth)).await;
    (capauth, address)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemTime::now()))
}

async fn token(address: SocketAddr, key: &Key, service: &str) -> Value {
    token_at(SystemTime::now(), address, key, service).await
}

/// A token for this service, from the one at this address.
async fn token_at(at: SystemTime, address: SocketAddr, key: &Key, service: &str) -> Value {
    let client = Client::new(&format!("http://{address}"));
    let ask = json!({"fingerprint": key.fingerprint, "client_nonce": "AAAA", "requested_service": service});
    let challenge = Challenge::read(&client.post("/capauth/v1/challenge", &ask).await);
    let sign = |data: &[u8]| key.detach_sign_at(data, at);
    let body = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).answer_to(&challenge);
    client.post("/capauth/v1/verify", &body).await.ok()["access_token"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_in_the_middle_of_a_login_lets_nobody_in_and_is_found_again() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let first = service(&folder);
    let wire = Wire::to(first.address().parse().unwrap()).await;
    let app = App::start(&wire.url(), listed).await;
    let (alice, bob) = (Key::ed25519("Alice"), Key::ed25519("Bob"));
    let cookie = app.cookie(&alice).await;
    let challenge = Challenge::read(&app.challenge(&bob).await);

    drop(first); // killed
    let refused = app.answer(&bob, &challenge).await;
    refused.refused("503 server_error");
    assert_eq!(refused.header("set-cookie"), "");
    app.challenge(&bob).await.refused("503 server_error");
    assert_eq!(
        app.with_cookie("/me", &cookie).await.text(),
        alice.fingerprint,
        "for half a minute without news"
    );

    let second = service(&folder);
    wire.leads_to(second.address().parse().unwrap());
    app.recovers().await;
    app.answer(&bob, &challenge).await.refused("400 invalid_nonce");
    assert_eq!(app.with_cookie("/me", &app.cookie(&bob).await).await.text(), bob.fingerprint);
    assert_eq!(app.with_cookie("/me", &cookie).await.text(), alice.fingerprint);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_ends_is_ended_here_without_being_asked_for() {
    let (central, address) = central(&clock()).await;
    let wire = Wire::to(address).await;
    let app = App::start(&wire.url(), listed).await;
    let (alice, bob) = (Key::ed25519("Alice"), Key::ed25519("Bob"));
    let (cookie, other) = (app.cookie(&alice).await, app.cookie(&bob).await);
    let bearer = token(address, &alice, SERVICE).await;
    let bearer = bearer.as_str().unwrap();
    assert_eq!(app.client.get_as(bearer, "/me").await.status, 200);
    central.local_verifier().unwrap().revoke(&alice.fingerprint.parse().unwrap()).await.unwrap();
    // Nobody tells the application to look: it does so by itself, twice a second.
    while app.with_cookie("/me", &cookie).await.status == 200 {
        tokio::task::yield_now().await;
    }
    app.with_cookie("/me", &cookie).await.refused("401 invalid_token");
    app.client.get_as(bearer, "/me").await.refused("401 invalid_token");
    assert_eq!(app.with_cookie("/me", &other).await.text(), bob.fingerprint);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_too_late_is_a_service_that_does_not_answer() {
    let (_central, address) = central(&clock()).await;
    let wire = Wire::to(address).await;
    let app = App::start(&wire.url(), |config| listed(config).timeout(Duration::from_secs(2))).await;
    let alice = Key::ed25519("Alice");
    let challenge = Challenge::read(&app.challenge(&alice).await);
    wire.does(Within::Silence);
    app.answer(&alice, &challenge).await.refused("503 server_error");
    wire.leads_to(address);
    app.recovers().await;
    app.answer(&alice, &challenge).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_service_that_lies_about_a_login() {
    let time = clock();
    let (_central, address) = central(&time).await;
    let (_other, elsewhere) = central(&time).await;
    let wire = Wire::to(address).await;
    let app = App::start(&wire.url(), listed).await;
    let alice = Key::ed25519("Alice");
    let good = token(address, &alice, SERVICE).await;
    let mallory = Key::ed25519("Mallory");
    let verified = |token: &Value, fingerprint: &str| {
        let claims = json!({"sub": fingerprint, "capauth_fingerprint": fingerprint, "amr": ["pgp"], "groups": ["admins"]});
        crate::wire::json(
            200,
            &json!({
                "authenticated": true, "fingerprint": fingerprint, "oidc_claims": claims, "access_token": token,
                "token_type": "capauth", "expires_in": 3600, "is_new_enrollment": false,
            }),
        )
    };
    let own = &alice.fingerprint;
    let lies = [
        ("a token of somebody else", verified(&token(address, &mallory, SERVICE).await, own)),
        ("a token of another issuer's keys", verified(&token(elsewhere, &alice, SERVICE).await, own)),
        ("a token that nobody signed", verified(&unsigned(&good), own)),
        ("no token", verified(&Value::Null, own)),
        ("no JSON", crate::wire::answer(200, "application/json", "certainly!")),
        ("a page", crate::wire::answer(200, "text/html", "<p>Welcome!</p>")),
        ("a redirect", crate::wire::redirect("/capauth/v1/status")),
        ("no end", crate::wire::answer(200, "application/json", &"[".repeat(2 << 20))),
        ("an error of its own", crate::wire::json(500, &json!({"error": "server_error"}))),
        ("no HTTP", b"220 mail.example.com ESMTP\r\n".to_vec()),
        ("nothing", Vec::new()),
    ];
    for (lie, bytes) in lies {
        wire.leads_to(address);
        app.recovers().await;
        let challenge = Challenge::read(&app.challenge(&alice).await);
        wire.does(Within::Words(bytes));
        let refused = app.answer(&alice, &challenge).await;
        assert_eq!(
            (refused.refusal(), refused.header("set-cookie")),
            ("503 server_error".to_owned(), ""),
            "{lie}"
        );
    }
    // It may be the client that answers another service's challenge here.
    wire.leads_to(address);
    app.recovers().await;
    let challenge = Challenge::read(&app.challenge(&alice).await);
    wire.does(Within::Words(verified(&token(address, &alice, "").await, own)));
    let refused = app.answer(&alice, &challenge).await;
    assert_eq!((refused.refusal(), refused.header("set-cookie")), ("400 service_mismatch".to_owned(), ""));
    // The acceptance twin: the true token, in the same words.
    wire.leads_to(address);
    app.recovers().await;
    let challenge = Challenge::read(&app.challenge(&alice).await);
    wire.does(Within::Words(verified(&good, own)));
    app.answer(&alice, &challenge).await.ok();
}

/// The same token, with an algorithm that needs no signature.
fn unsigned(token: &Value) -> Value {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    format!("{header}.{payload}.").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_may_change_its_keys() {
    let time = clock();
    let (_central, address) = central(&time).await;
    let wire = Wire::to(address).await;
    let app = App::start(&wire.url(), |config| listed(config).clock(time.clone())).await;
    let alice = Key::ed25519("Alice");
    let me = async |token: &Value| app.client.get_as(token.as_str().unwrap(), "/me").await.status;
    assert_eq!(me(&token_at(time.now(), address, &alice, SERVICE).await).await, 200);
    let days = |days: u64| time.advance(Duration::from_secs(days * 24 * 3600));
    let mut kids = Vec::new();
    for _ in 0..3 {
        days(31);
        // This login makes the next key, which is published for an hour before it signs.
        token_at(time.now(), address, &alice, SERVICE).await;
        time.advance(Duration::from_secs(2 * 3600));
        app.recovers().await;
        let token = token_at(time.now(), address, &alice, SERVICE).await;
        assert_eq!(me(&token).await, 200);
        kids.push(token.as_str().unwrap().split('.').next().unwrap().to_owned());
    }
    kids.dedup();
    assert_eq!(kids.len(), 3, "a key of its own each time");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_news_for_half_a_minute_nobody_is_let_in_and_nobody_is_turned_away_for_good() {
    let time = clock();
    let (central, address) = central(&time).await;
    let wire = Wire::to(address).await;
    let app = App::start(&wire.url(), |config| listed(config).clock(time.clone())).await;
    let (alice, bob) = (Key::ed25519("Alice"), Key::ed25519("Bob"));
    let (cookie, other) = (app.cookie(&alice).await, app.cookie(&bob).await);
    let bearer = token(address, &alice, SERVICE).await;
    let bearer = bearer.as_str().unwrap();
    assert_eq!(app.client.get_as(bearer, "/me").await.status, 200);

    wire.does(Within::Refusal);
    // The last news may be half a second old by the machine's clock, and none by ours.
    time.advance(Duration::from_secs(29));
    assert_eq!(app.with_cookie("/me", &cookie).await.status, 200);
    time.advance(Duration::from_secs(2));
    for path in ["/me", "/maybe", "/auth/capauth/me"] {
        app.with_cookie(path, &cookie).await.refused("503 server_error");
        app.client.get_as(bearer, path).await.refused("503 server_error");
    }
    // Who shows nothing needs no answer from the service.
    app.client.get("/me").await.refused("401 invalid_token");
    assert_eq!(app.client.get("/maybe").await.text(), "nobody");

    central.local_verifier().unwrap().revoke(&alice.fingerprint.parse().unwrap()).await.unwrap();
    wire.leads_to(address);
    app.recovers().await;
    app.with_cookie("/me", &cookie).await.refused("401 invalid_token");
    app.client.get_as(bearer, "/me").await.refused("401 invalid_token");
    assert_eq!(app.with_cookie("/me", &other).await.text(), bob.fingerprint);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_sessions_of_before_a_restore_go_on_at_an_application() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let first = service(&folder);
    let url = format!("sqlite://{}", first.database().display());
    let wire = Wire::to(first.address().parse().unwrap()).await;
    let app = App::start(&wire.url(), listed).await;
    let (alice, bob) = (Key::ed25519("Alice"), Key::ed25519("Bob"));
    let before = app.cookie(&alice).await;
    let backup = folder.path().join("a.backup");
    capauth_store::backup(&url, None, &backup, "s", SystemTime::now().into()).await.unwrap();
    // After the backup the feed goes further than it will have come when it is restored.
    let after = app.cookie(&bob).await;
    let bearer = token(first.address().parse().unwrap(), &alice, SERVICE).await;
    let bearer = bearer.as_str().unwrap();
    assert_eq!(app.client.get_as(bearer, "/me").await.status, 200);
    assert!(first.terminate().success());
    let replace = capauth_store::Replace::CarryingOver;
    capauth_store::restore(&url, None, &backup, replace, SystemTime::now().into()).await.unwrap();
    let second = service(&folder);
    wire.leads_to(second.address().parse().unwrap());
    // Nobody tells the application to look: it does so by itself, twice a second. Until it has heard of the keys that the
    // restore made, it says that it cannot tell.
    for cookie in [&before, &after] {
        while matches!(app.with_cookie("/me", cookie).await.status, 200 | 503) {
            tokio::task::yield_now().await;
        }
        app.with_cookie("/me", cookie).await.refused("401 invalid_token");
    }
    while app.client.get_as(bearer, "/me").await.status == 503 {
        tokio::task::yield_now().await;
    }
    app.client.get_as(bearer, "/me").await.refused("401 invalid_token");
    // Its twin: whoever signs in now, also who is not in the backup, is signed in.
    for key in [&alice, &bob] {
        assert_eq!(app.with_cookie("/me", &app.cookie(key).await).await.text(), key.fingerprint);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_starts_before_its_service_does() {
    let wire = Wire::to("127.0.0.1:9".parse().unwrap()).await;
    wire.does(Within::Refusal);
    let app = App::start(&wire.url(), listed).await;
    assert!(
        app.capauth.notices().iter().any(|notice| notice.contains("answer")),
        "{:?}",
        app.capauth.notices()
    );
    let alice = Key::ed25519("Alice");
    app.challenge(&alice).await.refused("503 server_error");
    app.client.get_as("a.b.c", "/me").await.refused("503 server_error");
    assert_eq!(app.client.get("/maybe").await.text(), "nobody");
    let (_central, address) = central(&clock()).await;
    wire.leads_to(address);
    app.recovers().await;
    assert_eq!(app.with_cookie("/me", &app.cookie(&alice).await).await.text(), alice.fingerprint);
}
