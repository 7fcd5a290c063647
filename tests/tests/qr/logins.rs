//! Logins as they should be.

use capauth_tests::http::{Answer, claims_payload};
use capauth_tests::keys::armored_secret;
use capauth_tower::EnrollmentMode;
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{APP, APP_ORIGIN, Desktop, ORIGIN, PAGE, SERVICE, V1, World};

/// The names of an object's members, sorted.
fn members(body: &Value) -> Vec<&str> {
    body.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

pub(crate) async fn a_code_is_typed_on_the_phone(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    assert_eq!(
        members(&desktop.qr),
        [
            "callback",
            "capauth_qr",
            "client_nonce_echo",
            "code",
            "expires",
            "nonce",
            "origin",
            "poll_token",
            "qr_data_url",
            "qr_payload",
            "qr_url",
            "server_public_key",
            "server_signature",
            "service",
            "timestamp"
        ]
    );
    assert_eq!((desktop.get("service"), desktop.get("origin")), (SERVICE, ORIGIN));
    assert!(desktop.get("qr_url").starts_with("https://auth.example.com/auth/capauth/qr#"));
    assert_eq!(desktop.status().await.ok(), json!({"status": "pending", "completed": false}));

    let phone = world.phone(&desktop);
    // All that the picture says, and nothing that opens the result.
    assert_eq!(
        members(&phone.scanned),
        ["callback", "capauth_qr", "client_nonce_echo", "expires", "nonce", "origin", "service", "timestamp"]
    );
    let picture = desktop.picture() + &phone.scanned.to_string();
    assert!(!picture.contains(desktop.get("poll_token")));
    // Six digits may stand in a nonce by chance; the code is no member.
    let answer = phone.answer_with(&alice, world.now(), desktop.code());
    let answered = phone.send(&answer).await;
    assert_eq!(members(&answered.ok()), ["authenticated", "message"], "the phone gets no token");
    assert_eq!((&answered.json()["authenticated"], answered.header("set-cookie")), (&json!(true), ""));

    assert_eq!(desktop.peek().await, json!({"status": "authenticated", "completed": true}));
    let result = desktop.status().await.ok();
    assert_eq!(
        members(&result),
        [
            "access_token",
            "completed",
            "expires_in",
            "fingerprint",
            "is_new_enrollment",
            "oidc_claims",
            "session_token",
            "status",
            "token_type"
        ]
    );
    assert_eq!(result["fingerprint"], alice.fingerprint);
    assert_eq!(result["oidc_claims"]["amr"], json!(["pgp"]));
    assert_eq!(result["access_token"], result["session_token"]);
    assert_eq!(result["is_new_enrollment"], true);
    let token = result["access_token"].as_str().unwrap();
    let told = world.client.get_as(token, "/capauth/v1/token-info").await.ok();
    assert_eq!((&told["aud"], &told["sub"]), (&json!(SERVICE), &json!(alice.fingerprint)));

    // Once more, by the key that is known now, on a page.
    let page = world.page().await;
    let phone = world.phone(&page);
    let mut answer = phone.answer_with(&alice, world.now(), page.code());
    answer.as_object_mut().unwrap().remove("public_key");
    phone.send_from(ORIGIN, &answer).await.ok();
    let path = format!("{}?redirect=/inbox", page.status_path());
    let signed_in = world.client.get_as(page.get("poll_token"), &path).await;
    let expected = json!({
        "ok": true, "redirect": "/inbox", "status": "authenticated", "completed": true,
        "fingerprint": alice.fingerprint,
    });
    assert_eq!(signed_in.ok(), expected, "the session is the cookie's");
    let request = world.client.request("GET", "/auth/capauth/me").header("cookie", cookie(&signed_in));
    assert_eq!(capauth_tests::http::send(request).await.ok()["sub"], alice.fingerprint);
}

pub(crate) async fn without_a_code_the_person_confirms_the_key_they_see(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    let answered = phone.send(&phone.answer(&alice, world.now())).await;
    assert_eq!((answered.status, &answered.json()["authenticated"]), (202, &json!(false)));
    let waiting = json!({"status": "pending", "completed": false, "fingerprint": alice.fingerprint});
    assert_eq!(desktop.status().await.ok(), waiting);
    assert!(!world.is_enrolled(&alice).await, "nothing is kept before the click");

    assert_eq!(desktop.confirm(&alice).await.ok(), json!({"status": "authenticated", "completed": true}));
    assert_eq!(desktop.status().await.ok()["fingerprint"], alice.fingerprint);
    assert!(world.is_enrolled(&alice).await);
    desktop.confirm(&alice).await.refused("400 invalid_nonce");
}

pub(crate) async fn a_result_is_fetched_once(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    // Neither HEAD nor a look uses it up.
    let head = world.client.request("HEAD", &desktop.status_path()).bearer_auth(desktop.get("poll_token"));
    assert_eq!(capauth_tests::http::send(head).await.status, 200);
    desktop.peek().await;
    assert!(desktop.status().await.ok()["access_token"].is_string());
    for _ in 0..2 {
        assert_eq!(desktop.status().await.ok(), json!({"status": "authenticated", "completed": true}));
    }
    // A page that comes for a session hears that there is none for it.
    let page = world.page().await;
    let phone = world.phone(&page);
    phone.send(&phone.answer_with(&alice, world.now(), page.code())).await.ok();
    assert_eq!(page.status().await.ok()["ok"], true);
    for _ in 0..2 {
        let again = page.status().await;
        let fetched = json!({"status": "expired", "completed": false, "reason": "fetched"});
        assert_eq!((again.ok(), again.header("set-cookie")), (fetched, ""));
    }
    assert_eq!(page.peek().await, json!({"status": "authenticated", "completed": true}));
}

pub(crate) async fn claims_come_with_the_answer(framework: Framework) {
    let world = World::new(framework).await;
    let alice = Key::new();
    let claims = json!({"name": "Alice", "capauth_qr": false, "capauth_team": "blue"});
    for with_code in [true, false] {
        let desktop = world.desktop().await;
        let phone = world.phone(&desktop);
        let mut answer = phone.answer(&alice, world.now());
        if with_code {
            answer["code"] = desktop.code().into();
        }
        let text = claims_payload(&alice.fingerprint, phone.get("nonce"), &claims);
        answer["claims"] = claims.clone();
        answer["claims_signature"] = Key::new().sign(&text, world.now()).into();
        phone.send(&answer).await.refused("401 invalid_claims_signature");
        answer["claims_signature"] = alice.sign(&text, world.now()).into();
        let answered = phone.send(&answer).await;
        assert!([200, 202].contains(&answered.status), "{}", answered.text());
        if !with_code {
            desktop.confirm(&alice).await.ok();
        }
        let told = desktop.status().await.ok()["oidc_claims"].clone();
        assert_eq!((&told["name"], &told["capauth_team"]), (&json!("Alice"), &json!("blue")));
        assert_eq!(told["capauth_qr"], Value::Null, "what only the server says");
    }
}

pub(crate) async fn a_key_that_waits_for_approval_is_told_so(framework: Framework) {
    let world = World::with(framework, |config| config.enrollment(EnrollmentMode::Approval)).await;
    let alice = Key::new();
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let answer = phone.answer_with(&alice, world.now(), desktop.code());
    phone.send(&answer).await.refused("403 enrollment_pending");
    let ended = json!({"status": "expired", "completed": false, "reason": "refused"});
    assert_eq!(desktop.status().await.ok(), ended);
    // By a click it is the desktop that hears.
    let (desktop, other) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    assert_eq!(phone.send(&phone.answer(&other, world.now())).await.status, 202);
    desktop.confirm(&other).await.refused("403 enrollment_pending");
    assert_eq!(desktop.status().await.ok(), ended);

    let local = world.capauth.local_verifier().unwrap();
    local
        .administration(capauth_verifier::Actor::Administrator, None)
        .approve(&alice.draft.fingerprint())
        .await
        .unwrap();
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    assert!(desktop.status().await.ok()["access_token"].is_string());
}

pub(crate) async fn the_person_says_no(framework: Framework) {
    let world = World::new(framework).await;
    let alice = Key::new();
    let declined = json!({"status": "expired", "completed": false, "reason": "declined"});
    // On the phone, with the code.
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let mut answer = phone.answer_with(&alice, world.now(), desktop.code());
    answer["decline"] = true.into();
    assert_eq!(phone.send(&answer).await.ok()["authenticated"], false);
    assert_eq!(desktop.status().await.ok(), declined);
    answer.as_object_mut().unwrap().remove("decline");
    phone.send(&answer).await.refused("400 invalid_nonce");
    // On the phone, about one's own answer.
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let mut answer = phone.answer(&alice, world.now());
    assert_eq!(phone.send(&answer).await.status, 202);
    answer["decline"] = true.into();
    assert_eq!(phone.send(&answer).await.ok()["authenticated"], false);
    assert_eq!(desktop.status().await.ok(), declined);
    desktop.confirm(&alice).await.refused("400 invalid_nonce");
    // On the desktop, where another answer may come.
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    assert_eq!(phone.send(&phone.answer(&alice, world.now())).await.status, 202);
    let open = json!({"status": "pending", "completed": false});
    assert_eq!(desktop.decide(&json!({"confirm": false})).await.ok(), open);
    desktop.decide(&json!({"confirm": false})).await.refused("409 conflict");
    assert!(!world.is_enrolled(&alice).await);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    assert!(world.is_enrolled(&alice).await);
}

pub(crate) async fn the_server_signs_what_the_phone_signs(framework: Framework) {
    let armor = armored_secret(&Key::new().draft);
    let world = World::with(framework, |config| config.server_key(armor, None)).await;
    let desktop = world.desktop().await;
    assert!(desktop.get("server_public_key").starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"));
    let gpg = capauth_tests::gpg::Gpg::new();
    gpg.run(&["--import"], desktop.get("server_public_key").as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let (signature, text) = (folder.path().join("text.asc"), folder.path().join("text"));
    std::fs::write(&signature, desktop.get("server_signature")).unwrap();
    std::fs::write(&text, world.phone(&desktop).payload()).unwrap();
    // The clock of the test stands still, gpg's does not: a signature's age is no matter to it.
    gpg.run(&["--verify", signature.to_str().unwrap(), text.to_str().unwrap()], b"");
    assert_eq!(World::new(framework).await.desktop().await.get("server_signature"), "");
}

pub(crate) async fn a_listed_services_login_leads_to_that_service(framework: Framework) {
    let world = World::new(framework).await;
    let ask = json!({"requested_service": APP});
    let desktop = Desktop::at(world.client_of_its_own(), V1, ask).await;
    assert_eq!((desktop.get("service"), desktop.get("origin")), (APP, APP_ORIGIN));
    let callback = format!("{APP_ORIGIN}/auth/capauth/qr-verify/{}", desktop.get("nonce"));
    assert_eq!(desktop.get("callback"), callback);
    assert!(desktop.get("qr_url").starts_with("https://app.example.com/auth/capauth/qr#"));
    // The application hands on what it gets there.
    let (phone, alice) = (world.phone(&desktop), Key::new());
    let answer = phone.answer_with(&alice, world.now(), desktop.code());
    world.client.post(&format!("{V1}/qr-verify/{}", phone.get("nonce")), &answer).await.ok();
    let token = desktop.status().await.ok()["access_token"].as_str().unwrap().to_owned();
    let told = world.client.get_as(&token, "/capauth/v1/token-info").await.ok();
    assert_eq!(told["aud"], APP);
    world.client.get_as(&token, "/capauth/v1/sessions").await.refused("401 invalid_token");
}

pub(crate) async fn it_can_be_switched_off(framework: Framework) {
    let world = World::with(framework, |config| config.qr(false)).await;
    let nonce = "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90";
    for base in [V1, PAGE] {
        let challenge = world.client.post(&format!("{base}/qr-challenge"), &json!({})).await;
        challenge.refused("404 not_found");
        assert!(challenge.json()["error_description"].as_str().unwrap().contains("switched off"));
        world.client.post(&format!("{base}/qr-verify/{nonce}"), &json!({})).await.refused("404 not_found");
        world.client.get(&format!("{base}/qr-status/{nonce}")).await.refused("404 not_found");
        world.client.post(&format!("{base}/qr-status/{nonce}"), &json!({})).await.refused("404 not_found");
    }
    assert_eq!(World::new(framework).await.desktop().await.get("capauth_qr"), "1.0");
}

pub(crate) async fn every_member_is_held_against_its_form(framework: Framework) {
    let world = World::new(framework).await;
    let challenge = format!("{V1}/qr-challenge");
    for (body, refusal) in [
        (json!({"requested_service": 1}), "400 invalid_request"),
        (json!({"requested_service": "evil.example"}), "400 service_mismatch"),
        (json!({"origin": "https://evil.example"}), "400 invalid_origin"),
        (json!({"origin": "x".repeat(301)}), "400 invalid_request"),
        (json!({"capauth_version": "2"}), "400 unsupported_version"),
        (json!([]), "400 invalid_request"),
    ] {
        world.client.post(&challenge, &body).await.refused(refusal);
    }
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    let good = phone.answer_with(&alice, world.now(), desktop.code());
    for (name, value, refusal) in [
        ("code", json!("12345"), "400 invalid_request"),
        ("code", json!(123_456), "400 invalid_request"),
        ("decline", json!("yes"), "400 invalid_request"),
        ("fingerprint", json!("x"), "400 invalid_fingerprint"),
        ("nonce", json!("x"), "400 invalid_nonce"),
        ("nonce_signature", Value::Null, "400 invalid_request"),
        ("capauth_version", json!("2"), "400 unsupported_version"),
    ] {
        let mut body = good.clone();
        body[name] = value;
        phone.send(&body).await.refused(refusal);
    }
    world.client.post(&format!("{V1}/qr-verify/x"), &good).await.refused("400 invalid_nonce");
    assert_eq!(phone.send(&phone.answer(&alice, world.now())).await.status, 202);
    for (body, refusal) in [
        (json!({}), "400 invalid_request"),
        (json!({"confirm": 1}), "400 invalid_request"),
        (json!({"confirm": true}), "400 invalid_request"),
        (json!({"confirm": true, "fingerprint": "x"}), "400 invalid_fingerprint"),
    ] {
        desktop.decide(&body).await.refused(refusal);
    }
    let twice = format!("{}?peek=maybe", desktop.status_path());
    world.client.get_as(desktop.get("poll_token"), &twice).await.refused("400 invalid_request");
    phone.send(&good).await.ok();
    assert!(desktop.status().await.ok()["access_token"].is_string());
}
