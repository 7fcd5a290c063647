//! The real service: on unless it is told otherwise, and loud when it is.

use capauth_tests::foreign::sqlite;
use capauth_tests::http::{Answer, CLIENT_NONCE, Challenge, Client, SignIn, send};
use capauth_tests::sequoia::Key;
use capauth_tests::service::Service;
use capauth_tower::RateLimits;
use serde_json::json;

use crate::servers::Framework;
use crate::world::World;
use crate::{behind_a_proxy, nobody, people};

const ON: (&str, &str) = ("CAPAUTH_NO_RATE_LIMITS", "false");

async fn ask(client: &Client, fingerprint: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request("POST", "/capauth/v1/challenge");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.json(&json!({"fingerprint": fingerprint, "client_nonce": CLIENT_NONCE}))).await
}

#[tokio::test]
async fn the_limits_are_on_unless_somebody_takes_them_away() {
    let service = Service::start(&[ON]);
    let client = Client::new(service.url());
    // Ten, and on a slow machine what came back meanwhile.
    let mut passed = 0;
    let refused = loop {
        let answer = ask(&client, &nobody(1), &[]).await;
        if answer.status != 200 {
            break answer;
        }
        passed += 1;
        assert!(passed < 100, "nothing is refused");
    };
    assert!(passed >= 10, "{passed}");
    refused.refused("429 too_many_requests");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=6).contains(&seconds), "{seconds}");
    assert!(!service.output().to_lowercase().contains("rate limits"), "{}", service.output());
    let elsewhere = Client::from_address(service.url(), "127.0.0.2".parse().unwrap());
    ask(&elsewhere, &nobody(1), &[]).await.ok();
}

#[tokio::test]
async fn taken_away_they_let_everybody_through_and_start_up_says_so_loudly() {
    for value in ["true", "yes"] {
        let service = Service::start(&[("CAPAUTH_NO_RATE_LIMITS", value)]);
        let client = Client::new(service.url());
        for _ in 0..40 {
            ask(&client, &nobody(1), &[]).await.ok();
        }
        let folder = service.folder();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("stdout.log").contains("! Rate limits are OFF"), "{}", read("stdout.log"));
        assert!(read("stderr.log").contains("Rate limits are OFF"), "{}", read("stderr.log"));
    }
}

