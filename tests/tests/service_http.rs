//! What the service does with requests of every shape: each endpoint, each member, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use capauth_tests::http::{Answer, Client, SignIn, send, try_send};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, Service};
use serde_json::{Value, json};

const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

/// Endpoints that read a body, with a body that they read to its end.
const READERS: [(&str, &str); 8] = [
    ("POST", "/capauth/v1/challenge"),
    ("POST", "/capauth/v1/verify"),
    ("POST", "/auth/capauth/challenge"),
    ("POST", "/auth/capauth/verify"),
    ("POST", "/capauth/v1/keys/approve"),
    ("POST", "/capauth/v1/keys/revoke"),
    ("POST", "/capauth/v1/keys/erase"),
    ("PUT", "/capauth/v1/keys/0123456789ABCDEF0123456789ABCDEF01234567/groups"),
];

/// Endpoints that only tell.
const TELLERS: [&str; 9] = [
    "/capauth/v1/status",
    "/capauth/v1/well-known",
    "/capauth/v1/token-info",
    "/capauth/v1/userinfo",
    "/capauth/v1/keys",
    "/capauth/v1/revocations",
    "/auth/capauth/me",
    "/.well-known/jwks.json",
    "/health",
];

fn service() -> (Service, Client) {
    let service = Service::start(&[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)]);
    let client = Client::new(service.url());
    (service, client)
}

async fn with_body(
    client: &Client,
    method: &str,
    path: &str,
    kind: Option<&str>,
    body: impl Into<Vec<u8>>,
) -> Answer {
    let mut request = client.request(method, path).body(body.into());
    if path.contains("/keys") {
        request = request.bearer_auth(ADMIN_TOKEN);
    }
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    send(request).await
}

async fn json_text(client: &Client, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    with_body(client, method, path, Some("application/json"), body).await
}

async fn is_well(client: &Client) {
    let body = json!({"fingerprint": FINGERPRINT, "client_nonce": "AAAA"});
    client.post("/capauth/v1/challenge", &body).await.ok();
}

/// A login that would succeed, for the tests that spoil it.
async fn good_login(client: &Client, key: &Key) -> Value {
    let sign = |data: &[u8]| key.detach_sign(data);
    let claims = json!({"name": "Alice"});
    let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).claiming(&claims);
    let mut body = login.answer_to(&client.challenge(&key.fingerprint).await);
    body["enrollment_code"] = "code".into();
    body["redirect"] = "/".into();
    body
}

fn good_challenge() -> Value {
    json!({
        "capauth_version": "1.0", "fingerprint": FINGERPRINT, "client_nonce": "AAAA",
        "requested_service": "capauth.local", "origin": "https://capauth.local",
    })
}

/// Values that no member takes.
fn spoilt(member: &str, good: &str) -> Vec<Value> {
    let armor = ["nonce_signature", "claims_signature", "public_key"].contains(&member);
    let middle = good.len() / 2;
    let mut controls = vec!['\0', '\u{7}', '\u{1b}'];
    if !armor {
        controls.extend(['\n', '\r', '\t', '\u{7f}', '\u{85}']);
    }
    let with = |c: char| Value::from(format!("{}{c}{}", &good[..middle], &good[middle..]));
    let mut values: Vec<Value> = controls.into_iter().map(with).collect();
    values.extend([json!(1), json!(true), json!(["a"]), json!({"a": "b"})]);
    values.extend([json!("MARKER".repeat(35_000)), json!("MARKER".repeat(200_000))]);
    values
}

/// Sends what must be refused, over a connection of its own. Of more than a megabyte the service may stop reading, and
/// close.
async fn is_refused_quietly(service: &Service, path: &str, body: &Value, what: &str) {
    let large = body.to_string().len() > 1_000_000;
    let answer = match try_send(Client::new(service.url()).request("POST", path).json(body)).await {
        Err(_) if large => return,
        answer => answer.unwrap_or_else(|e| panic!("{path} {what}: {e:?}")),
    };
    let text = answer.text();
    assert!([400, 401, 413].contains(&answer.status), "{what}: {} {text}", answer.status);
    assert!(!text.contains("MARKER"), "{what}: what was sent stands in the answer");
    assert!(text.len() < 1000, "{what}: {} bytes of words", text.len());
    assert_eq!(answer.json()["capauth_version"], "1.0", "{what}: {text}");
}

#[tokio::test]
async fn every_member_of_a_challenge_is_held_against_its_form() {
    let (service, client) = service();
    let good = good_challenge();
    client.post("/capauth/v1/challenge", &good).await.ok();
    for member in good.as_object().unwrap().keys() {
        for value in spoilt(member, good[member].as_str().unwrap()) {
            for path in ["/capauth/v1/challenge", "/auth/capauth/challenge"] {
                let mut body = good.clone();
                body[member] = value.clone();
                let short: String = value.to_string().chars().take(60).collect();
                is_refused_quietly(&service, path, &body, &format!("{member}: {short}")).await;
            }
        }
    }
    for missing in ["fingerprint", "client_nonce"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(missing);
        client.post("/capauth/v1/challenge", &body).await.refused("400 invalid_request");
    }
    client.post("/capauth/v1/challenge", &good).await.ok();
}

