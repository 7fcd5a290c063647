//! The examples of the description: what was really said, once, by keys that nobody uses.

use std::fs;

use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::request::{QrVerifyRequest, VerifyRequest};
use capauth_protocol::response::{ChallengeResponse, QrChallengeResponse, QrPayload};
use capauth_tests::http::{CLIENT_NONCE, Challenge};
use capauth_tests::keys::{Draft, armored_secret};
use capauth_tests::service::workspace;
use sequoia_openpgp::KeyHandle;
use sequoia_openpgp::cert::Cert;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::parse::stream::{
    DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationHelper,
};
use sequoia_openpgp::policy::StandardPolicy;
use serde_json::{Map, Value, json};

use crate::description::{DOCUMENT, operations};
use crate::devices::{Desktop, PAGE, Phone, V1};
use crate::people::Key;
use crate::servers::Framework;
use crate::told::Told;
use crate::world::{ADMIN_TOKEN, ORIGIN, World, text, token_claims};

fn file() -> std::path::PathBuf {
    workspace().join("capauth-tower/src/openapi/examples.json")
}

fn examples() -> Map<String, Value> {
    serde_json::from_slice(&fs::read(file()).unwrap()).unwrap()
}

/// Looks for one good signature.
struct OneGood(Cert);

impl VerificationHelper for OneGood {
    fn get_certs(&mut self, _: &[KeyHandle]) -> sequoia_openpgp::Result<Vec<Cert>> {
        Ok(vec![self.0.clone()])
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> sequoia_openpgp::Result<()> {
        for layer in structure {
            if let MessageLayer::SignatureGroup { results } = layer
                && results.into_iter().any(|result| result.is_ok())
            {
                return Ok(());
            }
        }
        Err(sequoia_openpgp::anyhow::anyhow!("no good signature"))
    }
}

fn is_signed(certificate: &str, signature: &str, text: &str) -> bool {
    let policy = StandardPolicy::new();
    let helper = OneGood(Cert::from_bytes(certificate).unwrap());
    let verifier = DetachedVerifierBuilder::from_bytes(signature).unwrap().with_policy(&policy, None, helper);
    verifier.unwrap().verify_bytes(text).is_ok()
}

#[test]
fn the_login_of_the_examples_is_a_real_one() {
    let all = examples();
    let challenge: ChallengeResponse = serde_json::from_value(all["ChallengeResponse"].clone()).unwrap();
    let body = all["VerifyRequest"].to_string();
    let request = VerifyRequest::parse(body.as_bytes()).unwrap();
    let certificate = request.public_key.unwrap();
    let text = challenge.payload().to_text();
    assert!(is_signed(&certificate, &request.nonce_signature, &text));
    assert!(!is_signed(&certificate, &request.nonce_signature, &text.replace("expires", "Expires")));
    assert!(is_signed(&challenge.server_public_key, &challenge.server_signature, &text));
    let claims = ClaimsPayload {
        fingerprint: &request.fingerprint_as_sent,
        nonce: &request.nonce_as_sent,
        claims_json: &request.claims.unwrap().to_canonical(),
    };
    assert!(is_signed(&certificate, &request.claims_signature, &claims.to_text()));
}

#[test]
fn the_login_from_another_device_of_the_examples_is_a_real_one() {
    let all = examples();
    let challenge: QrChallengeResponse = serde_json::from_value(all["QrChallengeResponse"].clone()).unwrap();
    let payload: QrPayload = serde_json::from_str(&challenge.qr_payload).unwrap();
    let body = all["QrVerifyRequest"].to_string();
    let request = QrVerifyRequest::parse(body.as_bytes()).unwrap();
    let text = payload.payload().to_text();
    assert!(is_signed(&request.answer.public_key.unwrap(), &request.answer.nonce_signature, &text));
    assert!(is_signed(&challenge.server_public_key, &challenge.server_signature, &text));
    assert_eq!(request.code.unwrap(), challenge.code);
}

/// The examples are as the schemas say, and name nobody.
#[tokio::test]
async fn examples_are_as_described() {
    let world = World::new(Framework::Axum).await;
    let document = world.client.get(DOCUMENT).await.ok();
    let mut told = Told::default();
    let mut number = 0;
    for ((method, path), operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap().iter();
        for (status, answer) in answers {
            let example = &answer["content"]["application/json"]["example"];
            if !example.is_null() {
                told.note_body(&format!("{method} {path}"), status.parse().unwrap(), example);
                number += 1;
            }
        }
        let body = &operation["requestBody"]["content"]["application/json"];
        if !body.is_null() {
            told.note_request(&format!("{method} {path}"), &body["example"]);
        }
    }
    assert!(number > 30, "{number}");
    for said in told.judge(&document) {
        assert_eq!(said, Vec::<String>::new());
    }
    let text = fs::read_to_string(file()).unwrap();
    for domain in text.split('@').skip(1) {
        assert!(domain.starts_with("example."), "{domain:.20}");
    }
}

/// Writes them anew, where a variable asks for it: what a login looks like may change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_can_be_made_again() {
    let made = make().await;
    if std::env::var_os("CAPAUTH_TEST_WRITE_EXAMPLES").is_some() {
        fs::write(file(), serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let names = |all: &Map<String, Value>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&examples()), names(&made), "run this test with CAPAUTH_TEST_WRITE_EXAMPLES=1");
}