#[tokio::test]
async fn the_numbers_are_settings() {
    let settings = [
        ON,
        ("CAPAUTH_CHALLENGES_PER_MINUTE", "2"),
        ("CAPAUTH_CHALLENGES_PER_ADDRESS", "3"),
        ("CAPAUTH_FAILURES_PER_MINUTE", "1"),
        ("CAPAUTH_FAILURES_PER_ADDRESS", "2"),
        ("CAPAUTH_ENROLLMENTS_PER_HOUR", "1"),
    ];
    let service = Service::start(&settings);
    let client = Client::new(service.url());
    for (fingerprint, status) in [(1, 200), (1, 200), (1, 429), (2, 200), (3, 429)] {
        assert_eq!(ask(&client, &nobody(fingerprint), &[]).await.status, status, "{fingerprint}");
    }
    let nonce = "11111111-1111-4111-8111-111111111111";
    for (fingerprint, status) in [(1, 400), (1, 429), (2, 400), (3, 429)] {
        let body = json!({"fingerprint": nobody(fingerprint), "nonce": nonce, "nonce_signature": "x"});
        assert_eq!(client.post("/capauth/v1/verify", &body).await.status, status, "{fingerprint}");
    }
    let elsewhere = Client::from_address(service.url(), "127.0.0.2".parse().unwrap());
    let keys = [Key::ed25519("Alice"), Key::ed25519("Bob")];
    for (key, status) in keys.iter().zip([200, 429]) {
        let sign = |data: &[u8]| key.detach_sign(data);
        let answer =
            elsewhere.sign_in(SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

/// A proxy that nobody named makes all people one: that is said, once.
#[tokio::test]
async fn a_proxy_that_nobody_named_is_noticed() {
    let service = Service::start(&[ON]);
    let client = Client::new(service.url());
    ask(&client, &nobody(1), &[]).await.ok();
    assert!(!service.output().contains("nobody named"), "{}", service.output());
    for number in 0..10 {
        let address = format!("203.0.113.{number}");
        ask(&client, &nobody(1), &[("x-forwarded-for", &address)]).await;
    }
    wait_for(&service, "nobody named").await;
    assert_eq!(service.output().matches("nobody named").count(), 1, "{}", service.output());
    assert!(!service.output().contains("203.0.113."), "addresses are not for the log");

    let service = Service::start(&[ON, ("CAPAUTH_TRUSTED_PROXIES", "127.0.0.1")]);
    ask(&Client::new(service.url()), &nobody(1), &[("x-forwarded-for", "203.0.113.1")]).await.ok();
    assert!(!service.output().contains("nobody named"), "{}", service.output());
}

/// The log is copied by a thread of the harness: what was written may come a moment later.
async fn wait_for(service: &Service, words: &str) {
    while !service.output().contains(words) {
        tokio::task::yield_now().await;
    }
}

/// After a restoration nothing counts that was sealed before, device cookies included.
#[tokio::test]
async fn attack_device_cookie_from_before_a_restoration() {
    let settings = [ON, ("CAPAUTH_CHALLENGES_PER_MINUTE", "2")];
    let service = Service::start(&settings);
    let key = Key::ed25519("Alice");
    let sign = |data: &[u8]| key.detach_sign(data);
    let page = async |service: &Service, cookie: &str| {
        let client = Client::new(service.url());
        let request = client.request("POST", "/auth/capauth/challenge").header("cookie", cookie);
        let asked = send(request.json(&json!({"fingerprint": key.fingerprint}))).await;
        if asked.status != 200 {
            return asked;
        }
        let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate);
        client.post("/auth/capauth/verify", &login.answer_to(&Challenge::read(&asked))).await
    };
    let first = page(&service, "a=b").await;
    let mut set = first.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let device = set.nth(1).and_then(|line| line.split(';').next()).unwrap().to_owned();
    page(&service, "a=b").await.ok();
    page(&service, "a=b").await.refused("429 too_many_requests");
    page(&service, &device).await.ok();
    let (folder, database) = (service.folder(), service.database());
    assert!(service.terminate().success());
    sqlite(&database, "UPDATE installation SET epoch = epoch + 1");
    let service = Service::start_in(&folder, &settings);
    page(&service, "a=b").await.ok();
    page(&service, "a=b").await.ok();
    let refused = page(&service, &device).await;
    refused.refused("429 too_many_requests");
}

/// A key that the store did not take costs nothing: neither an enrolment nor a refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_costs_nobody_anything() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("own.db");
    let limits = RateLimits::default().enrollments_per_hour(2).failures_per_address(2);
    let world = World::with(Framework::Axum, |config| {
        behind_a_proxy(config).rate_limits(limits).store(format!("sqlite://{}", database.display()))
    })
    .await;
    let (here, primary, new) = (world.from("198.51.100.1"), people::Key::new(), people::Key::new());
    here.sign_in(&primary).await.ok();
    sqlite(
        &database,
        "CREATE TRIGGER broken BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'out of order'); END",
    );
    for _ in 0..4 {
        assert!(here.sign_in(&new).await.status >= 500);
        let link = world.link_of_new(&primary, &new).await;
        assert!(here.post("/link", &link).await.status >= 500);
    }
    sqlite(&database, "DROP TRIGGER broken");
    assert_eq!(here.sign_in(&new).await.ok()["is_new_enrollment"], true);
    // The two of this hour.
    here.sign_in(&people::Key::new()).await.refused("429 too_many_requests");
}

/// A page whose origin may call the protocol may send it forms too; any other may not.
#[tokio::test]
async fn attack_form_of_an_origin_that_is_not_listed() {
    let service = Service::start(&[ON, ("CAPAUTH_CORS_ORIGINS", "https://pages.example.com")]);
    let client = Client::new(service.url());
    let form = async |origin: &str| {
        let request = client.request("POST", "/capauth/v1/token").header("origin", origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        send(request.body("grant_type=refresh_token&refresh_token=x")).await
    };
    form("https://evil.example").await.refused("403 forbidden");
    form("https://pages.example.com").await.refused("401 invalid_token");
}