#[tokio::test]
async fn every_member_of_a_login_is_held_against_its_form() {
    let (service, client) = service();
    let good = good_login(&client, &Key::ed25519("Alice")).await;
    for member in good.as_object().unwrap().keys().filter(|member| *member != "claims") {
        for value in spoilt(member, good[member].as_str().unwrap()) {
            let mut body = good.clone();
            body[member] = value.clone();
            let short: String = value.to_string().chars().take(60).collect();
            is_refused_quietly(&service, "/capauth/v1/verify", &body, &format!("{member}: {short}")).await;
        }
    }
    let long = json!({"name": "MARKER".repeat(5000)});
    let controls = json!({"name": "MARKER\u{0}"});
    for value in [json!("MARKER"), json!(["MARKER"]), json!(1), long, controls] {
        let mut body = good.clone();
        body["claims"] = value;
        is_refused_quietly(&service, "/capauth/v1/verify", &body, "claims").await;
    }
    for missing in ["fingerprint", "nonce", "nonce_signature"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(missing);
        client.post("/capauth/v1/verify", &body).await.refused("400 invalid_request");
    }
    // All this spoilt neither the challenge nor the key.
    client.post("/capauth/v1/verify", &good).await.ok();
}

#[tokio::test]
async fn versions_other_than_ours_are_refused() {
    let (_service, client) = service();
    for (version, status) in
        [("1.0", 200), ("1.7", 200), ("2.0", 400), ("0.9", 400), ("10.0", 400), ("x", 400)]
    {
        let mut body = good_challenge();
        body["capauth_version"] = version.into();
        let answer = client.post("/capauth/v1/challenge", &body).await;
        assert_eq!(answer.status, status, "{version}: {}", answer.text());
        if status == 400 {
            assert_eq!(answer.json()["error"], "unsupported_version", "{version}");
        }
    }
}

