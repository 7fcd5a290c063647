//! No name and no address stays: not in the database or its journals, not in any log, not in what is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use capauth_tests::foreign::sqlite;
use capauth_tests::gpg::Gpg;
use capauth_tests::http::{Client, SignIn, send, try_send};
use capauth_tests::scrape::{METRICS, Scrape};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, Service};
use serde_json::{Value, json};

/// What must be found nowhere. Whatever a person sends carries one of these.
const MARKERS: [&str; 3] = ["MARKERNAME", "marker-mail", "MARKERSECRET"];

const USER_ID: &str = "MARKERNAME Alice <marker-mail@example.org>";

/// The markers as they look in text, in hexadecimal, and in the middle of base64.
fn disguises() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for marker in MARKERS {
        all.push((format!("{marker} as text"), marker.as_bytes().to_vec()));
        all.push((format!("{marker} as UTF-16"), marker.bytes().flat_map(|byte| [byte, 0]).collect()));
        all.push((format!("{marker} in hexadecimal"), hex::encode(marker).into_bytes()));
        all.push((
            format!("{marker} in percents"),
            marker.bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).collect(),
        ));
        for shift in 0..3 {
            // Of what encodes to whole groups of three bytes, the inner ones look the same whatever stands around.
            let inner = &marker.as_bytes()[shift..];
            let whole = &inner[..inner.len() / 3 * 3];
            all.push((format!("{marker} in base64, {shift}"), STANDARD_NO_PAD.encode(whole).into_bytes()));
        }
    }
    all
}

/// Every file below a folder, with what is in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn position(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
}

/// Fails if a marker stands in any file of the folder.
fn search(folder: &Path, when: &str) {
    let files = files(folder);
    assert!(files.iter().any(|(name, _)| name.ends_with("keys.db")), "{when}: no database among {files:?}");
    for (name, content) in files {
        for (disguise, needle) in disguises() {
            if let Some(place) = position(&content, &needle) {
                let around = &content[place.saturating_sub(200)..content.len().min(place + 100)];
                panic!("{when}: {disguise} stands in {name}: …{}…", String::from_utf8_lossy(around));
            }
        }
    }
}

/// Logins that succeed and logins that fail, each with a marker wherever one fits.
async fn live(service: &Service, keys: &[Key], gpg: &Gpg) {
    let client = Client::new(service.url());
    let claims = json!({
        "name": "MARKERNAME Alice", "email": "marker-mail@example.org", "locale": "MARKERNAME",
        "avatar_url": "https://example.org/MARKERNAME.png", "capauth_note": "MARKERNAME", "groups": ["MARKERNAME"],
    });
    for key in keys {
        let sign = |data: &[u8]| key.detach_sign(data);
        let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).claiming(&claims);
        let answer = client.sign_in(login).await.ok();
        assert_eq!(answer["oidc_claims"]["name"], "MARKERNAME Alice");
        let token = answer["access_token"].as_str().unwrap();
        if key.fingerprint == keys[0].fingerprint {
            // The domain of the address is asked, which answers nothing here.
            assert_eq!(client.get_as(token, "/capauth/v1/userinfo").await.ok().get("email"), None);
        }
        client.get(&format!("/capauth/v1/token-info?token={token}&MARKERSECRET=MARKERNAME")).await.ok();
    }
    let fingerprint = gpg.generate(USER_ID, "ed25519");
    let sign = |data: &[u8]| gpg.detach_sign(&fingerprint, data);
    let certificate = gpg.export(&fingerprint);
    let login = SignIn::new(&fingerprint, &sign).enrolling(&certificate).claiming(&claims);
    let token = client.sign_in(login).await.ok()["access_token"].as_str().unwrap().to_owned();
    client.get_as(&token, "/capauth/v1/logout").await.ok();
    session(&client, &keys[0], &claims).await;
    life(&client, keys, &claims).await;
    failures(&client, &keys[0], &claims).await;
}

/// A browser's session, with the claims in its sealed cookie.
async fn session(client: &Client, key: &Key, claims: &Value) {
    let challenge = client.challenge(&key.fingerprint).await;
    let sign = |data: &[u8]| key.detach_sign(data);
    let body = SignIn::new(&key.fingerprint, &sign).claiming(claims).answer_to(&challenge);
    let answer = client.post("/auth/capauth/verify", &body).await;
    answer.ok();
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let me = send(client.request("GET", "/auth/capauth/me").header("cookie", cookie)).await.ok();
    assert_eq!(me["name"], "MARKERNAME Alice");
}

