//! What strangers try with metrics: to read them, to fill them, to write into them.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;

use capauth_tests::http::{Client, SignIn, exchange, send, try_send};
use capauth_tests::scrape::{METRICS, Scrape};
use capauth_tests::sequoia::Key;
use capauth_tests::service::Service;
use capauth_tower::{Part, Route};
use capauth_verifier::AuthErrorKind;
use serde_json::json;

use crate::{enrol, service, watcher};

#[tokio::test]
async fn attack_metrics_read_where_everybody_asks() {
    let service = service(&[]);
    let (main, watcher) = (Client::new(service.url()), watcher(&service));
    for path in
        ["/metrics", "/ready", "/metrics/", "//metrics", "/capauth/v1/metrics", "/auth/capauth/metrics"]
    {
        let answer = main.get(path).await;
        answer.refused("404 not_found");
        assert!(!answer.text().contains("_total"), "{}", answer.text());
    }
    assert_eq!(watcher.get("/metrics").await.status, 200);
    // And the other way round: nothing of the service is there.
    for path in
        ["/", "/capauth/v1/status", "/capauth/v1/keys", "/auth/capauth/login", "/metrics/x", "/health/"]
    {
        assert_eq!(watcher.get(path).await.refusal(), "404 not_found", "{path}");
    }
}

#[tokio::test]
async fn without_the_setting_there_is_no_listener() {
    let quiet = Service::start(&[]);
    assert_eq!(Client::new(quiet.url()).get("/health").await.status, 200);
    assert!(!quiet.output().contains("/metrics"), "{}", quiet.output());
    Client::new(quiet.url()).get("/metrics").await.refused("404 not_found");
}

#[tokio::test]
async fn the_listener_is_asked_and_not_told() {
    let service = service(&[]);
    let watcher = watcher(&service);
    for path in ["/metrics", "/health", "/ready"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "MARKER"] {
            let answer = send(watcher.request(method, path).body("x")).await;
            assert_eq!(answer.refusal(), "405 method_not_allowed", "{method} {path}");
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
        let answer = send(watcher.request("HEAD", path)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("access-control-allow-origin"), "", "no page reads it");
    }
    let address = service.metrics_url().replace("http://", "");
    let long = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(10_000));
    assert!(exchange(&address, long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let short = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(5_000));
    let answer = exchange(&address, short.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
}

/// Odd paths, methods, hosts, agents and bodies, each new.
async fn oddities(client: &Client, round: usize) {
    for number in 0..40 {
        let odd = format!("MARKER{round}X{number}");
        for (method, path) in [
            ("GET", format!("/{odd}")),
            ("GET", format!("/capauth/v1/keys/{odd}/groups?{odd}={odd}")),
            ("PUT", format!("/capauth/v1/keys/{odd}/name")),
            ("DELETE", format!("/capauth/v1/sessions/{odd}")),
            ("POST", format!("/capauth/v1/{odd}")),
        ] {
            let request = client
                .request(method, &path)
                .header("user-agent", &odd)
                .header("host", format!("{odd}.example.org"))
                .header("origin", format!("https://{odd}.example.org"))
                .header("x-request-id", format!("feedfacefeedface-{number:04}"))
                .header("x-forwarded-for", "192.0.2.77")
                .bearer_auth(&odd);
            send(request).await;
        }
        let _ = try_send(client.request(&odd, "/health")).await;
        let ask =
            json!({"fingerprint": format!("{number:040X}"), "client_nonce": odd, "requested_service": odd});
        client.post("/capauth/v1/challenge", &ask).await;
        client.post("/capauth/v1/verify", &json!({"fingerprint": odd, "nonce": odd})).await;
    }
}

/// *Attack: a label of one's own choosing, until the collector's memory is full; or one that names somebody.*
#[tokio::test]
async fn attack_labels_of_the_clients_choosing() {
    let service = service(&[]);
    let client = Client::new(service.url());
    let key = Key::ed25519("MARKER Alice <marker@example.org>");
    let sign = |data: &[u8]| key.detach_sign(data);
    let claims = json!({"name": "MARKER Alice", "email": "marker@example.org"});
    let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).claiming(&claims);
    client.sign_in(login).await.ok();
    oddities(&client, 0).await;
    let first = Scrape::of(&service).await;
    oddities(&client, 1).await;
    let second = Scrape::of(&service).await;
    let names = |scrape: &Scrape| -> BTreeSet<String> {
        scrape.series().iter().map(|series| format!("{} {:?}", series.name, series.labels)).collect()
    };
    assert_eq!(names(&first), names(&second), "nothing new is shown, whatever else is sent");
    // Each route with each of its methods, and one more, in four classes: so many histograms, and no more.
    let histograms: usize = Route::of(Part::Service).map(|route| (route.methods().len() + 2) * 4).sum();
    assert!(second.series().len() < (histograms + 4) * 19 + 100, "{}", second.series().len());

    let text = second.text.to_ascii_lowercase();
    for personal in
        ["marker", "alice", "127.0.0.1", "192.0.2.77", "feedface", &key.fingerprint.to_ascii_lowercase()]
    {
        assert!(!text.contains(personal), "{personal} stands in the metrics");
    }
    let set =
        |values: &[&str]| -> BTreeSet<String> { values.iter().map(|&value| value.to_owned()).collect() };
    let kinds = AuthErrorKind::ALL.iter().map(|kind| kind.as_str());
    let kinds: Vec<_> =
        kinds.chain(["MethodNotAllowed", "PayloadTooLarge", "UnsupportedMediaType"]).collect();
    let routes: Vec<_> = Route::of(Part::Service).map(Route::path).chain(["other"]).collect();
    let bounds: Vec<_> =
        "0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf"
            .split(' ')
            .collect();
    let known = [
        ("how", set(&["login", "enrolment", "refresh", "qr"])),
        ("kind", set(&kinds)),
        ("route", set(&routes)),
        ("method", set(&["GET", "HEAD", "POST", "PUT", "DELETE", "other"])),
        ("status", set(&["2xx", "3xx", "4xx", "5xx"])),
        ("le", set(&bounds)),
        ("cache", set(&["signing_keys", "seen_tokens", "certificates"])),
        ("result", set(&["hit", "miss"])),
        ("store", set(&["keys", "tokens", "sessions", "challenges", "qr"])),
        ("version", set(&[env!("CARGO_PKG_VERSION")])),
    ];
    for (label, values) in second.labels() {
        let Some((_, known)) = known.iter().find(|(name, _)| *name == label) else {
            panic!("a label that nobody knows: {label}={values:?}");
        };
        assert!(values.is_subset(known), "{label}: {values:?}");
    }
}

