//! Numbers go up by what happened, and by nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use capauth_tests::http::{Client, SignIn, send};
use capauth_tests::scrape::Scrape;
use capauth_tests::sequoia::Key;
use serde_json::{Value, json};

use crate::{enrol, log_in, service};

const LOGINS: &str = "capauth_logins_total";
const REFUSALS: &str = "capauth_refusals_total";
const CACHES: &str = "capauth_cache_requests_total";
const DURATION: &str = "capauth_request_duration_seconds";

#[tokio::test]
async fn logins_are_counted_by_how_they_were_made() {
    let service = service(&[]);
    let client = Client::new(service.url());
    let (alice, bob) = (Key::ed25519("Alice"), Key::ed25519("Bob"));
    let before = Scrape::of(&service).await;
    for how in ["login", "enrolment", "refresh"] {
        assert!(before.text.contains(&format!("{LOGINS}{{how=\"{how}\"}} 0")), "{}", before.text);
    }
    enrol(&client, &alice).await.ok();
    enrol(&client, &bob).await.ok();
    log_in(&client, &alice).await.ok();
    let sign = |data: &[u8]| alice.detach_sign(data);
    let challenge = client.challenge(&alice.fingerprint).await;
    let mut body = SignIn::new(&alice.fingerprint, &sign).answer_to(&challenge);
    body["refresh"] = true.into();
    let refresh = client.post("/capauth/v1/verify", &body).await.ok()["refresh_token"].clone();
    let renew = json!({"grant_type": "refresh_token", "refresh_token": refresh});
    client.post("/capauth/v1/token", &renew).await.ok();
    // What is refused is no login, however it begins.
    client.post("/capauth/v1/verify", &body).await.refused("400 invalid_nonce");
    let wrong = json!({"grant_type": "refresh_token", "refresh_token": "AAAA"});
    client.post("/capauth/v1/token", &wrong).await.refused("401 invalid_token");
    // A challenge that is asked for by nobody known is one all the same.
    client.challenge(&"0".repeat(40)).await;

    let after = Scrape::of(&service).await;
    for (how, many) in [("enrolment", 2.0), ("login", 2.0), ("refresh", 1.0)] {
        assert_eq!(after.since(&before, LOGINS, &[("how", how)]), many, "{how}");
    }
    assert_eq!(after.since(&before, "capauth_challenges_total", &[]), 5.0);
    assert_eq!(after.get("capauth_enrolled_keys", &[]), 2.0);
    for (kind, many) in [("InvalidNonce", 1.0), ("InvalidToken", 1.0), ("Forbidden", 0.0)] {
        assert_eq!(after.since(&before, REFUSALS, &[("kind", kind)]), many, "{kind}");
    }
}

#[tokio::test]
async fn refusals_are_counted_by_kind_once_each() {
    let service = service(&[("CAPAUTH_ENROLLMENT", "approval")]);
    let client = Client::new(service.url());
    let before = Scrape::of(&service).await;
    let keys: Vec<_> = (0..6).map(|number| Key::ed25519(&format!("Key {number}"))).collect();
    for key in &keys[..5] {
        enrol(&client, key).await.refused("403 enrollment_pending");
    }
    enrol(&client, &keys[5]).await.refused("429 too_many_requests");
    log_in(&client, &keys[5]).await.refused("401 unknown_fingerprint");
    client.get_as("nonsense", "/capauth/v1/userinfo").await.refused("401 invalid_token");
    client.get("/capauth/v1/userinfo").await.refused("401 invalid_token");
    client.get("/auth/capauth/me").await.refused("401 invalid_token");
    client.get("/capauth/v1/verify").await.refused("405 method_not_allowed");
    client.post_text("/capauth/v1/challenge", "{").await.refused("400 invalid_request");
    client.post_text("/capauth/v1/challenge", "x".repeat(300_000)).await.refused("413 payload_too_large");
    let form = client.request("POST", "/capauth/v1/challenge").header("content-type", "text/plain").body("x");
    send(form).await.refused("415 unsupported_media_type");
    client.post_text("/auth/capauth/verify", "{").await;

    let after = Scrape::of(&service).await;
    let mut counted: Vec<(String, f64)> = Vec::new();
    for series in after.series().iter().filter(|series| series.name == REFUSALS) {
        let kind = &series.labels["kind"];
        let more = after.since(&before, REFUSALS, &[("kind", kind)]);
        if more > 0.0 {
            counted.push((kind.clone(), more));
        }
    }
    counted.sort_by(|a, b| a.0.cmp(&b.0));
    let counted: Vec<_> = counted.iter().map(|(kind, more)| (kind.as_str(), *more)).collect();
    assert_eq!(
        counted,
        [
            ("EnrollmentPending", 5.0),
            ("InvalidRequest", 2.0),
            ("InvalidToken", 1.0),
            ("MethodNotAllowed", 1.0),
            ("PayloadTooLarge", 1.0),
            ("TooManyRequests", 1.0),
            ("Unauthenticated", 2.0),
            ("UnknownFingerprint", 1.0),
            ("UnsupportedMediaType", 1.0),
        ]
    );
    assert_eq!((after.get("capauth_pending_keys", &[]), after.get("capauth_enrolled_keys", &[])), (5.0, 5.0));
}