/// What happens after a login: administrators and people at work, each with what must not stay.
async fn life(client: &Client, keys: &[Key], claims: &Value) {
    let admin = async |method: &str, path: &str, body: Value| {
        send(client.request(method, path).bearer_auth(ADMIN_TOKEN).json(&body)).await
    };
    let (first, second) = (&keys[0], &keys[2]);
    let of_first = format!("/capauth/v1/keys/{}", first.fingerprint);
    let email = json!({"email": "marker-mail@example.org"});
    admin("PUT", &format!("{of_first}/email"), email.clone()).await.ok();
    admin("PUT", &format!("{of_first}/name"), json!({"user_name": "ada"})).await.ok();
    admin("PUT", &format!("{of_first}/email"), json!({"email": "MARKERNAME"}))
        .await
        .refused("400 invalid_request");
    admin("PUT", &format!("{of_first}/name"), json!({"user_name": "MARKERNAME"}))
        .await
        .refused("400 invalid_request");
    let newcomer = Key::ed25519(USER_ID);
    admin("POST", "/capauth/v1/keys/enroll", json!({"public_key": newcomer.certificate})).await.ok();
    admin("POST", "/capauth/v1/enrollment-codes", json!({"groups": ["staff"]})).await.ok();

    let sign = |data: &[u8]| first.detach_sign(data);
    let mut body = SignIn::new(&first.fingerprint, &sign)
        .claiming(claims)
        .answer_to(&client.challenge(&first.fingerprint).await);
    body["refresh"] = true.into();
    body["enrollment_code"] = "MARKERSECRET".into();
    let answer = client.post("/capauth/v1/verify", &body).await.ok();
    let token = answer["access_token"].as_str().unwrap();
    let told = client.get_as(token, "/capauth/v1/userinfo").await.ok();
    assert_eq!(
        (&told["email"], &told["preferred_username"]),
        (&json!("marker-mail@example.org"), &json!("ada"))
    );
    let renew = json!({"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]});
    client.post("/capauth/v1/token", &renew).await.ok();
    let wrong = json!({"grant_type": "refresh_token", "refresh_token": "MARKERSECRET"});
    client.post("/capauth/v1/token", &wrong).await.refused("401 invalid_token");
    let sessions = client.get_as(token, "/capauth/v1/sessions").await.ok();
    assert!(sessions.as_array().is_some_and(|sessions| !sessions.is_empty()), "{sessions}");
    admin("DELETE", &format!("{of_first}/email"), email).await.ok();
    link(client, first, second).await;
    let log = client.get_as(ADMIN_TOKEN, "/capauth/v1/audit?limit=1000").await.ok();
    assert!(log.to_string().contains("email_confirmed") && log.to_string().contains("linked"));
}

/// One person's second key, with its certificate.
async fn link(client: &Client, primary: &Key, secondary: &Key) {
    let challenge = client.challenge(&primary.fingerprint).await;
    let (nonce, service, timestamp) =
        (challenge.get("nonce"), challenge.get("service"), challenge.get("timestamp"));
    let text = format!(
        "CAPAUTH_LINK_V1\nnonce={nonce}\nservice={service}\nprimary={}\nsecondary={}\ntimestamp={timestamp}",
        primary.fingerprint, secondary.fingerprint
    );
    let body = json!({
        "nonce": nonce, "primary_fingerprint": primary.fingerprint, "secondary_fingerprint": secondary.fingerprint,
        "timestamp": timestamp, "primary_signature": primary.detach_sign(text.as_bytes()),
        "secondary_signature": secondary.detach_sign(text.as_bytes()), "secondary_public_key": secondary.certificate,
    });
    let linked = client.post("/capauth/v1/link", &body).await.ok();
    assert_eq!(linked["sub"], json!(primary.fingerprint));
}

async fn failures(client: &Client, key: &Key, claims: &Value) {
    let challenge = client.challenge(&key.fingerprint).await;
    let sign = |data: &[u8]| key.detach_sign(data);
    let good = SignIn::new(&key.fingerprint, &sign)
        .enrolling(&key.certificate)
        .claiming(claims)
        .answer_to(&challenge);
    for (member, spoilt) in [
        ("nonce_signature", json!("MARKERSECRET")),
        (
            "nonce_signature",
            json!(
                "-----BEGIN PGP SIGNATURE-----\nComment: MARKERNAME\n\nMARKERSECRET\n-----END PGP SIGNATURE-----"
            ),
        ),
        ("claims_signature", json!("MARKERSECRET")),
        ("claims", json!({"name": "MARKERNAME Mallory"})),
        ("claims", json!({"name": "MARKERNAME\u{0}"})),
        ("claims", json!({"name": "MARKERNAME".repeat(2000)})),
        ("claims", json!("MARKERNAME")),
        ("public_key", json!("MARKERSECRET")),
        ("public_key", json!(Key::ed25519(USER_ID).certificate)),
        ("public_key", json!(Key::ed25519(USER_ID).secret_armor())),
        ("fingerprint", json!("MARKERNAME")),
        ("nonce", json!("MARKERNAME")),
        ("redirect", json!("//MARKERNAME")),
    ] {
        let mut body = good.clone();
        body[member] = spoilt;
        for path in ["/capauth/v1/verify", "/auth/capauth/verify"] {
            assert_ne!(client.post(path, &body).await.status, 500, "{member}");
        }
    }
    for text in [
        "MARKERNAME",
        r#"{"MARKERNAME": "#,
        r#"{"MARKERNAME":1,"MARKERNAME":2}"#,
        "{\"fingerprint\":\"MARKERNAME",
    ] {
        for path in ["/capauth/v1/challenge", "/capauth/v1/verify", "/capauth/v1/keys/approve"] {
            let request = client
                .request("POST", path)
                .bearer_auth(ADMIN_TOKEN)
                .header("content-type", "application/json");
            assert_eq!(send(request.body(text.to_owned())).await.status, 400, "{path} {text}");
        }
    }
    for path in [
        "/MARKERNAME",
        "/capauth/v1/MARKERNAME?marker-mail=1",
        "/capauth/v1/status?name=MARKERNAME",
        "/capauth/v1/keys?after=MARKERNAME",
        "/capauth/v1/keys/MARKERNAME/groups",
        "/capauth/v1/token-info?token=MARKERSECRET",
    ] {
        for method in ["GET", "PUT"] {
            let request = client
                .request(method, path)
                .bearer_auth(ADMIN_TOKEN)
                .json(&json!({"groups": ["MARKER NAME"]}));
            assert_ne!(send(request).await.status, 500, "{path}");
        }
    }
    let odd = client
        .request("GET", "/capauth/v1/userinfo")
        .header("authorization", "Bearer MARKERSECRET")
        .header("cookie", "__Host-capauth=MARKERSECRET; other=MARKERNAME")
        .header("user-agent", "MARKERNAME")
        .header("referer", "https://example.org/MARKERNAME")
        .header("origin", "https://MARKERNAME.example.org")
        .header("x-forwarded-for", "MARKERNAME")
        .header("x-request-id", "MARKERNAME")
        .header("host", "MARKERNAME.example.org");
    assert_eq!(send(odd).await.status, 401);
    // A method that nobody has heard of; whether it is answered is not the question here.
    let _ = try_send(client.request("MARKERNAME", "/")).await;
}

async fn nothing_stays(log: &str) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let audit = folder.path().join("audit.jsonl");
    let settings = [
        ("CAPAUTH_LOG", log),
        ("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN),
        ("CAPAUTH_WKD", "true"),
        ("CAPAUTH_AUDIT_FILE", audit.to_str().unwrap()),
        ("CAPAUTH_AUDIT_NETWORK", "true"),
        METRICS,
    ];
    let service = Service::start_in(&folder, &settings);
    let database = service.database();
    let keys: Vec<_> = (0..100).map(|number| Key::ed25519(&format!("{USER_ID} {number}"))).collect();
    live(&service, &keys, &Gpg::new()).await;
    // What is collected of it is kept by others: it is searched as the log is, and for more.
    let shown = Scrape::of(&service).await;
    assert!(shown.get("capauth_logins_total", &[("how", "enrolment")]) > 100.0, "{}", shown.text);
    fs::write(folder.path().join("metrics.txt"), &shown.text).unwrap();
    for key in &keys {
        assert_eq!(position(shown.text.as_bytes(), key.fingerprint.as_bytes()), None);
    }
    assert!(!shown.text.contains("127.0.0") && !shown.text.contains("example.org"), "{}", shown.text);
    service.kill9();
    search(folder.path(), "after kill -9");

    let service = Service::start_in(&folder, &settings);
    let client = Client::new(service.url());
    let body = json!({"fingerprint": keys[1].fingerprint});
    client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/erase", &body).await.ok();
    assert!(service.terminate().success());
    let lines = fs::read_to_string(&audit).unwrap();
    assert!(lines.lines().count() > 100 && lines.contains("\"what\":\"erased\""), "{lines}");
    assert!(lines.contains("127.0.0.0/24") && !lines.contains("127.0.0.1"));
    assert!(keys.iter().all(|key| !lines.contains(&key.fingerprint)), "a file cannot be made to forget");
    sqlite(&database, "VACUUM");
    search(folder.path(), "after VACUUM");

    // The search does find what is there: a key, and a key that is no more.
    let all: Vec<u8> =
        files(&folder.path().join("state")).into_iter().flat_map(|(_, content)| content).collect();
    let found = |key: &Key| position(&all, &hex::decode(&key.fingerprint).unwrap()).is_some();
    assert!(found(&keys[0]), "the fingerprint of an enrolled key is not in the database");
    assert!(
        !log.contains("trace")
            || fs::read_to_string(folder.path().join("stderr.log")).unwrap().lines().count() > 200
    );
}

#[tokio::test]
async fn nothing_personal_stays_with_the_usual_log() {
    nothing_stays("info").await;
}

#[tokio::test]
async fn nothing_personal_stays_with_everything_logged() {
    nothing_stays("trace").await;
}

#[tokio::test]
async fn nothing_personal_stays_whatever_filter_somebody_writes() {
    nothing_stays("trace,hyper=trace,axum=trace,sqlx=trace,sqlx::query=trace,tokio=trace").await;
}