async fn make() -> Map<String, Value> {
    let server = armored_secret(&Draft::honest());
    let world = World::with(Framework::Axum, |config| config.server_key(server.as_str(), None)).await;
    let mut all = Map::new();
    let mut keep = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    let key = Key::new();
    login(&world, &key, &mut keep).await;
    another_device(&world, &key, &mut keep).await;
    let next = keys(&world, &key, &mut keep).await;
    administration(&world, &next, &mut keep).await;
    let get = |path: &'static str| world.client.get(path);
    keep("WellKnown", get("/capauth/v1/well-known").await.ok());
    keep("Status", get("/capauth/v1/status").await.ok());
    keep("Health", get("/health").await.ok());
    let mut feed = world.client.get_as(ADMIN_TOKEN, "/capauth/v1/revocations").await.ok();
    feed["entries"].as_array_mut().unwrap().truncate(3);
    keep("Revocations", feed);
    all
}

async fn login(world: &World, key: &Key, keep: &mut impl FnMut(&str, Value)) {
    let ask = json!({
        "capauth_version": "1.0", "fingerprint": key.fingerprint, "client_nonce": CLIENT_NONCE,
        "requested_service": "auth.example.com",
    });
    let challenge = Challenge::read(&world.post("/challenge", &ask).await);
    keep("ChallengeRequest", ask);
    let claims = json!({"name": "Test", "email": "test@example.org"});
    let mut body = key.claiming(&challenge, Some(&claims), world.now());
    keep("ChallengeResponse", challenge.0);
    body["public_key"] = key.certificate.as_str().into();
    body["refresh"] = true.into();
    let login = world.post("/verify", &body).await.ok();
    keep("VerifyRequest", body);
    let (token, refresh) = (text(&login, "access_token"), text(&login, "refresh_token"));
    keep("OidcClaims", login["oidc_claims"].clone());
    keep("VerifyResponse", login);
    keep("TokenClaims", world.call(Some(&token), "GET", "/token-info", &Value::Null).await.ok());
    keep("SessionInfo", world.call(Some(&token), "GET", "/sessions", &Value::Null).await.ok()[0].clone());
    let renew = json!({"grant_type": "refresh_token", "refresh_token": refresh});
    keep("TokenResponse", world.post("/token", &renew).await.ok());
    keep("RefreshRequest", renew);
    let end = json!({"jti": token_claims(&token)["jti"]});
    keep("TokenRevoked", world.admin("POST", "/revoke", end.clone()).await.ok());
    keep("RevokeRequest", end);
    keep("SignedIn", json!({"ok": true, "redirect": "/after"}));
    keep("SignedOut", json!({"ok": true}));
}