/// Not even how many there are is told to whoever has no business with it.
#[tokio::test]
async fn what_the_main_listener_keeps_to_itself_is_the_operators_to_see() {
    let service = service(&[("CAPAUTH_PRIVATE_MEMBERSHIP", "true")]);
    let client = Client::new(service.url());
    enrol(&client, &Key::ed25519("Alice")).await.ok();
    assert_eq!(client.get("/capauth/v1/status").await.ok().get("enrolled_keys"), None);
    assert_eq!(Scrape::of(&service).await.get("capauth_enrolled_keys", &[]), 1.0);
}

#[tokio::test]
async fn a_listener_that_others_reach_is_said_and_one_that_cannot_be_stops_the_start() {
    let open = Service::start(&[("CAPAUTH_METRICS", "0.0.0.0:0")]);
    assert!(open.metrics_url().starts_with("http://0.0.0.0:"));
    let warned = |service: &Service| service.output().contains("Let nobody but your monitoring");
    while !warned(&open) {
        tokio::task::yield_now().await;
    }
    let closed = Service::start(&[METRICS]);
    assert!(closed.metrics_url().starts_with("http://127.0.0.1:"));
    drop((open, Arc::new(closed)));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (value, words) in
        [(address.as_str(), "CAPAUTH_METRICS"), ("9464", "127.0.0.1:9464"), ("localhost:1", "port")]
    {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let ended = Service::try_start_in(&folder, &[("CAPAUTH_METRICS", value)]).expect_err(value);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.output);
        assert!(ended.output.lines().count() == 1 && ended.output.contains(words), "{}", ended.output);
        assert!(!folder.path().join("state").exists(), "nothing is made");
    }
}
