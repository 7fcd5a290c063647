//! A whole login with a real key against the running service, and what is left of it on the disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod support;

use std::io::Write;

use sequoia_openpgp as openpgp;

use openpgp::cert::CertBuilder;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::{Armorer, Message, Signer};
use serde_json::json;
use support::{Place, Service};

fn new_certificate() -> openpgp::Cert {
    CertBuilder::general_purpose(Some("MARKER-NAME <marker@example.com>")).generate().unwrap().0
}

fn sign(certificate: &openpgp::Cert, text: &str) -> String {
    let policy = StandardPolicy::new();
    let keys = certificate.keys().secret().with_policy(&policy, None).alive().revoked(false).for_signing();
    let pair = keys.into_iter().next().unwrap().key().clone().into_keypair().unwrap();
    let mut signature = Vec::new();
    let message =
        Armorer::new(Message::new(&mut signature)).kind(openpgp::armor::Kind::Signature).build().unwrap();
    let mut signer = Signer::new(message, pair).unwrap().detached().build().unwrap();
    signer.write_all(text.as_bytes()).unwrap();
    signer.finalize().unwrap();
    String::from_utf8(signature).unwrap()
}

/// Signs in as a deployed client does, and answers what the server said.
fn log_in(service: &Service, certificate: &openpgp::Cert) -> support::Answer {
    let fingerprint = certificate.fingerprint().to_hex();
    let asked =
        json!({"fingerprint": fingerprint, "client_nonce": "dGVzdA==", "requested_service": "127.0.0.1"});
    let challenge = service.post("/capauth/v1/challenge", &asked.to_string()).json();
    let field = |name: &str| challenge[name].as_str().unwrap().to_owned();
    let payload = format!(
        "CAPAUTH_NONCE_V1\nnonce={}\nclient_nonce={}\ntimestamp={}\nservice={}\nexpires={}",
        field("nonce"),
        field("client_nonce_echo"),
        field("timestamp"),
        field("service"),
        field("expires")
    );
    let claims = r#"{"email":"marker@example.com","name":"MARKER-NAME"}"#;
    let claims_payload =
        format!("CAPAUTH_CLAIMS_V1\nfingerprint={fingerprint}\nnonce={}\nclaims={claims}", field("nonce"));
    let answer = json!({
        "fingerprint": fingerprint,
        "nonce": field("nonce"),
        "nonce_signature": sign(certificate, &payload),
        "claims": serde_json::from_str::<serde_json::Value>(claims).unwrap(),
        "claims_signature": sign(certificate, &claims_payload),
        "public_key": String::from_utf8(certificate.armored().to_vec().unwrap()).unwrap(),
    });
    service.post("/capauth/v1/verify", &answer.to_string())
}

#[test]
fn a_login_survives_the_end_and_its_time_is_written() {
    let place = Place::new();
    let token = "0123456789abcdef0123456789abcdef";
    let variables = [("CAPAUTH_ADMIN_TOKEN", token), ("CAPAUTH_LOG", "trace")];
    let service = place.start(&variables);
    let certificate = new_certificate();
    let login = log_in(&service, &certificate);
    assert_eq!((login.status, &login.json()["authenticated"]), (200, &true.into()), "{login:?}");
    // At once: the time of the login waits in memory.
    let ended = service.stop();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.log.contains("MARKER") && !ended.log.contains("marker@"), "{}", ended.log);
    assert!(!ended.log.contains(&certificate.fingerprint().to_hex()), "{}", ended.log);

    for file in support::files(place.folder.path()) {
        let content = std::fs::read(&file).unwrap();
        for marker in [&b"MARKER"[..], b"marker@"] {
            assert!(!content.windows(marker.len()).any(|w| w == marker), "{} holds a name", file.display());
        }
    }

    let service = place.start(&variables);
    let authorization = format!("Bearer {token}");
    let keys = service.send("GET", "/capauth/v1/keys", &[("authorization", &authorization)], "").json();
    let keys = keys.as_array().or_else(|| keys["keys"].as_array()).unwrap();
    assert_eq!(keys[0]["fingerprint"], certificate.fingerprint().to_hex());
    assert!(keys[0]["last_auth"].is_string(), "{keys:?}");

    let userinfo = |token: &str| {
        let authorization = format!("Bearer {token}");
        service.send("GET", "/capauth/v1/userinfo", &[("authorization", &authorization)], "").status
    };
    assert_eq!(userinfo(login.json()["access_token"].as_str().unwrap()), 200);
    assert_eq!(userinfo("MARKER"), 401);
    service.stop();
}