async fn another_device(world: &World, key: &Key, keep: &mut impl FnMut(&str, Value)) {
    let client = || world.client.clone();
    let ask = json!({"capauth_version": "1.0", "requested_service": "auth.example.com", "origin": ORIGIN});
    let desktop = Desktop::at(client(), V1, ask.clone()).await;
    keep("QrChallengeRequest", ask);
    keep("QrChallengeResponse", desktop.qr.clone());
    let phone = Phone::scanning(client(), &desktop);
    let body = phone.answer_with(key, world.now(), desktop.code());
    keep("QrVerifyResponse", phone.send(&body).await.ok());
    keep("QrVerifyRequest", body);
    keep("QrStatusResponse", desktop.status().await.ok());
    let page = Desktop::at(client(), PAGE, json!({})).await;
    let phone = Phone::scanning(client(), &page);
    let waits = phone.send(&phone.answer(key, world.now())).await;
    assert_eq!(waits.status, 202);
    keep("QrVerifyWaits", waits.json());
    let decision = json!({"confirm": true, "fingerprint": key.fingerprint});
    keep("QrDecided", page.decide(&decision).await.ok());
    keep("QrDecision", decision);
    keep("SignedInByQr", page.status().await.ok());
}

async fn keys(world: &World, key: &Key, keep: &mut impl FnMut(&str, Value)) -> Key {
    let next = Key::new();
    let cancel = world.cancel_with(key, |_| {}).await;
    keep("RotationCancelRequest", cancel);
    keep("Cancelled", json!({"cancelled": true}));
    let body = world.rotation(key, &next).await;
    keep("Rotated", world.post("/rotate", &body).await.ok());
    keep("RotateRequest", body);
    let second = Key::new();
    let body = world.link_of_new(&next, &second).await;
    keep("Linked", world.post("/link", &body).await.ok());
    keep("LinkRequest", body);
    let body = world.unlink_body(&next, &second).await;
    let token = world.token(&next).await;
    keep("IdentityInfo", world.call(Some(&token), "GET", "/identity", &Value::Null).await.ok());
    world.post("/unlink", &body).await.ok();
    keep("UnlinkRequest", body);
    // That ended the one before.
    let token = world.token(&next).await;
    keep("Ended", world.call(Some(&token), "DELETE", "/sessions", &Value::Null).await.ok());
    next
}

async fn administration(world: &World, key: &Key, keep: &mut impl FnMut(&str, Value)) {
    let of_key = |what: &str| format!("/keys/{}/{what}", key.fingerprint);
    for (method, path, request, answer, body) in [
        ("PUT", of_key("groups"), "GroupsRequest", "Granted", json!({"groups": ["staff", "wiki/editors"]})),
        ("PUT", of_key("name"), "UserNameRequest", "Named", json!({"user_name": "test"})),
        ("PUT", of_key("email"), "EmailRequest", "Vouched", json!({"email": "test@example.org"})),
        ("DELETE", of_key("sessions"), "", "SessionsEnded", Value::Null),
        (
            "POST",
            "/keys/approve".to_owned(),
            "FingerprintRequest",
            "Approved",
            json!({"fingerprint": key.fingerprint}),
        ),
        (
            "POST",
            "/keys/enroll".to_owned(),
            "EnrollRequest",
            "Enrolled",
            json!({"public_key": Key::new().certificate}),
        ),
        (
            "POST",
            "/enrollment-codes".to_owned(),
            "CodeRequest",
            "EnrollmentCode",
            json!({"groups": ["staff"], "expires_in": 86_400}),
        ),
    ] {
        keep(answer, world.admin(method, &path, body.clone()).await.ok());
        if !request.is_empty() {
            keep(request, body);
        }
    }
    keep("KeyEntry", world.listed(key).await);
    let mut log = world.admin("GET", "/audit?limit=3", Value::Null).await.ok();
    log["entries"].as_array_mut().unwrap().truncate(3);
    keep("AuditLog", log);
    keep("RotationCancelled", json!({"cancelled": true, "fingerprint": key.fingerprint}));
    for what in ["revoke", "erase"] {
        let path = format!("/keys/{what}");
        let answer = world.admin("POST", &path, json!({"fingerprint": key.fingerprint})).await.ok();
        keep(if what == "revoke" { "Revoked" } else { "Erased" }, answer);
    }
}