#[tokio::test]
async fn fingerprints_services_and_origins_that_are_none_of_ours() {
    let (_service, client) = service();
    for (member, value, refusal) in [
        ("fingerprint", "0123", "400 invalid_fingerprint"),
        ("fingerprint", "", "400 invalid_fingerprint"),
        ("fingerprint", &"g".repeat(40), "400 invalid_fingerprint"),
        ("fingerprint", &"0".repeat(41), "400 invalid_fingerprint"),
        ("requested_service", "bank.example.com", "400 service_mismatch"),
        ("requested_service", "capauth.local.example.com", "400 service_mismatch"),
        ("origin", "https://evil.example", "400 invalid_origin"),
        ("origin", "http://capauth.local", "400 invalid_origin"),
        ("origin", "https://capauth.local:8443", "400 invalid_origin"),
        ("origin", "https://capauth.local/", "400 invalid_origin"),
        ("origin", "null", "400 invalid_origin"),
        ("client_nonce", "not base64!", "400 invalid_request"),
    ] {
        let mut body = good_challenge();
        body[member] = value.into();
        let answer = client.post("/capauth/v1/challenge", &body).await;
        // Of an empty text it may also be said that it is missing.
        if !(value.is_empty() && answer.refusal() == "400 invalid_request") {
            assert_eq!(answer.refusal(), refusal, "{member}={value}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn attack_nesting_overflows_the_stack() {
    let (service, client) = service();
    let lists = "[".repeat(200_000);
    let objects = r#"{"a":"#.repeat(50_000);
    let inside = format!(r#"{{"fingerprint":"{FINGERPRINT}","claims":{{"a":{lists}"#);
    let closed = format!(r#"{{"claims":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for (method, path) in READERS {
        for body in [&lists, &objects, &inside, &closed] {
            json_text(&client, method, path, body.clone()).await.refused("400 invalid_request");
        }
    }
    is_well(&client).await;
    drop(service);
}

#[tokio::test]
async fn documents_that_two_readers_read_differently_are_refused() {
    let (_service, client) = service();
    let nonce = "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90";
    let login = |claims: &str| {
        format!(
            r#"{{"fingerprint":"{FINGERPRINT}","nonce":"{nonce}","nonce_signature":"x","claims":{claims}}}"#
        )
    };
    let twice =
        format!(r#"{{"fingerprint":"{FINGERPRINT}","fingerprint":"{FINGERPRINT}","client_nonce":"AAAA"}}"#);
    let good = json!({"fingerprint": FINGERPRINT, "client_nonce": "AAAA"}).to_string();
    for bad in [
        twice,
        format!("{good} x"),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        good.replace('"', "'"),
        good.replace('}', ",}"),
        good.replace("AAAA", "AAAA\\ud800"),
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "\"text\"".to_owned(),
        "1".to_owned(),
    ] {
        let answer = client.post_text("/capauth/v1/challenge", bad.clone()).await;
        assert_eq!(answer.refusal(), "400 invalid_request", "{bad}: {}", answer.text());
    }
    for claims in [
        r#"{"name":"a","name":"b"}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":[{"b":1,"b":2}]}"#,
        r#"{"name":"a","\u006eame":"b"}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":-Infinity}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":01}"#,
        r#"{"\u0000":1}"#,
    ] {
        let answer = client.post_text("/capauth/v1/verify", login(claims)).await;
        assert_eq!(answer.refusal(), "400 invalid_request", "{claims}: {}", answer.text());
    }
    let not_utf8 = [good.as_bytes(), b"\xff"].concat();
    json_text(&client, "POST", "/capauth/v1/challenge", not_utf8).await.refused("400 invalid_request");
    // The twin: well-formed claims get as far as the nonce.
    client.post_text("/capauth/v1/verify", login(r#"{"name":"a"}"#)).await.refused("400 invalid_nonce");
}

#[tokio::test]
async fn bodies_are_json_and_nothing_else() {
    let (_service, client) = service();
    let good = json!({"fingerprint": FINGERPRINT, "client_nonce": "AAAA"}).to_string();
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        let answer = with_body(&client, "POST", "/capauth/v1/challenge", Some(kind), good.clone()).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
    }
    for (method, path) in READERS {
        for kind in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/jsonp"),
            Some("text/json"),
            Some("x application/json"),
            Some(""),
        ] {
            let answer = with_body(&client, method, path, kind, good.clone()).await;
            assert_eq!(answer.refusal(), "415 unsupported_media_type", "{path} {kind:?}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn paths_are_exact() {
    let (_service, client) = service();
    client.get("/capauth/v1/status").await.ok();
    let front = client.get("/").await;
    assert_eq!((front.status, front.header("location")), (303, "/capauth/me"));
    for path in [
        "/capauth",
        "/capauth/v1",
        "/capauth/v1/",
        "/capauth/v1/status/",
        "/capauth/v1//status",
        "//capauth/v1/status",
        "/capauth/v1/%73tatus",
        "/capauth/v1/STATUS",
        "/capauth/v1/x",
        "/capauth/v2/status",
        "/auth/capauth/",
        "/.well-known/",
        "/.well-known/acme-challenge/x",
        "/favicon.ico",
        "/..%2f..%2fetc/passwd",
        "/MARKER",
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.refusal(), "404 not_found", "{path}: {}", answer.text());
        assert!(!answer.text().contains("MARKER"));
    }
}

#[tokio::test]
async fn methods_are_exact_and_head_is_get_without_the_body() {
    let (_service, client) = service();
    let no_such = async |method: &str, path: &str, allowed: &str| {
        let answer = send(client.request(method, path).bearer_auth(ADMIN_TOKEN)).await;
        assert_eq!(answer.refusal(), "405 method_not_allowed", "{method} {path}: {}", answer.text());
        assert!(answer.header("allow").contains(allowed), "{method} {path}: {:?}", answer.headers);
    };
    for (allowed, path) in READERS {
        for method in ["GET", "DELETE", "PATCH", "TRACE", "BREW"] {
            no_such(method, path, allowed).await;
        }
    }
    for path in TELLERS {
        for method in ["PUT", "DELETE", "PATCH", "TRACE"] {
            no_such(method, path, "GET").await;
        }
        let get = send(client.request("GET", path).bearer_auth(ADMIN_TOKEN)).await;
        let head = send(client.request("HEAD", path).bearer_auth(ADMIN_TOKEN)).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    for path in TELLERS.into_iter().chain(READERS.map(|(_, path)| path)) {
        let options = send(client.request("OPTIONS", path)).await;
        assert!([200, 204, 405].contains(&options.status), "{path}: {} {}", options.status, options.text());
        assert!(options.header("access-control-allow-origin").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn answers_are_neither_cached_nor_guessed_at() {
    let (_service, client) = service();
    let mut answers = Vec::new();
    for path in TELLERS.iter().filter(|path| !path.contains("jwks")) {
        answers.push((*path, send(client.request("GET", path).bearer_auth(ADMIN_TOKEN)).await));
        answers.push((*path, client.get(path).await));
    }
    for (_, path) in READERS {
        answers.push((path, client.post_text(path, "{}").await));
    }
    answers.push(("challenge", client.post("/capauth/v1/challenge", &good_challenge()).await));
    for (path, answer) in answers {
        assert!(answer.header("cache-control").contains("no-store"), "{path}: {:?}", answer.headers);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("content-type").split(';').next(), Some("application/json"), "{path}");
        assert_eq!(answer.header("server"), "", "{path}");
        assert_eq!(answer.header("set-cookie"), "", "{path}");
    }
}