#[tokio::test]
async fn caches_say_what_they_had() {
    let service = service(&[]);
    let client = Client::new(service.url());
    let alice = Key::ed25519("Alice");
    let asked = |scrape: &Scrape, before: &Scrape, cache: &str| {
        let of = |result| scrape.since(before, CACHES, &[("cache", cache), ("result", result)]);
        (of("hit"), of("miss"))
    };
    enrol(&client, &alice).await.ok();
    let before = Scrape::of(&service).await;
    // Sent once more it is the one that was merged last; a copy with a line more is not.
    let token = enrol(&client, &alice).await.ok()["access_token"].as_str().unwrap().to_owned();
    let longer = format!("{}\n", alice.certificate);
    let sign = |data: &[u8]| alice.detach_sign(data);
    client.sign_in(SignIn::new(&alice.fingerprint, &sign).enrolling(&longer)).await.ok();
    let after = Scrape::of(&service).await;
    assert_eq!(asked(&after, &before, "certificates"), (1.0, 1.0));
    let (hits, misses) = asked(&after, &before, "signing_keys");
    assert!(hits + misses >= 2.0, "{hits} {misses}");

    for _ in 0..3 {
        client.get_as(&token, "/capauth/v1/userinfo").await.ok();
    }
    let last = Scrape::of(&service).await;
    assert_eq!(asked(&last, &after, "seen_tokens"), (2.0, 1.0), "verified once, and known twice");
}

#[tokio::test]
async fn how_long_requests_take_is_a_histogram_of_each_route() {
    let service = service(&[]);
    let client = Client::new(service.url());
    let alice = Key::ed25519("Alice");
    enrol(&client, &alice).await.ok();
    log_in(&client, &alice).await.ok();
    assert_eq!(send(client.request("HEAD", "/health")).await.status, 200);
    client.get("/capauth/v1/keys/MARKER/groups").await.refused("405 method_not_allowed");
    client.get("/nothing/here").await.refused("404 not_found");
    let scrape = Scrape::of(&service).await;
    let suffixed = |suffix: &str| format!("{DURATION}{suffix}");
    for (route, method, status, many) in [
        ("/capauth/v1/challenge", "POST", "2xx", 2.0),
        ("/capauth/v1/verify", "POST", "2xx", 2.0),
        ("/health", "HEAD", "2xx", 1.0),
        ("/capauth/v1/keys/{fingerprint}/groups", "other", "4xx", 1.0),
        ("other", "other", "4xx", 1.0),
    ] {
        let labels = [("route", route), ("method", method), ("status", status)];
        assert_eq!(scrape.get(&suffixed("_count"), &labels), many, "{labels:?}\n{}", scrape.text);
        assert!(scrape.get(&suffixed("_sum"), &labels) > 0.0);
        let buckets: Vec<_> = scrape
            .series()
            .iter()
            .filter(|series| series.name == suffixed("_bucket"))
            .filter(|series| labels.iter().all(|&(label, value)| series.labels[label] == value))
            .map(|series| (series.labels["le"].as_str(), series.value))
            .collect();
        assert_eq!((buckets.first().unwrap().0, buckets.last().unwrap()), ("0.0001", &("+Inf", many)));
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{buckets:?}");
        assert_eq!(buckets.len(), 17);
    }
    assert_eq!(scrape.types[DURATION], "histogram");
}

#[tokio::test]
async fn the_process_and_its_connections_are_shown() {
    let service = service(&[]);
    let first = Scrape::of(&service).await;
    assert_eq!(first.get("capauth_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert!(first.get("process_start_time_seconds", &[]) > 1.7e9);
    assert!(first.get("process_resident_memory_bytes", &[]) > 1e6);
    assert!(first.get("process_open_fds", &[]) > 5.0);
    assert!(first.get("process_max_fds", &[]) > 100.0);
    let open = "capauth_connections_open";
    assert_eq!(first.get(open, &[]), 0.0, "the metrics' own listener does not count");
    // A request that was answered over each of them says that they are counted.
    let (one, two) = (Client::new(service.url()), Client::new(service.url()));
    assert_eq!((one.get("/health").await.status, two.get("/health").await.status), (200, 200));
    assert_eq!(Scrape::of(&service).await.get(open, &[]), 2.0);
    drop((one, two));
    while Scrape::of(&service).await.get(open, &[]) > 0.0 {
        tokio::task::yield_now().await;
    }
}

/// Scrapes and logins at once: every scrape is whole, and no number ever goes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_under_load_is_whole() {
    let service = service(&[]);
    let done = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let (client, done) = (Client::new(service.url()), Arc::clone(&done));
            tokio::spawn(async move {
                let key = Key::ed25519(&format!("Worker {number}"));
                enrol(&client, &key).await.ok();
                let mut logins = 0;
                while !done.load(Ordering::Relaxed) {
                    log_in(&client, &key).await.ok();
                    logins += 1;
                }
                logins
            })
        })
        .collect();
    let mut last = Scrape::of(&service).await;
    let mut scrapes = 0;
    while scrapes < 20 || last.get(LOGINS, &[("how", "login")]) < 40.0 {
        let next = Scrape::of(&service).await;
        for series in last.series() {
            let kind = last.types.get(&series.name).map(String::as_str);
            if kind != Some("gauge") {
                let labels: Vec<_> = series.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                assert!(next.get(&series.name, &labels) >= series.value, "{series:?} went back");
            }
        }
        last = next;
        scrapes += 1;
    }
    done.store(true, Ordering::Relaxed);
    let mut logins = 0;
    for worker in workers {
        logins += worker.await.unwrap();
    }
    let end = Scrape::of(&service).await;
    assert_eq!(end.get(LOGINS, &[("how", "login")]), f64::from(logins));
    let verify = [("route", "/capauth/v1/verify"), ("method", "POST"), ("status", "2xx")];
    assert_eq!(end.get(&format!("{DURATION}_count"), &verify), f64::from(logins + 4));
    let nothing: Value = Client::new(&service.metrics_url()).get("/ready").await.ok();
    assert_eq!(nothing["status"], "ok");
}
